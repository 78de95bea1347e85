// Key-value stores: create, list, import, delete descriptors. The data is in the network; only its tree's name is here.

import { type Bytes, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported } from './context.ts';
import type { KeyValueStoreDescriptor } from './descriptor.ts';
import { sameKey } from './keys.ts';
import { qualify, splitQualified } from './names.ts';
import { signKeyValueStore } from './signing.ts';
import { checkInput, parseDescriptor } from './stream.ts';
import { checkOwner, getUser, userKeyPair } from './users.ts';

export interface CreateKeyValueStoreOptions {
  /** The acting user, who becomes the owner. */
  as: string;
  name: string;
  network: string;
  description?: string | undefined;
}

export async function createKeyValueStore(
  context: DescriptorContext,
  options: CreateKeyValueStoreOptions,
): Promise<KeyValueStoreDescriptor> {
  const name = qualify('key-value store', options.name, options.as);
  if (splitQualified('key-value store', name).owner !== options.as)
    throw new InfinitError('denied', `user "${options.as}" cannot create key-value store "${name}" of another user`);
  const user = await getUser(context, options.as);
  const pair = userKeyPair(user);
  const network = await context.repository.get('network', qualify('network', options.network, options.as));
  const store = checkInput('key-value-store', () =>
    signKeyValueStore(pair, {
      name,
      ...(options.description !== undefined && { description: options.description }),
      network: network.name,
      owner: user.public_key,
      tree_id: toBase64(context.runtime.random.bytes(16)),
      serial: 1,
    }),
  );
  await context.repository.put('key-value-store', name, store);
  return store;
}

/** `name` bare or qualified. */
export function getKeyValueStore(
  context: DescriptorContext,
  as: string,
  name: string,
): Promise<KeyValueStoreDescriptor> {
  return context.repository.get('key-value-store', qualify('key-value store', name, as));
}

/** All, or those on one network (qualified). */
export async function listKeyValueStores(
  context: DescriptorContext,
  network?: string,
): Promise<{ name: string; network: string; description?: string }[]> {
  return (await context.repository.list('key-value-store'))
    .filter(({ descriptor }) => network === undefined || descriptor.network === network)
    .map(({ name, descriptor }) => ({
      name,
      network: descriptor.network,
      ...(descriptor.description !== undefined && { description: descriptor.description }),
    }));
}

/** Verified; an older one than known, or one of another owner or tree, is refused. */
export async function importKeyValueStore(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<KeyValueStoreDescriptor>> {
  const descriptor = parseDescriptor('key-value-store', source);
  const { name } = descriptor;
  const what = `key-value store "${name}"`;
  await checkOwner(context, what, splitQualified('key-value store', name).owner, descriptor.owner);
  if (!(await context.repository.has('key-value-store', name))) {
    await context.repository.put('key-value-store', name, descriptor);
    return { name, result: 'saved', descriptor };
  }
  const known = await context.repository.get('key-value-store', name);
  if (!sameKey(known.owner, descriptor.owner))
    throw new InfinitError('exists', `${what} already exists with a different key`);
  if (known.tree_id !== descriptor.tree_id || known.network !== descriptor.network)
    throw new InfinitError('exists', `${what} already exists and is another one of the same name`);
  if (canonicalJson(known).equals(canonicalJson(descriptor))) return { name, result: 'unchanged', descriptor };
  if (known.serial >= descriptor.serial)
    throw new InfinitError(
      'conflict',
      `${what}: serial ${descriptor.serial} is not newer than serial ${known.serial} known here`,
    );
  await context.repository.put('key-value-store', name, descriptor, { replace: true });
  return { name, result: 'updated', descriptor };
}

export async function deleteKeyValueStore(
  context: DescriptorContext,
  as: string,
  name: string,
): Promise<{ name: string }> {
  const qualified = qualify('key-value store', name, as);
  await context.repository.delete('key-value-store', qualified);
  return { name: qualified };
}
