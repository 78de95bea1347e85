// One simulation of mixed faults: whole nodes, spares, clients of a key-value store, of registers, of locks and of a volume, storms
// of faults with quiet times between them, and at the end everything restarted and read again. docs/protocols.md 8 has what is
// watched; the same seed gives the same course of events.

import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { KeyStore } from '../../../src/core/volume/keys.ts';
import { describe, findViolation } from '../linearizable.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';
import type { Rule } from '../watch/rules.ts';
import { Watch } from '../watch/watch.ts';
import { makeCluster } from '../whole.ts';
import { type Actor, Cast, type Role } from './cast.ts';
import { Clients } from './clients.ts';
import { type Course, courseOf, readsMayBeStale } from './course.ts';
import { Faults } from './faults.ts';
import type { MixedOptions, MixedResult } from './options.ts';
import { crowded, hold } from './settling.ts';

const spares = 2;
const filesClients = 2;
const replicas = 3;
const stormMs = 20_000;
const quietMs = 5_000;
const settleMs = 240_000;

interface Scene {
  cast: Cast;
  faults: Faults;
  clients: Clients;
}

export class Simulation {
  readonly world: World;
  readonly watch: Watch;
  private readonly options: MixedOptions;
  private readonly random: SeededRandom;
  private readonly course: Course;
  private scene: Scene | undefined;

  constructor(world: World, options: MixedOptions) {
    this.world = world;
    this.options = options;
    this.random = world.random.fork('mixed');
    this.course = courseOf(this.random.fork('course'), options);
    this.watch = new Watch(world, {
      staleReads: readsMayBeStale(this.course),
      replicas: () => Math.min(replicas, this.scene?.cast.storage.length ?? 0),
    });
  }

  async run(): Promise<MixedResult> {
    const adjustable = limits as { chordPositions: number };
    const usual = adjustable.chordPositions;
    adjustable.chordPositions = this.course.positions;
    try {
      const scene = await this.begin();
      await this.load(scene);
      if (!this.broken) await this.finish(scene);
    } catch (error) {
      this.watch.report('progress', error instanceof Error ? (error.stack ?? error.message) : String(error));
    } finally {
      adjustable.chordPositions = usual;
    }
    const { world, watch } = this;
    const { clients, faults } = this.scene ?? {};
    return {
      seed: this.options.seed,
      violations: watch.violations,
      coverage: watch.coverage,
      events: world.eventCount,
      virtualMs: world.nowMs - (faults?.sleptMs ?? 0),
      operations: {
        keys: clients?.keys.answered ?? 0,
        files: clients?.files?.steps ?? 0,
        registers: watch.history.operations,
        locks: clients?.locks.answered ?? 0,
        blocks: watch.blocks.puts,
      },
      trace: world.trace(),
    };
  }

  private get broken(): boolean {
    return this.options.eager && this.watch.violations.length > 0;
  }

  private async begin(): Promise<Scene> {
    const { world, watch, options, course } = this;
    const roles: Role[] = [
      ...Array<Role>(options.nodes + spares).fill('storage'),
      ...Array<Role>(options.clients).fill('keys'),
      ...Array<Role>(filesClients).fill('files'),
    ];
    const storage = options.nodes + spares;
    const cluster = await makeCluster(world, {
      nodes: storage,
      clients: options.clients + filesClients,
      replicationFactor: replicas,
      overlay: options.overlay,
      capacity: 128 << 20,
      evictionDelayMs: course.evictionDelayMs,
      ...(course.zones && {
        zones: Array.from({ length: storage }, (_, i) => course.zones?.[i % course.zones.length] ?? ''),
      }),
    });
    const cast = new Cast(world, cluster, roles, watch.coverage);
    await world.settle(watch.know(cluster.network, cluster.devices));
    const failed = (who: string, error: unknown) => this.failed(who, error);
    cast.onError = (actor, error) => failed(actor.name, error);
    for (const { device } of cast.actors)
      device.onOpened = (linked) => {
        watch.opened(linked, device);
        watch.coverage.expect(...methodsOf(linked.node.peers).map((name) => `message/${name}`));
      };
    const staleReads = readsMayBeStale(course);
    const clients = new Clients({
      world,
      cast,
      cluster,
      watch,
      random: this.random.fork('clients'),
      staleReads,
      failed,
    });
    const faults = new Faults({
      world,
      cast,
      watch,
      random: this.random.fork('faults'),
      course,
      only: options.faults,
      leads: (actor) => clients.leads(actor),
    });
    this.scene = { cast, faults, clients };
    faults.begin();
    const [first, ...others] = cast.of('storage').slice(0, options.nodes) as [Actor, ...Actor[]];
    await world.settle(cast.start(first));
    await world.settle(Promise.all(others.map((node) => cast.start(node))));
    await world.runFor(5_000);
    await clients.begin();
    return this.scene;
  }

  private failed(who: string, error: unknown): void {
    this.watch.report(ruleOf(error), `${who}: ${error instanceof Error ? error.stack : String(error)}`);
  }

  private async load({ cast, faults, clients }: Scene): Promise<void> {
    const { world, random, watch, course } = this;
    const endMs = world.nowMs + this.options.minutes * 60_000;
    const left = () => endMs + faults.sleptMs - world.nowMs;
    clients.tend(() => left() > 0).catch((error: unknown) => this.failed('upkeep', error));
    while (left() > 0 && !this.broken) {
      const calmMs = world.nowMs + Math.min(left(), stormMs / 2 + random.below(stormMs));
      while (world.nowMs < calmMs && !this.broken) {
        await world.runFor(500 + random.below(2_500));
        faults.strike();
        watch.rings.always(cast.running.map(({ device }) => device));
      }
      faults.calm();
      await world.runFor(quietMs);
      watch.blocks.check();
      if (course.sleeps && !this.broken) {
        await faults.sleep();
        await world.runFor(quietMs);
      }
    }
  }

  private async finish(scene: Scene): Promise<void> {
    const { world, watch } = this;
    const { cast, faults, clients } = scene;
    faults.calm();
    world.network.heal();
    clients.over = true;
    await this.settled('R6', () => this.unsettled(scene));
    if (this.broken) return;
    watch.rings.atRest(cast.storage.map(({ device }) => device));
    watch.blocks.check();
    await this.calm(scene);
    await this.restartAll(scene);
    if (this.broken) return;
    const quietUs = world.timeUs;
    await this.readAll(scene);
    await this.settled('converged', () => this.unsettled(scene));
    watch.blocks.check();
    const { keys } = clients;
    const history = readsMayBeStale(this.course) ? keys.changesSince(quietUs) : keys.history;
    const violation = findViolation(history);
    if (violation) watch.report('linearizable', `key ${violation.key}\n${describe(violation.operations)}`);
  }

  /** What is not as it must be after a while without faults. */
  private unsettled({ cast }: Scene): string | undefined {
    const away = cast.actors.find(({ wanted, ready }) => wanted && !ready);
    if (away) return `${away.name} is not back`;
    if (cast.isDraining) return 'a node is not drained';
    const devices = (actors: readonly Actor[]) => actors.map(({ device }) => device);
    return (
      this.watch.rings.unsettled(devices(cast.storage), devices(cast.clients)) ??
      hold(this.watch, cast, Math.min(replicas, cast.storage.length))
    );
  }

  private async settled(rule: Rule, wrong: () => string | undefined): Promise<void> {
    const { world, watch, course } = this;
    // Who has not heard that a node left for good takes it for one that is away.
    const awayMs = this.scene?.faults.members.drained ? course.evictionDelayMs : 0;
    const untilMs = world.nowMs + settleMs + awayMs;
    let found = wrong();
    while (found !== undefined && world.nowMs < untilMs && !this.broken) {
      await world.runFor(2_000);
      found = wrong();
    }
    if (found !== undefined && !this.broken) watch.report(found.startsWith('R6') ? 'R6' : rule, found);
  }

  /** Quiet for long: what stands where it should not moves, and what is in too many places goes. */
  private async calm({ cast }: Scene): Promise<void> {
    const { course, world, watch } = this;
    if (course.calmMs === 0) return;
    await world.runFor(course.calmMs);
    await this.settled('zones', () => crowded(watch, cast, replicas));
    watch.blocks.check();
  }

  /** Power fails everywhere, and comes back. */
  private async restartAll({ cast, clients }: Scene): Promise<void> {
    const { world } = this;
    await world.run(() => clients.filesIdle, { limitMs: settleMs });
    for (const actor of [...cast.storage, ...cast.clients]) cast.crash(actor, true);
    await world.runFor(1_000);
    for (const actor of [...cast.storage, ...cast.clients]) {
      if (actor.role === 'files') actor.begin = (one) => clients.reopenFiles(one);
      cast.restart(actor);
    }
    await this.settled('converged', () => cast.actors.find(({ wanted, ready }) => wanted && !ready)?.name);
    await world.runFor(quietMs);
  }

  /** Durable: every client reads everything. */
  private async readAll({ cast, clients }: Scene): Promise<void> {
    const { world, watch } = this;
    const { keys, registers } = clients;
    for (const actor of cast.of('keys')) {
      const store = clients.stores.get(actor) as KeyStore;
      for (const key of keys.keys)
        if (!(await world.settle(keys.get(store, `${actor.name} at the end`, key), { limitMs: settleMs })))
          watch.report('durable', `${actor.name} cannot read ${key} after everything restarted`);
      if (actor.device.linked) await world.settle(registers.readAll(actor.device.linked), { limitMs: settleMs });
    }
    if (clients.files) await world.settle(clients.files.walk(), { limitMs: settleMs });
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
