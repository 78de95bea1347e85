// Two ends of what a third node carries, without that node: for tests of connections over it. The third may look and change.

import { InfinitError } from '../../src/core/base/errors.ts';
import { type Deferred, deferred } from '../../src/core/base/lifecycle.ts';
import type { Carrier, Clock } from '../../src/core/runtime/runtime.ts';

/** What the third does with bytes on their way: what it gives arrives. */
export type Meddler = (bytes: Buffer, towards: 'near' | 'far') => Buffer;

export function carrierPair(clock: Clock, meddle: Meddler = (bytes) => bytes): { near: Carrier; far: Carrier } {
  const near = new TestCarrier(clock, (bytes) => meddle(bytes, 'far'));
  const far = new TestCarrier(clock, (bytes) => meddle(bytes, 'near'));
  near.other = far;
  far.other = near;
  return { near, far };
}

class TestCarrier implements Carrier {
  readonly remote = { host: 'third', port: 1 };
  other: TestCarrier | undefined;
  private readonly clock: Clock;
  private readonly meddle: (bytes: Buffer) => Buffer;
  private readonly receiver: Deferred<(bytes: Buffer) => Promise<void>> = deferred();
  private notify: (error?: Error) => void = () => {};
  private last = Promise.resolve();
  private closed = false;

  constructor(clock: Clock, meddle: (bytes: Buffer) => Buffer) {
    this.clock = clock;
    this.meddle = meddle;
  }

  send(bytes: Uint8Array): Promise<void> {
    if (this.closed) return Promise.reject(new InfinitError('unavailable', 'closed'));
    const changed = this.meddle(Buffer.from(bytes));
    this.last = this.last.then(async () => {
      await this.clock.sleep(1);
      await (await this.other?.receiver.promise)?.(changed);
    });
    return this.last;
  }

  onData(receive: (bytes: Buffer) => Promise<void>): void {
    this.receiver.resolve(receive);
  }

  onClose(closed: (error?: Error) => void): void {
    this.notify = closed;
  }

  close(error?: Error): void {
    if (this.closed) return;
    this.closed = true;
    this.notify(error);
    const ended = error && new InfinitError('unavailable', 'the other end broke off');
    void this.last.then(() => this.other?.close(ended));
  }
}
