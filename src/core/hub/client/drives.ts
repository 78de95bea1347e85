// Drives between home and hub: fetched, offered to people, joined.

import type { DriveUser } from '../../descriptor/descriptor.ts';
import { getDrive, importDrive, noteDriveUser, usersOf } from '../../descriptor/drives.ts';
import { createPassport } from '../../descriptor/passports.ts';
import type { Outcome } from '../hub.ts';
import { invitationPath } from './paths.ts';
import { each, type Fetched, fetchPassports, fetchTrees, fetchUser, push, type Sharing } from './sharing.ts';

/** One, or all that are the person's or offered to him. */
export function fetchDrives(sharing: Sharing, name: string | undefined): Promise<Fetched[]> {
  return each(sharing, 'drive', name, async (drive) => {
    const { name: fetched, result } = await importDrive(sharing.context, JSON.stringify(drive));
    return { kind: 'drive', name: fetched, result };
  });
}

export interface InviteOptions {
  /** Bare or qualified. */
  drive: string;
  /** None: all to whom it is offered and who have not joined. */
  users: readonly string[];
  createHome: boolean;
  /** Makes passports for those who have none here, and puts them on the hub. */
  passport: boolean;
  /** Puts the invitations on the hub. */
  push: boolean;
}

export interface Invited {
  user: string;
  /** Absent: only noted here. */
  outcome?: Outcome;
  /** Name of the passport that was made. */
  passport?: string;
}

/** The owner offers a drive; noted here, and on the hub where asked. */
export async function inviteToDrive(sharing: Sharing, options: InviteOptions): Promise<Invited[]> {
  const { context, as } = sharing;
  let drive = await getDrive(context, as, options.drive);
  const pending = [...usersOf(drive)].filter(([, { status }]) => status === 'pending').map(([user]) => user);
  const invited: Invited[] = [];
  for (const user of options.users.length > 0 ? options.users : pending) {
    if (!(await context.repository.has('user', user))) await fetchUser(sharing, user, false);
    const known = usersOf(drive).get(user);
    const offer: DriveUser = {
      permissions: known?.permissions ?? 'rw',
      status: known?.status ?? 'pending',
      create_home: options.createHome || (known?.create_home ?? false),
    };
    drive = await noteDriveUser(context, drive, user, offer);
    const passport = options.passport ? await givePassport(sharing, drive.network, user) : undefined;
    const outcome = options.push ? await putInvitation(sharing, drive.name, user, offer) : undefined;
    invited.push({ user, ...(passport && { passport }), ...(outcome && { outcome }) });
  }
  return invited;
}

async function givePassport(sharing: Sharing, network: string, user: string): Promise<string | undefined> {
  const { context, as } = sharing;
  const name = `${network}/${user}`;
  const isNew = !(await context.repository.has('passport', name));
  if (isNew) await createPassport(context, { as, network, user });
  await push(sharing, 'passport', name);
  return isNew ? name : undefined;
}

/** The person takes up what he was offered; the drive, his passport with the network, and the volume come along. */
export async function joinDrive(sharing: Sharing, name: string): Promise<Fetched[]> {
  const { context, hub, as } = sharing;
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
  const what = `pushing invitation of "${user}" to drive "${drive}"`;
  const answer = (await hub.client.ask('PUT', invitationPath(drive, user), { body, what })) as { result?: Outcome };
  return answer.result ?? 'updated';
}
