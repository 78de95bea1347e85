// A volume on whole nodes of the simulated world, opened by two clients, against the model in memory: the tree's real registers,
// journals, blocks and peers below. INFINIT_SEED=n and INFINIT_OPERATIONS=n run another course.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { type OpenVolume, openVolume } from '../../src/core/node/volumes.ts';
import { Driver } from '../fakes/files-world.ts';
import { FilesExecutor } from './files-executor.ts';
import { checkSeed, type Opened } from './files-load.ts';
import { createWorld } from './runtime/world.ts';
import { type Device, makeCluster, startNodes } from './whole.ts';

const nodes = 3;
const owner = { uid: process.getuid?.() ?? 0, gid: process.getgid?.() ?? 0 };

async function openWhole(seed: number): Promise<Opened> {
  const world = createWorld({ seed });
  const { devices } = await makeCluster(world, { nodes, clients: 2, capacity: 512 << 20 });
  const [first, ...others] = devices.slice(0, nodes) as [Device, ...Device[]];
  const clients = devices.slice(nodes);
  await startNodes(world, [first, ...others]);
  await world.runFor(10_000);
  const volume = await world.settle(
    createVolume(first.context, { as: 'alice', name: 'volume', network: 'alice/cluster' }),
  );
  const driver = new Driver((promise) => world.settle(promise, { limitMs: 3_600_000 }));
  const opened: OpenVolume[] = [];
  for (const client of clients) {
    const linked = await world.settle(client.startClient([first.endpoint]));
    opened.push(await world.settle(openVolume(linked, volume, { door: true })));
  }
  return {
    subject: new FilesExecutor(
      opened.map(({ files }) => driver.drive(files)),
      owner,
    ),
    between: async () => {
      for (const { tree } of opened) if (tree.status().role === 'leader') await world.settle(tree.commit());
      await world.runFor(7000);
    },
    close: async () => {
      for (const one of opened.reverse()) await world.settle(one.close());
      for (const { linked } of devices) if (linked) await world.settle(linked.node.stop());
    },
  };
}

test('two clients of a volume on whole nodes do what the model does', { timeout: 3_600_000 }, async (t) => {
  const seed = Number(process.env.INFINIT_SEED ?? 1);
  const operations = Number(process.env.INFINIT_OPERATIONS ?? 250);
  const command = (steps: number) =>
    `INFINIT_SEED=${seed} INFINIT_OPERATIONS=${steps} node --import tsx --test test/simulator/files-whole.test.ts`;
  const small = { clients: 2, fileBytesMax: 200_000, owner, walkEvery: 125 };
  const result = await checkSeed(() => openWhole(seed), { seed, operations, command, ...small });
  assert.ok(result.done > operations * 0.4, `only ${result.done} steps did something`);
  t.diagnostic(JSON.stringify(result));
});
