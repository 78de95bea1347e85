// Writes what is left of sparse chunks into new ones and lets the records that name it name those, so that no chunk stays mostly
// dead (docs/tree-schema.md 2). A record that changed meanwhile is left alone: it is looked at again in the next cycle.

import { type Bytes, concatBytes, equalBytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { CollectedTree } from '../collected.ts';
import { chunkKey, chunkRecord } from '../keys.ts';
import { encodeChunkRecord } from '../packing.ts';
import type { CellRef, CellRun, CellUse, MapReader, Transaction, Tree, WrittenChunk } from '../tree.ts';
import { type SparseChunk, withoutBytes } from './census.ts';

const cellBytes = limits.cellBytesMax;
/** Data and records of one operation. */
const batchBytes = 2 * 1024 * 1024;
const batchRecordsMax = 128;
const stepRecords = 1000;

/** A record that names cells of sparse chunks. */
interface Found {
  key: Bytes;
  value: Bytes;
  runs: readonly CellRun[];
}

/** The bytes of one run, cut into cells. */
interface Moving {
  run: CellRun;
  cells: readonly Bytes[];
}

export interface PackerOptions extends Abortable {
  tree: CollectedTree;
  uses: CellUse;
  io: Pick<Tree, 'readCells' | 'writeChunks'>;
  sparse: Map<number, SparseChunk>;
}

export class Packer {
  readonly counters = { records: 0, bytes: 0, chunks: 0 };
  private readonly options: PackerOptions;
  private batch: Found[] = [];
  private bytes = 0;

  constructor(options: PackerOptions) {
    this.options = options;
  }

  /** Goes through the records of the view the chunks were counted in; yields after every piece. */
  async *run(view: MapReader): AsyncGenerator<void, void, void> {
    const { uses, sparse, signal } = this.options;
    if (sparse.size === 0) return;
    let looked = 0;
    for await (const { key, value } of view.scan(uses.range.from, uses.range.to, { signal })) {
      const runs = uses.of(key, value);
      const own = runs.filter((run) => sparse.has(run.chunk));
      if (own.length > 0) {
        this.batch.push({ key, value, runs });
        this.bytes += own.reduce((sum, run) => sum + run.length, 0);
      }
      const full = this.bytes >= batchBytes || this.batch.length >= batchRecordsMax;
      if (full) await this.move();
      if (full || ++looked % stepRecords === 0) yield;
    }
    if (this.batch.length > 0) await this.move();
  }

  private async move(): Promise<void> {
    const { tree, io, sparse, signal } = this.options;
    const { batch } = this;
    this.batch = [];
    this.bytes = 0;
    const moving: Moving[] = [];
    for (const { runs } of batch)
      for (const run of runs) if (sparse.has(run.chunk)) moving.push({ run, cells: await this.read(run) });
    const written = await io.writeChunks(
      moving.flatMap(({ cells }) => cells),
      { signal },
    );
    let done = { records: 0, bytes: 0, chunks: 0 };
    await tree.change(async (transaction) => {
      done = await this.record(transaction, batch, moving, written);
    }, written);
    this.counters.records += done.records;
    this.counters.bytes += done.bytes;
    this.counters.chunks += done.chunks;
  }

  /** The bytes of a run, cut anew: cells of their own begin where the run does. */
  private async read({ chunk, cell, skip, length }: CellRun): Promise<Bytes[]> {
    const { io, sparse, signal } = this.options;
    const { record } = sparse.get(chunk) as SparseChunk;
    const count = Math.ceil((skip + length) / cellBytes);
    const bytes = concatBytes(await io.readCells(record, cell, count, { signal })).subarray(skip, skip + length);
    if (bytes.length < length) throw new InfinitError('corrupt', 'a cell is shorter than its record says');
    const cells: Bytes[] = [];
    for (let at = 0; at < length; at += cellBytes) cells.push(bytes.subarray(at, at + cellBytes));
    return cells;
  }

  private async record(
    transaction: Transaction,
    batch: readonly Found[],
    moving: readonly Moving[],
    written: readonly WrittenChunk[],
  ): Promise<{ records: number; bytes: number; chunks: number }> {
    const { uses, sparse } = this.options;
    const places = await this.placesOf(transaction, written);
    const named = new Map<number, number>();
    const moved = new Map<number, number>();
    let [nextRun, nextCell, records] = [0, 0, 0];
    for (const { key, value, runs } of batch) {
      const refs = runs.map((run) => {
        if (!sparse.has(run.chunk)) return undefined;
        const { cells } = moving[nextRun++] as Moving;
        nextCell += cells.length;
        return places.cells.slice(nextCell - cells.length, nextCell);
      });
      const now = await transaction.get(key);
      if (now === undefined || !equalBytes(now, value)) continue;
      records++;
      transaction.delete(key);
      for (const effect of uses.moved(key, value, refs))
        if (effect.type === 'put') transaction.put(effect.key, effect.value);
      for (const [i, cells] of refs.entries()) {
        if (cells === undefined) continue;
        const { chunk, length } = runs[i] as CellRun;
        moved.set(chunk, (moved.get(chunk) ?? 0) + length);
        for (const ref of cells) named.set(ref.chunk, (named.get(ref.chunk) ?? 0) + ref.length);
      }
    }
    for (const [i, number] of places.numbers.entries()) {
      const live = named.get(number) ?? 0;
      if (live > 0) transaction.put(chunkKey(number), encodeChunkRecord(written[i] as WrittenChunk, live));
    }
    const chunks = await this.take(transaction, moved);
    const bytes = [...moved.values()].reduce((sum, length) => sum + length, 0);
    return { records, bytes, chunks };
  }

  private async placesOf(
    transaction: Transaction,
    written: readonly WrittenChunk[],
  ): Promise<{ numbers: number[]; cells: CellRef[] }> {
    const numbers: number[] = [];
    const cells: CellRef[] = [];
    for (const chunk of written) {
      const number = await transaction.allocate('chunk');
      numbers.push(number);
      cells.push(...chunk.cells.map((length, cell) => ({ chunk: number, cell, length })));
    }
    return { numbers, cells };
  }

  /** The old chunks have so many bytes less in use; those with none left leave the table. How many did. */
  private async take(transaction: Transaction, moved: ReadonlyMap<number, number>): Promise<number> {
    const { sparse } = this.options;
    let gone = 0;
    for (const [number, bytes] of moved) {
      const chunk = sparse.get(number) as SparseChunk;
      chunk.used -= bytes;
      const record = await transaction.get(chunkKey(number));
      if (record === undefined) continue;
      if (chunk.used <= 0) {
        transaction.delete(chunkKey(number));
        gone++;
      } else transaction.put(chunkKey(number), withoutBytes(decode(chunkRecord, record), bytes));
    }
    return gone;
  }
}
