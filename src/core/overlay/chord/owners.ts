// Who holds an address: computed from the whole membership when that is known, else from local lists, the location cache, or
// a lookup; then placed over the records (protocols 1.6, 1.8). Storage nodes and clients share it.

import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address } from '../../block/address.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { Directory } from '../directory.ts';
import type { Liveness, NodeRecord } from '../overlay.ts';
import {
  advance,
  circleOf,
  type Entry,
  type NodeName,
  ownerIndex,
  type Point,
  pointOf,
  positionPoint,
  replicas,
} from '../ring.ts';
import type { FindAnswer } from './answers.ts';
import { type Location, Locations } from './locations.ts';
import { lookup } from './lookup.ts';
import { ringFind } from './messages.ts';
import { checkedAnswer, unknownIn } from './trust.ts';

export interface OwnersParts {
  clock: Clock;
  directory: Directory;
  liveness: (node: NodeName) => Liveness;
  /** All members when they are known, else undefined; the same set as long as neither they, their records nor liveness change. */
  members: () => ReadonlySet<NodeName> | undefined;
  /** What is known here without asking. */
  local: (key: Point) => FindAnswer | undefined;
  heard: (entries: readonly Entry[]) => void;
  /** A node was asked and has not answered in time, or not at all. */
  slow: (node: NodeName) => void;
}

interface Circle {
  readonly members: ReadonlySet<NodeName>;
  readonly entries: readonly Entry[];
  readonly placed: Map<string, readonly NodeRecord[]>;
}

export const askTimeoutMs = 2000;
export const hedgeDefaultMs = 300;
/** Arcs asked for one address when the first one names too few nodes. */
export const arcsMax = 4;

export class Owners {
  private readonly parts: OwnersParts;
  private readonly locations = new Locations();
  private circle: Circle = { members: new Set(), entries: [], placed: new Map() };

  constructor(parts: OwnersParts) {
    this.parts = parts;
  }

  /** Entries in the location cache. */
  get cached(): number {
    return this.locations.size;
  }

  /** A node came, went, or changed from what it was before: what was remembered of its places is forgotten. */
  refute(node: NodeName, before?: NodeRecord): void {
    const held = Math.max(this.parts.directory.get(node)?.positions ?? 0, before?.positions ?? 0);
    const positions = Math.min(held, limits.chordPositionsMax);
    for (let index = 0; index < positions; index++) this.locations.refute(positionPoint(node, index));
  }

  async of(address: Address, count: number, options: Abortable & { all?: boolean }): Promise<NodeRecord[]> {
    checkSignal(options.signal);
    const point = pointOf(address);
    const members = this.parts.members();
    if (members) return this.fromCircle(members, point, count, options.all);
    const walk: Entry[] = [];
    let key = point;
    for (let arc = 0; arc < arcsMax; arc++) {
      const { entries } = await this.locate(key, options.signal);
      const known = new Set(walk.map((entry) => entry.point));
      const fresh = entries.filter((entry) => !known.has(entry.point));
      walk.push(...fresh);
      const placed = this.place(walk, count, options.all);
      const last = walk.at(-1);
      if (placed.length >= count || fresh.length === 0 || !last) return placed;
      key = advance(last.point, 1n);
    }
    return this.place(walk, count, options.all);
  }

  /** The arc of a key. Throws `unavailable` when nobody leads there. */
  async locate(key: Point, signal?: AbortSignal): Promise<Location> {
    const { clock, directory, liveness, local, heard } = this.parts;
    const here = local(key);
    if (here?.type === 'owners') return here;
    const cached = this.locations.get(key, clock.monotonic(), liveness);
    if (cached) return cached;
    const found = await lookup(
      {
        clock,
        ask: (node, wanted, inner) => this.ask(node, wanted, inner),
        hedgeAfterMs: (node) => this.hedge(node),
        slow: this.parts.slow,
      },
      key,
      here ?? { entries: [], behind: [] },
      { signal },
    );
    const missing = found.entries.filter((entry) => !directory.get(entry.node)).map((entry) => entry.node);
    if (missing.length > 0 && found.by !== undefined)
      await directory.fetch(missing, await directory.peer(found.by, { signal }));
    heard(found.entries);
    this.locations.put(found, clock.monotonic());
    return found;
  }

  private async ask(node: NodeName, key: Point, signal: AbortSignal): Promise<FindAnswer | undefined> {
    const { directory, heard } = this.parts;
    return await directory.within(askTimeoutMs, signal, async (inner) => {
      const peer = await directory.peer(node, { signal: inner });
      const request = { keys: [key], strict: false, want: 255 };
      const answer = await peer.call(ringFind, request, { signal: inner, timeoutMs: askTimeoutMs });
      const recordOf = (each: NodeName) => directory.get(each);
      await directory.fetch(unknownIn('find', answer, recordOf), peer);
      const checked = checkedAnswer({ method: 'find', request }, answer, recordOf) as typeof answer;
      const [found] = checked.answers;
      heard(found?.type === 'closer' ? [...found.entries, ...found.behind] : (found?.entries ?? []));
      return found;
    });
  }

  /** About the 95th percentile of round trips: thrice the smoothed one. */
  private hedge(node: NodeName): number {
    const measured = this.parts.directory.roundTripMs(node);
    return measured === undefined ? hedgeDefaultMs : Math.max(20, 3 * measured);
  }

  /** Placement depends on the address only through its owner, so there are few different answers: each is computed once. */
  private fromCircle(members: ReadonlySet<NodeName>, point: Point, count: number, all = false): NodeRecord[] {
    if (this.circle.members !== members) {
      const records = [...members].flatMap((node) => this.parts.directory.get(node) ?? []);
      this.circle = { members, entries: circleOf(records), placed: new Map() };
    }
    const { entries, placed } = this.circle;
    const owner = ownerIndex(entries, point);
    const key = `${owner} ${count} ${all}`;
    let found = placed.get(key);
    if (!found) {
      if (placed.size >= limits.locationCacheEntriesMax) placed.clear();
      found = this.place([...entries.slice(owner), ...entries.slice(0, owner)], count, all);
      placed.set(key, found);
    }
    return [...found];
  }

  private place(walk: readonly Entry[], count: number, all = false): NodeRecord[] {
    const { directory, liveness } = this.parts;
    return replicas(walk, count, (node) => (liveness(node) === 'dead' ? undefined : directory.get(node)), all);
  }
}
