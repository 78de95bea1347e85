// Drives, and who is invited to them: offered by the owner, taken up or declined by the user. Who is invited is kept beside the drive,
// so that neither has to sign for the other.

import { limits } from '../../base/limits.ts';
import type { DriveDescriptor, DriveUser } from '../../descriptor/descriptor.ts';
import { checkDescriptor } from '../../descriptor/stream.ts';
import { invitation as invitationBody } from '../bodies.ts';
import type { HubStore } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import {
  checkNamed,
  checkNewer,
  checkOwner,
  checkRoom,
  checkSameOwner,
  isSame,
  outcome,
  ownerOf,
} from './descriptors.ts';
import { removeDrive } from './purge.ts';
import { forbidden, notFound, Refusal } from './refusal.ts';

export async function getDrive(call: Call): Promise<Answer> {
  const drive = await driveOf(call.store, call.qualified);
  return { status: 200, body: await shownTo(call, drive) };
}

/** Who is invited stays as it is. */
export async function putDrive(call: Call): Promise<Answer> {
  const name = call.qualified;
  const { users: _, ...drive } = call.body((value) => checkDescriptor('drive', value));
  checkNamed('drive', name, drive.name);
  checkOwner(call, 'drive', name, drive);
  await call.member(drive.network);
  const volume = await call.store.get('volume', drive.volume);
  if (volume === undefined || volume.network !== drive.network) throw notFound('volume', drive.volume);
  return call.store.transaction(ownerOf(name), async (store) => {
    const before = await store.get('drive', name);
    checkSameOwner('drive', name, drive, before);
    checkNewer('drive', name, drive, before);
    if (before === undefined) await checkRoom(store, 'drive', call.caller.name);
    return outcome(store, 'drive', name, drive, before);
  });
}

export async function deleteDrive(call: Call): Promise<Answer> {
  const name = call.qualified;
  return call.store.transaction(ownerOf(name), async (store) => {
    checkOwner(call, 'drive', name, await driveOf(store, name));
    await removeDrive(store, name);
    return { status: 200, body: {} };
  });
}

/** One's own, and those one is invited to. */
export async function drivesOf(call: Call): Promise<Answer> {
  const user = call.self();
  const drives = (await call.store.list('drive', { owner: user })).map(({ descriptor }) => descriptor);
  for (const name of await call.store.invitedTo(user)) {
    const drive = await call.store.get('drive', name);
    if (drive !== undefined) drives.push(drive);
  }
  const shown = await Promise.all(drives.slice(0, limits.hubListMax).map((drive) => shownTo(call, drive)));
  return { status: 200, body: { drives: shown } };
}

export async function getInvitations(call: Call): Promise<Answer> {
  const drive = await driveOf(call.store, call.qualified);
  checkOwner(call, 'drive', drive.name, drive);
  return { status: 200, body: { invitations: Object.fromEntries(await call.store.invitations(drive.name)) } };
}

/** By the owner: offered, whatever the status says. By the user: joined, and nothing else changes. */
export async function putInvitation(call: Call): Promise<Answer> {
  const name = call.qualified;
  const user = call.name('user');
  const asked = call.fields(invitationBody);
  return call.store.transaction(ownerOf(name), async (store) => {
    const drive = await driveOf(store, name);
    if ((await store.get('user', user)) === undefined) throw notFound('user', user);
    const known = await store.invitations(name);
    const before = known.get(user);
    const now = call.isOwner(drive) ? offered(asked, before) : joined(call, drive, user, before);
    if (before === undefined && known.size >= limits.driveUsersMax)
      throw new Refusal(413, {
        error: 'drive/limit',
        reason: `drive "${name}" has ${known.size} users, which is the limit`,
      });
    await store.setInvitation(name, user, now);
    if (before === undefined) return { status: 201, body: { result: 'created' } };
    return { status: 200, body: { result: isSame(before, now) ? 'unchanged' : 'updated' } };
  });
}

/** By the owner, or the user who does not want it. */
export async function deleteInvitation(call: Call): Promise<Answer> {
  const name = call.qualified;
  const user = call.name('user');
  return call.store.transaction(ownerOf(name), async (store) => {
    const drive = await driveOf(store, name);
    if (!call.isOwner(drive) && user !== call.caller.name) throw notYours(name);
    if (!(await store.invitations(name)).has(user)) throw notFound('invitation', `${name}: ${user}`);
    await store.setInvitation(name, user, undefined);
    return { status: 200, body: {} };
  });
}

async function driveOf(store: HubStore, name: string): Promise<DriveDescriptor> {
  const drive = await store.get('drive', name);
  if (drive === undefined) throw notFound('drive', name);
  return drive;
}

/** The owner sees all who are invited, others themselves. */
async function shownTo(call: Call, drive: DriveDescriptor): Promise<DriveDescriptor> {
  const known = await call.store.invitations(drive.name);
  const isOwner = call.isOwner(drive);
  if (!isOwner && !known.has(call.caller.name)) throw notYours(drive.name);
  const shown = [...known].filter(([user]) => isOwner || user === call.caller.name);
  return shown.length === 0 ? drive : { ...drive, users: Object.fromEntries(shown) };
}

function offered({ permissions, create_home }: DriveUser, before: DriveUser | undefined): DriveUser {
  return { permissions, status: before?.status ?? 'pending', create_home };
}

function joined(call: Call, drive: DriveDescriptor, user: string, before: DriveUser | undefined): DriveUser {
  if (user !== call.caller.name || before === undefined) throw notYours(drive.name);
  return { ...before, status: 'ok' };
}

function notYours(drive: string): Refusal {
  return forbidden('drive', drive, `drive "${drive}" is for its owner and whom he invited`);
}
