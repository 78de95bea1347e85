// Garbage cycles over exact fakes while clients put values that travel in chunks, overwrite and delete them, and leaders crash,
// pause and are cut off (docs/protocols.md 5, E1 to E3). Checked: histories are linearizable, nothing the tree reaches is on fewer
// nodes than a quorum, and after two quiet cycles nothing else of the tree is left.

import { utf8 } from '../../src/core/base/bytes.ts';
import { decode } from '../../src/core/base/codec.ts';
import { isError } from '../../src/core/base/errors.ts';
import { treeTagOf } from '../../src/core/block/immutable.ts';
import { rootHeader } from '../../src/core/consensus/consensus.ts';
import { BaseTree } from '../../src/core/tree/base/base-tree.ts';
import { NodeStore } from '../../src/core/tree/base/node-store.ts';
import type { CollectedTree } from '../../src/core/tree/collected.ts';
import { chunkRecord, spaceRange } from '../../src/core/tree/keys.ts';
import { deriveTreeKeys, openRootBody } from '../../src/core/tree/root.ts';
import type { NodeRef, Tree } from '../../src/core/tree/tree.ts';
import { openKeyStore } from '../../src/core/volume/key-store.ts';
import { keyView } from '../../src/core/volume/key-view.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import type { PlantedBugs } from '../fakes/fake-store.ts';
import { type Opened, TreeWorld } from '../fakes/fake-tree.ts';
import type { Process } from '../fakes/world.ts';
import { describe, findViolation, type Operation } from './linearizable.ts';

export interface GarbageScheduleOptions {
  seed: number;
  timeMs?: number;
  clients?: number;
  keys?: number;
  faults?: boolean;
  /** A cycle is asked for after some 300 ms and up to so much more. */
  askEveryMs?: number;
  /** Rules broken at the storage nodes. */
  bugs?: PlantedBugs;
  /** Between a tree and its collector. */
  through?: (tree: CollectedTree) => CollectedTree;
  /** Between a tree and its store. */
  wrap?: (tree: Tree, process: Process) => Tree;
}

export interface GarbageScheduleResult {
  operations: number;
  /** Puts given up because their chunks were swept again and again before they were recorded. */
  refused: number;
  answered: number;
  epochs: number;
  generations: number;
  /** Copies swept at the nodes. */
  swept: number;
}

const loadsAClient = 2;

export async function runGarbageSchedule(options: GarbageScheduleOptions): Promise<GarbageScheduleResult> {
  const { seed, timeMs = 60_000, clients = 3, faults = true, bugs = {} } = options;
  const w = new TreeWorld({ seed, view: keyView, delayMs: [0.5, 20] });
  await w.found();
  w.cluster.bugs = bugs;
  w.world.loss = faults ? 0.003 : 0;
  const schedule = new Schedule(w, options, timeMs);
  for (let i = 0; i < clients; i++) schedule.openClient();
  schedule.cycles();
  if (faults) schedule.harm();
  await w.world.run(timeMs);
  schedule.calm();
  await w.world.run(30_000);
  return schedule.finish();
}

interface Client {
  opened: Opened;
  store: KeyStore;
}

class Schedule {
  private readonly w: TreeWorld;
  private readonly options: GarbageScheduleOptions;
  private readonly until: number;
  private readonly history: Operation[] = [];
  private clients: Client[] = [];
  private names = 0;
  private written = 0;
  private refused = 0;

  constructor(w: TreeWorld, options: GarbageScheduleOptions, timeMs: number) {
    this.w = w;
    this.options = options;
    this.until = w.world.now + timeMs;
  }

  openClient(): void {
    const name = `c${this.names++}`;
    const { through } = this.options;
    const opening = this.w.open(name, { door: this.names % 2 === 0, start: false, garbage: { graceMs: 0, through } });
    void opening.then((opened) => {
      const { tree, process } = opened;
      const client = { opened, store: openKeyStore(this.options.wrap?.(tree, process) ?? tree) };
      this.clients.push(client);
      const started = this.begin(opened);
      void started.then(() => this.collect(opened));
      for (let i = 0; i < loadsAClient; i++) void started.then(() => this.work(client, name));
    });
  }

  private async begin({ tree, process }: Opened): Promise<void> {
    for (;;) {
      try {
        return await tree.start();
      } catch {
        await process.runtime.clock.sleep(500);
      }
    }
  }

  /** The collector of one process: a piece at a time, with others in between. */
  private async collect({ tree, process }: Opened): Promise<void> {
    const { signal } = new AbortController();
    for (;;) {
      await tree.garbage.step(signal).catch((error: unknown) => {
        if (!isError(error)) this.w.world.fail(error);
      });
      await process.runtime.clock.sleep(1 + this.w.world.below(60));
    }
  }

  private async work({ store, opened }: Client, by: string): Promise<void> {
    const { world } = this.w;
    while (world.now < this.until) {
      await this.operate(store, by);
      await opened.process.runtime.clock.sleep(world.below(200));
    }
  }

  /** Values inline, in the journal, and in chunks of one and of several cells. */
  private value(): string {
    const sizes = [10, 400, 66_000, 150_000];
    const { world } = this.w;
    return `v${++this.written}/`.padEnd(sizes[world.below(sizes.length)] as number, String(this.written));
  }

  private async operate(store: KeyStore, by: string): Promise<void> {
    const { world } = this.w;
    const key = `key${world.below(this.options.keys ?? 4)}`;
    const operation: Operation = { key, call: world.now, end: Number.POSITIVE_INFINITY, type: 'get', by };
    this.history.push(operation);
    const choice = world.below(10);
    try {
      if (choice < 3) await this.read(store, operation);
      else if (choice < 8) {
        const value = this.value();
        Object.assign(operation, { type: 'put', value: value.slice(0, 8) });
        await store.put(utf8(key), utf8(value));
      } else {
        operation.type = 'delete';
        operation.result = await store.delete(utf8(key));
      }
      operation.end = world.now;
    } catch (error) {
      const isRefused = isError(error, 'lost') && error.message.includes('write it again');
      // Told to write it again too often: it did not happen.
      if (isRefused) this.history.splice(this.history.indexOf(operation), 1);
      if (isRefused) this.refused++;
      else if (!isError(error, 'unavailable')) world.fail(error);
    }
  }

  private async read(store: KeyStore, operation: Operation): Promise<void> {
    try {
      const { value } = await store.get(utf8(operation.key));
      operation.result = Buffer.from(value.subarray(0, 8)).toString();
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
      operation.result = undefined;
    }
  }

  private crash(process: Process): void {
    if (this.w.world.now > this.until) return;
    process.crash();
    this.clients = this.clients.filter(({ opened }) => opened.process !== process);
    this.openClient();
  }

  /** Any client asks for a cycle, again and again. */
  cycles(): void {
    const { world } = this.w;
    if (world.now > this.until) return;
    const client = this.clients[world.below(this.clients.length)];
    void client?.opened.tree.collect({ graceMs: 0 }).catch(() => {});
    world.at(300 + world.below(this.options.askEveryMs ?? 2000), () => this.cycles());
  }

  /** One fault after another. */
  harm(): void {
    const { world, cluster } = this.w;
    if (world.now > this.until) return;
    const client = this.clients[world.below(this.clients.length)];
    const storage = cluster.storages[world.below(cluster.storages.length)];
    const heal = 500 + world.below(9000);
    const leader = this.clients.find(({ opened }) => opened.tree.status().role === 'leader') ?? client;
    switch (client && leader && storage ? world.below(6) : -1) {
      case 0:
        this.crash((leader as Client).opened.process);
        break;
      case 1: {
        const { process } = (leader as Client).opened;
        process.pause();
        world.at(heal, () => process.resume());
        break;
      }
      case 2:
        world.cut((leader as Client).opened.process.name, storage?.name ?? '', world.below(2) === 0);
        break;
      case 3:
        if (storage !== undefined) storage.up = false;
        world.at(Math.min(heal, 3000), () => {
          if (storage !== undefined) storage.up = true;
        });
        break;
      case 4:
        cluster.onWrite = () => {
          cluster.onWrite = undefined;
          return 'lose';
        };
        break;
      case 5:
        void (leader as Client).opened.tree.commit().catch(() => {});
        break;
    }
    world.at(200 + world.below(2000), () => {
      if (world.below(2) === 0) world.heal();
      this.harm();
    });
  }

  calm(): void {
    this.w.calm();
    for (const { opened } of this.clients) opened.process.resume();
  }

  async finish(): Promise<GarbageScheduleResult> {
    const { cluster } = this.w;
    await this.readAll();
    for (let i = 0; i < 2; i++) await this.quietCycle();
    await this.readAll();
    const violation = findViolation(this.history);
    if (violation) throw new Error(`not linearizable: ${violation.key}\n${describe(violation.operations)}`);
    await this.checkBlocks();
    const chosen = cluster.chosen.map(({ payload }) => decode(rootHeader, payload));
    return {
      operations: this.history.length,
      refused: this.refused,
      answered: this.history.filter(({ end }) => end !== Number.POSITIVE_INFINITY).length,
      epochs: chosen.at(-1)?.epoch ?? 0,
      generations: chosen.at(-1)?.gcGeneration ?? 0,
      swept: cluster.storages.reduce((sum, { swept }) => sum + swept.blocks, 0),
    };
  }

  private async readAll(): Promise<void> {
    const { world } = this.w;
    for (const { store } of this.clients)
      for (let i = 0; i < (this.options.keys ?? 4); i++) {
        const operation: Operation = { key: `key${i}`, call: world.now, end: 0, type: 'get', by: 'end' };
        await world.until(this.read(store, operation));
        operation.end = world.now;
        this.history.push(operation);
      }
  }

  private async quietCycle(): Promise<void> {
    const { world } = this.w;
    const tree = this.clients[0]?.opened.tree as Tree;
    const asked = await world.until(tree.collect({ graceMs: 0 }));
    for (let tries = 0; ; tries++) {
      await world.run(1000);
      const { last, state, lastError } = await world.until(tree.collect());
      if (state === 'idle' && (last?.generation ?? 0) > asked.generation) return;
      if (tries > 120) throw new Error(`a quiet cycle does not end: ${state} ${lastError ?? ''}`);
    }
  }

  /** E1, and that garbage is gone. */
  private async checkBlocks(): Promise<void> {
    const { cluster } = this.w;
    const reached = await this.reached();
    const tag = treeTagOf(this.w.rootAddress);
    for (const name of reached) {
      const holders = cluster.storages.filter(({ blocks }) => blocks.has(name)).length;
      if (holders < 2) throw new Error(`E1: block ${name.slice(0, 8)} is reached and on ${holders} nodes`);
    }
    for (const storage of cluster.storages)
      for (const [name, block] of storage.blocks) {
        const old = (storage.generations.get(name) ?? 0) < this.w.root.gcGeneration;
        if (block.subarray(2, 18).equals(tag) && old && !reached.has(name))
          throw new Error(`garbage ${name.slice(0, 8)} is left at ${storage.name}`);
      }
  }

  /** All blocks the chosen root leads to, found by a walk of its own. */
  private async reached(): Promise<Set<string>> {
    const { opened } = this.clients[0] as Client;
    const { store, treeTag } = { store: this.w.cluster.store(opened.process), treeTag: treeTagOf(this.w.rootAddress) };
    const putOptions = () => ({ generation: 0, quorum: 1 });
    const nodes = new NodeStore({ runtime: opened.process.runtime, blocks: store.blocks, treeTag, putOptions });
    const body = openRootBody(deriveTreeKeys(this.w.treeSecret), this.w.root);
    const found = new Set<string>();
    const visit = async (ref: NodeRef, level: number): Promise<void> => {
      found.add(Buffer.from(ref.address).toString('hex'));
      const node = await nodes.load(ref, level);
      for (let i = 0; level > 0 && i < node.count; i++) await visit(node.refAt(i), level - 1);
    };
    const walk = async () => {
      if (body.root !== undefined) await visit(body.root, body.height - 1);
      const { from, to } = spaceRange('chunk');
      for await (const { value } of new BaseTree(nodes, body).scan(from, to))
        found.add(Buffer.from(decode(chunkRecord, value).address).toString('hex'));
    };
    await this.w.world.until(walk());
    return found;
  }
}
