// From the descriptor of a key-value store to its open tree: finds the root in the network register, or makes it when the acting
// user owns the store and it has none yet (docs/protocols.md 2.10).

import { equalBytes, fromBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { type Address, type Member, registerAddress } from '../block/address.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { boxKeyPair, openSealed } from '../crypto/sealed-box.ts';
import type { KeyValueStoreDescriptor } from '../descriptor/descriptor.ts';
import { keyFromJson } from '../descriptor/keys.ts';
import { TreeDirectory } from '../tree/directory.ts';
import { openTree } from '../tree/engine.ts';
import { createTreeRoot, openSecret } from '../tree/root.ts';
import type { Tree } from '../tree/tree.ts';
import { openKeyStore } from '../volume/key-store.ts';
import { keyView } from '../volume/key-view.ts';
import type { KeyStore } from '../volume/keys.ts';
import type { LinkedNode } from './link.ts';
import type { Node } from './node.ts';

export interface OpenStore {
  tree: Tree;
  keys: KeyStore;
}

const directories = new WeakMap<Node, TreeDirectory>();

function directoryOf(node: Node): TreeDirectory {
  const known = directories.get(node);
  if (known) return known;
  const made = new TreeDirectory(node.peers);
  directories.set(node, made);
  return made;
}

/** Opens the store's tree on a running node. `door`: a long-lived process, which leads when nobody does. */
export async function openKeyValueStore(
  linked: LinkedNode,
  store: KeyValueStoreDescriptor,
  options: Abortable & { door: boolean; cacheBytesMax?: number | undefined },
): Promise<OpenStore> {
  const { node, user } = linked;
  const treeId = fromBase64(store.tree_id);
  const rootAddress = await rootOf(linked, store, treeId, options);
  const root = await node.registers.read(rootAddress, options);
  const tree = openTree({
    runtime: node.runtime,
    store: node.store,
    directory: directoryOf(node),
    user,
    treeId,
    rootAddress,
    secret: openSecret(root.access, user, membersPair(linked)),
    view: keyView,
    endpoints: () => node.endpoints(),
    members: root.members,
    door: options.door,
    cacheBytesMax: options.cacheBytesMax,
    readOnly: !node.peers.self.rights.write,
  });
  await tree.start();
  return { tree, keys: openKeyStore(tree) };
}

/** The private half of the members key, from the passport; it opens what the whole network may read. */
function membersPair({ link, user }: LinkedNode): { publicKey: Buffer; secretKey: Buffer } {
  return boxKeyPair(openSealed(user, fromBase64(link.passport.members_key)));
}

async function rootOf(
  { node, user }: LinkedNode,
  store: KeyValueStoreDescriptor,
  treeId: Buffer,
  options: Abortable,
): Promise<Address> {
  const register = node.networkRegister;
  if (register === undefined) {
    throw new InfinitError('not-found', `network "${store.network}" is not founded yet`, {
      hint: 'its owner founds it with `infinit network link NAME --silo SILO` and exports it again',
    });
  }
  const owner = keyFromJson(store.owner);
  const known = await register.findTree(treeId, owner, options);
  if (known !== undefined) return known;
  if (!equalBytes(owner, user.publicKey)) {
    throw new InfinitError('not-found', `key-value store "${store.name}" has no root yet: its owner must run it once`);
  }
  const made = await createRoot(node, user, treeId, options);
  const standing = await register.addTree(user, treeId, made, options);
  if (!equalBytes(standing, made)) await node.registers.delete(made, user, options);
  return standing;
}

/** A root register at the placement of this moment. */
async function createRoot(node: Node, owner: KeyPair, treeId: Buffer, options: Abortable): Promise<Address> {
  const { random } = node.runtime;
  const salt = random.bytes(32);
  const address = registerAddress(owner.publicKey, salt);
  const owners = await node.overlay.owners(address, node.network().consensus['replication-factor'], options);
  const members = owners.flatMap<Member>(({ id, stores: [store] }) =>
    store === undefined ? [] : [{ node: id, store }],
  );
  if (members.length === 0) {
    throw new InfinitError('unavailable', `no storage node of network "${node.network().name}" is reachable`, {
      hint: 'start one with `infinit network run`, or name one with --peer',
    });
  }
  const { payload, access } = createTreeRoot({ owner, treeId }, random);
  await node.registers.create({ owner, salt, members, access, payload }, options);
  return address;
}
