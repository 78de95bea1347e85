// Faults of a mixed simulation, chosen and ended by chance, never more than the failure model of docs/protocols.md 0 allows: any
// number of processes may crash, pause and be cut off, but stores are lost for ever only while every member set they stand in
// keeps its majority and every acknowledged block a sound copy elsewhere.

import { limits } from '../../../src/core/base/limits.ts';
import { knownFaults } from '../watch/coverage.ts';
import { readsMayBeStale, usualDelayMs } from './course.ts';
import { DiskFaults } from './disk-faults.ts';
import { type Fault, FaultKit, type FaultsOptions } from './fault-kit.ts';
import { MemberFaults } from './member-faults.ts';

/** Clocks that differ by more refuse each other's certificates. */
const stepMs = 100_000;
const hourMs = 3_600_000;
/** Sessions are forgotten after an hour, deleted registers after two days, registers that moved away after thirty. */
const sleepsMs = [2 * hourMs, 3 * 24 * hourMs, 31 * 24 * hourMs];

/** How often each is chosen. */
const weights = {
  powerCut: 3,
  kill: 3,
  pauseNode: 3,
  cut: 4,
  isolate: 2,
  reset: 2,
  crashClient: 3,
  pauseClient: 4,
  weather: 4,
  slow: 2,
  fullDisk: 2,
  brokenDisk: 1,
  rot: 2,
  clockStep: 2,
  loseDisk: 2,
  setBack: 2,
  join: 2,
  leave: 2,
  drain: 2,
  scramble: 1,
  blackout: 1,
} as const;
export type FaultName = keyof typeof weights;
const names = Object.entries(weights).flatMap(([name, weight]) => Array<FaultName>(weight).fill(name as FaultName));

export class Faults {
  readonly members: MemberFaults;
  /** Virtual time in which nothing ran. */
  sleptMs = 0;
  private readonly kit: FaultKit;
  private readonly options: FaultsOptions;
  private readonly disks: DiskFaults;

  constructor(options: FaultsOptions) {
    this.options = options;
    this.kit = new FaultKit(options);
    this.disks = new DiskFaults(this.kit);
    this.members = new MemberFaults(this.kit, this.disks);
    options.watch.coverage.expect(...knownFaults);
  }

  /** Every clock goes at a rate of its own. */
  begin(): void {
    const { cast, random, course, watch } = this.options;
    const { clockError, zones, evictionDelayMs, calmMs } = course;
    this.kit.reach(readsMayBeStale(course) ? 'clock rate 10 %' : 'clock rate 1 %');
    if (zones) watch.coverage.reach('course/zones');
    if (evictionDelayMs < usualDelayMs) watch.coverage.reach('course/absence of seconds counts');
    if (calmMs > 0) watch.coverage.reach('course/quiet for long');
    for (const { device } of cast.actors) device.host.setClockRate(1 + (random.fraction() * 2 - 1) * clockError);
  }

  /** One more fault, of a kind that is possible now. */
  strike(): void {
    const { only } = this.options;
    const possible = only.length === 0 ? names : names.filter((name) => only.includes(name));
    for (let tries = 0; tries < 5; tries++) {
      const name = this.kit.pick(possible);
      if (name !== undefined && this.faults[name]()) return;
    }
  }

  /** Ends whatever lasts. */
  calm(): void {
    this.kit.calm();
  }

  /** Every machine is suspended for long, and goes on where it was, its clock set by others meanwhile. */
  async sleep(): Promise<void> {
    const { kit } = this;
    const timeMs = kit.pick(sleepsMs) ?? hourMs;
    kit.reach('everything suspended for long');
    const hosts = kit.cast.actors.map(({ device }) => ({ host: device.host, rate: device.host.clockRate }));
    for (const { host } of hosts) host.pause();
    for (const { host } of hosts) host.setClockRate(1);
    await kit.world.runFor(timeMs);
    this.sleptMs += timeMs;
    for (const { host, rate } of hosts) host.setClockRate(rate);
    for (const { host } of hosts) host.resume();
  }

  private readonly faults: { [name in FaultName]: Fault } = {
    powerCut: () => this.crash(true),
    kill: () => this.crash(false),
    pauseNode: () => {
      const { kit } = this;
      const node = kit.spare();
      if (!node) return false;
      kit.reach('node pause');
      node.device.host.pause();
      kit.hinder(node, kit.between(200, 9_000), () => node.device.host.resume());
      return true;
    },
    cut: () => {
      const { kit } = this;
      const oneWay = kit.random.below(2) === 0;
      const hosts = kit.cast.actors.map(({ name }) => name);
      const left = hosts.filter(() => kit.random.below(3) === 0);
      const right = hosts.filter((name) => !left.includes(name));
      if (left.length === 0) return false;
      kit.reach(oneWay ? 'one-way cut' : 'cut');
      kit.after(kit.between(500, 9_000), kit.world.network.partition(left, right, { oneWay }));
      return true;
    },
    isolate: () => {
      const { kit } = this;
      const one = kit.pick([...kit.cast.running, ...kit.cast.clients]);
      if (!one) return false;
      kit.reach('isolation');
      const others = kit.cast.actors.filter((other) => other !== one).map(({ name }) => name);
      kit.after(kit.between(1_000, 12_000), kit.world.network.partition([one.name], others));
      return true;
    },
    reset: () => {
      const { kit } = this;
      const [a, b] = [kit.pick(kit.cast.actors), kit.pick(kit.cast.actors)];
      if (!a || !b || a === b) return false;
      kit.reach('connections reset');
      kit.world.network.reset(a.name, b.name);
      return true;
    },
    crashClient: () => {
      const { kit } = this;
      const client = kit.pick(kit.cast.of('keys').filter(({ down, wanted }) => wanted && !down));
      if (!client) return false;
      kit.reach('client crash');
      kit.cast.crash(client, kit.random.below(2) === 0);
      kit.after(kit.between(500, 5_000), () => kit.cast.restart(client));
      return true;
    },
    pauseClient: () => this.pauseClient(),
    weather: () => {
      const { kit } = this;
      for (const name of ['loss', 'duplication', 'reordering']) kit.reach(name);
      const { network } = kit.world;
      network.setLink({ loss: 0.04, duplication: 0.03, reordering: 0.03 });
      kit.after(kit.between(1_000, 6_000), () => network.setLink({ loss: 0, duplication: 0, reordering: 0 }));
      return true;
    },
    slow: () => {
      const { kit } = this;
      kit.reach('slow links');
      const { network } = kit.world;
      network.setLink({ latencyMs: { min: 0.2, max: kit.between(20, 400) } });
      kit.after(kit.between(1_000, 6_000), () => network.setLink({ latencyMs: { min: 0.2, max: 1 } }));
      return true;
    },
    fullDisk: () => this.disks.full(),
    brokenDisk: () => this.disks.broken(),
    rot: () => this.disks.rot(),
    clockStep: () => {
      const { kit } = this;
      const actor = kit.pick(kit.cast.actors);
      if (!actor) return false;
      kit.reach('clock step');
      actor.device.host.wallOffsetMs = kit.between(-stepMs, stepMs);
      return true;
    },
    loseDisk: () => this.disks.lose(),
    setBack: () => this.disks.setBack(),
    join: () => this.members.join(),
    leave: () => this.members.leave(),
    drain: () => this.members.drain(),
    scramble: () => this.members.scramble(),
    blackout: () => {
      const { kit } = this;
      kit.reach('power cut everywhere');
      for (const node of kit.cast.running) {
        kit.cast.crash(node, true);
        kit.after(kit.between(200, 3_000), () => kit.cast.restart(node));
      }
      return true;
    },
  };

  private crash(power: boolean): boolean {
    const { kit } = this;
    const node = kit.spare();
    if (!node) return false;
    kit.reach(power ? 'power cut' : 'kill');
    kit.cast.crash(node, power);
    kit.after(kit.between(300, 8_000), () => kit.cast.restart(node));
    return true;
  }

  private pauseClient(): boolean {
    const { kit } = this;
    const client = kit.pick(kit.cast.clients.filter(({ down }) => !down));
    if (!client) return false;
    const timeMs = kit.between(200, 9_000);
    kit.reach('client pause');
    if (timeMs > limits.grantMs && this.options.leads(client)) kit.reach('pause of a leader beyond its lease');
    client.device.host.pause();
    kit.after(timeMs, () => client.device.host.resume());
    return true;
  }
}
