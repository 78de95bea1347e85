// What a client of the files view asks the leader: operations, queries and their answers. Names travel as bytes; times come from
// the asking client's clock. `docs/tree-schema.md` 5 says which records each touches.

import {
  bool,
  bytes,
  type Codec,
  type CodecType,
  fixed,
  list,
  mapped,
  oneOf,
  optional,
  struct,
  text,
  u8,
  u16,
  u32,
  u48,
  u64,
  union,
} from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { address } from '../../block/address.ts';
import { keyBytes } from '../../crypto/cipher.ts';
import { hashBytes } from '../../crypto/hash.ts';
import { treeIdBytes } from '../../tree/root.ts';
import type { WrittenChunk } from '../../tree/tree.ts';
import { type Attributes, type Cookie, type FileTime, fileTypes } from './files.ts';

export const clientBytes = 16;
export const journalIdBytes = 16;

/** Seconds are kept from here on: from the year -15451, in 40 bits. */
export const secondsBias = 2 ** 39;

export const fileTime: Codec<FileTime> = mapped(
  struct({ high: u8, low: u32, nanoseconds: u32 }),
  ({ high, low, nanoseconds }) => {
    if (nanoseconds >= 1e9) throw new InfinitError('corrupt', 'a time has more nanoseconds than a second');
    return { seconds: high * 2 ** 32 + low - secondsBias, nanoseconds };
  },
  ({ seconds, nanoseconds }) => {
    const biased = Math.min(Math.max(seconds + secondsBias, 0), 2 ** 40 - 1);
    return { high: Math.floor(biased / 2 ** 32), low: biased % 2 ** 32, nanoseconds };
  },
);

export const name = bytes(limits.fileNameBytesMax);
export const cookie: Codec<Cookie> = mapped(
  fixed(8),
  (raw) => Buffer.from(raw).readBigUInt64BE(),
  (value) => {
    const raw = Buffer.alloc(8);
    raw.writeBigUInt64BE(value);
    return raw;
  },
);
const fileType = oneOf(fileTypes);
const client = fixed(clientBytes);
const recordKey = bytes(limits.treeKeyBytesMax);

export const attributes: Codec<Attributes> = struct({
  inode: u48,
  generation: u32,
  type: fileType,
  mode: u16,
  uid: u32,
  gid: u32,
  links: u32,
  size: u48,
  allocatedBytes: u48,
  accessed: fileTime,
  modified: fileTime,
  changed: fileTime,
  created: fileTime,
  device: u32,
  hasExtended: bool,
});

const newNode = struct({
  type: fileType,
  mode: u16,
  uid: u32,
  gid: u32,
  device: u32,
  target: bytes(limits.symlinkBytesMax),
});

const chunk: Codec<WrittenChunk> = struct({
  address,
  key: fixed(keyBytes),
  stored: u32,
  cells: list(u32, limits.chunkCellsMax),
  generation: u32,
});

/**
 * A piece of data at its place. `bytes`: rides in the record until a commit packs it. `cells`: the bytes from `skip` on behind
 * the start of that cell of the operation's n-th chunk, going on in the cells behind it.
 */
export const writtenPiece = union({
  bytes: struct({ offset: u48, bytes: bytes(limits.cellBytesMax) }),
  cells: struct({ offset: u48, length: u32, chunk: u16, cell: u16, skip: u32 }),
});
export type WrittenPiece = CodecType<typeof writtenPiece>;

const place = struct({ directory: u48, name });

/** A file as a client saw it before it changed it: what others change sets that time. */
const seenFile = struct({ inode: u48, changed: fileTime });
export type SeenFile = CodecType<typeof seenFile>;

/** An operation that a client has done for itself (decision 029), as it is to happen for everybody. */
const lateOperation = struct({
  /** Counts the operations of its journal. */
  number: u48,
  /** What it made, out of numbers that were reserved. */
  made: optional(u48),
  /** Files whose data it changes, or whose names it takes. */
  seen: list(seenFile, limits.writtenFilesMax),
  /** Files whose data is kept elsewhere: gone when it was tried. */
  without: list(u48, limits.writtenFilesMax),
  operation: bytes(limits.operationBytesMax),
});
export type LateOperation = CodecType<typeof lateOperation>;
/** A tree with an access list of its own. */
export const domainRecord = struct({
  format: u8,
  treeId: fixed(treeIdBytes),
  /** Its root register. */
  root: address,
  /** Hash of what its list was made of: only a hint. */
  list: fixed(hashBytes),
  since: fileTime,
});
export type DomainRecord = CodecType<typeof domainRecord>;

/**
 * `left`: that inode of the other tree has lost its name. `moving`: that inode of this tree, and all below, goes there. `changing`:
 * the list of the other tree, which has that root alone, is being changed. `led`: a name of that inode of this tree leads to its copy
 * there already, which has a tentative name still. Append only: the order is in keys.
 */
export const chores = ['left', 'moving', 'changing', 'led'] as const;

const choreNamed = struct({ domain: u16, chore: oneOf(chores), inode: u48 });
const choreFound = struct({ domain: u16, chore: oneOf(chores), inode: u48, since: fileTime });
export type Chore = CodecType<typeof choreFound>;

/** Operations. `now` is the client's clock. Append only: the order of the cases is on the wire. */
export const fileOperation = union({
  /** Makes the root directory of a new tree; nothing when there is one. `defaultMode` is added to the mode of all that is made. Answers `attributesReply`. */
  begin: struct({ mode: u16, uid: u32, gid: u32, defaultMode: u16, quota: u64, now: fileTime }),
  /** Answers `attributesReply`. With no name: unnamed, held by the client. */
  make: struct({ directory: u48, name: optional(name), node: newNode, now: fileTime, client }),
  link: struct({ inode: u48, directory: u48, name, now: fileTime }),
  /** `free`: nobody has the file open, its data may go at once. Answers `attributesReply` of what lost a name. */
  unlink: struct({ directory: u48, name, now: fileTime, free: bool, client, held: bool }),
  removeDirectory: struct({ directory: u48, name, now: fileTime }),
  /** Answers `renameReply`. `free`, `client`, `held`: as in unlink, for what is replaced; `held` names what the client has open. */
  rename: struct({
    from: place,
    to: place,
    mode: oneOf(['replace', 'no-replace', 'exchange']),
    now: fileTime,
    free: bool,
    client,
    held: optional(u48),
  }),
  /**
   * Answers `attributesReply`. A cut of more than a step's worth of data goes from the end downwards: while the answer's size is
   * above the wanted one, asked again.
   */
  change: struct({
    inode: u48,
    mode: optional(u16),
    uid: optional(u32),
    gid: optional(u32),
    size: optional(u48),
    accessed: optional(fileTime),
    modified: optional(fileTime),
    now: fileTime,
  }),
  /**
   * Data of several files at once, of at most `limits.writtenPiecesMax` pieces in all. Answers `writeReply`: files that are gone
   * are left out. Throws `full` with `split` in its data when that changes more than one operation may: asked again in parts.
   * Of a run of cells all but the last are of `limits.cellBytesMax`.
   */
  write: struct({
    files: list(
      struct({ inode: u48, modified: fileTime, pieces: list(writtenPiece, limits.writtenPiecesMax) }),
      limits.writtenFilesMax,
    ),
    chunks: list(chunk, limits.operationChunksMax),
  }),
  /** Answers `allocateReply`; done in steps of at most `limits.extentsPerStepMax` records: `behind` says where to go on. */
  allocate: struct({
    inode: u48,
    offset: u48,
    length: u48,
    mode: oneOf(['allocate', 'reserve', 'punch', 'zero', 'zero-keep']),
    now: fileTime,
  }),
  setExtended: struct({
    inode: u48,
    name,
    value: bytes(limits.extendedValueBytesMax),
    only: optional(oneOf(['create', 'replace'])),
    now: fileTime,
  }),
  removeExtended: struct({ inode: u48, name, now: fileTime }),
  /** The client has these unlinked files open; said again now and then while it is so. */
  hold: struct({ inodes: list(u48, limits.heldInodesMax), client, now: fileTime }),
  release: struct({ inodes: list(u48, limits.heldInodesMax), client }),
  /**
   * Frees data of an orphan, a step's worth. Answers `reapReply`. Throws `busy` when a client has said since `before` that it
   * has the file open; one that has begun to be freed is gone for all.
   */
  reap: struct({ inode: u48, before: fileTime }),
  /** Nothing: durable when everything before is. */
  nothing: struct({}),
  /**
   * Data without a gap, put at the end the file has when it is executed, whatever its offsets say. Answers and throws as `write`;
   * to be durable: so that it happens once, whoever leads.
   */
  append: struct({
    inode: u48,
    modified: fileTime,
    pieces: list(writtenPiece, limits.writtenPiecesMax),
    chunks: list(chunk, limits.operationChunksMax),
  }),
  /** Inode numbers for one client to give away. Answers `reserveReply`. */
  reserve: struct({ count: u32 }),
  /**
   * Does what a client has done before, in order, each once however often it is asked. Answers `replayReply`. Throws `changed` or
   * `gone` with inodes in its data when others have come before; what an operation throws otherwise. Then nothing is done.
   */
  replay: struct({
    journal: fixed(journalIdBytes),
    /** Part of the names of what is in the way of others' names. */
    label: text(limits.asyncLabelCharsMax),
    now: fileTime,
    operations: list(lateOperation, limits.asyncBatchMax),
  }),
  /** The journal is empty and not used again: nothing is remembered of it. */
  forgetJournal: struct({ journal: fixed(journalIdBytes) }),
  /** Trees of other lists, and names that lead there (`domains.ts`). Answers `domainNumberReply`. */
  addDomain: struct({ record: domainRecord }),
  dropDomain: struct({ domain: u16 }),
  /** `changed`: of the file here, when it was copied. `free`, `client`, `held`: as in unlink, for the file here. */
  leadAway: struct({
    directory: u48,
    name,
    inode: u48,
    changed: fileTime,
    domain: u16,
    target: u48,
    now: fileTime,
    free: bool,
    client,
    held: bool,
  }),
  /** `exists`. */
  addBorder: struct({ directory: u48, name, of: fileType, domain: u16, inode: u48, now: fileTime }),
  /** `left`: the file there is to be removed. */
  dropBorder: struct({ directory: u48, name, domain: u16, inode: u48, left: bool, now: fileTime }),
  /** `alone`: throws `busy` when anything else is noted of the domain. `moving` throws `stale` for what is gone, `busy` for a directory in one that goes. */
  note: struct({ domain: u16, chore: oneOf(chores), inode: u48, done: bool, alone: bool, now: fileTime }),
});
export type FileOperation = CodecType<typeof fileOperation>;

export const attributesReply = attributes;
/** What moved, and what lost its name if anything did. */
export const renameReply = struct({ moved: attributes, replaced: optional(attributes) });
export const writeReply = list(attributes, limits.writtenFilesMax);
/** `behind`: so many bytes of the range are done; the whole length when all are. */
export const allocateReply = struct({ attributes, behind: u48 });
export const reapReply = struct({ done: bool });
export const nothingReply = struct({});
/** The first of the numbers. */
export const reserveReply = u48;
/** `changed`: of files named by `seen`, as they are now. `notes`: what came out otherwise than the client saw it. */
export const replayReply = struct({
  changed: list(seenFile, limits.asyncSeenMax),
  notes: list(struct({ number: u48, text: text(4096) }), limits.asyncBatchMax),
});
export type ReplayReply = CodecType<typeof replayReply>;
export const domainNumberReply = u16;

/** Queries. Append only. */
export const fileQuery = union({
  lookup: struct({ directory: u48, name }),
  attributes: struct({ inode: u48 }),
  readLink: struct({ inode: u48 }),
  /** Answers `listReply`; `.` and `..` are entries too. */
  list: struct({ directory: u48, after: cookie, limit: u16, attributes: bool }),
  /** Answers `extentsReply`. */
  extents: struct({ inode: u48, offset: u48, length: u48 }),
  seek: struct({ inode: u48, offset: u48, what: oneOf(['data', 'hole']) }),
  getExtended: struct({ inode: u48, name }),
  listExtended: struct({ inode: u48 }),
  usage: struct({}),
  /** Inodes of orphans behind one, ascending. */
  orphans: struct({ after: u48, limit: u16 }),
  /** Records as they stand, for a client that does operations for itself. Answers `recordsReply`. */
  records: struct({ from: recordKey, to: recordKey }),
  /** The number of the last operation of a journal that was replayed. Answers `replayedReply`. */
  replayed: struct({ journal: fixed(journalIdBytes) }),
  /** Answers `domainsReply`. */
  domains: struct({}),
  /** Answers a `domainRecord`. */
  domain: struct({ domain: u16 }),
  /** Answers `choresReply`: what is noted behind that one, as far as one answer goes. */
  chores: struct({ after: optional(choreNamed) }),
});
export type FileQuery = CodecType<typeof fileQuery>;

export const listReply = struct({
  entries: list(
    struct({ name, inode: u48, type: fileType, cookie, attributes: optional(attributes) }),
    limits.listEntriesMax,
  ),
  end: bool,
});

/**
 * What lies from the asked offset on, without gaps, as far as one answer goes: at least one piece unless the offset is behind
 * the end. `zeros`: holes and reserved ranges. `cells`: from `skip` bytes behind the start of that cell on, through the cells behind it.
 */
export const extentsReply = struct({
  /** Of the file now. */
  size: u48,
  pieces: list(
    union({
      zeros: struct({ length: u48 }),
      bytes: struct({ bytes: bytes(limits.cellBytesMax) }),
      cells: struct({ length: u32, address, key: fixed(keyBytes), cell: u16, skip: u32 }),
    }),
    limits.extentsPerAnswerMax,
  ),
});
export type ExtentsReply = CodecType<typeof extentsReply>;

/** All in [from, through). */
export const recordsReply = struct({
  entries: list(struct({ key: recordKey, value: bytes(limits.treeLeafValueBytesMax) }), limits.recordsPerAnswerMax),
  through: recordKey,
});
export const replayedReply = u48;

export const readLinkReply = bytes(limits.symlinkBytesMax);
export const seekReply = u48;
export const getExtendedReply = bytes(limits.extendedValueBytesMax);
export const listExtendedReply = list(name, limits.extendedPerInodeMax);
export const usageReply = struct({ bytesUsed: u64, inodesUsed: u64, quota: u64 });
export const orphansReply = list(
  struct({ inode: u48, since: fileTime, holders: list(struct({ client, at: fileTime }), limits.orphanHoldersMax) }),
  limits.listEntriesMax,
);
export const domainsReply = list(struct({ domain: u16, record: domainRecord }), limits.domainsOfTreeMax);
export const choresReply = list(choreFound, limits.choresPerAnswerMax);
