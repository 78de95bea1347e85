// How calls of several users share the event loop: each user's calls begin so many, and of so many bytes, in one turn of it, and the
// others wait for the next. Whoever sends a flood waits behind himself; the calls of everybody else begin in the turn they came in. That
// turn is short whatever the calls cost: who has more to do than turns have room for begins the fewer in one, the longer they take.

import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';

interface Share {
  calls: number;
  bytes: number;
  /** Of the limits, what this user has. */
  readonly part: number;
  /** Calls had to wait. */
  full: boolean;
}

export class Turns {
  private readonly clock: Pick<Clock, 'after' | 'monotonic'>;
  /** By user, what began in this turn. */
  private shares = new Map<string, Share>();
  private beganAtMs = 0;
  /** By user, parts for the next turn that are not whole. */
  private parts = new Map<string, number>();
  private waiting: (() => void)[] = [];

  constructor(clock: Pick<Clock, 'after' | 'monotonic'>) {
    this.clock = clock;
  }

  /** Whether one more call of that user, of so many bytes, may begin now; if so it counts. One always may. */
  begin(user: string, bytes: number): boolean {
    const share = this.shares.get(user);
    if (share === undefined) {
      if (this.shares.size === 0) {
        this.beganAtMs = this.clock.monotonic();
        this.clock.after(0, () => this.next());
      }
      this.shares.set(user, { calls: 1, bytes, part: this.parts.get(user) ?? 1, full: false });
      return true;
    }
    const { callsPerTurnMax, callBytesPerTurnMax } = limits;
    share.full ||=
      share.calls >= share.part * callsPerTurnMax || share.bytes + bytes > share.part * callBytesPerTurnMax;
    if (share.full) return false;
    share.calls++;
    share.bytes += bytes;
    return true;
  }

  /** In the next turn; those who wait go in the order they came. */
  later(task: () => void): void {
    this.waiting.push(task);
  }

  private next(): void {
    const tookMs = this.clock.monotonic() - this.beganAtMs;
    this.parts = new Map();
    for (const [user, { full, part }] of this.shares) {
      const next = tookMs > limits.callsTurnMs ? part / 2 : tookMs < limits.callsTurnMs / 2 ? part * 2 : part;
      if (full && next < 1) this.parts.set(user, Math.max(next, 1 / limits.callsPerTurnMax));
    }
    this.shares = new Map();
    for (const task of this.waiting.splice(0)) task();
  }
}
