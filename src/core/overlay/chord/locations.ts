// The location cache (protocols 1.6): arc -> the positions responsible for it. A hint: a stale one costs a round trip. Entries
// go when a position in them appears or dies, when the cache is full, and after half a minute, because callers have no way to
// refute them.

import { limits } from '../../base/limits.ts';
import type { Liveness } from '../overlay.ts';
import { type Entry, type NodeName, type Point, within } from '../ring.ts';

export interface Location {
  readonly after: Entry;
  /** The owner of (after, owner] and the positions behind it. */
  readonly entries: readonly Entry[];
}

const freshMs = 30_000;

export class Locations {
  private readonly byOwner = new Map<Point, Location & { at: number }>();
  /** The owners' points in order. */
  private readonly owners: Point[] = [];

  get size(): number {
    return this.owners.length;
  }

  put(location: Location, now: number): void {
    const owner = location.entries[0]?.point;
    if (owner === undefined) return;
    if (!this.byOwner.delete(owner)) {
      if (this.owners.length >= limits.locationCacheEntriesMax) this.drop(this.byOwner.keys().next().value as Point);
      this.owners.splice(this.indexOf(owner), 0, owner);
    }
    this.byOwner.set(owner, { ...location, at: now });
  }

  get(key: Point, now: number, liveness: (node: NodeName) => Liveness): Location | undefined {
    if (this.owners.length === 0) return undefined;
    const owner = this.owners[this.indexOf(key) % this.owners.length] as Point;
    const location = this.byOwner.get(owner);
    if (!location || !within(location.after.point, key, owner)) return undefined;
    const first = location.entries[0];
    if (first && liveness(first.node) !== 'dead' && now - location.at <= freshMs) return location;
    this.drop(owner);
    return undefined;
  }

  /** Something happened at the point: whatever was said of it and the positions around it is refuted. */
  refute(point: Point): void {
    for (let at = this.indexOf(point); this.owners.length > 0; at--) {
      const owner = this.owners[(at + this.owners.length) % this.owners.length] as Point;
      const location = this.byOwner.get(owner);
      const last = location?.entries.at(-1);
      if (!location || !last || !within(location.after.point, point, last.point)) return;
      this.drop(owner);
    }
  }

  private drop(owner: Point): void {
    if (this.byOwner.delete(owner)) this.owners.splice(this.indexOf(owner), 1);
  }

  /** Of the first owner not before the key. */
  private indexOf(key: Point): number {
    let low = 0;
    let high = this.owners.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.owners[middle] as Point) < key) low = middle + 1;
      else high = middle;
    }
    return low;
  }
}
