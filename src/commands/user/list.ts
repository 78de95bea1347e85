// infinit user list

import { BaseCommand } from '../../core/cli/base-command.ts';
import { titled } from '../../core/cli/texts.ts';

export default class UserList extends BaseCommand {
  static override summary = 'List the users known on this device';
  static override examples = [{ description: 'List users', command: 'infinit user list' }];

  async run(): Promise<void> {
    await this.parse(UserList);
    const core = await this.core();
    const { listUsers } = await import('../../core/descriptor/users.ts');
    const users = await listUsers(core);
    const starred = users.some((user) => user.name === this.user);
    this.render(
      users,
      users.map(({ name, description, has_private_key }) => {
        const mark = starred ? (name === this.user ? '* ' : '  ') : '';
        return `${mark}${titled(this.paint.bold(name), description)}: public${has_private_key ? '/private keys' : ' key only'}`;
      }),
    );
  }
}
