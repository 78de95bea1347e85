// Data of one or several files on its way into the tree by one operation, and those who wait for it.

import type { InfinitError } from '../../base/errors.ts';
import { type Deferred, deferred } from '../../base/lifecycle.ts';
import type { Flight } from './file-state.ts';

export class Group {
  readonly flights: readonly Flight[];
  private waiting: Deferred<void>[] = [];
  private ended = false;

  constructor(flights: readonly Flight[]) {
    this.flights = flights;
  }

  /** Resolves when it has arrived or was given up; rejects when an attempt fails before: it goes on all the same. */
  outcome(): Promise<void> {
    if (this.ended) return Promise.resolve();
    const waiter = deferred<void>();
    this.waiting.push(waiter);
    return waiter.promise;
  }

  attemptFailed(error: InfinitError): void {
    for (const waiter of this.waiting.splice(0)) waiter.reject(error);
  }

  end(): void {
    this.ended = true;
    for (const waiter of this.waiting.splice(0)) waiter.resolve();
  }
}
