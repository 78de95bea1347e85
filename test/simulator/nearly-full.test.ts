// A node that is nearly full takes nothing new, before it is full, until there is room again (protocols 1.8): whole nodes.
// Run one seed: INFINIT_SEED=N node --import tsx --test test/simulator/nearly-full.test.ts

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { createWorld } from './runtime/world.ts';
import { makeCluster, openStore, startNodes } from './whole.ts';

const seed = Number(process.env.INFINIT_SEED ?? 1);
const megabyte = 2 ** 20;

for (const overlay of ['chord', 'kouncil'] as const)
  test(`${overlay}: writes go elsewhere while a node is nearly full, and come back when space does`, {
    timeout: 240_000,
  }, async () => {
    const world = createWorld({ seed });
    const cluster = await makeCluster(world, { nodes: 4, clients: 1, capacity: 64 * megabyte, overlay });
    const [first, ...others] = cluster.devices.slice(0, 4);
    const client = cluster.devices[4];
    if (!first || !client) throw new Error('five devices');
    await startNodes(world, [first, ...others]);
    await world.settle(client.startClient([first.endpoint]));
    const { keys } = await world.settle(openStore(client, cluster, true));
    const value = Buffer.alloc(100_000, 7);
    await world.settle(keys.put(utf8('before'), value));
    const crowded = others[2]?.linked?.node;
    const silo = crowded?.options.silo;
    if (!crowded || !silo) throw new Error('a storage node');
    const isClosed = () => client.linked?.node.overlay.record(crowded.peers.self.id)?.closed === true;
    const blocks = async () => {
      const held = new Set<string>();
      for await (const key of silo.list('block')) held.add(toHex(key));
      return held;
    };

    const junk = Array.from({ length: 300 }, (_, i) => hash(utf8(`junk ${i}`)));
    const put = (i: number) => silo.put('block', junk[i] as Buffer, Buffer.alloc(megabyte / 4, i));
    let used = 0;
    for (; silo.usage().freeBytes > 0.06 * 64 * megabyte; used++) await world.settle(put(used));
    await world.runFor(30_000);
    assert.equal(isClosed(), false, 'nearly is not yet');
    for (const end = used + 4; used < end; used++) await world.settle(put(used));
    await world.run(isClosed, { limitMs: 60_000 });
    assert.ok(silo.usage().freeBytes > 0, 'before it is full');
    // What was on its way arrives.
    await world.runFor(10_000);
    const full = await world.settle(blocks());
    for (let i = 0; i < 30; i++) await world.settle(keys.put(utf8(`k${i}`), Buffer.alloc(100_000, i)));
    await world.runFor(60_000);
    for (let i = 0; i < 30; i++) assert.equal((await world.settle(keys.get(utf8(`k${i}`)))).value[0], i);
    const fresh = [...(await world.settle(blocks()))].filter((address) => !full.has(address));
    assert.deepEqual(fresh, [], 'it was given nothing');

    for (let i = 0; i < 2; i++) await world.settle(silo.delete('block', junk[i] as Buffer));
    await world.runFor(30_000);
    assert.equal(isClosed(), true, 'a little more room does not open it yet');
    for (let i = 2; i < used; i++) await world.settle(silo.delete('block', junk[i] as Buffer));
    await world.run(() => !isClosed(), { limitMs: 60_000 });
    for (let i = 0; i < 30; i++) await world.settle(keys.put(utf8(`again ${i}`), Buffer.alloc(100_000, i + 100)));
    await world.runFor(60_000);
    assert.ok(
      [...(await world.settle(blocks()))].some((address) => !full.has(address)),
      'it takes its share again',
    );
  });
