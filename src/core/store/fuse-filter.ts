// Binary fuse filters (three-wise): a set of addresses in about 9 bits each that has every address put in, and few others. Says
// what a sweep must keep (docs/protocols.md 5). Layout: format u8 = 1, bits of a fingerprint u8 (8, 16, 32), log2 of the segment
// length u8, segments u32, addresses u32, seed 2 x u32, the fingerprints (big-endian). Without addresses there are no segments.

import { asBuffer, type Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { hash } from '../crypto/hash.ts';

const format = 1;
const headerBytes = 3 + 4 + 4 + 8;
const arity = 3;
const attemptsMax = 100;
const segmentLogMax = 18;

/** Width of a fingerprint: one in 2^bits of the other addresses is taken for one of the set. */
export type FilterBits = 8 | 16 | 32;

/** Addresses as the filter sees them: two words of each. What is equal in both is one. */
export interface FilterKeys {
  high: Uint32Array;
  low: Uint32Array;
}

/** The words of an address: behind those that choose the arc. */
export function filterWords(address: Bytes): [number, number] {
  const bytes = asBuffer(address);
  return [bytes.readUInt32BE(8), bytes.readUInt32BE(12)];
}

/** Where a key's three fingerprints stand, and what they come to. */
interface Spot {
  first: number;
  second: number;
  third: number;
  print: number;
}

interface Shape {
  segmentLog: number;
  segments: number;
  seed: readonly [number, number];
}

/** The filter of the keys; `salt` makes its mistakes others than those of the filter before. */
export function buildFilter({ high, low }: FilterKeys, bits: FilterBits, salt: Bytes): Buffer {
  const keys = distinct(high, low);
  if (keys.length === 0) return assemble(bits, { segmentLog: 0, segments: 0, seed: [0, 0] }, 0, new Uint32Array(0));
  const { segmentLog, segments } = shapeFor(keys.length);
  for (let attempt = 0; attempt < attemptsMax; attempt++) {
    const drawn = hash(salt, Buffer.from([attempt]));
    const shape = { segmentLog, segments, seed: [drawn.readUInt32BE(0), drawn.readUInt32BE(4)] as const };
    const prints = solve(keys, high, low, shape);
    if (prints !== undefined) return assemble(bits, shape, keys.length, prints);
  }
  throw new InfinitError('internal', 'no filter of these addresses is found');
}

/** A filter from somewhere else. */
export class FuseFilter {
  readonly bits: FilterBits;
  /** Addresses it was made of. */
  readonly count: number;
  private readonly shape: Shape;
  private readonly prints: Buffer;
  private readonly spot: Spot = { first: 0, second: 0, third: 0, print: 0 };

  /** Throws `corrupt`, `unsupported`: afterwards every look is safe. */
  constructor(bytes: Bytes) {
    const buffer = asBuffer(bytes);
    if (buffer.length < headerBytes || buffer.length > limits.sweepFilterBytesMax) throw corrupt('length');
    if (buffer[0] !== format) throw new InfinitError('unsupported', `filter has format ${buffer[0]}`);
    const [bits, segmentLog] = [buffer[1], buffer[2] as number];
    if (bits !== 8 && bits !== 16 && bits !== 32) throw corrupt('fingerprints');
    const segments = buffer.readUInt32BE(3);
    const prints = segments === 0 ? 0 : (segments + arity - 1) * 2 ** segmentLog;
    if (segmentLog > segmentLogMax || segments * 2 ** segmentLog > 2 ** 31) throw corrupt('segments');
    if (buffer.length !== headerBytes + (prints * bits) / 8) throw corrupt('length');
    this.bits = bits;
    this.count = buffer.readUInt32BE(7);
    if (this.count > prints || (this.count === 0) !== (segments === 0)) throw corrupt('count');
    this.shape = { segmentLog, segments, seed: [buffer.readUInt32BE(11), buffer.readUInt32BE(15)] };
    this.prints = buffer.subarray(headerBytes);
  }

  /** True for every address put in, and for one in 2^bits of the others. */
  has(address: Bytes): boolean {
    if (this.count === 0) return false;
    const [high, low] = filterWords(address);
    const { spot } = this;
    place(high, low, this.shape, spot);
    const found = this.at(spot.first) ^ this.at(spot.second) ^ this.at(spot.third);
    return ((found ^ spot.print) & maskOf(this.bits)) === 0;
  }

  private at(index: number): number {
    if (this.bits === 8) return this.prints[index] as number;
    return this.bits === 16 ? this.prints.readUInt16BE(2 * index) : this.prints.readUInt32BE(4 * index);
  }
}

function maskOf(bits: FilterBits): number {
  return bits === 32 ? -1 : 2 ** bits - 1;
}

/** Segment length and number for so many keys: after Graf and Lemire, "Binary Fuse Filters" (2022). */
function shapeFor(count: number): { segmentLog: number; segments: number } {
  const wanted = Math.floor(Math.log(count) / Math.log(3.33) + 2.25);
  const segmentLog = Math.min(Math.max(wanted, 2), segmentLogMax);
  const factor = count <= 1 ? 2 : Math.max(1.125, 0.875 + (0.25 * Math.log(1e6)) / Math.log(count));
  const segments = Math.ceil((count * factor) / 2 ** segmentLog) - (arity - 1);
  return { segmentLog, segments: Math.max(1, segments) };
}

/** Which keys are no repetition of an earlier one. */
function distinct(high: Uint32Array, low: Uint32Array): Uint32Array {
  const size = 2 ** Math.ceil(Math.log2(Math.max(4, 2 * high.length)));
  const table = new Int32Array(size).fill(-1);
  const kept = new Uint32Array(high.length);
  let count = 0;
  for (let i = 0; i < high.length; i++) {
    let at = (mix(high[i] as number) ^ (low[i] as number)) & (size - 1);
    for (let other = table[at] as number; other >= 0; other = table[at] as number) {
      if (high[other] === high[i] && low[other] === low[i]) break;
      at = (at + 1) & (size - 1);
    }
    if ((table[at] as number) >= 0) continue;
    table[at] = i;
    kept[count++] = i;
  }
  return kept.subarray(0, count);
}

/** The fingerprints, when the keys can be taken off one by one, each from a place it has alone; else another seed is needed. */
function solve(keys: Uint32Array, high: Uint32Array, low: Uint32Array, shape: Shape): Uint32Array | undefined {
  const length = (shape.segments + arity - 1) * 2 ** shape.segmentLog;
  const counts = new Uint32Array(length);
  const mixed = new Uint32Array(length);
  const spot: Spot = { first: 0, second: 0, third: 0, print: 0 };
  for (const key of keys) {
    place(high[key] as number, low[key] as number, shape, spot);
    change(counts, mixed, spot.first, key, 1);
    change(counts, mixed, spot.second, key, 1);
    change(counts, mixed, spot.third, key, 1);
  }
  const order = new Uint32Array(keys.length);
  const places = new Uint32Array(keys.length);
  const alone: number[] = [];
  for (let at = 0; at < length; at++) if (counts[at] === 1) alone.push(at);
  let taken = 0;
  for (let at = alone.pop(); at !== undefined; at = alone.pop()) {
    if (counts[at] !== 1) continue;
    const key = mixed[at] as number;
    order[taken] = key;
    places[taken++] = at;
    place(high[key] as number, low[key] as number, shape, spot);
    const { first, second, third } = spot;
    if (change(counts, mixed, first, key, -1) === 1) alone.push(first);
    if (change(counts, mixed, second, key, -1) === 1) alone.push(second);
    if (change(counts, mixed, third, key, -1) === 1) alone.push(third);
  }
  if (taken < keys.length) return undefined;
  const prints = new Uint32Array(length);
  for (let i = taken - 1; i >= 0; i--) {
    const key = order[i] as number;
    place(high[key] as number, low[key] as number, shape, spot);
    const at = places[i] as number;
    prints[at] = 0;
    const { first, second, third, print } = spot;
    prints[at] = print ^ (prints[first] as number) ^ (prints[second] as number) ^ (prints[third] as number);
  }
  return prints;
}

/** One more or one less key at a place: how many are there now. */
function change(counts: Uint32Array, mixed: Uint32Array, at: number, key: number, by: number): number {
  const count = (counts[at] as number) + by;
  counts[at] = count;
  mixed[at] = (mixed[at] as number) ^ key;
  return count;
}

/** One place in each of three segments that follow each other. The mixing is a bijection of the two words. */
function place(high: number, low: number, { segmentLog, segments, seed }: Shape, spot: Spot): void {
  const segmentLength = 2 ** segmentLog;
  let a = (high ^ seed[0]) | 0;
  let b = (low ^ seed[1]) | 0;
  a = (a + mix(b)) | 0;
  b = (b + mix(a)) | 0;
  a = (a + mix(b ^ 0x27d4eb2f)) | 0;
  b = (b + mix(a ^ 0x165667b1)) | 0;
  const first = Math.floor(((a >>> 0) / 2 ** 32) * (segments * segmentLength));
  spot.first = first;
  spot.second = (first + segmentLength) ^ ((b >>> 0) & (segmentLength - 1));
  spot.third = (first + 2 * segmentLength) ^ ((b >>> (32 - segmentLog)) & (segmentLength - 1));
  spot.print = mix(a ^ Math.imul(b, 0x9e3779b1));
}

function mix(word: number): number {
  let x = word | 0;
  x = Math.imul(x ^ (x >>> 16), 0x85ebca6b);
  x = Math.imul(x ^ (x >>> 13), 0xc2b2ae35);
  return x ^ (x >>> 16);
}

function assemble(bits: FilterBits, { segmentLog, segments, seed }: Shape, count: number, prints: Uint32Array): Buffer {
  const out = Buffer.alloc(headerBytes + (prints.length * bits) / 8);
  out[0] = format;
  out[1] = bits;
  out[2] = segmentLog;
  out.writeUInt32BE(segments, 3);
  out.writeUInt32BE(count, 7);
  out.writeUInt32BE(seed[0], 11);
  out.writeUInt32BE(seed[1], 15);
  for (let i = 0; i < prints.length; i++) {
    const print = prints[i] as number;
    if (bits === 8) out[headerBytes + i] = print;
    else if (bits === 16) out.writeUInt16BE(print & 0xffff, headerBytes + 2 * i);
    else out.writeUInt32BE(print, headerBytes + 4 * i);
  }
  return out;
}

function corrupt(what: string): InfinitError {
  return new InfinitError('corrupt', `filter is malformed: ${what}`);
}
