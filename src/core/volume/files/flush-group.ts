// Data of one or several files on its way into the tree by one operation, and those who wait for it.

import type { InfinitError } from '../../base/errors.ts';
import { type Deferred, deferred } from '../../base/lifecycle.ts';
import type { Flight } from './file-state.ts';

export class Group {
  readonly flights: readonly Flight[];
  private waiting: { sinceMs: number; ended: Deferred<void> }[] = [];
  private before: readonly Group[];
  private ended = false;

  /** `before`: groups with data of the same files that left earlier. */
  constructor(flights: readonly Flight[]) {
    this.flights = flights;
    this.before = [...new Set(flights.flatMap(({ state }) => [...state.groups]))];
  }

  /** Resolves when it has arrived or was given up; rejects when somebody's patience is at an end: it goes on all the same. */
  outcome(nowMs: number): Promise<void> {
    if (this.ended) return Promise.resolve();
    const ended = deferred<void>();
    this.waiting.push({ sinceMs: nowMs, ended });
    return ended.promise;
  }

  /** Whether it waits for one of these. */
  isBehind(others: ReadonlySet<Group>): boolean {
    return this.before.some((group) => others.has(group));
  }

  /** An attempt failed: told to those who have waited since then or longer. */
  failed(error: InfinitError, sinceMs: number): void {
    const patient = this.waiting.filter((waiter) => waiter.sinceMs > sinceMs);
    for (const waiter of this.waiting) if (waiter.sinceMs <= sinceMs) waiter.ended.reject(error);
    this.waiting = patient;
  }

  end(): void {
    this.ended = true;
    this.before = [];
    for (const { ended } of this.waiting.splice(0)) ended.resolve();
  }
}
