// infinit drive invite

import { Flags } from '@oclif/core';
import { InfinitError } from '../../core/base/errors.ts';
import { nameArg, nameFlag } from '../../core/cli/flags.ts';
import { HubCommand } from '../../core/cli/hub-command.ts';
import { invitation, remotelyDone, saved } from '../../core/cli/texts.ts';
import { checkAddress, checkName, qualify } from '../../core/descriptor/names.ts';

export default class DriveInvite extends HubCommand {
  static override summary = 'Offer a drive to people; they join it';
  static override description =
    'A drive gives no rights: people need a passport for its network, which --passport makes. By --email people are invited who ' +
    'need not have signed up: the hub writes to them, and makes the passport of whoever confirms that address. For that it ' +
    'needs one itself: infinit passport create -N NETWORK -u hub --allow-create-passport. Without --user and --email all to whom ' +
    'the drive was offered and who have not joined are offered it again.';
  static override examples = [
    { description: 'Invite bob', command: 'infinit drive invite family --user bob --passport --push-invitations' },
    {
      description: 'Invite by e-mail',
      command: 'infinit drive invite family --email bob@example.org --push-invitations',
    },
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
    email: Flags.string({
      char: 'e',
      description: 'e-mail address of somebody to invite; repeatable',
      helpValue: 'EMAIL',
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
    const { user = [], email = [], passport, home, 'push-invitations': push, 'fetch-drive': fetch } = parsed.flags;
    const users = user.map((name) => checkName('user', name));
    const emails = email.map(checkAddress);
    if (users.length + emails.length === 0 && !push)
      throw new InfinitError('usage', 'specify users using --user and/or --email');
    const drive = qualify('drive', this.nameOf(parsed), this.user);
    const sharing = await this.sharing();
    const { fetchDrives, inviteToDrive } = await import('../../core/hub/client/drives.ts');
    if (fetch) await fetchDrives(sharing, drive);
    if (push) await this.pushToHub('drive', drive);
    const invited = await inviteToDrive(sharing, { drive, users, emails, createHome: home, passport, push });
    this.render(
      invited.map(({ isNew: _, ...one }) => one),
      invited.flatMap(({ user, isNew, passport, outcome }) => [
        ...(passport === undefined ? [] : [saved('passport', passport)]),
        ...(isNew ? [`Created ${invitation(drive, user)}.`] : []),
        ...(outcome === undefined ? [] : [remotelyDone(outcome, invitation(drive, user))]),
      ]),
    );
  }
}
