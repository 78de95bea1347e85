// infinit network export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { pretty } from '../../core/cli/texts.ts';

export default class NetworkExport extends BaseCommand {
  static override summary = 'Write a network, for others to import';
  static override examples = [
    {
      description: 'Give it to another device',
      command: 'infinit network export cluster | ssh desk infinit network import',
    },
  ];
  static override args = nameArg('network');
  static override flags = { ...nameFlag('network'), ...outputFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(NetworkExport);
    const core = await this.core();
    const { getNetwork } = await import('../../core/descriptor/networks.ts');
    const network = await getNetwork(core, this.user, this.nameOf(parsed));
    await this.exportTo(parsed.flags.output, network, pretty('network', network.name));
  }
}
