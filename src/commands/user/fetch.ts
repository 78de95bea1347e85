// infinit user fetch

import { Flags } from '@oclif/core';
import { nameArg } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import type { Fetched } from '../../core/hub/client/sharing.ts';

export default class UserFetch extends HubCommand {
  static override summary = 'Take users from the hub; a user known here stays as it is';
  static override examples = [
    { description: 'Make bob known here', command: 'infinit user fetch bob' },
    { description: 'By the hash of a key', command: 'infinit user fetch --name "#a1b2c3"' },
  ];
  static override args = nameArg('user');
  static override flags = {
    name: Flags.string({
      char: 'n',
      description: 'name or #hash of the user; repeatable',
      helpValue: 'NAME',
      multiple: true,
      multipleNonGreedy: true,
    }),
    avatar: Flags.boolean({ description: 'take the picture too (default: yes)', default: true, allowNo: true }),
  };

  async run(): Promise<void> {
    const { args, flags } = await this.parse(UserFetch);
    const asked = [...(args.name === undefined ? [] : [args.name]), ...(flags.name ?? [])];
    const names = asked.length === 0 ? [this.user] : asked;
    const sharing = await this.sharing();
    const { fetchUser } = await import('../../core/hub/client/sharing.ts');
    const fetched: Fetched[] = [];
    for (const name of names) fetched.push(await fetchUser(sharing, name, flags.avatar));
    this.tellFetched(fetched);
  }
}
