// `silo.json`: what a silo is. Written whole at formatting, at each opening (which it counts) and when the silo finds itself
// damaged and takes a new identity.

import { join } from 'node:path/posix';
import { fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type StoreId, storeIdBytes } from '../../block/address.ts';
import type { Files, Runtime } from '../../runtime/runtime.ts';
import { checksumOf } from '../indexed.ts';
import { pageBytes } from './format.ts';

export interface Superblock {
  storeId: StoreId;
  /** Secret numbers: the checksum of headers, and the two lanes of the index. */
  salt: number;
  seed: readonly [number, number];
  /** Whether the device took direct I/O when the silo was formatted. */
  direct: boolean;
  segmentBytes: number;
  /** How often the silo was opened for writing; 0 until the first opening is complete. */
  openings: number;
}

export const superblockName = 'silo.json';
const format = 1;
const bytesMax = 4096;

export function superblockPath(folder: string): string {
  return join(folder, superblockName);
}

/** Undefined when there is none. Throws `corrupt`, or `unsupported` for a later format. */
export async function readSuperblock(files: Files, folder: string): Promise<Superblock | undefined> {
  const path = superblockPath(folder);
  let content: Buffer;
  try {
    content = await files.read(path, { limit: bytesMax });
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw isError(error, 'full') ? broken(path) : error;
  }
  let fields: Record<string, unknown>;
  try {
    fields = Object(JSON.parse(content.toString('utf8'))) as Record<string, unknown>;
  } catch {
    throw broken(path);
  }
  if (typeof fields.format === 'number' && fields.format > format) {
    throw new InfinitError('unsupported', `${path}: format ${fields.format} is of a later version`);
  }
  const { checksum, ...rest } = fields;
  if (fields.format !== format || checksum !== checksumOf(rest)) throw broken(path);
  return parse(rest, path);
}

export async function writeSuperblock(files: Files, folder: string, block: Superblock): Promise<void> {
  const fields = {
    format,
    storeId: toHex(block.storeId),
    salt: block.salt,
    seed: block.seed,
    direct: block.direct,
    segmentBytes: block.segmentBytes,
    openings: block.openings,
  };
  const content = JSON.stringify({ ...fields, checksum: checksumOf(fields) }, undefined, 2);
  await files.replace(superblockPath(folder), utf8(`${content}\n`), { mode: 0o600 });
}

export async function newSuperblock(runtime: Runtime, folder: string, segmentBytes: number): Promise<Superblock> {
  const numbers = runtime.random.bytes(12);
  return {
    storeId: runtime.random.bytes(storeIdBytes),
    salt: numbers.readUInt32BE(0),
    seed: [numbers.readUInt32BE(4), numbers.readUInt32BE(8)],
    direct: await probeDirect(runtime.files, folder),
    segmentBytes,
    openings: 0,
  };
}

async function probeDirect(files: Files, folder: string): Promise<boolean> {
  const path = join(folder, 'probe');
  try {
    const file = await files.open(path, { mode: 'create', durableWrites: true, direct: true });
    try {
      await file.write(file.alignedBuffer(pageBytes), 0);
      return true;
    } finally {
      await file.close();
    }
  } catch (error) {
    if (isError(error, 'unsupported')) return false;
    throw error;
  } finally {
    await files.remove(path);
  }
}

function parse(fields: Record<string, unknown>, path: string): Superblock {
  const { storeId, salt, seed, direct, segmentBytes, openings } = fields;
  const isCount = (value: unknown): value is number => Number.isInteger(value) && (value as number) >= 0;
  if (
    typeof storeId !== 'string' ||
    !/^[0-9a-f]{16}$/.test(storeId) ||
    !isCount(salt) ||
    !Array.isArray(seed) ||
    !seed.every(isCount) ||
    typeof direct !== 'boolean' ||
    !isCount(segmentBytes) ||
    segmentBytes < pageBytes ||
    !isCount(openings)
  ) {
    throw broken(path);
  }
  return { storeId: fromHex(storeId), salt, seed: [seed[0] ?? 0, seed[1] ?? 0], direct, segmentBytes, openings };
}

function broken(path: string): InfinitError {
  return new InfinitError('corrupt', `${path}: not readable as the superblock of a silo`, {
    hint: 'restore this one file, or clear the silo and let the network fill it again',
  });
}
