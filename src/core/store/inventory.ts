// What a node holds, in memory: the address and generation of every block in order, and digests of ranges of addresses, so that
// two nodes find out by a few short messages how they differ (docs/protocols.md 3). 36 bytes a block; a digest is computed anew
// only where something has changed.

import { asBuffer, type Bytes, u16Bytes } from '../base/bytes.ts';
import { type Address, addressBytes } from '../block/address.ts';
import { hash } from '../crypto/hash.ts';

/** Addresses from the first to the last, both included; never around the circle's zero. */
export interface Range {
  readonly from: Address;
  readonly to: Address;
}

export interface InventoryEntry {
  readonly address: Address;
  readonly generation: number;
}

export const digestBytes = 16;
/** A range is cut into this many equal parts. */
export const partsOfRange = 16;

const entryBytes = addressBytes + 4;
/** Buckets by the first twelve bits of the address. */
const bucketBits = 12;
const bucketCount = 2 ** bucketBits;
const firstCapacity = 4;
const growth = 1.3;

/** Digests are functions of the content of the range alone: the same at all nodes that hold the same there. */
export class Inventory {
  /** Whether all that the node holds is in here. */
  complete = false;
  private readonly buckets: (Bucket | undefined)[] = new Array(bucketCount).fill(undefined);
  private total = 0;

  get size(): number {
    return this.total;
  }

  set(address: Address, generation: number): void {
    const at = bucketOf(address);
    const bucket = (this.buckets[at] ??= new Bucket());
    if (bucket.set(address, generation)) this.total++;
  }

  delete(address: Address): void {
    const at = bucketOf(address);
    const bucket = this.buckets[at];
    if (!bucket?.delete(address)) return;
    this.total--;
    if (bucket.count === 0) this.buckets[at] = undefined;
  }

  generation(address: Address): number | undefined {
    return this.buckets[bucketOf(address)]?.generation(address);
  }

  count(range: Range): number {
    let count = 0;
    for (const { from, to } of this.slices(range)) count += to - from;
    return count;
  }

  digest(range: Range): Buffer {
    const parts: Bytes[] = [];
    for (const { at, bucket, from, to } of this.slices(range)) {
      if (from === to) continue;
      parts.push(u16Bytes(at), bucket.digest(from, to));
    }
    return hash(...parts).subarray(0, digestBytes);
  }

  /** In order, at most `limit` of them. */
  entries(range: Range, limit = Number.POSITIVE_INFINITY): InventoryEntry[] {
    const found: InventoryEntry[] = [];
    for (const { bucket, from, to } of this.slices(range)) {
      for (let i = from; i < to && found.length < limit; i++) found.push(bucket.entry(i));
      if (found.length >= limit) break;
    }
    return found;
  }

  /** The parts of buckets that lie in the range. */
  private *slices({ from, to }: Range): Generator<{ at: number; bucket: Bucket; from: number; to: number }> {
    const [first, last] = [bucketOf(from), bucketOf(to)];
    for (let at = first; at <= last; at++) {
      const bucket = this.buckets[at];
      if (bucket === undefined) continue;
      const start = at === first ? bucket.search(from) : 0;
      const end = at === last ? bucket.searchBehind(to) : bucket.count;
      if (start < end) yield { at, bucket, from: start, to: end };
    }
  }
}

/** Entries in order in one piece of memory. */
class Bucket {
  count = 0;
  private bytes = Buffer.allocUnsafeSlow(firstCapacity * entryBytes);
  private whole: Buffer | undefined;

  /** True when it is new. */
  set(address: Address, generation: number): boolean {
    this.whole = undefined;
    const at = this.search(address);
    const fresh = !this.isAt(at, address);
    if (fresh) {
      this.reserve();
      this.bytes.copyWithin((at + 1) * entryBytes, at * entryBytes, this.count * entryBytes);
      this.bytes.set(address, at * entryBytes);
      this.count++;
    }
    this.bytes.writeUInt32BE(generation, at * entryBytes + addressBytes);
    return fresh;
  }

  delete(address: Address): boolean {
    const at = this.search(address);
    if (!this.isAt(at, address)) return false;
    this.whole = undefined;
    this.bytes.copyWithin(at * entryBytes, (at + 1) * entryBytes, this.count * entryBytes);
    this.count--;
    return true;
  }

  generation(address: Address): number | undefined {
    const at = this.search(address);
    return this.isAt(at, address) ? this.bytes.readUInt32BE(at * entryBytes + addressBytes) : undefined;
  }

  entry(at: number): InventoryEntry {
    const start = at * entryBytes;
    return {
      address: Buffer.from(this.bytes.subarray(start, start + addressBytes)),
      generation: this.bytes.readUInt32BE(start + addressBytes),
    };
  }

  digest(from: number, to: number): Buffer {
    if (from > 0 || to < this.count) return hash(this.bytes.subarray(from * entryBytes, to * entryBytes));
    this.whole ??= hash(this.bytes.subarray(0, this.count * entryBytes));
    return this.whole;
  }

  /** Where the address is or would be. */
  search(address: Address): number {
    let low = 0;
    let high = this.count;
    while (low < high) {
      const middle = (low + high) >> 1;
      if (this.compareAt(middle, address) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  searchBehind(address: Address): number {
    const at = this.search(address);
    return this.isAt(at, address) ? at + 1 : at;
  }

  private isAt(at: number, address: Address): boolean {
    return at < this.count && this.compareAt(at, address) === 0;
  }

  private compareAt(at: number, address: Address): number {
    const start = at * entryBytes;
    return this.bytes.compare(address, 0, addressBytes, start, start + addressBytes);
  }

  private reserve(): void {
    const needed = (this.count + 1) * entryBytes;
    if (needed <= this.bytes.length) return;
    const grown = Buffer.allocUnsafeSlow(Math.ceil((this.count + 1) * growth) * entryBytes);
    this.bytes.copy(grown, 0, 0, this.count * entryBytes);
    this.bytes = grown;
  }
}

function bucketOf(address: Address): number {
  return asBuffer(address).readUInt16BE(0) >> (16 - bucketBits);
}

/** Equal parts of a range, in order; both sides of a comparison cut alike. Fewer when there are fewer addresses in it. */
export function cut(range: Range): Range[] {
  const from = numberOf(range.from);
  const size = numberOf(range.to) - from + 1n;
  const parts = size < BigInt(partsOfRange) ? Number(size) : partsOfRange;
  return Array.from({ length: parts }, (_, i) => ({
    from: addressOf(from + (size * BigInt(i)) / BigInt(parts)),
    to: addressOf(from + (size * BigInt(i + 1)) / BigInt(parts) - 1n),
  }));
}

/** All addresses. */
export const wholeRing: Range = { from: Buffer.alloc(addressBytes), to: Buffer.alloc(addressBytes, 255) };

/** The next address; undefined behind the last one. */
export function addressBehind(address: Address): Address | undefined {
  const next = numberOf(address) + 1n;
  return next >> BigInt(8 * addressBytes) === 0n ? addressOf(next) : undefined;
}

/** The address before; undefined before the first one. */
export function addressBefore(address: Address): Address | undefined {
  const previous = numberOf(address) - 1n;
  return previous < 0n ? undefined : addressOf(previous);
}

function numberOf(address: Address): bigint {
  return BigInt(`0x${asBuffer(address).toString('hex')}`);
}

function addressOf(number: bigint): Address {
  return Buffer.from(number.toString(16).padStart(addressBytes * 2, '0'), 'hex');
}
