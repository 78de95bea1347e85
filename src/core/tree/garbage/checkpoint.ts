// How far a cycle is, kept in the tree itself, so that the next leader goes on where this one ended (docs/protocols.md 5): what of
// the chunk table is marked, and until when readers of what is gone are waited for. Inner nodes are few and walked anew.

import { type Bytes, concatBytes, u32Bytes } from '../../base/bytes.ts';
import { decode, encode, fixed, struct, u8, u16, u32, u48, u64 } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { address } from '../../block/address.ts';
import { keyBytes } from '../../crypto/cipher.ts';
import type { CollectedTree } from '../collected.ts';
import { spaceKey, spaceRange } from '../keys.ts';
import type { MapReader, Tree } from '../tree.ts';
import type { Marks } from './marks.ts';

const headKey = spaceKey('garbage', Buffer.from([1]));
const partTag = Buffer.from([2]);
const format = 1;
/** All of an address that marks are made of. */
const markBytes = 16;
const cellMarks = limits.cellBytesMax / markBytes;

const checkpointHead = struct({
  format: u8,
  /** Of the cycle; one more than the root's while it has not got so far. */
  generation: u32,
  /** Wall time. */
  graceUntilMs: u64,
  /** First word of the window of addresses that is marked. */
  first: u32,
  /** Number of the chunk to go on from. */
  next: u48,
  parts: u32,
});

/** A chunk of marks. */
const checkpointPart = struct({ address, key: fixed(keyBytes), cells: u16 });

export interface CheckpointParts {
  io: Pick<Tree, 'readCells' | 'writeChunks'>;
  /** Marks of chunks after which it is kept again. */
  marksMax?: number | undefined;
}

export class Checkpoint {
  generation: number;
  graceUntilMs: number;
  first = 0;
  /** Chunks below are marked. */
  next = 0;
  private readonly io: CheckpointParts['io'];
  private readonly marksMax: number;
  private parts = 0;
  private fresh: Bytes[] = [];

  constructor({ io, marksMax = limits.checkpointMarksMax }: CheckpointParts, generation: number, graceUntilMs: number) {
    this.io = io;
    this.marksMax = marksMax;
    this.generation = generation;
    this.graceUntilMs = graceUntilMs;
  }

  /** That of a cycle which has not ended, if there is one. */
  static async load(parts: CheckpointParts, view: Pick<MapReader, 'get'>): Promise<Checkpoint | undefined> {
    const record = await view.get(headKey);
    if (record === undefined) return undefined;
    const head = decode(checkpointHead, record);
    const loaded = new Checkpoint(parts, head.generation, head.graceUntilMs);
    Object.assign(loaded, { first: head.first, next: head.next, parts: head.parts });
    return loaded;
  }

  /** How many marks wait to be kept. */
  get waiting(): number {
    return this.fresh.length;
  }

  /** Marks of chunks that an earlier leader made. */
  async restore(view: Pick<MapReader, 'get'>, marks: Marks, options: Abortable = {}): Promise<void> {
    for (let part = 0; part < this.parts; part++) {
      checkSignal(options.signal);
      const record = await view.get(partKey(part));
      if (record === undefined) throw new InfinitError('lost', 'marks of a garbage cycle are gone');
      const { cells, ...chunk } = decode(checkpointPart, record);
      for (const cell of await this.io.readCells(chunk, 0, cells, options))
        for (let at = 0; at + markBytes <= cell.length; at += markBytes) marks.add(cell.subarray(at, at + markBytes));
    }
  }

  marked(chunk: Bytes): void {
    this.fresh.push(Buffer.from(chunk.subarray(0, markBytes)));
  }

  /** All chunks below are marked: kept now and then. */
  async reached(tree: CollectedTree, next: number, options: Abortable = {}): Promise<void> {
    if (this.fresh.length < this.marksMax) return;
    const fresh = this.fresh.splice(0);
    const cells: Bytes[] = [];
    for (let at = 0; at < fresh.length; at += cellMarks) cells.push(concatBytes(fresh.slice(at, at + cellMarks)));
    const written = await this.io.writeChunks(cells, options);
    this.next = next;
    await tree.change(async (transaction) => {
      for (const [i, chunk] of written.entries())
        transaction.put(partKey(this.parts + i), encode(checkpointPart, { ...chunk, cells: chunk.cells.length }));
      transaction.put(headKey, this.head(written.length));
    }, written);
    this.parts += written.length;
  }

  /** Nothing is marked from that address on. */
  async window(tree: CollectedTree, first: number): Promise<void> {
    await this.replace(tree, { first, next: 0 });
  }

  /** Takes the place of whatever is kept. */
  async begin(tree: CollectedTree): Promise<void> {
    await this.replace(tree, { first: 0, next: 0 });
  }

  async end(tree: CollectedTree): Promise<void> {
    await tree.change(async (transaction) => {
      transaction.delete(headKey);
      deleteParts(transaction);
    });
  }

  private async replace(tree: CollectedTree, place: { first: number; next: number }): Promise<void> {
    Object.assign(this, place, { parts: 0, fresh: [] });
    await tree.change(async (transaction) => {
      deleteParts(transaction);
      transaction.put(headKey, this.head(0));
    });
  }

  private head(more: number): Bytes {
    const { generation, graceUntilMs, first, next } = this;
    return encode(checkpointHead, { format, generation, graceUntilMs, first, next, parts: this.parts + more });
  }
}

function partKey(part: number): Buffer {
  return spaceKey('garbage', partTag, u32Bytes(part));
}

function deleteParts(transaction: { deleteRange(from: Bytes, to: Bytes): void }): void {
  const { from, to } = spaceRange('garbage', partTag);
  transaction.deleteRange(from, to);
}
