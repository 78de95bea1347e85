// Names of entries and extended attributes: which are allowed, and the keyed hash that stands for a name in keys, so that
// nobody without the tree's secret can aim collisions.

import { asBuffer, type Bytes, utf8 } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { hash, hmac } from '../../crypto/hash.ts';
import { fileError } from './files.ts';
import { hashBytes } from './records.ts';

/** Cookies below have fixed meanings: start, `.`, `..`. */
const reserved = 16;
const slash = 0x2f;
const dot = 0x2e;

/** What an ending of a name has at most, its dot included. */
const endingBytesMax = 16;

/** 63 bits of a name, big-endian. */
export interface NameHash {
  of(name: Bytes): Buffer;
}

/** The hash of the format, with the newest names remembered. */
export class NameHashes implements NameHash {
  private readonly key: Bytes;
  private readonly known = new Map<string, Buffer>();

  constructor(key: Bytes) {
    this.key = key;
  }

  /** Names remembered. */
  get size(): number {
    return this.known.size;
  }

  of(name: Bytes): Buffer {
    const text = asBuffer(name).toString('latin1');
    const found = this.known.get(text);
    if (found !== undefined) {
      this.known.delete(text);
      this.known.set(text, found);
      return found;
    }
    const made = hashName(this.key, name);
    this.known.set(text, made);
    if (this.known.size > limits.nameHashesMax) this.known.delete(this.known.keys().next().value as string);
    return made;
  }
}

function hashName(key: Bytes, name: Bytes): Buffer {
  let digest = hmac(key, name);
  for (;;) {
    const value = digest.readBigUInt64BE() >> 1n;
    if (value >= reserved) {
      const out = Buffer.allocUnsafe(hashBytes);
      out.writeBigUInt64BE(value);
      return out;
    }
    digest = hash(digest);
  }
}

export function isDot(name: Bytes): boolean {
  return name.length === 1 && name[0] === dot;
}
export function isDotDot(name: Bytes): boolean {
  return name.length === 2 && name[0] === dot && name[1] === dot;
}

/** A name an entry may have. Throws `name-too-long`, `invalid`. */
export function checkName(name: Bytes): void {
  checkLength(name);
  if (name.includes(slash) || isDot(name) || isDotDot(name)) throw fileError('invalid', 'no entry may have this name');
}

/** A name an extended attribute may have. Throws `name-too-long`, `invalid`. */
export function checkExtendedName(name: Bytes): void {
  checkLength(name);
}

function checkLength(name: Bytes): void {
  if (name.length > limits.fileNameBytesMax) throw fileError('name-too-long', 'a name has at most 255 bytes');
  if (name.length === 0 || name.includes(0)) throw fileError('invalid', 'a name has bytes other than 0');
}

/** `report (label).odt`, `report (label 2).odt`, ...: no longer than a name may be. */
export function nameBeside(name: Bytes, label: string, count: number): Buffer {
  const text = asBuffer(name);
  const dot = text.lastIndexOf('.');
  const stemEnd = dot > 0 && text.length - dot <= endingBytesMax ? dot : text.length;
  const tail = text.subarray(stemEnd);
  const mark = utf8(` (${label}${count === 1 ? '' : ` ${count}`})`);
  const stem = text.subarray(0, Math.min(stemEnd, limits.fileNameBytesMax - mark.length - tail.length));
  return Buffer.concat([wholeCharacters(stem), mark, tail]);
}

/** Without the first bytes of a character that was cut off. */
function wholeCharacters(stem: Buffer): Buffer {
  let lead = stem.length - 1;
  while (lead >= 0 && stem.length - lead < 4 && ((stem[lead] as number) & 0xc0) === 0x80) lead--;
  const byte = stem[lead] ?? 0;
  const wanted = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
  return stem.length - lead < wanted ? stem.subarray(0, lead) : stem;
}
