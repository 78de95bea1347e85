// A client's lock session as the client knows it: what it holds, who waits, which calls are under way, and until when all of it
// may be believed.

import { isError } from '../../base/errors.ts';
import { type Deferred, deferred } from '../../base/lifecycle.ts';
import type { LockPlace, LockRange } from '../tree.ts';

interface Held {
  place: LockPlace;
  ranges: LockRange[];
  /** Of the leader's statement. */
  revision: number;
}

/** A request that waits at the leader: granted, or to be asked again. */
export interface LockWait {
  came: Deferred<'granted' | 'again'>;
}

export class LockSession {
  readonly number: number;
  /** Rejects when it has ended. */
  readonly over: Deferred<never> = deferred<never>();
  isOver = false;
  /** Calls and callers that rely on it. */
  users = 0;
  usedAtMs = 0;
  /** By the own clock; before the first answer it has nothing to lose. */
  untilMs: number | undefined;
  /** Which taking up by a leader is in force; 0: none. */
  binding = 0;
  binds: Promise<void> | undefined;
  /** The leader is this process. */
  isOwn = false;
  /** Grants up to this count were heard. */
  seen = 0;
  readonly waits = new Map<number, LockWait>();
  /** Granted, though its waiter is not known yet. */
  readonly early = new Set<number>();
  private readonly held = new Map<string, Held>();
  private readonly resources = new Map<number, number>();
  private readonly underWay = new Set<number>();
  private last = 0;

  constructor(number: number) {
    this.number = number;
    this.over.promise.catch(() => {});
  }

  /** The number of a new call. */
  take(): number {
    this.underWay.add(++this.last);
    return this.last;
  }
  done(serial: number): void {
    this.underWay.delete(serial);
  }
  /** All calls up to this one are answered. */
  get through(): number {
    const [oldest] = this.underWay;
    return oldest === undefined ? this.last : oldest - 1;
  }
  isUnderWay(serial: number): boolean {
    return this.underWay.has(serial);
  }
  get callsUnderWay(): number {
    return this.underWay.size;
  }

  get isIdle(): boolean {
    return this.users === 0 && this.held.size === 0 && this.waits.size === 0 && this.underWay.size === 0;
  }

  holds(place: LockPlace): boolean {
    return this.held.has(keyOf(place));
  }
  guards(resource: number): boolean {
    return this.resources.has(resource);
  }
  get all(): Held[] {
    return [...this.held.values()];
  }

  /** What the leader says of a place; the later statement counts. */
  state(place: LockPlace, revision: number, ranges: LockRange[]): void {
    const key = keyOf(place);
    const known = this.held.get(key);
    if (known !== undefined && known.revision > revision) return;
    if (known === undefined) this.count(place.resource, 1);
    this.held.set(key, { place, ranges, revision });
    if (ranges.length === 0) this.drop(place);
  }

  drop(place: LockPlace): Held | undefined {
    const key = keyOf(place);
    const known = this.held.get(key);
    if (known === undefined) return undefined;
    this.held.delete(key);
    this.count(place.resource, -1);
    return known;
  }

  /** Another leader counts anew; who waits asks again. */
  bound(binding: number, isOwn: boolean): void {
    this.binding = binding;
    this.isOwn = isOwn;
    this.seen = 0;
    this.early.clear();
    for (const one of this.held.values()) one.revision = 0;
    for (const { came } of this.waits.values()) came.resolve('again');
    this.waits.clear();
  }

  private count(resource: number, change: number): void {
    const count = (this.resources.get(resource) ?? 0) + change;
    if (count > 0) this.resources.set(resource, count);
    else this.resources.delete(resource);
  }
}

export function keyOf({ space, resource, owner }: LockPlace): string {
  return `${space}:${resource}:${owner}`;
}

/** The task, unless the session ends before. */
export function raced<T>(task: Promise<T>, session: LockSession): Promise<T> {
  task.catch(() => {});
  return Promise.race([task, session.over.promise]);
}

/** A change that may have been executed is said again, until the leader answers or the session has ended; else throws the error. */
export function unsure(error: unknown, serial: number): undefined {
  if (serial === 0 || !isError(error, 'unavailable')) throw error;
}
