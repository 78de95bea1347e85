// Byte strings. `Bytes` is Uint8Array in signatures; what this project makes itself are Buffers, which are faster to slice,
// compare and print. Bytes handed to another part are never changed afterwards by either side.

export type Bytes = Uint8Array;

/** The same memory seen as a Buffer; no copy. */
export function asBuffer(bytes: Bytes): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

export function equalBytes(a: Bytes, b: Bytes): boolean {
  return a.length === b.length && Buffer.compare(a, b) === 0;
}

/** Lexicographic order, as `sort` wants it. */
export function compareBytes(a: Bytes, b: Bytes): number {
  return Buffer.compare(a, b);
}

export function concatBytes(parts: readonly Bytes[]): Buffer {
  return parts.length === 1 ? asBuffer(parts[0] as Bytes) : Buffer.concat(parts);
}

/** Lower-case hexadecimal; also the form in which byte strings become keys of maps. */
export function toHex(bytes: Bytes): string {
  return asBuffer(bytes).toString('hex');
}

export function fromHex(text: string): Buffer {
  return Buffer.from(text, 'hex');
}

export function toBase64(bytes: Bytes): string {
  return asBuffer(bytes).toString('base64');
}

export function fromBase64(text: string): Buffer {
  return Buffer.from(text, 'base64');
}

/** Whether a text is the only base64 of so many bytes. */
export function isBase64(text: string, bytes: number): boolean {
  const decoded = fromBase64(text);
  return decoded.length === bytes && toBase64(decoded) === text;
}

export function utf8(text: string): Buffer {
  return Buffer.from(text, 'utf8');
}

/** Big-endian integers as byte strings, so that byte order is number order in keys. */
export function u16Bytes(value: number): Buffer {
  const out = Buffer.allocUnsafe(2);
  out.writeUInt16BE(value);
  return out;
}
export function u32Bytes(value: number): Buffer {
  const out = Buffer.allocUnsafe(4);
  out.writeUInt32BE(value);
  return out;
}
export function u48Bytes(value: number): Buffer {
  const out = Buffer.allocUnsafe(6);
  out.writeUIntBE(value, 0, 6);
  return out;
}
/** A safe integer (below 2^53) in eight bytes. */
export function u64Bytes(value: number): Buffer {
  const out = Buffer.allocUnsafe(8);
  out.writeUInt32BE(Math.floor(value / 0x1_0000_0000), 0);
  out.writeUInt32BE(value >>> 0, 4);
  return out;
}

/** The bytes as text of one character each: a key of maps, in the order of the bytes. */
export function latin1Of(bytes: Bytes): string {
  return asBuffer(bytes).toString('latin1');
}
