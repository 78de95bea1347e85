// What a simulation of mixed faults is told, and what it comes to.

import type { Coverage } from '../watch/coverage.ts';
import type { Violation } from '../watch/rules.ts';

export interface MixedOptions {
  seed: string;
  /** Storage nodes at the start; two more join later. */
  nodes: number;
  /** Clients of the key-value store; two more use the volume. */
  clients: number;
  /** Virtual minutes of load and faults. */
  minutes: number;
  overlay: 'chord' | 'kouncil' | 'kalimero';
  /** `skew10`: clocks are 10 % off, which may make local reads stale and nothing else; else they are in one seed of eight. */
  profile: Profile;
  /** Kinds of faults there are; all when empty. */
  faults: readonly string[];
  /** Ends as soon as something is broken. */
  eager: boolean;
}

export type Profile = 'mixed' | 'skew10';

export interface MixedResult {
  seed: string;
  violations: Violation[];
  coverage: Coverage;
  events: number;
  /** Without what everything slept. */
  virtualMs: number;
  /** Answered operations on keys, steps on files, operations on registers, turns with locks, blocks put. */
  operations: { keys: number; files: number; registers: number; locks: number; blocks: number };
  trace: string;
}

export const standard: Omit<MixedOptions, 'seed'> = {
  nodes: 4,
  clients: 2,
  minutes: 0.5,
  overlay: 'chord',
  profile: 'mixed',
  faults: [],
  eager: true,
};

/** The words that run it again. */
export function commandOf(options: MixedOptions): string {
  const { seed, ...rest } = options;
  const words = Object.entries(rest).flatMap(([name, value]) => {
    const usual = standard[name as keyof typeof standard];
    return String(value) === String(usual) || typeof value === 'boolean' ? [] : [`--${name} ${value}`];
  });
  return ['npm run simulate --', `--seed ${seed}`, ...words].join(' ');
}
