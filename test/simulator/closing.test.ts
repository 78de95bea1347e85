// A node is closed in the middle of each kind of its background work: when the close is over, the process does nothing more.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { blockAddress } from '../../src/core/block/address.ts';
import { encodeImmutable, treeTagBytes } from '../../src/core/block/immutable.ts';
import { keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import type { HeldBlocks } from '../../src/core/store/held-blocks.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Device, makeCluster, openStore, startNodes } from './whole.ts';

/** Labels of all that the process of the device still has to do, or does anew, in that time. */
async function doneBy(world: World, { host }: Device, timeMs: number): Promise<string[]> {
  const labels: string[] = [];
  const schedule = host.schedule.bind(host);
  host.schedule = (delayUs, label, task) => {
    // What others send to a port nobody listens at any more is not the process's doing.
    if (!label.includes('>')) labels.push(label);
    return schedule(delayUs, label, task);
  };
  await world.runFor(timeMs);
  host.schedule = schedule;
  return labels;
}

interface Scene {
  world: World;
  device: Device;
  /** Gives the worker of that name something to do. */
  begin(name: string): void;
  close(): Promise<void>;
}

/** One of three nodes leads a tree and holds what is placed on it. */
async function openScene(seed: number, replicationFactor: number): Promise<Scene> {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? seed });
  const cluster = await makeCluster(world, { nodes: 3, clients: 0, replicationFactor, capacity: 64 << 20 });
  const device = cluster.devices[1] ?? assert.fail('three devices');
  await startNodes(world, cluster.devices);
  await world.runFor(5_000);
  const { tree, keys } = await world.settle(openStore(device, cluster, true));
  const bob = { key: keyPairFromSeed(Buffer.alloc(32, 1)).publicKey, write: false };
  await world.settle(tree.share(() => ({ users: [bob], world: 'none' })));
  for (let i = 0; i < 6; i++) await world.settle(keys.put(utf8(`k${i}`), Buffer.alloc(200_000, i)));
  const linked = device.linked ?? assert.fail('it runs');
  const { blocks, drain, workers } = linked.node;
  const beginnings: Record<string, () => void> = {
    drain: () => void drain?.run(new AbortController().signal).catch(() => {}),
    garbage: () => void tree.collect({ graceMs: 0 }),
    sweep: () => void tree.collect({ graceMs: 0 }),
    reseal: () => void tree.share(() => ({ users: [], world: 'none' })),
    scrub: () => blocks?.scrubNow(),
    journals: () => linked.node.absence.events.emit('back', undefined),
    repair: () => blocks?.repair.soon(),
    rebalance: () => void (blocks && putAnywhere(blocks.held)),
  };
  const begin = (name: string) => {
    beginnings[name]?.();
    workers.find((worker) => worker.name === name)?.wake();
  };
  const close = async () => {
    await tree.stop();
    await linked.close();
  };
  return { world, device, begin, close };
}

/** Some of these blocks are for the other two nodes. */
async function putAnywhere(held: HeldBlocks): Promise<void> {
  for (let i = 0; i < 24; i++) {
    const block = encodeImmutable(Buffer.alloc(treeTagBytes, 1), 'clear', [Buffer.alloc(1000, i)]);
    await held.put(blockAddress(block), block, 1);
  }
}

const names = ['repair', 'rebalance', 'scrub', 'sweep', 'membership', 'journals', 'descriptor', 'garbage', 'reseal'];
for (const [seed, name] of [...names, 'drain'].entries())
  test(`closed in the middle of ${name}, a node does nothing more`, { timeout: 120_000 }, async () => {
    const { world, device, begin, close } = await openScene(seed, name === 'rebalance' ? 2 : 3);
    const { workers = [], drain } = device.linked?.node ?? {};
    begin(name);
    const isAtWork = () =>
      name === 'drain'
        ? drain?.status().state === 'draining'
        : workers.some((worker) => worker.name === name && worker.status().state === 'working');
    await world.run(isAtWork, { limitMs: 200_000 });
    await world.settle(close());
    assert.deepEqual(await doneBy(world, device, 120_000), []);
  });
