// infinit ldap drive-invite

import { Flags } from '@oclif/core';
import { LdapCommand } from '../../core/cli/ldap-command.ts';
import { denyFlags, ldapFlags, mountpointFlag } from '../../core/cli/ldap-flags.ts';
import { qualify } from '../../core/descriptor/names.ts';

export default class LdapDriveInvite extends LdapCommand {
  static override summary = 'Invite people of a directory to a drive, with passports, groups and rights in its volume';
  static override description =
    'Does what `populate-network` does, lets groups (and people found outside of groups) into the volume, and leaves the drive ' +
    'and invitations on the hub.';
  static override examples = [
    {
      description: 'All in the groups below ou=groups',
      command:
        'infinit ldap drive-invite --drive family -m /mnt/shared --server ldaps://ldap.example.com -d example.com -b ou=groups',
    },
  ];
  static override flags = {
    ...ldapFlags,
    drive: Flags.string({ description: 'name of the drive', helpValue: 'DRIVE', required: true }),
    ...mountpointFlag,
    'root-permissions': Flags.string({
      description: 'what they may do in the volume (default: rw)',
      options: ['r', 'rw', 'none'],
      default: 'rw',
    }),
    'create-home': Flags.boolean({
      description: 'make a folder home/NAME for each, owned by the numeric ids of his entry; needs root',
    }),
    ...denyFlags,
  };

  async run(): Promise<void> {
    const { flags } = await this.parse(LdapDriveInvite);
    const core = await this.core();
    const drive = await core.repository.get('drive', qualify('drive', flags.drive, this.user));
    const { attribute } = await this.mounted(flags.mountpoint, drive.network, drive.volume);
    const sharing = await this.sharing();
    const roster = await this.roster(flags, ['uidNumber', 'gidNumber']);
    const [{ inviteDirectory }, { push }] = await Promise.all([
      import('../../core/hub/client/directory-network.ts'),
      import('../../core/hub/client/sharing.ts'),
    ]);
    await push(sharing, 'drive', drive.name);
    const invited = await inviteDirectory(sharing, {
      drive: drive.name,
      network: drive.network,
      roster,
      attribute,
      permissions: flags['root-permissions'] as 'r' | 'rw' | 'none',
      createHome: flags['create-home'],
      denyWrite: flags['deny-write'],
      denyStorage: flags['deny-storage'],
    });
    if (flags['create-home'])
      invited.problems.push(...(await this.makeHomes(flags.mountpoint, invited.people, roster.people)));
    this.tellPopulated(drive.network, invited);
    const names = invited.people.flatMap(({ name, result }) => (name && result !== 'failed' ? [name] : []));
    this.say(...names.map((name) => `Invited "${name}" to drive "${drive.name}".`));
  }
}
