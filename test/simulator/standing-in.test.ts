// A device with one silo and two processes' worth of nodes: whoever came second is a client, and takes the place of the storage node
// when it is free; not one that was drained, and not while it made way.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import { openKeyValueStore } from '../../src/core/node/trees.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Cluster, type Device, makeCluster } from './whole.ts';

const healMs = 60_000;

interface Scene {
  world: World;
  cluster: Cluster;
  device: Device;
  other: Device;
  storage: LinkedNode;
  client: LinkedNode;
  keys: KeyStore;
  /** Storage nodes that stood in, oldest first. */
  stoodIn: LinkedNode[];
}

/** A storage node and, beside it on the same device, a client that leads a store. */
async function scene(nodes: number): Promise<Scene> {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 1 });
  const cluster = await makeCluster(world, { nodes, clients: 0 });
  const [device, other = cluster.devices[0]] = cluster.devices as [Device, Device?];
  if (other === undefined) throw new Error('no device');
  const storage = await world.settle(device.startNode([]));
  if (nodes > 1) await world.settle(other.startNode([device.endpoint]));
  const { context } = device;
  const listen = { host: device.host.name, port: 0 };
  const opening = { context, as: 'alice', network: 'cluster', role: 'either', listen } as const;
  const client = await world.settle(openLinkedNode(opening));
  assert.equal(client.isStorage, false);
  await world.settle(client.node.start([]));
  const stoodIn: LinkedNode[] = [];
  client.standIn?.begin([]);
  const tend = (here: LinkedNode) => {
    stoodIn.push(here);
    return async () => {};
  };
  await world.settle(client.standIn?.tendedBy(tend) ?? Promise.reject(new Error('it stands in for nobody')));
  const { keys } = await world.settle(openKeyValueStore(client, cluster.store, { door: true }));
  await world.settle(keys.put(utf8('k'), utf8('before')));
  return { world, cluster, device, other, storage, client, keys, stoodIn };
}

async function value({ world, keys }: Scene): Promise<string> {
  return Buffer.from((await world.settle(keys.get(utf8('k')))).value).toString();
}

test('a client takes the place of the storage node that ended, and keeps it until the end', async () => {
  const s = await scene(1);
  const { world, device, storage, client, keys, stoodIn } = s;
  await world.runFor(20_000);
  assert.equal(stoodIn.length, 0);
  await world.settle(storage.close());
  await world.settle(keys.put(utf8('k'), utf8('after')), { limitMs: healMs });
  assert.equal(await value(s), 'after');
  await world.run(() => stoodIn.length === 1, { limitMs: healMs });
  assert.deepEqual(
    stoodIn.map(({ node }) => [node.peers.self.kind, node.peers.self.id]),
    [['storage', storage.node.peers.self.id]],
  );
  // It holds the place like any other.
  await assert.rejects(world.settle(device.startNode([])), { kind: 'exists' });
  await world.settle(client.close());
  await world.settle((await world.settle(device.startNode([]))).close());
});

test('it gives way to whoever wants the place, and takes it again after', async () => {
  const s = await scene(1);
  const { world, device, storage, client, keys, stoodIn } = s;
  await world.settle(storage.close());
  await world.run(() => stoodIn.length === 1, { limitMs: healMs });
  await world.settle(client.standIn?.giveWay() ?? Promise.reject());
  await world.runFor(5000);
  const next = await world.settle(device.startNode([]));
  await world.settle(keys.put(utf8('k'), utf8('by the next')), { limitMs: healMs });
  await world.runFor(60_000);
  assert.equal(stoodIn.length, 1);
  await world.settle(next.close());
  await world.settle(keys.put(utf8('k'), utf8('by itself')), { limitMs: healMs });
  await world.run(() => stoodIn.length === 2, { limitMs: healMs });
  await world.settle(client.close());
});

test('it leaves a drained node alone, until a person starts it again', async () => {
  const s = await scene(2);
  const { world, device, other, storage, client, keys, stoodIn } = s;
  await world.runFor(20_000);
  await world.settle(storage.node.drain?.run(new AbortController().signal) ?? Promise.reject(), { limitMs: healMs });
  await world.settle(storage.close());
  await world.runFor(60_000);
  assert.equal(stoodIn.length, 0);
  await world.settle(keys.put(utf8('k'), utf8('on the other')), { limitMs: healMs });
  const again = await world.settle(device.startNode([other.endpoint]));
  await world.settle(again.close());
  await world.run(() => stoodIn.length === 1, { limitMs: healMs });
  assert.equal(await value(s), 'on the other');
  await world.settle(client.close());
});
