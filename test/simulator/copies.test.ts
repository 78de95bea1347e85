// Copies of blocks on whole nodes: a lost node's are made again once it is evicted and not before, a joiner gets its share and
// surplus goes, a node that comes back cleans up, rotten bytes are restored, callers keep their speed meanwhile.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Device, makeCluster, openStore, startNodes } from './whole.ts';

const factor = 3;
const silo = '/home/data/blocks/disk';

/** A network of so many nodes, all but the last `later` running, with some large values put into it. */
async function network(seed: number, options: { nodes: number; later?: number; overlay?: 'chord' | 'kouncil' }) {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? seed });
  const { nodes: count, overlay = 'chord' } = options;
  const cluster = await makeCluster(world, { nodes: count, clients: 1, overlay, evictionDelayMs: 60_000 });
  const nodes = cluster.devices.slice(0, options.nodes);
  const client = cluster.devices.at(-1) as Device;
  const [first, ...others] = nodes.slice(0, options.nodes - (options.later ?? 0)) as [Device, ...Device[]];
  await startNodes(world, [first, ...others]);
  await world.runFor(5_000);
  await world.settle(client.startClient([first.endpoint]));
  const { keys, tree } = await world.settle(openStore(client, cluster, true));
  for (let i = 0; i < 30; i++) await world.settle(keys.put(utf8(`k${i}`), contentOf(i)));
  await world.settle(tree.commit());
  await world.runFor(5_000);
  return { world, cluster, nodes, client, keys };
}

/** Does not compress. */
const contentOf = (i: number) =>
  Buffer.concat(Array.from({ length: 1500 + 30 * i }, (_, at) => hash(utf8(`value ${i} ${at}`))));

/** How many of the running nodes hold each block, by address. */
async function copies(world: World, nodes: readonly Device[]): Promise<Map<string, number>> {
  const counts = new Map<string, number>();
  for (const device of nodes) {
    const held = device.linked?.node.blocks?.held;
    if (held === undefined) continue;
    const list = async () => {
      for await (const address of held.addresses())
        if (await held.has(address)) counts.set(toHex(address), (counts.get(toHex(address)) ?? 0) + 1);
    };
    await world.settle(list());
  }
  return counts;
}

async function counted(
  world: World,
  nodes: readonly Device[],
): Promise<{ least: number; most: number; blocks: number }> {
  const all = [...(await copies(world, nodes)).values()];
  return { least: Math.min(...all), most: Math.max(...all), blocks: all.length };
}

async function readAll(world: World, keys: KeyStore, values: number): Promise<void> {
  for (let i = 0; i < values; i++) {
    const got = await world.settle(keys.get(utf8(`k${i}`)), { limitMs: 120_000 });
    assert.ok(Buffer.from(got.value).equals(contentOf(i)), `k${i}`);
  }
}

test('a lost node is made up for once it is evicted, and not before; when it comes back, surplus goes', {
  timeout: 300_000,
}, async () => {
  const { world, nodes, keys } = await network(11, { nodes: 5 });
  const [lost, ...rest] = nodes as [Device, ...Device[]];
  const before = await counted(world, nodes);
  assert.deepEqual([before.least, before.most], [factor, factor]);
  assert.ok(before.blocks >= 10, `${before.blocks} blocks`);
  lost.crash();
  await world.runFor(40_000);
  assert.equal((await counted(world, rest)).least, factor - 1, 'nothing moves before the eviction delay');
  const short = rest.map((device) => device.linked?.node.blocks?.redundancy(60_000));
  assert.ok(short.some((told) => told?.shortages.some(({ reason }) => reason === 'node away')));
  assert.ok(short.every((told) => told?.shortages.every(({ reason }) => reason === 'node away')));
  await world.runFor(120_000);
  const healed = await counted(world, rest);
  assert.deepEqual([healed.least, healed.most, healed.blocks], [factor, factor, before.blocks]);
  for (const device of rest) {
    const told = device.linked?.node.blocks?.redundancy(60_000);
    assert.deepEqual([told?.underReplicated, told?.missing, told?.shortages], [0, 0, []]);
  }
  lost.host.restart();
  await world.settle(lost.startNode([]));
  await world.runFor(15_000);
  assert.ok((await counted(world, nodes)).least >= factor);
  await world.runFor(240_000);
  const after = await counted(world, nodes);
  assert.deepEqual([after.least, after.most, after.blocks], [factor, factor, before.blocks]);
  await readAll(world, keys, 30);
});

test('who joins gets its share, its former holders drop theirs, and reads find everything all the time', {
  timeout: 300_000,
}, async () => {
  const { world, nodes, keys } = await network(12, { nodes: 5, later: 1, overlay: 'kouncil' });
  const joiner = nodes.at(-1) as Device;
  const before = await counted(world, nodes);
  await world.settle(joiner.startNode([(nodes[0] as Device).endpoint]));
  for (let i = 0; i < 6; i++) {
    await readAll(world, keys, 30);
    await world.runFor(30_000);
    assert.ok((await counted(world, nodes)).least >= factor, 'never fewer');
  }
  const after = await counted(world, nodes);
  assert.deepEqual([after.least, after.most, after.blocks], [factor, factor, before.blocks]);
  assert.ok((joiner.linked?.node.blocks?.inventory.size ?? 0) > 0);
});

test('a disk that was emptied is filled again; one that rots is restored by scrub', { timeout: 300_000 }, async () => {
  const { world, nodes, keys } = await network(13, { nodes: 3 });
  const [, second, third] = nodes as [Device, Device, Device];
  await emptied(world, second);
  await world.runFor(90_000);
  assert.equal((await counted(world, nodes)).least, factor);
  // Where values lie, not where headers of segments do: some blocks are hit.
  const { node } = third.linked as NonNullable<Device['linked']>;
  for (const name of await world.settle(third.host.runtime.files.list(silo)))
    if (name.startsWith('segment')) third.host.disk.rot(`${silo}/${name}`, 40, 4 << 20);
  node.blocks?.scrubNow();
  await world.runFor(60_000);
  assert.ok((node.blocks?.scrub.counters.bad ?? 0) > 0, 'the seed hits a block');
  assert.equal((await counted(world, nodes)).least, factor);
  assert.equal(node.blocks?.held.badCopies, 0);
  await readAll(world, keys, 30);
});

async function emptied(world: World, device: Device): Promise<void> {
  device.crash(false);
  await world.settle(device.host.restart().files.remove(silo));
  await world.settle(device.startNode([]));
}
