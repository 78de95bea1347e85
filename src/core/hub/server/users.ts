// Users: first come, first served, and from then on whoever has the key. What a user may see of himself others may not: his
// e-mail address, his lists.

import { limits } from '../../base/limits.ts';
import type { Descriptors, UserDescriptor } from '../../descriptor/descriptor.ts';
import { sameKey } from '../../descriptor/keys.ts';
import { userBody } from '../bodies.ts';
import type { DirectoryUser, HubStore } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import { outcome } from './descriptors.ts';
import { checkLogin, directoryLock, personFor, personOf, reservedNames } from './directory.ts';
import { sendConfirmation } from './emails.ts';
import { pictureIn, pictureOf } from './pictures.ts';
import { purgeUser } from './purge.ts';
import { badRequest, conflict, forbidden, noPassword, notFound, Refusal } from './refusal.ts';

export async function getUser(call: Call): Promise<Answer> {
  const asked = call.text('user');
  const user = asked.startsWith('#') ? await byHash(call.store, asked) : await known(call.store, call.name('user'));
  const isSelf = call.maybeCaller?.name === user.name;
  const { email: _, ldap_dn: __, ...open } = user;
  return { status: 200, body: isSelf ? user : open };
}

async function byHash(store: HubStore, hash: string): Promise<UserDescriptor> {
  if (!/^#[0-9a-f]{6}$/.test(hash)) throw badRequest('a hash is # and six hexadecimal digits');
  const [found, other] = await store.usersByHash(hash);
  if (found === undefined) throw notFound('user', hash);
  if (other !== undefined) throw conflict('user', hash, `is "${found.name}" as well as "${other.name}"`);
  return found;
}

async function known(store: HubStore, name: string): Promise<UserDescriptor> {
  const user = await store.get('user', name);
  if (user === undefined) throw notFound('user', name);
  return user;
}

/** The request is signed with the key of the body: whoever takes a name has the key he names. */
export async function putUser(call: Call): Promise<Answer> {
  const name = call.name('user');
  const body = call.body(userBody);
  const { user: given, identity } = body;
  if (given.name !== name) throw badRequest(`the body is user "${given.name}"`);
  if (reservedNames.includes(name)) throw forbidden('user', name, `user name "${name}" is reserved`);
  const person = await personOf(call, body);
  let isNewEmail = false;
  const lock = call.settings.directory === undefined ? name : directoryLock;
  const answer = await call.store.transaction(lock, async (store) => {
    const before = await store.get('user', name);
    if (before !== undefined && !sameKey(before.public_key, given.public_key))
      throw conflict('user', name, 'already exists with a different key');
    const user = await withPerson(store, given, person, before);
    isNewEmail = user.email !== undefined && user.email !== before?.email;
    if (identity !== undefined) await store.setIdentity(name, identity);
    return outcome(store, 'user', name, user, before, identity !== undefined);
  });
  // A mail that cannot be sent now is asked for again by its user: the push counts all the same.
  if (isNewEmail && call.post !== undefined) await sendConfirmation(call).catch(() => {});
  return answer;
}

/** The user with what is known of his person; the proof was made before, and counts while nobody else has become that person. */
async function withPerson(
  store: HubStore,
  user: UserDescriptor,
  person: DirectoryUser | undefined,
  before: UserDescriptor | undefined,
): Promise<UserDescriptor> {
  if (person === undefined) {
    const isKept = before === undefined && (await store.directoryUser({ name: user.name })) !== undefined;
    if (isKept) throw conflict('user', user.name, 'is kept for a person of the directory');
    return before?.ldap_dn === undefined ? user : { ...user, ldap_dn: before.ldap_dn };
  }
  const { dn, name: _, ...known } = await personFor(store, user.name, person.dn, before);
  await store.setDirectoryUser({ ...known, dn, name: user.name });
  return { ...known, ...user, ldap_dn: dn };
}

/** `?purge`: all that the user owns, and the passports others gave him. */
export async function deleteUser(call: Call): Promise<Answer> {
  const name = call.self();
  return call.store.transaction(name, async (store) => {
    if (!(await store.delete('user', name))) throw notFound('user', name);
    await store.setIdentity(name, undefined);
    await store.setPairing(name, undefined);
    await store.setPicture(name, undefined);
    await store.setConfirmation(name, undefined);
    await store.forgetNodes({ user: name });
    for (const kind of ['code', 'session'] as const) await store.deleteTickets(name, kind, 0);
    if (call.flag('purge')) await purgeUser(store, name);
    return { status: 200, body: {} };
  });
}

export async function networksOf(call: Call): Promise<Answer> {
  const user = call.self();
  return { status: 200, body: { networks: (await networksWith(call, user)).slice(0, limits.hubListMax) } };
}

export async function passportsOf(call: Call): Promise<Answer> {
  const passports = await call.store.list('passport', { user: call.self() });
  return { status: 200, body: { passports: passports.map(({ descriptor }) => descriptor) } };
}

export function volumesOf(call: Call): Promise<Answer> {
  return treesOf(call, 'volume', 'volumes');
}

export function keyValueStoresOf(call: Call): Promise<Answer> {
  return treesOf(call, 'key-value-store', 'key_value_stores');
}

/** One's own, and those of networks one is in. */
async function treesOf(call: Call, kind: 'volume' | 'key-value-store', field: string): Promise<Answer> {
  const found = await treesWith(call, call.self(), kind);
  return { status: 200, body: { [field]: found.slice(0, limits.hubListMax) } };
}

export async function treesWith<K extends 'volume' | 'key-value-store'>(
  call: Call,
  user: string,
  kind: K,
): Promise<Descriptors[K][]> {
  const found = new Map((await call.store.list(kind, { owner: user })).map((kept) => [kept.name, kept.descriptor]));
  for (const network of await networksWith(call, user))
    for (const { name, descriptor } of await call.store.list(kind, { network: network.name }))
      found.set(name, descriptor);
  return [...found.values()];
}

/** Those the caller owns, then those he has a passport for. */
export async function networksWith(call: Call, user: string) {
  const networks = (await call.store.list('network', { owner: user })).map(({ descriptor }) => descriptor);
  for (const { descriptor } of await call.store.list('passport', { user })) {
    const network = await call.store.get('network', descriptor.network);
    if (network !== undefined && (await call.rightsIn(network)) !== undefined) networks.push(network);
  }
  return networks;
}

/** What the password must be stretched with; nothing of that for a person of the directory who has not taken his name yet. */
export async function loginParameters(call: Call): Promise<Answer> {
  const name = call.name('user');
  const user = await call.store.get('user', name);
  if (user === undefined) {
    if ((await call.store.directoryUser({ name })) === undefined) throw notFound('user', name);
    return { status: 200, body: { ldap: true } };
  }
  const identity = await call.store.identity(name);
  if (identity === undefined) throw noPassword(name);
  const { salt, scrypt_n } = identity;
  return { status: 200, body: { salt, scrypt_n, ...(user.ldap_dn !== undefined && { ldap: true }) } };
}

/** The request is signed with the login key: the whole identity, its private key sealed. */
export async function login(call: Call): Promise<Answer> {
  const name = call.name('user');
  const user = await known(call.store, name);
  const identity = await call.store.identity(name);
  if (identity?.sealed === undefined)
    throw new Refusal(404, {
      error: 'user/no_identity',
      reason: `the private key of user "${name}" is not on the hub: push with --full`,
      name,
    });
  await checkLogin(call, user);
  return { status: 200, body: { ...user, sealed: identity.sealed } };
}

export function getAvatar(call: Call): Promise<Answer> {
  return pictureOf(call, 'avatar', call.name('user'));
}

export async function putAvatar(call: Call): Promise<Answer> {
  const name = call.self();
  await call.store.setPicture(name, pictureIn(call, 'avatar'));
  return { status: 201, body: {} };
}

export async function deleteAvatar(call: Call): Promise<Answer> {
  await call.store.setPicture(call.self(), undefined);
  return { status: 200, body: {} };
}
