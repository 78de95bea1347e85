// infinit user login

import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { remotely, saved } from '../../core/cli/texts.ts';
import { Passwords, passwordFlag } from '../../core/cli/user-hub-flags.ts';

export default class UserLogin extends HubCommand {
  static override summary = 'Take your identity from the hub, where it was left with --full';
  static override examples = [
    { description: 'On another device', command: 'infinit user login alice' },
    {
      description:
        'The first time, by somebody of the directory of the hub: chooses a password, proves who he is by that of the directory',
      command: 'infinit user login alice',
    },
    { description: 'In a script', command: 'infinit user login alice < password' },
  ];
  static override args = nameArg('user');
  static override flags = { ...nameFlag('user'), ...passwordFlag };

  async run(): Promise<void> {
    const parsed = await this.parse(UserLogin);
    const name = this.nameOf(parsed, this.user);
    const sharing = await this.sharing();
    const passwords = new Passwords(this.invocation, parsed.flags.password);
    const { login } = await import('../../core/hub/client/login.ts');
    const { result, isNew } = await login(sharing, name, {
      password: (isChosen) => passwords.own(isChosen),
      directoryPassword: () => passwords.directory(),
    });
    const lines = isNew ? ['Generating Ed25519 keypair.', saved('user', name), remotely('created', 'user', name)] : [];
    this.render({ type: 'user', name, result: isNew ? 'created' : result }, isNew ? lines : saved('user', name));
  }
}
