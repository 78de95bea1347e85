// Fingers in base 16 (protocols 1.6): for a position p the first known positions at or after p + digit * 16^level. Hints for
// lookups only; rules R1 to R6 never use them. Every entry heard may improve one, free of charge.

import { addressBytes } from '../../block/address.ts';
import { distance, type Entry, fingerStart, type NodeName, type Point } from '../ring.ts';

const levels = addressBytes * 2;

export class Fingers {
  private readonly origin: Point;
  private readonly slots = new Map<number, Entry>();
  private turn = 0;

  constructor(origin: Point) {
    this.origin = origin;
  }

  get size(): number {
    return this.slots.size;
  }

  entries(): IterableIterator<Entry> {
    return this.slots.values();
  }

  heard(entry: Entry): void {
    const away = distance(this.origin, entry.point);
    if (away === 0n) return;
    const text = away.toString(16);
    const level = text.length - 1;
    const slot = level * 16 + Number.parseInt(text[0] as string, 16);
    const held = this.slots.get(slot);
    if (held === undefined || distance(this.origin, held.point) > away) this.slots.set(slot, entry);
  }

  forget(node: NodeName): void {
    for (const [slot, entry] of this.slots) if (entry.node === node) this.slots.delete(slot);
  }

  /** The next start to look up: only levels above the span of the successor list exist. */
  next(span: Point | undefined): Point {
    const reach = span === undefined ? 0n : distance(this.origin, span);
    const lowest = Math.min(levels - 1, reach.toString(16).length - 1);
    const count = (levels - lowest) * 15;
    const at = this.turn++ % count;
    return fingerStart(this.origin, levels - 1 - Math.floor(at / 15), 1 + (at % 15));
  }
}
