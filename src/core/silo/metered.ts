// A silo whose operations are counted and timed.

import type { Bytes } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import type { Counter, Histogram, Metrics } from '../base/metrics.ts';
import type { StoreId } from '../block/address.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Silo, SiloEntry, SiloKey, SiloStart, SiloUsage, Space } from './silo.ts';

export class MeteredSilo implements Silo {
  private readonly inner: Silo;
  private readonly clock: Clock;
  private readonly times: Histogram;
  private readonly bytes: Counter;

  constructor(inner: Silo, clock: Clock, metrics: Metrics) {
    this.inner = inner;
    this.clock = clock;
    this.times = metrics.histogram('infinit_silo_seconds', 'Time of operations of silos.', 'operation');
    this.bytes = metrics.counter(
      'infinit_silo_bytes_total',
      'Bytes of values read from and put into silos.',
      'direction',
    );
  }

  get storeId(): StoreId {
    return this.inner.storeId;
  }

  async get(space: Space, key: SiloKey, options?: Abortable): Promise<Buffer> {
    return this.read('get', this.inner.get(space, key, options));
  }

  async getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer> {
    return this.read('get', this.inner.getRange(space, key, offset, length));
  }

  size(space: Space, key: SiloKey): Promise<number | undefined> {
    return this.inner.size(space, key);
  }

  async put(space: Space, key: SiloKey, value: Bytes): Promise<void> {
    await this.timed('put', this.inner.put(space, key, value));
    this.bytes.add(value.length, 'written');
  }

  async delete(space: Space, key: SiloKey): Promise<void> {
    await this.timed('delete', this.inner.delete(space, key));
  }

  async batch(entries: readonly SiloEntry[]): Promise<void> {
    await this.timed('batch', this.inner.batch(entries));
    this.bytes.add(
      entries.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
      'written',
    );
  }

  list(space: Space, after?: SiloKey): AsyncIterable<SiloKey> {
    return this.inner.list(space, after);
  }

  scan(space: Space, startBytes: number, after?: SiloKey): AsyncIterable<SiloStart> {
    return this.inner.scan(space, startBytes, after);
  }

  usage(): SiloUsage {
    return this.inner.usage();
  }

  sequence(): number {
    return this.inner.sequence();
  }

  verify(space: Space, key: SiloKey): Promise<void> {
    return this.timed('verify', this.inner.verify(space, key));
  }

  renew(): Promise<void> {
    return this.inner.renew();
  }

  close(): Promise<void> {
    return this.inner.close();
  }

  private async read(operation: string, result: Promise<Buffer>): Promise<Buffer> {
    const value = await this.timed(operation, result);
    this.bytes.add(value.length, 'read');
    return value;
  }

  /** Failures take time too. */
  private async timed<T>(operation: string, result: Promise<T>): Promise<T> {
    const began = this.clock.monotonic();
    try {
      return await result;
    } finally {
      this.times.observe(this.clock.monotonic() - began, operation);
    }
  }
}
