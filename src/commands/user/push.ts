// infinit user push

import { Flags } from '@oclif/core';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { readPicture } from '../../core/cli/picture.ts';
import { remotely } from '../../core/cli/texts.ts';
import { identityFlags, ldapNameFlag, passwordsOf, personFlags } from '../../core/cli/user-hub-flags.ts';

export default class UserPush extends HubCommand {
  static override summary = 'Put a user on the hub, its private key only with --full and sealed';
  static override examples = [
    { description: 'Let others find you', command: 'infinit user push' },
    { description: 'Be able to log in elsewhere', command: 'infinit user push alice --full' },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    ...personFlags,
    ...identityFlags,
    ...ldapNameFlag,
    avatar: Flags.string({ description: 'picture: png, jpeg, gif or webp', helpValue: 'FILE' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserPush);
    const { email, fullname, full, 'ldap-name': ldapDn, avatar } = parsed.flags;
    const name = this.nameOf(parsed, this.user);
    const sharing = await this.sharing();
    const { pushUser } = await import('../../core/hub/client/sharing.ts');
    const result = await pushUser(sharing, name, {
      email,
      fullname,
      full,
      ldapDn,
      ...(await passwordsOf(this.invocation, parsed.flags)),
      avatar: avatar === undefined ? undefined : await readPicture(this.invocation, avatar),
    });
    this.render({ type: 'user', name, result }, remotely(result, 'user', name));
  }
}
