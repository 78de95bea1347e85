// The index of a silo of packs as objects: parts of some megabytes, then a head that makes them count. Only the newest head is
// used; the parts of older ones are deleted once it is durable.

import { crc32 } from 'node:zlib';
import { utf8 } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { spaces } from '../silo.ts';
import { type Turns, turnCosts } from '../turns.ts';
import { shardCount, slotBytes } from './index.ts';
import type { ObjectStore } from './object-store.ts';
import type { PackState } from './state.ts';

export interface Checkpoint {
  number: number;
  /** All packs up to this one show in it; later ones may. */
  pack: number;
  sequence: number;
  parts: number;
  bytes: number;
}

const groupHeadBytes = 6;
const numberDigits = 15;

function headName(number: number): string {
  return `checkpoint-${String(number).padStart(numberDigits, '0')}`;
}

function partName(number: number, part: number): string {
  return `${headName(number)}-${String(part).padStart(5, '0')}`;
}

/** Writes the index as it is while this runs; `pack` and `sequence` are those of the moment it was called. */
export async function writeCheckpoint(
  store: ObjectStore,
  state: PackState,
  turns: Turns,
  at: { number: number; pack: number; salt: number },
): Promise<Checkpoint> {
  const { number, pack, salt } = at;
  const { sequence } = state;
  let [parts, bytes] = [0, 0];
  let groups: Buffer[] = [];
  let waiting = 0;
  const flush = async () => {
    const checksum = Buffer.alloc(4);
    checksum.writeUInt32BE(groups.reduce((sum, group) => crc32(group, sum), partSeed(salt, number, parts)));
    await store.put(partName(number, parts++), [...groups, checksum]);
    bytes += waiting;
    [groups, waiting] = [[], 0];
  };
  for (let space = 0; space < spaces.length; space++) {
    for (let shard = 0; shard < shardCount; shard++) {
      const slots = state.index.slots(space, shard);
      if (slots === 0) continue;
      await turns.take(slots * turnCosts.slot, slots * slotBytes);
      const image = state.index.image(space, shard);
      const head = Buffer.from([space, shard, 0, 0, 0, 0]);
      head.writeUInt32BE(image.length, 2);
      groups.push(head, image);
      waiting += image.length;
      if (waiting >= limits.packBytes) await flush();
    }
  }
  if (groups.length > 0) await flush();
  const fields = { format: 1, number, pack, sequence, parts };
  const whole = { ...fields, checksum: crc32(JSON.stringify(fields)) };
  await store.put(headName(number), [utf8(JSON.stringify(whole))]);
  return { number, pack, sequence, parts, bytes };
}

/** Brings the newest checkpoint into the index. Undefined when there is none, or none that is whole. */
export async function loadCheckpoint(
  store: ObjectStore,
  state: PackState,
  turns: Turns,
  salt: number,
): Promise<Checkpoint | undefined> {
  const numbers = (await checkpointNames(store)).filter(({ part }) => part === undefined).map(({ number }) => number);
  const newest = Math.max(0, ...numbers);
  if (newest === 0) return undefined;
  try {
    const head = readHead(await store.get(headName(newest)), newest);
    let bytes = 0;
    for (let part = 0; part < head.parts; part++) {
      const content = await store.get(partName(newest, part));
      bytes += content.length;
      await loadPart(content, partSeed(salt, newest, part), state, turns);
    }
    state.sequence = head.sequence;
    return { ...head, bytes };
  } catch (error) {
    if (isError(error, 'corrupt', 'not-found')) return undefined;
    throw error;
  }
}

/** Deletes checkpoints before this one. */
export async function removeOlderCheckpoints(store: ObjectStore, kept: number): Promise<void> {
  const older = (await checkpointNames(store)).filter(({ number }) => number < kept);
  // Heads first: a head without its parts would be a damaged silo.
  older.sort((a, b) => Number(a.part !== undefined) - Number(b.part !== undefined));
  for (const { name } of older) await store.delete(name);
}

async function checkpointNames(store: ObjectStore): Promise<{ name: string; number: number; part?: number }[]> {
  const found: { name: string; number: number; part?: number }[] = [];
  for await (const { name } of store.list('checkpoint-')) {
    const match = /^checkpoint-(\d{15})(?:-(\d{5}))?$/.exec(name);
    if (match === null) continue;
    found.push({ name, number: Number(match[1]), ...(match[2] !== undefined && { part: Number(match[2]) }) });
  }
  return found;
}

function readHead(content: Buffer, number: number): Omit<Checkpoint, 'bytes'> {
  const corrupt = () => new InfinitError('corrupt', `checkpoint ${number} fails its checksum`);
  let value: Record<string, unknown>;
  try {
    value = JSON.parse(content.toString('utf8')) as Record<string, unknown>;
  } catch {
    throw corrupt();
  }
  const { checksum, ...fields } = value;
  if (checksum !== crc32(JSON.stringify(fields)) || fields.number !== number) throw corrupt();
  return {
    number,
    pack: Number(fields.pack),
    sequence: Number(fields.sequence),
    parts: Number(fields.parts),
  };
}

async function loadPart(content: Buffer, seed: number, state: PackState, turns: Turns): Promise<void> {
  const end = content.length - 4;
  if (end < 0 || content.readUInt32BE(end) !== crc32(content.subarray(0, end), seed))
    throw new InfinitError('corrupt', 'a part of a checkpoint fails its checksum');
  for (let at = 0; at + groupHeadBytes <= end; ) {
    const [space, shard] = [content[at] as number, content[at + 1] as number];
    const length = content.readUInt32BE(at + 2);
    await turns.take((length / slotBytes) * turnCosts.applied, length);
    state.index.load(space, shard, content.subarray(at + groupHeadBytes, at + groupHeadBytes + length));
    at += groupHeadBytes + length;
  }
}

function partSeed(salt: number, number: number, part: number): number {
  return (salt ^ (number % 2 ** 32) ^ (part << 16)) >>> 0;
}
