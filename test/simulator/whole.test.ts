// Whole nodes in the simulated world: meeting, growing, restarting at once, an emptied silo, a changed descriptor.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { updateNetwork } from '../../src/core/descriptor/networks.ts';
import { createWorld } from './runtime/world.ts';
import { makeCluster, openStore, startNodes } from './whole.ts';

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

test('what the owner changes in the descriptor reaches running nodes, and their homes', {
  timeout: 120_000,
}, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 2 });
  const cluster = await makeCluster(world, { nodes: 2, clients: 0 });
  const [owner, other] = cluster.devices;
  if (!owner || !other) throw new Error('two devices');
  await world.settle(owner.startNode([]));
  await world.settle(other.startNode([owner.endpoint]));
  await world.runFor(5_000);
  owner.crash(false);
  owner.host.restart();
  await world.settle(updateNetwork(owner.context, { as: 'alice', name: 'cluster', description: 'moved' }));
  await world.settle(owner.startNode([other.endpoint]));
  await world.run(() => other.linked?.node.network().description === 'moved', { limitMs: 180_000 });
  await world.runFor(1_000);
  assert.equal((await world.settle(other.context.repository.get('network', 'alice/cluster'))).description, 'moved');
  assert.equal(
    (await world.settle(other.context.repository.get('linked-network', 'alice/alice/cluster'))).network.description,
    'moved',
  );
});

test('an emptied silo is a new member; registers and blocks come back to it', { timeout: 120_000 }, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 3 });
  const cluster = await makeCluster(world, { nodes: 3, clients: 1 });
  const [a, b, c, client] = cluster.devices;
  if (!a || !b || !c || !client) throw new Error('four devices');
  await world.settle(a.startNode([]));
  await world.settle(Promise.all([b.startNode([a.endpoint]), c.startNode([a.endpoint])]));
  await world.runFor(5_000);
  await world.settle(client.startClient([a.endpoint]));
  const { keys } = await world.settle(openStore(client, cluster, true));
  const value = Buffer.alloc(300_000, 7);
  for (let i = 0; i < 5; i++) await world.settle(keys.put(utf8(`k${i}`), value));
  await world.runFor(40_000);
  b.crash(false);
  await world.settle(b.host.restart().files.remove('/home/data/blocks/disk'));
  await world.settle(b.startNode([]));
  await world.runFor(90_000);
  assert.equal(await world.settle(b.linked?.node.networkRegister?.members() ?? Promise.resolve(0)), 3);
  // The other two go, one after the other: what b was given back is enough to go on with each of them.
  for (const gone of [a, c]) {
    gone.crash();
    for (let i = 0; i < 5; i++) {
      const got = await world.settle(keys.get(utf8(`k${i}`)), { limitMs: 120_000 });
      assert.ok(Buffer.from(got.value).equals(value));
    }
    await world.settle(keys.put(utf8(`without ${gone.host.name}`), utf8('x')), { limitMs: 120_000 });
    gone.host.restart();
    await world.settle(gone.startNode([]));
    await world.runFor(30_000);
  }
});

test('a whole network that stops at once meets again without being told anything', { timeout: 120_000 }, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 4 });
  const cluster = await makeCluster(world, { nodes: 3, clients: 0 });
  const [first] = cluster.devices;
  if (!first) throw new Error('three devices');
  await startNodes(world, cluster.devices);
  await world.runFor(40_000);
  for (const device of cluster.devices) device.crash();
  await world.runFor(2_000);
  for (const device of cluster.devices) device.host.restart();
  await world.settle(Promise.all(cluster.devices.map((device) => device.startNode([]))));
  await world.run(() => cluster.devices.every((device) => device.linked?.node.overlay.nodes().length === 3), {
    limitMs: 60_000,
  });
  assert.equal(await world.settle(first.linked?.node.networkRegister?.members() ?? Promise.resolve(0)), 3);
});

test('a silo set back to a copy of itself takes another identity, and nothing is lost', {
  timeout: 120_000,
}, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 5 });
  const cluster = await makeCluster(world, { nodes: 3, clients: 1, capacity: 64 << 20 });
  const [a, b, c, client] = cluster.devices;
  if (!a || !b || !c || !client) throw new Error('four devices');
  const folder = '/home/data/blocks/disk';
  const copyOf = async (files: typeof b.host.runtime.files) => {
    const names = (await files.list(folder)).filter((name) => !name.startsWith('lock'));
    return Promise.all(names.map(async (name) => ({ name, content: await files.read(`${folder}/${name}`) })));
  };
  await world.settle(a.startNode([]));
  await world.settle(Promise.all([b.startNode([a.endpoint]), c.startNode([a.endpoint])]));
  await world.runFor(5_000);
  await world.settle(client.startClient([a.endpoint]));
  const { keys } = await world.settle(openStore(client, cluster, true));
  await world.settle(keys.put(utf8('before'), utf8('the copy')));
  b.crash(false);
  const copy = await world.settle(copyOf(b.host.restart().files));
  await world.settle(b.startNode([]));
  const old = Buffer.from(b.linked?.node.self()?.store ?? []).toString('hex');
  for (let i = 0; i < 20; i++) await world.settle(keys.put(utf8(`k${i}`), utf8(`v${i}`)));
  await world.runFor(20_000);
  // An ordinary restart changes nothing.
  b.crash(true);
  b.host.restart();
  await world.settle(b.startNode([]));
  assert.equal(Buffer.from(b.linked?.node.self()?.store ?? []).toString('hex'), old);
  b.crash(false);
  const { files } = b.host.restart();
  for (const { name, content } of copy) await world.settle(files.replace(`${folder}/${name}`, content));
  await world.settle(b.startNode([]));
  assert.notEqual(Buffer.from(b.linked?.node.self()?.store ?? []).toString('hex'), old);
  await world.runFor(60_000);
  assert.equal(await world.settle(b.linked?.node.networkRegister?.members() ?? Promise.resolve(0)), 3);
  a.crash();
  for (let i = 0; i < 20; i++) {
    const { value } = await world.settle(keys.get(utf8(`k${i}`)), { limitMs: 120_000 });
    assert.equal(Buffer.from(value).toString(), `v${i}`);
  }
  await world.settle(keys.put(utf8('after'), utf8('x')), { limitMs: 120_000 });
});

test('a stopped network changes its overlay; a node that starts with the old one hears of it and says to start again', {
  timeout: 120_000,
}, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 6 });
  const cluster = await makeCluster(world, { nodes: 3, clients: 0 });
  const [owner, ...others] = cluster.devices;
  if (!owner) throw new Error('three devices');
  await world.settle(owner.startNode([]));
  await world.settle(Promise.all(others.map((device) => device.startNode([owner.endpoint]))));
  await world.runFor(40_000);
  for (const device of cluster.devices) await world.settle(device.linked?.close() ?? Promise.resolve());
  await world.settle(updateNetwork(owner.context, { as: 'alice', name: 'cluster', overlay: 'kouncil' }));
  await world.settle(owner.startNode([]));
  const said: string[] = [];
  for (const device of others) {
    const { node } = await world.settle(device.startNode([]));
    void node.outdated.then(({ message }) => said.push(message));
  }
  await world.run(() => said.length === 2, { limitMs: 180_000 });
  assert.equal(said[0], 'network "alice/cluster" has changed from overlay chord to kouncil');
  for (const device of others) await world.settle(device.linked?.close() ?? Promise.resolve());
  for (const device of others) await world.settle(device.startNode([]));
  await world.run(() => cluster.devices.every(({ linked }) => linked?.node.overlay.nodes().length === 3), {
    limitMs: 60_000,
  });
  for (const { linked } of cluster.devices) assert.equal(linked?.node.overlay.inspect().overlay, 'kouncil');
  assert.equal(await world.settle(owner.linked?.node.networkRegister?.members() ?? Promise.resolve(0)), 3);
});

test('a node and a client that ran on while the others changed the overlay harm nothing, hear of it and end', {
  timeout: 300_000,
}, async () => {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 7 });
  const cluster = await makeCluster(world, { nodes: 3, clients: 1 });
  const [owner, other, left, client] = cluster.devices;
  if (!owner || !other || !left || !client) throw new Error('four devices');
  await startNodes(world, [owner, other, left]);
  await world.runFor(10_000);
  await world.settle(client.startClient([left.endpoint]));
  const { keys } = await world.settle(openStore(client, cluster, true));
  await world.settle(keys.put(utf8('before'), utf8('the change')));
  await world.runFor(30_000);
  for (const device of [owner, other]) await world.settle(device.linked?.close() ?? Promise.resolve());
  await world.settle(updateNetwork(owner.context, { as: 'alice', name: 'cluster', overlay: 'kouncil' }));
  const said: string[] = [];
  const listen = ({ linked }: (typeof cluster.devices)[number]) =>
    void linked?.node.outdated.then(({ message }) => said.push(message));
  for (const device of [left, client]) listen(device);
  await world.settle(owner.startNode([]));
  // This one was stopped, and knows no better than those that were not.
  await world.settle(other.startNode([owner.endpoint]));
  listen(other);
  await world.run(() => said.length === 3, { limitMs: 300_000 });
  for (const message of said)
    assert.equal(message, 'network "alice/cluster" has changed from overlay chord to kouncil');
  for (const device of [other, left, client]) await world.settle(device.linked?.close() ?? Promise.resolve());
  // Started again, they are of the new network, and nothing is lost.
  for (const device of [other, left]) await world.settle(device.startNode([]));
  await world.settle(client.startClient([left.endpoint]));
  await world.run(() => [owner, other, left].every(({ linked }) => linked?.node.overlay.nodes().length === 3), {
    limitMs: 60_000,
  });
  for (const { linked } of cluster.devices) assert.equal(linked?.node.overlay.inspect().overlay, 'kouncil');
  const again = await world.settle(openStore(client, cluster, true));
  const { value } = await world.settle(again.keys.get(utf8('before')), { limitMs: 120_000 });
  assert.equal(Buffer.from(value).toString(), 'the change');
});

test('a node that does not rebalance by itself ends with all that was asked of it', { timeout: 120_000 }, async () => {
  const world = createWorld({ seed: 1 });
  const { devices } = await makeCluster(world, { nodes: 2, clients: 0 });
  const [a, b] = devices;
  if (!a || !b) throw new Error('two devices');
  await world.settle(a.startNode([]));
  const rebalancing = { expand: false, inspectAtStart: true };
  const { node, close } = await world.settle(b.startNode([a.endpoint], { rebalancing }));
  await world.runFor(10_000);
  assert.ok(!node.workers.some(({ name }) => ['membership', 'repair'].includes(name)));
  // Draining moves members of registers, and a bad copy is replaced, whatever happens without being asked.
  await world.settle(node.drain?.run(new AbortController().signal) ?? Promise.reject(), { limitMs: 120_000 });
  node.blocks?.held.events.emit('bad', Buffer.alloc(32, 1));
  await world.settle(close());
  let looked = 0;
  node.overlay.liveness = () => {
    looked++;
    return 'unknown';
  };
  await world.runFor(120_000);
  assert.equal(looked, 0);
});
