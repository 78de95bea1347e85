// Seeded schedules of the tree. INFINIT_SEED=n replays one seed, INFINIT_SEEDS=n runs the first n.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runTreeSchedule } from './tree.ts';

const only = process.env.INFINIT_SEED;
const count = Number(process.env.INFINIT_SEEDS ?? 12);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

for (const seed of seeds)
  test(`tree under faults, seed ${seed}`, async () => {
    try {
      const { operations, answered } = await runTreeSchedule({ seed });
      assert.ok(answered > operations * 0.9, `only ${answered} of ${operations} operations were answered`);
    } catch (error) {
      const replay = `INFINIT_SEED=${seed} node --import tsx --test test/simulator/tree.test.ts`;
      throw new Error(`replay with: ${replay}`, { cause: error });
    }
  });

test('the same seed gives the same run', async () => {
  const options = { seed: 7, timeMs: 10_000 };
  assert.deepEqual(await runTreeSchedule(options), await runTreeSchedule(options));
});
