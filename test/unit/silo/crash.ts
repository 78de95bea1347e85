// Values that tell what they should be, for the crash tests.

import { hash } from '../../../src/core/crypto/hash.ts';

/** Between a few bytes and 30 kB, different for each key and version. */
export function crashValue(key: string, version: number): Buffer {
  const seed = hash(Buffer.from(`${key} ${version}`));
  const length = seed.readUInt16BE(0) % (seed[2] === 7 ? 30_000 : 1_500);
  return Buffer.concat([Buffer.from(`${version} `), Buffer.alloc(length, seed)]);
}
