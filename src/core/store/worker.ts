// Background work of a storage node: one face, listed by `infinit network workers`, slowed so that callers keep the machine.

import { asError, isError } from '../base/errors.ts';
import type { Startable } from '../base/lifecycle.ts';
import type { Cancel, Runtime } from '../runtime/runtime.ts';
import type { Throttle } from './throttle.ts';

export interface WorkerStatus {
  state: 'idle' | 'working' | 'stopped';
  /** Pieces of work that wait, as far as it is known. */
  backlog?: number;
  /** What it did since the start, by name. */
  counters: Record<string, number>;
  /** Why the last run ended early; gone when one succeeds. */
  lastError?: string;
}

/** One kind of work. `step` does a bounded piece and says whether more waits. */
export interface Work {
  readonly name: string;
  readonly counters: Record<string, number>;
  step(signal: AbortSignal): Promise<boolean>;
  /** Pieces that wait; undefined when nobody can tell. */
  backlog?(): number | undefined;
}

/** A worker that shares no throttle rests as long as it worked. */
const restFactor = 1;
const restMinMs = 5;

/** Runs one kind of work: at every wake and every `periodMs`, until nothing is left. What moves data shares a throttle. */
export class Worker implements Startable {
  readonly name: string;
  private readonly work: Work;
  private readonly runtime: Runtime;
  private readonly periodMs: number;
  private readonly throttle: Throttle | undefined;
  private readonly abort = new AbortController();
  private running: Promise<void> | undefined;
  private again = false;
  private cancelTimer: Cancel = () => {};
  private lastError: string | undefined;

  constructor(work: Work, runtime: Runtime, periodMs: number, throttle?: Throttle) {
    this.name = work.name;
    this.work = work;
    this.runtime = runtime;
    this.periodMs = periodMs;
    this.throttle = throttle;
  }

  start(): Promise<void> {
    this.wake();
    return Promise.resolve();
  }

  async stop(): Promise<void> {
    this.abort.abort();
    this.cancelTimer();
    await this.running;
  }

  /** Something changed: look again. */
  wake(): void {
    if (this.abort.signal.aborted) return;
    this.again = true;
    this.running ??= this.run().finally(() => {
      this.running = undefined;
      if (this.again) this.wake();
    });
  }

  status(): WorkerStatus {
    const state = this.abort.signal.aborted ? 'stopped' : this.running ? 'working' : 'idle';
    const backlog = this.work.backlog?.();
    return {
      state,
      ...(backlog === undefined ? {} : { backlog }),
      counters: { ...this.work.counters },
      ...(this.lastError === undefined ? {} : { lastError: this.lastError }),
    };
  }

  private async run(): Promise<void> {
    const { clock, log } = this.runtime;
    this.cancelTimer();
    let failed = false;
    try {
      while (this.again && !this.abort.signal.aborted) {
        this.again = false;
        while (!this.abort.signal.aborted && (await this.step()));
      }
      this.lastError = undefined;
    } catch (error) {
      if (isError(error, 'cancelled')) return;
      failed = true;
      this.lastError = asError(error).message;
      log.write('info', 'worker', `${this.name}: ${this.lastError}`);
    }
    this.again = false;
    if (!this.abort.signal.aborted)
      this.cancelTimer = clock.after(failed ? Math.min(1000, this.periodMs) : this.periodMs, () => this.wake());
  }

  /** One piece and the rest behind it; whether there is more. */
  private async step(): Promise<boolean> {
    const { clock } = this.runtime;
    const { signal } = this.abort;
    const began = clock.monotonic();
    const piece = () => this.work.step(signal);
    const more = this.throttle === undefined ? await piece() : await this.throttle.work(piece, { signal });
    const spentMs = clock.monotonic() - began;
    const restMs = this.throttle === undefined ? Math.max(restMinMs, spentMs * restFactor) : restMinMs;
    if (more) await clock.sleep(restMs, { signal });
    return more;
  }
}
