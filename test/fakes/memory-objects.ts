// An object store in memory, for the silo of packs: whole objects, and a place to break things.

import { type Bytes, concatBytes } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import type { ObjectStore } from '../../src/core/silo/objects/object-store.ts';

export class MemoryObjects implements ObjectStore {
  readonly where = 'memory';
  readonly objects = new Map<string, Buffer>();
  /** Requests by kind. */
  readonly counts = { put: 0, get: 0, list: 0, delete: 0 };
  /** Whether it can refuse to replace. */
  exclusive = true;
  /** Called before each put; may wait, or throw. */
  beforePut: (name: string, bytes: Buffer) => Promise<void> | void = () => {};

  async put(name: string, parts: readonly Bytes[], options: { onlyNew?: boolean } = {}): Promise<void> {
    this.counts.put++;
    const content = Buffer.from(concatBytes([...parts, Buffer.alloc(0)]));
    await this.beforePut(name, content);
    if (options.onlyNew && this.exclusive && this.objects.has(name)) throw new InfinitError('exists', `${name} exists`);
    this.objects.set(name, content);
  }

  async get(name: string, range?: { offset: number; length: number }): Promise<Buffer> {
    this.counts.get++;
    await Promise.resolve();
    const content = this.objects.get(name);
    if (content === undefined) throw new InfinitError('not-found', `no ${name}`);
    return Buffer.from(range ? content.subarray(range.offset, range.offset + range.length) : content);
  }

  async *list(prefix: string): AsyncGenerator<{ name: string; bytes: number }> {
    this.counts.list++;
    for (const [name, { length }] of [...this.objects]) if (name.startsWith(prefix)) yield { name, bytes: length };
  }

  async delete(name: string): Promise<void> {
    this.counts.delete++;
    this.objects.delete(name);
  }

  async close(): Promise<void> {}
}
