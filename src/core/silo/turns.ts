// Keeps the event loop free. What a silo does between two turns of the loop is counted, in records and in bytes, and what
// would go beyond the limits waits for the next turn, first come first served. Counts and not time: a busy machine changes
// nothing, and a run can be repeated.

import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';
import { Fifo } from './fifo.ts';

/** What work costs, in changes answered, whose callers then go on with work of their own. */
export const turnCosts = {
  /** A record laid out for a flush. */
  staged: 1 / 2,
  /** A durable record that shows in the index. */
  applied: 1 / 8,
  /** A slot of the index looked at, copied or restored. */
  slot: 1 / 64,
} as const;

const firstShare = 1 / 8;

interface Waiting {
  records: number;
  bytes: number;
  resolve(): void;
}

export class Turns {
  private readonly clock: Clock;
  /** At most as many as operations called and batches under way. */
  private readonly waiting = new Fifo<Waiting>();
  private records = 0;
  private bytes = 0;
  /** Of the limits, growing to one: what runs for the first time runs ten times as long. */
  private share = firstShare;
  /** Whether the next turn will be noticed. */
  private armed = false;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  /** Undefined when so much may be done at once; else resolves in the turn in which it may. More than fits a turn has its own. */
  take(records: number, bytes = 0): Promise<void> | undefined {
    if (this.waiting.length === 0 && this.fits(records, bytes)) {
      this.count(records, bytes);
      return undefined;
    }
    return new Promise((resolve) => {
      this.arm();
      this.waiting.push({ records, bytes, resolve });
    });
  }

  private arm(): void {
    if (this.armed) return;
    this.armed = true;
    this.clock.after(0, () => this.next());
  }

  private next(): void {
    this.armed = false;
    this.share = Math.min(1, 2 * this.share);
    this.records = this.bytes = 0;
    let first: Waiting | undefined;
    while ((first = this.waiting.first) !== undefined && this.fits(first.records, first.bytes)) {
      this.waiting.shift();
      this.count(first.records, first.bytes);
      first.resolve();
    }
    if (this.waiting.length > 0) this.arm();
  }

  private fits(records: number, bytes: number): boolean {
    if (this.records === 0 && this.bytes === 0) return true;
    const { siloTurnRecordsMax, siloTurnBytesMax } = limits;
    return this.records + records <= this.share * siloTurnRecordsMax && this.bytes + bytes <= siloTurnBytesMax;
  }

  private count(records: number, bytes: number): void {
    this.records += records;
    this.bytes += bytes;
    // Below half, turns are not worth noticing: a little work in each of many adds up to one needless wait at most.
    if (this.records > limits.siloTurnRecordsMax / 2 || this.bytes > limits.siloTurnBytesMax / 2) this.arm();
  }
}
