// Chance from the operating system's generator.

import { randomBytes, randomFillSync, randomInt } from 'node:crypto';
import type { Random } from '../runtime.ts';

const pool = new Uint32Array(1024);
let used = pool.length;

function word(): number {
  if (used === pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  return pool[used++] as number;
}

export const systemRandom: Random = {
  bytes: (count) => randomBytes(count),
  below: (limit) => (limit <= 1 ? 0 : randomInt(limit)),
  fraction: () => ((word() >>> 5) * 0x400_0000 + (word() >>> 6)) / 2 ** 53,
};
