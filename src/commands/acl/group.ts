// infinit acl group

import { Flags } from '@oclif/core';
import { type GroupFacts, groupChangesOf, groupLines } from '../../core/cli/access.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';

function many(description: string, helpValue: string) {
  return Flags.string({ description, helpValue, multiple: true, multipleNonGreedy: true });
}

export default class AclGroup extends BaseCommand {
  static override summary = 'Make, change and show groups of users of a network, on a mounted volume of it';
  static override examples = [
    { description: 'Make one', command: 'infinit acl group --path /mnt/shared --name staff --create' },
    { description: 'With bob in it', command: 'infinit acl group --path /mnt/shared --name staff --add-user bob' },
    { description: 'Who is in it', command: 'infinit acl group --path /mnt/shared --name staff --show' },
  ];
  static override args = nameArg('group');
  static override flags = {
    path: Flags.string({ char: 'p', description: 'a mounted volume', helpValue: 'MOUNTPOINT', required: true }),
    ...nameFlag('group'),
    create: Flags.boolean({ char: 'c', description: 'make it, with oneself in it' }),
    delete: Flags.boolean({ description: 'nobody is in it any more' }),
    show: Flags.boolean({ description: 'show who is in it' }),
    description: Flags.string({ description: 'a line that says what it is for', helpValue: 'TEXT' }),
    add: many('add a user, a @group or an ^admin; repeatable', 'WHO'),
    'add-user': many('add a user; repeatable', 'USER'),
    'add-group': many('add a group; repeatable', 'GROUP'),
    'add-admin': many('add an admin; only who made the group; repeatable', 'USER'),
    remove: many('remove a user, a @group or an ^admin; repeatable', 'WHO'),
    'remove-user': many('remove a user; repeatable', 'USER'),
    'remove-group': many('remove a group; repeatable', 'GROUP'),
    'remove-admin': many('remove an admin; only who made the group; repeatable', 'USER'),
    verbose: Flags.boolean({ char: 'v', description: 'accepted for older scripts' }),
    'fallback-xattrs': Flags.boolean({ description: 'accepted for older scripts: attributes are asked for directly' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(AclGroup);
    const { flags } = parsed;
    const name = this.nameOf(parsed);
    const changes = groupChangesOf(name, flags);
    const acting = await this.acting();
    const { volumeAttribute } = await this.running();
    const at = { ...acting, path: this.pathOf(flags.path) };
    for (const [attribute, value] of changes) await volumeAttribute({ ...at, attribute, value });
    if (flags.delete) return this.render({ name, deleted: true }, `Deleted group "${name}".`);
    const shown = await volumeAttribute({ ...at, attribute: `infinit.group.list.${name}` });
    const facts = JSON.parse(shown) as GroupFacts;
    this.render(facts, flags.show || changes.length === 0 ? groupLines(name, facts) : `Changed group "${name}".`);
  }
}
