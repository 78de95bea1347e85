// One node of the base tree, read in place. Layout: format u8 = 1, level u8 (0 = leaf), count u16, restart interval u8, entry
// offsets u16[count] counted from the end of this table, entries. An entry: shared, suffix length, value length as LEB128
// varints, suffix, value. Its key is the first `shared` bytes of the key of its group's first entry (groups of 16), then the
// suffix, so each entry can be read alone. An inner node's values are references; its keys are the lower bounds of the children.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { addressBytes } from '../../block/address.ts';
import { keyBytes } from '../../crypto/cipher.ts';
import type { NodeRef } from '../tree.ts';
import { commonPrefix, compareKeys } from './key-order.ts';

export const nodeRefBytes = addressBytes + keyBytes + 3;
/** A plain node: 24 KiB, or one entry. */
export const nodeBytesMax = limits.treeLeafValueBytesMax + 32 * 1024;
export const levelMax = 15;
/** Bytes of an entry beside key and value, at most. */
export const entryOverheadBytes = 9;

const format = 1;
const headerBytes = 5;
const restartInterval = 16;

export class Node {
  readonly level: number;
  readonly count: number;
  readonly bytes: Buffer;
  private readonly base: number;
  // The entry last parsed.
  private shared = 0;
  private suffixAt = 0;
  private valueAtByte = 0;
  private endAt = 0;

  /** Throws `corrupt` unless the bytes are a well-formed node: afterwards every access is safe. */
  constructor(bytes: Bytes) {
    this.bytes = asBuffer(bytes);
    if (bytes.length < headerBytes || bytes.length > nodeBytesMax) throw corrupt('length');
    if (this.bytes[0] !== format || this.bytes[4] !== restartInterval) throw corrupt('format');
    this.level = this.bytes[1] as number;
    this.count = this.bytes.readUInt16BE(2);
    this.base = headerBytes + 2 * this.count;
    if (this.level > levelMax || this.count === 0 || this.base > bytes.length) throw corrupt('header');
    this.validate();
  }

  keyAt(index: number): Buffer {
    this.parse(index);
    const suffix = this.bytes.subarray(this.suffixAt, this.valueAtByte);
    if (this.shared === 0) return suffix;
    const shared = this.shared;
    this.parse(index - (index % restartInterval));
    return Buffer.concat([this.bytes.subarray(this.suffixAt, this.suffixAt + shared), suffix]);
  }

  /** Shares the node's memory. */
  valueAt(index: number): Buffer {
    this.parse(index);
    return this.bytes.subarray(this.valueAtByte, this.endAt);
  }

  /** The child's reference; inner nodes only. */
  refAt(index: number): NodeRef {
    const value = this.valueAt(index);
    return {
      address: value.subarray(0, addressBytes),
      key: value.subarray(addressBytes, addressBytes + keyBytes),
      stored: value.readUIntBE(addressBytes + keyBytes, 3),
    };
  }

  /** The child's address as a name in caches; inner nodes only. */
  childName(index: number): string {
    this.parse(index);
    return this.bytes.toString('latin1', this.valueAtByte, this.valueAtByte + addressBytes);
  }

  /** Index of the first entry at or above the key. */
  search(key: Bytes): number {
    let low = 0;
    let high = Math.ceil(this.count / restartInterval);
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.compareAt(middle * restartInterval, key, 0) <= 0) low = middle + 1;
      else high = middle;
    }
    if (low === 0) return 0;
    const restart = (low - 1) * restartInterval;
    const common = this.commonWith(restart, key);
    let first = restart;
    let end = Math.min(restart + restartInterval, this.count);
    while (first < end) {
      const middle = (first + end) >>> 1;
      if (this.compareAt(middle, key, common) < 0) first = middle + 1;
      else end = middle;
    }
    return first;
  }

  /** The value of exactly this key. */
  find(key: Bytes): Buffer | undefined {
    const index = this.search(key);
    return index < this.count && this.equalsAt(index, key) ? this.valueAt(index) : undefined;
  }

  /** Index of the child that holds the key; inner nodes only. */
  childFor(key: Bytes): number {
    const index = this.search(key);
    if (index < this.count && this.equalsAt(index, key)) return index;
    return index === 0 ? 0 : index - 1;
  }

  private equalsAt(index: number, key: Bytes): boolean {
    const restart = index - (index % restartInterval);
    return this.compareAt(index, key, this.commonWith(restart, key)) === 0;
  }

  /** Bytes the key shares with the (full) key of a group's first entry. */
  private commonWith(restart: number, key: Bytes): number {
    this.parse(restart);
    const length = Math.min(this.valueAtByte - this.suffixAt, key.length);
    let i = 0;
    while (i < length && this.bytes[this.suffixAt + i] === key[i]) i++;
    return i;
  }

  /**
   * Compares an entry's key with a key that is not below its group's first and shares `common` bytes with that. An entry that
   * shares more than that with the first stands to the key as the first does: below.
   */
  private compareAt(index: number, key: Bytes, common: number): number {
    this.parse(index);
    if (this.shared > common) return -1;
    const { bytes, suffixAt, shared } = this;
    const suffixLength = this.valueAtByte - suffixAt;
    const rest = key.length - shared;
    const length = Math.min(suffixLength, rest);
    for (let i = 0; i < length; i++) {
      const difference = (bytes[suffixAt + i] as number) - (key[shared + i] as number);
      if (difference !== 0) return difference;
    }
    return suffixLength - rest;
  }

  private parse(index: number): void {
    const offsetAt = headerBytes + 2 * index;
    const { bytes } = this;
    let at = this.base + (((bytes[offsetAt] as number) << 8) | (bytes[offsetAt + 1] as number));
    let shared = bytes[at++] as number;
    if (shared > 127) shared = (shared & 127) | ((bytes[at++] as number) << 7);
    let suffix = bytes[at++] as number;
    if (suffix > 127) suffix = (suffix & 127) | ((bytes[at++] as number) << 7);
    let value = bytes[at++] as number;
    if (value > 127) {
      value = (value & 127) | ((bytes[at++] as number) << 7);
      if (value > 16_383) value = (value & 16_383) | ((bytes[at++] as number) << 14);
    }
    this.shared = shared;
    this.suffixAt = at;
    this.valueAtByte = at + suffix;
    this.endAt = at + suffix + value;
  }

  /** Entries lie one behind the other, keys ascend, lengths fit: nothing outside the node is ever read. */
  private validate(): void {
    const { bytes, base, count } = this;
    let at = base;
    let first: Buffer = bytes;
    let previous: Buffer | undefined;
    for (let i = 0; i < count; i++) {
      if (base + bytes.readUInt16BE(headerBytes + 2 * i) !== at || at >= bytes.length) throw corrupt('offsets');
      this.parse(i);
      // A varint cut off by the end makes this NaN.
      if (!(this.endAt <= bytes.length)) throw corrupt('entry length');
      const restart = i % restartInterval === 0;
      if (restart ? this.shared !== 0 : this.shared > first.length) throw corrupt('shared prefix');
      const suffix = bytes.subarray(this.suffixAt, this.valueAtByte);
      const key = this.shared === 0 ? suffix : Buffer.concat([first.subarray(0, this.shared), suffix]);
      if (key.length > limits.treeKeyBytesMax || (key.length === 0 && this.level === 0)) throw corrupt('key length');
      if (this.level > 0 && this.endAt - this.valueAtByte !== nodeRefBytes) throw corrupt('reference');
      if (previous !== undefined && compareKeys(previous, key) >= 0) throw corrupt('key order');
      if (restart) first = key;
      previous = key;
      at = this.endAt;
    }
    if (at !== bytes.length) throw corrupt('trailing bytes');
  }
}

/** A plain node of ascending keys. Entries start below 64 KiB, which the builder's sizes ensure. */
export function encodeNode(level: number, keys: readonly Bytes[], values: readonly Bytes[]): Buffer {
  let bound = headerBytes;
  for (let i = 0; i < keys.length; i++)
    bound += 2 + entryOverheadBytes + (keys[i] as Bytes).length + (values[i] as Bytes).length;
  const out = Buffer.allocUnsafe(bound);
  out[0] = format;
  out[1] = level;
  out.writeUInt16BE(keys.length, 2);
  out[4] = restartInterval;
  const base = headerBytes + 2 * keys.length;
  let at = base;
  let first: Bytes = out;
  for (let i = 0; i < keys.length; i++) {
    const key = keys[i] as Bytes;
    const value = values[i] as Bytes;
    out.writeUInt16BE(at - base, headerBytes + 2 * i);
    let shared = 0;
    if (i % restartInterval === 0) first = key;
    else shared = commonPrefix(first, key);
    at = writeVarint(out, at, shared);
    at = writeVarint(out, at, key.length - shared);
    at = writeVarint(out, at, value.length);
    out.set(shared === 0 ? key : key.subarray(shared), at);
    at += key.length - shared;
    out.set(value, at);
    at += value.length;
  }
  // The node stays in the cache: it should not hold much more than it shows.
  return at * 4 < bound * 3 ? Buffer.from(out.subarray(0, at)) : out.subarray(0, at);
}

/** A reference as the value of an inner node's entry. */
export function encodeNodeRef(ref: NodeRef): Buffer {
  const out = Buffer.allocUnsafe(nodeRefBytes);
  out.set(ref.address, 0);
  out.set(ref.key, addressBytes);
  out.writeUIntBE(ref.stored, addressBytes + keyBytes, 3);
  return out;
}

function writeVarint(out: Buffer, at: number, value: number): number {
  let rest = value;
  let place = at;
  for (; rest > 127; rest >>>= 7) out[place++] = (rest & 127) | 128;
  out[place++] = rest;
  return place;
}

function corrupt(what: string): InfinitError {
  return new InfinitError('corrupt', `tree node is malformed: ${what}`);
}
