// infinit ldap populate-network

import { requiredNetworkFlag } from '../../core/cli/flags.ts';
import { LdapCommand } from '../../core/cli/ldap-command.ts';
import { denyFlags, ldapFlags, mountpointFlag } from '../../core/cli/ldap-flags.ts';

export default class LdapPopulateNetwork extends LdapCommand {
  static override summary = 'Give people of a directory passports for a network, and make its groups there';
  static override description =
    'For those who have logged in to the hub since `populate-hub`; repeat it for others. Passports that are there stay as they are, ' +
    'nobody is taken out of a group.';
  static override examples = [
    {
      description: 'All groups below ou=groups',
      command:
        'infinit ldap populate-network -N cluster -m /mnt/shared --server ldaps://ldap.example.com -d example.com -b ou=groups',
    },
  ];
  static override flags = { ...ldapFlags, ...requiredNetworkFlag, ...mountpointFlag, ...denyFlags };

  async run(): Promise<void> {
    const { flags } = await this.parse(LdapPopulateNetwork);
    const network = this.networkNamed(flags.network);
    const { attribute } = await this.mounted(flags.mountpoint, network);
    const sharing = await this.sharing();
    const roster = await this.roster(flags);
    const { populateNetwork } = await import('../../core/hub/client/directory-network.ts');
    const rights = { denyWrite: flags['deny-write'], denyStorage: flags['deny-storage'] };
    this.tellPopulated(network, await populateNetwork(sharing, { ...rights, network, roster, attribute }));
  }
}
