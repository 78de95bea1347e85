// Seeded runs of registers and journals under faults. INFINIT_SEED replays one; INFINIT_SEEDS asks for more of them.

import assert from 'node:assert/strict';
import test from 'node:test';
import { runJournals } from './consensus-journals.ts';
import { runRegisters } from './consensus-registers.ts';

const one = process.env.INFINIT_SEED;
// Disks are lost in every other one, and registers forgotten in some of those.
const count = Number(process.env.INFINIT_SEEDS ?? 4);
const seeds = one === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(one)];
const replay = (seed: number) =>
  `replay: INFINIT_SEED=${seed} node --import tsx --test test/simulator/consensus.test.ts`;

test('registers stay linearizable under crashes, partitions, loss, a lost disk and changing members', async () => {
  let forgotten = 0;
  for (const seed of seeds) {
    const run = await runRegisters(seed);
    assert.deepEqual(run.violations, [], replay(seed));
    assert.ok(run.answered > 40, `work was done: ${run.answered} of ${run.operations}. ${replay(seed)}`);
    forgotten += run.forgotten;
    if (process.env.INFINIT_VERBOSE) console.log({ seed, ...run });
  }
  assert.ok(one !== undefined || forgotten > 0, `stores forgot registers that left them: ${forgotten}`);
});

test('what a journal acknowledged is in the state of every later leader', async () => {
  for (const seed of seeds) {
    const run = await runJournals(seed);
    assert.deepEqual(run.violations, [], replay(seed));
    assert.ok(run.acknowledged > 30 && run.epochs > 1, `work was done: ${JSON.stringify(run)}. ${replay(seed)}`);
    if (process.env.INFINIT_VERBOSE) console.log({ seed, ...run });
  }
});

/** The first seed that shows a planted bug. */
async function caught(run: (seed: number) => Promise<{ violations: string[] }>, seedsMax: number): Promise<number> {
  for (let seed = 1; seed <= seedsMax; seed++) {
    const { violations } = await run(seed).catch((error: unknown) => ({ violations: [String(error)] }));
    if (violations.length > 0) return seed;
  }
  return 0;
}

test('canary: a takeover that does not read the journal is caught', async () => {
  assert.ok((await caught((seed) => runJournals(seed, 'unrecovered'), 5)) > 0);
});

test('canary: answers that leave before the flush are caught', async () => {
  assert.ok((await caught((seed) => runJournals(seed, 'answers-early'), 8)) > 0, 'journals');
  assert.ok((await caught((seed) => runRegisters(seed, 'answers-early'), 8)) > 0, 'registers');
});
