// infinit network import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class NetworkImport extends BaseCommand {
  static override summary = 'Take in a network from a file or a pipe';
  static override examples = [
    { description: 'From another device', command: 'ssh desk infinit network export cluster | infinit network import' },
  ];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(NetworkImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importNetwork } = await import('../../core/descriptor/networks.ts');
    const result = await importNetwork(core, content);
    this.render({ name: result.name, result: result.result }, imported('network', result.name, result.result));
  }
}
