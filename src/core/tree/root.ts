// The payload of a tree's root register: a clear header that journal members check, and a sealed part for readers only
// (docs/protocols.md 4.1). Also the tree's secret: made once, sealed to each reader in the access list; every key of the tree
// is derived from it with a label of its own.

import { type Bytes, concatBytes, equalBytes } from '../base/bytes.ts';
import { bytes, type Codec, decode, encode, fixed, optional, struct, u8, u32, u48, u64 } from '../base/codec.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import type { UnsignedAccess } from '../block/register.ts';
import { type RegisterSnapshot, type RootHeader, rootHeader } from '../consensus/consensus.ts';
import { keyBytes, nonceBytes, open, seal } from '../crypto/cipher.ts';
import { deriveKey } from '../crypto/hash.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { sealTo, sealToBoxKey } from '../crypto/sealed-box.ts';
import type { Random } from '../runtime/runtime.ts';
import type { NodeRef } from './tree.ts';

export const rootFormat = 1;
const bodyFormat = 2;
export const treeIdBytes = 16;
export const treeSecretBytes = 32;

/** The keys of a tree, all derived from its secret. */
export interface TreeKeys {
  /** Seals the private part of the root. */
  root: Bytes;
  /** Seals base nodes. */
  node: Bytes;
  /** Seals journal batches. */
  journal: Bytes;
  /** Hashes names into keys of directory entries. */
  nameHash: Bytes;
}

export function deriveTreeKeys(secret: Bytes): TreeKeys {
  if (secret.length !== treeSecretBytes) throw new InfinitError('corrupt', 'a tree secret has 32 bytes');
  return {
    root: deriveKey(secret, 'tree/root'),
    node: deriveKey(secret, 'tree/node'),
    journal: deriveKey(secret, 'tree/journal'),
    nameHash: deriveKey(secret, 'tree/name-hash'),
  };
}

/** What only readers may know. */
export interface RootBody {
  format: number;
  /** Undefined for the empty tree. */
  root: NodeRef | undefined;
  height: number;
  /** Where kept snapshots stand, when there are any. */
  snapshots: NodeRef | undefined;
  /** Segment ids are never used twice. */
  nextSegment: number;
  /** Number of the next pack a commit makes. */
  nextPack: number;
  /** Bytes the tree may hold; undefined: no limit. */
  quotaBytes: number | undefined;
  /** What names are hashed with once the secret is not the first one; undefined: what the secret gives. */
  nameKey?: Bytes | undefined;
  /** What the owner keeps beside the access list. */
  note?: Bytes | undefined;
  /** Since a reader was left out; undefined once nothing is left that he could read. */
  reseal?: Reseal | undefined;
}

/** What a reader that was left out could read is sealed anew, then the old blocks are swept. */
export interface Reseal {
  /** Garbage generation: chunks put before it have keys he may know. */
  before: number;
  /** All is sealed anew; a cycle of a later generation takes the old blocks. */
  sealedAt: number | undefined;
}

const nodeRef: Codec<NodeRef> = struct({ address, key: fixed(keyBytes), stored: u32 });
const bodyFields = {
  format: u8,
  root: optional(nodeRef),
  height: u8,
  snapshots: optional(nodeRef),
  nextSegment: u32,
  nextPack: u48,
  quotaBytes: optional(u64),
};
/** Before access lists changed. */
const rootBody1: Codec<RootBody> = struct(bodyFields);
const rootBody: Codec<RootBody> = struct({
  ...bodyFields,
  nameKey: optional(fixed(32)),
  note: optional(bytes(limits.accessNoteBytesMax)),
  reseal: optional(struct({ before: u32, sealedAt: optional(u32) })),
});

export function sealRootBody(keys: TreeKeys, treeId: Bytes, body: RootBody, random: Random): Buffer {
  const nonce = random.bytes(nonceBytes);
  return concatBytes([nonce, seal(keys.root, nonce, encode(rootBody, { ...body, format: bodyFormat }), treeId)]);
}

/** Throws `corrupt` when another key sealed it, `unsupported` for a newer format. */
export function openRootBody(keys: TreeKeys, header: RootHeader): RootBody {
  const nonce = header.sealed.subarray(0, nonceBytes);
  if (nonce.length < nonceBytes) throw new InfinitError('corrupt', 'the root of the tree is truncated');
  const plain = open(keys.root, nonce, header.sealed.subarray(nonceBytes), header.treeId);
  if (plain[0] === 1) return decode(rootBody1, plain);
  if (plain[0] !== bodyFormat)
    throw new InfinitError('unsupported', `the tree has format ${plain[0]}, this version knows ${bodyFormat}`);
  return decode(rootBody, plain);
}

/** What names of the tree are hashed with, whatever its secret is by now. */
export function nameKeyOf(keys: TreeKeys, { nameKey }: RootBody): Bytes {
  return nameKey ?? keys.nameHash;
}

/** The clear part of a chosen root; `corrupt` when it is another tree's, `lost` when its owner has destroyed the tree. */
export function readHeader(snapshot: RegisterSnapshot, treeId: Bytes): RootHeader {
  if (snapshot.deleted) throw destroyed();
  if (snapshot.payload[0] !== rootFormat)
    throw new InfinitError(
      'unsupported',
      `the root has format ${snapshot.payload[0]}, this version knows ${rootFormat}`,
    );
  const header = decode(rootHeader, snapshot.payload);
  if (!equalBytes(header.treeId, treeId)) throw new InfinitError('corrupt', 'the root register holds another tree');
  return header;
}

/** What every use of a tree ends with once its root register is deleted. */
export function destroyed(cause?: unknown): InfinitError {
  return new InfinitError('lost', 'its owner has destroyed the tree', { data: { destroyed: true }, cause });
}

export function isDestroyed(error: unknown): error is InfinitError {
  return isError(error, 'lost') && error.data?.destroyed === true;
}

/** How many distinct nodes must hold a block of this tree: a quorum of the agreed configuration (docs/protocols.md 3). */
export function putQuorum(snapshot: RegisterSnapshot): number {
  return Math.floor(snapshot.members.length / 2) + 1;
}

export interface NewTreeRoot {
  owner: KeyPair;
  treeId: Bytes;
  /** Other users that may read, and whether they may write. */
  users?: readonly { key: Bytes; write: boolean }[];
  /** X25519 key to which a world-readable tree is sealed. */
  worldReader?: Bytes | undefined;
  worldWrite?: boolean;
  quotaBytes?: number | undefined;
}

/**
 * Genesis of an empty tree: the payload and the access list of its root register. */
export function createTreeRoot(
  request: NewTreeRoot,
  random: Random,
): { secret: Buffer; payload: Buffer; access: UnsignedAccess } {
  const secret = random.bytes(treeSecretBytes);
  const users = request.users ?? [];
  const readers = [request.owner.publicKey, ...users.map((user) => user.key)];
  const access: UnsignedAccess = {
    version: 1,
    owner: request.owner.publicKey,
    readers: readers.map((key) => ({ key, sealed: sealTo(key, secret, random.bytes(32)) })),
    writers: users.filter((user) => user.write).map((user) => user.key),
    worldReader: request.worldReader && sealToBoxKey(request.worldReader, secret, random.bytes(32)),
    worldWrite: request.worldWrite ?? false,
  };
  const body: RootBody = {
    format: bodyFormat,
    root: undefined,
    height: 0,
    snapshots: undefined,
    nextSegment: 1,
    nextPack: 0,
    quotaBytes: request.quotaBytes,
  };
  const header: RootHeader = {
    format: rootFormat,
    treeId: request.treeId,
    epoch: 0,
    state: 'idle',
    leader: undefined,
    applied: 0,
    segments: [],
    gcGeneration: 1,
    sealed: sealRootBody(deriveTreeKeys(secret), request.treeId, body, random),
  };
  return { secret, payload: encode(rootHeader, header), access };
}
