// Faults of a mixed simulation, chosen and ended by chance, never more than the failure model of docs/protocols.md 0 allows: any
// number of processes may crash, pause and be cut off, but stores are lost for ever only while every member set they stand in
// keeps its majority and every acknowledged block a sound copy elsewhere.

import { toHex } from '../../../src/core/base/bytes.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { cut, type Position } from '../../../src/core/overlay/chord/state.ts';
import { DirectoryNode, type DiskNode } from '../runtime/disk.ts';
import type { SeededRandom } from '../runtime/random.ts';
import type { World } from '../runtime/world.ts';
import { knownFaults } from '../watch/coverage.ts';
import type { Watch } from '../watch/watch.ts';
import type { Actor, Cast } from './cast.ts';
import { mayLose } from './failure-model.ts';
import type { Profile } from './options.ts';

const siloFolder = '/home/data/blocks/disk';
/** Nodes tell others their count every five seconds: a copy set back is told by it when it is that old. */
const imageAgeMs = 12_000;

/** Clocks that differ by more refuse each other's certificates. */
const stepMs = 100_000;

type Fault = (after: (timeMs: number, end: () => void) => void) => boolean;

export interface FaultsOptions {
  world: World;
  cast: Cast;
  watch: Watch;
  random: SeededRandom;
  profile: Profile;
  /** Kinds there are; all when empty. */
  only: readonly string[];
  /** Hosts that lead a tree now. */
  leads: (actor: Actor) => boolean;
}

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
  scramble: 1,
  blackout: 1,
} as const;
export type FaultName = keyof typeof weights;
const names = Object.entries(weights).flatMap(([name, weight]) => Array<FaultName>(weight).fill(name as FaultName));

export class Faults {
  private readonly options: FaultsOptions;
  private readonly ends = new Map<number, () => void>();
  private readonly images = new Map<Actor, { atMs: number; folder: DiskNode; storeId: string }>();
  private next = 0;

  constructor(options: FaultsOptions) {
    this.options = options;
    options.watch.coverage.expect(...knownFaults);
  }

  /** Every clock goes at a rate of its own. */
  begin(): void {
    const { cast, random, profile } = this.options;
    const error = profile === 'skew10' ? 0.1 : 0.01;
    this.reach(profile === 'skew10' ? 'clock rate 10 %' : 'clock rate 1 %');
    for (const { device } of cast.actors) device.host.setClockRate(1 + (random.fraction() * 2 - 1) * error);
  }

  /** One more fault, of a kind that is possible now. */
  strike(): void {
    const { random, only } = this.options;
    const possible = only.length === 0 ? names : names.filter((name) => only.includes(name));
    for (let tries = 0; tries < 5; tries++) {
      const name = possible[random.below(possible.length)] as FaultName;
      if (this.faults[name](this.after)) return;
    }
  }

  /** Ends whatever lasts. */
  calm(): void {
    // The end of one may be the beginning of another's.
    while (this.ends.size > 0) for (const end of [...this.ends.values()]) end();
  }

  private readonly after = (timeMs: number, end: () => void): void => {
    const number = this.next++;
    const once = () => {
      if (this.ends.delete(number)) end();
    };
    this.ends.set(number, once);
    this.options.world.schedule(timeMs * 1000, 'fault ends', once);
  };

  private reach(name: string): void {
    const { watch, world } = this.options;
    watch.coverage.reach(`fault/${name}`);
    world.note(`fault ${name}\n`);
    world.log?.({ atMs: world.nowMs, host: '-', level: 'info', component: 'fault', message: name, facts: undefined });
  }

  private pick<T>(list: readonly T[]): T | undefined {
    return list[this.options.random.below(list.length)];
  }

  private between(low: number, high: number): number {
    return low + this.options.random.below(high - low);
  }

  /** A node that may be away: the others are still a majority. */
  private spare(): Actor | undefined {
    const { cast } = this.options;
    const away = cast.storage.length - this.usable.length;
    if (away >= Math.floor((cast.storage.length - 1) / 2)) return undefined;
    return this.pick(this.usable);
  }

  private readonly hindered = new Set<Actor>();
  private get usable(): Actor[] {
    return this.options.cast.running.filter((actor) => !this.hindered.has(actor));
  }

  private hinder(actor: Actor, timeMs: number, end: () => void): void {
    this.hindered.add(actor);
    this.after(timeMs, () => {
      this.hindered.delete(actor);
      end();
    });
  }

  private readonly faults: { [name in FaultName]: Fault } = {
    powerCut: () => this.crash(true),
    kill: () => this.crash(false),
    pauseNode: () => {
      const node = this.spare();
      if (!node) return false;
      this.reach('node pause');
      node.device.host.pause();
      this.hinder(node, this.between(200, 9_000), () => node.device.host.resume());
      return true;
    },
    cut: (after) => {
      const oneWay = this.options.random.below(2) === 0;
      const hosts = this.options.cast.actors.map(({ name }) => name);
      const left = hosts.filter(() => this.options.random.below(3) === 0);
      const right = hosts.filter((name) => !left.includes(name));
      if (left.length === 0) return false;
      this.reach(oneWay ? 'one-way cut' : 'cut');
      after(this.between(500, 9_000), this.options.world.network.partition(left, right, { oneWay }));
      return true;
    },
    isolate: (after) => {
      const one = this.pick([...this.options.cast.running, ...this.options.cast.clients]);
      if (!one) return false;
      this.reach('isolation');
      const others = this.options.cast.actors.filter((other) => other !== one).map(({ name }) => name);
      after(this.between(1_000, 12_000), this.options.world.network.partition([one.name], others));
      return true;
    },
    reset: () => {
      const [a, b] = [this.pick(this.options.cast.actors), this.pick(this.options.cast.actors)];
      if (!a || !b || a === b) return false;
      this.reach('connections reset');
      this.options.world.network.reset(a.name, b.name);
      return true;
    },
    crashClient: (after) => {
      const client = this.pick(this.options.cast.of('keys').filter(({ down, wanted }) => wanted && !down));
      if (!client) return false;
      this.reach('client crash');
      this.options.cast.crash(client, this.options.random.below(2) === 0);
      after(this.between(500, 5_000), () => this.options.cast.restart(client));
      return true;
    },
    pauseClient: (after) => {
      const client = this.pick(this.options.cast.clients.filter(({ down }) => !down));
      if (!client) return false;
      const timeMs = this.between(200, 9_000);
      this.reach('client pause');
      if (timeMs > limits.grantMs && this.options.leads(client)) this.reach('pause of a leader beyond its lease');
      client.device.host.pause();
      after(timeMs, () => client.device.host.resume());
      return true;
    },
    weather: (after) => {
      const { world } = this.options;
      for (const name of ['loss', 'duplication', 'reordering']) this.reach(name);
      world.network.setLink({ loss: 0.04, duplication: 0.03, reordering: 0.03 });
      after(this.between(1_000, 6_000), () => world.network.setLink({ loss: 0, duplication: 0, reordering: 0 }));
      return true;
    },
    slow: (after) => {
      const { world } = this.options;
      this.reach('slow links');
      const max = this.between(20, 400);
      world.network.setLink({ latencyMs: { min: 0.2, max } });
      after(this.between(1_000, 6_000), () => world.network.setLink({ latencyMs: { min: 0.2, max: 1 } }));
      return true;
    },
    fullDisk: () => {
      const node = this.spare();
      if (!node) return false;
      this.reach('full disk');
      const { disk } = node.device.host;
      const before = disk.capacityBytes;
      disk.capacityBytes = disk.usedBytes() + this.options.random.below(256 * 1024);
      this.hinder(node, this.between(2_000, 12_000), () => {
        disk.capacityBytes = before;
      });
      return true;
    },
    brokenDisk: () => {
      const node = this.spare();
      if (!node) return false;
      this.reach('broken disk');
      const { disk } = node.device.host;
      disk.failing = true;
      // A silo that met an error refuses everything until it is opened again.
      this.after(this.between(200, 4_000), () => {
        disk.failing = false;
        if (!node.down) this.options.cast.crash(node, false);
        this.options.cast.restart(node);
      });
      this.hindered.add(node);
      this.after(4_000, () => this.hindered.delete(node));
      return true;
    },
    rot: () => this.rot(),
    clockStep: () => {
      const actor = this.pick(this.options.cast.actors);
      if (!actor) return false;
      this.reach('clock step');
      actor.device.host.wallOffsetMs = this.between(-stepMs, stepMs);
      return true;
    },
    loseDisk: () => this.loseDisk(),
    setBack: () => this.setBack(),
    join: () => {
      const spare = this.options.cast.of('storage').find(({ wanted }) => !wanted);
      if (!spare) return false;
      this.reach('join');
      void this.options.cast.start(spare);
      return true;
    },
    leave: () => this.leave(),
    scramble: () => this.scramble(),
    blackout: () => {
      const { cast } = this.options;
      this.reach('power cut everywhere');
      for (const node of cast.running) {
        cast.crash(node, true);
        this.after(this.between(200, 3_000), () => cast.restart(node));
      }
      return true;
    },
  };

  private crash(power: boolean): boolean {
    const node = this.spare();
    if (!node) return false;
    const { cast } = this.options;
    this.reach(power ? 'power cut' : 'kill');
    cast.crash(node, power);
    this.after(this.between(300, 8_000), () => cast.restart(node));
    return true;
  }

  /** Says goodbye, and comes back later. */
  private leave(): boolean {
    const node = this.spare();
    if (!node?.ready) return false;
    const { cast, world } = this.options;
    this.reach('leave');
    const { life } = node.device.host;
    const gone = () => {
      if (node.device.host.life !== life || node.down) return;
      cast.crash(node, false);
      this.after(this.between(500, 8_000), () => cast.restart(node));
    };
    this.hindered.add(node);
    this.after(15_000, () => {
      this.hindered.delete(node);
      gone();
    });
    void node.device.linked
      ?.close()
      .catch(() => {})
      .then(() => world.schedule(0, 'left', gone));
    return true;
  }

  private loseDisk(): boolean {
    const node = this.spare();
    if (!node || !mayLose(this.options.watch, this.options.cast, node)) return false;
    const { cast, watch } = this.options;
    this.reach('disk loss');
    cast.crash(node, true);
    const { host } = node.device;
    host.disk.replace(siloFolder, undefined);
    watch.stores.lost(host);
    this.images.delete(node);
    this.after(this.between(300, 6_000), () => cast.restart(node));
    return true;
  }

  /** Takes an image of a disk; or, when there is one of a while ago, puts it in the disk's place. */
  private setBack(): boolean {
    const { cast, watch, world } = this.options;
    const old = [...this.images].find(
      ([node, { atMs }]) => world.nowMs - atMs > imageAgeMs && this.usable.includes(node),
    );
    if (!old) return this.takeImage();
    const [node, { folder, storeId }] = old;
    const silo = node.device.linked?.node.options.silo;
    if (
      !silo ||
      toHex(silo.storeId) !== storeId ||
      this.spare() === undefined ||
      !mayLose(this.options.watch, this.options.cast, node)
    )
      return false;
    this.reach('set-back disk');
    cast.crash(node, true);
    const { host } = node.device;
    host.disk.replace(siloFolder, folder);
    watch.stores.setBack(host);
    this.images.delete(node);
    this.after(this.between(300, 6_000), () => cast.restart(node));
    return true;
  }

  private takeImage(): boolean {
    const node = this.pick(this.usable);
    const folder = node?.device.host.disk.find(siloFolder);
    const silo = node?.device.linked?.node.options.silo;
    if (!node || !silo || !(folder instanceof DirectoryNode) || this.images.has(node)) return false;
    this.images.set(node, { atMs: this.options.world.nowMs, folder: folder.copy(), storeId: toHex(silo.storeId) });
    return true;
  }

  /** Bits flip where a store has written: it may have to give up its name, so it counts as one that may be lost. */
  private rot(): boolean {
    const { random, watch } = this.options;
    const node = this.spare();
    if (!node || !mayLose(this.options.watch, this.options.cast, node)) return false;
    const { disk } = node.device.host;
    const folder = disk.find(siloFolder);
    if (!(folder instanceof DirectoryNode)) return false;
    const segments = [...folder.entries.keys()].filter((name) => name.startsWith('segment-')).sort();
    const name = this.pick(segments);
    if (!name) return false;
    this.reach('bit rot');
    watch.stores.of(node.device.host).rotted = true;
    disk.rot(`${siloFolder}/${name}`, 1 + random.below(400));
    return true;
  }

  /** Pointers of a node's positions are anything at all that is in order (7.13): a hint, and no more than that. */
  private scramble(): boolean {
    const { random } = this.options;
    const node = this.pick(this.usable);
    const overlay = node?.device.linked?.node.overlay as unknown as
      | { machine?: { ring: { positions: readonly Position[]; version: number } } }
      | undefined;
    const machine = overlay?.machine;
    if (!machine) return false;
    this.reach('ring scrambled');
    const positions = machine.ring.positions.map((position) => {
      const list = cut(
        position.self,
        position.list.filter(() => random.below(2) === 0),
      );
      return { ...position, list, spare: [], pred: this.pick(position.list), heard: '' };
    });
    machine.ring = { ...machine.ring, positions, version: machine.ring.version + 1 };
    return true;
  }
}
