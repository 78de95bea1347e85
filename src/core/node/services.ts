// Services: volumes and key-value stores whose descriptors their owners keep in the network itself, for who has no hub. Each is a
// register of the owner's, named by an entry of the network register under a hash of its tree's id; sealed to the members key, so
// that storage nodes see neither name nor options, and only who has a passport does. It goes with its tree.

import { type Bytes, equalBytes, fromBase64, toHex, utf8 } from '../base/bytes.ts';
import { bytes, decode, encode, oneOf, struct, u8 } from '../base/codec.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { registerAddress } from '../block/address.ts';
import { accessInClear, registerState } from '../block/register.ts';
import { labelledHash } from '../crypto/hash.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { openWithBoxKey, sealToBoxKey } from '../crypto/sealed-box.ts';
import { type Descriptors, type TreeKind, treeKinds } from '../descriptor/descriptor.ts';
import { keyFromJson, sameKey } from '../descriptor/keys.ts';
import { withoutMountpoint } from '../descriptor/signing.ts';
import { labelOf, parseDescriptor } from '../descriptor/stream.ts';
import { entryName, type TreeEntry, verifyTreeEntry } from '../store/tree-entries.ts';
import { treeIdBytes } from '../tree/root.ts';
import type { LinkedNode } from './link.ts';
import type { Node } from './node.ts';
import { membersPair, placementOf } from './trees.ts';

const format = 1;
const readsAtOnce = 16;
const record = struct({ format: u8, kind: oneOf(treeKinds), descriptor: bytes(limits.serviceBytesMax) });
const oneTimeBytes = 32;
const saltBytes = 32;

/** A service as its owner signed it. */
export type Service = { [K in TreeKind]: { kind: K; descriptor: Descriptors[K] } }[TreeKind];

type ServiceNode = Pick<LinkedNode, 'node' | 'user' | 'link'>;

/**
 * Keeps the descriptor in the network, in place of an older one of the tree; the tree has its root there already. Throws `denied`
 * for who does not own it, `full` above `limits.serviceBytesMax` or the number of trees one may have.
 */
export async function registerService(linked: ServiceNode, service: Service, options: Abortable = {}): Promise<void> {
  const { node, user } = linked;
  checkOwns(service, user);
  const { tree_id, name } = service.descriptor;
  const what = `${labelOf(service.kind)} "${name}"`;
  const treeId = fromBase64(tree_id);
  const register = foundedRegister(node);
  if ((await register.findTree(treeId, user.publicKey, options)) === undefined)
    throw new InfinitError('not-found', `${what} has no root in its network yet`);
  const payload = sealedService(node, service);
  const id = serviceId(treeId);
  const known = await register.findTree(id, user.publicKey, options);
  if (known === undefined) return createService(node, user, { id, payload }, options);
  const standing = await node.registers.read(known, options);
  if (isSame(linked, standing.payload, service)) return;
  await node.registers.write(known, user, () => payload, options);
}

/** Throws `denied` unless the user may register it. */
export function checkOwns({ kind, descriptor: { owner, name } }: Service, user: KeyPair): void {
  if (!equalBytes(keyFromJson(owner), user.publicKey))
    throw new InfinitError('denied', `only its owner registers ${labelOf(kind)} "${name}" in its network`);
}

/** All that are registered, in the order of their trees; what is not what its owner signed is left out, and told by `refused`. */
export async function registeredServices(
  linked: ServiceNode,
  refused: (reason: string) => void,
  options: Abortable = {},
): Promise<Service[]> {
  const { trees } = await foundedRegister(linked.node).read(options);
  const entries = new Map(trees.map((entry) => [entryName(entry), entry]));
  const found = trees.flatMap(({ treeId, owner }) => {
    const entry = entries.get(entryName({ treeId: serviceId(treeId), owner }));
    return entry === undefined ? [] : { treeId, entry };
  });
  const services: Service[] = [];
  for (let at = 0; at < found.length; at += readsAtOnce) {
    const some = found.slice(at, at + readsAtOnce);
    const read = await Promise.allSettled(some.map(({ treeId, entry }) => readService(linked, treeId, entry, options)));
    for (const result of read) {
      if (result.status === 'fulfilled') services.push(result.value);
      else if (isError(result.reason, 'cancelled') || !isError(result.reason)) throw result.reason;
      else refused(result.reason.message);
    }
  }
  return services;
}

/** Nothing is registered for the tree any more; repeatable. For its owner, before the tree itself goes. */
export async function withdrawService(
  { node, user }: Pick<ServiceNode, 'node' | 'user'>,
  treeId: Bytes,
  options: Abortable = {},
): Promise<void> {
  const register = foundedRegister(node);
  const id = serviceId(treeId);
  if ((await register.destroyedRoot(id, user.publicKey, options)) !== undefined) return;
  const root = await register.findTree(id, user.publicKey, options);
  if (root === undefined) return;
  const snapshot = await node.registers.read(root, options);
  if (!snapshot.deleted) await node.registers.delete(root, user, options);
  const { salt } = decode(registerState, snapshot.proof).genesis;
  await register.destroyTree(user, id, salt, options);
}

async function createService(
  node: Node,
  owner: KeyPair,
  { id, payload }: { id: Bytes; payload: Bytes },
  options: Abortable,
): Promise<void> {
  const salt = node.runtime.random.bytes(saltBytes);
  const address = registerAddress(owner.publicKey, salt);
  const members = await placementOf(node, address, options);
  const access = accessInClear(owner.publicKey);
  await node.registers.create({ owner, salt, members, access, payload }, options);
  const standing = await foundedRegister(node).addTree(owner, id, address, options);
  if (equalBytes(standing, address)) return;
  await node.registers.delete(address, owner, options);
  await node.registers.write(standing, owner, () => payload, options);
}

async function readService(linked: ServiceNode, treeId: Bytes, entry: TreeEntry, options: Abortable): Promise<Service> {
  const { node } = linked;
  const what = `what is registered for tree #${toHex(treeId).slice(0, 8)}`;
  if (!verifyTreeEntry(node.networkId, entry)) throw new InfinitError('corrupt', `${what} lacks its owner's signature`);
  const { payload, deleted } = await node.registers.read(entry.root, options);
  if (deleted) throw new InfinitError('not-found', `${what} is deleted`);
  const service = named(what, () => openedService(linked, payload));
  const { descriptor } = service;
  const isIts = equalBytes(fromBase64(descriptor.tree_id), treeId);
  if (!isIts || !equalBytes(keyFromJson(descriptor.owner), entry.owner) || descriptor.network !== node.network().name)
    throw new InfinitError('corrupt', `${what} is the descriptor of something else`);
  return service;
}

function named<T>(what: string, task: () => T): T {
  try {
    return task();
  } catch (cause) {
    const { kind, message } = asError(cause);
    throw new InfinitError(kind, `${what}: ${message}`, { cause });
  }
}

function sealedService(node: Node, { kind, descriptor }: Service): Buffer {
  const shared = 'mount_options' in descriptor ? withoutMountpoint(descriptor) : descriptor;
  const text = utf8(JSON.stringify(shared));
  if (text.length > limits.serviceBytesMax)
    throw new InfinitError('full', `a registered descriptor has at most ${limits.serviceBytesMax} bytes`);
  const plain = encode(record, { format, kind, descriptor: text });
  return sealToBoxKey(fromBase64(node.network().members_key), plain, node.runtime.random.bytes(oneTimeBytes));
}

/** Verified. Throws `corrupt`, `unsupported`. */
function openedService(linked: ServiceNode, payload: Bytes): Service {
  const plain = openWithBoxKey(membersPair(linked), payload);
  if (plain[0] !== format) throw new InfinitError('unsupported', `a registered service has format ${plain[0]}`);
  const { kind, descriptor } = decode(record, plain);
  return { kind, descriptor: parseDescriptor(kind, descriptor) } as Service;
}

function isSame(linked: ServiceNode, payload: Bytes, { kind, descriptor }: Service): boolean {
  try {
    const standing = openedService(linked, payload);
    const { signature, owner } = standing.descriptor;
    return standing.kind === kind && signature === descriptor.signature && sameKey(owner, descriptor.owner);
  } catch (error) {
    if (isError(error, 'corrupt', 'unsupported')) return false;
    throw error;
  }
}

function serviceId(treeId: Bytes): Buffer {
  return labelledHash('service', treeId).subarray(0, treeIdBytes);
}

function foundedRegister({ networkRegister }: Node) {
  if (networkRegister !== undefined) return networkRegister;
  throw new InfinitError('not-found', 'the network is not founded yet', {
    hint: 'its owner founds it with `infinit network link NAME --silo SILO` and exports it again',
  });
}
