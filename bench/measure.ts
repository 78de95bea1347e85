// Measuring: callers that each have one call in flight, times of calls, medians of rounds, and waiting for a quiet machine.

import { loadavg } from 'node:os';

export interface Sample {
  perSecond: number;
  p50: number;
  p99: number;
}

/** `task` is called with 0, 1, ... by so many callers for that long; its first failure ends the measurement. */
export async function measure(
  callers: number,
  seconds: number,
  task: (i: number) => Promise<unknown>,
): Promise<Sample> {
  const times: number[] = [];
  const start = performance.now();
  const end = start + seconds * 1000;
  let next = 0;
  const caller = async () => {
    for (let from = performance.now(); from < end; ) {
      await task(next++);
      const to = performance.now();
      times.push(to - from);
      from = to;
    }
  };
  await Promise.all(Array.from({ length: callers }, caller));
  const elapsed = (performance.now() - start) / 1000;
  times.sort((a, b) => a - b);
  return { perSecond: times.length / elapsed, p50: at(times, 0.5), p99: at(times, 0.99) };
}

export function median(values: readonly number[]): number {
  return at(
    [...values].sort((a, b) => a - b),
    0.5,
  );
}

function at(sorted: readonly number[], part: number): number {
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * part))] ?? Number.NaN;
}

/** `median (least - most)`. */
export function spread(values: readonly number[], digits = 0): string {
  const text = (value: number) => value.toFixed(digits);
  return `${text(median(values))} (${text(Math.min(...values))}-${text(Math.max(...values))})`;
}

/** Waits until the load of the last minute is low, at most that long; the load there is then. */
export async function quiet(waitSeconds: number, loadMax = 0.7): Promise<number> {
  for (let waited = 0; ; waited++) {
    const load = loadavg()[0] as number;
    if (load < loadMax || waited >= waitSeconds) return load;
    await sleep(1000);
  }
}

export function sleep(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
