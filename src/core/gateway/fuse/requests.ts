// Bodies of the kernel's requests as values. What is too short or malformed throws `invalid` (EINVAL). Names and small values
// are copied: a request's memory is used again as soon as it is decoded.

import type { Bytes } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import {
  type AttributeChange,
  type Cookie,
  type FileTime,
  type FileType,
  fileError,
} from '../../volume/files/files.ts';
import { readI64, readU64, setFlags } from './wire.ts';

/** The body of one request; `keep` hands out memory that stays. */
export class Body {
  readonly bytes: Buffer;
  /** The frame's memory now belongs to the request. */
  kept = false;
  private readonly frameBytes: number;

  constructor(bytes: Buffer, frameBytes: number) {
    this.bytes = bytes;
    this.frameBytes = frameBytes;
  }

  need(bytes: number): Buffer {
    if (this.bytes.length < bytes) throw fileError('invalid', 'a request of the kernel is too short');
    return this.bytes;
  }

  /** Takes the whole frame rather than copy most of it: a new one costs less than copying a MiB, but more than copying half. */
  keep(from: number, length: number): Buffer {
    const data = this.need(from + length).subarray(from, from + length);
    if (length * 2 < this.frameBytes) return Buffer.from(data);
    this.kept = true;
    return data;
  }
}

export type Decode<T> = (body: Body) => T;

export const decodeNothing: Decode<undefined> = () => undefined;

/** A name that ends the body or is followed by another. */
function takeText(body: Body, from: number): { text: Buffer; next: number } {
  const end = body.bytes.indexOf(0, from);
  if (from > body.bytes.length || end < 0) throw fileError('invalid', 'a name has no end');
  return { text: Buffer.from(body.bytes.subarray(from, end)), next: end + 1 };
}

function takeName(body: Body, from: number): { text: Buffer; next: number } {
  const name = takeText(body, from);
  checkName(name.text);
  return name;
}

function checkName(name: Buffer): void {
  if (name.length > limits.fileNameBytesMax) throw fileError('name-too-long', 'the name is too long');
  const dots = name.length <= 2 && name.every((byte) => byte === 0x2e);
  if (dots || name.includes(0x2f)) throw fileError('invalid', 'this is no name');
}

export const decodeName: Decode<Bytes> = (body) => takeName(body, 0).text;

export const decodeForget: Decode<number> = (body) => readU64(body.need(8), 0);

export interface Forgotten {
  node: number;
  lookups: number;
}

export const decodeBatchForget: Decode<Forgotten[]> = (body) => {
  const count = body.need(8).readUInt32LE(0);
  const bytes = body.need(8 + count * 16);
  return Array.from({ length: count }, (_, index) => ({
    node: readU64(bytes, 8 + index * 16),
    lookups: readU64(bytes, 16 + index * 16),
  }));
};

export const decodeInterrupt: Decode<{ low: number; high: number }> = (body) => {
  const bytes = body.need(8);
  return { low: bytes.readUInt32LE(0), high: bytes.readUInt32LE(4) };
};

export interface SetAttributes {
  change: AttributeChange;
  killPrivileges: boolean;
}

export const decodeSetAttributes: Decode<SetAttributes> = (body) => {
  const bytes = body.need(88);
  const valid = bytes.readUInt32LE(0);
  const has = (flag: number) => (valid & flag) !== 0;
  const change: AttributeChange = {};
  if (has(setFlags.MODE)) change.mode = bytes.readUInt32LE(68) & 0o7777;
  if (has(setFlags.UID)) change.uid = bytes.readUInt32LE(76);
  if (has(setFlags.GID)) change.gid = bytes.readUInt32LE(80);
  if (has(setFlags.SIZE)) change.size = readU64(bytes, 16);
  if (has(setFlags.ATIME_NOW)) change.accessed = 'now';
  else if (has(setFlags.ATIME)) change.accessed = takeTime(bytes, 32, 56);
  if (has(setFlags.MTIME_NOW)) change.modified = 'now';
  else if (has(setFlags.MTIME)) change.modified = takeTime(bytes, 40, 60);
  return { change, killPrivileges: has(setFlags.KILL_SUIDGID) };
};

function takeTime(bytes: Buffer, secondsAt: number, nanosecondsAt: number): FileTime {
  const nanoseconds = bytes.readUInt32LE(nanosecondsAt);
  if (nanoseconds >= 1_000_000_000) throw fileError('invalid', 'a time has too many nanoseconds');
  return { seconds: readI64(bytes, secondsAt), nanoseconds };
}

export interface Symlink {
  name: Bytes;
  target: Bytes;
}

export const decodeSymlink: Decode<Symlink> = (body) => {
  const { text: name, next } = takeName(body, 0);
  const target = takeText(body, next).text;
  if (target.length > limits.symlinkBytesMax) throw fileError('name-too-long', 'the target is too long');
  return { name, target };
};

export interface NewEntry {
  name: Bytes;
  type: FileType;
  mode: number;
  device: number;
}

const formatBits = 0o170000;
const typeOfFormat: ReadonlyMap<number, FileType> = new Map([
  [0, 'file'],
  [0o100000, 'file'],
  [0o040000, 'directory'],
  [0o120000, 'symlink'],
  [0o010000, 'fifo'],
  [0o140000, 'socket'],
  [0o020000, 'character-device'],
  [0o060000, 'block-device'],
]);

export const decodeNewNode: Decode<NewEntry> = (body) => {
  const bytes = body.need(16);
  const mode = bytes.readUInt32LE(0);
  const type = typeOfFormat.get(mode & formatBits);
  if (type === undefined || type === 'directory' || type === 'symlink')
    throw fileError('invalid', 'no such kind of file');
  return { name: takeName(body, 16).text, type, mode: mode & 0o7777, device: bytes.readUInt32LE(4) };
};

export const decodeNewDirectory: Decode<NewEntry> = (body) => {
  const mode = body.need(8).readUInt32LE(0) & 0o7777;
  return { name: takeName(body, 8).text, type: 'directory', mode, device: 0 };
};

export interface Rename {
  name: Bytes;
  /** A node. */
  toDirectory: number;
  toName: Bytes;
  flags: number;
}

export const decodeRename: Decode<Rename> = (body) => names(body, readU64(body.need(8), 0), 0, 8);

export const decodeRename2: Decode<Rename> = (body) => {
  const bytes = body.need(16);
  return names(body, readU64(bytes, 0), bytes.readUInt32LE(8), 16);
};

function names(body: Body, toDirectory: number, flags: number, from: number): Rename {
  const { text: name, next } = takeName(body, from);
  return { name, toDirectory, toName: takeName(body, next).text, flags };
}

export interface Link {
  inode: number;
  name: Bytes;
}

export const decodeLink: Decode<Link> = (body) => ({
  inode: readU64(body.need(8), 0),
  name: takeName(body, 8).text,
});

export interface Opening {
  flags: number;
  how: number;
}

export const decodeOpen: Decode<Opening> = (body) => {
  const bytes = body.need(8);
  return { flags: bytes.readUInt32LE(0), how: bytes.readUInt32LE(4) };
};

export interface Creation extends Opening {
  mode: number;
  name: Bytes;
}

export const decodeCreate: Decode<Creation> = (body) => {
  const bytes = body.need(16);
  const [flags, mode, how] = [bytes.readUInt32LE(0), bytes.readUInt32LE(4) & 0o7777, bytes.readUInt32LE(12)];
  return { flags, mode, how, name: takeName(body, 16).text };
};

/** The name of an unnamed file is a place holder. */
export const decodeUnnamed: Decode<Opening & { mode: number }> = (body) => {
  const bytes = body.need(16);
  return { flags: bytes.readUInt32LE(0), mode: bytes.readUInt32LE(4) & 0o7777, how: bytes.readUInt32LE(12) };
};

export interface Span {
  offset: number;
  length: number;
}

export const decodeRead: Decode<Span> = (body) => {
  const bytes = body.need(40);
  return { offset: readU64(bytes, 8), length: bytes.readUInt32LE(16) };
};

export interface Write {
  offset: number;
  data: Bytes;
  /** What is special about the write, and the flags the file was opened with. */
  writeFlags: number;
  flags: number;
}

export const decodeWrite: Decode<Write> = (body) => {
  const bytes = body.need(40);
  const length = bytes.readUInt32LE(16);
  const write = { offset: readU64(bytes, 8), writeFlags: bytes.readUInt32LE(20), flags: bytes.readUInt32LE(32) };
  return { ...write, data: body.keep(40, length) };
};

export interface Listing {
  after: Cookie;
  length: number;
}

export const decodeListing: Decode<Listing> = (body) => {
  const bytes = body.need(40);
  return { after: bytes.readBigUInt64LE(8), length: bytes.readUInt32LE(16) };
};

export interface Allocation extends Span {
  mode: number;
}

export const decodeAllocation: Decode<Allocation> = (body) => {
  const bytes = body.need(32);
  return { offset: readU64(bytes, 8), length: readU64(bytes, 16), mode: bytes.readUInt32LE(24) };
};

export interface Seek {
  offset: number;
  whence: number;
}

export const decodeSeek: Decode<Seek> = (body) => {
  const bytes = body.need(24);
  return { offset: readU64(bytes, 8), whence: bytes.readUInt32LE(16) };
};

export interface Extended {
  name: Bytes;
  /** Bytes the caller has room for; 0 asks for the length. */
  room: number;
}

export const decodeGetExtended: Decode<Extended> = (body) => ({
  room: body.need(8).readUInt32LE(0),
  name: takeText(body, 8).text,
});

export const decodeRoom: Decode<number> = (body) => body.need(8).readUInt32LE(0);
export const decodeExtendedName: Decode<Bytes> = (body) => takeText(body, 0).text;

export interface SetExtended {
  name: Bytes;
  value: Bytes;
  flags: number;
}

/** Eight bytes before the name, as SETXATTR_EXT is not asked for. */
export const decodeSetExtended: Decode<SetExtended> = (body) => {
  const bytes = body.need(8);
  const { text: name, next } = takeText(body, 8);
  const end = next + bytes.readUInt32LE(0);
  return { name, value: Buffer.from(body.need(end).subarray(next, end)), flags: bytes.readUInt32LE(4) };
};

export interface Closing {
  /** What the open was answered with. */
  handle: bigint;
  /** The process that closes it, as owner of locks. */
  owner: bigint;
}

export const decodeFlush: Decode<Closing> = (body) => {
  const bytes = body.need(24);
  return { handle: bytes.readBigUInt64LE(0), owner: bytes.readBigUInt64LE(16) };
};

export const decodeRelease: Decode<bigint> = (body) => body.need(24).readBigUInt64LE(0);

export interface Lock extends Closing {
  /** The last place is part of it. */
  start: bigint;
  end: bigint;
  type: number;
  pid: number;
  flags: number;
}

export const decodeLock: Decode<Lock> = (body) => {
  const bytes = body.need(48);
  return {
    handle: bytes.readBigUInt64LE(0),
    owner: bytes.readBigUInt64LE(8),
    start: bytes.readBigUInt64LE(16),
    end: bytes.readBigUInt64LE(24),
    type: bytes.readUInt32LE(32),
    pid: bytes.readUInt32LE(36),
    flags: bytes.readUInt32LE(40),
  };
};

export interface Init {
  major: number;
  minor: number;
  readAheadBytesMax: number;
  flags: number;
}

export const decodeInit: Decode<Init> = (body) => {
  const bytes = body.need(16);
  return {
    major: bytes.readUInt32LE(0),
    minor: bytes.readUInt32LE(4),
    readAheadBytesMax: bytes.readUInt32LE(8),
    flags: bytes.readUInt32LE(12),
  };
};
