// Kouncil with more nodes than lists of Chord hold, over real peers in a simulated world; and whole nodes on it.
// Run one seed: INFINIT_SEED=N node --import tsx --test test/simulator/kouncil.test.ts

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { agree, type NodeOptions, restate, seedOf, startNode, type TestNode } from './ring-network.ts';
import { createWorld, type World } from './runtime/world.ts';
import { makeCluster, openStore, startNodes } from './whole.ts';

const seed = Number(process.env.INFINIT_SEED ?? 1);
const overlay = 'kouncil';

async function start(world: World, count: number, options: NodeOptions = {}): Promise<TestNode[]> {
  const nodes = Array.from({ length: count }, (_, i) =>
    startNode(world, `node-${i}`, { overlay, ...options, seeds: i === 0 ? [] : [seedOf('node-0')] }),
  );
  await world.settle(Promise.all(nodes.map((node) => node.joined)));
  await world.run(() => agree(nodes, nodes), { limitMs: 60_000 });
  return nodes;
}

const digestOf = (node: TestNode) => node.overlay.inspect().digest;
const sameTables = (nodes: readonly TestNode[]) =>
  nodes.every((node) => digestOf(node) === digestOf(nodes[0] as TestNode));

test('forty nodes know each other and hold one table; news of one is everywhere within seconds', async (t) => {
  const world = createWorld({ seed });
  const nodes = await start(world, 40);
  t.diagnostic(`forty together after ${Math.round(world.nowMs)} ms`);
  await world.run(() => sameTables(nodes), { limitMs: 120_000 });
  const one = nodes[7] as TestNode;
  const { id } = one.state.record;
  restate(one, { closed: true });
  let began = world.nowMs;
  await world.run(() => nodes.every((node) => node.overlay.record(id)?.closed === true), { limitMs: 10_000 });
  t.diagnostic(`closed everywhere after ${Math.round(world.nowMs - began)} ms`);
  restate(one, { freeBytes: 1 });
  began = world.nowMs;
  await world.run(() => sameTables(nodes) && nodes[0]?.overlay.record(id)?.freeBytes === 1, { limitMs: 180_000 });
  t.diagnostic(`what matters less after ${Math.round(world.nowMs - began)} ms`);
});

test('all of forty restarted at once, without seeds, meet again; halves of a partition too', async (t) => {
  const world = createWorld({ seed });
  const nodes = await start(world, 40);
  await world.runFor(10_000);
  for (const { host } of nodes) world.host(host).crash();
  await world.runFor(1000);
  const again = nodes.map(({ host }) => startNode(world, host, { overlay }));
  let began = world.nowMs;
  await world.run(() => agree(again, again), { limitMs: 60_000 });
  t.diagnostic(`met again after ${Math.round(world.nowMs - began)} ms`);
  const [left, right] = [again.slice(0, 20), again.slice(20)];
  const hosts = (side: TestNode[]) => side.map((node) => node.host);
  const mend = world.network.partition(hosts(left), hosts(right));
  await world.run(() => agree(left, left) && agree(right, right), { limitMs: 180_000 });
  mend();
  began = world.nowMs;
  await world.run(() => agree(again, again), { limitMs: 120_000 });
  t.diagnostic(`one again after ${Math.round(world.nowMs - began)} ms`);
});

test('whom nobody certifies is not let into the table; who is away and no more certified is forgotten', async () => {
  const world = createWorld({ seed });
  const revoked = new Set<string>();
  const certify = ({ id }: { id: Uint8Array }) => {
    if (revoked.has(toHex(id))) throw new InfinitError('denied', 'not certified');
  };
  const nodes = await start(world, 5, { certify });
  const client = startNode(world, 'client', { overlay, kind: 'client', certify, seeds: [seedOf('node-1')] });
  await world.settle(client.joined);
  const gone = nodes[4] as TestNode;
  const { id } = gone.state.record;
  const others = nodes.slice(0, 4);
  world.host(gone.host).crash();
  await world.run(() => agree(others, others) && agree([client], others), { limitMs: 30_000 });
  await world.runFor(30 * 60_000);
  for (const node of others) assert.ok(node.overlay.record(id), 'nobody is forgotten because he is away');
  revoked.add(gone.name);
  await world.run(() => others.every((node) => node.overlay.record(id) === undefined), { limitMs: 30 * 60_000 });
  const again = startNode(world, gone.host, { overlay, certify, seeds: [seedOf('node-1')] });
  await world.settle(again.joined);
  await world.runFor(60_000);
  for (const node of [...others, client]) assert.equal(node.overlay.liveness(id), 'unknown');
  assert.ok(agree(others, others));
});

test('whole nodes on Kouncil keep what clients put, through the loss of a node and a restart of all', {
  timeout: 120_000,
}, async () => {
  const world = createWorld({ seed });
  const cluster = await makeCluster(world, { nodes: 4, clients: 1, overlay });
  const [first, ...others] = cluster.devices.slice(0, 4);
  const client = cluster.devices[4];
  if (!first || !client) throw new Error('five devices');
  await startNodes(world, [first, ...others]);
  await world.settle(client.startClient([first.endpoint]));
  const { keys } = await world.settle(openStore(client, cluster, true));
  const value = Buffer.alloc(200_000, 7);
  for (let i = 0; i < 5; i++) await world.settle(keys.put(utf8(`k${i}`), value));
  await world.runFor(40_000);
  others[0]?.crash();
  for (let i = 0; i < 5; i++)
    assert.ok(Buffer.from((await world.settle(keys.get(utf8(`k${i}`)), { limitMs: 60_000 })).value).equals(value));
  await world.settle(keys.put(utf8('after'), value), { limitMs: 60_000 });
  for (const device of cluster.devices) device.crash();
  await world.runFor(2000);
  for (const device of cluster.devices) device.host.restart();
  await world.settle(Promise.all(cluster.devices.slice(0, 4).map((device) => device.startNode([]))));
  await world.settle(client.startClient([]));
  await world.run(() => client.linked?.node.overlay.nodes().length === 4, { limitMs: 60_000 });
  const { keys: reopened } = await world.settle(openStore(client, cluster, true), { limitMs: 120_000 });
  assert.ok(Buffer.from((await world.settle(reopened.get(utf8('after')), { limitMs: 60_000 })).value).equals(value));
});

test('copies of every block stand in three zones', { timeout: 240_000 }, async () => {
  const world = createWorld({ seed });
  const zones = ['a', 'a', 'b', 'b', 'c', 'c'];
  const cluster = await makeCluster(world, { nodes: 6, clients: 1, overlay, zones });
  const [first, ...others] = cluster.devices.slice(0, 6);
  const client = cluster.devices[6];
  if (!first || !client) throw new Error('seven devices');
  await startNodes(world, [first, ...others]);
  await world.settle(client.startClient([first.endpoint]));
  const { keys } = await world.settle(openStore(client, cluster, true));
  for (let i = 0; i < 10; i++) await world.settle(keys.put(utf8(`k${i}`), Buffer.alloc(100_000, i)));
  await world.runFor(5 * 60_000);
  const zonesOf = new Map<string, Set<string>>();
  for (const [i, device] of cluster.devices.slice(0, 6).entries()) {
    assert.equal(device.linked?.node.overlay.record(device.linked.node.peers.self.id)?.zone, zones[i]);
    const list = async () => {
      for await (const key of device.linked?.node.options.silo?.list('block') ?? []) {
        const name = toHex(key);
        zonesOf.set(name, (zonesOf.get(name) ?? new Set()).add(zones[i] as string));
      }
    };
    await world.settle(list());
  }
  assert.ok(zonesOf.size >= 10);
  for (const [name, where] of zonesOf) assert.equal(where.size, 3, `block ${name} stands in ${[...where]}`);
});
