// Trees that are destroyed, on whole nodes with the real silo engine: all their blocks and journals go, on a node that was away too;
// those of other trees stay; who has the tree open is told; nobody opens it again.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { decodeImmutable, treeTagBytes } from '../../src/core/block/immutable.ts';
import { createKeyValueStore } from '../../src/core/descriptor/key-value-stores.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { awaitRiddance, destroyTree } from '../../src/core/node/destroying.ts';
import { openKeyValueStore } from '../../src/core/node/trees.ts';
import { openVolume } from '../../src/core/node/volumes.ts';
import { rootInode } from '../../src/core/volume/files/files.ts';
import { createWorld } from './runtime/world.ts';
import { type Device, makeCluster, openStore, startNodes } from './whole.ts';

const nodes = 3;
const clients = 3;
const isLost = (error: unknown) => isError(error, 'lost');

async function started(seed: number) {
  const world = createWorld({ seed });
  const cluster = await makeCluster(world, { nodes, clients, capacity: 512 << 20 });
  const storage = cluster.devices.slice(0, nodes) as [Device, Device, Device];
  const [first] = storage;
  await startNodes(world, storage);
  await world.runFor(10_000);
  const [one, two, three] = cluster.devices.slice(nodes) as [Device, Device, Device];
  const linked = await world.settle(one.startClient([first.endpoint]));
  const usage = () =>
    storage.map((device) => device.linked?.node.options.silo?.usage() ?? assert.fail('a node does not run'));
  const used = () => usage().reduce((sum, { usedBytes }) => sum + usedBytes, 0);
  const close = async () => {
    for (const device of cluster.devices) if (device.linked) await world.settle(device.linked.node.stop());
  };
  return { world, cluster, storage, one, two, three, linked, used, close };
}

/** How many blocks of each tag, and how many journals, a node keeps. */
async function kept(device: Device) {
  const silo = device.linked?.node.options.silo ?? assert.fail('a node does not run');
  const tags = new Map<string, number>();
  for await (const key of silo.list('block')) {
    const stored = await silo.get('block', key);
    decodeImmutable(stored.subarray(4));
    const tag = toHex(stored.subarray(6, 6 + treeTagBytes));
    tags.set(tag, (tags.get(tag) ?? 0) + 1);
  }
  let journals = 0;
  for await (const _ of silo.list('journal')) journals++;
  return { tags, journals };
}

test('a volume with its files, while a node is away and a store beside it stays', { timeout: 600_000 }, async () => {
  const { world, cluster, storage, one, two, linked, used, close } = await started(11);
  const [first, , third] = storage;
  const volume = await world.settle(
    createVolume(one.context, { as: 'alice', name: 'volume', network: 'alice/cluster' }),
  );
  const { tree: notes, keys } = await world.settle(openStore(one, cluster, true));
  const values = new Map<string, Buffer>();
  for (let i = 0; i < 8; i++) values.set(`key${i}`, linked.node.runtime.random.bytes(60_000));
  for (const [key, value] of values) await world.settle(keys.put(utf8(key), value));
  await world.settle(notes.commit());
  const before = used();
  const opened = await world.settle(openVolume(linked, volume, { door: true }));
  for (let i = 0; i < 12; i++) {
    const made = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
    const { inode } = await world.settle(opened.files.make(rootInode, utf8(`file${i}`), made));
    await world.settle(opened.files.write(inode, 0, linked.node.runtime.random.bytes(700_000)));
    if (i % 4 === 3) await world.settle(opened.files.syncAll());
  }
  await world.settle(opened.files.syncAll());
  await world.settle(opened.tree.commit());
  await world.runFor(20_000);
  assert.ok(used() > before + 20_000_000);
  // Whoever leads it has it open: it stays, unless one insists.
  const described = { kind: 'volume', descriptor: volume } as const;
  const other = await world.settle(two.startClient([first.endpoint]));
  const inUse = (error: unknown) => isError(error, 'conflict') && /is in use by client/.test(String(error));
  await assert.rejects(world.settle(destroyTree(other, { ...described, force: false })), inUse);
  await world.settle(opened.close());
  third.crash();
  await world.runFor(5_000);
  const root = await world.settle(destroyTree(other, { ...described, force: false }));
  assert.ok(root !== undefined);
  const lines: number[] = [];
  const facts = await world.settle(awaitRiddance(other, root, ({ nodes: done }) => void lines.push(done)));
  assert.equal(facts.nodes, 2, JSON.stringify(facts));
  assert.equal(lines.at(-1), 2);
  assert.ok(facts.bytes > 12_000_000, JSON.stringify(facts));
  assert.deepEqual(
    await world.settle(destroyTree(other, { ...described, force: false })),
    root,
    'once more does no harm',
  );
  await assert.rejects(world.settle(openVolume(linked, volume, { door: true })), isLost);
  // The one that was away comes back with all its blocks.
  third.host.restart();
  await world.settle(third.startNode([first.endpoint]));
  await world.runFor(120_000);
  const tags = await Promise.all(storage.map((device) => world.settle(kept(device))));
  for (const { tags: held } of tags) assert.equal(held.size, 1, 'blocks of the store alone');
  assert.equal((await world.settle(awaitRiddance(other, root, () => {}))).nodes, 3);
  assert.ok(used() <= before * 1.05, `${used()} bytes are used, ${before} before`);
  for (const [key, value] of values) assert.ok(value.equals((await world.settle(keys.get(utf8(key)))).value));
  // After a restart nobody looks for it again, and nothing comes back.
  first.crash();
  first.host.restart();
  await world.settle(first.startNode([storage[1].endpoint]));
  await world.runFor(90_000);
  const sweeping = first.linked?.node.workers.find(({ name }) => name === 'sweep')?.status();
  assert.equal(sweeping?.counters.passes, 0);
  await world.settle(notes.stop());
  await close();
});

test('who has it open is told at once, leader or not, and cannot go on', { timeout: 600_000 }, async () => {
  const { world, storage, one, two, three, linked, close } = await started(12);
  const store = await world.settle(
    createKeyValueStore(one.context, { as: 'alice', name: 'scratch', network: 'alice/cluster' }),
  );
  const leading = await world.settle(openKeyValueStore(linked, store, { door: true }));
  await world.settle(leading.keys.put(utf8('a'), Buffer.alloc(5000, 1)));
  const follower = await world.settle(two.startClient([storage[0].endpoint]));
  const following = await world.settle(openKeyValueStore(follower, store, { door: true }));
  assert.equal((await world.settle(following.keys.get(utf8('a')))).value.length, 5000);
  const told: string[] = [];
  for (const node of [linked.node, follower.node]) void node.outdated.then(({ message }) => told.push(message));
  const deleting = await world.settle(three.startClient([storage[0].endpoint]));
  const described = { kind: 'key-value-store', descriptor: store, force: true } as const;
  const root = await world.settle(destroyTree(deleting, described));
  await world.runFor(5_000);
  assert.equal(told.length, 2, 'both are told within seconds');
  for (const message of told) assert.match(message, /its owner has deleted key-value store "alice.scratch"/);
  for (const { keys } of [leading, following]) {
    await assert.rejects(world.settle(keys.put(utf8('b'), Buffer.alloc(10))), isLost);
    await assert.rejects(world.settle(keys.get(utf8('c'))), isLost);
  }
  for (const { tree } of [leading, following]) await world.settle(tree.stop());
  await world.runFor(60_000);
  for (const device of storage) {
    const { tags, journals } = await world.settle(kept(device));
    assert.equal(tags.size, 0);
    assert.equal(journals, 0);
  }
  assert.deepEqual(await world.settle(destroyTree(deleting, described)), root, 'once more does no harm');
  await close();
});

test('somebody who does not own it destroys nothing', { timeout: 600_000 }, async () => {
  const { world, cluster, one, linked, close } = await started(13);
  const { tree, keys } = await world.settle(openStore(one, cluster, true));
  await world.settle(keys.put(utf8('a'), Buffer.alloc(5000, 1)));
  await world.settle(tree.commit());
  const stranger = { ...linked, user: { ...linked.user, publicKey: Buffer.alloc(32, 7) } };
  const described = { kind: 'key-value-store', descriptor: cluster.store, force: true } as const;
  await assert.rejects(world.settle(destroyTree(stranger, described)), (error) => isError(error, 'denied'));
  assert.equal((await world.settle(keys.get(utf8('a')))).value.length, 5000);
  await world.settle(tree.stop());
  await close();
});
