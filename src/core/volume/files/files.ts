// The files view: a POSIX file system by inode numbers, for every gateway that serves files. Who may do what is checked by the
// gateway (the kernel of a mount does it); here stands what an operation means. Errors carry a `FileReason` where POSIX tells
// apart what the kinds do not.

import type { Bytes } from '../../base/bytes.ts';
import { type ErrorKind, InfinitError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { LockOptions, LockRange, LockSpace, LockStatement, Span } from '../../tree/tree.ts';

/** Do not reorder: the index is in the format. */
export const fileTypes = [
  'file',
  'directory',
  'symlink',
  'fifo',
  'socket',
  'character-device',
  'block-device',
] as const;
export type FileType = (typeof fileTypes)[number];

export const rootInode = 1;

export interface FileTime {
  /** Since 1970, may be negative. */
  seconds: number;
  nanoseconds: number;
}

export interface Attributes {
  inode: number;
  /** Tells apart files that would have one inode number after each other; inode numbers are never reused, so it is 0. */
  generation: number;
  type: FileType;
  /** Permission bits with set-user-id, set-group-id and sticky: 12 bits. */
  mode: number;
  uid: number;
  gid: number;
  links: number;
  /** Bytes; of a symbolic link: of its target. */
  size: number;
  /** Bytes of data kept, holes not counted. */
  allocatedBytes: number;
  accessed: FileTime;
  modified: FileTime;
  changed: FileTime;
  created: FileTime;
  /** Of a device node: what it stands for (`makedev`). */
  device: number;
  /** Whether it has extended attributes at all. */
  hasExtended: boolean;
}

/** What is made; its group is that of a set-group-id directory it is made in. */
export interface NewNode {
  type: FileType;
  mode: number;
  uid: number;
  gid: number;
  device?: number;
  /** Of a symbolic link. */
  target?: Bytes;
}

/** Only what is named changes; a change of anything sets `changed` to now. */
export interface AttributeChange {
  mode?: number;
  uid?: number;
  gid?: number;
  size?: number;
  accessed?: FileTime | 'now';
  modified?: FileTime | 'now';
}

export type RenameMode = 'replace' | 'no-replace' | 'exchange';

/**
 * `allocate` reserves (and extends the file), `reserve` without extending it, `punch` makes a hole, `zero` writes zeros (and
 * extends), `zero-keep` without extending.
 */
export type AllocateMode = 'allocate' | 'reserve' | 'punch' | 'zero' | 'zero-keep';

/** Place in a listing: survives changes of the directory, restarts and other clients. 0 is the start; 1 and 2 are `.` and `..`. */
export type Cookie = bigint;

export interface ListedEntry {
  name: Bytes;
  inode: number;
  type: FileType;
  /** Where a listing goes on behind this entry. */
  cookie: Cookie;
  attributes?: Attributes;
}

/** Who locks: `whole` as flock(2) does, `range` as fcntl(2); the number is this client's own. */
export interface LockOwner {
  space: LockSpace;
  owner: bigint;
}

export interface Usage {
  totalBytes: number;
  freeBytes: number;
  usedBytes: number;
  inodesUsed: number;
}

/** What another client changed: what a kernel may have cached of it is stale. */
export interface ForeignChange {
  inodes: readonly number[];
  /** Names that stand for something else now. */
  entries: readonly { directory: number; name: Bytes }[];
  /** Names went that are not known any more: all that is cached of names in these is stale. */
  directories?: readonly number[];
}

/**
 * Inode numbers that do not exist throw `not-found` with reason `stale`. Names: 1 to 255 bytes, neither NUL nor `/`, neither
 * `.` nor `..`. Operations that take a signal throw `cancelled`; `unavailable` when no leader answers in time.
 */
export interface Files {
  /** `not-found`, `not-directory`. */
  lookup(directory: number, name: Bytes, options?: Abortable): Promise<Attributes>;
  attributes(inode: number, options?: Abortable): Promise<Attributes>;
  change(inode: number, change: AttributeChange, options?: Abortable): Promise<Attributes>;
  readLink(inode: number, options?: Abortable): Promise<Bytes>;

  /** `exists`. */
  make(directory: number, name: Bytes, node: NewNode, options?: Abortable): Promise<Attributes>;
  /** A file without a name (O_TMPFILE), open once; gone at its last close unless `link` names it. */
  makeUnnamed(directory: number, node: NewNode, options?: Abortable): Promise<Attributes>;
  /** `exists`, `not-permitted` for directories, `too-many-links`. */
  link(inode: number, directory: number, name: Bytes, options?: Abortable): Promise<Attributes>;
  /** `is-directory`. Data of an open file stays until its last close. */
  unlink(directory: number, name: Bytes, options?: Abortable): Promise<void>;
  /** `not-directory`, `not-empty`. */
  removeDirectory(directory: number, name: Bytes, options?: Abortable): Promise<void>;
  /** Atomic. `exists` (no-replace), `invalid` (into itself), `not-empty`, `is-directory`, `not-directory`. */
  rename(from: EntryPlace, to: EntryPlace, mode: RenameMode, options?: Abortable): Promise<void>;
  /** Entries behind the cookie in the order of cookies, `.` and `..` first; each stable entry exactly once over a listing. */
  list(
    directory: number,
    after: Cookie,
    options?: Abortable & { limit?: number; attributes?: boolean },
  ): Promise<{ entries: ListedEntry[]; end: boolean }>;

  /** Holds the file: its data outlives its last name until `close`. One `close` for each. */
  open(inode: number): void;
  /** Lets go; data written before is on its way to others. Never throws for data: `flush` tells. */
  close(inode: number): Promise<void>;
  /** Pieces that make up the bytes from the offset, fewer only at the end of the file; memory is shared, not to be changed. */
  read(inode: number, offset: number, length: number, options?: Abortable): Promise<Bytes[]>;
  /**
   * Taken over, seen by readers of this client at once; waits when too much is dirty. The memory must not change afterwards. With
   * `append` it lands whole behind whatever all clients have written by the time it arrives; the offset is where the end was thought to be.
   */
  write(inode: number, offset: number, data: Bytes, options?: Abortable & { append?: boolean }): Promise<void>;
  allocate(inode: number, offset: number, length: number, mode: AllocateMode, options?: Abortable): Promise<void>;
  /** The next data or hole at or behind the offset; `no-such-place` behind the end. */
  seek(inode: number, offset: number, what: 'data' | 'hole', options?: Abortable): Promise<number>;

  /** `no-attribute`. */
  getExtended(inode: number, name: Bytes, options?: Abortable): Promise<Bytes>;
  /** `exists` with `create`, `no-attribute` with `replace`, `too-large`. */
  setExtended(
    inode: number,
    name: Bytes,
    value: Bytes,
    options?: Abortable & { only?: 'create' | 'replace' },
  ): Promise<void>;
  listExtended(inode: number, options?: Abortable): Promise<Bytes[]>;
  removeExtended(inode: number, name: Bytes, options?: Abortable): Promise<void>;

  /**
   * Locks across all clients. What others wrote before they let go is seen then. Throws `conflict`, `deadlock`, `no-locks`; `cancelled`,
   * and nothing is locked; `lock-lost` when the owner has lost what it had locked of the file and not let go of it.
   */
  lock(inode: number, by: LockOwner, range: LockRange, options: LockOptions): Promise<void>;
  /** What was written before is seen by whoever locks next. */
  unlock(inode: number, by: LockOwner, span: Span): Promise<void>;
  /** Whose lock is in the way. */
  testLock(inode: number, by: LockOwner, range: LockRange, options?: Abortable): Promise<LockStatement | undefined>;

  /** What was written to the file is seen by every client when it resolves. Throws what became of earlier writes, once. */
  flush(inode: number, options?: Abortable): Promise<void>;
  /** All that this client did to the file, and to names before, is durable. Throws what became of earlier writes, once. */
  sync(inode: number, options?: Abortable): Promise<void>;
  /** The same for everything. */
  syncAll(options?: Abortable): Promise<void>;
  usage(options?: Abortable): Promise<Usage>;

  /** For how long from now what was answered stays true unless `onForeign` tells: 0 for one that follows. Milliseconds. */
  freshForMs(inode: number): number;
  /** Told, and waited for, before another client's change is answered to it; only while this client leads. */
  onForeign(listener: (change: ForeignChange) => Promise<void>): () => void;
}

export interface EntryPlace {
  directory: number;
  name: Bytes;
}

/** What POSIX tells apart, and the kind it is told as. */
export const fileReasons = {
  stale: 'not-found',
  'not-directory': 'usage',
  'is-directory': 'usage',
  'not-empty': 'exists',
  'name-too-long': 'usage',
  invalid: 'usage',
  'not-permitted': 'denied',
  'cross-device': 'unsupported',
  elsewhere: 'unsupported',
  'too-many-links': 'full',
  'too-large': 'full',
  'no-attribute': 'not-found',
  'attribute-too-large': 'full',
  'no-such-place': 'usage',
  'read-only': 'denied',
  busy: 'conflict',
  deadlock: 'conflict',
  'no-locks': 'full',
  'lock-lost': 'lost',
  changed: 'conflict',
  gone: 'conflict',
} as const satisfies Record<string, ErrorKind>;
export type FileReason = keyof typeof fileReasons;

export function fileError(reason: FileReason, message: string): InfinitError {
  return new InfinitError(fileReasons[reason], message, { data: { reason } });
}

/** The reason an error carries, also after it crossed the wire. */
export function reasonOf(error: InfinitError): FileReason | undefined {
  const reason = error.data?.reason;
  return typeof reason === 'string' && reason in fileReasons ? (reason as FileReason) : undefined;
}
