// What each silo of a mirror says of the mirror: which silos had everything when it was written. It stands among the silo's own
// values, so that it travels with them. docs/decisions/030-mirror.md says how the latest is found.

import { utf8 } from '../../../base/bytes.ts';
import { InfinitError, isError } from '../../../base/errors.ts';
import { limits } from '../../../base/limits.ts';
import { storeIdBytes } from '../../../block/address.ts';
import { labelledHash } from '../../../crypto/hash.ts';
import type { Silo, SiloKey, Space } from '../../silo.ts';

export interface MirrorRecord {
  /** Store id of the mirror, hex. */
  id: string;
  /** Grows with each record of an id. */
  generation: number;
  /** Store ids of the silos that have everything, hex. */
  current: string[];
  /** What to add to the silo's count of changes for the mirror's. */
  offset: number;
  /** Whether the mirror was closed in order: all of `current` are equal. */
  clean: boolean;
}

const format = 1;
const recordSpace: Space = 'meta';
const recordKey = labelledHash('silo-mirror');

/** Whether that place is the record's: it is nobody else's. */
export function isRecord(space: Space, key: SiloKey): boolean {
  return space === recordSpace && recordKey.equals(key);
}

/** Undefined when there is none, or it cannot be read. Throws `unsupported` for one of a later version. */
export async function readRecord(silo: Silo): Promise<MirrorRecord | undefined> {
  try {
    return parse(await silo.get(recordSpace, recordKey));
  } catch (error) {
    if (isError(error, 'not-found') || isError(error, 'corrupt')) return undefined;
    throw error;
  }
}

export async function writeRecord(silo: Silo, record: MirrorRecord): Promise<void> {
  await silo.put(recordSpace, recordKey, utf8(JSON.stringify({ format, ...record })));
}

/** Of the value. */
export async function recordBytes(silo: Silo): Promise<number> {
  return (await silo.size(recordSpace, recordKey)) ?? 0;
}

function parse(value: Buffer): MirrorRecord {
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(value.toString('utf8'))) as Record<string, unknown>;
  } catch (cause) {
    throw new InfinitError('corrupt', 'the record of a mirror is not JSON', { cause });
  }
  if (typeof fields.format === 'number' && fields.format > format)
    throw new InfinitError('unsupported', `a mirror of format ${fields.format} is of a later version`);
  const { id, generation, current, offset, clean } = fields;
  const areIds = Array.isArray(current) && current.length <= limits.siloBackendsMax && current.every(isId);
  if (!isId(id) || !areIds || typeof clean !== 'boolean')
    throw new InfinitError('corrupt', 'the record of a mirror is damaged');
  if (!Number.isSafeInteger(generation) || !Number.isSafeInteger(offset))
    throw new InfinitError('corrupt', 'the record of a mirror has no numbers');
  return { id, generation: generation as number, current, offset: offset as number, clean };
}

function isId(value: unknown): value is string {
  return typeof value === 'string' && value.length === 2 * storeIdBytes && /^[0-9a-f]+$/.test(value);
}

/** The record that counts: the highest generation; ids that parted are told apart in any one way, always the same. */
export function latest(records: readonly MirrorRecord[]): MirrorRecord | undefined {
  return [...records].sort(
    (a, b) => b.generation - a.generation || (a.id < b.id ? -1 : a.id > b.id ? 1 : Number(a.clean) - Number(b.clean)),
  )[0];
}
