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

/** Puts a position in front of the one of that index, or (undefined) takes that one out. */
interface Edit {
  readonly at: number;
  readonly place: Place | undefined;
}

export class Circle {
  /** By number; numbers of nodes that went are used again. */
  private readonly names: { readonly node: NodeName }[] = [];
  private readonly numbers = new Map<NodeName, number>();
  private readonly free: number[] = [];
  private places = new Float64Array(0);
  private holders = new Uint32Array(0);
  /** Positions of each node, and those that are not worked in yet. */
  private readonly counts = new Map<NodeName, number>();
  private readonly pending = new Map<NodeName, number>();

  /** The node holds so many positions from now on; none takes it off. Worked in at the next question, if they are others. */
  set(node: NodeName, positions: number): void {
    const wanted = Math.min(positions, perNode);
    if (wanted !== (this.pending.get(node) ?? this.counts.get(node) ?? 0)) this.pending.set(node, wanted);
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

  /** Works in what was set, however many nodes changed: what stands between their positions is copied whole. */
  private settle(): void {
    if (this.pending.size === 0) return;
    const edits: Edit[] = [];
    const released: number[] = [];
    for (const [node, positions] of this.pending) {
      const held = this.counts.get(node) ?? 0;
      if (held > 0)
        for (const place of this.placesOf(node, held)) edits.push({ at: this.indexOf(place), place: undefined });
      if (positions > 0) this.counts.set(node, positions);
      else {
        this.counts.delete(node);
        released.push(...this.release(node));
      }
    }
    const staying = [...this.pending].filter(([, positions]) => positions > 0);
    const fresh = staying.flatMap(([node, positions]) => this.placesOf(node, positions));
    this.pending.clear();
    fresh.sort((a, b) => this.order(a, b));
    this.apply([...fresh.map((place) => ({ at: this.indexOf(place), place })), ...edits], fresh.length - edits.length);
    // Not before: what is kept is told apart by names of nodes.
    this.free.push(...released);
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

  private release(node: NodeName): number[] {
    const number = this.numbers.get(node);
    this.numbers.delete(node);
    return number === undefined ? [] : [number];
  }

  private indexOf({ place, holder }: Place): number {
    return this.firstFrom(place, this.pointOf(holder));
  }

  /** Those of one index: what is put there first, in order. */
  private apply(edits: readonly Edit[], growth: number): void {
    const { places, holders } = this;
    const next = { places: new Float64Array(places.length + growth), holders: new Uint32Array(places.length + growth) };
    let [from, to] = [0, 0];
    const copy = (end: number) => {
      next.places.set(places.subarray(from, end), to);
      next.holders.set(holders.subarray(from, end), to);
      to += end - from;
      from = end;
    };
    for (const { at, place } of [...edits].sort((a, b) => a.at - b.at)) {
      copy(at);
      if (place === undefined) from++;
      else {
        next.places[to] = place.place;
        next.holders[to++] = place.holder;
      }
    }
    copy(places.length);
    this.places = next.places;
    this.holders = next.holders;
  }

  private order(a: Place, b: Place): number {
    if (a.place !== b.place) return a.place - b.place;
    return this.pointOf(a.holder) < this.pointOf(b.holder) ? -1 : 1;
  }
}

function placeOf(point: Point): number {
  return Number.parseInt(point.slice(0, placeDigits), 16);
}
