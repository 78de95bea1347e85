// infinit passport export

import { BaseCommand } from '../../core/cli/base-command.ts';
import { writeDocument } from '../../core/cli/documents.ts';
import { outputFlag, requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';

export default class PassportExport extends BaseCommand {
  static override summary = 'Write a passport, to be given to its user';
  static override examples = [
    { description: 'For bob', command: 'infinit passport export -N cluster -u bob -o bob.passport' },
  ];
  static override flags = { ...requiredNetworkFlag, ...requiredUserFlag, ...outputFlag };

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportExport);
    const core = await this.core();
    const { getPassport } = await import('../../core/descriptor/passports.ts');
    const passport = await getPassport(core, this.user, flags.network, flags.user);
    const wrote = await writeDocument(this.invocation, flags.output, passport);
    if (wrote) this.say(`Wrote passport for "${passport.network}".`);
  }
}
