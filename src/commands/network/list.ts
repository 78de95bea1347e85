// infinit network list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { titled } from '../../core/cli/texts.ts';

export default class NetworkList extends BaseCommand {
  static override summary = 'List the networks known on this device';
  static override examples = [{ description: 'List networks', command: 'infinit network list' }];

  async run(): Promise<void> {
    await this.parse(NetworkList);
    const core = await this.core();
    const { listNetworks } = await import('../../core/descriptor/networks.ts');
    const networks = await listNetworks(core, this.user);
    this.render(
      networks,
      networks.map(
        ({ name, description, linked }) =>
          `${titled(this.paint.bold(name), description)}: ${linked ? 'linked' : 'not linked'}`,
      ),
    );
  }
}
