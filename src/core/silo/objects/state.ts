// What an open silo of packs knows: the index, how much of each pack still counts, and the numbers that run.

import { spaces } from '../silo.ts';
import { type Turns, turnCosts } from '../turns.ts';
import { type PackRow, rowBytes } from './format.ts';
import { PackIndex, type Place, shardCount } from './index.ts';

export interface PackFacts {
  number: number;
  /** Of the object. */
  bytes: number;
  liveBytes: number;
  liveRows: number;
}

const blockSpace = 0;

export class PackState {
  readonly index: PackIndex;
  /** By number: all there are. */
  readonly packs = new Map<number, PackFacts>();
  /** Acknowledged changes since formatting. */
  sequence = 0;
  /** Of all objects that are packs. */
  totalBytes = 0;
  usedBytes = 0;
  entries = 0;

  constructor(seed: number) {
    this.index = new PackIndex(spaces.length, seed);
  }

  get blocks(): number {
    return this.index.count(blockSpace);
  }

  addPack(number: number, bytes: number): void {
    this.packs.set(number, { number, bytes, liveBytes: 0, liveRows: 0 });
    this.totalBytes += bytes;
  }

  removePack(number: number): void {
    const pack = this.packs.get(number);
    if (pack === undefined) return;
    this.totalBytes -= pack.bytes;
    this.packs.delete(number);
  }

  /** Shows a row that is durable. One that was moved counts only while its value is still that of the key. */
  apply(pack: number, row: PackRow): void {
    const { space, key, sequence } = row;
    if (row.moved && this.index.get(space, key)?.sequence !== sequence) return;
    this.sequence = Math.max(this.sequence, sequence);
    const place: Place = { ...row, pack };
    const old = row.deletion ? this.index.delete(space, key) : this.index.set(space, key, place);
    if (old !== undefined) this.count(old, -1);
    if (!row.deletion) this.count(place, 1);
  }

  /** Counts everything anew, after the index was loaded; it must not change meanwhile. */
  async recount(turns: Turns): Promise<void> {
    this.usedBytes = this.entries = 0;
    for (const pack of this.packs.values()) pack.liveBytes = pack.liveRows = 0;
    for (let space = 0; space < spaces.length; space++)
      for (let shard = 0; shard < shardCount; shard++) {
        await turns.take(this.index.slots(space, shard) * turnCosts.slot);
        for (const entry of this.index.entries(space, shard)) this.count(entry, 1);
      }
  }

  private count(place: Place, sign: 1 | -1): void {
    const bytes = rowBytes + place.length;
    this.usedBytes += sign * bytes;
    this.entries += sign;
    const pack = this.packs.get(place.pack);
    if (pack === undefined) return;
    pack.liveRows += sign;
    // What stands in the table alone takes no place behind it.
    pack.liveBytes += sign * (place.offset > 0 ? bytes : rowBytes);
  }
}
