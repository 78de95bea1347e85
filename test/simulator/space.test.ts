// Space comes back on whole nodes with the real silo engine: after everything of a volume or a key-value store is deleted, one
// garbage cycle brings the bytes silos use within 5 % of what they used while it was empty, and what stayed is whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { openVolume } from '../../src/core/node/volumes.ts';
import type { Tree } from '../../src/core/tree/tree.ts';
import { rootInode } from '../../src/core/volume/files/files.ts';
import type { World } from './runtime/world.ts';
import { createWorld } from './runtime/world.ts';
import { type Device, makeCluster, openStore, startNodes } from './whole.ts';

const nodes = 3;
/** A register remembers its last 16 versions: one of a tree that was never used is smaller than it stays. */
const ageingRounds = 6;

async function started() {
  const world = createWorld({ seed: 5 });
  const cluster = await makeCluster(world, { nodes, clients: 1, capacity: 512 << 20 });
  const storage = cluster.devices.slice(0, nodes) as [Device, ...Device[]];
  const [first] = storage;
  await startNodes(world, storage);
  await world.runFor(10_000);
  const client = cluster.devices[nodes] as Device;
  const linked = await world.settle(client.startClient([first.endpoint]));
  const usage = () =>
    storage.map(({ linked: node }) => node?.node.options.silo?.usage() ?? assert.fail('a node does not run'));
  const close = async () => {
    for (const { linked: one } of cluster.devices) if (one) await world.settle(one.node.stop());
  };
  return { world, cluster, client, linked, usage, close };
}

/** Runs one cycle, then until nothing is dirty any more. */
async function collected(world: World, tree: Tree): Promise<void> {
  const { generation } = await world.settle(tree.collect({ graceMs: 0 }));
  for (let tries = 0; ; tries++) {
    await world.runFor(1000);
    const { state, last, lastError } = await world.settle(tree.collect());
    if (state === 'idle' && (last?.generation ?? 0) > generation) break;
    assert.ok(tries < 200, `a cycle does not end: ${state}, ${lastError}`);
  }
  await world.runFor(60_000);
}

const total = (usages: readonly { usedBytes: number }[]) => usages.reduce((sum, { usedBytes }) => sum + usedBytes, 0);

function assertWithin(usedBytes: number, emptyBytes: number): void {
  assert.ok(usedBytes <= emptyBytes * 1.05, `${usedBytes} bytes are used, ${emptyBytes} were while it was empty`);
}

test('of a volume: files large and small, written over and deleted, while one stays', {
  timeout: 600_000,
}, async () => {
  const { world, client, linked, usage, close } = await started();
  const described = { as: 'alice', name: 'volume', network: 'alice/cluster' };
  const volume = await world.settle(createVolume(client.context, described));
  const { tree, files, close: closeVolume } = await world.settle(openVolume(linked, volume, { door: true }));
  const who = { uid: 0, gid: 0 };
  const make = (name: string) => world.settle(files.make(rootInode, utf8(name), { type: 'file', mode: 0o644, ...who }));
  for (let i = 0; i < ageingRounds; i++) {
    const { inode } = await make('first');
    await world.settle(files.write(inode, 0, Buffer.alloc(100_000, i)));
    await world.settle(files.syncAll());
    await world.settle(files.unlink(rootInode, utf8('first')));
    await collected(world, tree);
  }
  const empty = total(usage());
  const kept = await make('kept');
  const keptBytes = linked.node.runtime.random.bytes(300_000);
  const write = async (inode: number, offset: number, bytes: Buffer) => {
    await world.settle(files.write(inode, offset, bytes));
  };
  await write(kept.inode, 0, keptBytes);
  await world.settle(files.syncAll());
  await world.settle(tree.commit());
  await collected(world, tree);
  const withKept = total(usage());
  for (let i = 0; i < 40; i++) {
    const { inode } = await make(`file${i}`);
    await write(inode, 0, linked.node.runtime.random.bytes(i % 4 === 0 ? 1_500_000 : 3000 * (i + 1)));
    if (i % 3 === 0) await write(inode, 1000, linked.node.runtime.random.bytes(2000));
    if (i % 8 === 7) {
      await world.settle(files.syncAll());
      await world.settle(tree.commit());
    }
  }
  await world.settle(files.syncAll());
  const full = total(usage());
  assert.ok(full > withKept * 3, `only ${full} bytes are used`);
  for (let i = 0; i < 40; i++) await world.settle(files.unlink(rootInode, utf8(`file${i}`)));
  await world.settle(files.syncAll());
  await collected(world, tree);
  assertWithin(total(usage()), withKept);
  const read = await world.settle(files.read(kept.inode, 0, 400_000));
  assert.ok(Buffer.concat(read).equals(keptBytes));
  await world.settle(files.unlink(rootInode, utf8('kept')));
  await world.settle(files.syncAll());
  await collected(world, tree);
  assertWithin(total(usage()), empty);
  await world.settle(closeVolume());
  await close();
});

test('of a key-value store: values written over again and again, then deleted', { timeout: 600_000 }, async () => {
  const { world, cluster, client, linked, usage, close } = await started();
  const { tree, keys } = await world.settle(openStore(client, cluster, true));
  for (let i = 0; i < ageingRounds; i++) {
    await world.settle(keys.put(utf8('first'), Buffer.alloc(100_000, i)));
    await world.settle(keys.delete(utf8('first')));
    await collected(world, tree);
  }
  const empty = total(usage());
  const values = new Map<string, Buffer>();
  for (let round = 0; round < 6; round++) {
    for (let i = 0; i < 12; i++) {
      const value = linked.node.runtime.random.bytes([200, 2000, 40_000, 150_000][i % 4] as number);
      values.set(`key${i}`, value);
      await world.settle(keys.put(utf8(`key${i}`), value));
    }
    await world.settle(tree.commit());
  }
  const plain = [...values.values()].reduce((sum, value) => sum + value.length, 0);
  const before = total(usage()) - empty;
  assert.ok(before > 5 * nodes * plain, `values written over take ${before} bytes`);
  await collected(world, tree);
  const after = total(usage()) - empty;
  assert.ok(after < 1.1 * nodes * plain + 100_000, `${after} bytes are used for ${plain} of values`);
  for (const [key, value] of values) assert.ok(value.equals((await world.settle(keys.get(utf8(key)))).value));
  for (const key of values.keys()) await world.settle(keys.delete(utf8(key)));
  await collected(world, tree);
  assertWithin(total(usage()), empty);
  await world.settle(tree.stop());
  await close();
});
