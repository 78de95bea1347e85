// infinit network list-silos

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class NetworkListSilos extends BaseCommand {
  static override summary = 'List the silos this device contributes to a network';
  static override examples = [{ description: 'List them', command: 'infinit network list-silos cluster' }];
  static override args = nameArg('network');
  static override flags = nameFlag('network');

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkListSilos);
    const core = await this.core();
    const { listNetworkSilos } = await import('../../core/descriptor/links.ts');
    const silos = await listNetworkSilos(core, this.user, this.nameOf(parsed));
    this.render(silos, silos);
  }
}
