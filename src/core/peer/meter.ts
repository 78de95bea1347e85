// What a node counts of its calls: how long they take, by method, on both sides, and the bytes of its connections.

import type { Bytes } from '../base/bytes.ts';
import type { Counter, Histogram, Metrics } from '../base/metrics.ts';
import type { Clock, Connection, Endpoint } from '../runtime/runtime.ts';
import { sizeOf } from './frames.ts';

export class Meter {
  private readonly clock: Clock;
  private readonly calls: Histogram;
  private readonly served: Histogram;
  private readonly bytes: Counter;

  constructor(clock: Clock, metrics: Metrics) {
    this.clock = clock;
    this.calls = metrics.histogram('infinit_peer_call_seconds', 'Time until calls to other nodes end.', 'method');
    this.served = metrics.histogram(
      'infinit_peer_served_seconds',
      'Time calls of other nodes are worked on.',
      'method',
    );
    this.bytes = metrics.counter(
      'infinit_peer_bytes_total',
      'Bytes of frames exchanged with other nodes.',
      'direction',
    );
  }

  call<T>(method: string, result: Promise<T>): Promise<T> {
    return this.timed(this.calls, method, result);
  }

  serve<T>(method: string, result: Promise<T>): Promise<T> {
    return this.timed(this.served, method, result);
  }

  /** The same connection, its bytes counted. */
  watch(connection: Connection): Connection {
    return new MeteredConnection(connection, this.bytes);
  }

  private async timed<T>(times: Histogram, method: string, result: Promise<T>): Promise<T> {
    const began = this.clock.monotonic();
    try {
      return await result;
    } finally {
      times.observe(this.clock.monotonic() - began, method);
    }
  }
}

class MeteredConnection implements Connection {
  readonly remoteKey: Bytes;
  readonly remote: Endpoint;
  private readonly inner: Connection;
  private readonly bytes: Counter;

  constructor(inner: Connection, bytes: Counter) {
    this.inner = inner;
    this.bytes = bytes;
    this.remoteKey = inner.remoteKey;
    this.remote = inner.remote;
  }

  get queuedBytes(): number {
    return this.inner.queuedBytes;
  }

  send(parts: readonly Bytes[]): void {
    this.bytes.add(sizeOf(parts), 'sent');
    this.inner.send(parts);
  }

  drained(): Promise<void> {
    return this.inner.drained();
  }

  onFrame(receive: (frame: Buffer) => void): void {
    this.inner.onFrame((frame) => {
      this.bytes.add(frame.length, 'received');
      receive(frame);
    });
  }

  onClose(closed: (error?: Error) => void): void {
    this.inner.onClose(closed);
  }

  pause(): void {
    this.inner.pause();
  }

  resume(): void {
    this.inner.resume();
  }

  close(error?: Error): void {
    this.inner.close(error);
  }
}
