// Keys of the files view's records (docs/tree-schema.md 3): inodes `i`, entries `e`, attributes `x`, extents `d`, orphans `u`.
// What a key says of whom can be read back, so that a client knows from a change which inode it is about.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { spaces } from '../../tree/keys.ts';

const inodeEnd = 7;
export const hashBytes = 8;
const slotAt = inodeEnd + hashBytes;

/** First bytes of keys. */
export const fileSpaces = {
  inode: spaces.inode.charCodeAt(0),
  entry: spaces.entry.charCodeAt(0),
  extended: spaces.attribute.charCodeAt(0),
  extent: spaces.extent.charCodeAt(0),
  orphan: spaces.orphan.charCodeAt(0),
} as const;

function keyOf(space: number, inode: number, length: number): Buffer {
  const key = Buffer.allocUnsafe(length);
  key[0] = space;
  key.writeUIntBE(inode, 1, 6);
  return key;
}

export function inodeKey(inode: number): Buffer {
  return keyOf(fileSpaces.inode, inode, inodeEnd);
}

/** Of an entry (inode: the directory) or an extended attribute: names of one hash have slots of their own, from 0 on. */
export function namedKey(space: 'entry' | 'extended', inode: number, hash: Bytes, slot: number): Buffer {
  const key = keyOf(fileSpaces[space], inode, slotAt + 1);
  key.set(hash, inodeEnd);
  key[slotAt] = slot;
  return key;
}

/** The extent of the file whose last byte is at this offset: going forward from an offset, the first found may cover it. */
export function extentKey(inode: number, last: number): Buffer {
  const key = keyOf(fileSpaces.extent, inode, inodeEnd + 6);
  key.writeUIntBE(last, inodeEnd, 6);
  return key;
}

export function orphanKey(inode: number): Buffer {
  return keyOf(fileSpaces.orphan, inode, inodeEnd);
}

/** A client that has the orphan open. */
export function holderKey(inode: number, client: Bytes): Buffer {
  const key = keyOf(fileSpaces.orphan, inode, inodeEnd + client.length);
  key.set(client, inodeEnd);
  return key;
}

/** First key behind all of an inode in a space. Inode numbers end long before the space does. */
export function behindInode(space: keyof typeof fileSpaces, inode: number): Buffer {
  return keyOf(fileSpaces[space], inode + 1, inodeEnd);
}

/** The inode a key of this view is about; of an entry: the directory. */
export function inodeOf(key: Bytes): number {
  return asBuffer(key).readUIntBE(1, 6);
}
export function hashOf(key: Bytes): Buffer {
  return asBuffer(key).subarray(inodeEnd, slotAt);
}
export function lastOf(key: Bytes): number {
  return asBuffer(key).readUIntBE(inodeEnd, 6);
}
export function clientOf(key: Bytes): Buffer {
  return asBuffer(key).subarray(inodeEnd);
}

export const slotsMax = 256;

/** Inode numbers a request may name. Throws `usage`. */
export function checkInode(inode: number): void {
  if (inode >= limits.inodesMax) throw new InfinitError('usage', `${inode} is no inode number`);
}
