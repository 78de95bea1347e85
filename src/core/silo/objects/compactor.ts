// Puts what still counts of old packs into new ones: of packs that are mostly dead, and of many small ones, which the small
// durable writes of registers and journals leave behind. A pack that nothing counts of goes at the next checkpoint.

import { crc32 } from 'node:zlib';
import { asError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Log } from '../../runtime/runtime.ts';
import { type PackRow, packName, readTable } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import type { Change } from './pack-writer.ts';
import type { PackFacts, PackState } from './state.ts';

export interface CompactorOptions {
  store: ObjectStore;
  state: PackState;
  log: Log;
  salt: number;
  packBytes: number;
  /** All packs up to this number show. */
  confirmed(): number;
  move(changes: readonly Change[]): Promise<void>;
}

/** Below this part of a full pack one is small. */
const smallPart = 1 / 8;
/** A pack is worth emptying when so much of it is dead: usually, and when room is needed. */
const deadPart = 1 / 4;
const deadPartForced = 1 / 50;

export class Compactor {
  private readonly options: CompactorOptions;
  /** Packs that could not be read. */
  private readonly unreadable = new Set<number>();

  constructor(options: CompactorOptions) {
    this.options = options;
  }

  /** Empties some packs; false when there is nothing worth it. `force`: whatever gains anything. */
  async step(force: boolean): Promise<boolean> {
    const chosen = this.choose(force);
    if (chosen.length === 0) return false;
    // All in one change, so that they end up in one pack.
    const changes = (await Promise.all(chosen.map((pack) => this.liveOf(pack)))).flat();
    if (changes.length > 0) await this.options.move(changes);
    // What is damaged stays where it is, so that reading it says so.
    for (const { number, liveRows } of chosen) if (liveRows > 0) this.unreadable.add(number);
    return true;
  }

  private choose(force: boolean): PackFacts[] {
    const { state, packBytes } = this.options;
    const packs = this.candidates();
    const dead = (pack: PackFacts) => 1 - pack.liveBytes / pack.bytes;
    const deadBytes = packs.reduce((sum, pack) => sum + pack.bytes - pack.liveBytes, 0);
    if (force || deadBytes > Math.max(4 * packBytes, state.usedBytes / 2)) {
      const least = force ? deadPartForced : deadPart;
      const worst = packs.filter((pack) => dead(pack) >= least).sort((a, b) => dead(b) - dead(a));
      const chosen = this.upToOnePack(worst);
      if (chosen.length > 0) return chosen;
    }
    const small = packs.filter(({ bytes }) => bytes < packBytes * smallPart);
    if (small.length < limits.packsSmallMax) return [];
    return this.upToOnePack(small.sort((a, b) => a.number - b.number));
  }

  private candidates(): PackFacts[] {
    const confirmed = this.options.confirmed();
    return [...this.options.state.packs.values()].filter(
      ({ number, liveRows }) => liveRows > 0 && number <= confirmed && !this.unreadable.has(number),
    );
  }

  /** The first ones whose live values fill a pack. */
  private upToOnePack(packs: readonly PackFacts[]): PackFacts[] {
    const chosen: PackFacts[] = [];
    let [bytes, rows] = [0, 0];
    for (const pack of packs) {
      if (chosen.length > 0 && (bytes + pack.liveBytes > this.options.packBytes || rows > limits.packRowsFull)) break;
      chosen.push(pack);
      bytes += pack.liveBytes;
      rows += pack.liveRows;
    }
    return chosen;
  }

  private async liveOf({ number }: PackFacts): Promise<Change[]> {
    const { store, salt, log } = this.options;
    try {
      const content = await store.get(packName(number));
      return readTable(content, salt).rows.flatMap((row) => this.moveOf(number, row, content));
    } catch (error) {
      log.write('warn', 'silo', `pack ${number} cannot be emptied: ${asError(error).message}`, { store: store.where });
      return [];
    }
  }

  private moveOf(number: number, row: PackRow, content: Buffer): Change[] {
    if (row.deletion) return [];
    const { space, key, sequence, offset, length, checksum } = row;
    const place = this.options.state.index.get(space, key);
    if (place?.pack !== number || place.sequence !== sequence) return [];
    const value = offset > 0 ? content.subarray(offset, offset + length) : row.start;
    if (value.length !== length || crc32(value) !== checksum) return [];
    return [{ space, key, value, moved: { sequence, pack: number } }];
  }
}
