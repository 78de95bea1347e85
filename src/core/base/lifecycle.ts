// Starting and stopping, cancelling and waiting.

import { InfinitError } from './errors.ts';

/** A part that runs. `stop` is idempotent, waits for what is in flight, and releases everything `start` took. */
export interface Startable {
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** Options of every call that may take long. */
export interface Abortable {
  signal?: AbortSignal | undefined;
}

/** Throws `cancelled` when the signal has fired. */
export function checkSignal(signal: AbortSignal | undefined): void {
  if (signal?.aborted) throw cancelled(signal);
}

export function cancelled(signal?: AbortSignal): InfinitError {
  const reason: unknown = signal?.reason;
  return reason instanceof InfinitError ? reason : new InfinitError('cancelled', 'cancelled');
}

/** Gives up waiting when the signal fires; what is waited for goes on. */
export async function abortable<T>(promise: Promise<T>, { signal }: Abortable): Promise<T> {
  if (signal === undefined) return promise;
  promise.catch(() => {});
  checkSignal(signal);
  let abort = () => {};
  const aborted = new Promise<never>((_, reject) => {
    abort = () => reject(cancelled(signal));
    signal.addEventListener('abort', abort, { once: true });
  });
  try {
    return await Promise.race([promise, aborted]);
  } finally {
    signal.removeEventListener('abort', abort);
  }
}

/** A promise with its two ends outside. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  resolve(value: T): void;
  reject(error: unknown): void;
}

export function deferred<T = void>(): Deferred<T> {
  let resolve!: (value: T) => void;
  let reject!: (error: unknown) => void;
  const promise = new Promise<T>((yes, no) => {
    resolve = yes;
    reject = no;
  });
  return { promise, resolve, reject };
}

/** Runs tasks one after another, in the order asked; at most `limit` wait. */
export class Mutex {
  private tail: Promise<unknown> = Promise.resolve();
  private waiting = 0;
  private readonly limit: number;

  constructor(limit = 1_000_000) {
    this.limit = limit;
  }

  /** Resolves with the task's result once all earlier tasks have ended. Throws `full` when too many wait. */
  run<T>(task: () => Promise<T> | T): Promise<T> {
    if (this.waiting >= this.limit) return Promise.reject(new InfinitError('full', 'too many operations wait'));
    this.waiting++;
    const result = this.tail.then(task);
    this.tail = result.then(
      () => this.waiting--,
      () => this.waiting--,
    );
    return result;
  }
}

/** One mutex a key, kept only while in use. */
export class KeyedMutex {
  private readonly locks = new Map<string, { mutex: Mutex; users: number }>();

  async run<T>(key: string, task: () => Promise<T> | T): Promise<T> {
    const lock = this.locks.get(key) ?? { mutex: new Mutex(), users: 0 };
    this.locks.set(key, lock);
    lock.users++;
    try {
      return await lock.mutex.run(task);
    } finally {
      if (--lock.users === 0) this.locks.delete(key);
    }
  }
}

/** Lets at most `limit` tasks run at once. */
export class Semaphore {
  private free: number;
  private readonly queue: (() => void)[] = [];

  constructor(limit: number) {
    this.free = limit;
  }

  async run<T>(task: () => Promise<T> | T): Promise<T> {
    if (this.free > 0) this.free--;
    else await new Promise<void>((resolve) => this.queue.push(resolve));
    try {
      return await task();
    } finally {
      const next = this.queue.shift();
      if (next) next();
      else this.free++;
    }
  }
}
