// Random operations on few keys of a key-value store, and the history they make: shared by the schedules that check it for
// linearizability.

import { utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { describe, findViolation, type Operation } from './linearizable.ts';

export interface KeyLoadOptions {
  keys: number;
  now: () => number;
  below: (limit: number) => number;
  /** An error that no fault explains. */
  onError: (error: unknown) => void;
}

export class KeyLoad {
  readonly history: Operation[] = [];
  private readonly options: KeyLoadOptions;
  private written = 0;

  constructor(options: KeyLoadOptions) {
    this.options = options;
  }

  get answered(): number {
    return this.history.filter((one) => one.end !== Number.POSITIVE_INFINITY).length;
  }

  /** One operation: get, put, delete, or put if absent. */
  async operate(store: KeyStore, by: string): Promise<void> {
    const { below, now, keys } = this.options;
    const key = `key${below(keys)}`;
    const value = `v${++this.written}${below(4) === 0 ? 'x'.repeat(300) : ''}`;
    const choice = below(10);
    const operation: Operation = { key, call: now(), end: Number.POSITIVE_INFINITY, type: 'get', by };
    this.history.push(operation);
    try {
      if (choice < 4) await read(store, operation);
      else if (choice < 7) {
        Object.assign(operation, { type: 'put', value });
        await store.put(utf8(key), utf8(value));
      } else if (choice < 8) {
        operation.type = 'delete';
        operation.result = await store.delete(utf8(key));
      } else {
        Object.assign(operation, { type: 'cas', value, expected: undefined });
        operation.result = await putIfAbsent(store, key, value);
      }
      operation.end = now();
    } catch (error) {
      if (!isError(error, 'unavailable')) this.options.onError(error);
    }
  }

  /** Every key once, at the end: what was acknowledged is there, the same for all. */
  async readAll(store: KeyStore): Promise<void> {
    const { now, keys } = this.options;
    for (let i = 0; i < keys; i++) {
      const operation: Operation = { key: `key${i}`, call: now(), end: 0, type: 'get', by: 'end' };
      await read(store, operation);
      operation.end = now();
      this.history.push(operation);
    }
  }

  /** Throws with the history of a key that no order explains. */
  check(): void {
    const violation = findViolation(this.history);
    if (violation) throw new Error(`not linearizable: ${violation.key}\n${describe(violation.operations)}`);
  }
}

async function read(store: KeyStore, operation: Operation): Promise<void> {
  try {
    operation.result = Buffer.from((await store.get(utf8(operation.key))).value).toString();
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
    operation.result = undefined;
  }
}

async function putIfAbsent(store: KeyStore, key: string, value: string): Promise<boolean> {
  try {
    await store.put(utf8(key), utf8(value), { ifAbsent: true });
    return true;
  } catch (error) {
    if (isError(error, 'exists')) return false;
    throw error;
  }
}
