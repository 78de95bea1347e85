// The object `silo.json` of a silo of packs: its identity, and who opened it last. JSON with a checksum; small, replaced whole.

import { fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type StoreId, storeIdBytes } from '../../block/address.ts';
import type { Random } from '../../runtime/runtime.ts';
import { checksumOf } from '../indexed.ts';
import type { ObjectStore } from './object-store.ts';

export const superblockName = 'silo.json';
export const writerBytes = 8;
const format = 1;

export interface Superblock {
  storeId: StoreId;
  /** Seeds the checksums of tables. */
  salt: number;
  openings: number;
  /** Drawn at each opening. */
  writer: Buffer;
  /** Whether the store refuses to replace an object it was asked to create. */
  exclusive: boolean;
}

export function newSuperblock(random: Pick<Random, 'bytes'>, exclusive: boolean): Superblock {
  return {
    storeId: random.bytes(storeIdBytes),
    salt: random.bytes(4).readUInt32BE(),
    openings: 0,
    writer: random.bytes(writerBytes),
    exclusive,
  };
}

export async function writeSuperblock(
  store: ObjectStore,
  superblock: Superblock,
  options: { onlyNew?: boolean } = {},
): Promise<void> {
  const fields = {
    format,
    storeId: toHex(superblock.storeId),
    salt: superblock.salt,
    openings: superblock.openings,
    writer: toHex(superblock.writer),
    exclusive: superblock.exclusive,
  };
  const whole = { ...fields, checksum: checksumOf(fields) };
  await store.put(superblockName, [utf8(`${JSON.stringify(whole, null, 2)}\n`)], options);
}

/** Undefined when there is none. Throws `corrupt`, `unsupported` for a format of a later version. */
export async function readSuperblock(store: ObjectStore): Promise<Superblock | undefined> {
  let bytes: Buffer;
  try {
    bytes = await store.get(superblockName);
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw error;
  }
  const fields = parse(bytes);
  const bad = (what: string) => new InfinitError('corrupt', `${superblockName} in ${store.where} ${what}`);
  if (fields === undefined) throw bad('is not that of a silo');
  const { checksum, ...rest } = fields;
  if (typeof rest.format === 'number' && rest.format > format)
    throw new InfinitError('unsupported', `the silo in ${store.where} was written by a later version`);
  if (checksum !== checksumOf(rest)) throw bad('fails its checksum');
  return {
    storeId: fromHex(String(rest.storeId)) as StoreId,
    salt: Number(rest.salt),
    openings: Number(rest.openings),
    writer: fromHex(String(rest.writer)),
    exclusive: rest.exclusive === true,
  };
}

function parse(bytes: Buffer): Record<string, unknown> | undefined {
  try {
    const value: unknown = JSON.parse(bytes.toString('utf8'));
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : undefined;
  } catch {
    return undefined;
  }
}
