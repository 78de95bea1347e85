// Fingers in base 16 (protocols 1.6): for each of some own positions p the first known positions at or after p + digit * 16^level.
// Hints for lookups only; rules R1 to R6 never use them. Every entry heard may improve some, free of charge.

import { addressBytes } from '../../block/address.ts';
import { distance, type Entry, fingerStart, type NodeName, type Point } from '../ring.ts';

const levels = addressBytes * 2;

interface Table {
  readonly origin: Point;
  /** By level * 16 + digit. */
  readonly slots: Map<number, Entry>;
}

export class Fingers {
  private readonly tables: readonly Table[];
  private turn = 0;

  constructor(origins: readonly Point[]) {
    this.tables = origins.map((origin) => ({ origin, slots: new Map() }));
  }

  get size(): number {
    return this.tables.reduce((sum, { slots }) => sum + slots.size, 0);
  }

  *entries(): Generator<Entry> {
    for (const { slots } of this.tables) yield* slots.values();
  }

  heard(entry: Entry): void {
    for (const { origin, slots } of this.tables) {
      const away = distance(origin, entry.point);
      if (away === 0n) continue;
      const slot = slotOf(away);
      const held = slots.get(slot);
      if (held === undefined || distance(origin, held.point) > away) slots.set(slot, entry);
    }
  }

  /** The owner of a start was looked up: whoever was held nearer is gone. */
  found(start: Point, owner: Entry): void {
    for (const { origin, slots } of this.tables) {
      const slot = slotOf(distance(origin, start));
      const held = slots.get(slot);
      if (held && isStart(origin, start) && distance(start, held.point) < distance(start, owner.point))
        slots.delete(slot);
    }
    this.heard(owner);
  }

  /** Of the node, the positions from that one on. */
  forget(node: NodeName, from = 0): void {
    for (const { slots } of this.tables)
      for (const [slot, entry] of slots) if (entry.node === node && entry.index >= from) slots.delete(slot);
  }

  /**
   * The next start to look up, the longest fingers of all positions first. Given the ends of their lists: only levels above
   * the span of a list exist.
   */
  next(spans: readonly (Point | undefined)[]): Point {
    const which = this.turn % this.tables.length;
    const { origin } = this.tables[which] as Table;
    const span = spans[which];
    const lowest = span === undefined ? 0 : distance(origin, span).toString(16).length - 1;
    const at = Math.floor(this.turn++ / this.tables.length) % ((levels - lowest) * 15);
    return fingerStart(origin, levels - 1 - Math.floor(at / 15), 1 + (at % 15));
  }
}

/** The digit and level of a distance: that of the highest digit that is not zero. */
function slotOf(away: bigint): number {
  const text = away.toString(16);
  return (text.length - 1) * 16 + Number.parseInt(text[0] as string, 16);
}

function isStart(origin: Point, point: Point): boolean {
  return /^[1-9a-f]0*$/.test(distance(origin, point).toString(16));
}
