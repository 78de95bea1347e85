// Keys changed and not yet acknowledged, so that an answer waits for just what it has seen (docs/protocols.md L8: nobody sees
// what a crash can take back, except the leader's own processes for what they asked to be volatile).

import { type Bytes, latin1Of } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { compareKeys } from './base/key-order.ts';
import type { Change } from './messages.ts';
import type { LeasedQuery } from './read-leases.ts';
import type { MapEntry, MapReader } from './tree.ts';

interface Mark {
  key: Bytes;
  sequence: number;
  /** Highest sequence of a durable change. */
  durable: number;
}
interface RangeMark {
  from: Bytes;
  to: Bytes;
  sequence: number;
  durable: boolean;
}

/** With more keys than this a range is said to depend on everything: looking through them would cost more than the wait. */
const lookedThroughMax = 256;

export class Unacknowledged {
  private readonly keys = new Map<string, Mark>();
  private ranges: RangeMark[] = [];
  /** The newest of all, and of those asked to be durable. */
  private newest = 0;
  private newestDurable = 0;
  private acknowledgedThrough = 0;

  add(change: Change, durable: boolean): void {
    const { sequence } = change;
    this.newest = sequence;
    if (durable) this.newestDurable = sequence;
    for (const effect of change.effects) {
      if (effect.type === 'deleteRange') {
        this.ranges.push({ from: effect.from, to: effect.to, sequence, durable });
        continue;
      }
      const name = latin1Of(effect.key);
      const before = this.keys.get(name);
      if (before === undefined) this.keys.set(name, { key: effect.key, sequence, durable: durable ? sequence : 0 });
      else {
        before.sequence = sequence;
        if (durable) before.durable = sequence;
      }
    }
  }

  acknowledged(change: Change): void {
    this.acknowledgedThrough = change.sequence;
    for (const effect of change.effects) {
      if (effect.type === 'deleteRange') continue;
      const name = latin1Of(effect.key);
      const mark = this.keys.get(name);
      if (mark !== undefined && mark.sequence <= change.sequence) this.keys.delete(name);
    }
    if (this.ranges.length > 0) this.ranges = this.ranges.filter((range) => range.sequence > change.sequence);
  }

  /** The highest sequence that reading this key depends on; `volatileToo`: also for changes not asked to be durable. */
  ofKey(key: Bytes, volatileToo: boolean): number {
    const mark = this.keys.get(latin1Of(key));
    let highest = mark === undefined ? 0 : volatileToo ? mark.sequence : mark.durable;
    for (const range of this.ranges)
      if ((volatileToo || range.durable) && compareKeys(range.from, key) <= 0 && compareKeys(key, range.to) < 0)
        highest = Math.max(highest, range.sequence);
    return highest;
  }

  ofRange(from: Bytes, to: Bytes, volatileToo: boolean): number {
    const bound = volatileToo ? this.newest : this.newestDurable;
    if (bound <= this.acknowledgedThrough) return 0;
    if (this.keys.size > lookedThroughMax) return bound;
    let highest = 0;
    for (const mark of this.keys.values())
      if (compareKeys(from, mark.key) <= 0 && compareKeys(mark.key, to) < 0)
        highest = Math.max(highest, volatileToo ? mark.sequence : mark.durable);
    for (const range of this.ranges)
      if ((volatileToo || range.durable) && compareKeys(range.from, to) < 0 && compareKeys(from, range.to) < 0)
        highest = Math.max(highest, range.sequence);
    return highest;
  }
}

/** A view that notes what its answers depend on. Marks are looked up before reading, so a later change never hides one. */
export class TrackingReader implements MapReader {
  private readonly below: MapReader;
  private readonly marks: Unacknowledged;
  private readonly volatileToo: boolean;
  private readonly lease: LeasedQuery | undefined;
  /** The highest unacknowledged sequence that was read. */
  dependsOn = 0;

  constructor(below: MapReader, marks: Unacknowledged, volatileToo: boolean, lease?: LeasedQuery) {
    this.lease = lease;
    this.below = below;
    this.marks = marks;
    this.volatileToo = volatileToo;
  }

  get(key: Bytes, options?: Abortable): Promise<Bytes | undefined> {
    this.lease?.addKey(key);
    this.dependsOn = Math.max(this.dependsOn, this.marks.ofKey(key, this.volatileToo));
    return this.below.get(key, options);
  }

  scan(from: Bytes, to: Bytes, options?: Abortable): AsyncIterable<MapEntry> {
    this.lease?.addRange(from, to);
    this.dependsOn = Math.max(this.dependsOn, this.marks.ofRange(from, to, this.volatileToo));
    return this.below.scan(from, to, options);
  }
}
