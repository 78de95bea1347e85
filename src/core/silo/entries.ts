// What every kind of silo checks before it takes a change, and how it counts space; so that all kinds refuse the same things.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type SiloEntry, type SiloKey, type Space, spaces } from './silo.ts';

export const keyBytes = 32;
/** What a record costs beside its value; the size of the header of `docs/formats-silo.md`. */
export const recordHeaderBytes = 72;

const spaceIndexes = new Map<string, number>(spaces.map((space, index) => [space, index]));

/** The number a space has on disk. Throws `usage` when it is none. */
export function spaceIndex(space: Space): number {
  const index = spaceIndexes.get(space);
  if (index === undefined) throw new InfinitError('usage', `"${String(space)}" is not a space of silos`);
  return index;
}

/** Throws `usage` when the key does not have 32 bytes. */
export function checkKey(space: Space, key: SiloKey): void {
  spaceIndex(space);
  if (key.length !== keyBytes) throw new InfinitError('usage', `a silo key has ${keyBytes} bytes, not ${key.length}`);
}

/**
 * Throws when the entries cannot be one batch: bad keys are `usage`, more than the limits is `full`. `addedBytes`: what filters
 * may have added to each value.
 */
export function checkEntries(entries: readonly SiloEntry[], addedBytes = 0): void {
  if (entries.length > limits.siloBatchEntriesMax) {
    throw new InfinitError(
      'full',
      `a batch of ${entries.length} entries is above the limit of ${limits.siloBatchEntriesMax}`,
    );
  }
  let bytes = 0;
  for (const { space, key, value } of entries) {
    checkKey(space, key);
    if (value !== undefined && value.length > limits.siloValueBytesMax + addedBytes) {
      throw new InfinitError(
        'full',
        `a value of ${value.length} bytes is above the limit of ${limits.siloValueBytesMax}`,
      );
    }
    bytes += value?.length ?? 0;
  }
  if (entries.length > 1 && bytes > limits.siloBatchBytesMax + entries.length * addedBytes) {
    throw new InfinitError('full', `a batch of ${bytes} bytes is above the limit of ${limits.siloBatchBytesMax}`);
  }
}

/** Throws `usage` for a range that is none. */
export function checkRange(offset: number, length: number): void {
  if (!Number.isSafeInteger(offset) || !Number.isSafeInteger(length) || offset < 0 || length < 0) {
    throw new InfinitError('usage', `not a range of bytes: ${offset}, ${length}`);
  }
}

/** Bytes an entry takes of the capacity. */
export function entryBytes(value: Bytes): number {
  return recordHeaderBytes + value.length;
}

export function notFound(space: Space): InfinitError {
  return new InfinitError('not-found', `no such ${space} in this silo`);
}

export function closedError(): InfinitError {
  return new InfinitError('unavailable', 'the silo is closed');
}
