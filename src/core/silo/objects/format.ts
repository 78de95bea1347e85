// The bytes of packs: what is in an object of an object store, field by field as docs/formats-silo.md has it. A table in front
// says where each value is, so that the tables alone bring a silo up to date.

import { crc32 } from 'node:zlib';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';

export const headerBytes = 64;
export const rowBytes = 96;
/** The first bytes of a value stand in the tables and in memory; a value that ends with them has no other place. */
export const startBytesMax = 40;
const magic = 'IOP1';
const deletionFlag = 1;
const movedFlag = 2;
const keyAt = 20;
const startAt = 52;

/** A change as the table of a pack has it. */
export interface PackRow {
  space: number;
  key: Buffer;
  /** Number of the change since formatting; a value that was moved keeps its own. */
  sequence: number;
  deletion: boolean;
  moved: boolean;
  /** From the start of the pack; 0 when the value is no longer than `start`. */
  offset: number;
  length: number;
  checksum: number;
  start: Buffer;
}

export interface PackHeader {
  number: number;
  /** All packs up to this number were durable when it was written. */
  confirmed: number;
  /** The newest durable checkpoint then; 0: none. */
  checkpoint: number;
  opening: number;
  writer: Buffer;
  rows: number;
  /** Of the whole pack. */
  bytes: number;
}

/** A change to be written. */
export interface PackedChange {
  space: number;
  key: Bytes;
  value: Bytes | undefined;
  sequence: number;
  moved: boolean;
}

export interface Pack {
  header: PackHeader;
  rows: PackRow[];
  /** What the object holds, in order. */
  parts: Bytes[];
}

/** A pack of these changes. */
export function layOutPack(
  header: Omit<PackHeader, 'rows' | 'bytes'>,
  changes: readonly PackedChange[],
  salt: number,
): Pack {
  const table = Buffer.alloc(headerBytes + changes.length * rowBytes);
  const parts: Bytes[] = [table];
  let end = table.length;
  const rows = changes.map((change, index) => {
    const row = rowOf(change, end);
    if (row.offset > 0) {
      parts.push(change.value as Bytes);
      end += row.length;
    }
    writeRow(table, headerBytes + index * rowBytes, row);
    return row;
  });
  const whole = { ...header, rows: rows.length, bytes: end };
  writeHeader(table, whole, salt);
  return { header: whole, rows, parts };
}

function rowOf({ space, key, value, sequence, moved }: PackedChange, end: number): PackRow {
  const length = value?.length ?? 0;
  return {
    space,
    key: Buffer.from(key),
    sequence,
    deletion: value === undefined,
    moved,
    offset: length > startBytesMax ? end : 0,
    length,
    checksum: value === undefined ? 0 : crc32(value),
    start: Buffer.from(value?.subarray(0, startBytesMax) ?? []),
  };
}

function writeRow(into: Buffer, at: number, row: PackRow): void {
  into[at] = (row.deletion ? deletionFlag : 0) | (row.moved ? movedFlag : 0);
  into[at + 1] = row.space;
  into.writeUIntBE(row.sequence, at + 2, 6);
  into.writeUInt32BE(row.offset, at + 8);
  into.writeUInt32BE(row.length, at + 12);
  into.writeUInt32BE(row.checksum, at + 16);
  into.set(row.key, at + keyAt);
  into.set(row.start, at + startAt);
}

function readRow(from: Buffer, at: number): PackRow {
  const flags = from[at] as number;
  const length = from.readUInt32BE(at + 12);
  return {
    deletion: (flags & deletionFlag) !== 0,
    moved: (flags & movedFlag) !== 0,
    space: from[at + 1] as number,
    sequence: from.readUIntBE(at + 2, 6),
    offset: from.readUInt32BE(at + 8),
    length,
    checksum: from.readUInt32BE(at + 16),
    key: from.subarray(at + keyAt, at + startAt),
    start: from.subarray(at + startAt, at + startAt + Math.min(length, startBytesMax)),
  };
}

function writeHeader(table: Buffer, header: PackHeader, salt: number): void {
  table.write(magic, 0, 'latin1');
  table.writeUIntBE(header.number, 4, 6);
  table.writeUIntBE(header.confirmed, 10, 6);
  table.writeUIntBE(header.checkpoint, 16, 6);
  table.writeUInt32BE(header.opening, 22);
  table.set(header.writer, 26);
  table.writeUInt32BE(header.rows, 34);
  table.writeUInt32BE(header.bytes, 38);
  table.writeUInt32BE(checksumOf(table, salt), headerBytes - 4);
}

/** Of the header and the table, but for the checksum itself. */
function checksumOf(table: Buffer, salt: number): number {
  return crc32(table.subarray(headerBytes), crc32(table.subarray(0, headerBytes - 4), salt));
}

/** Who wrote a pack, as far as its first bytes tell. */
export function writerOf(start: Buffer): Pick<PackHeader, 'opening' | 'writer'> {
  if (start.length < headerBytes) return { opening: 0, writer: Buffer.alloc(0) };
  return { opening: start.readUInt32BE(22), writer: Buffer.from(start.subarray(26, 34)) };
}

/** How long header and table are, by the first bytes of a pack; undefined when it is none. */
export function tableBytes(start: Buffer): number | undefined {
  if (start.length < headerBytes || start.toString('latin1', 0, 4) !== magic) return undefined;
  const rows = start.readUInt32BE(34);
  return rows > limits.packRowsMax ? undefined : headerBytes + rows * rowBytes;
}

/** Header and rows of a pack, by its bytes up to the end of the table. Throws `corrupt`. */
export function readTable(table: Buffer, salt: number): { header: PackHeader; rows: PackRow[] } {
  const length = tableBytes(table);
  if (length === undefined || length > table.length) throw new InfinitError('corrupt', 'a pack has no table');
  const whole = table.subarray(0, length);
  if (whole.readUInt32BE(headerBytes - 4) !== checksumOf(whole, salt))
    throw new InfinitError('corrupt', 'the table of a pack fails its checksum');
  const rows: PackRow[] = [];
  for (let at = headerBytes; at < length; at += rowBytes) rows.push(readRow(whole, at));
  const header = {
    number: whole.readUIntBE(4, 6),
    confirmed: whole.readUIntBE(10, 6),
    checkpoint: whole.readUIntBE(16, 6),
    ...writerOf(whole),
    rows: rows.length,
    bytes: whole.readUInt32BE(38),
  };
  return { header, rows };
}

const numberDigits = 13;

export function packName(number: number): string {
  return `pack-${String(number).padStart(numberDigits, '0')}`;
}

/** The number in the name of a pack; undefined for other objects. */
export function packNumber(name: string): number | undefined {
  const match = /^pack-(\d{13})$/.exec(name);
  return match === null ? undefined : Number(match[1]);
}
