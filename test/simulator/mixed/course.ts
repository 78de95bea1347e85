// What a seed makes of its world besides the faults that strike: how far clocks are off, zones, how soon who is away counts as
// gone, whether everything sleeps for long, and how long the quiet at the end is.

import { limits } from '../../../src/core/base/limits.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { MixedOptions } from './options.ts';

export interface Course {
  /** Clocks are off by at most this part; above 1 % local reads may be stale. */
  clockError: number;
  /** Of the storage nodes, in turn; undefined: none says where it is. */
  zones: readonly string[] | undefined;
  /** Absence after which others take over. */
  evictionDelayMs: number;
  /** Everything is suspended now and then: sessions, leases and memories of what was run out. */
  sleeps: boolean;
  /** Quiet at the end, in which copies that belong elsewhere go. */
  calmMs: number;
  /** Of a node of mean capacity, under Chord: few in most seeds, because joining and keeping them is most of what a seed costs. */
  positions: number;
}

const zones = ['a', 'b', 'c'];
export const usualDelayMs = 600_000;
const usualError = 0.01;
const largeError = 0.1;

export function courseOf(random: SeededRandom, { profile, nodes }: MixedOptions): Course {
  const oneIn = (n: number) => random.below(n) === 0;
  const skewed = oneIn(8);
  return {
    clockError: profile === 'skew10' || skewed ? largeError : usualError,
    zones: oneIn(2) && nodes >= zones.length ? zones : undefined,
    evictionDelayMs: oneIn(2) ? 20_000 : usualDelayMs,
    sleeps: oneIn(3),
    calmMs: oneIn(4) ? 150_000 : 0,
    positions: oneIn(8) ? limits.chordPositions : limits.chordPositionsMin,
  };
}

/** Clocks differ by more than the protocol allows for local reads (docs/protocols.md 4.2, B6). */
export function readsMayBeStale({ clockError }: Course): boolean {
  return clockError > usualError;
}
