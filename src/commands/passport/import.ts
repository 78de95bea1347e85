// infinit passport import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class PassportImport extends BaseCommand {
  static override summary = 'Take in a passport from a file or a pipe';
  static override examples = [{ description: 'From a file', command: 'infinit passport import -i passport.json' }];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importPassport } = await import('../../core/descriptor/passports.ts');
    const result = await importPassport(core, content);
    this.render({ name: result.name, result: result.result }, imported('passport', result.name, result.result));
  }
}
