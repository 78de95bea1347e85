// infinit network unlink

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class NetworkUnlink extends BaseCommand {
  static override summary = 'Unlink this device from a network';
  static override examples = [{ description: 'Unlink', command: 'infinit network unlink alice/cluster' }];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkUnlink);
    const core = await this.core();
    const { unlinkNetwork } = await import('../../core/descriptor/links.ts');
    const unlinked = await unlinkNetwork(core, this.user, this.nameOf(parsed));
    this.render(unlinked, [
      `Locally unlinked network "${unlinked.name}".`,
      `To link again as the same node: infinit network link ${unlinked.name} --node-id ${unlinked.node_id}`,
    ]);
  }
}
