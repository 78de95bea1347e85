// Networks, passports, volumes and key-value stores: written by who owns them, with what they say verified; read by who has to do
// with them. A newer one replaces an older one, never the other way round.

import { limits } from '../../base/limits.ts';
import { canonicalJson } from '../../descriptor/canonical.ts';
import type { Descriptors, NetworkDescriptor, PassportDescriptor, TreeKind } from '../../descriptor/descriptor.ts';
import { sameKey } from '../../descriptor/keys.ts';
import { checkSuccession } from '../../descriptor/networks.ts';
import { restsOnRevoked, verifyPassport } from '../../descriptor/rights.ts';
import { withoutMountpoint } from '../../descriptor/signing.ts';
import { checkDescriptor, labelOf } from '../../descriptor/stream.ts';
import type { HubKind, HubStore } from '../hub.ts';
import type { Answer, Call } from './call.ts';
import { purgeNetwork, purgeVolume } from './purge.ts';
import { badRequest, conflict, forbidden, notFound, outdated, Refusal } from './refusal.ts';

export async function getNetwork(call: Call): Promise<Answer> {
  return { status: 200, body: (await call.member(call.qualified)).network };
}

export async function putNetwork(call: Call): Promise<Answer> {
  const name = call.qualified;
  const network = call.body((value) => checkDescriptor('network', value));
  checkNamed('network', name, network.name);
  checkOwner(call, 'network', name, network);
  return call.store.transaction(ownerOf(name), async (store) => {
    const before = await store.get('network', name);
    checkSameOwner('network', name, network, before);
    if (before !== undefined && !isSame(before, network)) checkSuccession(before, network);
    if (before === undefined) await checkRoom(store, 'network', call.caller.name);
    return outcome(store, 'network', name, network, before);
  });
}

/** `?purge`: its passports, volumes and key-value stores as well. */
export async function deleteNetwork(call: Call): Promise<Answer> {
  const name = call.qualified;
  return call.store.transaction(ownerOf(name), async (store) => {
    const network = await store.get('network', name);
    if (network === undefined) throw notFound('network', name);
    checkOwner(call, 'network', name, network);
    if (call.flag('purge')) await purgeNetwork(store, name);
    await store.forgetNodes({ network: name });
    await store.delete('network', name);
    return { status: 200, body: {} };
  });
}

/** By the name of the user each is for. */
export async function passportsOfNetwork(call: Call): Promise<Answer> {
  const network = await call.network(call.qualified);
  checkOwner(call, 'network', network.name, network);
  const passports = await call.store.list('passport', { network: network.name });
  const named = passports.map(({ name, descriptor }) => [name.slice(network.name.length + 1), descriptor]);
  return { status: 200, body: { passports: Object.fromEntries(named) } };
}

export async function getPassport(call: Call): Promise<Answer> {
  const path = await passportPath(call);
  const { name } = path;
  const passport = await call.store.get('passport', name);
  if (passport === undefined) throw notFound('passport', name);
  if (!concerns(call, path, passport))
    throw forbidden('passport', name, 'a passport is for its user and those who signed it');
  return { status: 200, body: passport };
}

/** The passport proves itself; its user, the network's owner or the delegate who signed it bring it. */
export async function putPassport(call: Call): Promise<Answer> {
  const path = await passportPath(call);
  const { name, user, network } = path;
  const passport = call.body((value) => checkDescriptor('passport', value));
  checkNamed('passport', network.name, passport.network);
  if (!concerns(call, path, passport))
    throw forbidden('passport', name, `"${call.caller.name}" did not sign that passport`);
  checkPassport(call, name, network, passport);
  return call.store.transaction(ownerOf(name), async (store) => {
    const holder = await store.get('user', user);
    if (holder === undefined) throw notFound('user', user);
    if (!sameKey(holder.public_key, passport.user))
      throw conflict('passport', name, 'is for another key than its user has');
    const before = await store.get('passport', name);
    checkNewer('passport', name, passport, before);
    if (before === undefined) await checkPassportRoom(call, store, network, user);
    return outcome(store, 'passport', name, passport, before);
  });
}

export async function deletePassport(call: Call): Promise<Answer> {
  const path = await passportPath(call);
  const { name } = path;
  return call.store.transaction(ownerOf(name), async (store) => {
    const passport = await store.get('passport', name);
    if (passport === undefined) throw notFound('passport', name);
    if (!concerns(call, path, passport))
      throw forbidden('passport', name, 'a passport is taken away by its user or those who signed it');
    await store.delete('passport', name);
    return { status: 200, body: {} };
  });
}

/** Of one network, for those who are in it. */
export async function volumesOfNetwork(call: Call): Promise<Answer> {
  const { network } = await call.member(call.qualified);
  const volumes = await call.store.list('volume', { network: network.name });
  return { status: 200, body: { volumes: volumes.map(({ descriptor }) => descriptor) } };
}

export const treeHandlers = {
  volume: handlersOf('volume'),
  'key-value-store': handlersOf('key-value-store'),
};

function handlersOf(kind: TreeKind) {
  const label = labelOf(kind);
  const get = async (call: Call): Promise<Answer> => {
    const tree = await call.store.get(kind, call.qualified);
    if (tree === undefined) throw notFound(label, call.qualified);
    if (!call.isOwner(tree)) await call.member(tree.network);
    return { status: 200, body: tree };
  };
  const put = async (call: Call): Promise<Answer> => {
    const name = call.qualified;
    const given = call.body((value) => checkDescriptor(kind, value));
    checkNamed(label, name, given.name);
    checkOwner(call, label, name, given);
    await call.member(given.network);
    const tree = 'mount_options' in given ? withoutMountpoint(given) : given;
    return call.store.transaction(ownerOf(name), async (store) => {
      const before = await store.get(kind, name);
      checkSameOwner(label, name, tree, before);
      if (before !== undefined && (before.tree_id !== tree.tree_id || before.network !== tree.network))
        throw conflict(label, name, 'already exists and is another one of the same name');
      checkNewer(label, name, tree, before);
      if (before === undefined) await checkRoom(store, kind, call.caller.name);
      return outcome(store, kind, name, tree as Descriptors[typeof kind], before);
    });
  };
  const remove = async (call: Call): Promise<Answer> => {
    const name = call.qualified;
    return call.store.transaction(ownerOf(name), async (store) => {
      const tree = await store.get(kind, name);
      if (tree === undefined) throw notFound(label, name);
      checkOwner(call, label, name, tree);
      if (kind === 'volume' && call.flag('purge')) await purgeVolume(store, tree.network, name);
      await store.delete(kind, name);
      return { status: 200, body: {} };
    });
  };
  return { get, put, remove };
}

/** Keeps it unless the very same is there; 201 when it is new. `changed`: something beside it is new. */
export async function outcome<K extends HubKind>(
  store: HubStore,
  kind: K,
  name: string,
  descriptor: Descriptors[K],
  before: Descriptors[K] | undefined,
  changed = false,
): Promise<Answer> {
  if (before !== undefined && isSame(before, descriptor))
    return { status: 200, body: { result: changed ? 'updated' : 'unchanged' } };
  await store.put(kind, name, descriptor);
  return before === undefined
    ? { status: 201, body: { result: 'created' } }
    : { status: 200, body: { result: 'updated' } };
}

/** Everything that hangs on one owner is changed one after another. */
export function ownerOf(name: string): string {
  return name.split('/', 1)[0] ?? '';
}

export function isSame(before: object, now: object): boolean {
  return canonicalJson(before).equals(canonicalJson(now));
}

interface PassportPath {
  network: NetworkDescriptor;
  user: string;
  name: string;
}

async function passportPath(call: Call): Promise<PassportPath> {
  const network = await call.network(call.qualified);
  const user = call.name('user');
  return { network, user, name: `${network.name}/${user}` };
}

/** The caller is its user, the owner of its network, or the delegate who signed it. */
function concerns(call: Call, { network, user }: PassportPath, { certifier }: PassportDescriptor): boolean {
  const isCertifier = certifier !== undefined && sameKey(certifier, call.caller.key);
  return user === call.caller.name || call.isOwner(network) || isCertifier;
}

function checkPassport(call: Call, name: string, network: NetworkDescriptor, passport: PassportDescriptor): void {
  if (sameKey(passport.user, network.owner)) throw forbidden('passport', name, 'the owner of a network needs none');
  verifyPassport(network, passport, { now: call.nowMs });
  if (restsOnRevoked(network, passport))
    throw forbidden('passport', name, `the passport is revoked by the owner of network "${network.name}"`);
}

/** Throws 402 or 413 when the network or the user has as many passports as the hub keeps. */
export async function checkPassportRoom(
  call: Call,
  store: HubStore,
  network: NetworkDescriptor,
  user: string,
): Promise<void> {
  const max = call.settings.passportsPerNetworkMax ?? limits.hubPassportsPerNetworkMax;
  if ((await store.count('passport', { network: network.name })) >= max)
    throw new Refusal(402, {
      error: 'network/passports_limit',
      reason: `network "${network.name}" has ${max} passports on this hub, which is the limit`,
      name: network.name,
    });
  if ((await store.count('passport', { user })) >= limits.hubPassportsPerUserMax)
    throw new Refusal(413, {
      error: 'user/passports_limit',
      reason: `user "${user}" has as many passports as the hub keeps`,
    });
}

export async function checkRoom(
  store: HubStore,
  kind: Exclude<HubKind, 'user' | 'passport'>,
  owner: string,
): Promise<void> {
  if ((await store.count(kind, { owner })) < limits.hubOwnedMax) return;
  const reason = `user "${owner}" has ${limits.hubOwnedMax} ${labelOf(kind)}s on this hub, which is the limit`;
  throw new Refusal(413, { error: 'user/limit', reason, name: owner });
}

export function checkNamed(object: string, path: string, body: string): void {
  if (path !== body) throw badRequest(`the body is of ${object} "${body}", the path of "${path}"`);
}

/** Names belong to users: the owner of `alice/n` is alice, by her key. */
export function checkOwner(call: Call, object: string, name: string, descriptor: { owner: { ed25519: string } }): void {
  if (ownerOf(name) !== call.caller.name || !call.isOwner(descriptor))
    throw forbidden(object, name, `user "${call.caller.name}" does not own ${object} "${name}"`);
}

export function checkSameOwner(
  object: string,
  name: string,
  now: { owner: { ed25519: string } },
  before: { owner: { ed25519: string } } | undefined,
): void {
  if (before !== undefined && !sameKey(before.owner, now.owner))
    throw conflict(object, name, 'already exists with a different key');
}

/** The very same may come again. */
export function checkNewer(
  object: string,
  name: string,
  now: { serial: number },
  before: { serial: number } | undefined,
): void {
  if (before !== undefined && !isSame(before, now) && now.serial <= before.serial)
    throw outdated(object, name, now.serial, before.serial);
}
