// infinit user signup

import { descriptionFlag, nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { readKeyFile } from '../../core/cli/key-file.ts';
import { remotely, saved } from '../../core/cli/texts.ts';
import { identityFlags, keyFlag, ldapNameFlag, passwordsOf, personFlags } from '../../core/cli/user-hub-flags.ts';

export default class UserSignup extends HubCommand {
  static override summary = 'Create a user here and on the hub; nothing is kept when the hub refuses';
  static override examples = [
    { description: 'Sign up', command: 'infinit user signup alice' },
    { description: 'Be able to log in on other devices', command: 'infinit user signup alice --full' },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    ...descriptionFlag,
    ...keyFlag,
    ...personFlags,
    ...identityFlags,
    ...ldapNameFlag,
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserSignup);
    const { key, description, email, fullname, full, 'ldap-name': ldapDn } = parsed.flags;
    const name = this.nameOf(parsed, this.user);
    const seed = key === undefined ? undefined : (await readKeyFile(this.invocation, key)).seed;
    const sharing = await this.sharing();
    const [{ exportUser, newUser }, { signUp }] = await Promise.all([
      import('../../core/descriptor/users.ts'),
      import('../../core/hub/client/sharing.ts'),
    ]);
    const user = newUser(sharing.context, { name, description, email, fullname, ldapDn, seed });
    await signUp(sharing, user, { full, ...(await passwordsOf(this.invocation, parsed.flags)) });
    const generating = seed === undefined ? ['Generating Ed25519 keypair.'] : [];
    const lines = [...generating, saved('user', name), remotely('created', 'user', name)];
    this.render(await exportUser(sharing.context, name), lines);
  }
}
