// Keys of a tree (docs/tree-schema.md 3): the first byte names the space, integers are big-endian so that byte order is number
// order. And the records of spaces that are used: super `m`, chunk table `c`, keys of values `k`; sessions have their own file.

import { asBuffer, type Bytes, concatBytes, u48Bytes, utf8 } from '../base/bytes.ts';
import { type CodecType, fixed, struct, text, u8, u16, u32, u48, u64 } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import { keyBytes } from '../crypto/cipher.ts';

/** First bytes of keys. */
export const spaces = {
  super: 'm',
  inode: 'i',
  entry: 'e',
  attribute: 'x',
  extent: 'd',
  chunk: 'c',
  orphan: 'u',
  session: 's',
  lock: 'l',
  snapshot: 'n',
  pin: 'p',
  garbage: 'g',
  domain: 't',
  bucket: 'b',
  object: 'o',
  value: 'k',
  dedup: 'h',
  journal: 'j',
} as const;
export type Space = keyof typeof spaces;

export interface KeyRange {
  from: Buffer;
  /** First key behind the range. */
  to: Buffer;
}

/** A key of a space: its byte, then the parts. */
export function spaceKey(space: Space, ...parts: readonly Bytes[]): Buffer {
  return concatBytes([utf8(spaces[space]), ...parts]);
}

/** All keys of a space, or those of it that start with the parts. */
export function spaceRange(space: Space, ...parts: readonly Bytes[]): KeyRange {
  return prefixRange(spaceKey(space, ...parts));
}

/** All keys that start with a prefix, which is not only 0xff bytes. */
export function prefixRange(prefix: Bytes): KeyRange {
  let length = prefix.length;
  while (length > 0 && prefix[length - 1] === 0xff) length--;
  const to = Buffer.from(prefix.subarray(0, length));
  if (length === 0) throw new RangeError('no key is above all keys with this prefix');
  to[length - 1] = (to[length - 1] as number) + 1;
  return { from: asBuffer(prefix), to };
}

export const superKey = spaceKey('super', Buffer.from([0]));

export function chunkKey(chunk: number): Buffer {
  return spaceKey('chunk', u48Bytes(chunk));
}

export function chunkNumber(key: Bytes): number {
  return asBuffer(key).readUIntBE(1, 6);
}

/** A user's key of the keys view. Throws `usage` unless it has 1 to `limits.keyBytesMax` bytes. */
export function valueKey(key: Bytes): Buffer {
  if (key.length === 0 || key.length > limits.keyBytesMax)
    throw new InfinitError('usage', `a key has 1 to ${limits.keyBytesMax} bytes, not ${key.length}`);
  return spaceKey('value', key);
}

export function userKeyOf(key: Bytes): Buffer {
  return asBuffer(key).subarray(1);
}

/** The one record about the whole tree. */
export const superRecord = struct({
  format: u8,
  view: text(32),
  nextInode: u48,
  nextChunk: u48,
  bytesUsed: u64,
  inodesUsed: u64,
  /** Bytes; 0 for none. */
  quota: u64,
  /** Mode bits of the root when it was made. */
  defaultMode: u16,
  createdMs: u64,
});
export type SuperRecord = CodecType<typeof superRecord>;

/** How a chunk is kept: copies, or fragments (later), or in another tree of the same owner (later). */
export const chunkCodings = { replicated: 0, coded: 1, lent: 2 } as const;

/** Where a chunk is and what opens it. */
export const chunkRecord = struct({
  address,
  key: fixed(keyBytes),
  stored: u32,
  /** Plain bytes still named by extents: never less than are, more when a correction was lost. */
  live: u32,
  coding: u8,
  generation: u32,
  /** Plain bytes of all cells. */
  plain: u32,
});
export type ChunkRecord = CodecType<typeof chunkRecord>;

/** Cells of a value, in order. */
export const cellRef = struct({ chunk: u48, cell: u16, length: u32 });
