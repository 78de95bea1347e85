// Appends of several clients to one file under faults; and that lines put where each client thinks the end is are noticed.
// INFINIT_SEED=n replays another seed.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { runAppends } from './appends.ts';

const given = process.env.INFINIT_SEED;
const seeds = given === undefined ? [1, 2, 3, 4, 5, 6] : [Number(given)];

test('lines of two clients at once all land whole, one behind the other', { timeout: 120_000 }, async () => {
  const { lines } = await runAppends({ seed: 1, clients: 2, faults: false });
  assert.ok(lines > 300, `only ${lines} lines`);
});

for (const seed of seeds)
  test(`whatever becomes of leaders, each line lands once, seed ${seed}`, { timeout: 300_000 }, async () => {
    const { lines, epochs } = await runAppends({ seed, timeMs: 30_000 });
    assert.ok(lines > 100, `only ${lines} lines`);
    assert.ok(epochs >= 2, `only ${epochs} epochs`);
  });

test('appends at the end each client knows of overwrite each other, and that is noticed', {
  timeout: 120_000,
}, async () => {
  await assert.rejects(
    runAppends({ seed: 1, clients: 2, faults: false, guess: true }),
    /is not whole|nobody wrote|anybody wrote|is gone/,
  );
});
