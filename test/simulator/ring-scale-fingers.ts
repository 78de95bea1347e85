// Fingers of all nodes of a large ring at once, by walking the circle once for each slot: the same tables that `fingers.ts`
// fills entry by entry (a test compares them), in a time that lets a million nodes have theirs.

import { limits } from '../../src/core/base/limits.ts';
import type { Entry, Point } from '../../src/core/overlay/ring.ts';

interface FingerArrays {
  readonly size: number;
  readonly entries: readonly Entry[];
  /** `headOf` each. */
  readonly heads: Float64Array;
  readonly fingers: Int32Array;
  readonly fingerSlots: number;
}

/** Of a level. */
export const fingerDigits = 15;
/** Hexadecimal digits of a point that a number has room for. */
const headDigits = 13;
const circle = 2 ** (4 * headDigits);

/** The number a point begins with, which nearly always tells it from another. */
export function headOf(point: Point): number {
  return Number.parseInt(point.slice(0, headDigits), 16);
}

/** Only levels above the spacing of lists exist (protocols 1.6). */
export function levelsFor(size: number): number {
  return Math.max(1, Math.ceil(Math.log2(size / limits.successorNodes) / 4));
}

/** Slot s, 15 a level from the longest on: the first of `live` (ranks in order) at or after p + digit * 16^level, before the next. */
export function fillFingers(ring: FingerArrays, live: Int32Array): void {
  const { entries, heads, fingers, fingerSlots } = ring;
  const count = live.length;
  const high = Float64Array.from(live, (rank) => heads[rank] as number);
  const restOf = (at: number) => (entries[live[at] as number] as Entry).point.slice(headDigits);
  fingers.fill(-1);
  for (let slot = 0; slot < fingerSlots; slot++) {
    const unit = 2 ** (4 * (headDigits - 1 - Math.floor(slot / fingerDigits)));
    const start = unit * (1 + (slot % fingerDigits));
    let next = 0;
    /** Whether the candidate comes `steps` after i or later; candidates count on behind the end of the circle. */
    const reached = (i: number, candidate: number, steps: number) => {
      const at = candidate % count;
      const ahead = (high[at] as number) + (candidate >= count ? circle : 0) - (high[i] as number) - steps;
      return ahead > 0 || (ahead === 0 && restOf(at) >= restOf(i));
    };
    for (let i = 0; i < count; i++) {
      if (next <= i) next = i + 1;
      while (next < i + count && !reached(i, next, start)) next++;
      if (next < i + count && !reached(i, next, start + unit))
        fingers[(live[i] as number) * fingerSlots + slot] = live[next % count] as number;
    }
  }
}
