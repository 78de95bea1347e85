// Who has locked what, and who waits: the pure heart of locks (docs/protocols.md 4.10). Owners of one client or of many are all
// alike. Who waits is served in the order of asking, unless that would make a ring of waits. What is granted meanwhile is told
// to `onGranted`.

import { limits } from '../../base/limits.ts';
import type { LockPlace, LockRange, Span } from '../tree.ts';
import { excludes, without, withRange } from './lock-ranges.ts';

interface Holder {
  readonly owner: string;
  readonly client: string;
  readonly place: LockPlace;
  ranges: LockRange[];
}

interface Resource {
  readonly name: string;
  /** By owner. */
  readonly holders: Map<string, Holder>;
  /** In the order they asked. */
  waiters: LockWaiter[];
}

export interface LockCounts {
  ranges: number;
  waiters: number;
}

export interface LockWaiter {
  readonly owner: string;
  readonly client: string;
  /** Names it within its client. */
  readonly id: number;
  readonly place: LockPlace;
  readonly range: LockRange;
}

interface Waiting extends LockWaiter {
  /** Need not wait for those who asked before it: they wait for it. */
  passes: boolean;
}

export type Locked = 'granted' | 'conflict' | 'waiting' | 'deadlock';

/** A waits for B, because B holds (hard), or because B asked before. */
interface Wait {
  waiter: Waiting;
  owner: string;
  hard: boolean;
}

export class LockTable {
  private readonly resources = new Map<string, Resource>();
  /** Of each owner that waits. */
  private readonly waits = new Map<string, Set<Waiting>>();
  private readonly onGranted: (waiter: LockWaiter) => void;
  /** Of each client. */
  private readonly counts = new Map<string, LockCounts>();
  private readonly total: LockCounts = { ranges: 0, waiters: 0 };

  constructor(onGranted: (waiter: LockWaiter) => void) {
    this.onGranted = onGranted;
  }

  /** Of one client, or of all. */
  countsOf(client?: string): Readonly<LockCounts> {
    return client === undefined ? this.total : (this.counts.get(client) ?? { ranges: 0, waiters: 0 });
  }

  rangesOf(client: string, place: LockPlace): readonly LockRange[] {
    return this.resources.get(nameOf(place))?.holders.get(ownerOf(client, place))?.ranges ?? [];
  }

  /** Locks, or changes the kind of what is locked. `wait`: the name under which it waits when it cannot be granted now. */
  lock(client: string, place: LockPlace, range: LockRange, wait?: number): Locked {
    const owner = ownerOf(client, place);
    if (place.space === 'whole' && this.rangesOf(client, place).some(({ mode }) => mode !== range.mode))
      this.unlock(client, place, range);
    const resource = this.resource(place);
    const asked: Waiting = { owner, client, id: wait ?? 0, place, range, passes: false };
    let locked: Locked = wait === undefined ? 'conflict' : 'waiting';
    if (this.mayHave(resource, asked, wait === undefined)) {
      this.give(resource, asked);
      locked = 'granted';
    } else if (wait !== undefined) {
      resource.waiters.push(asked);
      this.count(client, 0, 1);
      this.waits.set(owner, (this.waits.get(owner) ?? new Set()).add(asked));
      locked = this.unwound(resource, asked);
    }
    // What was exclusive may be shared now.
    if (locked === 'granted' && range.mode === 'shared') this.serve(resource);
    this.settle(resource);
    return locked;
  }

  /** Lets go of the span; others may be granted what they wait for. */
  unlock(client: string, place: LockPlace, span: Span): void {
    const resource = this.resources.get(nameOf(place));
    const holder = resource?.holders.get(ownerOf(client, place));
    if (resource === undefined || holder === undefined) return;
    this.keep(resource, holder, without(holder.ranges, span));
    this.serve(resource);
    this.settle(resource);
  }

  /** Whose lock is in the way of the range. */
  test(client: string, place: LockPlace, range: LockRange): { client: string; range: LockRange } | undefined {
    const owner = ownerOf(client, place);
    for (const holder of this.resources.get(nameOf(place))?.holders.values() ?? []) {
      if (holder.owner === owner) continue;
      const found = holder.ranges.find((held) => excludes(held, range));
      if (found !== undefined) return { client: holder.client, range: found };
    }
    return undefined;
  }

  /** Waits no more; false when it did not wait. */
  cancel(client: string, place: LockPlace, wait: number): boolean {
    const resource = this.resources.get(nameOf(place));
    const waiter = resource?.waiters.find(({ client: of, id }) => of === client && id === wait);
    if (resource === undefined || waiter === undefined) return false;
    this.dropWaiter(resource, waiter);
    this.serve(resource);
    this.settle(resource);
    return true;
  }

  /** The client has nothing any more, and waits for nothing. */
  drop(client: string): void {
    for (const resource of [...this.resources.values()]) {
      const waiting = resource.waiters.filter((waiter) => waiter.client === client);
      for (const waiter of waiting) this.dropWaiter(resource, waiter);
      const held = [...resource.holders.values()].filter((holder) => holder.client === client);
      for (const holder of held) this.keep(resource, holder, []);
      if (waiting.length + held.length > 0) this.serve(resource);
      this.settle(resource);
    }
  }

  private count(client: string, ranges: number, waiters: number): void {
    const own = this.counts.get(client) ?? { ranges: 0, waiters: 0 };
    for (const counts of [own, this.total]) {
      counts.ranges += ranges;
      counts.waiters += waiters;
    }
    if (own.ranges + own.waiters > 0) this.counts.set(client, own);
    else this.counts.delete(client);
  }

  private resource(place: LockPlace): Resource {
    const name = nameOf(place);
    let resource = this.resources.get(name);
    if (resource === undefined)
      this.resources.set(name, (resource = { name, holders: new Map(), waiters: [] } satisfies Resource));
    return resource;
  }

  private settle(resource: Resource): void {
    if (resource.holders.size === 0 && resource.waiters.length === 0) this.resources.delete(resource.name);
  }

  /** Nobody holds what excludes it; nor, unless it passes them, has anybody asked for such a thing before. */
  private mayHave(resource: Resource, asked: Waiting, passes: boolean): boolean {
    for (const holder of resource.holders.values()) if (this.isHeldAgainst(holder, asked)) return false;
    // Who holds something here already is waited for by those before: it must not wait for them.
    if (passes || asked.passes || resource.holders.has(asked.owner)) return true;
    return !this.before(resource, asked).some((other) => excludes(other.range, asked.range));
  }

  private isHeldAgainst({ owner, ranges }: Holder, asked: Waiting): boolean {
    return owner !== asked.owner && ranges.some((range) => excludes(range, asked.range));
  }

  private before(resource: Resource, asked: Waiting): Waiting[] {
    const at = resource.waiters.indexOf(asked);
    const before = at < 0 ? resource.waiters : resource.waiters.slice(0, at);
    return (before as Waiting[]).filter(({ owner }) => owner !== asked.owner);
  }

  private give(resource: Resource, { owner, client, place, range }: LockWaiter): void {
    let holder = resource.holders.get(owner);
    if (holder === undefined) resource.holders.set(owner, (holder = { owner, client, place, ranges: [] }));
    this.keep(resource, holder, withRange(holder.ranges, range));
  }

  private keep(resource: Resource, holder: Holder, ranges: LockRange[]): void {
    this.count(holder.client, ranges.length - holder.ranges.length, 0);
    holder.ranges = ranges;
    if (ranges.length === 0) resource.holders.delete(holder.owner);
  }

  /** Grants what waits and may be had, in order. */
  private serve(resource: Resource): void {
    for (;;) {
      const next = (resource.waiters as Waiting[]).find((waiter) => this.mayHave(resource, waiter, false));
      if (next === undefined) return;
      this.dropWaiter(resource, next);
      this.give(resource, next);
      this.onGranted(next);
    }
  }

  private dropWaiter(resource: Resource, waiter: LockWaiter): void {
    resource.waiters = resource.waiters.filter((other) => other !== waiter);
    this.count(waiter.client, 0, -1);
    const own = this.waits.get(waiter.owner);
    own?.delete(waiter as Waiting);
    if (own?.size === 0) this.waits.delete(waiter.owner);
  }

  /**
   * Of one that has just begun to wait: a ring of waits for what others hold is a deadlock, and this one is refused (flock knows no
   * such thing and waits). A ring by the order of asking alone is none: who closes it passes those before.
   */
  private unwound(resource: Resource, asked: Waiting): Locked {
    for (;;) {
      const ring = this.ring(asked.owner);
      // When it was granted meanwhile, that was told.
      if (ring === undefined || !resource.waiters.includes(asked)) return 'waiting';
      const soft = ring.find(({ hard }) => !hard);
      if (soft === undefined) {
        this.dropWaiter(resource, asked);
        this.serve(resource);
        return 'deadlock';
      }
      soft.waiter.passes = true;
      if (soft.waiter === asked && this.mayHave(resource, asked, true)) {
        this.dropWaiter(resource, asked);
        this.give(resource, asked);
        return 'granted';
      }
      this.serve(this.resource(soft.waiter.place));
    }
  }

  /** A ring of waits that begins and ends with the owner, if it is to be broken. Gives up behind so many owners. */
  private ring(start: string): Wait[] | undefined {
    const seen = new Set<string>();
    const path: Wait[] = [];
    const walk = (owner: string): boolean => {
      for (const waiter of this.waits.get(owner) ?? [])
        for (const wait of this.waitsFor(waiter)) {
          if (wait.owner !== start && (seen.has(wait.owner) || seen.size >= limits.lockRingMax)) continue;
          path.push(wait);
          if (wait.owner === start) {
            if (!path.every(({ hard }) => hard) || path.every((one) => one.waiter.place.space === 'range')) return true;
          } else {
            seen.add(wait.owner);
            if (walk(wait.owner)) return true;
          }
          path.pop();
        }
      return false;
    };
    return walk(start) ? path : undefined;
  }

  private waitsFor(waiter: Waiting): Wait[] {
    const resource = this.resources.get(nameOf(waiter.place));
    if (resource === undefined) return [];
    const found: Wait[] = [];
    for (const holder of resource.holders.values())
      if (this.isHeldAgainst(holder, waiter)) found.push({ waiter, owner: holder.owner, hard: true });
    if (waiter.passes || resource.holders.has(waiter.owner)) return found;
    for (const other of this.before(resource, waiter))
      if (excludes(other.range, waiter.range)) found.push({ waiter, owner: other.owner, hard: false });
    return found;
  }
}

function nameOf({ space, resource }: LockPlace): string {
  return `${space}:${resource}`;
}

function ownerOf(client: string, { owner }: LockPlace): string {
  return `${client}:${owner}`;
}
