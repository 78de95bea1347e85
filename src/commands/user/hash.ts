// infinit user hash

import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

export default class UserHash extends BaseCommand {
  static override summary = 'Show the short hash that names a user by its key';
  static override examples = [
    { description: 'Hash of the acting user', command: 'infinit user hash' },
    { description: 'Of another user', command: 'infinit user hash bob' },
  ];
  static override args = nameArg('user');
  static override flags = nameFlag('user');

  async run(): Promise<void> {
    const parsed = await this.parse(UserHash);
    const core = await this.core();
    const [{ getUser }, { userHash }] = await Promise.all([
      import('../../core/descriptor/users.ts'),
      import('../../core/descriptor/keys.ts'),
    ]);
    const user = await getUser(core, this.nameOf(parsed, this.user));
    const hash = userHash(user.public_key);
    this.render({ [user.name]: hash }, `${user.name}: ${hash}`);
  }
}
