// infinit acl register

import { Flags } from '@oclif/core';
import { fetchUsersFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class AclRegister extends HubCommand {
  static override summary = 'Register the name of a user in a network, on a mounted volume of it';
  static override description =
    "Others can then name him in lists without importing him. A name is its user's own word: what a device knows comes first, and a name that several users have registered stands for none.";
  static override examples = [
    { description: 'The acting user', command: 'infinit acl register --path /mnt/shared' },
    { description: 'Named', command: 'infinit acl register --path /mnt/shared --user alice' },
  ];
  static override flags = {
    path: Flags.string({ char: 'p', description: 'a mounted volume', helpValue: 'MOUNTPOINT', required: true }),
    user: Flags.string({ char: 'u', description: 'the user (default: the acting one)', helpValue: 'USER' }),
    network: Flags.string({
      char: 'N',
      description: 'accepted for older scripts: it is that of the volume',
      helpValue: 'NETWORK',
    }),
    ...fetchUsersFlag,
    'fallback-xattrs': Flags.boolean({ description: 'accepted for older scripts: attributes are asked for directly' }),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(AclRegister);
    const name = flags.user ?? this.user;
    if (flags.fetch) await this.fetchUnknown([name]);
    const acting = await this.acting();
    const path = this.pathOf(flags.path);
    const { getUser } = await import('../../core/descriptor/users.ts');
    const { name: user, public_key } = await getUser(acting.context, name);
    const { volumeAttribute } = await this.running();
    await volumeAttribute({
      ...acting,
      path,
      attribute: `infinit.register.${user}`,
      value: JSON.stringify(public_key),
    });
    this.render({ user, path: flags.path }, `Registered user "${user}".`);
  }
}
