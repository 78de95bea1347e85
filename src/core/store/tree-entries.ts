// Signed words about trees in the network register (docs/protocols.md 2.10): where the root register of a tree is, and that its
// owner has destroyed it. Each can be verified alone.

import { type Bytes, toHex } from '../base/bytes.ts';
import { type Codec, encode, fixed, struct } from '../base/codec.ts';
import { type Address, address, registerAddress } from '../block/address.ts';
import { type KeyPair, publicKeyBytes, sign, signatureBytes, verify } from '../crypto/keys.ts';

export interface TreeEntry {
  /** Random 16 bytes, from the descriptor of the volume or key-value store. */
  treeId: Bytes;
  /** Of its root register. */
  root: Address;
  owner: Bytes;
  /** Of the owner over network, treeId and root. */
  signature: Bytes;
}

/** Owner and salt give the address of the root register: so it is he who says so, of his own tree. */
export interface DestroyedTree {
  treeId: Bytes;
  owner: Bytes;
  /** Of its root register. */
  salt: Bytes;
  /** Of the owner over network, treeId and root. */
  signature: Bytes;
}

const idBytes = 16;
const saltBytes = 32;

export const treeEntry: Codec<TreeEntry> = struct({
  treeId: fixed(idBytes),
  root: address,
  owner: fixed(publicKeyBytes),
  signature: fixed(signatureBytes),
});

export const destroyedTree: Codec<DestroyedTree> = struct({
  treeId: fixed(idBytes),
  owner: fixed(publicKeyBytes),
  salt: fixed(saltBytes),
  signature: fixed(signatureBytes),
});

const entryLabel = 'tree-entry';
const destroyedLabel = 'tree-destroyed';

export function signTreeEntry(networkId: Bytes, owner: KeyPair, treeId: Bytes, root: Address): TreeEntry {
  return { treeId, root, owner: owner.publicKey, signature: sign(owner, entryLabel, networkId, treeId, root) };
}

export function verifyTreeEntry(networkId: Bytes, { owner, signature, treeId, root }: TreeEntry): boolean {
  return verify(owner, signature, entryLabel, networkId, treeId, root);
}

export function signDestroyed(networkId: Bytes, owner: KeyPair, treeId: Bytes, salt: Bytes): DestroyedTree {
  const root = registerAddress(owner.publicKey, salt);
  const signature = sign(owner, destroyedLabel, networkId, treeId, root);
  return { treeId, owner: owner.publicKey, salt, signature };
}

export function verifyDestroyed(networkId: Bytes, tree: DestroyedTree): boolean {
  return verify(tree.owner, tree.signature, destroyedLabel, networkId, tree.treeId, rootOfDestroyed(tree));
}

/** Its root register. */
export function rootOfDestroyed({ owner, salt }: DestroyedTree): Address {
  return registerAddress(owner, salt);
}

/** A tree and its owner: whoever uses somebody else's tree id names another entry, and takes nothing from him. */
export function entryName({ treeId, owner }: Pick<TreeEntry, 'treeId' | 'owner'>): string {
  return toHex(treeId) + toHex(owner);
}

/** All of a word, as a name. */
export function entryText(entry: TreeEntry): string {
  return toHex(encode(treeEntry, entry));
}

export function destroyedText(tree: DestroyedTree): string {
  return toHex(encode(destroyedTree, tree));
}
