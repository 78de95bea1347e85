// Members of registers on whole nodes (docs/protocols.md 2.5): eviction after the delay and not before, a node that comes back,
// a network that shrinks node by node, a disk lost while another node is away.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase64, toHex, utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { Address } from '../../src/core/block/address.ts';
import type { RegisterSnapshot } from '../../src/core/consensus/consensus.ts';
import type { LinkedNode } from '../../src/core/node/link.ts';
import type { OpenStore } from '../../src/core/node/trees.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Cluster, type Device, makeCluster, openStore } from './whole.ts';

const evictionDelayMs = 60_000;
/** Noticing a death, the delay, and a round of the workers. */
const evictedMs = evictionDelayMs + 45_000;

class Scene {
  readonly world: World;
  readonly cluster: Cluster;
  readonly nodes: Device[];
  readonly client: Device;
  keys: OpenStore['keys'] | undefined;

  constructor(world: World, cluster: Cluster) {
    this.world = world;
    this.cluster = cluster;
    this.nodes = cluster.devices.slice(0, -1);
    this.client = cluster.devices.at(-1) as Device;
  }

  static async begin(seed: number, nodes: number): Promise<Scene> {
    const world = createWorld({ seed: process.env.INFINIT_SEED ?? seed });
    const scene = new Scene(world, await makeCluster(world, { nodes, clients: 1, evictionDelayMs }));
    const [first, ...others] = scene.nodes as [Device, ...Device[]];
    await world.settle(first.startNode([]));
    await world.settle(Promise.all(others.map((device) => device.startNode([first.endpoint]))));
    await world.runFor(10_000);
    await world.settle(scene.client.startClient([first.endpoint]));
    scene.keys = (await world.settle(openStore(scene.client, scene.cluster, true))).keys;
    for (let i = 0; i < 10; i++) await scene.put(`k${i}`, `v${i}`);
    await world.runFor(95_000);
    return scene;
  }

  async put(key: string, value: string): Promise<void> {
    if (this.keys === undefined) throw new Error('no store is open');
    await this.world.settle(this.keys.put(utf8(key), utf8(value)), { limitMs: 120_000 });
  }

  async get(key: string): Promise<string> {
    if (this.keys === undefined) throw new Error('no store is open');
    const { value } = await this.world.settle(this.keys.get(utf8(key)), { limitMs: 120_000 });
    return Buffer.from(value).toString();
  }

  running(): LinkedNode[] {
    return this.nodes.flatMap((device) => device.linked ?? []);
  }

  async registers(): Promise<RegisterSnapshot[]> {
    const [{ node }] = this.running() as [LinkedNode];
    const trees = (await this.world.settle(node.networkRegister?.read() ?? Promise.reject())).trees;
    const addresses: Address[] = [
      fromBase64(this.cluster.network.founding?.register ?? ''),
      ...trees.map(({ root }) => root),
    ];
    return Promise.all(addresses.map((address) => this.world.settle(node.registers.read(address))));
  }

  /** Of each register, the numbers of the devices that are its members. */
  async members(): Promise<number[][]> {
    const names = new Map(this.nodes.map((device, i) => [this.ids.get(device) ?? '', i]));
    return (await this.registers()).map(({ members, joint }) => {
      assert.equal(joint, false);
      return members.map(({ node }) => names.get(toHex(node)) ?? -1).sort();
    });
  }

  private readonly ids = new Map<Device, string>();

  note(): void {
    for (const device of this.nodes) if (device.linked) this.ids.set(device, toHex(device.linked.node.peers.self.id));
  }

  counter(device: Device | undefined, name: string): number {
    const worker = device?.linked?.node.workers.find((each) => each.name === 'membership');
    return worker?.status().counters[name] ?? 0;
  }

  async readsEverything(): Promise<void> {
    for (let i = 0; i < 10; i++) assert.equal(await this.get(`k${i}`), `v${i}`);
  }
}

test('a node that stays away is replaced after the delay and not before; when it comes back it gives up what moved on', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(11, 5);
  scene.note();
  const before = await scene.members();
  for (const members of before) assert.equal(members.length, 3);
  const gone = before[0]?.[0] as number;
  const device = scene.nodes[gone] as Device;
  device.crash();
  await scene.world.runFor(evictionDelayMs - 15_000);
  assert.deepEqual(await scene.members(), before);
  await scene.world.runFor(60_000);
  for (const members of await scene.members()) {
    assert.equal(members.length, 3);
    assert.ok(!members.includes(gone));
  }
  await scene.readsEverything();
  await scene.put('while away', 'yes');
  device.host.restart();
  await scene.world.settle(device.startNode([]));
  await scene.world.runFor(30_000);
  assert.ok(scene.counter(device, 'retired') > 0, 'what moved on is given up');
  // Placement names it again: after a while it is a member where it was.
  await scene.world.runFor(150_000);
  assert.deepEqual(await scene.members(), before);
  await scene.readsEverything();
  assert.equal(await scene.get('while away'), 'yes');
});

test('nodes lost for good one after the other: every register is agreed on by those that are left, down to two', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(12, 5);
  scene.note();
  for (const [i, device] of scene.nodes.slice(0, 3).entries()) {
    device.crash();
    await scene.world.runFor(evictedMs);
    await scene.readsEverything();
    await scene.put(`after ${i}`, `${i}`);
    const expected = i < 2 ? 3 : 2;
    for (const members of await scene.members()) {
      const alive = members.filter((member) => scene.nodes[member]?.linked !== undefined);
      assert.equal(alive.length, expected, `${i} ${members}`);
    }
  }
  for (let i = 0; i < 3; i++) assert.equal(await scene.get(`after ${i}`), `${i}`);
});

test('with a disk lost while another member is away nothing is agreed on; when it is back, everything is', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(13, 5);
  scene.note();
  const [first] = await scene.members();
  const [away, emptied] = (first ?? []).map((i) => scene.nodes[i] as Device) as [Device, Device];
  away.crash();
  await scene.world.runFor(evictionDelayMs - 20_000);
  emptied.crash(false);
  await scene.world.settle(emptied.host.restart().files.remove('/home/data/blocks/disk'));
  await scene.world.settle(emptied.startNode([]));
  await scene.world.runFor(150_000);
  await assert.rejects(scene.registers(), (error) => isError(error, 'unavailable'));
  const blocked = scene.nodes.filter((device) => scene.counter(device, 'blocked') > 0);
  assert.ok(blocked.length > 0, 'somebody says so');
  away.host.restart();
  await scene.world.settle(away.startNode([]));
  await scene.world.runFor(150_000);
  for (const members of await scene.members()) assert.equal(members.length, 3);
  const stores = (await scene.registers()).flatMap(({ members }) => members.map(({ store }) => toHex(store)));
  const known = new Set(scene.running().map(({ node }) => toHex(node.self()?.store ?? Buffer.alloc(0))));
  for (const store of stores) assert.ok(known.has(store), 'every member is a store that is there');
  await scene.readsEverything();
});
