// A network with a client and some keys, for tests of members: who is a member of each register, by the number of its device.

import assert from 'node:assert/strict';
import { fromBase64, toHex, utf8 } from '../../src/core/base/bytes.ts';
import type { Address } from '../../src/core/block/address.ts';
import type { RegisterSnapshot } from '../../src/core/consensus/consensus.ts';
import type { LinkedNode } from '../../src/core/node/link.ts';
import type { OpenStore } from '../../src/core/node/trees.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Cluster, type ClusterOptions, type Device, makeCluster, openStore } from './whole.ts';

export const evictionDelayMs = 60_000;

export class Scene {
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

  static async begin(seed: number, nodes: number, options: Partial<ClusterOptions> = {}): Promise<Scene> {
    const world = createWorld({ seed: process.env.INFINIT_SEED ?? seed });
    const scene = new Scene(world, await makeCluster(world, { nodes, clients: 1, evictionDelayMs, ...options }));
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
