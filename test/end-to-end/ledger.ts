// What a store acknowledged: puts through any door, remembered by hash, and checked against what the store answers later.

import assert from 'node:assert/strict';
import { createCipheriv, createHash } from 'node:crypto';
import { isError } from '../../src/core/base/errors.ts';
import { Semaphore } from '../../src/core/base/lifecycle.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { sleep } from './device.ts';

const attemptsMax = 40;

export class Ledger {
  private readonly acknowledged = new Map<string, string>();
  /** Puts whose answer never came: they may have been carried out. */
  private readonly begun = new Map<string, string>();

  get size(): number {
    return this.acknowledged.size;
  }

  /** Puts until it is acknowledged: an answer that did not come says nothing, the same value again does no harm. */
  async put(keys: KeyStore, key: string, value: Buffer): Promise<void> {
    this.begun.set(key, digest(value));
    await persist(() => keys.put(Buffer.from(key), value));
    this.acknowledged.set(key, digest(value));
    this.begun.delete(key);
  }

  /** Reads all, compares all; the names of keys too. */
  async verify(keys: KeyStore, inFlight = 16): Promise<void> {
    const gate = new Semaphore(inFlight);
    const check = async ([key, expected]: [string, string]) => {
      const { value } = await persist(() => keys.get(Buffer.from(key)));
      if (digest(value) !== this.begun.get(key)) assert.equal(digest(value), expected, `value of ${key}`);
    };
    await Promise.all([...this.acknowledged].map((entry) => gate.run(() => check(entry))));
    const listed = new Set(await allKeys(keys));
    for (const key of this.acknowledged.keys()) assert.ok(listed.has(key), `${key} is listed`);
  }
}

/** Runs it again while the network is on the way to health. */
export async function persist<T>(task: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await task();
    } catch (error) {
      if (!isError(error, 'unavailable', 'cancelled') || attempt === attemptsMax) throw error;
      await sleep(250);
    }
  }
}

export async function allKeys(keys: KeyStore): Promise<string[]> {
  const found: string[] = [];
  for (let startAfter: Buffer | undefined; ; ) {
    const { entries, truncated } = await persist(() => keys.list(startAfter === undefined ? {} : { startAfter }));
    found.push(...entries.map(({ key }) => Buffer.from(key).toString()));
    const last = entries.at(-1);
    if (!truncated || last === undefined) return found;
    startAfter = Buffer.from(last.key);
  }
}

/** Bytes that do not compress, the same for the same name. */
export function contents(name: string, size: number): Buffer {
  const key = createHash('sha256').update(name).digest();
  return createCipheriv('aes-256-ctr', key, Buffer.alloc(16)).update(Buffer.alloc(size));
}

function digest(value: Uint8Array): string {
  return createHash('sha256').update(value).digest('hex');
}
