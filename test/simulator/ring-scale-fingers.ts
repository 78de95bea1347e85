// Fingers of all nodes of a large ring at once, by walking the circle once for each slot: the same tables that `fingers.ts`
// fills entry by entry (a test compares them), in a time that lets a million nodes have theirs.

import { limits } from '../../src/core/base/limits.ts';
import type { Entry } from '../../src/core/overlay/ring.ts';

interface FingerArrays {
  readonly size: number;
  readonly entries: readonly Entry[];
  readonly fingers: Int32Array;
  readonly fingerSlots: number;
}

/** Hexadecimal digits of a point in each of the two numbers it is compared by. */
const halfDigits = 13;
const circle = 2 ** (4 * halfDigits);

/** Only levels above the spacing of lists exist (protocols 1.6). */
export function levelsFor(size: number): number {
  return Math.max(1, Math.ceil(Math.log2(size / limits.successorNodes) / 4));
}

/** Slot s, 15 a level from the longest on: the first of `live` (ranks in order) at or after p + digit * 16^level, before the next. */
export function fillFingers(ring: FingerArrays, live: Int32Array): void {
  const { entries, fingers, fingerSlots } = ring;
  const count = live.length;
  const half = (from: number) =>
    Float64Array.from(live, (rank) =>
      Number.parseInt((entries[rank] as Entry).point.slice(from, from + halfDigits), 16),
    );
  const high = half(0);
  const low = half(halfDigits);
  fingers.fill(-1);
  for (let slot = 0; slot < fingerSlots; slot++) {
    const unit = 2 ** (4 * (halfDigits - 1 - Math.floor(slot / 15)));
    const start = unit * (1 + (slot % 15));
    let next = 0;
    /** Whether the candidate comes `steps` after i or later; candidates count on behind the end of the circle. */
    const reached = (i: number, candidate: number, steps: number) => {
      const at = candidate % count;
      const ahead = (high[at] as number) + (candidate >= count ? circle : 0) - (high[i] as number) - steps;
      return ahead > 0 || (ahead === 0 && (low[at] as number) >= (low[i] as number));
    };
    for (let i = 0; i < count; i++) {
      if (next <= i) next = i + 1;
      while (next < i + count && !reached(i, next, start)) next++;
      if (next < i + count && !reached(i, next, start + unit))
        fingers[(live[i] as number) * fingerSlots + slot] = live[next % count] as number;
    }
  }
}
