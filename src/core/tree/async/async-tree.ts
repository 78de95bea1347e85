// A tree with a journal of its own (decision 029): operations are done here at once, over what is known of the network and what
// waits to be sent, and kept in a log on this disk; the sender has them done in the network later. Whoever uses the tree sees
// what it did itself at once and what others did within a second or so, or as it was when the network was last reached.

import { asBuffer, type Bytes, toHex } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, abortable, checkSignal, Mutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { keyBytes } from '../../crypto/cipher.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import { LayeredReader } from '../base/layered-reader.ts';
import { OverlayTransaction } from '../base/overlay-transaction.ts';
import { Memtable } from '../memtable.ts';
import type { DoOptions, Effect, Tree, TreeView, WrittenChunk } from '../tree.ts';
import { KnownRecords, keyBehind } from './known.ts';
import { KnownLog } from './known-log.ts';
import type { LateView } from './late-view.ts';
import { AsyncLog, type LateEntry, type LogRecord, type Place } from './log.ts';

/** Chunks named here only have numbers from here on. */
const firstOwnChunk = 2 ** 46;
const roomPollMs = 200;

export interface AsyncTreeOptions {
  runtime: Pick<Runtime, 'clock' | 'random' | 'files' | 'log'>;
  view: TreeView;
  late: LateView;
  folder: string;
  /** Of the journal alone. */
  key: Bytes;
  bytesMax?: number | undefined;
  /** As of the log. */
  torn?: ((path: string, bytes: number) => void) | undefined;
}

/** An operation that waits. */
export interface Waiting extends LateEntry {
  place: Place;
  atMs: number;
}

export interface AsyncFacts {
  operations: number;
  bytes: number;
}

/** The part that needs no network: what was done here, and what is known. */
export class AsyncTree {
  readonly waiting: Waiting[] = [];
  readonly known: KnownRecords;
  /** The network's tree, while it is reached. */
  remote: Tree | undefined;
  onWaiting: () => void = () => {};
  private readonly options: AsyncTreeOptions;
  private readonly turn = new Mutex();
  /** Inodes that were made here, by what waits. */
  private readonly made = new Set<number>();
  private readonly chunks = new Map<string, { place: Place; cells: number[] }>();
  /** Files of which it is not known where data lies that was sent, the latest last. */
  private readonly unseen = new Set<number>();
  private overlay = new Memtable({ bytesMax: limits.asyncOverlayBytesMax });
  private opened: AsyncLog | undefined;
  private cancelSync: Cancel | undefined;
  private knownLog: KnownLog | undefined;
  private next = 1;
  private sent = 0;
  private inode = { next: 0, end: 0 };
  private chunk = firstOwnChunk;

  constructor(options: AsyncTreeOptions) {
    this.options = options;
    this.known = new KnownRecords({
      clock: options.runtime.clock,
      fetch: (from, to, asked) => this.fetch(from, to, asked),
      isReached: () => this.remote !== undefined,
      isOurs: (from, to) => this.made.size > 0 && this.made.has(options.late.ownerOf(from, to) ?? 0),
    });
  }

  /** Reads the log. Throws `corrupt`. */
  async open(): Promise<void> {
    const { runtime, folder, key, torn } = this.options;
    const begin = () => ({ next: this.next, inode: this.inode.next, inodeEnd: this.inode.end, sent: this.sent });
    let skip = 0;
    const noted = (path: string, bytes: number) => {
      skip = limits.asyncTornSkip;
      torn?.(path, bytes);
    };
    const options = { runtime, folder, key, begin, torn: noted };
    this.opened = await AsyncLog.open(options, (record, place) => this.load(record, place));
    // What was there may have been sent: its numbers are not given again.
    this.next += skip;
    this.inode.next = Math.min(this.inode.next + skip, this.inode.end);
    const kept = () => this.syncSoon();
    this.knownLog = await KnownLog.open({ runtime, folder: `${folder}/known`, key, kept }, this.known);
    this.dropSent();
    for (const { effects, made } of this.waiting) {
      this.overlay.apply(effects);
      if (made !== undefined) this.made.add(made);
    }
  }

  get facts(): AsyncFacts {
    return { operations: this.waiting.length, bytes: this.log.bytes };
  }

  get reserved(): number {
    return this.inode.end - this.inode.next;
  }

  /** Inode numbers to give away; what is left of earlier ones is given up. */
  async reserve(from: number, to: number): Promise<void> {
    await this.turn.run(async () => {
      this.inode = { next: from, end: to };
      await this.log.append({ type: 'reserved', from, to });
    });
  }

  comesLate(operation: Bytes): boolean {
    return this.options.late.comesLate(operation);
  }

  /** Done here, and in the log, when it resolves; on the disk unless `durable` is false. */
  async do(operation: Bytes, { durable = true, signal }: DoOptions = {}): Promise<Bytes> {
    await this.room({ signal });
    return this.turn.run(async () => {
      checkSignal(signal);
      const below = this.reader();
      const transaction = new OverlayTransaction(below, {
        sequence: this.next,
        allocate: (what) => this.allocate(what),
        willAllocate: (inode) => inode >= this.inode.next && inode < this.inode.end,
      });
      const before = this.inode.next;
      const expected = await this.options.late.expected(operation, below);
      const reply = await this.options.view.execute(operation, transaction);
      const effects = transaction.effects();
      const made = this.inode.next > before ? before : undefined;
      const entry: LateEntry = { number: this.next, made, expected, operation, effects };
      const place = await this.log.append({ type: 'operation', ...entry });
      this.next++;
      this.overlay.apply(effects);
      if (made !== undefined) this.made.add(made);
      this.waiting.push({ ...entry, place, atMs: this.options.runtime.clock.monotonic() });
      if (durable) await this.log.sync();
      else this.syncSoon();
      this.onWaiting();
      return reply;
    });
  }

  async query(query: Bytes): Promise<Bytes> {
    const reply = await this.options.view.query(query, this.reader());
    this.options.late.looked(query, reply);
    return reply;
  }

  sync(): Promise<void> {
    return this.log.sync();
  }

  private syncSoon(): void {
    this.cancelSync ??= this.options.runtime.clock.after(limits.asyncSyncMs, () => {
      this.cancelSync = undefined;
      // Whoever asks for it is told what it throws.
      void this.log.sync().catch(() => {});
      void this.knownLog?.sync();
    });
  }

  /** Cells are kept in the log as long as an operation that waits names them. */
  async writeChunks(cells: readonly Bytes[], options: Abortable = {}): Promise<WrittenChunk[]> {
    await this.room(options);
    const packs: Bytes[][] = [];
    let bytes = Number.POSITIVE_INFINITY;
    for (const cell of cells) {
      if (bytes + cell.length > limits.packBytesMax || packs.at(-1)?.length === limits.chunkCellsMax) {
        packs.push([]);
        bytes = 0;
      }
      packs.at(-1)?.push(cell);
      bytes += cell.length;
    }
    return Promise.all(packs.map((pack) => this.writeChunk(pack)));
  }

  async readCells(
    chunk: { address: Bytes; key: Bytes },
    first: number,
    count: number,
    options: Abortable = {},
  ): Promise<Bytes[]> {
    const own = await this.cellsOf(chunk.address);
    if (own !== undefined) return own.slice(first, first + count);
    return this.reached().readCells(chunk, first, count, options);
  }

  /** Of a chunk that is here only. */
  async cellsOf(address: Bytes): Promise<Bytes[] | undefined> {
    const own = this.chunks.get(toHex(address));
    if (own === undefined) return undefined;
    const record = await this.log.read(own.place);
    if (record.type !== 'chunk') throw new InfinitError('corrupt', 'the journal has no data at a place of it');
    return record.cells;
  }

  /** All the data an operation names that waits. */
  async dataOf({ operation }: LateEntry): Promise<(LogRecord & { type: 'chunk' })[]> {
    const data: (LogRecord & { type: 'chunk' })[] = [];
    for (const { address } of this.options.late.chunksOf(operation)) {
      const cells = await this.cellsOf(address);
      if (cells !== undefined) data.push({ type: 'chunk', address: asBuffer(address), cells });
    }
    return data;
  }

  reached(): Tree {
    if (this.remote !== undefined) return this.remote;
    throw new InfinitError('unavailable', 'the network is not reached, and this is not known here');
  }

  /** All up to that number have happened in the network: read from there from now on. */
  async arrived(through: number): Promise<void> {
    await this.turn.run(async () => {
      const { late } = this.options;
      const gone = this.waiting.slice(0, countTo(this.waiting, through));
      await Promise.all(gone.map(({ effects }) => this.known.suppose(effects, (key) => late.isSame(key))));
      // What is not in the log any more is known instead.
      await this.knownLog?.sync();
      this.sent = through;
      await this.log.append({ type: 'sent', through });
      this.waiting.splice(0, gone.length);
      for (const { effects, made } of gone) {
        this.noteUnseen(effects);
        if (made !== undefined) this.made.delete(made);
      }
      this.overlay = new Memtable({ bytesMax: limits.asyncOverlayBytesMax });
      for (const { effects } of this.waiting) this.overlay.apply(effects);
      this.forgetChunks(gone);
      if (this.waiting.length === 0 && this.log.bytes > limits.asyncSegmentBytes / 8) await this.log.renew();
      await this.log.drop(this.oldestNeeded());
    });
  }

  /** Sees where data lies that was sent, so that it can be written over without the network; while nothing waits. Throws `unavailable`. */
  async lookAgain(): Promise<void> {
    for (const inode of this.unseen) {
      if (this.waiting.length > 0) return;
      try {
        await this.options.late.seeData(inode, (query) => this.query(query));
      } catch (error) {
        if (isError(error, 'unavailable')) throw error; // else it is gone
      }
      this.unseen.delete(inode);
    }
  }

  async close(): Promise<void> {
    this.cancelSync?.();
    await this.turn.run(() => this.log.close());
    await this.knownLog?.close();
  }

  private get log(): AsyncLog {
    if (this.opened === undefined) throw new InfinitError('internal', 'the journal is not open');
    return this.opened;
  }

  private noteUnseen(effects: readonly Effect[]): void {
    const { late } = this.options;
    for (const effect of effects) {
      if (effect.type !== 'put' || late.isSame(effect.key)) continue;
      const inode = late.ownerOf(effect.key, keyBehind(effect.key));
      if (inode !== undefined) remember(this.unseen, inode);
    }
  }

  private reader(): LayeredReader<KnownRecords> {
    return new LayeredReader([this.overlay], this.known);
  }

  private async fetch(from: Bytes, to: Bytes, { signal }: Abortable) {
    const tree = this.reached();
    const { records, recordsOf } = this.options.late.queries;
    const patience = new AbortController();
    const cancel = this.options.runtime.clock.after(limits.asyncPatienceMs, () => patience.abort());
    try {
      return recordsOf(await abortable(tree.query(records(from, to), { signal }), { signal: patience.signal }));
    } catch (error) {
      if (isError(error, 'unavailable') || patience.signal.aborted) {
        this.remote = undefined;
        this.onWaiting();
        throw new InfinitError('unavailable', 'the network is not reached', { cause: error });
      }
      throw error;
    } finally {
      cancel();
    }
  }

  private async allocate(what: 'inode' | 'chunk'): Promise<number> {
    if (what === 'chunk') return this.chunk++;
    if (this.inode.next >= this.inode.end)
      throw new InfinitError('unavailable', 'nothing can be made before the network was reached: no numbers are left');
    return this.inode.next++;
  }

  private async writeChunk(cells: Bytes[]): Promise<WrittenChunk> {
    const { random } = this.options.runtime;
    const address = random.bytes(32);
    const place = await this.log.append({ type: 'chunk', address, cells });
    const lengths = cells.map((cell) => cell.length);
    this.chunks.set(toHex(address), { place, cells: lengths });
    return {
      address,
      key: Buffer.alloc(keyBytes),
      stored: place.length,
      cells: lengths,
      generation: 0,
    } as WrittenChunk;
  }

  /** Waits while too much waits to be sent. Throws `full` when that lasts. */
  private async room({ signal }: Abortable): Promise<void> {
    const { clock } = this.options.runtime;
    const bytesMax = this.options.bytesMax ?? limits.asyncBytesMax;
    const isFull = () =>
      this.log.bytes > bytesMax ||
      this.waiting.length >= limits.asyncQueueMax ||
      this.overlay.bytes > limits.asyncOverlayBytesMax / 2;
    const deadline = clock.monotonic() + limits.operationDeadlineMs;
    while (isFull()) {
      if (clock.monotonic() > deadline)
        throw new InfinitError('full', 'the journal of this mount is full: the network must take some of it first');
      this.onWaiting();
      await clock.sleep(roomPollMs, { signal });
    }
  }

  private load(record: LogRecord, place: Place): void {
    if (record.type === 'begin') {
      this.next = Math.max(this.next, record.next);
      this.inode = { next: record.inode, end: record.inodeEnd };
      this.sent = Math.max(this.sent, record.sent);
    } else if (record.type === 'reserved') this.inode = { next: record.from, end: record.to };
    else if (record.type === 'sent') this.sent = Math.max(this.sent, record.through);
    else if (record.type === 'chunk')
      this.chunks.set(toHex(record.address), { place, cells: record.cells.map((cell) => cell.length) });
    else if (record.type === 'operation') {
      const { type: _, ...entry } = record;
      this.next = entry.number + 1;
      if (entry.made !== undefined) this.inode.next = entry.made + 1;
      this.waiting.push({ ...entry, place, atMs: 0 });
      for (const effect of entry.effects) this.chunk = Math.max(this.chunk, ownChunk(effect) + 1);
    }
  }

  private dropSent(): void {
    const gone = this.waiting.splice(0, countTo(this.waiting, this.sent));
    this.forgetChunks(gone);
    const named = new Set(this.waiting.flatMap(({ operation }) => this.namedBy(operation)));
    for (const address of [...this.chunks.keys()]) if (!named.has(address)) this.chunks.delete(address);
  }

  private forgetChunks(gone: readonly LateEntry[]): void {
    for (const { operation } of gone) for (const address of this.namedBy(operation)) this.chunks.delete(address);
  }

  private namedBy(operation: Bytes): string[] {
    return this.options.late.chunksOf(operation).map(({ address }) => toHex(address));
  }

  private oldestNeeded(): number {
    let oldest = Math.min(this.log.newest, this.waiting[0]?.place.segment ?? this.log.newest);
    for (const { place } of this.chunks.values()) oldest = Math.min(oldest, place.segment);
    return oldest;
  }
}

function remember(inodes: Set<number>, inode: number): void {
  inodes.delete(inode);
  inodes.add(inode);
  const [oldest] = inodes;
  if (inodes.size > limits.asyncLookAgainMax && oldest !== undefined) inodes.delete(oldest);
}

function countTo(waiting: readonly Waiting[], through: number): number {
  const index = waiting.findIndex(({ number }) => number > through);
  return index < 0 ? waiting.length : index;
}

/** The number of a chunk that is here only, from its record. */
function ownChunk(effect: Effect): number {
  if (effect.type !== 'put' || effect.key[0] !== 'c'.charCodeAt(0) || effect.key.length !== 7) return 0;
  return asBuffer(effect.key).readUIntBE(1, 6);
}
