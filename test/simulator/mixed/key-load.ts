// Load on a key-value store while faults happen: gets, puts, deletes and compare-and-sets on few keys, with the history they
// make. Values are of several sizes, so that they travel inline, in the journal and in chunks.

import { utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import type { KeyStore } from '../../../src/core/volume/keys.ts';
import type { Operation } from '../linearizable.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';

const shownBytes = 16;
const sizes = [16, 16, 16, 400, 400, 70_000];

export interface MixedKeyLoadOptions {
  world: World;
  random: SeededRandom;
  keys: number;
  /** Mean pause between two operations of a worker. */
  pauseMs: number;
}

export class MixedKeyLoad {
  readonly history: Operation[] = [];
  private readonly options: MixedKeyLoadOptions;
  private written = 0;

  constructor(options: MixedKeyLoadOptions) {
    this.options = options;
  }

  get answered(): number {
    return this.history.filter(({ end }) => Number.isFinite(end)).length;
  }

  get keys(): string[] {
    return Array.from({ length: this.options.keys }, (_, i) => `k${i}`);
  }

  /** What must fit one order though local reads may be old: what was changed, and what was read when all was over. */
  changesSince(quietUs: number): Operation[] {
    return this.history.filter(({ type, result, call }) => call >= quietUs || (type !== 'get' && result !== false));
  }

  /** One operation after another while `goOn` says so. Throws what no fault explains. */
  async work(
    store: KeyStore,
    by: string,
    sleep: (timeMs: number) => Promise<void>,
    goOn: () => boolean,
  ): Promise<void> {
    const { random, pauseMs } = this.options;
    while (goOn()) {
      await sleep(random.below(2 * pauseMs));
      if (!goOn()) return;
      const key = `k${random.below(this.options.keys)}`;
      const choice = random.below(10);
      if (choice < 4) await this.get(store, by, key);
      else if (choice < 7) await this.put(store, by, key);
      else if (choice < 9) await this.compareAndSet(store, by, key);
      else await this.record({ key, type: 'delete', by }, () => store.delete(utf8(key)));
    }
  }

  async get(store: KeyStore, by: string, key: string): Promise<boolean> {
    return await this.record({ key, type: 'get', by }, () => read(store, key));
  }

  private async put(store: KeyStore, by: string, key: string): Promise<void> {
    const { text, bytes } = this.value();
    await this.record({ key, type: 'put', value: text, by }, () => store.put(utf8(key), bytes).then(() => true));
  }

  private async compareAndSet(store: KeyStore, by: string, key: string): Promise<void> {
    let seen: { version: number; text: string } | undefined;
    try {
      const { version, value } = await store.get(utf8(key));
      seen = { version, text: shown(value) };
    } catch (error) {
      if (isError(error, 'unavailable', 'cancelled')) return;
      if (!isError(error, 'not-found')) throw error;
    }
    const { text, bytes } = this.value();
    const condition = seen === undefined ? { ifAbsent: true } : { ifVersion: seen.version };
    await this.record({ key, type: 'cas', value: text, expected: seen?.text, by }, async () => {
      try {
        await store.put(utf8(key), bytes, condition);
        return true;
      } catch (error) {
        if (isError(error, 'conflict', 'exists')) return false;
        throw error;
      }
    });
  }

  /** Whether it was answered. */
  private async record(
    operation: Pick<Operation, 'key' | 'type' | 'value' | 'expected' | 'by'>,
    task: () => Promise<string | boolean | undefined>,
  ): Promise<boolean> {
    const { world } = this.options;
    const entry: Operation = { ...operation, call: world.timeUs, end: Number.POSITIVE_INFINITY };
    this.history.push(entry);
    try {
      entry.result = await task();
      entry.end = world.timeUs;
      return true;
    } catch (error) {
      // A full disk refuses; whether a node that was asked before had taken it cannot be told.
      if (!isError(error, 'unavailable', 'cancelled', 'full')) throw error;
      return false;
    }
  }

  private value(): { text: string; bytes: Buffer } {
    const text = `v${this.written++}`;
    return { text, bytes: utf8(text.padEnd(sizes[this.options.random.below(sizes.length)] as number)) };
  }
}

function shown(value: Uint8Array): string {
  return Buffer.from(value.subarray(0, shownBytes)).toString().trim();
}

async function read(store: KeyStore, key: string): Promise<string | undefined> {
  try {
    return shown((await store.get(utf8(key))).value);
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw error;
  }
}
