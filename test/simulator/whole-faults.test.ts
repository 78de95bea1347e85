// Five whole nodes and two clients under faults. `INFINIT_SEED=N` replays one seed, `INFINIT_SEEDS=N` runs more of them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createWorld } from './runtime/world.ts';
import { FaultSchedule } from './whole-faults.ts';

const fixed = process.env.INFINIT_SEED;
/** Beside the first: 12 once kept a node's event loop for ever with calls that failed at once. */
const usual = ['1', '12'];
const many = process.env.INFINIT_SEEDS;
const first = (count: number) => Array.from({ length: count }, (_, i) => String(i + 1));
const seeds = fixed !== undefined ? [fixed] : many !== undefined ? first(Number(many)) : usual;

for (const seed of seeds) {
  test(`every answer fits one order of operations under faults, seed ${seed}`, { timeout: 300_000 }, async (t) => {
    const lines: string[] = [];
    const world = createWorld({
      seed,
      log: (line) => {
        if (process.env.INFINIT_TRACE)
          lines.push(`${line.atMs.toFixed(0)} ${line.host} ${line.component} ${line.message}`);
      },
    });
    const schedule = new FaultSchedule(world, { nodes: 5, clients: 2, durationMs: 60_000, keys: 6 });
    const replay = `replay: INFINIT_SEED=${seed} node --import tsx --test test/simulator/whole-faults.test.ts`;
    try {
      const { violation, answered, history, faults } = await schedule.run();
      t.diagnostic(`${answered} of ${history.length} operations answered, faults ${JSON.stringify(faults)}`);
      assert.equal(violation, undefined, `not linearizable: ${JSON.stringify(violation, null, 1)}\n${replay}`);
      assert.ok(answered > 100, `only ${answered} operations were answered\n${replay}`);
    } catch (error) {
      for (const line of lines.slice(-400)) t.diagnostic(line);
      throw error instanceof assert.AssertionError ? error : new Error(replay, { cause: error });
    }
  });
}
