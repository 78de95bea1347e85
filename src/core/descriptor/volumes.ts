// Volumes: create, update, list, export, import, delete descriptors. The mountpoint is a device's own: it is not signed, does not
// leave the device, and needs no owner to change.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported, Removed } from './context.ts';
import type { DefaultPermissions, MountOptionsJson, VolumeDescriptor } from './descriptor.ts';
import { keyToJson, sameKey } from './keys.ts';
import { removeAll } from './removal.ts';
import { signVolume, withoutMountpoint } from './signing.ts';
import { checkInput } from './stream.ts';
import {
  createTreeDescriptor,
  deleteTreeDescriptor,
  getTreeDescriptor,
  importTreeDescriptor,
  listTreeDescriptors,
  type NewTree,
} from './tree-descriptors.ts';
import { getUser, userKeyPair } from './users.ts';

export const defaultBlockBytes = 1024 * 1024;

export interface CreateVolumeOptions extends NewTree {
  defaultPermissions?: DefaultPermissions | undefined;
  /** Bytes; `defaultBlockBytes` when absent. */
  blockBytes?: number | undefined;
  mountOptions?: MountOptionsJson | undefined;
}

/** What the network needs to know of it is written when it is first opened, or by `volume create --create-root`. */
export function createVolume(context: DescriptorContext, options: CreateVolumeOptions): Promise<VolumeDescriptor> {
  const { defaultPermissions = '', blockBytes = defaultBlockBytes, mountOptions = {}, ...common } = options;
  return createTreeDescriptor(context, 'volume', common, (owner, fields) =>
    signVolume(owner, {
      ...fields,
      block_size: blockBytes,
      default_permissions: defaultPermissions,
      mount_options: mountOptions,
    }),
  );
}

/** `name` bare or qualified. */
export function getVolume(context: DescriptorContext, as: string, name: string): Promise<VolumeDescriptor> {
  return getTreeDescriptor(context, 'volume', as, name);
}

/** All, or those on one network (qualified). */
export function listVolumes(
  context: DescriptorContext,
  network?: string,
): Promise<{ name: string; network: string; description?: string }[]> {
  return listTreeDescriptors(context, 'volume', network);
}

export interface VolumeChanges {
  as: string;
  name: string;
  description?: string | undefined;
  blockBytes?: number | undefined;
  /** What is named replaces what is stored. */
  mountOptions?: MountOptionsJson | undefined;
}

/** Its owner changes anything, others of this device the mountpoint only. Throws `denied`. */
export async function updateVolume(context: DescriptorContext, changes: VolumeChanges): Promise<VolumeDescriptor> {
  const known = await getVolume(context, changes.as, changes.name);
  const { signature: _, ...fields } = known;
  const changed = {
    ...fields,
    ...(changes.description !== undefined && { description: changes.description }),
    block_size: changes.blockBytes ?? known.block_size,
    mount_options: { ...known.mount_options, ...changes.mountOptions },
  };
  const isSigned = canonicalJson(withoutMountpoint(changed)).equals(canonicalJson(withoutMountpoint(fields)));
  const updated = isSigned
    ? checkInput('volume', () => ({ ...known, mount_options: changed.mount_options }))
    : await resigned(context, changes.as, changed);
  await context.repository.put('volume', known.name, updated, { replace: true });
  return updated;
}

async function resigned(
  context: DescriptorContext,
  as: string,
  changed: Omit<VolumeDescriptor, 'signature'>,
): Promise<VolumeDescriptor> {
  const pair = userKeyPair(await getUser(context, as));
  if (!sameKey(keyToJson(pair.publicKey), changed.owner))
    throw new InfinitError('denied', `user "${as}" does not own volume "${changed.name}"`, {
      hint: 'others set --mountpoint only; all options can be given to `infinit volume mount`',
    });
  return checkInput('volume', () => signVolume(pair, { ...changed, serial: changed.serial + 1 }));
}

/** Verified; an older one than known, or one of another owner or tree, is refused. A mountpoint in it is not taken over. */
export function importVolume(
  context: DescriptorContext,
  source: Bytes | string,
  options: { mountpoint?: string | undefined } = {},
): Promise<Imported<VolumeDescriptor>> {
  return importTreeDescriptor(context, 'volume', source, (imported, known) => {
    const mountpoint = options.mountpoint ?? known?.mount_options.mountpoint;
    const shared = withoutMountpoint(imported);
    if (mountpoint === undefined) return shared;
    return { ...shared, mount_options: { ...shared.mount_options, mountpoint } };
  });
}

/** As others may have it. */
export async function exportVolume(context: DescriptorContext, as: string, name: string): Promise<VolumeDescriptor> {
  return withoutMountpoint(await getVolume(context, as, name));
}

/** `purge`: the drives of it too. What went, in order. */
export async function deleteVolume(
  context: DescriptorContext,
  as: string,
  name: string,
  options: { purge?: boolean } = {},
): Promise<Removed[]> {
  const volume = await getVolume(context, as, name);
  const drives = options.purge ? await removeAll(context, 'drive', (_, drive) => drive.volume === volume.name) : [];
  await deleteTreeDescriptor(context, 'volume', as, name);
  return [...drives, { kind: 'volume', name: volume.name }];
}
