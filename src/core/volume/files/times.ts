// Times a client gives to what it does: its clock's, never going back but for a clock that was set, and no two alike.

import type { Clock } from '../../runtime/runtime.ts';
import type { FileTime } from './files.ts';

/** A clock that goes back further was set: followed at once. */
const setBackMs = 1000;

export class FileTimes {
  private readonly clock: Clock;
  private lastMs = 0;
  private count = 0;

  constructor(clock: Clock) {
    this.clock = clock;
  }

  now(): FileTime {
    const now = this.clock.now();
    const stands = now <= this.lastMs && this.lastMs - now < setBackMs;
    if (!stands) {
      this.lastMs = now;
      this.count = 0;
    } else if (++this.count === 1_000_000) {
      this.lastMs++;
      this.count = 0;
    }
    const seconds = Math.floor(this.lastMs / 1000);
    return { seconds, nanoseconds: (this.lastMs - seconds * 1000) * 1_000_000 + this.count };
  }
}

export function timeMs({ seconds, nanoseconds }: FileTime): number {
  return seconds * 1000 + nanoseconds / 1_000_000;
}

export function isLater(a: FileTime, b: FileTime): boolean {
  return a.seconds > b.seconds || (a.seconds === b.seconds && a.nanoseconds > b.nanoseconds);
}

/** The first after it. */
export function nextTime({ seconds, nanoseconds }: FileTime): FileTime {
  return nanoseconds < 999_999_999
    ? { seconds, nanoseconds: nanoseconds + 1 }
    : { seconds: seconds + 1, nanoseconds: 0 };
}
