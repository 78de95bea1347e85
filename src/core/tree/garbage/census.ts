// What of each chunk records name, counted from the records themselves: the counters of the chunk table are only a hint. A chunk
// nothing names leaves the table, so that the next marking does not reach it; one that is named little is told to the packer.

import { decode, encode } from '../../base/codec.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { CollectedTree } from '../collected.ts';
import { type ChunkRecord, chunkCodings, chunkKey, chunkNumber, chunkRecord, spaceRange } from '../keys.ts';
import type { CellUse, MapReader } from '../tree.ts';

const stepRecords = 1000;
const removedAtOnce = 500;
/** Below this part of its bytes in use a chunk is written anew. */
const sparseShare = 1 / 2;

/** A chunk of which so many bytes are in use; all else it takes is garbage once they are elsewhere. */
export interface SparseChunk {
  record: ChunkRecord;
  used: number;
}

export class Census {
  /** Chunks looked at, by number, ascending. */
  private readonly numbers: number[] = [];
  private readonly plain: number[] = [];
  private used = new Float64Array(0);
  private readonly view: MapReader;
  private readonly options: Abortable;
  /** Chunk number to go on from in another census; undefined: all were looked at. */
  next: number | undefined;

  /** A view between two operations: what a chunk's record and the records that name it say then belongs together. */
  constructor(view: MapReader, options: Abortable = {}) {
    this.view = view;
    this.options = options;
  }

  get chunks(): number {
    return this.numbers.length;
  }

  /** Counts; yields after every piece. */
  async *take(uses: CellUse, from: number): AsyncGenerator<void, void, void> {
    const end = spaceRange('chunk').to;
    for await (const { key, value } of this.view.scan(chunkKey(from), end, this.options)) {
      const number = chunkNumber(key);
      if (this.numbers.length === limits.censusChunksMax) {
        this.next = number;
        break;
      }
      const record = decode(chunkRecord, value);
      if (record.coding !== chunkCodings.replicated) continue;
      this.numbers.push(number);
      this.plain.push(record.plain);
      if (this.numbers.length % stepRecords === 0) yield;
    }
    this.used = new Float64Array(this.numbers.length);
    if (this.numbers.length === 0) return;
    let looked = 0;
    for await (const { key, value } of this.view.scan(uses.range.from, uses.range.to, this.options)) {
      for (const { chunk, length } of uses.of(key, value)) {
        const at = this.placeOf(chunk);
        if (at !== undefined) this.used[at] = (this.used[at] as number) + length;
      }
      if (++looked % stepRecords === 0) yield;
    }
  }

  /** Takes chunks out of the table that nothing names. What nothing names is never named again. */
  async *removeUnused(tree: CollectedTree): AsyncGenerator<number, void, void> {
    const unused = this.numbers.filter((_, i) => this.used[i] === 0);
    for (let at = 0; at < unused.length; at += removedAtOnce) {
      const some = unused.slice(at, at + removedAtOnce);
      await tree.change(async (transaction) => {
        for (const number of some) transaction.delete(chunkKey(number));
      });
      yield some.length;
    }
  }

  /** Chunks of which less than half is named, at most so many, those with most to gain first. */
  async sparse(): Promise<Map<number, SparseChunk>> {
    const found: { number: number; used: number; gain: number }[] = [];
    for (const [i, number] of this.numbers.entries()) {
      const [used, plain] = [this.used[i] as number, this.plain[i] as number];
      if (used > 0 && used < plain * sparseShare) found.push({ number, used, gain: plain - used });
    }
    found.sort((a, b) => b.gain - a.gain);
    const chosen = new Map<number, SparseChunk>();
    for (const { number, used } of found.slice(0, limits.sparseChunksMax)) {
      const record = await this.view.get(chunkKey(number), this.options);
      if (record !== undefined) chosen.set(number, { record: decode(chunkRecord, record), used });
    }
    return chosen;
  }

  private placeOf(chunk: number): number | undefined {
    const { numbers } = this;
    let low = 0;
    for (let high = numbers.length; low < high; ) {
      const middle = (low + high) >>> 1;
      if ((numbers[middle] as number) < chunk) low = middle + 1;
      else high = middle;
    }
    return numbers[low] === chunk ? low : undefined;
  }
}

/** A chunk's record with so many bytes less in use. */
export function withoutBytes(record: ChunkRecord, bytes: number): Buffer {
  return encode(chunkRecord, { ...record, live: Math.max(0, record.live - bytes) });
}
