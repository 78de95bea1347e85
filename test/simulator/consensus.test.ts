// Seeded runs of registers and journals under faults. INFINIT_SEED replays one; INFINIT_SEEDS asks for more of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { runRegisters } from './consensus-registers.ts';

const one = process.env.INFINIT_SEED;
const count = Number(process.env.INFINIT_SEEDS ?? 4);
const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)];
const replay = (seed: number) =>
  `replay: INFINIT_SEED=${seed} node --import tsx --test test/simulator/consensus.test.ts`;

test('registers stay linearizable under crashes, partitions, loss, a lost disk and changing members', async () => {
  for (const seed of seeds) {
    const run = await runRegisters(seed);
    assert.deepEqual(run.violations, [], replay(seed));
    assert.ok(run.answered > 40, `work was done: ${run.answered} of ${run.operations}. ${replay(seed)}`);
    if (process.env.INFINIT_VERBOSE) console.log({ seed, ...run });
  }
});
