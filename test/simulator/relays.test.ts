// Whole nodes behind routers that translate addresses: nobody can dial them, those in front carry connections between them, and they work as
// others do.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex, utf8 } from '../../src/core/base/bytes.ts';
import { isRelayed, parseRelayed } from '../../src/core/peer/relayed-endpoint.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { createWorld } from './runtime/world.ts';
import { type Device, makeCluster, openStore } from './whole.ts';

const seeds = (process.env.INFINIT_SEED ?? '1').split(' ');

for (const seed of seeds)
  test(`seed ${seed}: nodes and clients behind routers keep a network with those in front of them`, {
    timeout: 300_000,
  }, async () => {
    const world = createWorld({ seed });
    const cluster = await makeCluster(world, { nodes: 4, clients: 2 });
    const [front, back, left, right, one, other] = cluster.devices as [Device, Device, Device, Device, Device, Device];
    // `one` shares a router with `left`; `other` has one of its own.
    world.network.behindRouter('west', left.host.name, one.host.name);
    world.network.behindRouter('east', right.host.name);
    world.network.behindRouter('north', other.host.name);
    const seeds = [front.endpoint, back.endpoint];
    await world.settle(front.startNode([]));
    await world.settle(Promise.all([back, left, right].map((device) => device.startNode(seeds))));
    const node = (device: Device) => device.linked?.node as NonNullable<Device['linked']>['node'];
    const idOf = (device: Device) => node(device).peers.self.id;
    const relaysOf = (device: Device) =>
      node(device)
        .endpoints()
        .flatMap((endpoint) => parseRelayed(endpoint) ?? [])
        .map(({ relay }) => toHex(relay));
    await world.run(() => [left, right].every((device) => relaysOf(device).length === 2));
    for (const device of [front, back]) assert.deepEqual(relaysOf(device), []);
    for (const relay of relaysOf(left)) assert.ok([front, back].some((device) => toHex(idOf(device)) === relay));

    await world.run(() => node(left).peers.get(idOf(right))?.relay !== undefined);
    await world.run(() => node(right).overlay.liveness(idOf(left)) === 'alive');
    assert.equal(world.network.connectionCount(left.host.name, right.host.name), 0);
    await world.run(() => node(front).overlay.record(idOf(left))?.endpoints.some(isRelayed) === true);

    await world.settle(one.startClient(seeds));
    await world.settle(other.startClient(seeds));
    const keysOf = async (device: Device): Promise<KeyStore> =>
      (await world.settle(openStore(device, cluster, true))).keys;
    const near = await keysOf(one);
    const put = async (name: string) => await world.settle(near.put(utf8(name), utf8(`of ${name}`)));
    for (let i = 0; i < 10; i++) await put(`k${i}`);
    const far = await keysOf(other);
    const check = async (name: string) => {
      const { value } = await world.settle(far.get(utf8(name)));
      assert.equal(Buffer.from(value).toString(), `of ${name}`);
    };
    for (let i = 0; i < 10; i++) await check(`k${i}`);

    // The relay that carries goes: the other one takes over, for nodes and for clients.
    const carrying = node(left).peers.get(idOf(right))?.relay ?? idOf(front);
    const gone = toHex(carrying) === toHex(idOf(front)) ? front : back;
    gone.crash();
    const rest = gone === front ? back : front;
    await world.run(() => {
      const relay = node(left).peers.get(idOf(right))?.relay;
      return relay !== undefined && toHex(relay) === toHex(idOf(rest));
    });
    await put('after');
    await check('after');
    await check('k3');
    await world.run(() => relaysOf(left).join() === toHex(idOf(rest)));
  });
