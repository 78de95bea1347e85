// Networks: create, update, list, delete, import. What binds a device to them is in `links.ts`.

import { type Bytes, toBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { type AdminChange, changedAdmins, isAdminChange } from './admins.ts';
import { canonicalJson } from './canonical.ts';
import type { DescriptorContext, Imported, Removed } from './context.ts';
import type { AdminKeys, NetworkDescriptor, UserDescriptor } from './descriptor.ts';
import { membersKeyPair, sameKey } from './keys.ts';
import { bindDevice, type Found, type Linked } from './links.ts';
import { qualify, splitQualified } from './names.ts';
import { ownerPassport } from './passports.ts';
import { removeNetwork } from './removal.ts';
import { isVersion } from './schema.ts';
import { signNetwork } from './signing.ts';
import { checkDescriptor, checkInput, parseDescriptor } from './stream.ts';
import { checkOwner, getUser, userKeyPair } from './users.ts';

/** The newest protocol version this program speaks, and the one it gives to new networks. */
export const protocolVersion = '1.0.0';

export interface CreateNetworkOptions {
  /** The acting user, who becomes the owner. */
  as: string;
  /** Bare, or `as/name`. */
  name: string;
  description?: string | undefined;
  /** Protocol version `X.Y.Z`; default the newest. */
  version?: string | undefined;
  /** Default 3. */
  replicationFactor?: number | undefined;
  /** Default 10 minutes. */
  evictionDelayMs?: number | undefined;
  consensus?: 'paxos' | 'none' | undefined;
  overlay?: 'chord' | 'kouncil' | 'kalimero' | undefined;
  peers?: readonly string[] | undefined;
  tcpHeartbeatMs?: number | undefined;
  silos?: readonly string[] | undefined;
  zone?: string | undefined;
  port?: number | undefined;
  admins?: AdminChange | undefined;
  /** Needed with silos. */
  found?: Found | undefined;
}

/** Creates the network and links this device. */
export async function createNetwork(context: DescriptorContext, options: CreateNetworkOptions): Promise<Linked> {
  const name = qualify('network', options.name, options.as);
  if (splitQualified('network', name).owner !== options.as)
    throw new InfinitError('denied', `user "${options.as}" cannot create network "${name}" of another user`);
  const user = await getUser(context, options.as);
  const pair = userKeyPair(user);
  if (await context.repository.has('network', name))
    throw new InfinitError('exists', `network "${name}" already exists`);
  const admins = await changedAdmins(context, undefined, options.admins ?? {});
  const network = checkInput('network', () => newNetwork(context, name, user, pair, options, admins));
  return bindDevice(context, {
    user,
    network,
    passport: ownerPassport(context, pair, network),
    silos: options.silos ?? [],
    zone: options.zone,
    port: options.port,
    found: options.found,
  });
}

function newNetwork(
  context: DescriptorContext,
  name: string,
  user: UserDescriptor,
  pair: KeyPair,
  options: CreateNetworkOptions,
  admins: AdminKeys | undefined,
): NetworkDescriptor {
  const salt = context.runtime.random.bytes(16);
  return signNetwork(pair, {
    name,
    ...(options.description !== undefined && { description: options.description }),
    owner: user.public_key,
    version: checkVersion(options.version ?? protocolVersion),
    serial: 1,
    consensus: {
      type: options.consensus ?? 'paxos',
      'replication-factor': options.replicationFactor ?? 3,
      'eviction-delay': options.evictionDelayMs ?? 600_000,
    },
    overlay: { type: options.overlay ?? 'chord' },
    ...(options.peers !== undefined && options.peers.length > 0 && { peers: [...options.peers] }),
    ...(options.tcpHeartbeatMs !== undefined && { 'tcp-heartbeat': options.tcpHeartbeatMs }),
    encrypt_options: { encrypt_at_rest: true, encrypt_rpc: true, validate_signatures: true },
    members_key: toBase64(membersKeyPair(pair, salt).publicKey),
    members_salt: toBase64(salt),
    founding: null,
    ...(admins !== undefined && { admin_keys: admins }),
  });
}

export interface UpdateNetworkOptions {
  as: string;
  name: string;
  /** Empty removes it. */
  description?: string | undefined;
  /** Replaces the list; empty removes it. */
  peers?: readonly string[] | undefined;
  /** Never lower than it is. */
  version?: string | undefined;
  /** Of a network that does not run: nodes choose theirs when they start. */
  overlay?: 'chord' | 'kouncil' | undefined;
  admins?: AdminChange | undefined;
  /** Of this device's link, not of the descriptor; so is the zone, which an empty one removes. */
  port?: number | undefined;
  zone?: string | undefined;
}

/** Owner only: serial + 1, signed again, linked copies refreshed. With `port` and `zone` alone the descriptor stays as it is. */
export async function updateNetwork(
  context: DescriptorContext,
  options: UpdateNetworkOptions,
): Promise<NetworkDescriptor> {
  const { as, port, zone } = options;
  let network = await getNetwork(context, as, options.name);
  const { description, peers, version, overlay } = options;
  const admins = options.admins ?? {};
  if (isAdminChange(admins) || [description, peers, version, overlay].some((change) => change !== undefined)) {
    const keys = await changedAdmins(context, network.admin_keys, admins);
    network = await reviseNetwork(context, as, network, (owner) => changed(owner, network, options, keys));
  }
  if (port !== undefined || zone !== undefined) await relink(context, `${as}/${network.name}`, { port, zone });
  return network;
}

/** What this device's node says of itself from its next start on. */
async function relink(context: DescriptorContext, name: string, change: Pick<UpdateNetworkOptions, 'port' | 'zone'>) {
  const { zone: before, ...link } = await context.repository.get('linked-network', name);
  const zone = change.zone ?? before ?? '';
  const relinked = checkInput('linked-network', () => ({
    ...link,
    ...(change.port !== undefined && { port: change.port }),
    ...(zone !== '' && { zone }),
  }));
  await context.repository.put('linked-network', name, relinked, { replace: true });
}

/** By its owner: the revised one, signed, replaces it here and in linked copies. Throws `denied` for others. */
export async function reviseNetwork(
  context: DescriptorContext,
  as: string,
  network: NetworkDescriptor,
  revise: (owner: KeyPair) => NetworkDescriptor,
): Promise<NetworkDescriptor> {
  const user = await getUser(context, as);
  if (!sameKey(user.public_key, network.owner))
    throw new InfinitError('denied', `user "${as}" does not own network "${network.name}"`);
  const revised = checkInput('network', () => revise(userKeyPair(user)));
  await context.repository.put('network', network.name, revised, { replace: true });
  await refreshLinks(context, revised);
  return revised;
}

function changed(
  owner: KeyPair,
  network: NetworkDescriptor,
  options: UpdateNetworkOptions,
  admins: AdminKeys | undefined,
): NetworkDescriptor {
  const { signature: _, admin_keys: __, description, peers, ...rest } = network;
  const newDescription = options.description ?? description ?? '';
  const newPeers = options.peers ?? peers ?? [];
  const version = checkVersion(options.version ?? network.version);
  if (compareVersions(version, network.version) < 0)
    throw new InfinitError('usage', `network "${network.name}" has version ${network.version} already`);
  return signNetwork(owner, {
    ...rest,
    version,
    overlay: { type: options.overlay ?? network.overlay.type },
    serial: network.serial + 1,
    ...(newDescription !== '' && { description: newDescription }),
    ...(newPeers.length > 0 && { peers: [...newPeers] }),
    ...(admins !== undefined && { admin_keys: admins }),
  });
}

/** `name` bare or qualified: bare is owned by `as`. */
export function getNetwork(context: DescriptorContext, as: string, name: string): Promise<NetworkDescriptor> {
  return context.repository.get('network', qualify('network', name, as));
}

/** `linked`: by the user `as`, on this device. */
export async function listNetworks(
  context: DescriptorContext,
  as: string,
): Promise<{ name: string; linked: boolean; description?: string }[]> {
  const listed = [];
  for (const { name, descriptor } of await context.repository.list('network'))
    listed.push({
      name,
      linked: await context.repository.has('linked-network', `${as}/${name}`),
      ...(descriptor.description !== undefined && { description: descriptor.description }),
    });
  return listed;
}

/** Refused while a local user is linked, unless `unlink`. `purge`: passports, key-value stores and node keys too. */
export async function deleteNetwork(
  context: DescriptorContext,
  as: string,
  name: string,
  options: { purge?: boolean; unlink?: boolean } = {},
): Promise<Removed[]> {
  const network = await getNetwork(context, as, name);
  const links = (await context.repository.list('linked-network')).filter(
    (link) => link.descriptor.name === network.name,
  );
  if (links.length > 0 && !options.unlink)
    throw new InfinitError(
      'conflict',
      `network "${network.name}" is linked on this device by ${links.map((link) => `"${link.descriptor.user}"`).join(', ')}`,
      { hint: 'unlink it first, or add --unlink' },
    );
  return removeNetwork(context, network.name, { purge: options.purge });
}

/**
 * Takes a descriptor from outside: a file, a stream, a peer. Its signature is verified, its owner compared with what is known
 * here; an older or contradicting one is refused, a newer one also refreshes linked copies.
 */
export async function importNetwork(
  context: DescriptorContext,
  source: Bytes | string | NetworkDescriptor,
): Promise<Imported<NetworkDescriptor>> {
  const descriptor =
    typeof source === 'string' || source instanceof Uint8Array
      ? parseDescriptor('network', source)
      : checkDescriptor('network', source);
  const { name } = descriptor;
  const known = (await context.repository.has('network', name))
    ? await context.repository.get('network', name)
    : undefined;
  if (known !== undefined && !sameKey(known.owner, descriptor.owner))
    throw new InfinitError('exists', `network "${name}" already exists with a different key`);
  await checkOwner(context, `network "${name}"`, splitQualified('network', name).owner, descriptor.owner);
  if (known !== undefined && canonicalJson(known).equals(canonicalJson(descriptor)))
    return { name, result: 'unchanged', descriptor };
  if (known !== undefined) checkSuccession(known, descriptor);
  await context.repository.put('network', name, descriptor, { replace: true });
  await refreshLinks(context, descriptor);
  return { name, result: known === undefined ? 'saved' : 'updated', descriptor };
}

/** Throws `conflict` unless the second may replace the first: newer, and of the same founding. */
export function checkSuccession(known: NetworkDescriptor, next: NetworkDescriptor): void {
  const conflict = (what: string) => new InfinitError('conflict', `network "${next.name}": ${what}`);
  if (known.founding !== null && next.founding !== null && known.founding.register !== next.founding.register)
    throw conflict('it was founded separately on another device');
  if (next.serial < known.serial)
    throw conflict(`serial ${next.serial} is older than serial ${known.serial} known here`);
  if (next.serial === known.serial)
    throw conflict(`two descriptors with serial ${next.serial} exist: update it once more where its owner is`);
  if (known.founding !== null && next.founding === null) throw conflict('the imported descriptor has no founding');
}

async function refreshLinks(context: DescriptorContext, network: NetworkDescriptor): Promise<void> {
  for (const { name, descriptor: link } of await context.repository.list('linked-network'))
    if (
      link.name === network.name &&
      link.network.serial < network.serial &&
      sameKey(link.network.owner, network.owner)
    )
      await context.repository.put('linked-network', name, { ...link, network }, { replace: true });
}

/** Whether the version is one this program speaks; throws `usage` when not. */
function checkVersion(version: string): string {
  if (isVersion(version) && compareVersions(version, protocolVersion) <= 0) return version;
  throw new InfinitError('usage', `invalid compatibility version ${JSON.stringify(version)}`, {
    hint: `versions are X.Y.Z, up to ${protocolVersion}`,
  });
}

/** Throws `unsupported` when its nodes speak a version that this program does not. */
export function checkSpoken({ name, version }: NetworkDescriptor): void {
  if (compareVersions(version, protocolVersion) <= 0) return;
  throw new InfinitError('unsupported', `network "${name}" has version ${version}, this is ${protocolVersion}`, {
    hint: 'install a newer infinit on this device',
  });
}

/** Negative, zero or positive, as `sort` wants it. */
export function compareVersions(a: string, b: string): number {
  const [left, right] = [a, b].map((version) => version.split('.').map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (left?.[i] ?? 0) - (right?.[i] ?? 0);
    if (difference !== 0) return difference;
  }
  return 0;
}
