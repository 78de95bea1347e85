// infinit passport fetch

import { Flags } from '@oclif/core';
import { networkFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { checkName, qualify } from '../../core/descriptor/names.ts';

export default class PassportFetch extends HubCommand {
  static override summary = 'Take passports from the hub: your own, or those of your network';
  static override description = 'A network and users that are not known here yet come along.';
  static override examples = [
    { description: 'All for you', command: 'infinit passport fetch' },
    { description: 'Yours for a network', command: 'infinit passport fetch --network alice/cluster' },
  ];
  static override flags = {
    ...networkFlag,
    user: Flags.string({ char: 'u', description: 'user the passport is for', helpValue: 'USER' }),
  };

  async run(): Promise<void> {
    const { network, user } = (await this.parse(PassportFetch)).flags;
    const { fetchPassports } = await import('../../core/hub/client/sharing.ts');
    this.tellFetched(
      await fetchPassports(await this.sharing(), {
        network: network === undefined ? undefined : qualify('network', network, this.user),
        user: user === undefined ? undefined : checkName('user', user),
      }),
    );
  }
}
