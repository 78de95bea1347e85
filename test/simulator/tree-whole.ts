// The tree over whole nodes in the simulated world: real registers, journals, blocks, peers and overlay under clients that put
// and get, while leaders crash, pause and are cut off and storage nodes restart (docs/protocols.md L1, L3, L4, L8).

import { KeyLoad } from './key-load.ts';
import type { World } from './runtime/world.ts';
import { createWorld } from './runtime/world.ts';
import { type Cluster, type Device, makeCluster, openStore } from './whole.ts';

const nodes = 3;

export interface WholeTreeResult {
  operations: number;
  answered: number;
  leaders: number;
}

export async function runWholeTree(options: {
  seed: number;
  timeMs?: number;
  clients?: number;
}): Promise<WholeTreeResult> {
  const { seed, timeMs = 60_000, clients = 3 } = options;
  const world = createWorld({ seed });
  const cluster = await makeCluster(world, { nodes, clients });
  const [first, ...others] = cluster.devices.slice(0, nodes) as [Device, ...Device[]];
  await world.settle(first.startNode([]));
  await world.settle(Promise.all(others.map((device) => device.startNode([first.endpoint]))));
  await world.runFor(10_000);
  const schedule = new WholeSchedule(world, cluster, timeMs);
  const end = world.nowMs + timeMs;
  for (const device of cluster.devices.slice(nodes)) await schedule.begin(device);
  schedule.harm();
  await world.run(end);
  await schedule.calm();
  await world.runFor(90_000);
  return schedule.finish();
}

class WholeSchedule {
  private readonly world: World;
  private readonly cluster: Cluster;
  private readonly until: number;
  private readonly load: KeyLoad;
  private readonly seeds;
  private readonly random;
  private readonly epochs = new Set<number>();
  private readonly open = new Map<Device, Awaited<ReturnType<typeof openStore>>>();
  private failed: unknown;

  constructor(world: World, cluster: Cluster, timeMs: number) {
    this.world = world;
    this.cluster = cluster;
    this.until = world.nowMs + timeMs;
    this.random = world.random.fork('schedule');
    this.seeds = cluster.devices.slice(0, nodes).map((device) => device.endpoint);
    this.load = new KeyLoad({
      keys: 3,
      now: () => world.nowMs,
      below: (limit) => this.random.below(limit),
      onError: (error) => {
        this.failed ??= error;
      },
    });
  }

  /** Opens the store on a device, as often as it takes, and puts load on it while that process lives. */
  async begin(device: Device): Promise<void> {
    const { runtime } = device.host;
    const start = async () => {
      for (;;) {
        try {
          await device.startClient(this.seeds);
          const opened = await openStore(device, this.cluster, true);
          this.open.set(device, opened);
          return opened;
        } catch {
          await device.linked?.node.stop().catch(() => {});
          await runtime.clock.sleep(1000);
        }
      }
    };
    const started = start();
    for (let i = 0; i < 2; i++)
      void started.then(async ({ keys, tree }) => {
        while (this.world.nowMs < this.until) {
          await this.load.operate(keys, device.host.name);
          this.epochs.add(tree.status().epoch);
          await runtime.clock.sleep(this.random.below(300));
        }
      });
  }

  harm(): void {
    const { world, random, cluster } = this;
    if (world.nowMs > this.until - 5000) return;
    const client = random.below(2) === 0 ? this.pick(cluster.devices.slice(nodes)) : this.leader;
    const storage = this.pick(cluster.devices.slice(0, nodes));
    const healMs = 500 + random.below(9000);
    const later = (task: () => void) => world.schedule(healMs * 1000, 'heal', task);
    switch (random.below(4)) {
      case 0:
        this.open.delete(client);
        client.host.restart({ power: true });
        void this.begin(client);
        break;
      case 1:
        client.host.pause();
        later(() => client.host.resume());
        break;
      case 2:
        later(world.network.partition([client.host.name], [storage.host.name]));
        break;
      case 3:
        storage.host.restart({ power: true });
        void storage.startNode(this.seeds).catch(() => {});
        break;
    }
    world.schedule((2000 + random.below(6000)) * 1000, 'harm', () => this.harm());
  }

  async calm(): Promise<void> {
    this.world.network.heal();
    for (const { host } of this.cluster.devices) host.resume();
  }

  async finish(): Promise<WholeTreeResult> {
    if (this.failed) throw this.failed;
    for (const { keys } of this.open.values()) await this.world.settle(this.load.readAll(keys));
    this.load.check();
    const { history, answered } = this.load;
    return { operations: history.length, answered, leaders: this.epochs.size };
  }

  /** The device that leads, or any. */
  private get leader(): Device {
    for (const [device, { tree }] of this.open) if (tree.status().role === 'leader') return device;
    return this.pick(this.cluster.devices.slice(nodes));
  }

  private pick<T>(list: readonly T[]): T {
    return list[this.random.below(list.length)] as T;
  }
}
