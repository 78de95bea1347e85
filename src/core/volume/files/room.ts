// How much data may be dirty at once: who wants more waits, in order.

import { type Abortable, cancelled, type Deferred, deferred } from '../../base/lifecycle.ts';

export class Room {
  private readonly bytesMax: number;
  private readonly waiting: { bytes: number; granted: Deferred<void> }[] = [];
  private taken = 0;

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax;
  }

  get used(): number {
    return this.taken;
  }

  /** Whether it was taken at once. More than there ever is room for is given when nothing else is taken. */
  tryTake(bytes: number): boolean {
    if (this.waiting.length > 0 || !this.fits(bytes)) return false;
    this.taken += bytes;
    return true;
  }

  /** Waits for the room. Throws `cancelled`. */
  async take(bytes: number, { signal }: Abortable = {}): Promise<void> {
    const entry = { bytes, granted: deferred<void>() };
    const abort = () => {
      const at = this.waiting.indexOf(entry);
      if (at < 0) return;
      this.waiting.splice(at, 1);
      entry.granted.reject(cancelled(signal));
      this.grant();
    };
    this.waiting.push(entry);
    signal?.addEventListener('abort', abort, { once: true });
    if (signal?.aborted) abort();
    this.grant();
    try {
      await entry.granted.promise;
    } finally {
      signal?.removeEventListener('abort', abort);
    }
  }

  give(bytes: number): void {
    this.taken -= bytes;
    this.grant();
  }

  private grant(): void {
    for (let next = this.waiting[0]; next !== undefined && this.fits(next.bytes); next = this.waiting[0]) {
      this.waiting.shift();
      this.taken += next.bytes;
      next.granted.resolve();
    }
  }

  private fits(bytes: number): boolean {
    return this.taken === 0 || this.taken + bytes <= this.bytesMax;
  }
}
