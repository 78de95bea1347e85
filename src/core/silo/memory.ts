// The silo `memory`: everything in this process, gone when it closes. For tests, caches, and nodes that only relay.

import { type Bytes, compareBytes, fromHex, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import { storeIdBytes } from '../block/address.ts';
import type { Runtime } from '../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, closedError, entryBytes, notFound } from './entries.ts';
import {
  type Silo,
  type SiloConfig,
  type SiloEntry,
  type SiloKey,
  type SiloKind,
  type SiloStart,
  type SiloUsage,
  type Space,
  spaces,
} from './silo.ts';

export const memoryKind: SiloKind = {
  name: 'memory',
  open: async (config, { runtime, addedBytes }) => openMemorySilo(config, runtime, addedBytes),
  clear: async () => {},
};

export function openMemorySilo(config: SiloConfig, runtime: Runtime, addedBytes = 0): Silo {
  return new MemorySilo(config.capacity, addedBytes, () => runtime.random.bytes(storeIdBytes));
}

class MemorySilo implements Silo {
  storeId: Buffer;
  private readonly draw: () => Buffer;
  private readonly capacity: number | undefined;
  private readonly addedBytes: number;
  private readonly content = new Map<Space, Map<string, Buffer>>(spaces.map((space) => [space, new Map()]));
  private usedBytes = 0;
  private changes = 0;
  private closed = false;

  constructor(capacity: number | undefined, addedBytes: number, draw: () => Buffer) {
    this.capacity = capacity;
    this.addedBytes = addedBytes;
    this.draw = draw;
    this.storeId = draw();
  }

  async get(space: Space, key: SiloKey, options?: Abortable): Promise<Buffer> {
    checkSignal(options?.signal);
    return Buffer.from(this.need(space, key));
  }

  async getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer> {
    checkRange(offset, length);
    return Buffer.from(this.need(space, key).subarray(offset, offset + length));
  }

  async size(space: Space, key: SiloKey): Promise<number | undefined> {
    return this.find(space, key)?.length;
  }

  put(space: Space, key: SiloKey, value: Bytes): Promise<void> {
    return this.batch([{ space, key, value }]);
  }

  delete(space: Space, key: SiloKey): Promise<void> {
    return this.batch([{ space, key, value: undefined }]);
  }

  async batch(entries: readonly SiloEntry[]): Promise<void> {
    checkEntries(entries, this.addedBytes);
    if (this.closed) throw closedError();
    const used = this.usedAfter(entries);
    if (this.capacity !== undefined && used > this.capacity && used > this.usedBytes) {
      throw new InfinitError('full', `the silo is full: ${this.usedBytes} of ${this.capacity} bytes are used`);
    }
    for (const { space, key, value } of entries) {
      const map = this.content.get(space);
      const name = toHex(key);
      if (value !== undefined) map?.set(name, Buffer.from(value));
      if (value !== undefined || map?.delete(name)) this.changes++;
    }
    this.usedBytes = used;
  }

  async *list(space: Space, after?: SiloKey): AsyncGenerator<SiloKey> {
    if (after !== undefined) checkKey(space, after);
    if (this.closed) throw closedError();
    const keys = [...(this.content.get(space)?.keys() ?? [])].map(fromHex).sort(compareBytes);
    for (const key of keys) if (after === undefined || compareBytes(key, after) > 0) yield key;
  }

  async *scan(space: Space, startBytes: number, after?: SiloKey): AsyncGenerator<SiloStart> {
    for await (const key of this.list(space, after)) {
      const value = this.find(space, key);
      if (value !== undefined) yield { key, start: Buffer.from(value.subarray(0, startBytes)) };
    }
  }

  usage(): SiloUsage {
    const { capacity, usedBytes, content } = this;
    return {
      capacityBytes: capacity,
      usedBytes,
      deadBytes: 0,
      freeBytes: capacity === undefined ? Number.MAX_SAFE_INTEGER : Math.max(0, capacity - usedBytes),
      entries: spaces.reduce((sum, space) => sum + (content.get(space)?.size ?? 0), 0),
      blocks: content.get('block')?.size ?? 0,
    };
  }

  sequence(): number {
    return this.changes;
  }

  async verify(space: Space, key: SiloKey): Promise<void> {
    this.need(space, key);
  }

  async renew(): Promise<void> {
    this.storeId = this.draw();
  }

  async close(): Promise<void> {
    this.closed = true;
    for (const map of this.content.values()) map.clear();
  }

  private find(space: Space, key: SiloKey): Buffer | undefined {
    checkKey(space, key);
    if (this.closed) throw closedError();
    return this.content.get(space)?.get(toHex(key));
  }

  private need(space: Space, key: SiloKey): Buffer {
    const value = this.find(space, key);
    if (value === undefined) throw notFound(space);
    return value;
  }

  /** Bytes used once the entries are in: of several entries of one key the last counts. */
  private usedAfter(entries: readonly SiloEntry[]): number {
    const sizes = new Map<string, number>();
    let used = this.usedBytes;
    for (const { space, key, value } of entries) {
      const name = `${space}/${toHex(key)}`;
      const old = this.find(space, key);
      const before = sizes.get(name) ?? (old === undefined ? 0 : entryBytes(old));
      const after = value === undefined ? 0 : entryBytes(value);
      sizes.set(name, after);
      used += after - before;
    }
    return used;
  }
}
