// A seeded schedule of faults on whole nodes while clients use a key-value store: power cuts, kills, partitions one way and both
// ways, pauses longer than a lease, bursts of loss, clocks that run one percent wrong. Everything ever answered must fit one
// order of operations (docs/protocols.md L1-L4, G3, G4 as a user sees them).

import { utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { findViolation, type Operation, type Violation } from './linearizable.ts';
import type { SeededRandom } from './runtime/random.ts';
import type { World } from './runtime/world.ts';
import { type Cluster, type Device, makeCluster, openStore } from './whole.ts';

export interface FaultRun {
  history: Operation[];
  violation: Violation | undefined;
  faults: Record<string, number>;
  answered: number;
}

export interface FaultOptions {
  nodes: number;
  clients: number;
  durationMs: number;
  keys: number;
}

const workersPerClient = 3;

export class FaultSchedule {
  readonly world: World;
  readonly options: FaultOptions;
  readonly faults: Record<string, number> = {};
  private readonly random: SeededRandom;
  private readonly history: Operation[] = [];
  private readonly down = new Set<Device>();
  private cluster: Cluster | undefined;
  private nodes: Device[] = [];
  private clients: Device[] = [];
  private nextValue = 0;
  private over = false;
  private readonly failures: unknown[] = [];

  constructor(world: World, options: FaultOptions) {
    this.world = world;
    this.options = options;
    this.random = world.random.fork('faults');
  }

  async run(): Promise<FaultRun> {
    const { world, options } = this;
    this.cluster = await makeCluster(world, { nodes: options.nodes, clients: options.clients });
    this.nodes = this.cluster.devices.slice(0, options.nodes);
    this.clients = this.cluster.devices.slice(options.nodes);
    for (const device of this.cluster.devices) device.host.setClockRate(1 + (this.random.below(201) - 100) / 10_000);
    const [first, ...others] = this.nodes as [Device, ...Device[]];
    await world.settle(first.startNode([]));
    await world.settle(Promise.all(others.map((node) => node.startNode([first.endpoint]))));
    await world.runFor(5_000);
    for (const client of this.clients) await world.settle(this.startClient(client));
    const endMs = world.nowMs + options.durationMs;
    while (world.nowMs < endMs) {
      await world.runFor(1_000 + this.random.below(4_000));
      this.fault();
      this.rethrow();
    }
    await this.heal();
    const answered = this.history.filter((one) => one.end !== Number.POSITIVE_INFINITY).length;
    return { history: this.history, violation: findViolation(this.history), faults: this.faults, answered };
  }

  private rethrow(): void {
    if (this.failures.length > 0) throw this.failures[0];
  }

  private async startClient(client: Device): Promise<void> {
    await client.startClient(this.seeds());
    const { keys } = await openStore(client, this.cluster as Cluster, true);
    const life = client.host.life;
    for (let worker = 0; worker < workersPerClient; worker++) {
      this.work(client, keys, () => !this.over && client.host.life === life && life.alive).catch((error: unknown) => {
        if (life.alive) this.failures.push(error);
      });
    }
  }

  private seeds() {
    return this.nodes.filter((node) => !this.down.has(node)).map((node) => node.endpoint);
  }

  /** One worker: operations one after another on random keys. */
  private async work(client: Device, keys: KeyStore, goOn: () => boolean): Promise<void> {
    while (goOn()) {
      await client.host.runtime.clock.sleep(this.random.below(150));
      const key = `k${this.random.below(this.options.keys)}`;
      const choice = this.random.below(10);
      if (choice < 4) await this.record({ key, type: 'get' }, () => this.read(keys, key));
      else if (choice < 7) await this.put(keys, key);
      else if (choice < 9) await this.compareAndSet(keys, key);
      else await this.record({ key, type: 'delete' }, () => keys.delete(utf8(key)));
    }
  }

  private async read(keys: KeyStore, key: string): Promise<string | undefined> {
    try {
      return Buffer.from((await keys.get(utf8(key))).value.subarray(0, 16))
        .toString()
        .trim();
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  /** Values of several sizes, so that they travel inline, in the journal and in chunks. */
  private value(): { text: string; bytes: Buffer } {
    const text = `v${this.nextValue++}`;
    const size = [16, 16, 500, 70_000][this.random.below(4)] as number;
    return { text, bytes: utf8(text.padEnd(size)) };
  }

  private async put(keys: KeyStore, key: string): Promise<void> {
    const { text, bytes } = this.value();
    await this.record({ key, type: 'put', value: text }, () => keys.put(utf8(key), bytes).then(() => true));
  }

  private async compareAndSet(keys: KeyStore, key: string): Promise<void> {
    let seen: { version: number; value: string } | undefined;
    try {
      const found = await keys.get(utf8(key));
      seen = { version: found.version, value: Buffer.from(found.value.subarray(0, 16)).toString().trim() };
    } catch (error) {
      if (isError(error, 'unavailable', 'cancelled')) return;
      if (!isError(error, 'not-found')) throw error;
    }
    const { text, bytes } = this.value();
    const condition = seen === undefined ? { ifAbsent: true } : { ifVersion: seen.version };
    await this.record({ key, type: 'cas', value: text, expected: seen?.value }, async () => {
      try {
        await keys.put(utf8(key), bytes, condition);
        return true;
      } catch (error) {
        if (isError(error, 'conflict', 'exists')) return false;
        throw error;
      }
    });
  }

  private async record(
    operation: Pick<Operation, 'key' | 'type' | 'value' | 'expected'>,
    task: () => Promise<string | boolean | undefined>,
  ): Promise<void> {
    const entry: Operation = { ...operation, call: this.world.timeUs, end: Number.POSITIVE_INFINITY };
    this.history.push(entry);
    try {
      entry.result = await task();
      entry.end = this.world.timeUs;
    } catch (error) {
      if (!isError(error, 'unavailable', 'cancelled')) throw error;
    }
  }

  private count(name: string): void {
    this.faults[name] = (this.faults[name] ?? 0) + 1;
  }

  private fault(): void {
    const minority = Math.floor((this.options.nodes - 1) / 2);
    const up = this.nodes.filter((node) => !this.down.has(node));
    const choice = this.random.below(7);
    if (choice <= 1 && this.down.size < minority) this.crashNode(up[this.random.below(up.length)] as Device);
    else if (choice === 2) this.cut();
    else if (choice === 3) this.crashClient();
    else if (choice === 4) this.pauseClient();
    else if (choice === 5) this.burst();
    else if (this.down.size < minority) this.pauseNode(up[this.random.below(up.length)] as Device);
  }

  private later(timeMs: number, task: () => void): void {
    this.world.schedule(timeMs * 1000, 'fault ends', task);
  }

  private crashNode(node: Device): void {
    const power = this.random.below(2) === 0;
    this.count(power ? 'power cut' : 'kill');
    this.down.add(node);
    node.crash(power);
    this.later(500 + this.random.below(8_000), () => this.restartNode(node));
  }

  private restartNode(node: Device): void {
    if (!this.down.delete(node)) return;
    node.host.restart();
    node.startNode([]).catch((error: unknown) => {
      if (node.host.alive) this.failures.push(error);
    });
  }

  private cut(): void {
    const oneWay = this.random.below(2) === 0;
    this.count(oneWay ? 'one-way cut' : 'cut');
    const names = (this.cluster as Cluster).devices.map((device) => device.host.name);
    const left = names.filter(() => this.random.below(3) === 0);
    const right = names.filter((name) => !left.includes(name));
    this.later(500 + this.random.below(9_000), this.world.network.partition(left, right, { oneWay }));
  }

  private crashClient(): void {
    const client = this.clients[this.random.below(this.clients.length)] as Device;
    if (this.down.has(client)) return;
    this.count('client crash');
    this.down.add(client);
    client.crash(this.random.below(2) === 0);
    this.later(500 + this.random.below(5_000), () => this.restartClient(client));
  }

  private restartClient(client: Device): void {
    if (!this.down.delete(client)) return;
    client.host.restart();
    this.startClient(client).catch((error: unknown) => {
      if (!client.host.alive) return;
      if (!isError(error, 'unavailable')) this.failures.push(error);
      client.crash(false);
      this.down.add(client);
      this.later(2_000, () => this.restartClient(client));
    });
  }

  private pauseClient(): void {
    const client = this.clients[this.random.below(this.clients.length)] as Device;
    if (this.down.has(client)) return;
    this.count('client pause');
    client.host.pause();
    this.later(200 + this.random.below(9_000), () => client.host.resume());
  }

  private pauseNode(node: Device): void {
    this.count('node pause');
    node.host.pause();
    this.later(200 + this.random.below(7_000), () => node.host.resume());
  }

  private burst(): void {
    this.count('loss');
    this.world.network.setLink({ loss: 0.05, duplication: 0.02 });
    this.later(1_000 + this.random.below(5_000), () => this.world.network.setLink({ loss: 0, duplication: 0 }));
  }

  /** Ends all faults, and reads every key once more. */
  private async heal(): Promise<void> {
    const { world } = this;
    await world.runFor(12_000);
    this.over = true;
    await world.run(() => this.down.size === 0, { limitMs: 60_000 });
    await world.runFor(30_000);
    this.rethrow();
    const client = this.clients[0] as Device;
    client.crash();
    client.host.restart();
    await world.settle(client.startClient(this.seeds()), { limitMs: 120_000 });
    const { keys } = await world.settle(openStore(client, this.cluster as Cluster, true), { limitMs: 120_000 });
    for (let i = 0; i < this.options.keys; i++) {
      const key = `k${i}`;
      const before = this.history.length;
      await world.settle(
        this.record({ key, type: 'get' }, () => this.read(keys, key)),
        { limitMs: 120_000 },
      );
      if (this.history[before]?.end === Number.POSITIVE_INFINITY)
        throw new Error(`after healing, ${key} cannot be read`);
    }
  }
}
