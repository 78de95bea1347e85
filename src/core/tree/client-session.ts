// The asking side of at-most-once (docs/protocols.md 4.6): numbers operations, and knows up to which one all were answered or
// given up, so that they are never asked for again.

import type { Bytes } from '../base/bytes.ts';

export class ClientSession {
  readonly client: Bytes;
  private last = 0;
  private through = 0;
  private readonly ended = new Set<number>();

  constructor(client: Bytes) {
    this.client = client;
  }

  take(): number {
    return ++this.last;
  }

  /** Answered, or given up: not asked for again. */
  end(opSeq: number): void {
    this.ended.add(opSeq);
    while (this.ended.delete(this.through + 1)) this.through++;
  }

  get ackedThrough(): number {
    return this.through;
  }
}
