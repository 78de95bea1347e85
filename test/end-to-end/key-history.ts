// Clients that put, get, delete and compare keys through doors, one operation after another each, and what they saw: a history that
// some order of each key's operations must explain, whatever happens to doors and nodes meanwhile.

import assert from 'node:assert/strict';
import { isError } from '../../src/core/base/errors.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { findViolation, type Operation, describe as tell } from '../simulator/linearizable.ts';
import { eventually, sleep } from './device.ts';
import { persist } from './ledger.ts';

export type Random = (below: number) => number;

/** Mulberry32. */
export function seeded(seed: number): Random {
  let state = seed >>> 0;
  return (below) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % below;
  };
}

export class KeyHistory {
  answered = 0;
  unknown = 0;
  /** Clients wait when so many operations were begun. */
  allowed = Number.POSITIVE_INFINITY;
  private readonly operations: Operation[] = [];
  private readonly wanted: number;
  private readonly keyCount: number;
  private readonly recoverMs: number;

  /** Clients stop after so many operations on so many keys; a door that is away is to be back within `recoverMs`. */
  constructor(options: { operations: number; keys: number; recoverMs: number }) {
    this.wanted = options.operations;
    this.keyCount = options.keys;
    this.recoverMs = options.recoverMs;
  }

  get size(): number {
    return this.operations.length;
  }

  /** A client that does one operation after another until enough is done. */
  async work(by: string, keys: KeyStore, random: Random): Promise<void> {
    const versions = new Map<string, { value: string | undefined; version: number }>();
    for (let at = 0; ; at++) {
      while (this.size >= this.allowed && this.size < this.wanted) await sleep(10);
      if (this.size >= this.wanted) return;
      const key = `key-${random(this.keyCount)}`;
      const name = Buffer.from(key);
      const value = `${by}/${at}`;
      const choice = random(100);
      const seen = versions.get(key);
      let answered: boolean;
      if (choice < 40) {
        answered = await this.record({ key, type: 'get', by }, async () => {
          const found = await keys.get(name).catch(absent);
          const text = found && Buffer.from(found.value).toString();
          versions.set(key, { value: text, version: found?.version ?? 0 });
          return text;
        });
      } else if (choice < 60) {
        answered = await this.record({ key, type: 'put', value, by }, async () => {
          await keys.put(name, Buffer.from(value));
          return undefined;
        });
      } else if (choice < 90 && seen !== undefined) {
        const condition = seen.value === undefined ? { ifAbsent: true } : { ifVersion: seen.version };
        answered = await this.record({ key, type: 'cas', value, expected: seen.value, by }, () =>
          keys.put(name, Buffer.from(value), condition).then(() => true, refused),
        );
      } else {
        answered = await this.record({ key, type: 'delete', by }, () => keys.delete(name));
      }
      // Nothing is tried against a door that is away: every open operation makes the check harder and says nothing.
      if (!answered)
        await eventually(`${by} is served again`, this.recoverMs, () => keys.list({ limit: 1 }).then(() => true));
    }
  }

  /** Checks it, with the last word on every key, so that lost writes at the end are seen too. */
  async verify(keys: KeyStore, seed: number): Promise<void> {
    for (let at = 0; at < this.keyCount; at++) {
      const key = `key-${at}`;
      await this.record({ key, type: 'get', by: 'last' }, async () => {
        const found = await persist(() => keys.get(Buffer.from(key))).catch(absent);
        return found && Buffer.from(found.value).toString();
      });
    }
    const violation = findViolation(this.operations);
    assert.equal(violation && tell(violation.operations), undefined, `seed ${seed}: ${violation?.key}`);
    assert.ok(findViolation(this.spoiled()), 'an old value at the end would be seen');
  }

  /** The history of one key, whose last read had the first value that another one replaced. */
  private spoiled(): Operation[] {
    const last = this.operations.at(-1) as Operation;
    const own = this.operations.filter(({ key }) => key === last.key);
    const puts = own.filter(({ type, end }) => type === 'put' && end !== Number.POSITIVE_INFINITY);
    const first = puts.find(({ end, value }) => value !== last.result && puts.some(({ call }) => call > end));
    assert.ok(first, `${last.key} was written twice`);
    return own.with(-1, { ...last, result: first.value });
  }

  /** Runs one operation; whether its answer came. */
  private async record(planned: Omit<Operation, 'call' | 'end' | 'result'>, task: () => Promise<Operation['result']>) {
    const operation: Operation = { ...planned, call: performance.now(), end: Number.POSITIVE_INFINITY };
    this.operations.push(operation);
    try {
      operation.result = await task();
      operation.end = performance.now();
      this.answered++;
      return true;
    } catch (error) {
      if (!isError(error, 'unavailable', 'cancelled')) throw error;
      this.unknown++;
      return false;
    }
  }
}

function absent(error: unknown): undefined {
  if (!isError(error, 'not-found')) throw error;
}

function refused(error: unknown): false {
  if (!isError(error, 'conflict', 'exists', 'not-found')) throw error;
  return false;
}
