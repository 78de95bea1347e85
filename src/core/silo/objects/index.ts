// Where every value of a silo of packs is, in memory, with its whole key and first bytes: listing and scanning must not cost a
// request a value. For each space 256 shards by the first byte of the key; a shard is an array of slots of 96 bytes and a
// hash table of their numbers, about 110 bytes a value.

import { type Bytes, compareBytes } from '../../base/bytes.ts';
import { startBytesMax } from './format.ts';

export const shardCount = 256;
export const slotBytes = 96;
const keyBytes = 32;
const firstSlots = 4;
const loadMax = 0.7;

/** Where a value is and what is known of it without reading it. */
export interface Place {
  pack: number;
  /** 0 when the value is no longer than its start. */
  offset: number;
  length: number;
  checksum: number;
  sequence: number;
  start: Bytes;
}

export interface IndexEntry extends Place {
  key: Buffer;
}

export class PackIndex {
  private readonly spaces: Shard[][];

  /** `seed` keeps others from choosing keys that meet in one place of the table. */
  constructor(spaces: number, seed: number) {
    this.spaces = Array.from({ length: spaces }, () => Array.from({ length: shardCount }, () => new Shard(seed)));
  }

  get(space: number, key: Bytes): Place | undefined {
    return this.shard(space, key).get(key);
  }

  /** The place it had. */
  set(space: number, key: Bytes, place: Place): Place | undefined {
    return this.shard(space, key).set(key, place);
  }

  /** The place it had. */
  delete(space: number, key: Bytes): Place | undefined {
    return this.shard(space, key).delete(key);
  }

  count(space: number): number {
    return (this.spaces[space] as Shard[]).reduce((sum, shard) => sum + shard.count, 0);
  }

  slots(space: number, shard: number): number {
    return this.at(space, shard).count;
  }

  /** Of one shard, in no order. */
  entries(space: number, shard: number): IndexEntry[] {
    return this.at(space, shard).entries();
  }

  /** The slots of a shard as they are: what a checkpoint stores. */
  image(space: number, shard: number): Buffer {
    return this.at(space, shard).image();
  }

  load(space: number, shard: number, image: Buffer): void {
    for (let at = 0; at + slotBytes <= image.length; at += slotBytes)
      this.at(space, shard).set(image.subarray(at, at + keyBytes), readPlace(image, at));
  }

  private shard(space: number, key: Bytes): Shard {
    return this.at(space, key[0] as number);
  }

  private at(space: number, shard: number): Shard {
    return (this.spaces[space] as Shard[])[shard] as Shard;
  }
}

class Shard {
  count = 0;
  private readonly seed: number;
  private slots = Buffer.alloc(firstSlots * slotBytes);
  /** Number of a slot + 1, by hash; 0: nothing. */
  private table = new Uint32Array(8);

  constructor(seed: number) {
    this.seed = seed;
  }

  get(key: Bytes): Place | undefined {
    const slot = this.table[this.find(key)] as number;
    return slot === 0 ? undefined : readPlace(this.slots, (slot - 1) * slotBytes);
  }

  set(key: Bytes, place: Place): Place | undefined {
    const at = this.find(key);
    const slot = this.table[at] as number;
    if (slot > 0) {
      const old = readPlace(this.slots, (slot - 1) * slotBytes);
      writeSlot(this.slots, (slot - 1) * slotBytes, key, place);
      return old;
    }
    if ((this.count + 1) * slotBytes > this.slots.length) this.growSlots();
    writeSlot(this.slots, this.count * slotBytes, key, place);
    this.table[at] = ++this.count;
    if (this.count > this.table.length * loadMax) this.growTable();
    return undefined;
  }

  delete(key: Bytes): Place | undefined {
    const at = this.find(key);
    const slot = this.table[at] as number;
    if (slot === 0) return undefined;
    const old = readPlace(this.slots, (slot - 1) * slotBytes);
    this.removeFromTable(at);
    if (slot < this.count) {
      // The last slot takes the place, so that there are no holes.
      const last = this.slots.subarray((this.count - 1) * slotBytes, this.count * slotBytes);
      this.table[this.find(last.subarray(0, keyBytes))] = slot;
      last.copy(this.slots, (slot - 1) * slotBytes);
    }
    this.count--;
    return old;
  }

  entries(): IndexEntry[] {
    return Array.from({ length: this.count }, (_, slot) => {
      const at = slot * slotBytes;
      return { key: Buffer.from(this.slots.subarray(at, at + keyBytes)), ...readPlace(this.slots, at) };
    });
  }

  image(): Buffer {
    return Buffer.from(this.slots.subarray(0, this.count * slotBytes));
  }

  /** Place in the table where the key is, or where it would go. */
  private find(key: Bytes): number {
    const mask = this.table.length - 1;
    let at = this.hash(key) & mask;
    for (;;) {
      const slot = this.table[at] as number;
      if (slot === 0) return at;
      const start = (slot - 1) * slotBytes;
      if (compareBytes(this.slots.subarray(start, start + keyBytes), key) === 0) return at;
      at = (at + 1) & mask;
    }
  }

  /** Moves back what stands behind, so that no search ends too early. */
  private removeFromTable(from: number): void {
    const mask = this.table.length - 1;
    let hole = from;
    for (let at = (hole + 1) & mask; ; at = (at + 1) & mask) {
      const slot = this.table[at] as number;
      if (slot === 0) break;
      const start = (slot - 1) * slotBytes;
      const wanted = this.hash(this.slots.subarray(start, start + keyBytes)) & mask;
      if (((at - wanted) & mask) < ((at - hole) & mask)) continue;
      this.table[hole] = slot;
      hole = at;
    }
    this.table[hole] = 0;
  }

  private growSlots(): void {
    const larger = Buffer.alloc(Math.ceil((this.slots.length / slotBytes) * 1.5) * slotBytes);
    this.slots.copy(larger);
    this.slots = larger;
  }

  private growTable(): void {
    this.table = new Uint32Array(this.table.length * 2);
    for (let slot = 0; slot < this.count; slot++)
      this.table[this.find(this.slots.subarray(slot * slotBytes, slot * slotBytes + keyBytes))] = slot + 1;
  }

  private hash(key: Bytes): number {
    const a = word(key, 4) ^ this.seed;
    const b = word(key, 8) ^ Math.imul(this.seed, 0x27d4eb2f);
    const mixed = Math.imul(a ^ (a >>> 15), 0x85ebca6b) ^ Math.imul(b ^ (b >>> 13), 0xc2b2ae35);
    return (mixed ^ (mixed >>> 16)) >>> 0;
  }
}

function word(key: Bytes, at: number): number {
  return (
    ((key[at] as number) << 24) |
    ((key[at + 1] as number) << 16) |
    ((key[at + 2] as number) << 8) |
    (key[at + 3] as number)
  );
}

function writeSlot(slots: Buffer, at: number, key: Bytes, place: Place): void {
  slots.set(key, at);
  slots.fill(0, at + keyBytes, at + 72);
  slots.set(place.start, at + keyBytes);
  slots.writeUIntBE(place.pack, at + 72, 6);
  slots.writeUInt32BE(place.offset, at + 78);
  slots.writeUInt32BE(place.length, at + 82);
  slots.writeUInt32BE(place.checksum, at + 86);
  slots.writeUIntBE(place.sequence, at + 90, 6);
}

function readPlace(slots: Buffer, at: number): Place {
  const length = slots.readUInt32BE(at + 82);
  const start = at + keyBytes;
  return {
    pack: slots.readUIntBE(at + 72, 6),
    offset: slots.readUInt32BE(at + 78),
    length,
    checksum: slots.readUInt32BE(at + 86),
    sequence: slots.readUIntBE(at + 90, 6),
    start: Buffer.from(slots.subarray(start, start + Math.min(length, startBytesMax))),
  };
}
