// Group commit of the journal (docs/protocols.md 4.4): changes are numbered by the leader, gathered into batches and appended
// in order. A batch leaves when nothing is in flight, with all that is executed in the same turn of the event loop; else when it
// is full or the append before it has returned.

import type { Bytes } from '../base/bytes.ts';
import { asError, assert, type InfinitError } from '../base/errors.ts';
import { type Deferred, deferred } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { JournalWriter } from '../consensus/consensus.ts';
import type { Cancel, Clock } from '../runtime/runtime.ts';
import type { Change } from './messages.ts';

const volatileDelayMs = 1000;
/** Room for what sealing adds. */
const batchBytesMax = limits.journalBatchBytesMax - 8192;

interface Batch {
  changes: Change[];
  bytes: number;
  /** Somebody waits for it. */
  wanted: boolean;
  acknowledged: boolean;
  done: Deferred<void>;
}

export interface BatcherOptions {
  clock: Clock;
  writer: JournalWriter;
  /** Highest sequence issued so far. */
  sequence: number;
  seal(changes: readonly Change[]): Promise<Bytes>;
  /** Called in order, once for every change. */
  onAcknowledged(changes: readonly Change[]): void;
  /** The writer is dead: `conflict` when a higher epoch fenced it. Called once. */
  onEnded(error: InfinitError): void;
}

export class JournalBatcher {
  private readonly options: BatcherOptions;
  private writer: JournalWriter;
  /** Not yet appended; changes are added to the last one. */
  private readonly queue: Batch[] = [];
  private readonly inFlight: Batch[] = [];
  private order: Promise<void> = Promise.resolve();
  private timer: Cancel | undefined;
  private gathering: Cancel | undefined;
  private ended: InfinitError | undefined;
  private issuedThrough: number;
  private acknowledgedThrough: number;
  private waitingBytes = 0;
  /** Bytes of effects appended so far. */
  appendedBytes = 0;

  constructor(options: BatcherOptions) {
    this.options = options;
    this.writer = options.writer;
    this.issuedThrough = options.sequence;
    this.acknowledgedThrough = options.sequence;
  }

  get issued(): number {
    return this.issuedThrough;
  }
  get acknowledged(): number {
    return this.acknowledgedThrough;
  }
  /** Bytes issued and not appended: the executor waits above `limits.unappendedBytesMax`. */
  get unappendedBytes(): number {
    return this.waitingBytes;
  }

  /** Takes the next change in sequence. One that is not durable is appended within a second. */
  add(change: Change, bytes: number, durable: boolean): void {
    assert(change.sequence === this.issuedThrough + 1, 'changes are numbered without a hole');
    this.issuedThrough = change.sequence;
    let batch = this.queue.at(-1);
    const full =
      batch !== undefined &&
      (batch.acknowledged ||
        batch.bytes + bytes > batchBytesMax ||
        batch.changes.length >= limits.journalBatchOperationsMax);
    if (batch === undefined || full) {
      batch = { changes: [], bytes: 0, wanted: false, acknowledged: false, done: deferred<void>() };
      batch.done.promise.catch(() => {});
      this.queue.push(batch);
    }
    batch.changes.push(change);
    batch.bytes += bytes;
    this.waitingBytes += bytes;
    if (durable) batch.wanted = true;
    else this.timer ??= this.options.clock.after(volatileDelayMs, () => this.flush());
    if (this.ended) batch.done.reject(this.ended);
    else this.pump();
  }

  /** Resolves when a majority holds everything up to `sequence`; appends it if it still waits. */
  wait(sequence: number): Promise<void> {
    if (sequence <= this.acknowledgedThrough) return Promise.resolve();
    if (this.ended) return Promise.reject(this.ended);
    for (const batch of this.inFlight) if (lastOf(batch) >= sequence) return batch.done.promise;
    for (const batch of this.queue) {
      batch.wanted = true;
      if (lastOf(batch) < sequence) continue;
      this.pump();
      return batch.done.promise;
    }
    return Promise.resolve();
  }

  /** Appends what waits, durable or not. */
  flush(): void {
    this.timer?.();
    this.timer = undefined;
    for (const batch of this.queue) batch.wanted = true;
    this.pump();
  }

  /** Everything up to `sequence` is in the chosen root, whatever the journal says. It is appended all the same: no holes. */
  committed(sequence: number): void {
    for (const batch of [...this.inFlight, ...this.queue]) if (lastOf(batch) <= sequence) this.acknowledge(batch);
  }

  /** Goes on in another segment; everything issued must be acknowledged. */
  replaceWriter(writer: JournalWriter): void {
    assert(this.queue.length === 0 && this.inFlight.length === 0, 'a segment ends with all of it acknowledged');
    this.writer = writer;
  }

  /** Nothing is appended any more; whoever waits hears the error. */
  end(error: InfinitError): void {
    if (this.ended) return;
    this.ended = error;
    this.timer?.();
    this.gathering?.();
    for (const batch of [...this.inFlight, ...this.queue]) batch.done.reject(error);
    this.options.onEnded(error);
  }

  /** Sends what may leave; `gathered`: whoever could join the next batch has done so. */
  private pump(gathered = false): void {
    while (!this.ended && this.inFlight.length < limits.journalBatchesInFlightMax) {
      const [batch] = this.queue;
      const full = this.queue.length > 1;
      if (batch === undefined || !(full || (batch.wanted && this.inFlight.length === 0))) return;
      if (!full && !gathered) {
        this.gather();
        return;
      }
      this.queue.shift();
      this.inFlight.push(batch);
      this.waitingBytes -= batch.bytes;
      this.appendedBytes += batch.bytes;
      this.send(batch);
    }
  }

  private gather(): void {
    this.gathering ??= this.options.clock.after(0, () => {
      this.gathering = undefined;
      this.pump(true);
    });
  }

  /** Batches are sealed side by side and appended in order. */
  private send(batch: Batch): void {
    const sealed = this.options.seal(batch.changes);
    sealed.catch(() => {});
    const before = this.order;
    const appended = (async () => {
      const data = await sealed;
      await before;
      if (this.ended) throw this.ended;
      const first = batch.changes[0]?.sequence ?? 0;
      return { done: this.writer.append({ first, last: lastOf(batch), data }) };
    })();
    this.order = appended.then(
      () => {},
      () => {},
    );
    appended
      .then(({ done }) => done)
      .then(
        () => {
          this.acknowledge(batch);
          this.inFlight.splice(this.inFlight.indexOf(batch), 1);
          this.pump(true);
        },
        (error: unknown) => this.end(asError(error)),
      );
  }

  private acknowledge(batch: Batch): void {
    if (batch.acknowledged || this.ended) return;
    batch.acknowledged = true;
    this.acknowledgedThrough = lastOf(batch);
    this.options.onAcknowledged(batch.changes);
    batch.done.resolve();
  }
}

function lastOf(batch: Batch): number {
  return batch.changes.at(-1)?.sequence ?? 0;
}
