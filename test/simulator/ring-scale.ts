// A ring of up to millions of nodes with one position each in one process: the state of all is kept in typed arrays, as ranks in
// the circle of ids, and becomes the overlay's own data for the one node that is asked or takes a step. What nodes answer and
// what they make of answers is the production code's business (`answers.ts`, `steps.ts`).

import { limits } from '../../src/core/base/limits.ts';
import type { FindAnswer } from '../../src/core/overlay/chord/answers.ts';
import { closerMax, findFrom, stateOf } from '../../src/core/overlay/chord/answers.ts';
import type { Answers, Requests } from '../../src/core/overlay/chord/calls.ts';
import type { LivenessOf, Position, Ring } from '../../src/core/overlay/chord/state.ts';
import type { Liveness } from '../../src/core/overlay/overlay.ts';
import { type Entry, entryOf, type NodeName, type Point } from '../../src/core/overlay/ring.ts';
import { fillFingers, fingerDigits, headOf, levelsFor } from './ring-scale-fingers.ts';
import { SeededRandom } from './runtime/random.ts';

/** Entries of one list: with one position a node, as many as distinct nodes. */
export const listEntries = limits.successorNodes;
const none = -1;

interface RankedEntry extends Entry {
  rank: number;
}

/** What a position holds only while it waits for an answer. */
type Open = Pick<Position, 'better' | 'query' | 'walk'> & { nonce: number };

export class ScaleRing {
  readonly size: number;
  readonly random: SeededRandom;
  /** In ring order: the rank of a node is its place here. */
  readonly entries: readonly RankedEntry[];
  /** Of each point the first digits, as a number. */
  readonly heads: Float64Array;
  readonly up: Uint8Array;
  readonly lists: Int32Array;
  readonly spares: Int32Array;
  readonly preds: Int32Array;
  readonly fingers: Int32Array;
  readonly fingerSlots: number;
  /** Whether nodes know which of their neighbours are dead; others they know nothing of. */
  detected = false;
  /** Ranks in order, and the place each has in them. */
  live: Int32Array;
  private readonly places: Int32Array;
  private readonly heards: BigUint64Array;
  private readonly open = new Map<number, Open>();
  /** By the number a name begins with. */
  private readonly ranks: Uint32Array;

  constructor(size: number, seed: string | number) {
    this.size = size;
    this.random = new SeededRandom(`scale ${seed} ${size}`);
    this.up = new Uint8Array(size).fill(1);
    this.ranks = new Uint32Array(size);
    this.entries = this.place();
    this.heads = Float64Array.from(this.entries, ({ point }) => headOf(point));
    this.lists = new Int32Array(size * listEntries);
    this.spares = new Int32Array(size * listEntries).fill(none);
    this.preds = new Int32Array(size);
    this.heards = new BigUint64Array(size);
    this.fingerSlots = levelsFor(size) * fingerDigits;
    this.fingers = new Int32Array(size * this.fingerSlots);
    this.live = Int32Array.from({ length: size }, (_, rank) => rank);
    this.places = this.live.slice();
    this.link(this.live);
    fillFingers(this, this.live);
  }

  /** Every point and the order of all follow from names by the production hash. Neighbours on the circle are so in memory. */
  private place(): RankedEntry[] {
    const id = Buffer.alloc(32);
    this.random.fork('names').bytes(28).copy(id, 4);
    const nameOf = (number: number) => {
      id.writeUInt32BE(number);
      return id.toString('hex');
    };
    const points = Array.from({ length: this.size }, (_, number) => {
      const { point } = entryOf(nameOf(number), 0);
      return { number, point, head: headOf(point) };
    });
    points.sort((a, b) => a.head - b.head || (a.point < b.point ? -1 : 1));
    return points.map(({ number, point }, rank) => {
      this.ranks[number] = rank;
      return { node: nameOf(number), index: 0, point: Buffer.from(point, 'hex').toString('hex'), rank };
    });
  }

  /** Lists and predecessors of these ranks, in order, as if no others were there. */
  private link(live: Int32Array): void {
    const count = live.length;
    for (const [at, rank] of live.entries()) {
      for (let k = 0; k < listEntries; k++)
        this.lists[rank * listEntries + k] = k < count - 1 ? (live[(at + 1 + k) % count] as number) : none;
      this.preds[rank] = live[(at + count - 1) % count] as number;
    }
  }

  rankOf(node: NodeName): number {
    return this.ranks[numberOf(node)] as number;
  }

  entry(rank: number): RankedEntry {
    return this.entries[rank] as RankedEntry;
  }

  /** The node at the key or next after it, alive or not. */
  atOrAfter(key: Point): number {
    const { heads, entries } = this;
    const head = headOf(key);
    const isBefore = (rank: number) =>
      (heads[rank] as number) < head || (heads[rank] === head && this.entry(rank).point < key);
    let [low, high] = [0, entries.length];
    while (low < high) {
      const middle = (low + high) >> 1;
      if (isBefore(middle)) low = middle + 1;
      else high = middle;
    }
    return low % entries.length;
  }

  /** The live node that owns the key. */
  ownerOf(key: Point): number {
    let rank = this.atOrAfter(key);
    while (!this.up[rank]) rank = (rank + 1) % this.size;
    return rank;
  }

  /** Ends so many of the nodes at once, chosen by chance. */
  failAtOnce(share: number): void {
    const random = this.random.fork('failures');
    const ranks = this.live.slice();
    const count = Math.floor(ranks.length * share);
    for (let i = 0; i < count; i++) {
      const j = i + random.below(ranks.length - i);
      [ranks[i], ranks[j]] = [ranks[j] as number, ranks[i] as number];
      this.up[ranks[i] as number] = 0;
    }
    this.live = this.live.filter((rank) => this.up[rank]);
    for (const [at, rank] of this.live.entries()) this.places[rank] = at;
  }

  /** Fingers as a refresh of all makes them, from the nodes that live now. */
  refreshFingers(): void {
    fillFingers(this, this.live);
  }

  /** The state of a node as the overlay has it. */
  load(rank: number): Ring {
    const self = this.entry(rank);
    const open = this.open.get(rank);
    const pred = this.preds[rank] as number;
    const position: Position = {
      self,
      joined: true,
      list: this.read(this.lists, rank),
      spare: this.read(this.spares, rank),
      heard: this.heards[rank] === 0n ? '' : (this.heards[rank] as bigint).toString(16).padStart(16, '0'),
      pred: pred === none ? undefined : this.entry(pred),
      better: open?.better,
      query: open?.query,
      walk: open?.walk,
    };
    return { self: self.node, positions: [position], nonce: open?.nonce ?? 0, version: 0 };
  }

  /** Takes over what a step made of what was loaded. */
  store(rank: number, loaded: Ring, ring: Ring): void {
    const { list, spare, heard, pred, better, query, walk } = ring.positions[0] as Position;
    const before = loaded.positions[0] as Position;
    if (list !== before.list) this.write(this.lists, rank, list);
    if (spare !== before.spare) this.write(this.spares, rank, spare);
    if (heard !== before.heard) this.heards[rank] = heard === '' ? 0n : BigInt(`0x${heard}`);
    this.preds[rank] = pred ? (pred as RankedEntry).rank : none;
    if (better || query || walk) this.open.set(rank, { better, query, walk, nonce: ring.nonce });
    else this.open.delete(rank);
  }

  /** What the node believes of others, having just `heard` from one. */
  livenessAt(rank: number, heard?: number): LivenessOf {
    if (!this.detected) return () => 'alive';
    return (node): Liveness => {
      const other = this.rankOf(node);
      if (other === heard) return 'alive';
      return this.watches(rank, other) ? (this.up[other] ? 'alive' : 'dead') : 'unknown';
    };
  }

  *fingersOf(rank: number): Generator<Entry> {
    for (let at = rank * this.fingerSlots; at < (rank + 1) * this.fingerSlots; at++) {
      const finger = this.fingers[at] as number;
      if (finger !== none) yield this.entry(finger);
    }
  }

  /** What the node answers to `ring.find`, or knows itself. */
  find(rank: number, key: Point, strict = false, want = 255): FindAnswer | undefined {
    const liveness = this.livenessAt(rank);
    const hints = this.fingersBefore(rank, key, liveness);
    return findFrom(this.load(rank), key, liveness, { strict, want, hints });
  }

  /** Of its fingers the nearest before the key, as many as an answer has room for: others would not be in it (a test compares). */
  private fingersBefore(rank: number, key: Point, liveness: LivenessOf): Entry[] {
    const { size, fingerSlots } = this;
    const ahead = (other: number) => (other + size - rank) % size;
    const end = ahead(this.atOrAfter(key)) || size;
    const found: Entry[] = [];
    // The digits of a level from the longest on.
    for (let level = 0; level < fingerSlots; level += fingerDigits)
      for (let at = level + fingerDigits - 1; at >= level; at--) {
        const finger = this.fingers[rank * fingerSlots + at] as number;
        if (finger === none || ahead(finger) >= end) continue;
        const entry = this.entry(finger);
        if (liveness(entry.node) === 'dead') continue;
        found.push(entry);
        if (found.length === closerMax) return found;
      }
    return found;
  }

  /** What the node answers to `ring.state`, with two members that anybody remembers. */
  state(rank: number, request: Requests['state'], known = 0): Answers['state'] {
    const own = this.load(rank);
    const items = request.items.map(({ target, held }) => stateOf(own, target, held));
    return { items, known: [0, 1].map((k) => this.entry((known + k) % this.size).node), leaving: false };
  }

  /** Whether the node has exactly the list and predecessor that the living make it (R6). */
  isExact(rank: number): boolean {
    const { live, places } = this;
    const at = places[rank] as number;
    for (let k = 0; k < listEntries; k++)
      if (this.lists[rank * listEntries + k] !== live[(at + 1 + k) % live.length]) return false;
    return this.preds[rank] === live[(at + live.length - 1) % live.length];
  }

  isWaiting(rank: number): boolean {
    return this.open.has(rank);
  }

  /** Joined positions of the living by point, for the checkers. */
  members(): Map<Point, Position> {
    const out = new Map<Point, Position>();
    for (const rank of this.live) out.set(this.entry(rank).point, this.load(rank).positions[0] as Position);
    return out;
  }

  meanList(): number {
    return this.lists.reduce((sum, rank) => sum + (rank === none ? 0 : 1), 0) / this.size;
  }

  meanFingers(): number {
    return this.fingers.reduce((sum, rank) => sum + (rank === none ? 0 : 1), 0) / this.size;
  }

  /** Share of the living with nobody alive in their list. */
  lostShare(): number {
    const alive = (rank: number) => rank !== none && this.up[rank] === 1;
    const lost = (rank: number) => !this.lists.subarray(rank * listEntries, (rank + 1) * listEntries).some(alive);
    return this.live.reduce((sum, rank) => sum + (lost(rank) ? 1 : 0), 0) / this.live.length;
  }

  /** Bytes of the arrays a node takes here. */
  get bytesPerNode(): number {
    const arrays = [this.up, this.ranks, this.lists, this.spares, this.preds, this.fingers, this.heards, this.places];
    return arrays.reduce((sum, { byteLength }) => sum + byteLength, 0) / this.size;
  }

  /** Whether the detector of the first watches the second: list, spare list and predecessor are probed in turn. */
  private watches(rank: number, other: number): boolean {
    if (this.preds[rank] === other || rank === other) return true;
    for (let at = rank * listEntries; at < (rank + 1) * listEntries; at++)
      if (this.lists[at] === other || this.spares[at] === other) return true;
    return false;
  }

  private read(from: Int32Array, rank: number): Entry[] {
    const out: Entry[] = [];
    for (let at = rank * listEntries; at < (rank + 1) * listEntries && from[at] !== none; at++)
      out.push(this.entry(from[at] as number));
    return out;
  }

  private write(to: Int32Array, rank: number, list: readonly Entry[]): void {
    if (list.length > listEntries) throw new RangeError(`a list of ${list.length} entries`);
    for (let k = 0; k < listEntries; k++) {
      const entry = list[k];
      to[rank * listEntries + k] = entry ? (entry as RankedEntry).rank : none;
    }
  }
}

function numberOf(node: NodeName): number {
  let number = 0;
  for (let at = 0; at < 8; at++) {
    const code = node.charCodeAt(at);
    number = number * 16 + (code > 0x39 ? code - 0x57 : code - 0x30);
  }
  return number;
}
