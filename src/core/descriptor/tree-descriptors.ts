// What volumes and key-value stores have in common as descriptors: each names a tree in a network and is signed by its owner.
// The data is in the network; only the tree's name is here.

import { type Bytes, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported } from './context.ts';
import type { Descriptors, TreeKind } from './descriptor.ts';
import { keyToJson, sameKey } from './keys.ts';
import { qualify, splitQualified } from './names.ts';
import { checkInput, labelOf, parseDescriptor } from './stream.ts';
import { checkOwner, getUser, userKeyPair } from './users.ts';

export interface NewTree {
  /** The acting user, who becomes the owner. */
  as: string;
  name: string;
  network: string;
  description?: string | undefined;
}

/** The fields every kind has, for `sign` to complete; the result is kept. */
export async function createTreeDescriptor<K extends TreeKind>(
  context: DescriptorContext,
  kind: K,
  { as, description, ...asked }: NewTree,
  sign: (owner: KeyPair, common: Omit<Descriptors['key-value-store'], 'signature'>) => Descriptors[K],
): Promise<Descriptors[K]> {
  const name = qualify(labelOf(kind), asked.name, as);
  if (splitQualified(labelOf(kind), name).owner !== as)
    throw new InfinitError('denied', `user "${as}" cannot create ${labelOf(kind)} "${name}" of another user`);
  const pair = userKeyPair(await getUser(context, as));
  const network = await context.repository.get('network', qualify('network', asked.network, as));
  const descriptor = checkInput(kind, () =>
    sign(pair, {
      name,
      ...(description !== undefined && { description }),
      network: network.name,
      owner: keyToJson(pair.publicKey),
      tree_id: toBase64(context.runtime.random.bytes(16)),
      serial: 1,
    }),
  );
  await context.repository.put(kind, name, descriptor);
  return descriptor;
}

/** `name` bare or qualified. */
export function getTreeDescriptor<K extends TreeKind>(
  context: DescriptorContext,
  kind: K,
  as: string,
  name: string,
): Promise<Descriptors[K]> {
  return context.repository.get(kind, qualify(labelOf(kind), name, as));
}

/** All, or those on one network (qualified). */
export async function listTreeDescriptors(
  context: DescriptorContext,
  kind: TreeKind,
  network?: string,
): Promise<{ name: string; network: string; description?: string }[]> {
  return (await context.repository.list(kind))
    .filter(({ descriptor }) => network === undefined || descriptor.network === network)
    .map(({ name, descriptor }) => ({
      name,
      network: descriptor.network,
      ...(descriptor.description !== undefined && { description: descriptor.description }),
    }));
}

/** Verified; an older one than known, or one of another owner or tree, is refused. `adapt` adds what is this device's own. */
export async function importTreeDescriptor<K extends TreeKind>(
  context: DescriptorContext,
  kind: K,
  source: Bytes | string,
  adapt: (imported: Descriptors[K], known: Descriptors[K] | undefined) => Descriptors[K] = (imported) => imported,
): Promise<Imported<Descriptors[K]>> {
  const { repository } = context;
  const imported = parseDescriptor(kind, source);
  const { name } = imported;
  const what = `${labelOf(kind)} "${name}"`;
  await checkOwner(context, what, splitQualified(labelOf(kind), name).owner, imported.owner);
  const known = (await repository.has(kind, name)) ? await repository.get(kind, name) : undefined;
  const descriptor = checkInput(kind, () => adapt(imported, known));
  if (known === undefined) {
    await repository.put(kind, name, descriptor);
    return { name, result: 'saved', descriptor };
  }
  if (!sameKey(known.owner, descriptor.owner))
    throw new InfinitError('exists', `${what} already exists with a different key`);
  if (known.tree_id !== descriptor.tree_id || known.network !== descriptor.network)
    throw new InfinitError('exists', `${what} already exists and is another one of the same name`);
  if (canonicalJson(known).equals(canonicalJson(descriptor))) return { name, result: 'unchanged', descriptor };
  const isSame = known.signature === descriptor.signature;
  if (!isSame && known.serial >= descriptor.serial)
    throw new InfinitError(
      'conflict',
      `${what}: serial ${descriptor.serial} is not newer than serial ${known.serial} known here`,
    );
  await repository.put(kind, name, descriptor, { replace: true });
  return { name, result: 'updated', descriptor };
}

export async function deleteTreeDescriptor(
  context: DescriptorContext,
  kind: TreeKind,
  as: string,
  name: string,
): Promise<{ name: string }> {
  const qualified = qualify(labelOf(kind), name, as);
  await context.repository.delete(kind, qualified);
  return { name: qualified };
}
