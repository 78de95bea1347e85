// Reads every block at rest once in a period, slowly, and hashes it: rotten copies count as missing from then on, and repair
// replaces them by good ones; nothing is dropped. Records of registers and journals are read too: one that fails its checksum is
// told of until it is mended (`mending.ts`; docs/protocols.md 2.7, 3).

import { fromHex, toHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import { Events } from '../base/events.ts';
import { limits } from '../base/limits.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Silo, Space } from '../silo/silo.ts';
import type { HeldBlocks } from './held-blocks.ts';
import { addressBehind, type Inventory, wholeRing } from './inventory.ts';
import type { Throttle } from './throttle.ts';
import type { Work } from './worker.ts';

export interface ScrubParts {
  runtime: Runtime;
  silo: Silo;
  held: HeldBlocks;
  inventory: Inventory;
  throttle: Throttle;
  /** How long one pass over everything takes. */
  periodMs: number;
}

/** A record that fails its checksum at rest. */
export interface RottenRecord {
  readonly space: Space;
  readonly key: string;
}

/** After the blocks, which are in the inventory: also those whose record cannot be listed any more. */
const recordSpaces: readonly Space[] = ['register', 'journal', 'meta'];
const stepBlocks = 16;
const stepBytes = 4 * 1024 * 1024;

/** What is counted of the current pass stays where it was when the process ends: the next one begins anew. */
export class Scrub implements Work {
  readonly name = 'scrub';
  readonly counters = { passes: 0, read: 0, readBytes: 0, bad: 0, rottenRecords: 0 };
  /** A record is known to be rotten that was not before. */
  readonly events = new Events<{ rotten: RottenRecord }>();
  private readonly parts: ScrubParts;
  private readonly rotten = new Map<string, RottenRecord>();
  /** Of the blocks; undefined behind the last. */
  private nextBlock: Uint8Array | undefined = wholeRing.from;
  private space = 0;
  private rest: AsyncIterator<Uint8Array> | undefined;
  private beganMs: number;
  private doneOfPass = 0;
  private atOnce = false;

  constructor(parts: ScrubParts) {
    this.parts = parts;
    this.beganMs = parts.runtime.clock.monotonic();
  }

  /** Registers and journal records found rotten and not written anew since. */
  rottenRecords(): RottenRecord[] {
    return [...this.rotten.values()];
  }

  /** Somebody could not read that record. */
  met(space: Space, key: Uint8Array): void {
    const isNews = this.rotten.size < limits.badCopiesMax && !this.rotten.has(nameOf(space, key));
    if (isNews) this.found(space, key);
  }

  /** Whether a record is sound by now, or gone: then it is not told of any more. */
  async recheck({ space, key }: RottenRecord): Promise<boolean> {
    const sound = await this.isSound(space, fromHex(key));
    if (sound) this.rotten.delete(nameOf(space, fromHex(key)));
    return sound;
  }

  /** What should have been read by now. */
  backlog(): number {
    if (!this.due()) return 0;
    return Math.max(0, Math.ceil(this.atOnce ? this.total() : this.wantedByNow()) - this.doneOfPass);
  }

  /** Reads everything once from the beginning, as fast as callers allow. Wake the worker. */
  now(): void {
    this.beginPass();
    this.atOnce = true;
  }

  /** Whether the next piece is due by now: pieces are spread evenly over the period. */
  private due(): boolean {
    if (this.atOnce || this.total() === 0) return this.atOnce;
    return this.doneOfPass + stepBlocks <= this.wantedByNow() || this.wantedByNow() >= this.total();
  }

  private wantedByNow(): number {
    const { runtime, periodMs } = this.parts;
    return this.total() * Math.min(1, (runtime.clock.monotonic() - this.beganMs) / periodMs);
  }

  async step(signal: AbortSignal): Promise<boolean> {
    if (!this.parts.inventory.complete || !this.due()) return false;
    let bytes = 0;
    for (let count = 0; count < stepBlocks && bytes < stepBytes; count++) {
      const next = await this.next();
      if (next === undefined) {
        this.counters.passes++;
        this.beginPass();
        return false;
      }
      bytes += await this.read(next.space, next.key, signal);
      this.doneOfPass++;
    }
    return true;
  }

  private total(): number {
    return this.parts.silo.usage().entries;
  }

  private beginPass(): void {
    this.nextBlock = wholeRing.from;
    this.space = 0;
    this.rest = undefined;
    this.doneOfPass = 0;
    this.atOnce = false;
    this.beganMs = this.parts.runtime.clock.monotonic();
  }

  private async next(): Promise<{ space: Space; key: Uint8Array } | undefined> {
    if (this.nextBlock !== undefined) {
      const [entry] = this.parts.inventory.entries({ ...wholeRing, from: this.nextBlock }, 1);
      this.nextBlock = entry && addressBehind(entry.address);
      if (entry !== undefined) return { space: 'block', key: entry.address };
    }
    while (this.space < recordSpaces.length) {
      const space = recordSpaces[this.space] as Space;
      this.rest ??= this.parts.silo.list(space)[Symbol.asyncIterator]();
      const { value: key, done } = await this.rest.next();
      if (!done) return { space, key };
      this.rest = undefined;
      this.space++;
    }
    return undefined;
  }

  private async read(space: Space, key: Uint8Array, signal: AbortSignal): Promise<number> {
    const { silo, held, throttle } = this.parts;
    this.counters.read++;
    const size = (await silo.size(space, key)) ?? 0;
    await throttle.bytes(size, { signal });
    this.counters.readBytes += size;
    if (space === 'block') {
      if (!held.isBad(key) && !(await held.verify(key)).sound) this.found(space, key);
    } else if (!(await this.recheck({ space, key: toHex(key) }))) this.found(space, key);
    return size;
  }

  private async isSound(space: Space, key: Uint8Array): Promise<boolean> {
    try {
      await this.parts.silo.verify(space, key);
      return true;
    } catch (error) {
      if (isError(error, 'not-found')) return true;
      if (isError(error, 'corrupt')) return false;
      throw error;
    }
  }

  private found(space: Space, key: Uint8Array): void {
    const facts = { space, key: toHex(key) };
    this.parts.runtime.log.write('error', 'scrub', 'bytes at rest have rotted', facts);
    if (space === 'block') {
      this.counters.bad++;
      return;
    }
    const name = nameOf(space, key);
    if (this.rotten.has(name)) return;
    this.counters.rottenRecords++;
    if (this.rotten.size >= limits.badCopiesMax) return;
    this.rotten.set(name, facts);
    this.events.emit('rotten', facts);
  }
}

function nameOf(space: Space, key: Uint8Array): string {
  return `${space} ${toHex(key)}`;
}
