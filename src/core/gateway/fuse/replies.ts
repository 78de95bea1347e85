// Answers to the kernel as bytes. Each has room for the header in front, so that one write sends it; data read from files goes
// out in its own pieces, uncopied.

import type { Bytes } from '../../base/bytes.ts';
import type { Attributes, FileType, ListedEntry, Usage } from '../../volume/files/files.ts';
import { outHeaderBytes as head, initFlags, protocolMajor, putU64 } from './wire.ts';

/** An answer with room for its header, or pieces to send behind one. */
export type Reply = Buffer | readonly Bytes[];

export const emptyReply: readonly Bytes[] = [];

const attributeBytes = 88;
const entryBytes = 40 + attributeBytes;
const openBytes = 16;
const direntBytes = 24;
/** What stat(2) names as the best size of reads and writes: without a write-back cache each write is a request. */
const preferredBytes = 128 * 1024;
const blockBytes = 4096;
/** Files that could still be made: there is no table of inodes to fill. */
const inodesFree = 2 ** 31;

const formatOf: Readonly<Record<FileType, number>> = {
  file: 0o100000,
  directory: 0o040000,
  symlink: 0o120000,
  fifo: 0o010000,
  socket: 0o140000,
  'character-device': 0o020000,
  'block-device': 0o060000,
};

/** How attributes are shown: for how long they may be believed, and to whom. */
export interface Shown {
  validMs: number;
  mapOthers: boolean;
}

export function entryReply(node: number, attributes: Attributes, shown: Shown): Buffer {
  const reply = Buffer.allocUnsafe(head + entryBytes);
  putEntry(reply, head, node, attributes, shown);
  return reply;
}

/** The name does not exist, and that may be remembered. */
export function absentReply(validMs: number): Buffer {
  const reply = Buffer.alloc(head + entryBytes);
  putValidity(reply, head + 16, head + 32, validMs);
  return reply;
}

/** A file, which the kernel knows by its inode. */
export function createdReply(attributes: Attributes, shown: Shown, handle: number, flags: number): Buffer {
  const reply = Buffer.allocUnsafe(head + entryBytes + openBytes);
  putEntry(reply, head, attributes.inode, attributes, shown);
  putOpen(reply, head + entryBytes, handle, flags);
  return reply;
}

export function attributesReply(attributes: Attributes, shown: Shown): Buffer {
  const reply = Buffer.allocUnsafe(head + 16 + attributeBytes);
  putValidity(reply, head, head + 8, shown.validMs);
  reply.writeUInt32LE(0, head + 12);
  putAttributes(reply, head + 16, attributes, shown);
  return reply;
}

/** Files are known by their inode; the handle tells through which open file something was locked. */
export function openReply(handle: number, flags: number): Buffer {
  const reply = Buffer.allocUnsafe(head + openBytes);
  putOpen(reply, head, handle, flags);
  return reply;
}

/** A lock that is in the way; one to unlock when there is none. */
export function lockReply(lock: { start: bigint; end: bigint; type: number; pid: number }): Buffer {
  const reply = Buffer.allocUnsafe(head + 24);
  reply.writeBigUInt64LE(lock.start, head);
  reply.writeBigUInt64LE(lock.end, head + 8);
  reply.writeUInt32LE(lock.type, head + 16);
  reply.writeUInt32LE(lock.pid, head + 20);
  return reply;
}

/** Two words: the count of bytes written or wanted. */
export function countReply(count: number): Buffer {
  const reply = Buffer.allocUnsafe(head + 8);
  reply.writeUInt32LE(count, head);
  reply.writeUInt32LE(0, head + 4);
  return reply;
}

/** Of such a reply. */
export function countOf(reply: Buffer): number {
  return reply.readUInt32LE(head);
}

export function offsetReply(offset: number): Buffer {
  const reply = Buffer.allocUnsafe(head + 8);
  putU64(reply, head, offset);
  return reply;
}

export function usageReply(usage: Usage, nameBytesMax: number): Buffer {
  const reply = Buffer.alloc(head + 80);
  const freeBlocks = Math.floor(usage.freeBytes / blockBytes);
  putU64(reply, head, Math.floor(usage.totalBytes / blockBytes));
  putU64(reply, head + 8, freeBlocks);
  putU64(reply, head + 16, freeBlocks);
  putU64(reply, head + 24, usage.inodesUsed + inodesFree);
  putU64(reply, head + 32, inodesFree);
  reply.writeUInt32LE(blockBytes, head + 40);
  reply.writeUInt32LE(nameBytesMax, head + 44);
  reply.writeUInt32LE(blockBytes, head + 48);
  return reply;
}

/** Attributes with the time of birth, which GETATTR lacks. */
export function extendedAttributesReply(attributes: Attributes, shown: Shown): Buffer {
  const reply = Buffer.alloc(head + 32 + 256);
  const at = head + 32;
  putValidity(reply, head, head + 8, shown.validMs);
  const basicAndBirth = 0xfff;
  reply.writeUInt32LE(basicAndBirth, at);
  reply.writeUInt32LE(preferredBytes, at + 4);
  reply.writeUInt32LE(attributes.links >>> 0, at + 16);
  reply.writeUInt32LE(attributes.uid >>> 0, at + 20);
  reply.writeUInt32LE(attributes.gid >>> 0, at + 24);
  reply.writeUInt16LE(shownMode(attributes, shown), at + 28);
  putU64(reply, at + 32, attributes.inode);
  putU64(reply, at + 40, attributes.size);
  putU64(reply, at + 48, Math.ceil(attributes.allocatedBytes / 512));
  [attributes.accessed, attributes.created, attributes.changed, attributes.modified].forEach((time, index) => {
    putU64(reply, at + 64 + index * 16, time.seconds);
    reply.writeUInt32LE(time.nanoseconds >>> 0, at + 72 + index * 16);
  });
  reply.writeUInt32LE(deviceMajor(attributes.device), at + 128);
  reply.writeUInt32LE(deviceMinor(attributes.device), at + 132);
  return reply;
}

const deviceMajor = (device: number) => (device >>> 8) & 0xfff;
const deviceMinor = (device: number) => (device & 0xff) | ((device >>> 12) & 0xfff00);

/** Entries of a directory, as many as fit. */
export class ListingReply {
  private readonly bytes: Buffer;
  private readonly withAttributes: boolean;
  private end = head;

  constructor(roomBytes: number, withAttributes: boolean) {
    this.bytes = Buffer.allocUnsafe(head + roomBytes);
    this.withAttributes = withAttributes;
  }

  /** Entries that fit at most, if names are short. */
  static entriesIn(roomBytes: number, withAttributes: boolean): number {
    return Math.ceil(roomBytes / (direntBytes + 8 + (withAttributes ? entryBytes : 0)));
  }

  hasRoom(entry: ListedEntry): boolean {
    return this.endOf(entry).end <= this.bytes.length;
  }

  /** There is room. Attributes not given are not told. */
  add(entry: ListedEntry, told?: { node: number; attributes: Attributes; shown: Shown }): void {
    const { start, nameEnd, end } = this.endOf(entry);
    if (told) putEntry(this.bytes, this.end, told.node, told.attributes, told.shown);
    else this.bytes.fill(0, this.end, start);
    putU64(this.bytes, start, entry.inode);
    this.bytes.writeBigUInt64LE(entry.cookie, start + 8);
    this.bytes.writeUInt32LE(entry.name.length, start + 16);
    this.bytes.writeUInt32LE(formatOf[entry.type] >>> 12, start + 20);
    this.bytes.set(entry.name, start + direntBytes);
    this.bytes.fill(0, nameEnd, end);
    this.end = end;
  }

  private endOf({ name }: ListedEntry): { start: number; nameEnd: number; end: number } {
    const start = this.end + (this.withAttributes ? entryBytes : 0);
    const nameEnd = start + direntBytes + name.length;
    return { start, nameEnd, end: head + align8(nameEnd - head) };
  }

  finish(): Buffer {
    return this.bytes.subarray(0, this.end);
  }
}

export interface InitAnswer {
  minor: number;
  readAheadBytesMax: number;
  flags: number;
  backgroundMax: number;
  writeBytesMax: number;
  pageBytes: number;
}

export function initReply(answer: InitAnswer): Buffer {
  const reply = Buffer.alloc(head + 64);
  reply.writeUInt32LE(protocolMajor, head);
  reply.writeUInt32LE(answer.minor, head + 4);
  reply.writeUInt32LE(answer.readAheadBytesMax, head + 8);
  reply.writeUInt32LE(answer.flags >>> 0, head + 12);
  reply.writeUInt16LE(answer.backgroundMax, head + 16);
  reply.writeUInt16LE(Math.floor((answer.backgroundMax * 3) / 4), head + 18);
  reply.writeUInt32LE(answer.writeBytesMax, head + 20);
  reply.writeUInt32LE(1, head + 24);
  if ((answer.flags & initFlags.MAX_PAGES) !== 0)
    reply.writeUInt16LE(answer.writeBytesMax / answer.pageBytes, head + 28);
  return reply;
}

function align8(bytes: number): number {
  return (bytes + 7) & ~7;
}

function putOpen(into: Buffer, at: number, handle: number, flags: number): void {
  putU64(into, at, handle);
  into.writeUInt32LE(flags, at + 8);
  into.writeUInt32LE(0, at + 12);
}

function putEntry(into: Buffer, at: number, node: number, attributes: Attributes, shown: Shown): void {
  putU64(into, at, node);
  putU64(into, at + 8, attributes.generation);
  putValidity(into, at + 16, at + 32, shown.validMs);
  putValidity(into, at + 24, at + 36, shown.validMs);
  putAttributes(into, at + 40, attributes, shown);
}

function putValidity(into: Buffer, secondsAt: number, nanosecondsAt: number, validMs: number): void {
  const seconds = Math.floor(validMs / 1000);
  putU64(into, secondsAt, seconds);
  into.writeUInt32LE(Math.floor((validMs - seconds * 1000) * 1_000_000), nanosecondsAt);
}

function putAttributes(into: Buffer, at: number, attributes: Attributes, shown: Shown): void {
  putU64(into, at, attributes.inode);
  putU64(into, at + 8, attributes.size);
  putU64(into, at + 16, Math.ceil(attributes.allocatedBytes / 512));
  putU64(into, at + 24, attributes.accessed.seconds);
  putU64(into, at + 32, attributes.modified.seconds);
  putU64(into, at + 40, attributes.changed.seconds);
  into.writeUInt32LE(attributes.accessed.nanoseconds >>> 0, at + 48);
  into.writeUInt32LE(attributes.modified.nanoseconds >>> 0, at + 52);
  into.writeUInt32LE(attributes.changed.nanoseconds >>> 0, at + 56);
  into.writeUInt32LE(shownMode(attributes, shown), at + 60);
  into.writeUInt32LE(attributes.links >>> 0, at + 64);
  into.writeUInt32LE(attributes.uid >>> 0, at + 68);
  into.writeUInt32LE(attributes.gid >>> 0, at + 72);
  into.writeUInt32LE(attributes.device >>> 0, at + 76);
  into.writeUInt32LE(preferredBytes, at + 80);
  into.writeUInt32LE(0, at + 84);
}

function shownMode(attributes: Attributes, { mapOthers }: Shown): number {
  const mode = attributes.mode & 0o7777;
  return formatOf[attributes.type] | (mapOthers ? (mode & ~0o7) | ((mode >>> 3) & 0o7) : mode);
}
