// All positions of all known nodes in ring order, for views that know everybody: kept up to date change by change, some twelve
// bytes a position. The order is that of `circleOf`: by point, of which the first 52 bits are kept and the rest asked for in
// the rare case that they are equal.

import { limits } from '../base/limits.ts';
import { type NodeName, type Point, positionPoint } from './ring.ts';

const placeDigits = 13;
const wholeCircle = 16 ** placeDigits;
/** A position: number of its node times this, and its index. */
const perNode = limits.kouncilPositionsMax;

interface Place {
  readonly place: number;
  readonly holder: number;
}

export class Circle {
  /** By number; numbers of nodes that went are used again. */
  private readonly names: { readonly node: NodeName }[] = [];
  private readonly numbers = new Map<NodeName, number>();
  private readonly free: number[] = [];
  private places = new Float64Array(0);
  private holders = new Uint32Array(0);
  private readonly pending = new Map<NodeName, number>();

  /** The node holds so many positions from now on; none takes it off. Worked in at the next question. */
  set(node: NodeName, positions: number): void {
    this.pending.set(node, Math.min(positions, perNode));
  }

  /** Positions there are. */
  get size(): number {
    this.settle();
    return this.places.length;
  }

  /** The nodes of the positions clockwise from the owner of the point, once around. */
  *walk(point: Point): Generator<{ readonly node: NodeName }> {
    this.settle();
    const { length } = this.places;
    const start = this.ownerIndex(point);
    for (let i = 0; i < length; i++) yield this.nameAt((start + i) % length);
  }

  /**
   * The part of all addresses for which the node, with so many positions among those of the others, is one of the first `copies`
   * distinct nodes.
   */
  share(node: NodeName, positions: number, copies: number): number {
    this.settle();
    const own = Array.from({ length: positions }, (_, index) => placeOf(positionPoint(node, index))).sort(
      (a, b) => a - b,
    );
    const self = this.numbers.get(node);
    let sum = 0;
    for (const [i, place] of own.entries()) {
      const before = i > 0 ? (own[i - 1] as number) : (own.at(-1) as number) - wholeCircle;
      sum += Math.min(place - before, this.reach(place, self, copies));
    }
    return Math.min(1, sum / wholeCircle);
  }

  /** How far back from the place there are addresses with fewer than `copies` other nodes before it. */
  private reach(place: number, self: number | undefined, copies: number): number {
    const { length } = this.places;
    const seen = new Set<number>();
    const start = this.firstFrom(place);
    for (let i = 1; i <= length; i++) {
      const at = (((start - i) % length) + length) % length;
      const number = Math.floor((this.holders[at] as number) / perNode);
      if (number === self) continue;
      seen.add(number);
      if (seen.size < copies) continue;
      const away = place - (this.places[at] as number);
      return start - i >= 0 ? away : away + wholeCircle;
    }
    return wholeCircle;
  }

  /** Of the first position at or behind the place; of those at the place itself, behind the point. */
  private firstFrom(place: number, point: Point = ''): number {
    let low = 0;
    let high = this.places.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const at = this.places[middle] as number;
      if (at < place || (at === place && this.pointOf(this.holders[middle] as number) < point)) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private nameAt(index: number): { readonly node: NodeName } {
    return this.names[Math.floor((this.holders[index] as number) / perNode)] as { node: NodeName };
  }

  private ownerIndex(point: Point): number {
    const at = this.firstFrom(placeOf(point), point);
    return at === this.places.length ? 0 : at;
  }

  private pointOf(holder: number): Point {
    const { node } = this.names[Math.floor(holder / perNode)] as { node: NodeName };
    return positionPoint(node, holder % perNode);
  }

  /** Works in what was set: one pass over the circle however many nodes changed. */
  private settle(): void {
    if (this.pending.size === 0) return;
    const gone = new Set<number>();
    for (const node of this.pending.keys()) {
      const number = this.numbers.get(node);
      if (number !== undefined) gone.add(number);
    }
    const kept: Place[] = [];
    for (const [i, holder] of this.holders.entries())
      if (!gone.has(Math.floor(holder / perNode))) kept.push({ place: this.places[i] as number, holder });
    const fresh: Place[] = [];
    for (const [node, positions] of this.pending) {
      if (positions === 0) this.release(node);
      else fresh.push(...this.placesOf(node, positions));
    }
    this.pending.clear();
    fresh.sort((a, b) => this.order(a, b));
    this.merge(kept, fresh);
  }

  private placesOf(node: NodeName, positions: number): Place[] {
    const number = this.numberOf(node);
    return Array.from({ length: positions }, (_, index) => ({
      place: placeOf(positionPoint(node, index)),
      holder: number * perNode + index,
    }));
  }

  private numberOf(node: NodeName): number {
    const known = this.numbers.get(node);
    if (known !== undefined) return known;
    const number = this.free.pop() ?? this.names.length;
    this.names[number] = { node };
    this.numbers.set(node, number);
    return number;
  }

  private release(node: NodeName): void {
    const number = this.numbers.get(node);
    if (number === undefined) return;
    this.numbers.delete(node);
    this.free.push(number);
  }

  private merge(kept: readonly Place[], fresh: readonly Place[]): void {
    const length = kept.length + fresh.length;
    const places = new Float64Array(length);
    const holders = new Uint32Array(length);
    let [k, f] = [0, 0];
    for (let i = 0; i < length; i++) {
      const [a, b] = [kept[k], fresh[f]];
      const next = (b === undefined || (a !== undefined && this.order(a, b) < 0) ? a : b) as Place;
      if (next === a) k++;
      else f++;
      places[i] = next.place;
      holders[i] = next.holder;
    }
    this.places = places;
    this.holders = holders;
  }

  private order(a: Place, b: Place): number {
    if (a.place !== b.place) return a.place - b.place;
    return this.pointOf(a.holder) < this.pointOf(b.holder) ? -1 : 1;
  }
}

function placeOf(point: Point): number {
  return Number.parseInt(point.slice(0, placeDigits), 16);
}
