// Taking descriptors away, with what hangs on them: links, passports, volumes, key-value stores, caches, node keys.

import { join } from 'node:path';
import { InfinitError, isError } from '../base/errors.ts';
import type { DescriptorContext, Removed } from './context.ts';
import { type DescriptorKind, type Descriptors, type Home, treeKinds } from './descriptor.ts';
import { forgetIcon } from './icons.ts';
import { removeNodeKeys } from './node-keys.ts';

/** What a device keeps of a network's data for a user and can fetch again; removed with the link. */
export function networkCacheDirectory(home: Home, user: string, network: string): string {
  return join(home.cache, 'networks', user, network);
}

/** Throws `exists` while a process of this device is the network's storage node. */
export async function refuseWhileRunning(context: DescriptorContext, network: string): Promise<void> {
  const path = nodeLockPath(context.home, network);
  if ((await context.runtime.files.stat(path)) === undefined) return;
  try {
    const lock = await context.runtime.files.lock(path);
    await lock.release();
  } catch (error) {
    if (!isError(error, 'exists')) throw error;
    throw new InfinitError('exists', `network "${network}" is running on this device${holderOf(error)}`, {
      hint: 'stop it first',
      cause: error,
    });
  }
}

/** Who has the lock that was refused, for messages; nothing when that is not known. */
export function holderOf({ data }: InfinitError): string {
  return data?.pid === undefined ? '' : ` (pid ${data.pid})`;
}

/** Held by the one process that is this device's storage node of the network. */
export function nodeLockPath(home: Home, network: string): string {
  return join(home.state, network, 'node.lock');
}

/** The node's key stays, so that the identity can be taken up again. */
export async function removeLink(context: DescriptorContext, user: string, network: string): Promise<Removed> {
  const name = `${user}/${network}`;
  await refuseWhileRunning(context, network);
  await context.repository.delete('linked-network', name);
  await context.runtime.files.remove(networkCacheDirectory(context.home, user, network));
  return { kind: 'linked-network', name };
}

/** Links of any local user first, then (`purge`) what belongs to the network, then the network. */
export async function removeNetwork(
  context: DescriptorContext,
  network: string,
  options: { purge?: boolean | undefined } = {},
): Promise<Removed[]> {
  const removed = await removeLinks(context, (link) => link.name === network);
  if (options.purge) {
    removed.push(...(await removeAll(context, 'passport', (_, passport) => passport.network === network)));
    for (const kind of [...treeKinds, 'drive'] as const)
      removed.push(...(await removeAll(context, kind, (_, { network: of }) => of === network)));
    await removeNodeKeys(context, network);
  }
  await context.repository.delete('network', network);
  removed.push({ kind: 'network', name: network });
  return removed;
}

export async function removeLinks(
  context: DescriptorContext,
  matches: (link: Descriptors['linked-network']) => boolean,
): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const { descriptor } of await context.repository.list('linked-network'))
    if (matches(descriptor)) removed.push(await removeLink(context, descriptor.user, descriptor.name));
  return removed;
}

/** All of a kind that match. */
export async function removeAll<K extends DescriptorKind>(
  context: DescriptorContext,
  kind: K,
  matches: (name: string, descriptor: Descriptors[K]) => boolean,
): Promise<Removed[]> {
  const removed: Removed[] = [];
  for (const { name, descriptor } of await context.repository.list(kind)) {
    if (!matches(name, descriptor)) continue;
    await context.repository.delete(kind, name);
    if (kind === 'drive') await forgetIcon(context, name);
    removed.push({ kind, name });
  }
  return removed;
}
