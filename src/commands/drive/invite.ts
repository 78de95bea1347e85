// infinit drive invite

import { Flags } from '@oclif/core';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { remotelyDone, saved } from '../../core/cli/texts.ts';
import { checkName, qualify } from '../../core/descriptor/names.ts';

export default class DriveInvite extends HubCommand {
  static override summary = 'Offer a drive to people; they join it';
  static override description =
    'Without --user all to whom it was offered and who have not joined are offered it again. A drive gives no rights: ' +
    'people need a passport for its network, which --passport makes.';
  static override examples = [
    { description: 'Invite bob', command: 'infinit drive invite family --user bob --passport --push-invitations' },
  ];
  static override args = nameArg('drive');
  static override flags = {
    ...nameFlag('drive'),
    user: Flags.string({
      char: 'u',
      description: 'user to invite, fetched when not known here; repeatable',
      helpValue: 'USER',
      multiple: true,
      multipleNonGreedy: true,
    }),
    'fetch-drive': Flags.boolean({ description: 'take the drive from the hub first' }),
    'push-invitations': Flags.boolean({
      char: 'p',
      aliases: ['push'],
      description: 'put the drive and the invitations on the hub',
    }),
    passport: Flags.boolean({ description: 'make passports for those who have none, and put them on the hub' }),
    home: Flags.boolean({ description: 'ask for a folder of their own for them' }),
  };

  async run(): Promise<void> {
    const parsed = await this.parse(DriveInvite);
    const { user = [], passport, home, 'push-invitations': push, 'fetch-drive': fetch } = parsed.flags;
    const drive = qualify('drive', this.nameOf(parsed), this.user);
    const sharing = await this.sharing();
    const { fetchDrives, inviteToDrive } = await import('../../core/hub/client/drives.ts');
    if (fetch) await fetchDrives(sharing, drive);
    if (push) await this.pushToHub('drive', drive);
    const users = user.map((name) => checkName('user', name));
    const invited = await inviteToDrive(sharing, { drive, users, createHome: home, passport, push });
    this.render(
      invited,
      invited.flatMap(({ user, passport, outcome }) => {
        const what = `invitation of "${user}" to drive "${drive}"`;
        return [
          ...(passport === undefined ? [] : [saved('passport', passport)]),
          outcome === undefined ? `Locally saved ${what}.` : remotelyDone(outcome, what),
        ];
      }),
    );
  }
}
