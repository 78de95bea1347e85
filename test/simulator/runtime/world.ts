// A simulated world: virtual time, seeded chance, hosts, a network between them. One queue of events; between two of them all
// microtasks run to their end, so the same seed gives the same course of events, told by `trace()`. Nothing here waits in
// real time.

import { createHash } from 'node:crypto';
import { setMaxListeners } from 'node:events';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { LogLevel } from '../../../src/core/runtime/runtime.ts';
import { EventQueue } from './event-queue.ts';
import { Host, type HostOptions } from './host.ts';
import { type LinkOptions, Network } from './network.ts';
import { SeededRandom } from './random.ts';

export interface WorldOptions {
  seed: number | string;
  /** How links behave unless `network.setLink` says otherwise. */
  link?: Partial<LinkOptions>;
  /** Receives the log of every host. */
  log?: (line: LogLine) => void;
}

export interface LogLine {
  atMs: number;
  host: string;
  level: LogLevel;
  component: string;
  message: string;
  facts: Record<string, unknown> | undefined;
}

export interface RunOptions {
  /** Virtual time after which a condition that is still false is an error. */
  limitMs?: number;
}

const defaultLimitMs = 10 * 60_000;

export function createWorld(options: WorldOptions): World {
  // As the real runtime does it: one signal serves many calls.
  setMaxListeners(0);
  return new World(options);
}

export class World {
  readonly seed: string;
  readonly random: SeededRandom;
  readonly network: Network;
  readonly log: ((line: LogLine) => void) | undefined;
  /** Events that happened. */
  eventCount = 0;
  private readonly queue = new EventQueue();
  private readonly ties: SeededRandom;
  private readonly digest = createHash('sha256');
  private readonly hosts = new Map<string, Host>();
  private readonly outsideWork = new Set<Promise<unknown>>();
  private nowUs = 0;
  private sequence = 0;

  constructor(options: WorldOptions) {
    this.seed = String(options.seed);
    this.random = new SeededRandom(this.seed);
    this.ties = this.random.fork('ties');
    this.network = new Network(this, options.link ?? {});
    this.log = options.log;
  }

  /** Virtual milliseconds since the world began. */
  get nowMs(): number {
    return this.nowUs / 1000;
  }
  get timeUs(): number {
    return this.nowUs;
  }

  /** The host of that name; made when it is asked for the first time. */
  host(name: string, options: HostOptions = {}): Host {
    const known = this.hosts.get(name);
    if (known) return known;
    const host = new Host(this, name, options);
    this.hosts.set(name, host);
    return host;
  }

  findHost(name: string): Host | undefined {
    return this.hosts.get(name);
  }

  allHosts(): Host[] {
    return [...this.hosts.values()];
  }

  /** Lets something happen after a virtual time; returns what takes it off. For fault schedules and for the parts. */
  schedule(delayUs: number, label: string, task: () => void): () => void {
    const event = {
      at: this.nowUs + Math.max(0, Math.ceil(delayUs)),
      tie: this.ties.below(0x1_0000_0000),
      sequence: this.sequence++,
      label,
      task: task as (() => void) | undefined,
    };
    this.queue.push(event);
    return () => {
      event.task = undefined;
    };
  }

  /** Real asynchronous work: the next event waits for its end, whatever order the machine finishes such work in. */
  awaitOutside(work: Promise<unknown>): void {
    const settled: Promise<unknown> = work.then(
      () => this.outsideWork.delete(settled),
      () => this.outsideWork.delete(settled),
    );
    this.outsideWork.add(settled);
  }

  /** Adds a fact to the trace. */
  note(text: string | Uint8Array): void {
    this.digest.update(text);
  }

  /** A hash of everything that happened: equal for equal seeds and equal code. */
  trace(): string {
    return this.digest.copy().digest('hex');
  }

  /** Lets the world run to that virtual time, or until the condition holds (an error when it does not in time). */
  async run(until: number | (() => boolean), options: RunOptions = {}): Promise<void> {
    await this.settleTurn();
    if (typeof until === 'number') {
      const endUs = until * 1000;
      while ((this.queue.peek()?.at ?? Number.POSITIVE_INFINITY) <= endUs) await this.step();
      this.nowUs = Math.max(this.nowUs, endUs);
      return;
    }
    const limitUs = this.nowUs + (options.limitMs ?? defaultLimitMs) * 1000;
    while (!until()) {
      const next = this.queue.peek();
      if (next === undefined) throw new Error(`seed ${this.seed}: nothing more happens and the condition is false`);
      if (next.at > limitUs) throw new Error(`seed ${this.seed}: condition still false after ${this.nowMs} ms`);
      await this.step();
    }
  }

  async runFor(timeMs: number): Promise<void> {
    await this.run(this.nowMs + timeMs);
  }

  /** Lets the world run until the promise settles, and returns what it gives. */
  async settle<T>(promise: Promise<T>, options: RunOptions = {}): Promise<T> {
    let done = false;
    const finished = () => {
      done = true;
    };
    promise.then(finished, finished);
    await this.run(() => done, options);
    return promise;
  }

  private async step(): Promise<void> {
    const event = this.queue.pop();
    if (event === undefined) return;
    this.nowUs = event.at;
    if (event.task === undefined) return;
    this.eventCount++;
    this.digest.update(`${event.at} ${event.label}\n`);
    event.task();
    await this.settleTurn();
  }

  private async settleTurn(): Promise<void> {
    await nextTurn();
    while (this.outsideWork.size > 0) {
      await Promise.all(this.outsideWork);
      await nextTurn();
    }
  }
}
