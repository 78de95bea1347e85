// Where every value is, in memory: a hash table of 18-byte slots in 256 shards that grow singly, so that no growth stalls
// the event loop. A slot holds 70 bits of a keyed hash instead of the key; the shard (first byte of the key) and the space
// make it 81. Who reads a record confirms the key in its header.

import type { Bytes } from '../../base/bytes.ts';

export const shardCount = 256;

export interface Place {
  segment: number;
  offset: number;
  length: number;
}

export interface IndexEntry extends Place {
  space: number;
}

/** The arrays of a shard as they are: what a checkpoint stores. `words` has four numbers a slot, `segments` one. */
export interface ShardImage {
  count: number;
  words: Uint32Array;
  segments: Uint16Array;
}

const wordsPerSlot = 4;
const firstSlots = 8;
const loadMax = 0.85;
const growth = 1.4;
const lengthBits = 23;
const spaceBits = 3;
const lengthMask = (1 << lengthBits) - 1;
/** No value is long enough to give this. */
const emptySlot = 0xffff_ffff;

export class SiloIndex {
  private readonly shards: Shard[] = Array.from({ length: shardCount }, () => new Shard(firstSlots));
  private readonly seed: readonly [number, number];
  // The hash of the key last asked for, kept out of objects because this is the hottest code of a silo.
  private tagA = 0;
  private tagB = 0;
  private tagC = 0;

  constructor(seed: readonly [number, number]) {
    this.seed = seed;
  }

  get entries(): number {
    return this.shards.reduce((sum, shard) => sum + shard.count, 0);
  }

  /** Bytes of memory the tables take. */
  get memoryBytes(): number {
    return this.shards.reduce((sum, shard) => sum + shard.slots * 18, 0);
  }

  get(space: number, key: Bytes): Place | undefined {
    this.mix(space, key);
    const shard = this.shard(key);
    const slot = shard.find(this.tagA, this.tagB, this.tagC);
    return slot < 0 ? undefined : shard.place(slot);
  }

  /** Returns what was there. */
  set(space: number, key: Bytes, segment: number, offset: number, length: number): Place | undefined {
    this.mix(space, key);
    const shard = this.shard(key);
    const slot = shard.find(this.tagA, this.tagB, this.tagC);
    const old = slot < 0 ? undefined : shard.place(slot);
    if (slot < 0) shard.insert(this.tagA, this.tagB, this.tagC, segment, offset, length);
    else shard.fill(slot, segment, offset, (this.tagC << lengthBits) | length);
    return old;
  }

  /** Returns what was there. */
  delete(space: number, key: Bytes): Place | undefined {
    this.mix(space, key);
    const shard = this.shard(key);
    const slot = shard.find(this.tagA, this.tagB, this.tagC);
    if (slot < 0) return undefined;
    const old = shard.place(slot);
    shard.removeAt(slot);
    return old;
  }

  /** A number that tells keys apart well enough for the life of one flush. */
  fingerprint(space: number, key: Bytes): number {
    this.mix(space, key);
    return this.tagA * 0x20_0000 + (this.tagB >>> 11);
  }

  /** Entries whose keys start with the byte. */
  shardEntries(shard: number): IndexEntry[] {
    return this.shards[shard]?.all() ?? [];
  }

  /** Calls for each entry of a shard without making objects. */
  scanShard(shard: number, see: (segment: number, offset: number, length: number, space: number) => void): void {
    this.shards[shard]?.scan(see);
  }

  /** Size of the table of a shard. */
  slots(shard: number): number {
    return (this.shards[shard] as Shard).slots;
  }

  image(shard: number): ShardImage {
    const { count, words, segments } = this.shards[shard] as Shard;
    return { count, words, segments };
  }

  /** Puts a stored image in place, keeping only the entries wanted. False when it is no possible table. */
  restore(shard: number, image: ShardImage, keep: (segment: number) => boolean): boolean {
    const restored = Shard.of(image, keep);
    if (restored !== undefined) this.shards[shard] = restored;
    return restored !== undefined;
  }

  private shard(key: Bytes): Shard {
    return this.shards[key[0] ?? 0] as Shard;
  }

  /** Two keyed 32-bit lanes over the eight words of the key. Not cryptographic: the seed is secret and outputs never leave. */
  private mix(space: number, key: Bytes): void {
    let a = this.seed[0] ^ space;
    let b = this.seed[1] + space;
    for (let i = 0; i < key.length; i += 4) {
      const word =
        (key[i] as number) |
        ((key[i + 1] as number) << 8) |
        ((key[i + 2] as number) << 16) |
        ((key[i + 3] as number) << 24);
      a = Math.imul(a ^ word, 0x85eb_ca6b);
      a = (a << 13) | (a >>> 19);
      b = Math.imul((b + word) ^ (b >>> 15), 0xc2b2_ae35);
      b = (b << 17) | (b >>> 15);
    }
    a = Math.imul(a ^ (a >>> 16) ^ b, 0x7feb_352d);
    b = Math.imul(b ^ (b >>> 15) ^ a, 0x846c_a68b);
    a ^= b >>> 13;
    b ^= a >>> 16;
    this.tagA = a >>> 0;
    this.tagB = b >>> 0;
    this.tagC = ((((a * 31 + b) >>> 8) & 63) << spaceBits) | space;
  }
}

class Shard {
  count = 0;
  slots: number;
  words: Uint32Array;
  segments: Uint16Array;

  constructor(slots: number) {
    this.slots = slots;
    this.words = new Uint32Array(slots * wordsPerSlot);
    this.segments = new Uint16Array(slots);
    for (let slot = 0; slot < slots; slot++) this.words[slot * wordsPerSlot + 3] = emptySlot;
  }

  static of({ count, words, segments }: ShardImage, keep: (segment: number) => boolean): Shard | undefined {
    const slots = segments.length;
    if (slots < firstSlots || words.length !== slots * wordsPerSlot || count > slots * loadMax) return undefined;
    const shard = new Shard(slots);
    let seen = 0;
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * wordsPerSlot;
      const meta = words[at + 3] as number;
      if (meta === emptySlot) continue;
      if (++seen > count) return undefined;
      const segment = segments[slot] as number;
      if (!keep(segment)) continue;
      const [a, b, offset] = [words[at] as number, words[at + 1] as number, words[at + 2] as number];
      shard.insert(a, b, meta >>> lengthBits, segment, offset, meta & lengthMask);
    }
    return seen === count ? shard : undefined;
  }

  /** The slot, or -1. */
  find(a: number, b: number, c: number): number {
    const { words, slots } = this;
    let slot = this.home(a);
    for (let probes = 0; probes < slots; probes++) {
      const at = slot * wordsPerSlot;
      const meta = words[at + 3] as number;
      if (meta === emptySlot) return -1;
      if (words[at] === a && words[at + 1] === b && meta >>> lengthBits === c) return slot;
      if (++slot === slots) slot = 0;
    }
    return -1;
  }

  place(slot: number): Place {
    const at = slot * wordsPerSlot;
    return {
      segment: this.segments[slot] as number,
      offset: this.words[at + 2] as number,
      length: (this.words[at + 3] as number) & lengthMask,
    };
  }

  fill(slot: number, segment: number, offset: number, meta: number): void {
    const at = slot * wordsPerSlot;
    this.words[at + 2] = offset;
    this.words[at + 3] = meta;
    this.segments[slot] = segment;
  }

  insert(a: number, b: number, c: number, segment: number, offset: number, length: number): void {
    if (this.count + 1 > this.slots * loadMax) this.grow();
    let slot = this.home(a);
    while (this.words[slot * wordsPerSlot + 3] !== emptySlot) if (++slot === this.slots) slot = 0;
    this.words[slot * wordsPerSlot] = a;
    this.words[slot * wordsPerSlot + 1] = b;
    this.fill(slot, segment, offset, (c << lengthBits) | length);
    this.count++;
  }

  /** Closes the hole by moving back what probed over it, so that no marks of deleted slots pile up. */
  removeAt(removed: number): void {
    const { words, segments, slots } = this;
    let hole = removed;
    let slot = removed;
    for (;;) {
      if (++slot === slots) slot = 0;
      const at = slot * wordsPerSlot;
      if (words[at + 3] === emptySlot) break;
      const home = this.home(words[at] as number);
      const stays = hole <= slot ? hole < home && home <= slot : hole < home || home <= slot;
      if (stays) continue;
      words.copyWithin(hole * wordsPerSlot, at, at + wordsPerSlot);
      segments[hole] = segments[slot] as number;
      hole = slot;
    }
    words[hole * wordsPerSlot + 3] = emptySlot;
    this.count--;
  }

  scan(see: (segment: number, offset: number, length: number, space: number) => void): void {
    for (let slot = 0; slot < this.slots; slot++) {
      const meta = this.words[slot * wordsPerSlot + 3] as number;
      if (meta === emptySlot) continue;
      const space = (meta >>> lengthBits) & ((1 << spaceBits) - 1);
      see(this.segments[slot] as number, this.words[slot * wordsPerSlot + 2] as number, meta & lengthMask, space);
    }
  }

  all(): IndexEntry[] {
    const out: IndexEntry[] = [];
    this.scan((segment, offset, length, space) => out.push({ segment, offset, length, space }));
    return out;
  }

  private home(a: number): number {
    return Math.floor((a / 0x1_0000_0000) * this.slots);
  }

  private grow(): void {
    const { words, segments, slots } = this;
    const larger = new Shard(Math.ceil(slots * growth));
    for (let slot = 0; slot < slots; slot++) {
      const at = slot * wordsPerSlot;
      const meta = words[at + 3] as number;
      if (meta === emptySlot) continue;
      const [a, b, offset] = [words[at] as number, words[at + 1] as number, words[at + 2] as number];
      larger.insert(a, b, meta >>> lengthBits, segments[slot] as number, offset, meta & lengthMask);
    }
    this.slots = larger.slots;
    this.words = larger.words;
    this.segments = larger.segments;
  }
}
