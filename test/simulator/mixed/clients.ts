// The clients of a mixed simulation: what each opens when its process begins, and the load it puts on that while it lives.

import { isError } from '../../../src/core/base/errors.ts';
import type { VolumeDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import type { LinkedNode } from '../../../src/core/node/link.ts';
import { openVolume } from '../../../src/core/node/volumes.ts';
import type { Tree } from '../../../src/core/tree/tree.ts';
import type { Files } from '../../../src/core/volume/files/files.ts';
import type { KeyStore } from '../../../src/core/volume/keys.ts';
import type { Life } from '../runtime/host.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';
import { treeIdOf, type Watch } from '../watch/watch.ts';
import { type Cluster, openStore } from '../whole.ts';
import type { Actor, Cast } from './cast.ts';
import { MixedFileLoad } from './file-load.ts';
import { MixedKeyLoad } from './key-load.ts';
import { type LockClient, LockLoad } from './lock-load.ts';
import { RegisterLoad } from './register-load.ts';

/** Whoever runs the simulation: it is the same course of events. */
const owner = { uid: 0, gid: 0 };
const goodbyeMs = 5_000;
const workersPerClient = 2;
const pauses = { keys: 700, files: 600, registers: 2_000, locks: 1_000 };

export interface ClientsOptions {
  world: World;
  cast: Cast;
  cluster: Cluster;
  watch: Watch;
  random: SeededRandom;
  staleReads: boolean;
  failed: (who: string, error: unknown) => void;
}

export class Clients {
  readonly keys: MixedKeyLoad;
  readonly registers: RegisterLoad;
  readonly locks: LockLoad;
  files: MixedFileLoad | undefined;
  readonly stores = new Map<Actor, KeyStore>();
  /** No load any more. */
  over = false;
  /** No step of the volume is under way. */
  filesIdle = false;
  private readonly options: ClientsOptions;
  /** The trees an actor has open, and in which of its processes. */
  private readonly trees = new Map<Actor, { trees: Tree[]; life: Life }>();
  /** Of an actor's open volume: sends, commits and resigns. */
  private readonly closing = new Map<Actor, () => Promise<void>>();
  private isFounded = false;
  private volumes: { files: VolumeDescriptor; locks: VolumeDescriptor } | undefined;

  constructor(options: ClientsOptions) {
    const { world, random, watch } = options;
    this.options = options;
    this.keys = new MixedKeyLoad({ world, random: random.fork('keys'), keys: 5, pauseMs: pauses.keys });
    this.registers = new RegisterLoad(random.fork('registers'), watch.coverage);
    this.locks = new LockLoad(random.fork('locks'), watch.locks);
  }

  /** Starts them all, one after another, and the load. */
  async begin(): Promise<void> {
    const { world, cast, cluster } = this.options;
    this.options.watch.trees.expect(treeIdOf(cluster.store));
    this.volumes = { files: await this.createVolume('volume'), locks: await this.createVolume('locked') };
    for (const client of cast.of('keys')) {
      client.begin = (actor) => this.openKeys(actor);
      await world.settle(cast.start(client));
    }
    const opened: Files[] = [];
    for (const client of cast.of('files')) {
      await world.settle(cast.start(client));
      opened.push(await world.settle(this.openFiles(client)));
    }
    this.beginFiles(opened);
  }

  /** Whether the actor's process leads a tree. */
  leads(actor: Actor): boolean {
    return this.open(actor).some((tree) => tree.status().role === 'leader');
  }

  /** What its process has open. */
  open(actor: Actor): readonly Tree[] {
    const known = this.trees.get(actor);
    return known?.life.alive && known.life === actor.device.host.life ? known.trees : [];
  }

  /** Its process began anew after the load: the files of the volume again. */
  async reopenFiles(actor: Actor): Promise<void> {
    const files = await this.openFiles(actor);
    await this.files?.reopened(this.options.cast.of('files').indexOf(actor), files);
  }

  private async createVolume(name: string): Promise<VolumeDescriptor> {
    const { world, cluster, watch } = this.options;
    const [founder] = cluster.devices;
    if (!founder) throw new Error('somebody makes the volumes');
    const volume = await world.settle(
      createVolume(founder.context, { as: 'alice', name, network: cluster.network.name }),
    );
    watch.trees.expect(treeIdOf(volume));
    return volume;
  }

  private beginFiles(opened: readonly Files[]): void {
    const { cast, watch, random, staleReads, failed } = this.options;
    this.files = new MixedFileLoad(
      {
        seed: random.below(1 << 30),
        report: watch.report,
        coverage: watch.coverage,
        sleep: (timeMs) => this.sleep(timeMs),
        pauseMs: pauses.files,
        staleReads,
        reopen: (client) => this.restartFiles(cast.of('files')[client] as Actor),
        below: (limit) => random.below(limit),
      },
      opened,
    );
    this.files
      .work(() => !this.over)
      .catch((error: unknown) => failed('files', error))
      .finally(() => {
        this.filesIdle = true;
      });
  }

  /** Opens the store and the volume with locks, and puts load on them while this process lives. */
  private async openKeys(actor: Actor): Promise<void> {
    const { cluster, failed } = this.options;
    const { device, name } = actor;
    const { host, linked } = device;
    const { life } = host;
    const { keys, tree } = await openStore(device, cluster, true);
    if (!linked || !this.volumes) throw new Error(`${name} does not run`);
    const locked = await openVolume(linked, this.volumes.locks, { door: true, owner });
    this.trees.set(actor, { trees: [tree, locked.tree], life });
    this.stores.set(actor, keys);
    if (this.over) return;
    const sleep = (timeMs: number) => host.runtime.clock.sleep(timeMs);
    const client: LockClient = { name, life, tree: locked.tree, files: locked.files, sleep };
    await this.found(linked, client);
    const goOn = () => !this.over && host.life === life && life.alive;
    const works = [
      ...Array.from({ length: workersPerClient }, () => this.keys.work(keys, name, sleep, goOn)),
      this.registers.work(linked, sleep, goOn, pauses.registers),
      this.locks.work(client, goOn, pauses.locks),
    ];
    for (const work of works) work.catch((error: unknown) => life.alive && failed(name, error));
  }

  private async found(linked: LinkedNode, client: LockClient): Promise<void> {
    if (this.isFounded) return;
    this.isFounded = true;
    await this.registers.found(linked);
    await this.locks.found(client);
  }

  private async openFiles(actor: Actor): Promise<Files> {
    const { linked, host } = actor.device;
    if (!linked || !this.volumes) throw new Error(`${actor.name} does not run`);
    const { files, tree, close } = await openVolume(linked, this.volumes.files, { door: true, owner });
    this.trees.set(actor, { trees: [tree], life: host.life });
    this.closing.set(actor, close);
    return files;
  }

  private async restartFiles(actor: Actor): Promise<Files> {
    const { cast, random, watch } = this.options;
    const close = this.closing.get(actor);
    if (close && random.below(2) === 0) {
      watch.coverage.reach('cast/files client says goodbye');
      // Whatever comes of it: its process ends.
      await Promise.race([close().catch(() => {}), this.sleep(goodbyeMs)]);
    }
    cast.crash(actor, random.below(2) === 0);
    await this.sleep(random.below(2_000));
    let files: Files | undefined;
    actor.begin = async () => {
      files = await this.openFiles(actor);
    };
    actor.device.host.restart();
    await cast.start(actor);
    actor.begin = async () => {};
    if (!files) throw new Error(`${actor.name} could not open the volume again`);
    return files;
  }

  /**
   * Asks for cycles of garbage collection and for commits now and then, of any tree, at any of its clients; and, seldom, has a
   * client tell the nodes of the network's descriptor.
   */
  async tend(goOn: () => boolean): Promise<void> {
    const { random, cast, watch } = this.options;
    while (goOn() && !this.over) {
      await this.sleep(1_000 + random.below(4_000));
      const open = cast.clients.flatMap((client) => this.open(client));
      const tree = open[random.below(open.length)];
      if (random.below(8) === 0) await this.publish();
      if (!tree) continue;
      const commit = random.below(2) === 0;
      try {
        const asked = commit ? tree.commit() : tree.collect({ graceMs: random.below(1_500) });
        await Promise.race([asked, this.sleep(20_000)]);
        if (!commit) watch.coverage.reach('garbage/cycle asked for');
      } catch (error) {
        if (!isError(error, 'unavailable', 'cancelled', 'conflict', 'denied', 'lost')) throw error;
        watch.coverage.reach(`${commit ? 'tree/commit' : 'garbage'} refused: ${error.kind}`);
      }
    }
  }

  private async publish(): Promise<void> {
    const { cast, random } = this.options;
    const running = cast.clients.filter(({ ready, down }) => ready && !down);
    const { linked } = running[random.below(running.length)]?.device ?? {};
    // Nothing is newer: the nodes are told, and look.
    const told = linked?.node.publishDescriptor().catch((error: unknown) => {
      if (!isError(error)) throw error;
    });
    await Promise.race([told, this.sleep(5_000)]);
  }

  private sleep(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.options.world.schedule(timeMs * 1000, 'load', resolve);
    });
  }
}
