// Arithmetic on the 256-bit circle and placement (protocols 1.1, 1.8), shared by all overlays; pure. A point is written as 64
// lower-case hexadecimal digits, so that the order of strings is the order on the circle and points serve as map keys.

import { fromHex, toHex, u16Bytes } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import { type Address, addressBytes, type NodeId } from '../block/address.ts';
import { labelledHash } from '../crypto/hash.ts';
import type { NodeRecord } from './overlay.ts';

/** A place on the circle: 64 lower-case hexadecimal digits. */
export type Point = string;
/** A node id as a map key: the same form. */
export type NodeName = string;

/** One position of a node. Its point follows from the other two. */
export interface Entry {
  readonly node: NodeName;
  readonly index: number;
  readonly point: Point;
}

const digits = addressBytes * 2;
const circle = 1n << BigInt(addressBytes * 8);
/** Points asked for lately, in two generations: dropping the oldest of a full map one by one would take time that grows with it. */
const pointCacheMax = 65_536;
let points = new Map<string, Point>();
let olderPoints = new Map<string, Point>();

export function pointOf(address: Address): Point {
  return toHex(address);
}

export function addressOf(point: Point): Address {
  return fromHex(point);
}

/** The place of position `index` of a node: hash(id, index), so that nobody picks it. */
export function positionPoint(node: NodeName, index: number): Point {
  const key = `${node}${index}`;
  const cached = points.get(key);
  if (cached !== undefined) return cached;
  const point = olderPoints.get(key) ?? toHex(labelledHash('position', fromHex(node), u16Bytes(index)));
  if (points.size >= pointCacheMax / 2) {
    olderPoints = points;
    points = new Map();
  }
  points.set(key, point);
  return point;
}

export function entryOf(node: NodeName, index: number): Entry {
  return { node, index, point: positionPoint(node, index) };
}

/** Strictly inside the clockwise arc from `from` to `to`; everything but `from` when the two are the same. */
export function between(from: Point, point: Point, to: Point): boolean {
  return from < to ? from < point && point < to : from < point || point < to;
}

/** Inside the arc that `to` owns after `from`: (from, to]; everything when the two are the same. */
export function within(from: Point, point: Point, to: Point): boolean {
  return point === to || between(from, point, to) || from === to;
}

/** How far `to` is from `from`, clockwise. */
export function distance(from: Point, to: Point): bigint {
  return BigInt.asUintN(addressBytes * 8, BigInt(`0x${to}`) - BigInt(`0x${from}`));
}

/** The point `steps` clockwise. */
export function advance(point: Point, steps: bigint): Point {
  const sum = (BigInt(`0x${point}`) + steps) % circle;
  return (sum < 0n ? sum + circle : sum).toString(16).padStart(digits, '0');
}

/** Where finger (level, digit) of a position starts: p + digit * 16^level. */
export function fingerStart(point: Point, level: number, digit: number): Point {
  return advance(point, BigInt(digit) << BigInt(4 * level));
}

/** The positions of all records in ring order. */
export function circleOf(records: Iterable<NodeRecord>): Entry[] {
  const entries: Entry[] = [];
  for (const record of records) {
    const node = toHex(record.id);
    for (let index = 0; index < record.positions; index++) entries.push(entryOf(node, index));
  }
  return entries.sort(byPoint);
}

export function byPoint(a: Entry, b: Entry): number {
  return a.point < b.point ? -1 : a.point > b.point ? 1 : 0;
}

/** Where in a sorted circle the owner of the point stands; 0 also behind the last one. */
export function ownerIndex(sorted: readonly Entry[], point: Point): number {
  let low = 0;
  let high = sorted.length;
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((sorted[middle] as Entry).point < point) low = middle + 1;
    else high = middle;
  }
  return low === sorted.length ? 0 : low;
}

/** The entries of a sorted circle clockwise from the owner of the point, once around. */
export function walkFrom(sorted: readonly Entry[], point: Point): Entry[] {
  const owner = ownerIndex(sorted, point);
  return [...sorted.slice(owner), ...sorted.slice(0, owner)];
}

/**
 * Up to `count` distinct nodes for an address whose positions follow in `walk`, clockwise from the owner (protocols 1.8).
 * Among the first 8 * count positions, of R nodes at most (what every successor list shows, so that all views agree), a node
 * is taken only if its zone is new or the zones left are fewer than the nodes left to take; a node without a zone is a zone
 * of its own. What is then missing is filled from the whole walk without regard to zones. Skipped: nodes `recordOf` does not
 * give, and closed and leaving ones unless `all`. In ring order.
 */
export function replicas(
  walk: Iterable<Pick<Entry, 'node'>>,
  count: number,
  recordOf: (node: NodeName) => NodeRecord | undefined,
  all = false,
): NodeRecord[] {
  const seen = new Set<NodeName>();
  const near = new Map<NodeName, NodeRecord>();
  const far = new Map<NodeName, NodeRecord>();
  let index = -1;
  for (const { node } of walk) {
    index++;
    const record = seen.has(node) ? undefined : recordOf(node);
    if (record === undefined) continue;
    seen.add(node);
    const isNear = index < 8 * count && seen.size <= limits.successorNodes;
    if (!isNear && near.size + far.size >= count) break;
    if (all || !(record.closed || record.leaving)) (isNear ? near : far).set(node, record);
  }
  const taken = spread(near, count);
  for (const [node] of [...near, ...far]) if (taken.size < count) taken.add(node);
  return [...near, ...far].filter(([node]) => taken.has(node)).map(([, record]) => record);
}

/** Of candidates in ring order, at most `count`, as many zones as there are. */
function spread(candidates: ReadonlyMap<NodeName, NodeRecord>, count: number): Set<NodeName> {
  const zoneOf = (node: NodeName, record: NodeRecord) =>
    record.zone === undefined ? `node ${node}` : `zone ${record.zone}`;
  const zonesLeft = new Set([...candidates].map(([node, record]) => zoneOf(node, record)));
  const taken = new Set<NodeName>();
  for (const [node, record] of candidates) {
    if (taken.size >= count) break;
    const zone = zoneOf(node, record);
    if (!zonesLeft.has(zone) && zonesLeft.size >= count - taken.size) continue;
    taken.add(node);
    zonesLeft.delete(zone);
  }
  return taken;
}

/** Whether the node is among the first `count` distinct nodes clockwise from the address, whatever their zones and states. */
export function isAmongFirst(records: readonly NodeRecord[], address: Address, node: NodeId, count: number): boolean {
  const first = new Set<NodeName>();
  for (const entry of walkFrom(circleOf(records), pointOf(address))) {
    if (first.size >= count) break;
    first.add(entry.node);
  }
  return first.has(toHex(node));
}
