// Numbers of inodes and chunks: never handed out twice. The super record holds the next free one; the leader takes ranges,
// so that a number rarely costs a record.

import { decode, encode } from '../base/codec.ts';
import type { LayeredReader } from './base/layered-reader.ts';
import { OverlayTransaction } from './base/overlay-transaction.ts';
import { type SuperRecord, superKey, superRecord } from './keys.ts';
import type { Transaction } from './tree.ts';

type Counter = 'inode' | 'chunk';
type Ranges = Record<Counter, { next: number; end: number }>;

const rangeLength = 1024;
const fields = { inode: 'nextInode', chunk: 'nextChunk' } as const;
/** Numbers below have fixed meanings (root directory 1, device 2). */
const first = 16;

export class Counters {
  private ranges: Ranges = { inode: { next: 0, end: 0 }, chunk: { next: 0, end: 0 } };

  /** What an operation that fails goes back to: the ranges it took were never recorded. */
  mark(): Ranges {
    return { inode: { ...this.ranges.inode }, chunk: { ...this.ranges.chunk } };
  }
  restore(ranges: Ranges): void {
    this.ranges = ranges;
  }

  /** One that hands out numbers. */
  transaction(below: LayeredReader, sequence: number): OverlayTransaction {
    const transaction: OverlayTransaction = new OverlayTransaction(below, {
      sequence,
      allocate: (counter) => this.allocate(counter, transaction),
      willAllocate: (inode) => inode >= this.ranges.inode.next && inode < this.ranges.inode.end,
    });
    return transaction;
  }

  async allocate(counter: Counter, transaction: Pick<Transaction, 'get' | 'put'>): Promise<number> {
    const range = this.ranges[counter];
    if (range.next === range.end) {
      const record = await readSuper(transaction);
      range.next = record[fields[counter]];
      range.end = range.next + rangeLength;
      transaction.put(superKey, encode(superRecord, { ...record, [fields[counter]]: range.end }));
    }
    return range.next++;
  }
}

/** The super record, or that of a tree that has none yet. */
export async function readSuper(transaction: Pick<Transaction, 'get'>): Promise<SuperRecord> {
  const bytes = await transaction.get(superKey);
  if (bytes !== undefined) return decode(superRecord, bytes);
  return {
    format: 1,
    view: '',
    nextInode: first,
    nextChunk: first,
    bytesUsed: 0,
    inodesUsed: 0,
    quota: 0,
    defaultMode: 0,
    createdMs: 0,
  };
}
