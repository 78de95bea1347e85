// One simulation of mixed faults: whole nodes, spares, clients of a key-value store, of registers and of a volume, storms of
// faults with quiet times between them, and at the end everything restarted and read again. docs/protocols.md 8 has what is
// watched; the same seed gives the same course of events.

import { isError } from '../../../src/core/base/errors.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { openVolume } from '../../../src/core/node/volumes.ts';
import type { Tree } from '../../../src/core/tree/tree.ts';
import type { KeyStore } from '../../../src/core/volume/keys.ts';
import { describe, findViolation } from '../linearizable.ts';
import type { Life } from '../runtime/host.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';
import type { Rule } from '../watch/rules.ts';
import { treeIdOf, Watch } from '../watch/watch.ts';
import { type Cluster, makeCluster, openStore } from '../whole.ts';
import { type Actor, Cast, type Role } from './cast.ts';
import { Faults } from './faults.ts';
import { MixedFileLoad } from './file-load.ts';
import { MixedKeyLoad } from './key-load.ts';
import type { MixedOptions, MixedResult } from './options.ts';
import { RegisterLoad } from './register-load.ts';
import { hold } from './settling.ts';

const spares = 2;
const filesClients = 2;
const workersPerClient = 2;
const replicas = 3;
const stormMs = 20_000;
const quietMs = 5_000;
const settleMs = 240_000;

type Volume = Awaited<ReturnType<typeof createVolume>>;

export class Simulation {
  readonly world: World;
  readonly watch: Watch;
  private readonly options: MixedOptions;
  private readonly random: SeededRandom;
  private readonly keys: MixedKeyLoad;
  private readonly registers: RegisterLoad;
  /** The tree an actor has open, and in which of its processes. */
  private readonly trees = new Map<Actor, { tree: Tree; life: Life }>();
  private readonly stores = new Map<Actor, KeyStore>();
  private cast: Cast | undefined;
  private faults: Faults | undefined;
  private files: MixedFileLoad | undefined;
  private volume: Volume | undefined;
  private over = false;
  /** No step of the volume is under way. */
  private filesIdle = false;

  constructor(world: World, options: MixedOptions) {
    this.world = world;
    this.options = options;
    this.random = world.random.fork('mixed');
    const storage = () => this.cast?.storage.length ?? 0;
    const watch = new Watch(world, {
      staleReads: options.profile === 'skew10',
      replicas: () => Math.min(replicas, storage()),
    });
    this.watch = watch;
    this.keys = new MixedKeyLoad({ world, random: this.random.fork('keys'), keys: 5, pauseMs: 700 });
    this.registers = new RegisterLoad(this.random.fork('registers'), watch.coverage);
  }

  async run(): Promise<MixedResult> {
    try {
      await this.begin();
      await this.load();
      if (!this.broken) await this.finish();
    } catch (error) {
      this.watch.report('progress', error instanceof Error ? (error.stack ?? error.message) : String(error));
    }
    const { world, watch } = this;
    return {
      seed: this.options.seed,
      violations: watch.violations,
      coverage: watch.coverage,
      events: world.eventCount,
      virtualMs: world.nowMs,
      operations: {
        keys: this.keys.answered,
        files: this.files?.steps ?? 0,
        registers: watch.history.operations,
        blocks: watch.blocks.puts,
      },
      trace: world.trace(),
    };
  }

  private get broken(): boolean {
    return this.options.eager && this.watch.violations.length > 0;
  }

  private async begin(): Promise<void> {
    const { world, watch, options } = this;
    const roles: Role[] = [
      ...Array<Role>(options.nodes + spares).fill('storage'),
      ...Array<Role>(options.clients).fill('keys'),
      ...Array<Role>(filesClients).fill('files'),
    ];
    const cluster = await makeCluster(world, {
      nodes: options.nodes + spares,
      clients: options.clients + filesClients,
      replicationFactor: replicas,
      overlay: options.overlay as 'chord',
      capacity: 128 << 20,
    });
    const cast = new Cast(world, cluster, roles, watch.coverage);
    this.cast = cast;
    await world.settle(watch.know(cluster.network, cluster.devices));
    cast.onError = (actor, error) => this.failed(actor.name, error);
    for (const { device } of cast.actors)
      device.onOpened = (linked) => {
        watch.opened(linked, device);
        watch.coverage.expect(...methodsOf(linked.node.peers).map((name) => `message/${name}`));
      };
    this.faults = new Faults({
      world,
      cast,
      watch,
      random: this.random.fork('faults'),
      profile: options.profile,
      only: options.faults,
      leads: (actor) => this.trees.get(actor)?.tree.status().role === 'leader',
    });
    this.faults.begin();
    const [first, ...others] = cast.of('storage').slice(0, options.nodes) as [Actor, ...Actor[]];
    await world.settle(cast.start(first));
    await world.settle(Promise.all(others.map((node) => cast.start(node))));
    await world.runFor(5_000);
    await this.beginClients(cast, cluster);
  }

  private async beginClients(cast: Cast, cluster: Cluster): Promise<void> {
    const { world, watch } = this;
    watch.trees.expect(treeIdOf(cluster.store));
    const [founder] = cluster.devices;
    if (!founder) throw new Error('somebody makes the volume');
    const volume = await world.settle(
      createVolume(founder.context, { as: 'alice', name: 'volume', network: cluster.network.name }),
    );
    this.volume = volume;
    watch.trees.expect(treeIdOf(volume));
    for (const client of cast.of('keys')) {
      client.begin = (actor) => this.openKeys(actor, cluster);
      await world.settle(cast.start(client));
      if (client === cast.of('keys')[0] && client.device.linked)
        await world.settle(this.registers.found(client.device.linked));
    }
    const opened = [];
    for (const client of cast.of('files')) {
      await world.settle(cast.start(client));
      opened.push(await world.settle(this.openFiles(client)));
    }
    this.files = new MixedFileLoad(
      {
        seed: this.random.below(1 << 30),
        report: watch.report,
        coverage: watch.coverage,
        sleep: (timeMs) => this.sleep(timeMs),
        pauseMs: 600,
        reopen: (client) => this.reopen(cast.of('files')[client] as Actor),
        below: (limit) => this.random.below(limit),
      },
      opened,
    );
    this.files
      .work(() => !this.over)
      .catch((error: unknown) => this.failed('files', error))
      .finally(() => {
        this.filesIdle = true;
      });
  }

  /** Opens the store and puts load on it while this process lives. */
  private async openKeys(actor: Actor, cluster: Cluster): Promise<void> {
    const { device, name } = actor;
    const { host, linked } = device;
    const { life } = host;
    const { keys, tree } = await openStore(device, cluster, true);
    this.trees.set(actor, { tree, life });
    this.stores.set(actor, keys);
    if (this.over || !linked) return;
    const sleep = (timeMs: number) => host.runtime.clock.sleep(timeMs);
    const goOn = () => !this.over && host.life === life && life.alive;
    const works = [
      ...Array.from({ length: workersPerClient }, () => this.keys.work(keys, name, sleep, goOn)),
      this.registers.work(linked, sleep, goOn, 2_000),
    ];
    for (const work of works) work.catch((error: unknown) => life.alive && this.failed(name, error));
  }

  private async openFiles(actor: Actor) {
    if (!actor.device.linked || !this.volume) throw new Error(`${actor.name} does not run`);
    const { files, tree } = await openVolume(actor.device.linked, this.volume, { door: true });
    this.trees.set(actor, { tree, life: actor.device.host.life });
    return files;
  }

  private async reopen(actor: Actor) {
    const cast = this.cast as Cast;
    cast.crash(actor, this.random.below(2) === 0);
    await this.sleep(this.random.below(2_000));
    let files: Awaited<ReturnType<Simulation['openFiles']>> | undefined;
    actor.begin = async () => {
      files = await this.openFiles(actor);
    };
    actor.device.host.restart();
    await cast.start(actor);
    actor.begin = async () => {};
    if (!files) throw new Error(`${actor.name} could not open the volume again`);
    return files;
  }

  private failed(who: string, error: unknown): void {
    this.watch.report(ruleOf(error), `${who}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  private sleep(timeMs: number): Promise<void> {
    return new Promise((resolve) => {
      this.world.schedule(timeMs * 1000, 'load', resolve);
    });
  }

  private async load(): Promise<void> {
    const { world, random, watch } = this;
    const [cast, faults] = [this.cast as Cast, this.faults as Faults];
    const endMs = world.nowMs + this.options.minutes * 60_000;
    this.collect(endMs).catch((error: unknown) => this.failed('garbage', error));
    while (world.nowMs < endMs && !this.broken) {
      const calmMs = Math.min(endMs, world.nowMs + stormMs / 2 + random.below(stormMs));
      while (world.nowMs < calmMs && !this.broken) {
        await world.runFor(500 + random.below(2_500));
        faults.strike();
        watch.rings.always(cast.running.map(({ device }) => device));
      }
      faults.calm();
      await world.runFor(quietMs);
      watch.blocks.check();
    }
  }

  /** Asks for cycles of garbage collection now and then, of any tree, at any of its clients. */
  private async collect(endMs: number): Promise<void> {
    const { world, random, watch } = this;
    while (world.nowMs < endMs && !this.over) {
      await this.sleep(2_000 + random.below(6_000));
      const open = [...this.trees].filter(([{ device }, { life }]) => life.alive && device.host.life === life);
      const [, chosen] = open[random.below(open.length)] ?? [];
      if (!chosen) continue;
      try {
        await Promise.race([chosen.tree.collect({ graceMs: random.below(1_500) }), this.sleep(20_000)]);
        watch.coverage.reach('garbage/cycle asked for');
      } catch (error) {
        if (!isError(error, 'unavailable', 'cancelled', 'conflict', 'denied', 'lost')) throw error;
        watch.coverage.reach(`garbage/refused: ${error.kind}`);
      }
    }
  }

  private async finish(): Promise<void> {
    const { world } = this;
    const [cast, faults] = [this.cast as Cast, this.faults as Faults];
    faults.calm();
    world.network.heal();
    this.over = true;
    await this.settled('R6', () => this.unsettled());
    if (this.broken) return;
    this.watch.rings.atRest(cast.storage.map(({ device }) => device));
    this.watch.blocks.check();
    await this.restartAll();
    if (this.broken) return;
    await this.readAll();
    await this.settled('converged', () => this.unsettled());
    this.watch.blocks.check();
    this.judge();
  }

  /** What is not as it must be after a while without faults. */
  private unsettled(): string | undefined {
    const cast = this.cast as Cast;
    const away = cast.actors.find(({ wanted, ready }) => wanted && !ready);
    if (away) return `${away.name} is not back`;
    const devices = (actors: readonly Actor[]) => actors.map(({ device }) => device);
    return (
      this.watch.rings.unsettled(devices(cast.storage), devices(cast.clients)) ??
      hold(this.watch, cast, Math.min(replicas, cast.storage.length))
    );
  }

  private async settled(rule: 'R6' | 'converged', wrong: () => string | undefined): Promise<void> {
    const { world, watch } = this;
    const untilMs = world.nowMs + settleMs;
    let found = wrong();
    while (found !== undefined && world.nowMs < untilMs && !this.broken) {
      await world.runFor(2_000);
      found = wrong();
    }
    if (found !== undefined && !this.broken) watch.report(found.startsWith('R6') ? 'R6' : rule, found);
  }

  /** Power fails everywhere, and comes back. */
  private async restartAll(): Promise<void> {
    const { world } = this;
    const cast = this.cast as Cast;
    await world.run(() => this.filesIdle, { limitMs: settleMs });
    for (const actor of [...cast.storage, ...cast.clients]) cast.crash(actor, true);
    await world.runFor(1_000);
    for (const actor of [...cast.storage, ...cast.clients.filter(({ role }) => role === 'keys')]) cast.restart(actor);
    for (const [i, actor] of cast.of('files').entries()) {
      actor.begin = async () => {
        const files = await this.openFiles(actor);
        await this.files?.reopened(i, files);
      };
      cast.restart(actor);
    }
    await this.settled('converged', () => cast.actors.find(({ wanted, ready }) => wanted && !ready)?.name);
    await world.runFor(quietMs);
  }

  /** Durable: every client reads everything. */
  private async readAll(): Promise<void> {
    const { world, watch } = this;
    const cast = this.cast as Cast;
    for (const actor of cast.of('keys')) {
      const keys = this.stores.get(actor) as KeyStore;
      for (const key of this.keys.keys)
        if (!(await world.settle(this.keys.get(keys, `${actor.name} at the end`, key), { limitMs: settleMs })))
          watch.report('durable', `${actor.name} cannot read ${key} after everything restarted`);
      if (actor.device.linked) await world.settle(this.registers.readAll(actor.device.linked), { limitMs: settleMs });
    }
    if (this.files) await world.settle(this.files.walk(), { limitMs: settleMs });
  }

  private judge(): void {
    const violation = findViolation(this.keys.history);
    if (violation) this.watch.report('linearizable', `key ${violation.key}\n${describe(violation.operations)}`);
  }
}

/** What the nodes found broken by themselves. */
function ruleOf(error: unknown): Rule {
  if (!isError(error, 'corrupt')) return 'progress';
  if (error.message.includes('rollback detected')) return 'G4';
  return error.data?.alarm === undefined ? 'progress' : 'L1';
}

function methodsOf(peers: unknown): string[] {
  const { services } = peers as { services?: { byName: ReadonlyMap<string, unknown> } };
  return [...(services?.byName.keys() ?? [])];
}
