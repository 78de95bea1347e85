// infinit passport create

import { Flags } from '@oclif/core';
import { BaseCommand } from '../../core/cli/base-command.ts';
import { writeDocument } from '../../core/cli/documents.ts';
import { copyFlag, durationFlag, pushFlag, requiredNetworkFlag, requiredUserFlag } from '../../core/cli/flags.ts';
import { delegatedNotice, saved } from '../../core/cli/texts.ts';

export default class PassportCreate extends BaseCommand {
  static override summary = 'Create a passport: the right of a user to join a network';
  static override examples = [
    { description: 'Let bob in', command: 'infinit passport create --network cluster --user bob' },
    {
      description: 'Reading only, for a month',
      command: 'infinit passport create -N cluster -u bob --deny-write --deny-storage --expires 30d',
    },
  ];
  static override flags = {
    ...requiredNetworkFlag,
    ...requiredUserFlag,
    ...copyFlag,
    ...pushFlag('passport'),
    'deny-write': Flags.boolean({ description: 'reading only' }),
    'deny-storage': Flags.boolean({ description: 'may not contribute silos' }),
    'allow-create-passport': Flags.boolean({ description: 'may create passports for others' }),
    expires: durationFlag('how long it is valid, such as 30d (default: for ever)'),
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(PassportCreate);
    if (flags.push) this.hubAddress();
    const core = await this.core();
    const { createPassport } = await import('../../core/descriptor/passports.ts');
    const { name, passport, delegated } = await createPassport(core, {
      as: this.user,
      network: flags.network,
      user: flags.user,
      denyWrite: flags['deny-write'],
      denyStorage: flags['deny-storage'],
      allowCreatePassport: flags['allow-create-passport'],
      expiresInMs: flags.expires,
    });
    if (delegated) this.tell(delegatedNotice(passport.network, this.user));
    if (flags.output !== '-') this.render(passport, saved('passport', name));
    if (flags.output !== undefined && (await writeDocument(this.invocation, flags.output, passport)))
      this.say(`Wrote passport for "${passport.network}".`);
    if (flags.push) await this.pushToHub('passport', name);
  }
}
