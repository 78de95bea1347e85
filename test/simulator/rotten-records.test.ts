// Records of registers and batches of journals that rot on the disks of whole nodes, in their headers or their values: scrub finds them
// without waiting for a reader, they count as lost until they are mended, and the members mend them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { recordHeaderBytes } from '../../src/core/silo/entries.ts';
import type { Space } from '../../src/core/silo/silo.ts';
import { recordsOn } from './records.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Device, makeCluster, openStore, startNodes } from './whole.ts';

const silo = '/home/data/blocks/disk';

/** Three nodes that hold everything, and a client whose tree stands in a register on all of them. */
async function network(seed: number) {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? seed });
  const cluster = await makeCluster(world, { nodes: 3, clients: 1, evictionDelayMs: 600_000 });
  const nodes = cluster.devices.slice(0, 3) as [Device, Device, Device];
  await startNodes(world, nodes);
  await world.runFor(5_000);
  const client = cluster.devices.at(-1) as Device;
  await world.settle(client.startClient([nodes[0].endpoint]));
  const { keys, tree } = await world.settle(openStore(client, cluster, true));
  const put = (name: string) => world.settle(keys.put(utf8(name), utf8(`of ${name}`)), { limitMs: 120_000 });
  const get = async (name: string) =>
    Buffer.from((await world.settle(keys.get(utf8(name)), { limitMs: 120_000 })).value).toString();
  await put('first');
  await world.settle(tree.commit());
  await world.runFor(10_000);
  return { world, nodes, client, put, get, commit: () => world.settle(tree.commit(), { limitMs: 120_000 }) };
}

function partsOf({ linked }: Device) {
  const { node } = linked as NonNullable<Device['linked']>;
  const worker = (name: string) => node.workers.find((one) => one.name === name)?.status().counters ?? {};
  return { node, scrub: node.blocks?.scrub, worker, silo: node.options.silo };
}

/** Flips a bit of each live record of a space, at a place in it. */
async function rot(world: World, device: Device, space: Space, at: number): Promise<number> {
  const live = new Set<string>();
  const list = async () => {
    for await (const key of partsOf(device).silo?.list(space) ?? []) live.add(toHex(key));
  };
  await world.settle(list());
  const hit = recordsOn(device.host.disk, silo).filter((record) => record.space === space && live.has(record.key));
  for (const { path, position, bytes } of hit) device.host.disk.flip(path, position + Math.min(at, bytes - 1), 3);
  return hit.length;
}

/** Ends the process in order, so that its index is on the disk, and begins another. */
async function restarted(world: World, device: Device, between: () => Promise<unknown>): Promise<void> {
  await world.settle(device.linked?.close() ?? Promise.resolve());
  await between();
  device.host.restart({ power: false });
  await world.settle(device.startNode([]));
}

for (const [part, at] of Object.entries({ header: 20, value: recordHeaderBytes + 30 })) {
  test(`rot in the ${part} of records of registers is mended from memory`, { timeout: 300_000 }, async () => {
    const { world, nodes, put, get } = await network(21);
    const third = nodes[2];
    const count = await rot(world, third, 'register', at);
    assert.ok(count >= 2, `${count} registers`);
    partsOf(third).node.blocks?.scrubNow();
    await world.runFor(60_000);
    const { scrub, worker } = partsOf(third);
    assert.deepEqual([scrub?.counters.rottenRecords, scrub?.rottenRecords()], [count, []]);
    assert.equal(worker('mending').mended, count);
    await put('second');
    assert.equal(await get('first'), 'of first');
  });

  test(`rot in the ${part} of records of registers is mended by the other members after a start`, {
    timeout: 300_000,
  }, async () => {
    const { world, nodes, put, get, commit } = await network(22);
    const [, second, third] = nodes;
    const { storeId } = partsOf(third).silo ?? {};
    let count = 0;
    await restarted(world, third, async () => {
      const places = recordsOn(third.host.disk, silo).filter(({ space }) => space === 'register');
      count = places.length;
      for (const { path, position, bytes } of places) third.host.disk.flip(path, position + Math.min(at, bytes - 1), 3);
    });
    assert.ok(count >= 2, `${count} registers`);
    assert.deepEqual(partsOf(third).silo?.storeId, storeId, 'it knows what it lost');
    partsOf(third).node.blocks?.scrubNow();
    await world.runFor(120_000);
    const { scrub, worker } = partsOf(third);
    assert.deepEqual([scrub?.counters.rottenRecords, scrub?.rottenRecords()], [count, []]);
    assert.equal(worker('mending').mended, count);
    // Its word counts again: with one other it is a majority.
    second.crash();
    await put('second');
    await commit();
    assert.equal(await get('first'), 'of first');
  });

  test(`rot in the ${part} of blocks is found and mended after a start`, { timeout: 300_000 }, async () => {
    const { world, nodes } = await network(24);
    const third = nodes[2];
    let count = 0;
    await restarted(world, third, async () => {
      const places = recordsOn(third.host.disk, silo).filter(({ space }) => space === 'block');
      count = places.length;
      for (const { path, position, bytes } of places) third.host.disk.flip(path, position + Math.min(at, bytes - 1), 3);
    });
    assert.ok(count >= 1, `${count} blocks`);
    await world.runFor(5_000);
    partsOf(third).node.blocks?.scrubNow();
    await world.runFor(60_000);
    const { node, scrub, worker } = partsOf(third);
    assert.equal((worker('census').bad ?? 0) + (scrub?.counters.bad ?? 0), count);
    assert.deepEqual([worker('repair').mended, node.blocks?.held.badCopies], [count, 0]);
  });

  test(`rot in the ${part} of batches of a journal is mended by the other members, of a running process and of one that begins`, {
    timeout: 300_000,
  }, async () => {
    const { world, nodes, put, get } = await network(23);
    const [, second, third] = nodes;
    for (const name of ['second', 'third', 'fourth']) await put(name);
    const batches = async () => {
      const found = [];
      for await (const key of partsOf(third).silo?.list('journal') ?? []) if (key[16] !== 255) found.push(toHex(key));
      return found;
    };
    const before = await world.settle(batches());
    assert.ok(before.length >= 3, `${before.length} batches`);
    const hit = async () => {
      const places = recordsOn(third.host.disk, silo).filter(({ key }) => before.includes(key));
      for (const { path, position, bytes } of places) third.host.disk.flip(path, position + Math.min(at, bytes - 1), 3);
    };
    const areMended = async () => {
      partsOf(third).node.blocks?.scrubNow();
      await world.runFor(6_000);
      const { scrub, worker } = partsOf(third);
      assert.deepEqual([scrub?.counters.rottenRecords, scrub?.rottenRecords()], [before.length, []]);
      assert.equal(worker('mending').mended, before.length);
      assert.deepEqual((await world.settle(batches())).slice(0, before.length), before, 'none was given up');
    };
    await hit();
    await areMended();
    await restarted(world, third, hit);
    await areMended();
    // Another leader recovers from what this member and one other hold.
    second.crash();
    assert.equal(await get('fourth'), 'of fourth');
  });
}
