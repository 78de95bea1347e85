import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { createWorld } from './runtime/world.ts';
import { makeCluster, openStore } from './whole.ts';

test('three nodes meet, grow the network register, and keep keys a client puts', { timeout: 120_000 }, async () => {
  const lines: string[] = [];
  const world = createWorld({
    seed: process.env.INFINIT_SEED ?? 1,
    log: (line) => lines.push(`${line.atMs.toFixed(0)} ${line.host} ${line.level} ${line.component} ${line.message}`),
  });
  const cluster = await makeCluster(world, { nodes: 3, clients: 1 });
  const [a, b, c, client] = cluster.devices as [
    (typeof cluster.devices)[0],
    ...typeof cluster.devices,
  ] as never as typeof cluster.devices;
  if (!a || !b || !c || !client) throw new Error('four devices');
  await world.settle(a.startNode([]));
  await world.settle(Promise.all([b.startNode([a.endpoint]), c.startNode([a.endpoint])]));
  await world.runFor(10_000);
  assert.equal(a.linked?.node.overlay.nodes().length, 3);
  assert.equal(await world.settle(a.linked?.node.networkRegister?.members() ?? Promise.resolve(0)), 3);
  await world.settle(client.startClient([b.endpoint]));
  const { keys, tree } = await world.settle(openStore(client, cluster, true));
  for (let i = 0; i < 20; i++) await world.settle(keys.put(utf8(`k${i}`), utf8(`v${i}`)));
  assert.equal(tree.status().role, 'leader');
  for (let i = 0; i < 20; i++)
    assert.equal(Buffer.from((await world.settle(keys.get(utf8(`k${i}`)))).value).toString(), `v${i}`);
});
