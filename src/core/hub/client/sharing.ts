// Leaving descriptors on the hub and taking them from there: push copies from home to hub, fetch from hub to home. What comes from
// the hub enters the home as any import does: verified, and never older than what is there.

import { join } from 'node:path';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import type { DescriptorContext, Imported } from '../../descriptor/context.ts';
import type { DescriptorKind, Descriptors, TreeKind, UserDescriptor } from '../../descriptor/descriptor.ts';
import { importKeyValueStore } from '../../descriptor/key-value-stores.ts';
import { userHash } from '../../descriptor/keys.ts';
import { isName } from '../../descriptor/names.ts';
import { importNetwork } from '../../descriptor/networks.ts';
import { importPassport } from '../../descriptor/passports.ts';
import { checkInput } from '../../descriptor/stream.ts';
import { getUser, importUser, userKeyPair } from '../../descriptor/users.ts';
import { importVolume } from '../../descriptor/volumes.ts';
import type { HubConnection, Outcome } from '../hub.ts';
import { makeIdentity } from '../identity.ts';
import { HubClient } from './client.ts';
import { pushIcon } from './icons.ts';
import { userPath } from './paths.ts';
import { HubRepository } from './repository.ts';

export interface Sharing {
  readonly context: DescriptorContext;
  readonly hub: HubRepository;
  /** The acting user. */
  readonly as: string;
}

/** The hub as the acting user has it: his requests are signed where his key is here. */
export async function openSharing(context: DescriptorContext, connection: HubConnection, as: string): Promise<Sharing> {
  const { repository, runtime } = context;
  const user = (await repository.has('user', as)) ? await repository.get('user', as) : undefined;
  const person = user?.private_key === undefined ? undefined : { name: as, key: userKeyPair(user) };
  return { context, as, hub: new HubRepository(new HubClient(runtime, connection, person)) };
}

/** One thing fetched, or why not. */
export interface Fetched {
  kind: DescriptorKind;
  name: string;
  result: Imported<unknown>['result'] | 'failed';
  error?: InfinitError;
  /** Users of this device whose links have the new descriptor. */
  relinked?: string[];
}

export interface PushUserOptions {
  email?: string | undefined;
  fullname?: string | undefined;
  password?: string | undefined;
  /** The private key too, sealed under the password. */
  full?: boolean | undefined;
  /** His entry in the hub's directory, whose password proves it. */
  ldapDn?: string | undefined;
  directoryPassword?: string | undefined;
  avatar?: { type: string; content: Uint8Array } | undefined;
}

/** Changes are kept here too. Throws `denied` without the private key, `exists` when the name is another's. */
export async function pushUser(
  { context, hub }: Sharing,
  name: string,
  options: PushUserOptions = {},
): Promise<Outcome> {
  const known = await getUser(context, name);
  const { email, fullname, ldapDn } = options;
  const changes = { ...(email && { email }), ...(fullname && { fullname }), ...(ldapDn && { ldap_dn: ldapDn }) };
  const user = checkInput('user', () => ({ ...known, ...changes }));
  const own = hub.as({ name: user.name, key: userKeyPair(user) });
  const outcome = await sendUser(own, user, options);
  if (Object.keys(changes).length > 0) await context.repository.put('user', user.name, user, { replace: true });
  if (options.avatar === undefined) return outcome;
  await own.client.send('PUT', userPath(user.name, 'avatar'), {
    raw: options.avatar,
    what: `pushing avatar of user "${user.name}"`,
  });
  return outcome === 'unchanged' ? 'updated' : outcome;
}

/** Puts a user with what his password gives. */
export async function sendUser(hub: HubRepository, user: UserDescriptor, options: PushUserOptions): Promise<Outcome> {
  const { password, full, directoryPassword } = options;
  checkPasswords(hub.client, options);
  if (full && password === undefined) throw new InfinitError('usage', '--full needs a password');
  const seed = full ? userKeyPair(user).seed : undefined;
  const identity =
    password === undefined ? undefined : await makeIdentity(hub.client.random, user.name, password, seed);
  return hub.send('user', user.name, user, {
    ...(identity && { identity }),
    ...(directoryPassword !== undefined && { ldap_password: directoryPassword }),
  });
}

/** The hub sees the password of the directory, and must not be able to open with it what is sealed; others must not see it at all. */
export function checkPasswords(
  client: HubClient,
  { password, directoryPassword }: { password?: string | undefined; directoryPassword?: string | undefined },
): void {
  if (directoryPassword === undefined) return;
  if (client.isExposed)
    throw new InfinitError('denied', 'the password of the directory is not sent to a hub without TLS', {
      hint: 'INFINIT_BEYOND must begin with https://',
    });
  if (directoryPassword === password)
    throw new InfinitError('usage', 'the password must be another than that of the directory, which the hub sees');
}

/**
 * Makes a user here and on the hub. The key is kept here first, so that no crash leaves a name on the hub without it; when the
 * hub refuses, or is not reached, nothing is kept.
 */
export async function signUp(
  { context, hub }: Sharing,
  user: UserDescriptor,
  options: Pick<PushUserOptions, 'password' | 'full' | 'directoryPassword'>,
): Promise<void> {
  await context.repository.put('user', user.name, user);
  const signer = { name: user.name, key: userKeyPair(user) };
  try {
    await sendUser(hub.as(signer), user, options);
  } catch (error) {
    // A request that left without an answer may have been done: the key is worth more then than a clean home.
    if (isError(error, 'unavailable') && error.data?.sent === true)
      throw new InfinitError('unavailable', error.message, {
        hint: `try again: infinit user push ${user.name}`,
        cause: error,
      });
    await context.repository.delete('user', user.name);
    throw error;
  }
}

/** From home to hub; what became of the descriptor. A drive brings its icon. */
export async function push(sharing: Sharing, kind: Exclude<DescriptorKind, 'user'>, name: string): Promise<Outcome> {
  const outcome = await sharing.hub.send(kind, name, await sharing.context.repository.get(kind, name));
  if (kind === 'drive') await pushIcon(sharing, name);
  return outcome;
}

/** Off the hub; whether it was there. */
export async function pull(
  { context, hub }: Sharing,
  kind: DescriptorKind,
  name: string,
  options: { purge?: boolean | undefined; missingOk?: boolean } = {},
): Promise<boolean> {
  const user = kind === 'user' ? await getUser(context, name) : undefined;
  const own = user === undefined ? hub : hub.as({ name, key: userKeyPair(user) });
  try {
    await own.delete(kind, name, { purge: options.purge === true });
    return true;
  } catch (error) {
    if (options.missingOk && isError(error, 'not-found')) return false;
    throw error;
  }
}

/** Makes a user known here; one that is known stays as he is. Name or `#hash`. */
export async function fetchUser({ context, hub }: Sharing, name: string, avatar: boolean): Promise<Fetched> {
  const user = await hub.get('user', name);
  const { result } = await importUser(context, JSON.stringify(user));
  if (avatar) await fetchAvatar(context, hub, user.name);
  return { kind: 'user', name: user.name, result };
}

/** Of names and hashes those nobody here has; what is neither (`@group`, a key) is left out. */
export async function fetchUnknownUsers(sharing: Sharing, users: readonly string[]): Promise<Fetched[]> {
  const fetched: Fetched[] = [];
  for (const user of users) {
    if (!isName(user) && !user.startsWith('#')) continue;
    const known = await sharing.context.repository.list('user');
    const isKnown = known.some(({ name, descriptor }) => user === name || user === userHash(descriptor.public_key));
    if (!isKnown) fetched.push(await fetchUser(sharing, user, false));
  }
  return fetched;
}

async function fetchAvatar(context: DescriptorContext, hub: HubRepository, user: string): Promise<void> {
  try {
    const what = `fetching avatar of user "${user}"`;
    const { body } = await hub.client.send('GET', userPath(user, 'avatar'), { what, open: true });
    await context.runtime.files.makeDirectory(join(context.home.cache, 'avatars'));
    await context.runtime.files.replace(join(context.home.cache, 'avatars', user), body, { mode: 0o600 });
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
  }
}

/** One by its qualified name, or all that concern the person; links of this device have it then too. */
export async function fetchNetworks(sharing: Sharing, name: string | undefined): Promise<Fetched[]> {
  return each(sharing, 'network', name, (network) => takeNetwork(sharing, network));
}

async function takeNetwork({ context }: Sharing, network: Descriptors['network']): Promise<Fetched> {
  const linked = async () =>
    (await context.repository.list('linked-network')).filter(({ descriptor }) => descriptor.name === network.name);
  const before = new Map((await linked()).map((link) => [link.name, link.descriptor.network.serial]));
  const { name, result } = await importNetwork(context, network);
  const relinked = (await linked())
    .filter((link) => before.get(link.name) !== link.descriptor.network.serial)
    .map(({ descriptor }) => descriptor.user);
  return { kind: 'network', name, result, relinked };
}

/** Volumes or key-value stores: one, those of a network, or all that concern the person. */
export async function fetchTrees(
  sharing: Sharing,
  kind: TreeKind,
  asked: { name?: string | undefined; network?: string | undefined },
): Promise<Fetched[]> {
  const take = kind === 'volume' ? importVolume : importKeyValueStore;
  return each(sharing, kind, asked.name, async (tree) => {
    if (asked.network !== undefined && tree.network !== asked.network) return undefined;
    const { name, result } = await take(sharing.context, JSON.stringify(tree));
    return { kind, name, result };
  });
}

/** One by network and user, those of a network the person owns, or those for the person. Unknown users come along. */
export async function fetchPassports(
  sharing: Sharing,
  asked: { network?: string | undefined; user?: string | undefined },
): Promise<Fetched[]> {
  const { hub, as } = sharing;
  const { network, user } = asked;
  const take = (name: string, passport: Descriptors['passport']) =>
    attempt('passport', name, () => takePassport(sharing, name, passport));
  const owned = network?.startsWith(`${as}/`) ?? false;
  if (network !== undefined && (user !== undefined || !owned)) {
    const name = `${network}/${user ?? as}`;
    return [await takePassport(sharing, name, await hub.get('passport', name))];
  }
  if (user !== undefined && user !== as)
    throw new InfinitError('usage', 'passports of others are fetched by network: give --network');
  const found = network === undefined ? await hub.list('passport') : await hub.passportsOf(network);
  const fetched: Fetched[] = [];
  for (const { name, descriptor } of found) fetched.push(await take(name, descriptor));
  return fetched;
}

async function takePassport(sharing: Sharing, name: string, passport: Descriptors['passport']): Promise<Fetched> {
  const { context, hub } = sharing;
  if (!(await context.repository.has('network', passport.network)))
    await importNetwork(context, await hub.get('network', passport.network));
  const user = name.slice(passport.network.length + 1);
  if (!(await context.repository.has('user', user))) await fetchUser(sharing, user, false);
  const { result } = await importPassport(context, JSON.stringify(passport));
  return { kind: 'passport', name, result };
}

/** The one named, whose failure is the caller's; or all listed, each with its own. */
export async function each<K extends 'network' | 'drive' | TreeKind>(
  { hub }: Sharing,
  kind: K,
  name: string | undefined,
  take: (descriptor: Descriptors[K]) => Promise<Fetched | undefined>,
): Promise<Fetched[]> {
  if (name !== undefined) {
    const fetched = await take(await hub.get(kind, name));
    return fetched === undefined ? [] : [fetched];
  }
  const all: Fetched[] = [];
  for (const { name: found, descriptor } of await hub.list(kind)) {
    const fetched = await attempt(kind, found, () => take(descriptor));
    if (fetched !== undefined) all.push(fetched);
  }
  return all;
}

async function attempt<F extends Fetched | undefined>(
  kind: DescriptorKind,
  name: string,
  task: () => Promise<F>,
): Promise<F | Fetched> {
  try {
    return await task();
  } catch (thrown) {
    const error = asError(thrown);
    if (error.kind === 'internal') throw error;
    return { kind, name, result: 'failed', error };
  }
}
