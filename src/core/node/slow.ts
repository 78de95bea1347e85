// A word to the person when an end takes long: what is waited for.

import type { Clock } from '../runtime/runtime.ts';

/** Nobody wonders before. */
const slowMs = 10_000;

/** Has it told, once, when the task takes long. */
export async function toldWhenSlow<T>(clock: Pick<Clock, 'after'>, task: Promise<T>, tell: () => void): Promise<T> {
  const cancel = clock.after(slowMs, tell);
  try {
    return await task;
  } finally {
    cancel();
  }
}
