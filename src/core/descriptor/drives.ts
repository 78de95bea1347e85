// Drives: create, list, export, import, invite, delete. A drive is a volume under one name with its network and who is invited: what a
// person joins. It gives no rights by itself; passports do.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported } from './context.ts';
import type { DriveDescriptor, DriveUser } from './descriptor.ts';
import { forgetIcon } from './icons.ts';
import { sameKey } from './keys.ts';
import { isName, qualify, splitQualified } from './names.ts';
import { signDrive } from './signing.ts';
import { checkInput, parseDescriptor } from './stream.ts';
import { checkOwner, getUser, userKeyPair } from './users.ts';
import { getVolume } from './volumes.ts';

export interface CreateDriveOptions {
  /** The acting user, who becomes the owner. */
  as: string;
  name: string;
  network: string;
  volume: string;
  description?: string | undefined;
}

/** The volume must be known here, and be of that network. */
export async function createDrive(context: DescriptorContext, options: CreateDriveOptions): Promise<DriveDescriptor> {
  const { as, description } = options;
  const name = qualify('drive', options.name, as);
  if (splitQualified('drive', name).owner !== as)
    throw new InfinitError('denied', `user "${as}" cannot create drive "${name}" of another user`);
  const user = await getUser(context, as);
  const network = qualify('network', options.network, as);
  const volume = await getVolume(context, as, options.volume);
  if (volume.network !== network)
    throw new InfinitError('usage', `volume "${volume.name}" is of network "${volume.network}", not "${network}"`);
  const pair = userKeyPair(user);
  const drive = checkInput('drive', () =>
    signDrive(pair, {
      name,
      ...(description !== undefined && { description }),
      network,
      volume: volume.name,
      owner: user.public_key,
      serial: 1,
    }),
  );
  await context.repository.put('drive', name, drive);
  return drive;
}

/** `name` bare or qualified. */
export function getDrive(context: DescriptorContext, as: string, name: string): Promise<DriveDescriptor> {
  return context.repository.get('drive', qualify('drive', name, as));
}

/** `status`: of the user `as`; his own drives are `ok`. */
export async function listDrives(
  context: DescriptorContext,
  as: string,
): Promise<{ name: string; status: DriveUser['status']; description?: string }[]> {
  return (await context.repository.list('drive')).map(({ name, descriptor }) => ({
    name,
    status: isOwnName(as, name) ? 'ok' : (usersOf(descriptor).get(as)?.status ?? 'pending'),
    ...(descriptor.description !== undefined && { description: descriptor.description }),
  }));
}

/**
 * Verified; an older one than known, or one of another owner or volume, is refused. Who is invited is as it says, over what is known;
 * but addresses it does not name are somebody's by now, or taken back.
 */
export async function importDrive(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<DriveDescriptor>> {
  const { repository } = context;
  const imported = parseDescriptor('drive', source);
  const { name } = imported;
  await checkOwner(context, `drive "${name}"`, splitQualified('drive', name).owner, imported.owner);
  if (!(await repository.has('drive', name))) {
    await repository.put('drive', name, imported);
    return { name, result: 'saved', descriptor: imported };
  }
  const known = await repository.get('drive', name);
  if (!sameKey(known.owner, imported.owner))
    throw new InfinitError('exists', `drive "${name}" already exists with a different key`);
  if (known.serial > imported.serial)
    throw new InfinitError(
      'conflict',
      `drive "${name}": serial ${imported.serial} is older than serial ${known.serial} known here`,
    );
  const descriptor = withUsers(imported, [
    ...[...usersOf(known)].filter(([user]) => isName(user)),
    ...usersOf(imported),
  ]);
  if (canonicalJson(known).equals(canonicalJson(descriptor))) return { name, result: 'unchanged', descriptor };
  await repository.put('drive', name, descriptor, { replace: true });
  return { name, result: 'updated', descriptor };
}

/** Notes here who is invited, or has joined; throws `full` when there are too many. */
export async function noteDriveUser(
  context: DescriptorContext,
  drive: DriveDescriptor,
  user: string,
  change: DriveUser,
): Promise<DriveDescriptor> {
  const noted = checkInput('drive', () => withUsers(drive, [...usersOf(drive), [user, change]]));
  await context.repository.put('drive', drive.name, noted, { replace: true });
  return noted;
}

export async function deleteDrive(context: DescriptorContext, as: string, name: string): Promise<{ name: string }> {
  const qualified = qualify('drive', name, as);
  await context.repository.delete('drive', qualified);
  await forgetIcon(context, qualified);
  return { name: qualified };
}

/** Later entries win. */
function withUsers(drive: DriveDescriptor, users: readonly (readonly [string, DriveUser])[]): DriveDescriptor {
  const { users: _, ...rest } = drive;
  return users.length === 0 ? rest : { ...rest, users: Object.fromEntries(new Map(users)) };
}

export function usersOf({ users }: DriveDescriptor): Map<string, DriveUser> {
  return new Map(Object.entries(users ?? {}));
}

function isOwnName(user: string, qualified: string): boolean {
  return qualified.startsWith(`${user}/`);
}
