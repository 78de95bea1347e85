// Drives between home and hub: fetched, offered to people, joined.

import { InfinitError } from '../../base/errors.ts';
import type { DriveUser } from '../../descriptor/descriptor.ts';
import { getDrive, importDrive, noteDriveUser, usersOf } from '../../descriptor/drives.ts';
import { isName } from '../../descriptor/names.ts';
import { createPassport } from '../../descriptor/passports.ts';
import { delegateName, type Outcome } from '../hub.ts';
import { fetchIcon } from './icons.ts';
import { invitationPath } from './paths.ts';
import { each, type Fetched, fetchPassports, fetchTrees, fetchUser, push, type Sharing } from './sharing.ts';

/** One, or all that are the person's or offered to him. */
export function fetchDrives(sharing: Sharing, name: string | undefined): Promise<Fetched[]> {
  return each(sharing, 'drive', name, async (drive) => {
    const { name: fetched, result } = await importDrive(sharing.context, JSON.stringify(drive));
    await fetchIcon(sharing, fetched);
    return { kind: 'drive', name: fetched, result };
  });
}

export interface InviteOptions {
  /** Bare or qualified. */
  drive: string;
  /** Names and addresses; none of both: all to whom it is offered and who have not joined. */
  users: readonly string[];
  emails: readonly string[];
  createHome: boolean;
  /** Makes passports for those who have none here; without it they must have one. Those invited by e-mail get theirs by the hub. */
  passport: boolean;
  /** Puts passports and invitations on the hub. */
  push: boolean;
  /** What is written in the invitation; undefined: what stands there, else all. */
  permissions?: DriveUser['permissions'];
}

export interface Invited {
  /** Name or address. */
  user: string;
  /** It was not noted here before. */
  isNew: boolean;
  /** Absent: only noted here. */
  outcome?: Outcome;
  /** Name of the passport that was made. */
  passport?: string;
}

/** The owner offers a drive; noted here, and on the hub where asked. */
export async function inviteToDrive(sharing: Sharing, options: InviteOptions): Promise<Invited[]> {
  const { context, as } = sharing;
  let drive = await getDrive(context, as, options.drive);
  const asked = [...options.users, ...options.emails];
  const pending = [...usersOf(drive)].filter(([, { status }]) => status === 'pending').map(([user]) => user);
  const invitees = asked.length > 0 ? asked : pending;
  if (!invitees.every(isName)) await checkDelegate(sharing, drive.network, options.push);
  const invited: Invited[] = [];
  for (const user of invitees) {
    const passport = isName(user) ? await passportFor(sharing, drive.network, user, options) : undefined;
    const known = usersOf(drive).get(user);
    const offer: DriveUser = {
      permissions: options.permissions ?? known?.permissions ?? 'rw',
      status: known?.status ?? 'pending',
      create_home: options.createHome || (known?.create_home ?? false),
    };
    drive = await noteDriveUser(context, drive, user, offer);
    const outcome = options.push ? await putInvitation(sharing, drive.name, user, offer) : undefined;
    invited.push({ user, isNew: known === undefined, ...(passport && { passport }), ...(outcome && { outcome }) });
  }
  return invited;
}

/** Rights a passport is made without. */
export interface PassportLimits {
  denyWrite?: boolean;
  denyStorage?: boolean;
}

/** The passport of somebody invited by name; its name when it was made. The owner of the network needs none. */
export async function passportFor(
  sharing: Sharing,
  network: string,
  user: string,
  options: Pick<InviteOptions, 'passport' | 'push'> & PassportLimits,
): Promise<string | undefined> {
  const { context, as } = sharing;
  if (!(await context.repository.has('user', user))) await fetchUser(sharing, user, false);
  if (network.startsWith(`${user}/`)) return undefined;
  const name = `${network}/${user}`;
  const { denyWrite, denyStorage } = options;
  const isMade = options.passport && !(await context.repository.has('passport', name));
  if (isMade) await createPassport(context, { as, network, user, denyWrite, denyStorage });
  else await context.repository.get('passport', name);
  if (options.push) await push(sharing, 'passport', name);
  return isMade ? name : undefined;
}

/** Whom an e-mail reaches the hub lets in, for which it needs a passport that allows creating passports. */
async function checkDelegate(sharing: Sharing, network: string, isPushed: boolean): Promise<void> {
  const { repository } = sharing.context;
  const name = `${network}/${delegateName}`;
  const hint = `In order to invite users by email, you must create a passport for "${delegateName}" with the --allow-create-passport option:\ninfinit user fetch ${delegateName}\ninfinit passport create --network ${network} --user ${delegateName} --allow-create-passport`;
  if (!(await repository.has('passport', name)))
    throw new InfinitError('not-found', `passport "${network}: ${delegateName}" does not exist`, { hint });
  if (!(await repository.get('passport', name)).allow_sign)
    throw new InfinitError('denied', `Missing --allow-create-passport flag for ${delegateName}`, { hint });
  if (isPushed) await push(sharing, 'passport', name);
}

/** The person does not want what he was offered, or joined. */
export async function declineDrive({ hub, as }: Sharing, drive: string): Promise<void> {
  const what = `pulling invitation "${drive}: ${as}"`;
  await hub.client.ask('DELETE', invitationPath(drive, as), { what });
}

/** The person takes up what he was offered; the drive, his passport with the network, and the volume come along. */
export async function joinDrive(sharing: Sharing, name: string): Promise<Fetched[]> {
  const { context, hub, as } = sharing;
  if (name.startsWith(`${as}/`)) throw new InfinitError('denied', 'The owner is automatically invited to its drives');
  const drive = await hub.get('drive', name);
  const offer = usersOf(drive).get(as) ?? { permissions: 'none', status: 'pending', create_home: false };
  await putInvitation(sharing, name, as, { ...offer, status: 'ok' });
  const fetched = await fetchDrives(sharing, name);
  if (!(await isKnown(sharing, `${drive.network}/${as}`)))
    fetched.push(...(await fetchPassports(sharing, { network: drive.network, user: as })));
  if (!(await context.repository.has('volume', drive.volume)))
    fetched.push(...(await fetchTrees(sharing, 'volume', { name: drive.volume })));
  return fetched;
}

/** The owner of a network needs no passport. */
async function isKnown({ context, as }: Sharing, passport: string): Promise<boolean> {
  return passport.startsWith(`${as}/`) || (await context.repository.has('passport', passport));
}

async function putInvitation({ hub }: Sharing, drive: string, user: string, body: DriveUser): Promise<Outcome> {
  const what = `pushing invitation "${drive}: ${user}"`;
  const answer = (await hub.client.ask('PUT', invitationPath(drive, user), { body, what })) as { result?: Outcome };
  return answer.result ?? 'updated';
}
