// Inode records: a fixed layout, read and written by hand because every operation does both. And what clients are told of them.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Attributes, type FileTime, type FileType, fileTypes } from './files.ts';
import { secondsBias } from './messages.ts';

export interface Inode {
  readonly inode: number;
  readonly type: FileType;
  /** 12 bits. */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  /** Bytes; of a symbolic link that of its target, of others but files 0. */
  size: number;
  /** Bytes of extents. */
  allocated: number;
  accessed: FileTime;
  modified: FileTime;
  changed: FileTime;
  readonly created: FileTime;
  readonly generation: number;
  readonly device: number;
  /** There may be reserved extents behind the size. */
  beyond: boolean;
  /** Its data is being freed: for clients it does not exist any more. */
  dying: boolean;
  /** Extended attributes. */
  extended: number;
  /** Of a directory. */
  parent: number;
  /** Of a symbolic link. */
  readonly target: Bytes | undefined;
}

const timeBytes = 9;
const at = { uid: 2, gid: 6, links: 10, size: 14, allocated: 20, accessed: 26, generation: 62, device: 66, flags: 70 };
const extendedAt = 71;
const fixedBytes = 73;
const parentBytes = 6;
const flagBits = { beyond: 1, dying: 2 };
const modeBits = 0xfff;
const secondsMax = 2 ** 40 - 1;

export function encodeInode(inode: Inode): Buffer {
  const { type, target } = inode;
  const tail = type === 'directory' ? parentBytes : (target?.length ?? 0);
  const out = Buffer.allocUnsafe(fixedBytes + tail);
  out.writeUInt16BE((fileTypes.indexOf(type) << 12) | inode.mode, 0);
  out.writeUInt32BE(inode.uid, at.uid);
  out.writeUInt32BE(inode.gid, at.gid);
  out.writeUInt32BE(inode.links, at.links);
  out.writeUIntBE(inode.size, at.size, 6);
  out.writeUIntBE(inode.allocated, at.allocated, 6);
  writeTime(out, at.accessed, inode.accessed);
  writeTime(out, at.accessed + timeBytes, inode.modified);
  writeTime(out, at.accessed + 2 * timeBytes, inode.changed);
  writeTime(out, at.accessed + 3 * timeBytes, inode.created);
  out.writeUInt32BE(inode.generation, at.generation);
  out.writeUInt32BE(inode.device, at.device);
  out[at.flags] = (inode.beyond ? flagBits.beyond : 0) | (inode.dying ? flagBits.dying : 0);
  out.writeUInt16BE(inode.extended, extendedAt);
  if (type === 'directory') out.writeUIntBE(inode.parent, fixedBytes, parentBytes);
  else if (target !== undefined) out.set(target, fixedBytes);
  return out;
}

/** Throws `corrupt`. */
export function decodeInode(inode: number, record: Bytes): Inode {
  const bytes = asBuffer(record);
  const typeMode = bytes.length < fixedBytes ? 0xffff : bytes.readUInt16BE(0);
  const type = fileTypes[typeMode >> 12];
  if (type === undefined || !tailFits(type, bytes.length - fixedBytes))
    throw new InfinitError('corrupt', `the record of inode ${inode} is malformed`);
  const flags = bytes[at.flags] as number;
  return {
    inode,
    type,
    mode: typeMode & modeBits,
    uid: bytes.readUInt32BE(at.uid),
    gid: bytes.readUInt32BE(at.gid),
    links: bytes.readUInt32BE(at.links),
    size: bytes.readUIntBE(at.size, 6),
    allocated: bytes.readUIntBE(at.allocated, 6),
    accessed: readTime(bytes, at.accessed),
    modified: readTime(bytes, at.accessed + timeBytes),
    changed: readTime(bytes, at.accessed + 2 * timeBytes),
    created: readTime(bytes, at.accessed + 3 * timeBytes),
    generation: bytes.readUInt32BE(at.generation),
    device: bytes.readUInt32BE(at.device),
    beyond: (flags & flagBits.beyond) !== 0,
    dying: (flags & flagBits.dying) !== 0,
    extended: bytes.readUInt16BE(extendedAt),
    parent: type === 'directory' ? bytes.readUIntBE(fixedBytes, parentBytes) : 0,
    target: type === 'symlink' ? bytes.subarray(fixedBytes) : undefined,
  };
}

export function attributesOf(inode: Inode): Attributes {
  return {
    inode: inode.inode,
    generation: inode.generation,
    type: inode.type,
    mode: inode.mode,
    uid: inode.uid,
    gid: inode.gid,
    links: inode.links,
    size: inode.size,
    allocatedBytes: inode.allocated,
    accessed: inode.accessed,
    modified: inode.modified,
    changed: inode.changed,
    created: inode.created,
    device: inode.device,
    hasExtended: inode.extended > 0,
  };
}

function tailFits(type: FileType, tail: number): boolean {
  if (type === 'directory') return tail === parentBytes;
  return type === 'symlink' ? tail > 0 : tail === 0;
}

/** High byte, then the low 32 bits of the biased seconds, then the nanoseconds. */
function writeTime(out: Buffer, start: number, time: FileTime): void {
  const biased = Math.min(Math.max(time.seconds + secondsBias, 0), secondsMax);
  out.writeUIntBE(biased, start, 5);
  out.writeUInt32BE(time.nanoseconds, start + 5);
}

function readTime(bytes: Buffer, start: number): FileTime {
  return { seconds: bytes.readUIntBE(start, 5) - secondsBias, nanoseconds: bytes.readUInt32BE(start + 5) };
}
