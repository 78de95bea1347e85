// infinit user delete

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, pullFlag } from '../../core/cli/flags.ts';
import { removedJson, removedLines, userDeletionWarning } from '../../core/cli/texts.ts';

export default class UserDelete extends BaseCommand {
  static override summary = 'Delete a user from this device, with its private key';
  static override examples = [
    { description: 'Delete, after a confirmation', command: 'infinit user delete alice' },
    {
      description: 'Delete with all that belongs to the user, asking nothing',
      command: 'infinit user delete alice --purge --force',
    },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    purge: Flags.boolean({
      description: 'delete its networks, volumes, key-value stores, drives and passports as well',
    }),
    ...pullFlag,
    force: Flags.boolean({ char: 'f', description: 'do not ask' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserDelete);
    const { force, purge, pull } = parsed.flags;
    const name = this.nameOf(parsed, this.user);
    const core = await this.core();
    const { deleteUser, getUser } = await import('../../core/descriptor/users.ts');
    const user = await getUser(core, name);
    if (user.private_key && !force && !this.script) await this.confirm(name);
    if (pull) await this.pullFromHub('user', name, purge);
    const removed = await deleteUser(core, name, { purge });
    this.render(removedJson(removed), removedLines(removed));
  }

  private async confirm(name: string): Promise<void> {
    this.warn(userDeletionWarning);
    const { confirmByTyping } = await import('../../core/cli/questions.ts');
    const typed = await confirmByTyping(this.invocation, 'Type the name of the user to delete it:', name);
    if (!typed) throw new InfinitError('cancelled', `user "${name}" is kept: the name typed is another`);
  }
}
