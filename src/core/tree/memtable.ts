// The memtable: effects since the last commit, one ordered map over the immutable base (docs/tree-schema.md 4). It keeps what
// the effects come to, not their history: the last value or deletion of each key, and disjoint ranges whose keys in the layers
// below are gone. Bounded by bytes.

import type { Bytes } from '../base/bytes.ts';
import { assert, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { compareKeys } from './base/key-order.ts';
import { SortedMap } from './base/sorted-map.ts';
import type { Effect } from './tree.ts';

/** What an entry costs beside its bytes, about. */
const entryOverheadBytes = 96;

export class Memtable {
  private points = new SortedMap<Bytes | null>();
  private ranges = new SortedMap<Bytes>();
  private used = 0;
  private sealed = false;
  private readonly bytesMax: number;

  constructor(options: { bytesMax?: number } = {}) {
    this.bytesMax = options.bytesMax ?? limits.memtableBytesMax;
  }

  /** Bytes held, with overhead. */
  get bytes(): number {
    return this.used;
  }

  get isEmpty(): boolean {
    return this.points.size === 0 && this.ranges.size === 0;
  }

  /** Applies the effects in order, all or none. Throws `full` when they might not fit, or a value fits no leaf. */
  apply(effects: readonly Effect[]): void {
    if (this.used + effectsCost(effects) > this.bytesMax)
      throw new InfinitError('full', 'too many changes since the last commit');
    for (const effect of effects)
      if (effect.type === 'put' && effect.value.length > limits.treeLeafValueBytesMax)
        throw new InfinitError(
          'full',
          `a record of ${effect.value.length} bytes is above ${limits.treeLeafValueBytesMax}`,
        );
    for (const effect of effects) this.applyOne(effect);
  }

  /** The value, `null` when deleted here, `undefined` when the layers below know. */
  get(key: Bytes): Bytes | null | undefined {
    const value = this.points.get(key);
    if (value !== undefined) return value;
    return this.hiddenUntil(key) === undefined ? undefined : null;
  }

  /** The end of the deleted range that holds the key, if any: keys of the layers below are hidden up to there. */
  hiddenUntil(key: Bytes): Bytes | undefined {
    if (this.ranges.size === 0) return undefined;
    const range = this.ranges.floor(key);
    return range !== undefined && compareKeys(key, range.value) < 0 ? range.value : undefined;
  }

  /** Single keys in [from, to) with their value, or `null` when deleted. The table must not change meanwhile. */
  entries(from: Bytes, to: Bytes): Iterator<{ key: Bytes; value: Bytes | null }> {
    return this.points.entries(from, to);
  }

  /**
   * The same as effects ordered by key, ranges before single keys: applying them in this order to what is below gives what
   * this table shows. The table must not change meanwhile.
   */
  *effects(): Generator<Effect, void, void> {
    const ranges = this.ranges.entries();
    let range = ranges.next();
    for (const { key, value } of this.points.entries()) {
      while (!range.done && compareKeys(range.value.key, key) <= 0) {
        yield { type: 'deleteRange', from: range.value.key, to: range.value.value };
        range = ranges.next();
      }
      yield value === null ? { type: 'delete', key } : { type: 'put', key, value };
    }
    for (; !range.done; range = ranges.next())
      yield { type: 'deleteRange', from: range.value.key, to: range.value.value };
  }

  /** No change from now on: a commit reads it while another table is open above. */
  freeze(): this {
    this.sealed = true;
    return this;
  }

  /** What the table shows now, frozen; costs little. */
  snapshot(): Memtable {
    if (this.sealed) return this;
    const copy = new Memtable({ bytesMax: this.bytesMax });
    copy.points = this.points.snapshot();
    copy.ranges = this.ranges.snapshot();
    copy.used = this.used;
    return copy.freeze();
  }

  private applyOne(effect: Effect): void {
    assert(!this.sealed, 'a frozen memtable does not change');
    if (effect.type === 'deleteRange') {
      if (compareKeys(effect.from, effect.to) < 0) this.deleteRange(effect.from, effect.to);
      return;
    }
    const key = detached(effect.key);
    const value = effect.type === 'put' ? detached(effect.value) : null;
    if (value === null && this.hiddenUntil(key) !== undefined) {
      const removed = this.points.delete(key);
      if (removed !== undefined) this.used -= pointCost(key, removed);
      return;
    }
    const replaced = this.points.set(key, value);
    this.used += pointCost(key, value) - (replaced === undefined ? 0 : pointCost(key, replaced));
  }

  private deleteRange(from: Bytes, to: Bytes): void {
    this.points.deleteRange(from, to, (key, value) => {
      this.used -= pointCost(key, value);
    });
    let start = detached(from);
    let end = detached(to);
    const before = this.ranges.floor(from);
    if (before !== undefined && compareKeys(before.value, from) >= 0) {
      start = before.key;
      if (compareKeys(before.value, end) > 0) end = before.value;
    }
    // A range that starts just at the end joins too: neighbours become one.
    const after = this.ranges.floor(end);
    if (after !== undefined && compareKeys(after.value, end) > 0) end = after.value;
    this.ranges.deleteRange(start, end, (key, value) => {
      this.used -= pointCost(key, value);
    });
    this.ranges.set(start, end);
    this.used += pointCost(start, end);
  }
}

function pointCost(key: Bytes, value: Bytes | null): number {
  return entryOverheadBytes + key.length + (value === null ? 0 : value.length);
}

function effectsCost(effects: readonly Effect[]): number {
  let cost = 0;
  for (const effect of effects) {
    if (effect.type === 'put') cost += pointCost(effect.key, effect.value);
    else if (effect.type === 'delete') cost += pointCost(effect.key, null);
    else cost += pointCost(effect.from, effect.to);
  }
  return cost;
}

/** The bytes apart from a much larger buffer (a frame, a batch) that they would keep in memory. */
function detached(bytes: Bytes): Bytes {
  return bytes.buffer.byteLength > 16_384 && bytes.length * 4 < bytes.buffer.byteLength ? Buffer.from(bytes) : bytes;
}
