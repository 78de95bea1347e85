// infinit user import

import { BaseCommand } from '../../core/cli/base-command.ts';
import { inputFlag } from '../../core/cli/flags.ts';
import { imported } from '../../core/cli/texts.ts';

export default class UserImport extends BaseCommand {
  static override summary = 'Take in a user from a file or a pipe';
  static override examples = [
    { description: 'From another device', command: 'ssh desk infinit user export alice --full | infinit user import' },
    { description: 'From a file', command: 'infinit user import -i bob.json' },
  ];
  static override flags = inputFlag;

  async run(): Promise<void> {
    const { flags } = await this.parse(UserImport);
    const content = await this.importFrom(flags.input);
    const core = await this.core();
    const { importUser } = await import('../../core/descriptor/users.ts');
    const result = await importUser(core, content);
    this.render({ name: result.name, result: result.result }, imported('user', result.name, result.result));
  }
}
