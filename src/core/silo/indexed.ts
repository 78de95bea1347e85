// What the two kinds of silo that keep an index share, whether on a disk or in an object store.

import { crc32 } from 'node:zlib';
import { compareBytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { FileLock, Runtime } from '../runtime/runtime.ts';
import { notFound } from './entries.ts';
import type { SiloKey, Space } from './silo.ts';
import { type Turns, turnCosts } from './turns.ts';

/** A value may move while it is being read; more often than this it is no coincidence. */
const readAttempts = 4;
/** So few are not worth 256 groups. */
const sortedAtOnce = 64;

export interface MovingRead<Place> {
  /** Where the value is now. */
  find(): Place | undefined;
  isSame(now: Place | undefined, place: Place): boolean;
  /** Undefined when it is not found at the place. */
  read(place: Place): Promise<Buffer | undefined>;
  /** Whether what stands there tells that there is no such value. */
  isAnother?(place: Place): Promise<boolean>;
}

/** Reads a value that may be replaced or moved meanwhile. Throws `not-found`, `corrupt`. */
export async function readMoving<Place>(space: Space, asked: MovingRead<Place>): Promise<Buffer> {
  for (let attempt = 0; ; attempt++) {
    const place = asked.find();
    if (place === undefined) throw notFound(space);
    const value = await asked.read(place);
    if (value !== undefined) return value;
    if (!asked.isSame(asked.find(), place) && attempt < readAttempts) continue;
    if (await asked.isAnother?.(place)) throw notFound(space);
    throw new InfinitError('corrupt', `a stored ${space} fails its checksum`);
  }
}

/** What one shard has behind the key, in sorted groups: by the byte that follows the one the keys share, so that steps are small. */
export async function* sortedGroups<T extends { key: SiloKey }>(
  found: readonly T[],
  after: SiloKey | undefined,
  turns: Turns,
): AsyncGenerator<T[]> {
  for (const group of bySecondByte(found)) {
    await turns.take(group.length * turnCosts.slot);
    const wanted = after === undefined ? group : group.filter(({ key }) => compareBytes(key, after) > 0);
    yield wanted.sort((a, b) => compareBytes(a.key, b.key));
  }
}

function bySecondByte<T extends { key: SiloKey }>(found: readonly T[]): T[][] {
  if (found.length <= sortedAtOnce) return found.length === 0 ? [] : [[...found]];
  const groups: T[][] = Array.from({ length: 256 }, () => []);
  for (const one of found) groups[one.key[1] ?? 0]?.push(one);
  return groups.filter((group) => group.length > 0);
}

/** Of a superblock: over the compact JSON of all other fields in the order they stand. */
export function checksumOf(fields: Record<string, unknown>): string {
  return crc32(JSON.stringify(fields)).toString(16).padStart(8, '0');
}

/** Throws `exists` with the process that has the silo, which is named by `where`. */
export async function lockSilo(runtime: Pick<Runtime, 'files'>, path: string, where: string): Promise<FileLock> {
  try {
    return await runtime.files.lock(path);
  } catch (error) {
    if (!isError(error, 'exists')) throw error;
    const pid = error.data?.pid;
    const who = typeof pid === 'number' ? `pid ${pid}` : 'another process';
    throw new InfinitError('exists', `the silo in ${where} is in use by ${who}`, {
      data: error.data ?? {},
      cause: error,
    });
  }
}
