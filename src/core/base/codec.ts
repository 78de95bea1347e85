// Binary codecs, built by combination: one value describes a type, its bytes and its limits. Encodings are canonical (one
// value has one encoding), so the same bytes are stored, sent, hashed and signed. Decoding trusts nothing: every length has
// a limit and every violation throws `corrupt`. Integers are big-endian.
//
// `attachment` fields travel behind the encoded header without being copied into it: see `Encoded`.

import { asBuffer, type Bytes } from './bytes.ts';
import { InfinitError } from './errors.ts';

/** An encoded value: the header, and attached byte strings in order, to be sent behind it as they are. */
export interface Encoded {
  header: Buffer;
  attachments: Bytes[];
}

/** How a type is written and read. */
export interface Codec<T> {
  write(writer: Writer, value: T): void;
  read(reader: Reader): T;
}

export type CodecType<C> = C extends Codec<infer T> ? T : never;

function corrupt(message: string): InfinitError {
  return new InfinitError('corrupt', message);
}

/** A growing buffer. */
export class Writer {
  private buffer: Buffer;
  private length = 0;
  private readonly apart: boolean;
  readonly attachments: Bytes[] = [];

  /** With `apart`, attachments are collected; else they are written in place. */
  constructor(sizeHint = 256, apart = false) {
    this.apart = apart;
    this.buffer = Buffer.allocUnsafe(sizeHint);
  }

  private reserve(bytes: number): number {
    const at = this.length;
    const needed = at + bytes;
    if (needed > this.buffer.length) {
      const grown = Buffer.allocUnsafe(Math.max(needed, this.buffer.length * 2));
      this.buffer.copy(grown, 0, 0, at);
      this.buffer = grown;
    }
    this.length = needed;
    return at;
  }

  u8(value: number): void {
    const at = this.reserve(1);
    this.buffer[at] = value;
  }
  u16(value: number): void {
    const at = this.reserve(2);
    this.buffer.writeUInt16BE(value, at);
  }
  u32(value: number): void {
    const at = this.reserve(4);
    this.buffer.writeUInt32BE(value, at);
  }
  u48(value: number): void {
    const at = this.reserve(6);
    this.buffer.writeUIntBE(value, at, 6);
  }
  u64(value: number): void {
    if (!Number.isSafeInteger(value) || value < 0) throw new RangeError(`not an unsigned safe integer: ${value}`);
    const at = this.reserve(8);
    this.buffer.writeUInt32BE(Math.floor(value / 0x1_0000_0000), at);
    this.buffer.writeUInt32BE(value >>> 0, at + 4);
  }
  raw(bytes: Bytes): void {
    const at = this.reserve(bytes.length);
    this.buffer.set(bytes, at);
  }
  attach(bytes: Bytes): void {
    if (this.apart) this.attachments.push(bytes);
    else this.raw(bytes);
  }
  /** What was written so far; the writer must not be used afterwards. */
  finish(): Buffer {
    return this.buffer.subarray(0, this.length);
  }
}

/** Reads from one buffer; slices share its memory. */
export class Reader {
  private readonly buffer: Buffer;
  private at: number;
  /** Where the next attachment starts. */
  private attachmentAt: number;
  private readonly apart: boolean;
  private readonly headerEnd: number;

  /** With a header length, attachments stand behind the header; else they are in place. */
  constructor(bytes: Bytes, headerLength?: number) {
    this.buffer = asBuffer(bytes);
    this.at = 0;
    this.apart = headerLength !== undefined;
    this.headerEnd = headerLength ?? bytes.length;
    this.attachmentAt = this.headerEnd;
  }

  get remaining(): number {
    return this.headerEnd - this.at;
  }

  private take(bytes: number): number {
    const at = this.at;
    if (at + bytes > this.headerEnd) throw corrupt('value is truncated');
    this.at = at + bytes;
    return at;
  }

  u8(): number {
    return this.buffer[this.take(1)] as number;
  }
  u16(): number {
    return this.buffer.readUInt16BE(this.take(2));
  }
  u32(): number {
    return this.buffer.readUInt32BE(this.take(4));
  }
  u48(): number {
    return this.buffer.readUIntBE(this.take(6), 6);
  }
  u64(): number {
    const at = this.take(8);
    const high = this.buffer.readUInt32BE(at);
    if (high > 0x1f_ffff) throw corrupt('integer is above 2^53');
    return high * 0x1_0000_0000 + this.buffer.readUInt32BE(at + 4);
  }
  raw(length: number): Buffer {
    const at = this.take(length);
    return this.buffer.subarray(at, at + length);
  }
  attached(length: number): Buffer {
    if (!this.apart) return this.raw(length);
    const at = this.attachmentAt;
    if (at + length > this.buffer.length) throw corrupt('attachment is truncated');
    this.attachmentAt = at + length;
    return this.buffer.subarray(at, at + length);
  }
  /** Throws `corrupt` when bytes are left over. */
  end(): void {
    if (this.at !== this.headerEnd) throw corrupt('value has trailing bytes');
    if (this.attachmentAt !== this.buffer.length) throw corrupt('value has trailing attachments');
  }
}

/** Encodes a value into one byte string. */
export function encode<T>(codec: Codec<T>, value: T): Buffer {
  const writer = new Writer();
  codec.write(writer, value);
  return writer.finish();
}

/** Decodes a value that fills the bytes exactly. Throws `corrupt`. */
export function decode<T>(codec: Codec<T>, bytes: Bytes): T {
  const reader = new Reader(bytes);
  const value = codec.read(reader);
  reader.end();
  return value;
}

/** Encodes a value, keeping attachments apart so that they need no copy. */
export function encodeParts<T>(codec: Codec<T>, value: T): Encoded {
  const writer = new Writer(256, true);
  codec.write(writer, value);
  return { header: writer.finish(), attachments: writer.attachments };
}

/** Decodes what `encodeParts` made: a header of the given length with its attachments behind it. Throws `corrupt`. */
export function decodeParts<T>(codec: Codec<T>, bytes: Bytes, headerLength: number): T {
  if (headerLength > bytes.length) throw corrupt('header is truncated');
  const reader = new Reader(bytes, headerLength);
  const value = codec.read(reader);
  reader.end();
  return value;
}

export const u8: Codec<number> = { write: (w, v) => w.u8(v), read: (r) => r.u8() };
export const u16: Codec<number> = { write: (w, v) => w.u16(v), read: (r) => r.u16() };
export const u32: Codec<number> = { write: (w, v) => w.u32(v), read: (r) => r.u32() };
export const u48: Codec<number> = { write: (w, v) => w.u48(v), read: (r) => r.u48() };
/** A non-negative safe integer. */
export const u64: Codec<number> = { write: (w, v) => w.u64(v), read: (r) => r.u64() };

export const bool: Codec<boolean> = {
  write: (w, v) => w.u8(v ? 1 : 0),
  read: (r) => {
    const value = r.u8();
    if (value > 1) throw corrupt('not a boolean');
    return value === 1;
  },
};

/** Nothing at all. */
export const empty: Codec<Record<string, never>> = { write: () => {}, read: () => ({}) };

/** Exactly `length` bytes. */
export function fixed(length: number): Codec<Bytes> {
  return {
    write: (w, v) => {
      if (v.length !== length) throw new RangeError(`expected ${length} bytes, got ${v.length}`);
      w.raw(v);
    },
    read: (r) => r.raw(length),
  };
}

/** Up to `limit` bytes behind a length. */
export function bytes(limit: number): Codec<Bytes> {
  return {
    write: (w, v) => {
      if (v.length > limit) throw new InfinitError('full', `byte string of ${v.length} is above the limit of ${limit}`);
      w.u32(v.length);
      w.raw(v);
    },
    read: (r) => {
      const length = r.u32();
      if (length > limit) throw corrupt(`byte string of ${length} is above the limit of ${limit}`);
      return r.raw(length);
    },
  };
}

/** Up to `limit` bytes that travel behind the header without a copy; one value may hold several, in order. */
export function attachment(limit: number): Codec<Bytes> {
  return {
    write: (w, v) => {
      if (v.length > limit) throw new InfinitError('full', `attachment of ${v.length} is above the limit of ${limit}`);
      w.u32(v.length);
      w.attach(v);
    },
    read: (r) => {
      const length = r.u32();
      if (length > limit) throw corrupt(`attachment of ${length} is above the limit of ${limit}`);
      return r.attached(length);
    },
  };
}

const strictUtf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

/** UTF-8 text of up to `limit` bytes. */
export function text(limit: number): Codec<string> {
  const inner = bytes(limit);
  return {
    write: (w, v) => inner.write(w, Buffer.from(v, 'utf8')),
    read: (r) => {
      try {
        return strictUtf8.decode(inner.read(r));
      } catch (error) {
        if (error instanceof InfinitError) throw error;
        throw corrupt('text is not UTF-8');
      }
    },
  };
}

/** One of a fixed list of words, by index. Append only: the index is the encoding. */
export function oneOf<const W extends readonly string[]>(words: W): Codec<W[number]> {
  return {
    write: (w, v) => {
      const index = words.indexOf(v);
      if (index < 0) throw new RangeError(`not one of ${words.join(', ')}: ${v}`);
      w.u8(index);
    },
    read: (r) => {
      const word = words[r.u8()];
      if (word === undefined) throw corrupt(`not one of ${words.join(', ')}`);
      return word;
    },
  };
}

/** Up to `limit` items. */
export function list<T>(item: Codec<T>, limit: number): Codec<T[]> {
  return {
    write: (w, v) => {
      if (v.length > limit) throw new InfinitError('full', `list of ${v.length} is above the limit of ${limit}`);
      w.u32(v.length);
      for (const entry of v) item.write(w, entry);
    },
    read: (r) => {
      const length = r.u32();
      if (length > limit) throw corrupt(`list of ${length} is above the limit of ${limit}`);
      const out: T[] = [];
      for (let i = 0; i < length; i++) out.push(item.read(r));
      return out;
    },
  };
}

/** A value that may be absent. */
export function optional<T>(inner: Codec<T>): Codec<T | undefined> {
  return {
    write: (w, v) => {
      w.u8(v === undefined ? 0 : 1);
      if (v !== undefined) inner.write(w, v);
    },
    read: (r) => (bool.read(r) ? inner.read(r) : undefined),
  };
}

/** Fields in the given order. */
export function struct<S extends Record<string, Codec<never> | Codec<unknown>>>(
  fields: S,
): Codec<{ [K in keyof S]: CodecType<S[K]> }> {
  const entries = Object.entries(fields) as [string, Codec<unknown>][];
  return {
    write: (w, v) => {
      for (const [name, codec] of entries) codec.write(w, (v as Record<string, unknown>)[name]);
    },
    read: (r) => {
      const out: Record<string, unknown> = {};
      for (const [name, codec] of entries) out[name] = codec.read(r);
      return out as { [K in keyof S]: CodecType<S[K]> };
    },
  };
}

/**
 * One of several shapes told apart by their `type` field. The order of the cases is the encoding: append only.
 * `union({ get: struct({ key }), put: struct({ key, value }) })` encodes `{ type: 'put', key, value }`.
 */
export function union<S extends Record<string, Codec<never> | Codec<unknown>>>(
  cases: S,
): Codec<{ [K in keyof S & string]: { type: K } & CodecType<S[K]> }[keyof S & string]> {
  const names = Object.keys(cases);
  const codecs = Object.values(cases) as Codec<unknown>[];
  return {
    write: (w, v) => {
      const index = names.indexOf((v as { type: string }).type);
      const codec = codecs[index];
      if (codec === undefined) throw new RangeError(`unknown case ${(v as { type: string }).type}`);
      w.u8(index);
      codec.write(w, v);
    },
    read: (r) => {
      const index = r.u8();
      const codec = codecs[index];
      if (codec === undefined) throw corrupt('unknown case');
      return { type: names[index], ...(codec.read(r) as object) } as never;
    },
  };
}

/** The same bytes seen as another type (branded bytes, wrapped numbers). */
export function mapped<T, U>(inner: Codec<T>, to: (value: T) => U, from: (value: U) => T): Codec<U> {
  return { write: (w, v) => inner.write(w, from(v)), read: (r) => to(inner.read(r)) };
}

/** A length-prefixed inner value: skippable, and a boundary for what it holds. */
export function nested<T>(inner: Codec<T>, limit: number): Codec<T> {
  const outer = bytes(limit);
  return { write: (w, v) => outer.write(w, encode(inner, v)), read: (r) => decode(inner, outer.read(r)) };
}
