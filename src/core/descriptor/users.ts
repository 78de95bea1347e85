// Users on this device: create, list, export, import, delete, and their keys.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { type KeyPair, keyPairFromSeed, seedBytes } from '../crypto/keys.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported, Removed } from './context.ts';
import { type PublicKeyJson, treeKinds, type UserDescriptor } from './descriptor.ts';
import { keyFromJson, keyToJson, sameKey, userHash } from './keys.ts';
import { checkName } from './names.ts';
import { removeAll, removeLinks, removeNetwork } from './removal.ts';
import { checkInput, parseDescriptor } from './stream.ts';

export interface CreateUserOptions {
  name: string;
  description?: string | undefined;
  email?: string | undefined;
  fullname?: string | undefined;
  ldapDn?: string | undefined;
  /** 32-byte seed of an imported key (`importKey`); drawn when absent. */
  seed?: Bytes | undefined;
}

export async function createUser(context: DescriptorContext, options: CreateUserOptions): Promise<UserDescriptor> {
  const user = newUser(context, options);
  await context.repository.put('user', user.name, user);
  return user;
}

/** Not kept yet. */
export function newUser(context: DescriptorContext, options: CreateUserOptions): UserDescriptor {
  const name = checkName('user', options.name);
  const pair = keyPairFromSeed(options.seed ?? context.runtime.random.bytes(seedBytes));
  return checkInput('user', () => ({
    name,
    ...(options.email !== undefined && { email: options.email }),
    ...(options.fullname !== undefined && { fullname: options.fullname }),
    ...(options.description !== undefined && { description: options.description }),
    ...(options.ldapDn !== undefined && { ldap_dn: options.ldapDn }),
    public_key: keyToJson(pair.publicKey),
    private_key: keyToJson(pair.seed),
  }));
}

/** By name, or by short hash `#a1b2c3`. */
export async function getUser(context: DescriptorContext, name: string): Promise<UserDescriptor> {
  if (!name.startsWith('#')) return context.repository.get('user', checkName('user', name));
  const users = (await context.repository.list('user')).map(({ descriptor }) => descriptor);
  const [found, other] = users.filter((user) => userHash(user.public_key) === name);
  if (found === undefined) throw new InfinitError('not-found', `user "${name}" does not exist`);
  if (other !== undefined && !sameKey(found.public_key, other.public_key))
    throw new InfinitError('usage', `"${name}" is the hash of users "${found.name}" and "${other.name}"`);
  return found;
}

export async function listUsers(
  context: DescriptorContext,
): Promise<{ name: string; has_private_key: boolean; description?: string }[]> {
  return (await context.repository.list('user')).map(({ descriptor }) => ({
    name: descriptor.name,
    has_private_key: descriptor.private_key !== undefined,
    ...(descriptor.description !== undefined && { description: descriptor.description }),
  }));
}

/** Without the private key, unless `full`. */
export async function exportUser(
  context: DescriptorContext,
  name: string,
  options: { full?: boolean } = {},
): Promise<UserDescriptor> {
  const user = await getUser(context, name);
  if (options.full) {
    userKeyPair(user);
    return user;
  }
  const { private_key: _, ...open } = user;
  return open;
}

/**
 * Adds what is missing here to a known user, private key included; what is known already stays, a private key above all.
 * Throws `exists` when the name has another key here.
 */
export async function importUser(
  context: DescriptorContext,
  source: Bytes | string,
): Promise<Imported<UserDescriptor>> {
  const imported = parseDescriptor('user', source);
  const { name } = imported;
  if (!(await context.repository.has('user', name))) {
    await context.repository.put('user', name, imported);
    return { name, result: 'saved', descriptor: imported };
  }
  const known = await context.repository.get('user', name);
  if (!sameKey(known.public_key, imported.public_key))
    throw new InfinitError('exists', `user "${name}" already exists with a different key`);
  const descriptor = { ...imported, ...known };
  if (canonicalJson(descriptor).equals(canonicalJson(known))) return { name, result: 'unchanged', descriptor };
  await context.repository.put('user', name, descriptor, { replace: true });
  return { name, result: 'updated', descriptor };
}

/** `purge`: networks, volumes, key-value stores, passports and links of the user too. */
export async function deleteUser(
  context: DescriptorContext,
  name: string,
  options: { purge?: boolean } = {},
): Promise<Removed[]> {
  const user = await getUser(context, name);
  const removed: Removed[] = [];
  if (options.purge) {
    const isOwn = (qualified: string) => qualified.startsWith(`${user.name}/`);
    removed.push(...(await removeLinks(context, (link) => link.user === user.name)));
    for (const { name: network } of await context.repository.list('network'))
      if (isOwn(network)) removed.push(...(await removeNetwork(context, network, { purge: true })));
    for (const kind of [...treeKinds, 'drive'] as const) removed.push(...(await removeAll(context, kind, isOwn)));
    removed.push(...(await removeAll(context, 'passport', (passport) => passport.endsWith(`/${user.name}`))));
  }
  await context.repository.delete('user', user.name);
  removed.push({ kind: 'user', name: user.name });
  return removed;
}

/** Throws `denied` when only the public half is here. */
export function userKeyPair(user: UserDescriptor): KeyPair {
  if (user.private_key === undefined)
    throw new InfinitError('denied', `user "${user.name}" has no private key on this device`);
  return keyPairFromSeed(keyFromJson(user.private_key));
}

export async function findUserByKey(
  context: DescriptorContext,
  key: PublicKeyJson,
): Promise<UserDescriptor | undefined> {
  return (await context.repository.list('user')).find(({ descriptor }) => sameKey(descriptor.public_key, key))
    ?.descriptor;
}

/** Throws `denied` when the user known here by that name has another key: the descriptor is not that user's. */
export async function checkOwner(
  context: DescriptorContext,
  what: string,
  owner: string,
  key: PublicKeyJson,
): Promise<void> {
  if (!(await context.repository.has('user', owner))) return;
  const user = await context.repository.get('user', owner);
  if (!sameKey(user.public_key, key))
    throw new InfinitError(
      'denied',
      `${what} is signed by ${userHash(key)}, but user "${owner}" is ${userHash(user.public_key)} on this device`,
    );
}
