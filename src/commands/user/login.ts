// infinit user login

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { saved } from '../../core/cli/texts.ts';
import { passwordFlag, readPassword } from '../../core/cli/user-hub-flags.ts';

export default class UserLogin extends HubCommand {
  static override summary = 'Take your identity from the hub, where it was left with --full';
  static override examples = [
    { description: 'On another device', command: 'infinit user login alice' },
    { description: 'In a script', command: 'infinit user login alice < password' },
  ];
  static override args = nameArg('user');
  static override flags = { ...nameFlag('user'), ...passwordFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(UserLogin);
    const name = this.nameOf(parsed, this.user);
    const sharing = await this.sharing();
    const password = await readPassword(this.invocation, parsed.flags.password, { twice: false });
    const { login } = await import('../../core/hub/client/sharing.ts');
    const { result } = await login(sharing, name, password);
    this.render({ type: 'user', name, result }, saved('user', name));
  }
}
