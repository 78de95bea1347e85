// Two clients of a tree of files against the model in memory, with garbage cycles between walks: chunks that nothing names go, what
// is left of sparse ones moves, and no byte of any file changes. INFINIT_SEED=n runs another course.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { FilesWorld } from '../fakes/files-world.ts';
import { FilesExecutor } from './files-executor.ts';
import { checkSeed, type Opened } from './files-load.ts';

interface Done {
  cycles: number;
  chunks: number;
  packedBytes: number;
  swept: number;
}

async function openWorld(seed: number, done: Done): Promise<Opened> {
  const world = new FilesWorld({ seed });
  await world.found();
  const clients = [await world.open('leader'), await world.open('follower')];
  const leader = clients[0]?.opened.tree ?? assert.fail('nobody leads');
  const { world: time, cluster } = world.trees;
  const between = async () => {
    await time.until(leader.collect({ graceMs: 0 }));
    do await time.until(leader.garbage.step(new AbortController().signal));
    while ((await time.until(leader.collect())).state !== 'idle');
    const { cycles, chunks, packedBytes } = leader.garbage.counters;
    const swept = cluster.storages.reduce((sum, storage) => sum + storage.swept.blocks, 0);
    Object.assign(done, { cycles, chunks, packedBytes, swept });
    await world.pass(7000);
  };
  return { subject: new FilesExecutor(clients.map(({ driven }) => driven)), between, close: () => world.close() };
}

const given = process.env.INFINIT_SEED;
for (const seed of given === undefined ? [1] : [Number(given)])
  test(`files stay what they are under garbage cycles, seed ${seed}`, { timeout: 600_000 }, async (t) => {
    const done: Done = { cycles: 0, chunks: 0, packedBytes: 0, swept: 0 };
    const command = (steps: number) =>
      `INFINIT_SEED=${seed} node --import tsx --test test/simulator/garbage-files.test.ts # ${steps} steps`;
    const small = { clients: 2, fileBytesMax: 600_000, walkEvery: 50 };
    const result = await checkSeed(() => openWorld(seed, done), { seed, operations: 800, command, ...small });
    assert.ok(result.done > 250, `only ${result.done} steps did something`);
    assert.ok(done.cycles >= 12 && done.chunks > 10 && done.swept > 30, JSON.stringify(done));
    assert.ok(done.packedBytes > 10_000, JSON.stringify(done));
    t.diagnostic(JSON.stringify({ ...result, ...done }));
  });
