// Values that tell what they should be, and the check of a silo that came back, for the crash tests.

import assert from 'node:assert/strict';
import { isError } from '../../../src/core/base/errors.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { keyOf } from '../../conformance/silo.ts';

/** What a key may be: the last acknowledged version, or one announced since. -1 is deleted. */
export type Possible = Map<string, number[]>;

/** Between a few bytes and 30 kB, different for each key and version. */
export function crashValue(key: string, version: number): Buffer {
  const seed = hash(Buffer.from(`${key} ${version}`));
  const length = seed.readUInt16BE(0) % (seed[2] === 7 ? 30_000 : 1_500);
  return Buffer.concat([Buffer.from(`${version} `), Buffer.alloc(length, seed)]);
}

/** Every key is what it may be, whole; from then on it is that. */
export async function check(silo: Silo, possible: Possible): Promise<void> {
  for (const [key, versions] of possible) {
    let found = -1;
    try {
      const value = await silo.get('register', keyOf(key));
      found = Number(value.subarray(0, value.indexOf(' ')).toString());
      assert.ok(value.equals(crashValue(key, found)), `${key} has torn bytes`);
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
    }
    assert.ok(versions.includes(found), `${key} is ${found}, possible were ${versions.join(', ')}`);
    possible.set(key, [found]);
  }
}
