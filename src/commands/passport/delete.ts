// infinit passport delete

import { BaseCommand } from '../../core/cli/base-command.ts';
import { pullFlag, requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';
import { removedLines } from '../../core/cli/texts.ts';
import { checkName, qualify } from '../../core/descriptor/names.ts';

export default class PassportDelete extends BaseCommand {
  static override summary = 'Delete a passport from this device';
  static override examples = [{ description: 'Delete', command: 'infinit passport delete -N cluster -u bob' }];
  static override flags = { ...requiredNetworkFlag, ...requiredUserFlag, ...pullFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportDelete);
    const core = await this.core();
    const name = `${qualify('network', flags.network, this.user)}/${checkName('user', flags.user)}`;
    if (flags.pull) await this.pullFromHub('passport', name);
    const { deletePassport } = await import('../../core/descriptor/passports.ts');
    const passport = await deletePassport(core, this.user, flags.network, flags.user);
    const removed = [{ kind: 'passport' as const, name: `${passport.network}/${passport.user}` }];
    this.render(passport, removedLines(removed));
  }
}
