// Collects the entries of one level in key order and cuts them into nodes: about 16 KiB, split above 24, merged with the
// neighbour under 6; a long run of new entries fills nodes to 90 %.

import type { Bytes } from '../../base/bytes.ts';
import { shortestSeparator } from './key-order.ts';
import { entryOverheadBytes } from './node.ts';

const targetBytes = 16 * 1024;
const splitBytes = 24 * 1024;
const mergeBytes = 6 * 1024;
const bulkBytes = Math.floor(targetBytes * 0.9);
/** A run is cut while it is this long, so that what remains can still be divided evenly. */
const runBytes = 2 * splitBytes;

/** Entries of one node to be; `lower` is above all keys before it and not above its first. */
export interface NodePart<V> {
  lower: Bytes;
  keys: Bytes[];
  values: V[];
}

export class LevelBuilder<V> {
  private keys: Bytes[] = [];
  private values: V[] = [];
  private sizes: number[] = [];
  private bytes = 0;
  private lower: Bytes = Buffer.alloc(0);
  /** Nodes cut so far. */
  emitted = 0;
  private readonly level: number;
  private readonly valueBytes: (value: V) => number;
  private readonly emit: (part: NodePart<V>) => void;

  constructor(level: number, valueBytes: (value: V) => number, emit: (part: NodePart<V>) => void) {
    this.level = level;
    this.valueBytes = valueBytes;
    this.emit = emit;
  }

  get length(): number {
    return this.keys.length;
  }

  /** The only value collected and not cut, when there is just one. */
  get only(): V | undefined {
    return this.emitted === 0 && this.values.length === 1 ? this.values[0] : undefined;
  }

  /** What is added next belongs at or above this key. */
  begin(lower: Bytes): void {
    if (this.keys.length === 0) this.lower = lower;
  }

  add(key: Bytes, value: V): void {
    const size = key.length + this.valueBytes(value) + entryOverheadBytes + 2;
    this.keys.push(key);
    this.values.push(value);
    this.sizes.push(size);
    this.bytes += size;
    while (this.bytes >= runBytes && this.keys.length > 1) this.cut(bulkBytes);
  }

  /** An old node ends here: so does the new one, unless it is too small to stand alone. */
  boundary(): void {
    if (this.bytes >= mergeBytes) this.flush();
  }

  flush(): void {
    while (this.keys.length > 0)
      this.cut(this.bytes <= splitBytes ? this.bytes : this.bytes / Math.ceil(this.bytes / targetBytes));
  }

  /** Forgets what was collected since the last cut. */
  clear(): void {
    this.keys = [];
    this.values = [];
    this.sizes = [];
    this.bytes = 0;
  }

  private cut(wanted: number): void {
    let count = 0;
    let bytes = 0;
    for (const size of this.sizes) {
      if (count > 0 && (bytes + size > splitBytes || bytes + size / 2 > wanted)) break;
      bytes += size;
      count++;
    }
    const keys = this.keys.splice(0, count);
    const values = this.values.splice(0, count);
    this.sizes.splice(0, count);
    this.bytes -= bytes;
    const lower = this.level > 0 ? (keys[0] as Bytes) : this.lower;
    const next = this.keys[0];
    if (next !== undefined) this.lower = shortestSeparator(keys[count - 1] as Bytes, next);
    this.emitted++;
    this.emit({ lower, keys, values });
  }
}
