// How calls of several users share the event loop: each user's calls begin so many, and of so many bytes, in one turn of it, and the
// others wait for the next. Whoever sends a flood waits behind himself; the calls of everybody else begin in the turn they came in.

import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';

interface Share {
  calls: number;
  bytes: number;
}

export class Turns {
  private readonly clock: Pick<Clock, 'after'>;
  /** By user, what began in this turn. */
  private shares = new Map<string, Share>();
  private waiting: (() => void)[] = [];

  constructor(clock: Pick<Clock, 'after'>) {
    this.clock = clock;
  }

  /** Whether one more call of that user, of so many bytes, may begin now; if so it counts. One always may. */
  begin(user: string, bytes: number): boolean {
    const share = this.shares.get(user);
    if (share === undefined) {
      if (this.shares.size === 0) this.clock.after(0, () => this.next());
      this.shares.set(user, { calls: 1, bytes });
      return true;
    }
    if (share.calls >= limits.callsPerTurnMax || share.bytes + bytes > limits.callBytesPerTurnMax) return false;
    share.calls++;
    share.bytes += bytes;
    return true;
  }

  /** In the next turn; those who wait go in the order they came. */
  later(task: () => void): void {
    this.waiting.push(task);
  }

  private next(): void {
    this.shares = new Map();
    for (const task of this.waiting.splice(0)) task();
  }
}
