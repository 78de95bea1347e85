// A small seeded world for tests of one layer: virtual time, processes that pause and crash, links that are cut or lose
// messages. Nothing here waits for real time; two runs of one seed are the same.

import { InfinitError, isError } from '../../src/core/base/errors.ts';
import { type Abortable, cancelled } from '../../src/core/base/lifecycle.ts';
import { type KeyPair, keyPairFromSeed } from '../../src/core/crypto/keys.ts';
import type { Clock, Random, Runtime } from '../../src/core/runtime/runtime.ts';

interface Event {
  at: number;
  order: number;
  run: () => void;
  cancelled: boolean;
}

/** mulberry32: small, seeded, good enough to choose schedules. */
function generator(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) | 0;
    let t = Math.imul(a ^ (a >>> 15), 1 | a);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

export interface WorldOptions {
  seed?: number;
  /** One-way delay of a message, milliseconds: uniform between the two. */
  delayMs?: [number, number];
  /** Share of messages lost. */
  loss?: number;
}

/** Somebody messages go to: a process, a storage member. */
export interface Party {
  readonly name: string;
  /** Runs now, later (paused) or never (crashed). */
  dispatch(task: () => void): void;
}

export class World {
  now = 0;
  delayMs: [number, number];
  loss: number;
  private readonly next: () => number;
  private readonly heap: Event[] = [];
  private order = 0;
  private readonly cuts = new Set<string>();
  private failed: unknown;

  constructor(options: WorldOptions = {}) {
    this.next = generator(options.seed ?? 1);
    this.delayMs = options.delayMs ?? [1, 3];
    this.loss = options.loss ?? 0;
  }

  fraction(): number {
    return this.next();
  }
  below(limit: number): number {
    return Math.floor(this.next() * limit);
  }
  bytes(count: number): Buffer {
    const out = Buffer.alloc(count);
    for (let i = 0; i < count; i++) out[i] = this.below(256);
    return out;
  }

  at(delayMs: number, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, delayMs), order: this.order++, run, cancelled: false };
    push(this.heap, event);
    return () => {
      event.cancelled = true;
    };
  }

  /** Messages between the two are lost from now on, one-way unless `both`. */
  cut(from: string, to: string, both = true): void {
    this.cuts.add(`${from}>${to}`);
    if (both) this.cuts.add(`${to}>${from}`);
  }
  heal(): void {
    this.cuts.clear();
  }
  connected(from: string, to: string): boolean {
    return !this.cuts.has(`${from}>${to}`);
  }

  /** One message: arrives after a delay, or never. What was sent arrives even when the sender dies meanwhile. */
  send(from: Party, to: Party, task: () => void): void {
    const [low, high] = this.delayMs;
    const delay = low + this.next() * (high - low);
    if (this.next() < this.loss) return;
    this.at(delay, () => {
      if (this.connected(from.name, to.name)) to.dispatch(task);
    });
  }

  /** A question and its answer; never settles when either is lost. Errors travel back. */
  ask<T>(from: Party, to: Party, handler: () => Promise<T> | T): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (task: () => void) => this.send(to, from, task);
      this.send(from, to, () => {
        void (async () => handler())().then(
          (value) => answer(() => resolve(value)),
          (error: unknown) => answer(() => reject(error)),
        );
      });
    });
  }

  /** Runs until the promise settles; fails when the world goes quiet or `limitMs` of virtual time pass before. */
  async until<T>(promise: Promise<T>, limitMs = 600_000): Promise<T> {
    let settled = false;
    const end = this.now + limitMs;
    const done = promise.finally(() => {
      settled = true;
    });
    done.catch(() => {});
    for (;;) {
      await drain();
      if (settled) return done;
      if (this.now > end) throw new Error(`not settled after ${limitMs} ms of virtual time`);
      if (!this.step()) throw new Error('the world is quiet and the promise has not settled');
    }
  }

  /** Runs for some virtual time. */
  async run(timeMs: number): Promise<void> {
    const end = this.now + timeMs;
    for (;;) {
      await drain();
      const event = this.heap[0];
      if (event === undefined || event.at > end) break;
      this.step();
    }
    this.now = end;
  }

  /** A thrown error inside the world ends the run. */
  fail(error: unknown): void {
    this.failed ??= error;
  }

  private step(): boolean {
    for (;;) {
      const event = pop(this.heap);
      if (event === undefined) return false;
      if (event.cancelled) continue;
      this.now = Math.max(this.now, event.at);
      event.run();
      if (this.failed !== undefined) throw this.failed;
      return true;
    }
  }
}

/** Lets all promise reactions run. */
function drain(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

/** One computer program with its own runtime, in a world. */
export class Process implements Party {
  readonly world: World;
  readonly name: string;
  readonly keys: KeyPair;
  readonly runtime: Runtime;
  readonly logged: string[] = [];
  state: 'up' | 'paused' | 'crashed' = 'up';
  /** Rate of the monotonic clock. */
  clockRate = 1;
  private readonly held: (() => void)[] = [];

  constructor(world: World, name: string) {
    this.world = world;
    this.name = name;
    this.keys = keyPairFromSeed(world.bytes(32));
    this.runtime = {
      clock: this.clock(),
      random: this.random(),
      log: { write: (level, component, message) => this.logged.push(`${level} ${component}: ${message}`) },
      offload: {
        preferredCodec: 'none',
        compress: async () => undefined,
        decompress: async (data) => Buffer.from(data),
        decompressSync: (data) => Buffer.from(data),
      },
      transport: absent('transport'),
      datagrams: absent('datagrams'),
      http: absent('http'),
      programs: absent('programs'),
      files: absent('files'),
      databases: absent('databases'),
    };
  }

  dispatch(task: () => void): void {
    if (this.state === 'up') task();
    else if (this.state === 'paused') this.held.push(task);
  }

  crash(): void {
    this.state = 'crashed';
    this.held.length = 0;
  }
  pause(): void {
    if (this.state === 'up') this.state = 'paused';
  }
  resume(): void {
    if (this.state !== 'paused') return;
    this.state = 'up';
    for (const task of this.held.splice(0)) this.dispatch(task);
  }

  private clock(): Clock {
    const after = (timeMs: number, task: () => void) => this.world.at(timeMs, () => this.dispatch(task));
    return {
      now: () => 1_700_000_000_000 + Math.floor(this.world.now),
      monotonic: () => this.world.now * this.clockRate,
      after,
      sleep: (timeMs: number, options: Abortable = {}) =>
        new Promise<void>((resolve, reject) => {
          if (options.signal?.aborted) {
            reject(cancelled(options.signal));
            return;
          }
          const abort = () => {
            cancel();
            reject(cancelled(options.signal));
          };
          const cancel = after(timeMs, () => {
            options.signal?.removeEventListener('abort', abort);
            resolve();
          });
          options.signal?.addEventListener('abort', abort, { once: true });
        }),
    };
  }

  private random(): Random {
    return {
      bytes: (count) => this.world.bytes(count),
      below: (limit) => this.world.below(limit),
      fraction: () => this.world.fraction(),
    };
  }
}

/** Rejects with `unavailable` after the time, on the asker's own clock. */
export function within<T>(process: Process, timeMs: number, what: string, promise: Promise<T>): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = process.runtime.clock.after(timeMs, () =>
      reject(new InfinitError('unavailable', `${what} does not answer`)),
    );
    promise.then(
      (value) => {
        cancel();
        resolve(value);
      },
      (error: unknown) => {
        cancel();
        reject(isError(error) ? new InfinitError(error.kind, error.message) : error);
      },
    );
  });
}

function absent<T extends object>(what: string): T {
  return new Proxy({} as T, {
    get: () => {
      throw new InfinitError('unsupported', `this world has no ${what}`);
    },
  });
}

function before(a: Event, b: Event): boolean {
  return a.at < b.at || (a.at === b.at && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  heap.push(event);
  let i = heap.length - 1;
  while (i > 0) {
    const parent = (i - 1) >> 1;
    if (!before(heap[i] as Event, heap[parent] as Event)) break;
    [heap[i], heap[parent]] = [heap[parent] as Event, heap[i] as Event];
    i = parent;
  }
}

function pop(heap: Event[]): Event | undefined {
  const top = heap[0];
  const last = heap.pop();
  if (top === undefined || last === undefined || top === last) return top;
  heap[0] = last;
  let i = 0;
  for (;;) {
    let least = i;
    for (const child of [2 * i + 1, 2 * i + 2])
      if (child < heap.length && before(heap[child] as Event, heap[least] as Event)) least = child;
    if (least === i) return top;
    [heap[i], heap[least]] = [heap[least] as Event, heap[i] as Event];
    i = least;
  }
}
