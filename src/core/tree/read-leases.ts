// Leases of followers (docs/protocols.md 4.6), at the leader: for a while a follower may answer from its memory what it was
// answered under a lease. The leader knows which keys those answers depend on, and before it applies a change of any of them it
// has the follower forget, or waits for the lease to end: nobody sees a change while somebody may still be shown what was before.

import { asBuffer, type Bytes, latin1Of, toHex } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import type { Peer } from '../peer/peer.ts';
import type { Clock } from '../runtime/runtime.ts';
import { compareKeys } from './base/key-order.ts';
import type { KeyRange } from './keys.ts';
import { treeInvalidate } from './messages.ts';
import type { Effect } from './tree.ts';

/** Keys that answers depend on; above the limits everything. */
class Dependencies {
  private keys = new Set<string>();
  private ranges: KeyRange[] = [];
  private everything = false;

  addKey(key: Bytes): void {
    this.keys.add(latin1Of(key));
    this.bound();
  }

  addRange(from: Bytes, to: Bytes): void {
    this.ranges.push({ from: asBuffer(from), to: asBuffer(to) });
    this.bound();
  }

  addAll(other: Dependencies): void {
    this.everything ||= other.everything;
    for (const key of other.keys) this.keys.add(key);
    this.ranges.push(...other.ranges);
    this.bound();
  }

  touchedBy(effects: readonly Effect[]): boolean {
    if (this.everything) return effects.length > 0;
    return effects.some((effect) =>
      effect.type === 'deleteRange' ? this.meets(effect.from, effect.to) : this.has(effect.key),
    );
  }

  private has(key: Bytes): boolean {
    if (this.keys.has(latin1Of(key))) return true;
    return this.ranges.some(({ from, to }) => compareKeys(from, key) <= 0 && compareKeys(key, to) < 0);
  }

  private meets(from: Bytes, to: Bytes): boolean {
    if (this.ranges.some((range) => compareKeys(range.from, to) < 0 && compareKeys(from, range.to) < 0)) return true;
    // Latin-1 text has the order of its bytes.
    const [low, high] = [latin1Of(from), latin1Of(to)];
    for (const key of this.keys) if (low <= key && key < high) return true;
    return false;
  }

  private bound(): void {
    if (this.keys.size <= limits.leaseKeysMax && this.ranges.length <= limits.leaseRangesMax) return;
    this.everything = true;
    this.keys.clear();
    this.ranges = [];
  }
}

/** A query on its way: what it reads, and what was changed since the view it reads was taken. */
export class LeasedQuery extends Dependencies {
  private missed: Effect[] = [];
  private isStale = false;

  constructor(coming: readonly Effect[]) {
    super();
    this.note(coming);
  }

  note(effects: readonly Effect[]): void {
    if (this.missed.length + effects.length > limits.leaseMissedMax) this.isStale = true;
    else this.missed.push(...effects);
  }

  /** Its answer is still what the tree says, and no change of it is under way. */
  get holds(): boolean {
    return !this.isStale && !this.touchedBy(this.missed);
  }
}

interface Holder {
  readonly peer: Peer;
  readonly dependencies: Dependencies;
  /** Our clock. */
  untilMs: number;
  /** The follower's count at the newest query. */
  generation: number;
}

export interface ReadLeasesOptions {
  clock: Clock;
  treeId: Bytes;
  /** For how long what the leader reads stays true. */
  leaseMs(): number;
}

export class ReadLeases {
  private readonly options: ReadLeasesOptions;
  private readonly holders = new Map<string, Holder>();
  private readonly queries = new Set<LeasedQuery>();
  /** Followers that are being told: they get no lease before they have answered or all they had has ended. */
  private readonly telling = new Map<string, Promise<void>>();
  /** Of the change that is about to be applied. */
  private coming: readonly Effect[] = [];
  private closed = false;

  constructor(options: ReadLeasesOptions) {
    this.options = options;
  }

  /** To be called in the step in which the query's view is taken; `end` when it is answered. */
  begin(): LeasedQuery {
    const query = new LeasedQuery(this.coming);
    this.queries.add(query);
    return query;
  }

  end(query: LeasedQuery): void {
    this.queries.delete(query);
  }

  /** For how long the follower may repeat the answer, counted from before it asked; 0: not at all. */
  grant(query: LeasedQuery, peer: Peer, generation: number): number {
    const name = toHex(peer.id);
    const leaseMs = Math.floor(Math.min(limits.readLeaseMs, this.options.leaseMs()));
    if (this.closed || leaseMs <= 0 || this.telling.has(name) || !query.holds) return 0;
    const now = this.options.clock.monotonic();
    let holder = this.holders.get(name);
    if (holder === undefined || holder.untilMs <= now) {
      if (holder === undefined && this.holders.size >= limits.leaseHoldersMax) this.forgetEnded(now);
      if (this.holders.size >= limits.leaseHoldersMax) return 0;
      holder = { peer, dependencies: new Dependencies(), untilMs: 0, generation };
      this.holders.set(name, holder);
    }
    holder.dependencies.addAll(query);
    holder.untilMs = Math.max(holder.untilMs, now + leaseMs);
    holder.generation = Math.max(holder.generation, generation);
    return leaseMs;
  }

  /**
   * Before the change is applied: resolves when nobody holds a lease on what it touches. `by`: the follower that asked for the
   * change has forgotten all it was answered up to that count. Undefined when there is nothing to wait for.
   */
  revoke(effects: readonly Effect[], by?: { id: Bytes; generation: number }): Promise<unknown> | undefined {
    this.coming = effects;
    for (const query of this.queries) query.note(effects);
    const asker = by && toHex(by.id);
    const waits = [...this.telling.values()];
    const now = this.options.clock.monotonic();
    for (const [name, holder] of this.holders) {
      if (holder.untilMs <= now) this.holders.delete(name);
      else if (holder.dependencies.touchedBy(effects)) {
        this.holders.delete(name);
        if (by === undefined || name !== asker || holder.generation > by.generation)
          waits.push(this.tell(name, holder));
      }
    }
    return waits.length === 0 ? undefined : Promise.all(waits);
  }

  /** The change is applied: views taken from now on have it. */
  applied(): void {
    this.coming = [];
  }

  /** No lease is given any more; resolves when none runs. */
  async close(): Promise<void> {
    this.closed = true;
    for (const [name, holder] of this.holders) void this.tell(name, holder);
    this.holders.clear();
    await Promise.all(this.telling.values());
  }

  private tell(name: string, { peer, untilMs }: Holder): Promise<void> {
    const { clock, treeId } = this.options;
    const told = (async () => {
      const leftMs = untilMs - clock.monotonic();
      if (leftMs <= 0) return;
      try {
        await peer.call(treeInvalidate, { treeId }, { timeoutMs: leftMs });
      } catch {
        // Whoever cannot be told forgets by himself when his lease ends.
        await clock.sleep(Math.max(0, untilMs - clock.monotonic()));
      }
    })().finally(() => this.telling.delete(name));
    this.telling.set(name, told);
    return told;
  }

  private forgetEnded(now: number): void {
    for (const [name, { untilMs }] of this.holders) if (untilMs <= now) this.holders.delete(name);
  }
}
