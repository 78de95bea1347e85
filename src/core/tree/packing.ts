// At a commit, data that rode in records moves into packs (docs/tree-schema.md 2, 3): written once, log-structured, named by
// the chunk table. Packs made by commits have numbers of their own, counted in the root, so they need no journal record.

import type { Bytes } from '../base/bytes.ts';
import { decode, encode } from '../base/codec.ts';
import { compareKeys } from './base/key-order.ts';
import type { TreeContext } from './context.ts';
import { chunkCodings, chunkKey, chunkRecord } from './keys.ts';
import type { Memtable } from './memtable.ts';
import type { CellRef, Effect, Transaction, WrittenChunk } from './tree.ts';

/** Packs are numbered from here; chunks named by operations lie below. */
const packNumbers = 2 ** 47;
const stepEntries = 10_000;

export interface Packed {
  /** Of the memtable, ordered, with the data moved and the chunk table extended. */
  effects: Effect[];
  /** Numbers taken. */
  packs: number;
  moved: { key: Bytes; cell: CellRef }[];
}

/** `nextPack`: the first number that no commit has used. */
export async function packPending(context: TreeContext, memtable: Memtable, nextPack: number): Promise<Packed> {
  const { view, runtime, chunks } = context;
  const effects: Effect[] = [];
  const waiting: { at: number; key: Bytes; value: Bytes }[] = [];
  const cells: Bytes[] = [];
  for (const effect of memtable.effects()) {
    const data = effect.type === 'put' ? view.pending?.of(effect.key, effect.value) : undefined;
    if (data !== undefined && effect.type === 'put') {
      waiting.push({ at: effects.length, key: effect.key, value: effect.value });
      cells.push(data);
    }
    if (effects.push(effect) % stepEntries === 0) await runtime.clock.sleep(0);
  }
  const written = cells.length === 0 ? [] : await chunks.write(cells);
  const moved: Packed['moved'] = [];
  const table: Effect[] = written.map((chunk, i) => {
    const number = packNumbers + nextPack + i;
    chunk.cells.forEach((length, cell) => {
      const one = waiting[moved.length];
      if (one === undefined) return;
      const ref = { chunk: number, cell, length };
      effects[one.at] = { type: 'put', key: one.key, value: view.pending?.moved(one.value, ref) ?? one.value };
      moved.push({ key: one.key, cell: ref });
    });
    return { type: 'put', key: chunkKey(number), value: encodeChunkRecord(chunk) };
  });
  insert(effects, table);
  return { effects, packs: written.length, moved };
}

/** The chunk table's record of a chunk of which so many plain bytes are named: all, unless told. */
export function encodeChunkRecord(chunk: WrittenChunk, named?: number): Buffer {
  const { address, key, stored, generation } = chunk;
  const plain = plainBytes(chunk);
  return encode(chunkRecord, {
    address,
    key,
    stored,
    live: named ?? plain,
    coding: chunkCodings.replicated,
    generation,
    plain,
  });
}

/** Plain bytes of a chunk's cells. */
function plainBytes({ cells }: { cells: readonly number[] }): number {
  return cells.reduce((sum, length) => sum + length, 0);
}

/** Cells that nothing names any more: their chunks have so many live bytes less. */
export async function dropCells(
  cells: readonly CellRef[],
  transaction: Pick<Transaction, 'get' | 'put'>,
): Promise<void> {
  const dead = new Map<number, number>();
  for (const { chunk, length } of cells) dead.set(chunk, (dead.get(chunk) ?? 0) + length);
  for (const [chunk, bytes] of dead) {
    const record = await transaction.get(chunkKey(chunk));
    if (record === undefined) continue;
    const { live, ...rest } = decode(chunkRecord, record);
    transaction.put(chunkKey(chunk), encode(chunkRecord, { ...rest, live: Math.max(0, live - bytes) }));
  }
}

/** Puts ordered entries where they belong by key. */
function insert(effects: Effect[], table: readonly Effect[]): void {
  const [first] = table;
  if (first === undefined) return;
  const start = startOf(first);
  let low = 0;
  for (let high = effects.length; low < high; ) {
    const middle = (low + high) >> 1;
    if (compareKeys(startOf(effects[middle] as Effect), start) < 0) low = middle + 1;
    else high = middle;
  }
  effects.splice(low, 0, ...table);
}

function startOf(effect: Effect): Bytes {
  return effect.type === 'deleteRange' ? effect.from : effect.key;
}
