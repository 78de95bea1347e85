// From the descriptor of a volume or a key-value store to its open tree: finds the root in the network register, or makes it when
// the acting user owns the tree and it has none yet (docs/protocols.md 2.10). Whom the whole network may be is in the root's
// access list: a world-readable tree is sealed to the members key, which every passport carries.

import { type Bytes, equalBytes, fromBase64 } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { type Address, type Member, registerAddress } from '../block/address.ts';
import type { AccessList } from '../block/register.ts';
import { boxKeyPair, openSealed } from '../crypto/sealed-box.ts';
import { adminsOf } from '../descriptor/admins.ts';
import type { Descriptors, KeyValueStoreDescriptor, TreeKind } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { labelOf } from '../descriptor/stream.ts';
import { Worker } from '../store/worker.ts';
import { mayWrite, openSecret } from '../tree/access.ts';
import { TreeDirectory } from '../tree/directory.ts';
import { openTree } from '../tree/engine.ts';
import { createTreeRoot, deriveTreeKeys, nameKeyOf, openRootBody, readHeader } from '../tree/root.ts';
import type { Effect, Tree, TreeView } from '../tree/tree.ts';
import { openKeyStore } from '../volume/key-store.ts';
import { keyView } from '../volume/key-view.ts';
import type { KeyStore } from '../volume/keys.ts';
import type { LinkedNode } from './link.ts';
import type { Node } from './node.ts';
import type { People } from './sharing/people.ts';

export interface OpenStore {
  tree: Tree;
  keys: KeyStore;
}

export interface OpeningOptions extends Abortable {
  /** A long-lived process, which leads when nobody does. */
  door: boolean;
  cacheBytesMax?: number | undefined;
  /** Plain bytes of a chunk. */
  chunkBytesMax?: number | undefined;
  /** Asked for; a tree that may not be written is read-only anyway. */
  readOnly?: boolean | undefined;
  /** Whom names stand for. */
  people?: People | undefined;
  /** Told, and waited for, before another client's operation is answered by the leader that runs here. */
  onForwarded?: ((effects: readonly Effect[]) => Promise<void>) | undefined;
}

/** What is asked of the network's trees besides opening one. */
export interface Described<K extends TreeKind> {
  kind: K;
  descriptor: Descriptors[K];
  /** `nameKey`: what names are hashed with. */
  view: (nameKey: Bytes) => TreeView;
  /** What every passport holder may do from the root on. */
  world: { read: boolean; write: boolean };
}

/** How often it is seen whether a cycle is due. */
const garbagePeriodMs = 30_000;
/** And whether something is to be sealed anew. */
const resealingPeriodMs = 5000;

const directories = new WeakMap<Node, TreeDirectory>();

function directoryOf(node: Node): TreeDirectory {
  const known = directories.get(node);
  if (known) return known;
  const made = new TreeDirectory(node.peers);
  directories.set(node, made);
  return made;
}

/** Opens the store's tree on a running node. */
export async function openKeyValueStore(
  linked: LinkedNode,
  store: KeyValueStoreDescriptor,
  options: OpeningOptions,
): Promise<OpenStore> {
  const world = { read: false, write: false };
  const described = { kind: 'key-value-store', descriptor: store, view: () => keyView, world } as const;
  const { tree } = await openDescribedTree(linked, described, options);
  return { tree, keys: openKeyStore(tree) };
}

export interface OpenedTree {
  tree: Tree;
  readOnly: boolean;
  /** What names are hashed with. */
  nameKey: Bytes;
}

/** Started. Throws `denied` when the acting user is not among the readers, `not-found` when there is no root and it is not his. */
export async function openDescribedTree<K extends TreeKind>(
  linked: LinkedNode,
  described: Described<K>,
  options: OpeningOptions,
): Promise<OpenedTree> {
  const { node } = linked;
  const treeId = fromBase64(described.descriptor.tree_id);
  const rootAddress = await rootOf(linked, described, treeId, options);
  const gone = destroyedError(described);
  const { view } = described;
  const secretOf = (access: AccessList) => secretIn(linked, described, access);
  const opened = await openTreeAt(linked, { treeId, rootAddress, view, secretOf, gone }, options);
  node.dependsOn(rootAddress, gone);
  return opened;
}

/** A tree, and how it is found and opened. */
export interface TreeAt {
  treeId: Bytes;
  rootAddress: Address;
  view: (nameKey: Bytes) => TreeView;
  /** Its secret, by a list. Throws `denied`. */
  secretOf: (access: AccessList) => Bytes;
  /** Whose it has to be. */
  owner?: Bytes | undefined;
  /** Thrown when its root was deleted. */
  gone: InfinitError;
}

/** Started. Throws `denied` when the acting user is not among the readers, or it is another's than it has to be. */
export async function openTreeAt(
  linked: LinkedNode,
  { treeId, rootAddress, view, secretOf, owner, gone }: TreeAt,
  options: OpeningOptions,
): Promise<OpenedTree> {
  const { node, user } = linked;
  const root = await node.registers.read(rootAddress, options);
  if (root.deleted) throw gone;
  if (owner !== undefined && !equalBytes(root.access.owner, owner))
    throw new InfinitError('denied', 'a name leads to a tree that is not of the owner of the volume');
  const keys = deriveTreeKeys(secretOf(root.access));
  const nameKey = nameKeyOf(keys, openRootBody(keys, readHeader(root, treeId)));
  const { rights } = node.peers.self;
  const readOnly = options.readOnly === true || !mayWrite(root.access, { userKey: user.publicKey, rights });
  const tree = openTree({
    runtime: node.runtime,
    store: node.store,
    directory: directoryOf(node),
    user,
    treeId,
    rootAddress,
    secretOf,
    membersKey: fromBase64(node.network().members_key),
    view: view(nameKey),
    endpoints: () => node.endpoints(),
    members: root.members,
    door: options.door,
    cacheBytesMax: options.cacheBytesMax,
    chunkBytesMax: options.chunkBytesMax,
    readOnly,
    onForwarded: options.onForwarded,
  });
  await tree.start();
  if (options.door && !readOnly) {
    workOn(node, tree.garbage, garbagePeriodMs);
    workOn(node, tree.resealing, resealingPeriodMs);
  }
  return { tree, readOnly, nameKey };
}

function destroyedError<K extends TreeKind>({ kind, descriptor }: Pick<Described<K>, 'kind' | 'descriptor'>) {
  return new InfinitError('lost', `its owner has deleted ${labelOf(kind)} "${descriptor.name}" with all its data`);
}

/** A long-lived process does the background work of its tree while it leads. */
function workOn({ runtime, workers }: Node, work: Tree['garbage'], periodMs: number): void {
  const worker = new Worker(work, runtime, periodMs);
  work.onWork = () => worker.wake();
  work.onStop = () => {
    void worker.stop().then(() => workers.splice(workers.indexOf(worker), 1));
  };
  workers.push(worker);
  worker.wake();
}

/** By the list, or as a passport holder. Throws `denied`. */
export function secretFor(linked: LinkedNode, access: AccessList): Bytes {
  return openSecret(access, linked.user, membersPair(linked));
}

function secretIn<K extends TreeKind>(
  linked: LinkedNode,
  { kind, descriptor }: Described<K>,
  access: AccessList,
): Bytes {
  try {
    return secretFor(linked, access);
  } catch (error) {
    if (!isError(error, 'denied')) throw error;
    throw new InfinitError('denied', `${labelOf(kind)} "${descriptor.name}" is not shared with you`, {
      hint: 'its owner shares a volume that he has mounted by `infinit acl set --path MOUNTPOINT --user NAME --mode rw`',
      cause: error,
    });
  }
}

/** The private half of the members key, from the passport; it opens what the whole network may read. */
export function membersPair({ link, user }: Pick<LinkedNode, 'link' | 'user'>): {
  publicKey: Buffer;
  secretKey: Buffer;
} {
  return boxKeyPair(openSealed(user, fromBase64(link.passport.members_key)));
}

async function rootOf<K extends TreeKind>(
  linked: LinkedNode,
  { kind, descriptor, world }: Described<K>,
  treeId: Bytes,
  options: Abortable,
): Promise<Address> {
  const { node, user } = linked;
  const register = node.networkRegister;
  if (register === undefined) {
    throw new InfinitError('not-found', `network "${descriptor.network}" is not founded yet`, {
      hint: 'its owner founds it with `infinit network link NAME --silo SILO` and exports it again',
    });
  }
  const owner = keyFromJson(descriptor.owner);
  const known = await register.findTree(treeId, owner, options).catch((error: unknown) => {
    throw isError(error, 'lost') ? destroyedError({ kind, descriptor }) : error;
  });
  if (known !== undefined) return known;
  if (!equalBytes(owner, user.publicKey)) {
    throw new InfinitError(
      'not-found',
      `${labelOf(kind)} "${descriptor.name}" has no root yet: its owner must run it once`,
    );
  }
  const made = await createRoot(linked, treeId, world, options);
  const standing = await register.addTree(user, treeId, made, options);
  if (!equalBytes(standing, made)) await node.registers.delete(made, user, options);
  return standing;
}

/** Where a register at that address would be kept now. Throws `unavailable` when no storage node is reachable. */
export async function placementOf(node: Node, address: Address, options: Abortable = {}): Promise<Member[]> {
  const owners = await node.overlay.owners(address, node.network().consensus['replication-factor'], options);
  const members = owners.flatMap<Member>(({ id, stores: [store] }) =>
    store === undefined ? [] : [{ node: id, store }],
  );
  if (members.length > 0) return members;
  throw new InfinitError('unavailable', `no storage node of network "${node.network().name}" is reachable`, {
    hint: 'start one with `infinit network run`, or name one with --peer',
  });
}

/** A root register at the placement of this moment. */
export async function createRoot(
  { node, user: owner }: LinkedNode,
  treeId: Bytes,
  world: { read: boolean; write: boolean },
  options: Abortable,
): Promise<Address> {
  const { random } = node.runtime;
  const salt = random.bytes(32);
  const address = registerAddress(owner.publicKey, salt);
  const members = await placementOf(node, address, options);
  const worldReader = world.read ? fromBase64(node.network().members_key) : undefined;
  const users = adminsOf(node.network()).filter(({ key }) => !equalBytes(key, owner.publicKey));
  const { payload, access } = createTreeRoot({ owner, treeId, users, worldReader, worldWrite: world.write }, random);
  await node.registers.create({ owner, salt, members, access, payload }, options);
  return address;
}
