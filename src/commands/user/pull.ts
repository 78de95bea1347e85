// infinit user pull

import { Flags } from '@oclif/core';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

export default class UserPull extends HubCommand {
  static override summary = 'Take a user off the hub; needs its private key';
  static override examples = [
    { description: 'Take yourself off the hub', command: 'infinit user pull' },
    { description: 'With all you own there', command: 'infinit user pull alice --purge' },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    purge: Flags.boolean({ description: 'take its networks, volumes, key-value stores and passports off as well' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserPull);
    await this.pull('user', this.nameOf(parsed, this.user), parsed.flags.purge);
  }
}
