// Sends what waits in a client's own journal: in order, together, without what has cancelled itself; tried again while the network
// is not reached. What others came before with is kept beside, refused operations are told and kept; nothing is dropped unseen.

import type { Bytes } from '../../base/bytes.ts';
import { asError, type ErrorKind, InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, abortable, checkSignal, Mutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import { superKey } from '../keys.ts';
import type { Tree, WrittenChunk } from '../tree.ts';
import type { AsyncTree, Waiting } from './async-tree.ts';
import type { Late, LateView } from './late-view.ts';

const pauseMinMs = 500;
const pauseMaxMs = 10_000;
const batchBytesMax = limits.operationBytesMax / 2;
const conflictTriesMax = 8;

export interface SenderOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  tree: AsyncTree;
  late: LateView;
  /** Names the journal at the leader; 16 random bytes. */
  journal: Bytes;
  /** Part of names of conflict copies. */
  label: string;
  /** The network's tree; throws `unavailable`. */
  connect: () => Promise<Tree>;
  /** A conflict, or what keeps it from sending, in words. */
  tell: (text: string) => void;
  /** Keeps an operation that others made impossible; durable when it resolves. */
  refused: (operation: Waiting, reason: string) => Promise<void>;
}

export class Sender {
  private readonly options: SenderOptions;
  private readonly turn = new Mutex();
  private readonly stopped = new AbortController();
  private timer: Cancel | undefined;
  private pauseMs = pauseMinMs;
  private told: string | undefined;
  /** Why the last attempt failed. */
  lastError: InfinitError | undefined;

  constructor(options: SenderOptions) {
    this.options = options;
    options.tree.onWaiting = () => this.schedule(limits.asyncDelayMs);
  }

  start(): void {
    this.schedule(0);
  }

  /** Nothing is on its way when it resolves. */
  async stop(): Promise<void> {
    this.stopped.abort();
    this.timer?.();
    this.timer = undefined;
    await this.turn.run(async () => {});
  }

  /** All that waits now has happened in the network. Throws `unavailable`, and what else keeps it. */
  async drain(options: Abortable = {}): Promise<void> {
    await this.turn.run(async () => {
      const { tree } = this.options;
      await this.reach();
      while (tree.waiting.length > 0) {
        checkSignal(options.signal);
        await this.sendWindow();
      }
    });
  }

  private schedule(delayMs: number): void {
    if (this.timer !== undefined || this.stopped.signal.aborted) return;
    this.timer = this.options.runtime.clock.after(delayMs, () => {
      void this.attempt().finally(() => {
        this.timer = undefined;
        const { tree } = this.options;
        if (this.lastError !== undefined) this.schedule(this.pauseMs);
        else if (tree.waiting.length > 0) this.schedule(limits.asyncDelayMs);
      });
    });
  }

  /** Never rejects. */
  private async attempt(): Promise<void> {
    try {
      await this.drain({ signal: this.stopped.signal });
      await this.options.tree.lookAgain();
      this.lastError = undefined;
      this.pauseMs = pauseMinMs;
    } catch (error) {
      if (this.stopped.signal.aborted) return;
      this.lastError = asError(error);
      this.pauseMs = Math.min(2 * this.pauseMs, pauseMaxMs);
      const { kind, message } = this.lastError;
      this.tellOnce(message, kind);
      if (isError(error, 'unavailable', 'lost')) this.options.tree.remote = undefined;
      this.options.runtime.log.write('info', 'journal', `what was written waits: ${message}`, { kind });
    }
  }

  /** That the network is not reached is no news. */
  private tellOnce(message: string, kind: ErrorKind): void {
    if (kind === 'unavailable' || kind === 'lost' || message === this.told) return;
    this.told = message;
    this.options.tell(`what was written waits: ${message}`);
  }

  /** Makes sure of the network, and of numbers to give away. What was done there already does not wait. */
  private async reach(): Promise<void> {
    const { tree, late, connect, journal } = this.options;
    if (tree.remote !== undefined && tree.reserved > limits.asyncInodesMax / 4) return;
    const isNew = tree.remote === undefined;
    const { signal } = this.stopped;
    const remote = await abortable(connect(), { signal });
    if (isNew) {
      const through = late.queries.replayedOf(await remote.query(late.queries.replayed(journal), { signal }));
      if (tree.waiting.some(({ number }) => number <= through)) await tree.arrived(through);
    }
    if (tree.reserved <= limits.asyncInodesMax / 4) {
      const count = limits.asyncInodesMax;
      const first = late.operations.reservedOf(await remote.do(late.operations.reserve(count), { signal }));
      await tree.reserve(first, first + count);
    }
    tree.remote = remote;
    // Whatever is made counts in there.
    await tree.known.get(superKey);
  }

  private async sendWindow(): Promise<void> {
    const { tree, late } = this.options;
    let bytes = 0;
    const window: Waiting[] = [];
    for (const entry of tree.waiting) {
      for (const { stored } of late.chunksOf(entry.operation)) bytes += stored;
      if (window.length > 0 && (window.length >= limits.asyncWindowMax || bytes > limits.asyncWindowBytesMax)) break;
      window.push(entry);
    }
    const last = window.at(-1)?.number;
    if (last === undefined) return;
    // Their numbers are not given again to others, though the machine stops.
    await tree.sync();
    let batch: Waiting[] = [];
    let batchBytes = 0;
    for (const entry of late.squashed(window)) {
      const cost = entry.operation.length + entry.expected.length;
      if (batch.length > 0 && (batch.length === limits.asyncBatchMax || batchBytes + cost > batchBytesMax)) {
        await this.send(batch);
        batch = [];
        batchBytes = 0;
      }
      batch.push(entry);
      batchBytes += cost;
    }
    if (batch.length > 0) await this.send(batch);
    await tree.arrived(last);
  }

  /** Together; what does not go together goes in parts. */
  private async send(batch: readonly Waiting[]): Promise<void> {
    try {
      await this.replay(batch.map((entry) => ({ ...entry, without: [] })));
    } catch (error) {
      if (mayPass(error)) throw error;
      const [only] = batch;
      if (batch.length === 1 && only !== undefined) return this.sendOne(only);
      const half = Math.ceil(batch.length / 2);
      await this.send(batch.slice(0, half));
      await this.send(batch.slice(half));
    }
  }

  private async sendOne(entry: Waiting): Promise<void> {
    const { late, tell, refused } = this.options;
    const without = new Set<number>();
    for (let tries = 1; ; tries++) {
      try {
        return await this.replay([{ ...entry, without: [...without] }]);
      } catch (error) {
        if (mayPass(error)) throw error;
        const conflict = late.conflictOf(error);
        const reason = asError(error).message;
        if (conflict?.reason === 'changed' && tries < conflictTriesMax) {
          for (const inode of conflict.inodes) tell(await late.keepTheirs(inode, entry));
          continue;
        }
        if (conflict?.reason === 'gone' && conflict.inodes.every((inode) => without.has(inode))) return;
        await refused(entry, reason);
        if (conflict?.reason !== 'gone') return;
        for (const inode of conflict.inodes) without.add(inode);
      }
    }
  }

  private async replay(operations: readonly Late[]): Promise<void> {
    const { late, journal, label, tell, tree } = this.options;
    const chunks: WrittenChunk[] = [];
    const placed: Late[] = [];
    for (const one of operations) {
      const own = await this.uploaded(one.operation);
      chunks.push(...own);
      placed.push(own.length === 0 ? one : { ...one, operation: late.withChunks(one.operation, own) });
    }
    const { signal } = this.stopped;
    const reply = await tree.reached().do(late.operations.replay(journal, label, placed), { chunks, signal });
    for (const text of late.replayedTo(placed, reply)) tell(text);
  }

  private async uploaded(operation: Bytes): Promise<WrittenChunk[]> {
    const { tree, late } = this.options;
    const written: WrittenChunk[] = [];
    for (const { address } of late.chunksOf(operation)) {
      const cells = await tree.cellsOf(address);
      if (cells === undefined) throw new InfinitError('corrupt', 'the journal lacks data that it names');
      const [chunk, ...more] = await tree.reached().writeChunks(cells, { signal: this.stopped.signal });
      if (chunk === undefined || more.length > 0) throw new InfinitError('internal', 'a chunk was written as several');
      written.push(chunk);
    }
    return written;
  }
}

/** Worth waiting for: the network, room in it, the right to write there. */
function mayPass(error: unknown): boolean {
  if (isError(error, 'unavailable', 'lost', 'cancelled', 'internal', 'corrupt')) return true;
  if (!isError(error, 'full', 'denied')) return false;
  return error.data?.reason === undefined && error.data?.split !== true;
}
