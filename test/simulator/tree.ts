// Random schedules for the tree: clients that put, get, delete and compare-and-set on few keys, while leaders crash, pause and
// are cut off, storages go down, messages are lost and root writes end in doubt. Checked: histories are linearizable, counters
// count every operation once, and the chosen roots never go back (docs/protocols.md L1, L3, L5, L8).

import { decode } from '../../src/core/base/codec.ts';
import type { Member } from '../../src/core/block/address.ts';
import { rootHeader } from '../../src/core/consensus/consensus.ts';
import { openKeyStore } from '../../src/core/volume/key-store.ts';
import { keyView } from '../../src/core/volume/key-view.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { type Opened, TreeWorld } from '../fakes/fake-tree.ts';
import type { Process } from '../fakes/world.ts';
import { KeyLoad } from './key-load.ts';

export interface TreeScheduleOptions {
  seed: number;
  /** Virtual time of load, milliseconds. */
  timeMs?: number;
  clients?: number;
  keys?: number;
  faults?: boolean;
}

export interface TreeScheduleResult {
  operations: number;
  answered: number;
  epochs: number;
  commits: number;
}

/** Runs one schedule; throws with the history of the offending key when an invariant is broken. */
export async function runTreeSchedule(options: TreeScheduleOptions): Promise<TreeScheduleResult> {
  const { seed, timeMs = 60_000, clients = 3, keys = 3, faults = true } = options;
  const w = new TreeWorld({ seed, view: keyView, delayMs: [0.5, 20], storages: ['s1', 's2', 's3', 's4'] });
  await w.found();
  w.world.loss = faults ? 0.005 : 0;
  const schedule = new Schedule(w, { keys, timeMs, faults });
  for (let i = 0; i < clients; i++) await schedule.openClient();
  if (faults) schedule.harm();
  await w.world.run(timeMs);
  schedule.calm();
  await w.world.run(90_000);
  await schedule.readAll();
  return schedule.check();
}

const loadsAClient = 3;

interface Client {
  opened: Opened;
  store: KeyStore;
}

class Schedule {
  private readonly w: TreeWorld;
  private readonly until: number;
  private readonly faults: boolean;
  private readonly load: KeyLoad;
  private clients: Client[] = [];
  private opened = 0;

  constructor(w: TreeWorld, { keys, timeMs, faults }: { keys: number; timeMs: number; faults: boolean }) {
    this.w = w;
    this.faults = faults;
    this.until = w.world.now + timeMs;
    this.load = new KeyLoad({
      keys,
      now: () => w.world.now,
      below: (limit) => w.world.below(limit),
      onError: (error) => w.world.fail(error),
    });
  }

  async openClient(): Promise<void> {
    const name = `c${this.opened++}`;
    const { world } = this.w;
    // A candidate may die at any step of its takeover (T1 to T7).
    const onTakeoverStep = () => {
      if (!this.faults || world.now > this.until || world.below(12) !== 0) return;
      world.at(world.below(15), () => this.crash(opened.process));
    };
    const opened = await this.w.open(name, { door: this.opened % 2 === 0, start: false, onTakeoverStep });
    if (this.faults) opened.process.clockRate = 0.99 + world.fraction() * 0.02;
    const client = { opened, store: openKeyStore(opened.tree) };
    this.clients.push(client);
    const started = this.begin(opened);
    for (let i = 0; i < loadsAClient; i++)
      void started.then(async () => {
        while (this.w.world.now < this.until) {
          await this.load.operate(client.store, name);
          await opened.process.runtime.clock.sleep(this.w.world.below(300));
        }
      });
  }

  /** The root may be out of reach at first. */
  private async begin({ tree, process }: Opened): Promise<void> {
    for (;;) {
      try {
        return await tree.start();
      } catch {
        await process.runtime.clock.sleep(500);
      }
    }
  }

  private crash(process: Process): void {
    if (this.w.world.now > this.until) return;
    process.crash();
    this.clients = this.clients.filter(({ opened }) => opened.process !== process);
    void this.openClient();
  }

  /** One fault after another, each healed after a while. */
  harm(): void {
    const { world, cluster } = this.w;
    if (world.now > this.until) return;
    const heal = 500 + world.below(12_000);
    const client = this.clients[world.below(this.clients.length)];
    const storage = cluster.storages[world.below(cluster.storages.length)];
    if (client === undefined || storage === undefined) return;
    const { process, tree } = client.opened;
    switch (world.below(8)) {
      case 0:
        this.crash(process);
        break;
      case 1:
        process.pause();
        world.at(heal, () => process.resume());
        break;
      case 2:
        world.cut(process.name, storage.name, world.below(2) === 0);
        break;
      case 3:
        storage.up = false;
        world.at(Math.min(heal, 3000), () => {
          storage.up = true;
        });
        break;
      case 4: {
        const other = this.clients[world.below(this.clients.length)];
        if (other) world.cut(process.name, other.opened.process.name, world.below(2) === 0);
        break;
      }
      case 5:
        cluster.onWrite = () => {
          cluster.onWrite = undefined;
          return 'lose';
        };
        break;
      case 6:
        void tree.commit().catch(() => {});
        break;
      case 7: {
        const start = world.below(cluster.storages.length);
        const members = [0, 1, 2].map((i) => cluster.members[(start + i) % cluster.members.length] as Member);
        void cluster
          .store(process)
          .registers.reconfigure(this.w.rootAddress, members)
          .catch(() => {});
        break;
      }
    }
    world.at(200 + world.below(4000), () => {
      if (world.below(2) === 0) world.heal();
      this.harm();
    });
  }

  calm(): void {
    this.w.calm();
    for (const { opened } of this.clients) opened.process.resume();
  }

  async readAll(): Promise<void> {
    for (const { store } of this.clients) await this.w.world.until(this.load.readAll(store));
  }

  check(): TreeScheduleResult {
    this.load.check();
    let epoch = 0;
    let applied = 0;
    let commits = 0;
    for (const snapshot of this.w.cluster.chosen) {
      const header = decode(rootHeader, snapshot.payload);
      if (header.epoch < epoch || header.applied < applied)
        throw new Error(`L5: root went from epoch ${epoch}, ${applied} to epoch ${header.epoch}, ${header.applied}`);
      if (header.applied > applied) commits++;
      ({ epoch, applied } = header);
    }
    const { history, answered } = this.load;
    return { operations: history.length, answered, epochs: epoch, commits };
  }
}
