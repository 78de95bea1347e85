// What stands in the segment files, byte by byte; docs/formats.md has the same as a table. Integers are big-endian. The salt
// is secret and seeds the checksum of headers, so that nothing a user stores can pass for a record of ours.

import { crc32 } from 'node:zlib';
import type { Bytes } from '../../base/bytes.ts';
import { keyBytes, recordHeaderBytes } from '../entries.ts';

/** Every flush and the first record of a segment start at a multiple of this: the unit of direct I/O. */
export const pageBytes = 4096;

/** "ISR1": a record of format 1. */
const recordMagic = 0x49_53_52_31;
/** "ISS1": a segment of format 1. */
const segmentMagic = 0x49_53_53_31;

export const recordFlags = { deletion: 1, end: 2, moved: 4 } as const;
const allFlags = 7;

export interface RecordHeader {
  flags: number;
  space: number;
  /** Number of the flush that wrote it; consecutive over the whole log. */
  flush: number;
  /** Which opening of the silo wrote it: tells what a crash left from what came after. */
  opening: number;
  /** The serial of its segment: a recycled segment holds older records, which do not count. */
  serial: number;
  length: number;
  /** The silo's count of changes up to and with this record. */
  sequence: number;
  key: Bytes;
  valueChecksum: number;
}

export function alignUp(position: number): number {
  return Math.ceil(position / pageBytes) * pageBytes;
}

export function checksum(value: Bytes): number {
  return crc32(value);
}

export function writeRecordHeader(into: Buffer, at: number, header: RecordHeader, salt: number): void {
  into.writeUInt32BE(recordMagic, at);
  into[at + 4] = header.flags;
  into[at + 5] = header.space;
  into.writeUIntBE(header.flush, at + 6, 6);
  into.writeUInt32BE(header.opening, at + 12);
  into.writeUInt32BE(header.serial, at + 16);
  into.writeUInt32BE(header.length, at + 20);
  into.writeUIntBE(header.sequence, at + 24, 6);
  into.writeUInt16BE(0, at + 30);
  into.set(header.key, at + 32);
  into.writeUInt32BE(header.valueChecksum, at + 64);
  into.writeUInt32BE(crc32(into.subarray(at, at + 68), salt), at + 68);
}

/** Sets the flags of a record already written. */
export function resealRecord(into: Buffer, at: number, flags: number, salt: number): void {
  into[at + 4] = flags;
  into.writeUInt32BE(crc32(into.subarray(at, at + 68), salt), at + 68);
}

/** Undefined when there is no record of this silo. The key shares the memory of the buffer. */
export function readRecordHeader(from: Buffer, at: number, salt: number): RecordHeader | undefined {
  if (at + recordHeaderBytes > from.length || from.readUInt32BE(at) !== recordMagic) return undefined;
  if (from.readUInt32BE(at + 68) !== crc32(from.subarray(at, at + 68), salt)) return undefined;
  const flags = from.readUInt8(at + 4);
  if (flags > allFlags || from.readUInt16BE(at + 30) !== 0) return undefined;
  return {
    flags,
    space: from.readUInt8(at + 5),
    flush: from.readUIntBE(at + 6, 6),
    opening: from.readUInt32BE(at + 12),
    serial: from.readUInt32BE(at + 16),
    length: from.readUInt32BE(at + 20),
    sequence: from.readUIntBE(at + 24, 6),
    key: from.subarray(at + 32, at + 32 + keyBytes),
    valueChecksum: from.readUInt32BE(at + 64),
  };
}

/** A copy of the bytes where the key of a record stands, whether the record is sound or not. */
export function rawKey(record: Buffer): Buffer {
  return Buffer.from(record.subarray(32, 32 + keyBytes));
}

/** Fills a page with the header of a segment. */
export function writeSegmentHeader(page: Buffer, serial: number, salt: number): void {
  page.fill(0);
  page.writeUInt32BE(segmentMagic, 0);
  page.writeUInt32BE(serial, 4);
  page.writeUInt32BE(crc32(page.subarray(0, 8), salt), 8);
}

/** The serial, or undefined when it is no segment of this silo. */
export function readSegmentHeader(page: Buffer, salt: number): number | undefined {
  if (page.length < 12 || page.readUInt32BE(0) !== segmentMagic) return undefined;
  if (page.readUInt32BE(8) !== crc32(page.subarray(0, 8), salt)) return undefined;
  return page.readUInt32BE(4);
}
