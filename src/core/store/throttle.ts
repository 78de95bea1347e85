// Keeps background work out of the way of callers: while anybody is served, all background work of a node together rests twice
// as long as it worked, so that callers have the node for themselves most of the time; when nobody calls, it does not rest. A
// limit of bytes a second may be set besides.

import type { Abortable } from '../base/lifecycle.ts';
import { Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Handler, Method, Peers } from '../peer/peer.ts';
import type { Clock } from '../runtime/runtime.ts';

/** Callers that paused no longer than this are still there. */
const quietMs = 200;
/** What was worked is rested for this many times: callers get something of the working time too, and more than half is promised. */
const restFactor = 2;
/** A rest is looked at again this often: it ends when the callers do. */
const lookMs = 50;
/** Who waits for a background answer of this node does not wait longer than this for callers to be served. */
const serveWaitMs = 2000;

export interface ThrottleOptions {
  clock: Clock;
  /** Most bytes background work moves a second; undefined: no limit. */
  bytesPerSecond?: number | undefined;
}

export class Throttle {
  private readonly clock: Clock;
  private readonly bytesPerSecond: number | undefined;
  private readonly serving = new Semaphore(limits.backgroundServesMax);
  private callers = 0;
  private lastCallMs = Number.NEGATIVE_INFINITY;
  private restUntilMs = Number.NEGATIVE_INFINITY;
  private bytesUntilMs = Number.NEGATIVE_INFINITY;

  constructor({ clock, bytesPerSecond }: ThrottleOptions) {
    this.clock = clock;
    this.bytesPerSecond = bytesPerSecond;
  }

  /** Whether somebody is served now or was a moment ago. */
  get busy(): boolean {
    return this.callers > 0 || this.clock.monotonic() - this.lastCallMs < quietMs;
  }

  /** The same peers; who calls what is served there counts as a caller. */
  watching(peers: Peers): Peers {
    const serve = <Q, R>(method: Method<Q, R>, handler: Handler<Q, R>) =>
      peers.serve(method, async (request, context) => this.call(() => handler(request, context)));
    return Object.assign(Object.create(peers) as Peers, { serve });
  }

  /** Runs what somebody waits for. */
  async call<T>(task: () => Promise<T> | T): Promise<T> {
    this.callers++;
    try {
      return await task();
    } finally {
      this.callers--;
      this.lastCallMs = this.clock.monotonic();
    }
  }

  /** Runs a piece of background work when it is time, and notes how long others then have the node for themselves. */
  async work<T>(task: () => Promise<T>, options: Abortable = {}): Promise<T> {
    await this.rested(Number.POSITIVE_INFINITY, options);
    return this.measured(task);
  }

  /** Runs what background work of another node asks of this one: the same, but it is never kept waiting long. */
  serve<T>(task: () => Promise<T>): Promise<T> {
    const until = this.clock.monotonic() + serveWaitMs;
    return this.serving.run(async () => {
      await this.rested(until);
      return this.measured(task);
    });
  }

  /** Waits until that many more bytes are within the limit. */
  async bytes(count: number, options: Abortable = {}): Promise<void> {
    if (this.bytesPerSecond === undefined) return;
    const now = this.clock.monotonic();
    const aheadMs = Math.max(0, this.bytesUntilMs - now);
    this.bytesUntilMs = now + aheadMs + (count / this.bytesPerSecond) * 1000;
    if (aheadMs > 0) await this.clock.sleep(aheadMs, options);
  }

  private async rested(until: number, options: Abortable = {}): Promise<void> {
    for (;;) {
      const now = this.clock.monotonic();
      const leftMs = Math.min(this.restUntilMs, until) - now;
      if (leftMs <= 0 || !this.busy) return;
      await this.clock.sleep(Math.min(leftMs, lookMs), options);
    }
  }

  private async measured<T>(task: () => Promise<T>): Promise<T> {
    const began = this.clock.monotonic();
    try {
      return await task();
    } finally {
      const now = this.clock.monotonic();
      if (this.callers > 0 || this.lastCallMs > began - quietMs)
        this.restUntilMs = Math.max(this.restUntilMs, now) + (now - began) * restFactor;
    }
  }
}
