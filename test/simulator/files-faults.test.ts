// Seeded faults over several clients of one volume. INFINIT_SEED=n replays one seed, INFINIT_SEEDS=n runs the first n.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type PlantedInFiles, runFilesUnderFaults } from './files-faults.ts';

const only = process.env.INFINIT_SEED;
const count = Number(process.env.INFINIT_SEEDS ?? 8);
const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i + 1) : [Number(only)];

for (const seed of seeds)
  test(`files under faults, seed ${seed}`, async (t) => {
    try {
      const { synced, failed, reads, epochs } = await runFilesUnderFaults(seed);
      t.diagnostic(`${synced} syncs, ${failed} refused, ${reads} reads, ${epochs} epochs`);
      assert.ok(synced > 50 && reads > 500 && epochs > 1);
    } catch (error) {
      const replay = `INFINIT_SEED=${seed} node --import tsx --test test/simulator/files-faults.test.ts`;
      throw new Error(`replay with: ${replay}`, { cause: error });
    }
  });

async function catches(planted: PlantedInFiles, expected: RegExp): Promise<void> {
  for (let seed = 1; seed <= 20; seed++) {
    try {
      await runFilesUnderFaults(seed, planted);
    } catch (error) {
      assert.match(String(error), expected);
      return;
    }
  }
  assert.fail('not noticed');
}

test('planted: a write is acknowledged to a follower before the leader has it safe', () =>
  catches('early', /was synced before/));
test('planted: a follower says that it has forgotten, and repeats what it was answered', () =>
  catches('deaf', /was synced before/));
