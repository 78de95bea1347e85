// Drives: a volume under one name with its network. Who is invited (invitations.ts) is kept beside it.

import { limits } from '../../base/limits.ts';
import type { DriveDescriptor } from '../../descriptor/descriptor.ts';
import { checkDescriptor } from '../../descriptor/stream.ts';
import type { HubStore, Picture } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import { checkNamed, checkNewer, checkOwner, checkRoom, checkSameOwner, outcome, ownerOf } from './descriptors.ts';
import { pictureIn, pictureOf } from './pictures.ts';
import { removeDrive } from './purge.ts';
import { forbidden, notFound, type Refusal } from './refusal.ts';

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

/** For whom the drive is for. */
export async function getIcon(call: Call): Promise<Answer> {
  await shownTo(call, await driveOf(call.store, call.qualified));
  return pictureOf(call, 'icon', call.qualified);
}

export function putIcon(call: Call): Promise<Answer> {
  return setIcon(call, pictureIn(call, 'icon'));
}

export function deleteIcon(call: Call): Promise<Answer> {
  return setIcon(call, undefined);
}

function setIcon(call: Call, icon: Picture | undefined): Promise<Answer> {
  const name = call.qualified;
  return call.store.transaction(ownerOf(name), async (store) => {
    checkOwner(call, 'drive', name, await driveOf(store, name));
    await store.setPicture(name, icon);
    return { status: icon === undefined ? 200 : 201, body: {} };
  });
}

/** One's own, and those one is invited to. */
export async function drivesOf(call: Call): Promise<Answer> {
  return { status: 200, body: { drives: await drivesWith(call, call.self()) } };
}

export async function drivesWith(call: Call, user: string): Promise<DriveDescriptor[]> {
  const drives = (await call.store.list('drive', { owner: user })).map(({ descriptor }) => descriptor);
  for (const name of await call.store.invitedTo(user)) {
    const drive = await call.store.get('drive', name);
    if (drive !== undefined) drives.push(drive);
  }
  return Promise.all(drives.slice(0, limits.hubListMax).map((drive) => shownTo(call, drive)));
}

export async function driveOf(store: HubStore, name: string): Promise<DriveDescriptor> {
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

export function notYours(drive: string): Refusal {
  return forbidden('drive', drive, `drive "${drive}" is for its owner and whom he invited`);
}
