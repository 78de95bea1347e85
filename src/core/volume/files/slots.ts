// Records found by the hash of a name: entries and extended attributes. Names of one hash stand in slots numbered without gaps,
// so a name that does not exist costs one look at slot 0.

import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { MapReader } from '../../tree/tree.ts';
import { namedKey, slotsMax } from './records.ts';
import type { Work } from './work.ts';

export interface Slot {
  space: 'entry' | 'extended';
  inode: number;
  hash: Bytes;
  slot: number;
  key: Bytes;
  /** Undefined: the name is not there, and this is where it would be put. */
  value: Bytes | undefined;
}

/** What a name is looked up by. */
export interface Sought {
  space: Slot['space'];
  inode: number;
  hash: Bytes;
  name: Bytes;
  /** Whether a record is that of the name. */
  matches(record: Bytes, name: Bytes): boolean;
}

/** The slot whose record matches, or the free one. Throws `full` when the name is not there and there is no free one. */
export async function findSlot(reader: Pick<MapReader, 'get'>, sought: Sought): Promise<Slot> {
  const { space, inode, hash, name } = sought;
  for (let slot = 0; slot < slotsMax; slot++) {
    const key = namedKey(space, inode, hash, slot);
    const value = await reader.get(key);
    if (value === undefined || sought.matches(value, name)) return { space, inode, hash, slot, key, value };
  }
  throw new InfinitError('full', 'too many names of one hash');
}

/** Empties a slot; the last of its hash moves there. */
export async function emptySlot(work: Work, { space, inode, hash, slot, key }: Slot): Promise<void> {
  let last: { key: Bytes; value: Bytes } | undefined;
  for (let next = slot + 1; next < slotsMax; next++) {
    const nextKey = namedKey(space, inode, hash, next);
    const value = await work.transaction.get(nextKey);
    if (value === undefined) break;
    last = { key: nextKey, value };
  }
  if (last !== undefined) work.put(key, last.value);
  work.delete(last?.key ?? key);
}
