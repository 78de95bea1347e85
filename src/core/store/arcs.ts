// Which ranges of addresses a node is to hold, and with whom: the placement of protocols 1.8 over all nodes not evicted, as
// arcs of constant holders. In a large network only the neighbourhood of the node's own positions is walked.

import { toHex } from '../base/bytes.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { addressBytes, type NodeId } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import {
  addressOf,
  advance,
  between,
  byPoint,
  type Entry,
  entryOf,
  ownerIndex,
  type Point,
  positionPoint,
} from '../overlay/ring.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Absence } from './absence.ts';
import type { Range } from './inventory.ts';

/** Addresses whose holders are the same. */
export interface Arc {
  readonly ranges: readonly Range[];
  /** Who is to hold them, this node among them, those away and not evicted too. */
  readonly holders: readonly NodeRecord[];
  /** Who held them before, perhaps: the next ones clockwise. */
  readonly former: readonly NodeRecord[];
}

export interface ArcsParts {
  clock: Clock;
  self: NodeId;
  overlay: Overlay;
  absence: Pick<Absence, 'holders' | 'away'>;
  replicationFactor: number;
}

/** A joining node pushes at most one holder out of an arc; two may join at once. */
const formerCount = 2;
/** The event loop is let go after so many positions of nodes around a piece, for those are put in order there: a few milliseconds. */
const turnPlaced = 2000;
/** And after so many put in order here, which costs more each. */
const turnPositions = 250;
/** What a piece costs besides, in such positions. */
const pieceCost = 100;
const bucketDigits = 2;
const first: Point = '0'.repeat(addressBytes * 2);
const last: Point = 'f'.repeat(addressBytes * 2);

type Known = ReadonlyMap<string, NodeRecord>;

interface Piece {
  from: Point;
  to: Point;
  holders: NodeRecord[];
  former: NodeRecord[];
}

/** The arcs `self` is to hold. Throws `unavailable` when the ring cannot be walked now. */
export async function ownArcs(parts: ArcsParts, options: Abortable = {}): Promise<Arc[]> {
  const { self, overlay, absence } = parts;
  const known = new Map([...absence.away(), ...overlay.nodes()].map((record) => [toHex(record.id), record]));
  const entries = await inOrder(known.values(), () => parts.clock.sleep(0, options));
  const pieces: Piece[] = [];
  let placed = 0;
  const place = async (around: readonly NodeRecord[]) => {
    placed += around.reduce((sum, { positions }) => sum + positions, pieceCost);
    if (placed < turnPlaced) return;
    placed = 0;
    await parts.clock.sleep(0, options);
  };
  for (const at of near(entries, toHex(self), known)) {
    const before = entries[(at + entries.length - 1) % entries.length] as Entry;
    await walk(parts, { after: before.point, through: (entries[at] as Entry).point, known, pieces, place }, options);
  }
  return joined(pieces);
}

/** As `circleOf`, with turns in between: a thousand nodes have a quarter of a million positions. */
async function inOrder(records: Iterable<NodeRecord>, turn: () => Promise<void>): Promise<Entry[]> {
  const buckets = Array.from({ length: 16 ** bucketDigits }, (): Entry[] => []);
  let count = 0;
  for (const { id, positions } of records) {
    const node = toHex(id);
    for (let index = 0; index < positions; index++) {
      const entry = entryOf(node, index);
      buckets[Number.parseInt(entry.point.slice(0, bucketDigits), 16)]?.push(entry);
      if (++count % turnPositions === 0) await turn();
    }
  }
  const entries: Entry[] = [];
  let waiting = 0;
  for (const bucket of buckets) {
    for (const entry of bucket.sort(byPoint)) entries.push(entry);
    waiting += bucket.length;
    if (waiting < turnPositions) continue;
    waiting = 0;
    await turn();
  }
  return entries;
}

/** Indexes of the arcs in which the node may be among the holders: up to a few distinct nodes before each of its positions. */
function near(entries: readonly Entry[], self: string, known: Known): Iterable<number> {
  if (known.size <= limits.successorNodes + 1) return entries.keys();
  const indexes = new Set<number>();
  for (let index = 0; index < (known.get(self)?.positions ?? 0); index++) {
    const at = ownerIndex(entries, positionPoint(self, index));
    const passed = new Set<string>();
    for (let back = 0; back < entries.length && passed.size <= limits.successorNodes; back++) {
      const index = (at - back + entries.length) % entries.length;
      indexes.add(index);
      passed.add((entries[index] as Entry).node);
    }
  }
  return indexes;
}

/** Between two positions that follow each other. */
interface Gap {
  after: Point;
  through: Point;
  known: Known;
  pieces: Piece[];
  /** Waits where the event loop was held for long enough. */
  place(around: readonly NodeRecord[]): Promise<void>;
}

/** The pieces of (after, through] that the node is to hold; positions of nodes not known yet are found on the way. */
async function walk(
  parts: ArcsParts,
  { after, through, known, pieces, place }: Gap,
  options: Abortable,
): Promise<void> {
  const { self, absence, replicationFactor: count } = parts;
  const whole = known.size <= limits.successorNodes;
  for (let before = after; ; ) {
    const start = advance(before, 1n);
    const address = addressOf(start);
    const around = whole ? [] : await absence.holders(address, limits.successorNodes, { ...options, all: true });
    const end = nearest(before, through, around, known);
    const holders = await absence.holders(address, count, { ...options, closed: true });
    if (holders.some((holder) => toHex(holder.id) === toHex(self))) {
      const wider = await absence.holders(address, count + formerCount, { ...options, all: true });
      const names = new Set(holders.map((holder) => toHex(holder.id)));
      const former = wider.filter((node) => !names.has(toHex(node.id)));
      if (start <= end) pieces.push({ from: start, to: end, holders, former });
      else pieces.push({ from: start, to: last, holders, former }, { from: first, to: end, holders, former });
    }
    await place(around);
    if (end === through) return;
    before = end;
  }
}

/** The first position of these nodes, as far as not known yet, behind `before`, `through` at the latest. */
function nearest(before: Point, through: Point, nodes: readonly NodeRecord[], known: Known): Point {
  let best = through;
  for (const { id, positions } of nodes) {
    const node = toHex(id);
    // Between two positions that follow each other there are none of those known.
    for (let index = known.get(node)?.positions ?? 0; index < positions; index++) {
      const point = positionPoint(node, index);
      if (between(before, point, best)) best = point;
    }
  }
  return best;
}

/** Pieces of the same holders together, ranges that touch as one. */
function joined(pieces: readonly Piece[]): Arc[] {
  const arcs = new Map<string, { ranges: Piece[]; holders: NodeRecord[]; former: NodeRecord[] }>();
  for (const piece of [...pieces].sort((a, b) => (a.from < b.from ? -1 : 1))) {
    const name = [piece.holders, piece.former].map((nodes) => nodes.map(({ id }) => toHex(id)).join()).join(' ');
    const arc = arcs.get(name) ?? { ranges: [], holders: piece.holders, former: piece.former };
    arcs.set(name, arc);
    const previous = arc.ranges.at(-1);
    if (previous !== undefined && previous.to !== last && advance(previous.to, 1n) === piece.from)
      previous.to = piece.to;
    else arc.ranges.push({ ...piece });
  }
  return [...arcs.values()].map(({ ranges, holders, former }) => ({
    ranges: ranges.map(({ from, to }) => ({ from: addressOf(from), to: addressOf(to) })),
    holders,
    former,
  }));
}
