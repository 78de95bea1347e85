// The asking side of at-most-once (docs/protocols.md 4.6): numbers operations, and knows up to which one all were answered or
// given up, so that they are never asked for again.

import type { Bytes } from '../base/bytes.ts';
import { checkSignal, type Deferred, deferred } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';

export class ClientSession {
  readonly client: Bytes;
  private last = 0;
  private through = 0;
  private readonly ended = new Set<number>();
  private room: Deferred<void> = deferred<void>();

  constructor(client: Bytes) {
    this.client = client;
  }

  /** The next number; waits while the oldest operation without an answer is a whole window behind. */
  async take(signal?: AbortSignal): Promise<number> {
    while (this.last - this.through >= limits.sessionWindowMax) {
      await this.room.promise;
      checkSignal(signal);
    }
    return ++this.last;
  }

  /** Answered, or given up: not asked for again. */
  end(opSeq: number): void {
    this.ended.add(opSeq);
    const before = this.through;
    while (this.ended.delete(this.through + 1)) this.through++;
    if (this.through === before) return;
    this.room.resolve();
    this.room = deferred<void>();
  }

  get ackedThrough(): number {
    return this.through;
  }
}
