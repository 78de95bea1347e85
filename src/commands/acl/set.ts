// infinit acl set

import { join } from 'node:path';
import { Flags } from '@oclif/core';
import { changesOf, checkTraverse, listedBelow, pathFlag, walkFlags } from '../../core/cli/access.ts';
import { fetchUsersFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';

const modes = ['r', 'w', 'rw', 'none'];

export default class AclSet extends HubCommand {
  static override summary = 'Say who may read and write a mounted volume, or a directory or file of it; its owner only';
  static override examples = [
    { description: 'Let bob read', command: 'infinit acl set --path /mnt/shared --user bob --mode r' },
    {
      description: 'Let everybody in the network write',
      command: 'infinit acl set --path /mnt/shared --others-mode rw',
    },
    {
      description: 'Keep a directory, with all in it, from bob',
      command: 'infinit acl set --path /mnt/shared/private --user bob --mode none',
    },
    {
      description: 'Let bob do nothing any more',
      command: 'infinit acl set --path /mnt/shared --user bob --mode none',
    },
  ];
  static override flags = {
    ...pathFlag,
    user: Flags.string({
      char: 'u',
      description: 'a user, @group, #hash or key; repeatable',
      helpValue: 'USER',
      multiple: true,
      multipleNonGreedy: true,
    }),
    group: Flags.string({
      char: 'g',
      description: 'a group; repeatable',
      helpValue: 'GROUP',
      multiple: true,
      multipleNonGreedy: true,
    }),
    mode: Flags.string({ char: 'm', description: 'what these may do; who writes reads', options: modes }),
    'others-mode': Flags.string({ char: 'o', description: 'what every passport holder may do', options: modes }),
    'enable-inherit': Flags.boolean({ char: 'i', description: 'what is made in the directory has its list' }),
    'disable-inherit': Flags.boolean({ description: "what is made in the directory is its maker's alone" }),
    traverse: Flags.boolean({ char: 't', description: 'only if they read the directories that lead there' }),
    ...walkFlags,
    ...fetchUsersFlag,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(AclSet);
    const changes = changesOf(flags);
    if (flags.fetch) await this.fetchUnknown(flags.user ?? []);
    const acting = await this.acting();
    const { volumeAttribute } = await this.running();
    const done: { path: string }[] = [];
    for (const path of flags.path) {
      if (flags.traverse) await checkTraverse(volumeAttribute, { ...acting, path: this.pathOf(path) }, changes);
      const below = flags.recursive ? await listedBelow(volumeAttribute, { ...acting, path: this.pathOf(path) }) : [];
      for (const one of [path, ...below.map((name) => join(path, name))]) {
        const at = { ...acting, path: this.pathOf(one) };
        for (const [attribute, value] of changes) await volumeAttribute({ ...at, attribute, value });
        if (flags.verbose) this.say(`Set access of "${one}".`);
        done.push({ path: one });
      }
    }
    if (this.script) this.printJson(done);
  }
}
