// infinit silo import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class SiloImport extends BaseCommand {
  static override summary = 'Take in a silo from a file or a pipe';
  static override examples = [{ description: 'From a file', command: 'infinit silo import -i local.json' }];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(SiloImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importSilo } = await import('../../core/descriptor/silos.ts');
    const result = await importSilo(core, content);
    this.render({ name: result.name, result: result.result }, imported('silo', result.name, result.result));
  }
}
