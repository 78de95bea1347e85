// Time of one simulated process: virtual time seen through a clock that may run fast or slow. Timers fire when that clock has
// reached them, never before.

import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Abortable, cancelled } from '../../../src/core/base/lifecycle.ts';
import type { Cancel, Clock } from '../../../src/core/runtime/runtime.ts';
import type { Life } from './host.ts';

const epochMs = Date.UTC(2030, 0, 1);

interface Timer {
  deadlineMs: number;
  task: () => void;
  cancel: Cancel;
}

export class VirtualClock implements Clock {
  private readonly life: Life;
  private readonly timers = new Set<Timer>();
  private baseUs: number;
  private baseMs: number;
  private readonly startMs: number;

  constructor(life: Life, startMs: number) {
    this.life = life;
    this.baseUs = life.host.world.timeUs;
    this.baseMs = Math.floor(startMs);
    this.startMs = this.baseMs - life.host.world.nowMs;
  }

  now(): number {
    return Math.floor(epochMs + this.monotonic() - this.startMs + this.life.host.wallOffsetMs);
  }

  monotonic(): number {
    return this.baseMs + ((this.life.host.world.timeUs - this.baseUs) / 1000) * this.life.host.clockRate;
  }

  sleep(timeMs: number, options: Abortable = {}): Promise<void> {
    const { signal } = options;
    return new Promise((resolve, reject) => {
      if (signal?.aborted) {
        reject(cancelled(signal));
        return;
      }
      const give = () => {
        stop();
        reject(cancelled(signal));
      };
      const stop = this.after(timeMs, () => {
        signal?.removeEventListener('abort', give);
        resolve();
      });
      signal?.addEventListener('abort', give, { once: true });
    });
  }

  after(timeMs: number, task: () => void): Cancel {
    if (Number.isNaN(timeMs)) throw new InfinitError('internal', 'a timer needs a time');
    if (!this.life.alive) return () => {};
    // At least a millisecond, as the real timers do it; or in this very moment, behind what is due by now.
    const timer: Timer = {
      deadlineMs: this.monotonic() + (timeMs > 0 ? Math.max(1, timeMs) : 0),
      task,
      cancel: () => {},
    };
    this.timers.add(timer);
    this.arm(timer);
    return () => {
      this.timers.delete(timer);
      timer.cancel();
    };
  }

  /** Applies a change of the clock's rate without a jump, and moves the timers. */
  rebase(change: () => void): void {
    this.baseMs = this.monotonic();
    this.baseUs = this.life.host.world.timeUs;
    change();
    for (const timer of this.timers) {
      timer.cancel();
      this.arm(timer);
    }
  }

  private arm(timer: Timer): void {
    const waitUs = ((timer.deadlineMs - this.monotonic()) * 1000) / this.life.host.clockRate;
    timer.cancel = this.life.schedule(Math.max(1, waitUs), `timer ${this.life.host.name}`, () => {
      if (this.monotonic() < timer.deadlineMs) {
        this.arm(timer);
        return;
      }
      this.timers.delete(timer);
      timer.task();
    });
  }
}
