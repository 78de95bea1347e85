// infinit user export

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { nameArg, nameFlag, outputFlag } from '../../core/cli/flags.ts';
import { fullExportWarning, pretty } from '../../core/cli/texts.ts';

export default class UserExport extends BaseCommand {
  static override summary = 'Write a user, without its private key unless --full';
  static override examples = [
    { description: 'Let somebody know your key', command: 'infinit user export alice > alice.json' },
    {
      description: 'Move an identity to another device',
      command: 'infinit user export alice --full | ssh laptop infinit user import',
    },
  ];
  static override args = nameArg('user');
  static override flags = {
    ...nameFlag('user'),
    ...outputFlag,
    full: Flags.boolean({ description: 'include the private key' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(UserExport);
    const { full, output } = parsed.flags;
    const name = this.nameOf(parsed, this.user);
    const core = await this.core();
    const { exportUser } = await import('../../core/descriptor/users.ts');
    const user = await exportUser(core, name, { full });
    if (full) this.warn(fullExportWarning);
    await this.exportTo(output, user, pretty('user', name), full);
  }
}
