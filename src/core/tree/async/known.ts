// What a client with a journal of its own knows of the network's records: ranges that were read whole, asked for again after a
// second while the network is reached, and as they were last seen while it is not. Bounded: too much of it is forgotten at once.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import { compareKeys } from '../base/key-order.ts';
import type { Leaves } from '../base/layered-reader.ts';
import { SortedMap } from '../base/sorted-map.ts';
import type { Effect, MapEntry } from '../tree.ts';
import type { LogRecord } from './log.ts';

const keyStart = Buffer.alloc(0);
/** Behind all keys: spaces are letters. */
const keyEnd = Buffer.from([0xff]);

/** Records of a range: all in [from, through). */
export interface Records {
  entries: readonly MapEntry[];
  through: Bytes;
}

/** What is known from now on, or not any more. */
export type KnownChange = LogRecord & { type: 'known' | 'unknown' };

export interface KnownOptions {
  clock: Pick<Clock, 'monotonic'>;
  /** Asks the network. Throws `unavailable`. */
  fetch: (from: Bytes, to: Bytes, options: Abortable) => Promise<Records>;
  /** Whether the network is reached. */
  isReached: () => boolean;
  /** Nothing of the range is in the network: it belongs to what was made here and waits. */
  isOurs: (from: Bytes, to: Bytes) => boolean;
}

interface Range {
  to: Bytes;
  atMs: number;
}

export class KnownRecords implements Leaves {
  private readonly options: KnownOptions;
  private ranges = new SortedMap<Range>();
  private records = new SortedMap<Bytes>();
  private used = 0;
  /** Counts what was forgotten: an answer asked for before is not kept. */
  private forgotten = 0;
  /** What was known before is not believed while the network is reached. */
  private agedMs = Number.NEGATIVE_INFINITY;
  /** Keeps what changes of it over a restart, in the order of the calls. */
  keep: (change: KnownChange) => Promise<void> = async () => {};

  constructor(options: KnownOptions) {
    this.options = options;
  }

  async get(key: Bytes, options: Abortable = {}): Promise<Bytes | undefined> {
    checkSignal(options.signal);
    const next = keyBehind(key);
    if (this.options.isOurs(key, next)) return undefined;
    if (this.through(key) !== undefined) return this.records.get(key);
    const { entries } = await this.ask(key, next, options);
    return entries[0]?.value;
  }

  async *leaves(from: Bytes, to: Bytes, options: Abortable = {}): AsyncGenerator<Leaf, void, void> {
    if (this.options.isOurs(from, to)) return;
    for (let at = from; compareKeys(at, to) < 0; ) {
      checkSignal(options.signal);
      const known = this.through(at);
      const page = known === undefined ? await this.ask(at, to, options) : this.page(at, least(known, to));
      if (page.entries.length > 0) yield leafOf(page.entries);
      at = page.through;
    }
  }

  /** Bytes, about. */
  get bytes(): number {
    return this.used;
  }

  /** Everything is asked for again while the network is reached. */
  age(): void {
    this.forgotten++;
    this.agedMs = this.options.clock.monotonic();
  }

  forget(): void {
    this.ranges = new SortedMap();
    this.records = new SortedMap();
    this.used = 0;
  }

  /** As it was kept before: believed while the network is not reached. */
  recall(change: KnownChange): void {
    if (change.type === 'unknown') this.carve(change.from, change.to);
    else this.set(change.from, change, Number.NEGATIVE_INFINITY);
  }

  /** All that is known, in pages that are true when they are given. */
  *pages(): Generator<KnownChange & { type: 'known' }> {
    for (let at: Bytes = keyStart; ; ) {
      const range = this.rangeFrom(at);
      if (range === undefined) return;
      const entries: MapEntry[] = [];
      let { through } = range;
      let bytes = 0;
      for (const entry of this.records.entries(range.from, through)) {
        bytes += entry.key.length + entry.value.length;
        const isFull = entries.length === limits.recordsPerAnswerMax || bytes > limits.recordsBytesPerAnswerMax;
        if (entries.length > 0 && isFull) {
          through = entry.key;
          break;
        }
        entries.push(entry);
      }
      yield { type: 'known', from: range.from, through, entries };
      at = through;
    }
  }

  /** These have happened in the network, as far as is known here: asked for while it is reached, believed while it is not. */
  async suppose(effects: readonly Effect[], isSame: (key: Bytes) => boolean): Promise<void> {
    this.forgotten++;
    const kept: Promise<void>[] = [];
    for (const effect of effects) {
      const from = effect.type === 'deleteRange' ? effect.from : effect.key;
      const through = effect.type === 'deleteRange' ? effect.to : keyBehind(effect.key);
      if (!isSame(from)) {
        this.carve(from, through);
        kept.push(this.keep({ type: 'unknown', from, to: through }));
        continue;
      }
      const entries = effect.type === 'put' ? [{ key: effect.key, value: effect.value }] : [];
      kept.push(this.learn(from, { entries, through }, Number.NEGATIVE_INFINITY));
    }
    await Promise.all(kept);
  }

  private page(from: Bytes, to: Bytes): Records {
    return { entries: [...this.records.entries(from, to)], through: to };
  }

  /** Where what is known of the key and behind it ends; undefined when nothing is, or not any more. */
  private through(key: Bytes): Bytes | undefined {
    const range = this.ranges.floor(key);
    if (range === undefined || compareKeys(key, range.value.to) >= 0) return undefined;
    const { clock, isReached } = this.options;
    const { atMs, to } = range.value;
    if (isReached() && (atMs <= this.agedMs || clock.monotonic() - atMs > limits.asyncKnownMs)) return undefined;
    return to;
  }

  /** What is known from the key on, or from the next that is. */
  private rangeFrom(key: Bytes): { from: Bytes; through: Bytes } | undefined {
    const floor = this.ranges.floor(key);
    if (floor !== undefined && compareKeys(key, floor.value.to) < 0) return { from: key, through: floor.value.to };
    for (const next of this.ranges.entries(key, keyEnd)) return { from: next.key, through: next.value.to };
    return undefined;
  }

  private async ask(from: Bytes, to: Bytes, options: Abortable): Promise<Records> {
    const { forgotten } = this;
    const atMs = this.options.clock.monotonic();
    let page: Records;
    try {
      page = await this.options.fetch(from, to, options);
    } catch (error) {
      const known = isError(error, 'unavailable') && !this.options.isReached() ? this.through(from) : undefined;
      if (known === undefined) throw error;
      return this.page(from, least(known, to));
    }
    if (forgotten === this.forgotten) await this.learn(from, page, atMs);
    return page;
  }

  private async learn(from: Bytes, { entries, through }: Records, atMs: number): Promise<void> {
    const kept: Promise<void>[] = [];
    if (this.used > limits.asyncKnownBytesMax) {
      this.forget();
      kept.push(this.keep({ type: 'unknown', from: keyStart, to: keyEnd }));
    }
    const isNews = !this.isKnown(from, { entries, through });
    this.set(from, { entries, through }, atMs);
    if (isNews) kept.push(this.keep({ type: 'known', from, through, entries: [...entries] }));
    await Promise.all(kept);
  }

  /** Whether just that was known before, however long ago. */
  private isKnown(from: Bytes, { entries, through }: Records): boolean {
    const range = this.ranges.floor(from);
    if (range === undefined || compareKeys(range.value.to, through) < 0) return false;
    let count = 0;
    for (const { key, value } of this.records.entries(from, through)) {
      const same = entries[count++];
      if (same === undefined || !equalBytes(same.key, key) || !equalBytes(same.value, value)) return false;
    }
    return count === entries.length;
  }

  private set(from: Bytes, { entries, through }: Records, atMs: number): void {
    this.carve(from, through);
    this.ranges.set(from, { to: through, atMs });
    this.used += from.length + through.length;
    for (const { key, value } of entries) {
      this.records.set(key, value);
      this.used += key.length + value.length;
    }
  }

  private carve(from: Bytes, to: Bytes): void {
    const before = this.ranges.floor(from);
    const pieces: [Bytes, Range][] = [];
    const cut = (start: Bytes, range: Range) => {
      if (compareKeys(range.to, from) <= 0 || compareKeys(start, to) >= 0) return;
      pieces.push([start, range]);
    };
    if (before !== undefined) cut(before.key, before.value);
    for (const { key, value } of this.ranges.entries(from, to)) if (key !== before?.key) cut(key, value);
    for (const [start, range] of pieces) {
      this.ranges.delete(start);
      if (compareKeys(start, from) < 0) this.ranges.set(start, { ...range, to: from });
      if (compareKeys(range.to, to) > 0) this.ranges.set(to, range);
    }
    this.records.deleteRange(from, to, (key, value) => {
      this.used -= key.length + value.length;
    });
  }
}

interface Leaf {
  node: { keyAt(index: number): Bytes; valueAt(index: number): Bytes };
  first: number;
  end: number;
}

function leafOf(entries: readonly MapEntry[]): Leaf {
  const at = (index: number) => entries[index] as MapEntry;
  return {
    node: { keyAt: (index) => at(index).key, valueAt: (index) => at(index).value },
    first: 0,
    end: entries.length,
  };
}

export function keyBehind(key: Bytes): Buffer {
  return Buffer.concat([key, Buffer.from([0])]);
}

function least(a: Bytes, b: Bytes): Bytes {
  return compareKeys(a, b) < 0 ? a : b;
}
