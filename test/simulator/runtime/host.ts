// A simulated machine that runs one process at a time. A `Life` is one run of that process: when it ends (crash), nothing of
// it happens any more: timers, frames and answers die with it and promises it waits for never settle. The disk stays.

import { InfinitError } from '../../../src/core/base/errors.ts';
import type { Cancel, Runtime } from '../../../src/core/runtime/runtime.ts';
import { VirtualClock } from './clock.ts';
import { DatabaseShelf, VirtualDatabases } from './databases.ts';
import { VirtualDatagrams } from './datagrams.ts';
import { Disk } from './disk.ts';
import { VirtualFiles } from './files.ts';
import { VirtualTransport } from './network.ts';
import { VirtualOffload } from './offload.ts';
import type { SeededRandom } from './random.ts';
import type { World } from './world.ts';

/** Whose process a runtime, its clock or its log belongs to: for those who watch what happens inside. */
export const lifeOf = new WeakMap<object, Life>();

export interface HostOptions {
  diskBytes?: number;
  /** Whether files may be opened `direct`. */
  directIo?: boolean;
  /** Speed of the host's clocks against virtual time: 1.01 is one percent fast. */
  clockRate?: number;
}

export interface CrashOptions {
  /** True (default): the machine loses power: un-synced writes are lost or torn, peers hear nothing. False: kill -9. */
  power?: boolean;
}

export class Host {
  readonly world: World;
  readonly name: string;
  readonly random: SeededRandom;
  readonly disk: Disk;
  readonly databases = new DatabaseShelf();
  clockRate: number;
  /** Added to the wall clock; steps it. */
  wallOffsetMs = 0;
  private current: Life;
  private lives = 0;
  private paused = false;
  private deferred: (() => void)[] = [];

  constructor(world: World, name: string, options: HostOptions) {
    this.world = world;
    this.name = name;
    this.random = world.random.fork(`host ${name}`);
    this.disk = new Disk(this.random.fork('disk'), options.diskBytes ?? 1 << 30, options.directIo ?? true);
    this.clockRate = options.clockRate ?? 1;
    this.current = new Life(this, this.lives++);
  }

  get life(): Life {
    return this.current;
  }
  get alive(): boolean {
    return this.current.alive;
  }
  get runtime(): Runtime {
    return this.current.runtime;
  }

  /** Ends the process at once. */
  crash(options: CrashOptions = {}): void {
    const life = this.current;
    if (!life.alive) return;
    const power = options.power ?? true;
    this.world.note(`crash ${this.name} ${power}\n`);
    life.alive = false;
    this.paused = false;
    this.deferred = [];
    this.world.network.hostCrashed(life, !power);
    this.disk.crash(power);
    this.world.awaitOutside(this.databases.crash());
  }

  /** Starts a new process on the same disk; a running one is crashed first. */
  restart(options: CrashOptions = {}): Runtime {
    this.crash(options);
    this.world.note(`restart ${this.name}\n`);
    this.current = new Life(this, this.lives++);
    return this.current.runtime;
  }

  setClockRate(rate: number): void {
    this.current.clock.rebase(() => {
      this.clockRate = rate;
    });
  }

  /** Nothing of the process runs until `resume`, while time goes on (a suspended laptop, a long stall). */
  pause(): void {
    this.paused = true;
  }

  /** Nothing of the process runs now, or what waited is still to be done. */
  get isPaused(): boolean {
    return this.paused || this.deferred.length > 0;
  }

  /** What waited happens in its order, one event each, before anything that comes later. */
  resume(): void {
    this.paused = false;
    this.catchUp();
  }

  private catchUp(): void {
    if (this.paused || this.deferred.length === 0) return;
    this.world.schedule(0, `resumed ${this.name}`, () => {
      if (this.paused) return;
      this.deferred.shift()?.();
      this.catchUp();
    });
  }

  /** As `World.schedule`, held back while the host is paused. */
  schedule(delayUs: number, label: string, task: () => void): Cancel {
    return this.world.schedule(delayUs, label, () => {
      if (this.paused || this.deferred.length > 0) this.deferred.push(task);
      else task();
    });
  }
}

export class Life {
  readonly host: Host;
  readonly clock: VirtualClock;
  readonly runtime: Runtime;
  readonly pid: number;
  alive = true;

  constructor(host: Host, index: number) {
    this.host = host;
    this.pid = 1000 + index;
    const random = host.random.fork(`life ${index}`);
    this.clock = new VirtualClock(this, random.between(0, 1e9));
    this.runtime = {
      clock: this.clock,
      random,
      transport: new VirtualTransport(this),
      datagrams: new VirtualDatagrams(this),
      http: { request: () => Promise.reject(new InfinitError('unavailable', 'nothing here speaks HTTP')) },
      programs: { start: () => Promise.reject(new InfinitError('unavailable', 'there are no programs here')) },
      files: new VirtualFiles(this),
      databases: new VirtualDatabases(this),
      offload: new VirtualOffload(this),
      log: {
        write: (level, component, message, facts) => {
          if (!this.alive) return;
          const { world, name } = this.host;
          world.note(`log ${name} ${level} ${component} ${message}\n`);
          world.log?.({ atMs: world.nowMs, host: name, level, component, message, facts });
        },
      },
    };
    lifeOf.set(this.runtime, this);
    lifeOf.set(this.runtime.log, this);
    lifeOf.set(this.clock, this);
  }

  schedule(delayUs: number, label: string, task: () => void): Cancel {
    let live = true;
    const cancel = this.host.schedule(delayUs, label, () => {
      if (live && this.alive) task();
    });
    return () => {
      live = false;
      cancel();
    };
  }

  /** As `answer`, for work that is instantaneous and takes place when its time has come. */
  later<T>(delayUs: number, label: string, work: () => T): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.alive) return;
      this.schedule(delayUs, `${this.host.name} ${label}`, () => {
        try {
          resolve(work());
        } catch (error) {
          reject(error);
        }
      });
    });
  }

  /** Work the process asked for, answered after a virtual time; never when the process has ended by then. */
  answer<T>(delayUs: number, label: string, work: () => T | Promise<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      if (!this.alive) return;
      let deliver = () => {};
      const outcome = (async () => work())().then(
        (value) => {
          deliver = () => resolve(value);
        },
        (error) => {
          deliver = () => reject(error);
        },
      );
      this.host.world.awaitOutside(outcome);
      this.schedule(delayUs, `${this.host.name} ${label}`, () => deliver());
    });
  }
}
