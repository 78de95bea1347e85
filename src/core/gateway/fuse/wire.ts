// Numbers and headers of the kernel's FUSE protocol, version 7 (linux/fuse.h). Words are little-endian, as on every machine
// this mounts on. 64-bit words are read as two halves: numbers of files and places stay below 2^53, so no BigInt is needed.

export const protocolMajor = 7;
/** The newest minor version whose messages are known here. */
export const protocolMinor = 39;
/** The first whose INIT answer and messages have today's sizes. */
export const protocolMinorMin = 23;

export const inHeaderBytes = 40;
export const outHeaderBytes = 16;
/** The kernel refuses to fill smaller buffers. */
export const requestBytesMin = 8192;

export const opcodes = {
  LOOKUP: 1,
  FORGET: 2,
  GETATTR: 3,
  SETATTR: 4,
  READLINK: 5,
  SYMLINK: 6,
  MKNOD: 8,
  MKDIR: 9,
  UNLINK: 10,
  RMDIR: 11,
  RENAME: 12,
  LINK: 13,
  OPEN: 14,
  READ: 15,
  WRITE: 16,
  STATFS: 17,
  RELEASE: 18,
  FSYNC: 20,
  SETXATTR: 21,
  GETXATTR: 22,
  LISTXATTR: 23,
  REMOVEXATTR: 24,
  FLUSH: 25,
  INIT: 26,
  OPENDIR: 27,
  READDIR: 28,
  RELEASEDIR: 29,
  FSYNCDIR: 30,
  GETLK: 31,
  SETLK: 32,
  SETLKW: 33,
  CREATE: 35,
  INTERRUPT: 36,
  DESTROY: 38,
  BATCH_FORGET: 42,
  FALLOCATE: 43,
  READDIRPLUS: 44,
  RENAME2: 45,
  LSEEK: 46,
  SYNCFS: 50,
  TMPFILE: 51,
  STATX: 52,
} as const;

/** What INIT negotiates; `2` are bits 32 and up. */
export const initFlags = {
  ASYNC_READ: 1 << 0,
  POSIX_LOCKS: 1 << 1,
  ATOMIC_O_TRUNC: 1 << 3,
  BIG_WRITES: 1 << 5,
  FLOCK_LOCKS: 1 << 10,
  AUTO_INVAL_DATA: 1 << 12,
  DO_READDIRPLUS: 1 << 13,
  READDIRPLUS_AUTO: 1 << 14,
  ASYNC_DIO: 1 << 15,
  PARALLEL_DIROPS: 1 << 18,
  MAX_PAGES: 1 << 22,
  HANDLE_KILLPRIV_V2: 1 << 28,
  INIT_EXT: 1 << 30,
} as const;

/** Which members of SETATTR count. */
export const setFlags = {
  MODE: 1 << 0,
  UID: 1 << 1,
  GID: 1 << 2,
  SIZE: 1 << 3,
  ATIME: 1 << 4,
  MTIME: 1 << 5,
  ATIME_NOW: 1 << 7,
  MTIME_NOW: 1 << 8,
  KILL_SUIDGID: 1 << 11,
} as const;

export const openReplyFlags = { DIRECT_IO: 1 << 0, KEEP_CACHE: 1 << 1, NOFLUSH: 1 << 5 } as const;
export const openKillPrivileges = 1 << 0;
export const writeKillPrivileges = 1 << 2;

export const lockTypes = { READ: 0, WRITE: 1, UNLOCK: 2 } as const;
export const lockFlags = { FLOCK: 1 << 0 } as const;

/** Flags of open(2), as the kernel passes them. */
export const openFlags = {
  accessMode: 0o3,
  write: 0o1,
  readWrite: 0o2,
  EXCL: 0o200,
  TRUNC: 0o1000,
  APPEND: 0o2000,
  DSYNC: 0o10000,
} as const;

export const notifyCodes = { INVAL_INODE: 2, INVAL_ENTRY: 3 } as const;

/** Of errno.h, where the table of the files view has no such reason. */
export const errnoOfProtocol = { ERANGE: 34, EPROTO: 71 } as const;

export interface Header {
  length: number;
  opcode: number;
  /** Both halves of the number that its answer must carry. */
  uniqueLow: number;
  uniqueHigh: number;
  node: number;
  uid: number;
  gid: number;
  /** Bytes of extensions behind the body. */
  extensionBytes: number;
}

export function readHeader(frame: Buffer): Header {
  return {
    length: frame.readUInt32LE(0),
    opcode: frame.readUInt32LE(4),
    uniqueLow: frame.readUInt32LE(8),
    uniqueHigh: frame.readUInt32LE(12),
    node: readU64(frame, 16),
    uid: frame.readUInt32LE(24),
    gid: frame.readUInt32LE(28),
    extensionBytes: frame.readUInt16LE(36) * 8,
  };
}

/** Fills the head of an answer; the error is a positive number or 0. */
export function putReplyHeader(into: Buffer, length: number, error: number, low: number, high: number): void {
  into.writeUInt32LE(length, 0);
  into.writeInt32LE(-error, 4);
  into.writeUInt32LE(low, 8);
  into.writeUInt32LE(high, 12);
}

const half = 0x1_0000_0000;

/** Exact below 2^53; more is too large for everything it may mean here. */
export function readU64(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readUInt32LE(at + 4) * half;
}

export function readI64(from: Buffer, at: number): number {
  return from.readUInt32LE(at) + from.readInt32LE(at + 4) * half;
}

/** Also negative numbers, in two's complement. */
export function putU64(into: Buffer, at: number, value: number): void {
  into.writeUInt32LE(value >>> 0, at);
  into.writeUInt32LE(Math.floor(value / half) >>> 0, at + 4);
}
