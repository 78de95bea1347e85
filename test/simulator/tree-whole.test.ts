// One short schedule of the tree over whole nodes. INFINIT_SEED=n replays another seed, for a minute of virtual time.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runWholeTree } from './tree-whole.ts';

test('keys stay linearizable over whole nodes while clients and nodes crash', { timeout: 300_000 }, async () => {
  const given = process.env.INFINIT_SEED;
  const { operations, answered } = await runWholeTree({
    seed: Number(given ?? 1),
    timeMs: given === undefined ? 20_000 : 60_000,
  });
  assert.ok(answered > operations * 0.9, `only ${answered} of ${operations} operations were answered`);
});
