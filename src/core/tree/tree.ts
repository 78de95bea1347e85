// A tree: an encrypted, transactional, ordered map over the store. Its root stands in a register; one client leads it for an
// epoch and executes all operations; others follow (docs/protocols.md 4, docs/tree-schema.md).

import type { Bytes } from '../base/bytes.ts';
import type { Abortable, Startable } from '../base/lifecycle.ts';
import type { Address } from '../block/address.ts';
import type { ChangeShares, TreeAccess } from './access.ts';
import type { CollectionStatus } from './messages.ts';

/** Where a base node is. `stored` is the block's size. */
export interface NodeRef {
  address: Address;
  key: Bytes;
  stored: number;
}

/** A change of the map, absolute: applying it twice is the same as once. */
export type Effect =
  | { type: 'put'; key: Bytes; value: Bytes }
  | { type: 'delete'; key: Bytes }
  /** Keys in [from, to). */
  | { type: 'deleteRange'; from: Bytes; to: Bytes };

export interface MapEntry {
  key: Bytes;
  value: Bytes;
}

/** A consistent view of the map. Keys are ordered as byte strings. */
export interface MapReader {
  get(key: Bytes, options?: Abortable): Promise<Bytes | undefined>;
  /** Entries with from <= key < to, ascending; stops reading nodes when the consumer stops. */
  scan(from: Bytes, to: Bytes, options?: Abortable): AsyncIterable<MapEntry>;
}

/** A view in which a running operation sees its own changes; nobody else sees them before it ends. */
export interface Transaction extends MapReader {
  put(key: Bytes, value: Bytes): void;
  delete(key: Bytes): void;
  deleteRange(from: Bytes, to: Bytes): void;
  /** Sequence this operation's effects will have. */
  readonly sequence: number;
  /** A new number for an inode or a chunk, never handed out again. */
  allocate(counter: 'inode' | 'chunk'): Promise<number>;
  /** Whether `allocate` may still hand out that inode number. */
  willAllocate(inode: number): boolean;
}

/** A piece of data stored in a chunk. */
export interface CellRef {
  chunk: number;
  cell: number;
  length: number;
}

/** Bytes of one chunk that follow each other: from `skip` behind the start of that cell on, through the whole cells behind it. */
export interface CellRun {
  chunk: number;
  cell: number;
  skip: number;
  length: number;
}

/** A chunk written to the store and not yet recorded in the tree: an operation names it to make it part. */
export interface WrittenChunk {
  address: Address;
  key: Bytes;
  stored: number;
  /** Plain length of each cell. */
  cells: number[];
  generation: number;
}

/**
 * What a tree means: the view executes operations at the leader, one at a time, and answers queries on a view.
 * `execute` must be deterministic in what it reads and may throw typed errors: then nothing is changed.
 */
export interface TreeView {
  readonly kind: string;
  execute(operation: Bytes, transaction: Transaction): Promise<Bytes>;
  query(query: Bytes, reader: MapReader): Promise<Bytes>;
  readonly pending?: PendingData;
  readonly cells?: CellUse;
}

/** Which cells records name: so it is known what of a chunk is used, and what is left of it can be written elsewhere. */
export interface CellUse {
  /** Where such records are. */
  readonly range: { from: Bytes; to: Bytes };
  /** What a record there names, in order. Throws `corrupt`. */
  of(key: Bytes, value: Bytes): CellRun[];
  /**
   * What takes the record's place when the bytes of run i are in the given cells instead, of which all but the last are whole;
   * undefined: where they were.
   */
  moved(key: Bytes, value: Bytes, runs: readonly (readonly CellRef[] | undefined)[]): Effect[];
}

/** Small data that rides in a record, durable by the journal alone, until a commit moves it into a chunk. */
export interface PendingData {
  /** The data of a record that holds some: at most a cell. */
  of(key: Bytes, value: Bytes): Bytes | undefined;
  /** The same record with its data in that cell. */
  moved(value: Bytes, cell: CellRef): Bytes;
}

/** `whole`: flock(2), changed by letting go first. `range`: fcntl(2). The two know nothing of each other. */
export const lockSpaces = ['whole', 'range'] as const;
export type LockSpace = (typeof lockSpaces)[number];

/** What an owner has locked of one resource. */
export interface LockPlace {
  space: LockSpace;
  resource: number;
  /** Of this client, told apart by it. */
  owner: bigint;
}

/** Places from `from` to before `to`. */
export interface Span {
  from: bigint;
  to: bigint;
}
/** Where a span ends that names no end. */
export const lockEnd = 2n ** 63n;

export type LockMode = 'shared' | 'exclusive';
export interface LockRange extends Span {
  mode: LockMode;
  /** Process that asked, as its own client numbers it; only shown. */
  pid: number;
}

/** Whose lock is in the way; `mine`: of an owner of this client. */
export interface LockStatement {
  mine: boolean;
  range: LockRange;
}

/** An operation of who relies on a lock: done only while that lock session lives. */
export interface LockGuard {
  client: Bytes;
  session: number;
}

export interface LockOptions extends Abortable {
  /** Until it is granted. */
  wait: boolean;
}

/**
 * Locks of all clients of a tree, kept by its leader (docs/protocols.md 4.10). A client that could not speak with a leader for
 * `limits.lockLeaseMs` has lost its locks: what it asks for then at a place it had locked throws `lost` (reason `lock-lost`), until
 * that owner lets go. Nobody else is granted them before, and no guarded operation of this client is executed after.
 */
export interface TreeLocks {
  /** Throws `conflict`, with reason `deadlock` for a wait without end; `full` (reason `no-locks`); `cancelled`, then it is not locked. */
  lock(place: LockPlace, range: LockRange, options: LockOptions): Promise<void>;
  unlock(place: LockPlace, span: Span): Promise<void>;
  test(place: LockPlace, range: LockRange, options?: Abortable): Promise<LockStatement | undefined>;
  /** Anything of that owner is locked, or lost, as far as is known here. */
  holds(place: LockPlace): boolean;
  /** An owner of this client has lost what it had locked of the resource, and not let go. */
  isLost(resource: number): boolean;
  /** For operations that rely on locks of the resource; undefined when there are none. */
  guardOf(resource: number): LockGuard | undefined;
  /** Told of resources whose locks are lost. */
  onLost(listener: (resources: ReadonlySet<number>) => void): () => void;
}

export interface DoOptions extends Abortable {
  /** Throws `lost` (reason `lock-lost`) when the session has ended. */
  guard?: LockGuard | undefined;
  /** Durable when it resolves (default); else seen at once, durable within about a second. */
  durable?: boolean;
  /** Chunks the operation makes part of the tree. */
  chunks?: readonly WrittenChunk[];
}

export interface TreeStatus {
  role: 'leader' | 'follower' | 'none';
  epoch: number;
  leader: string | undefined;
  sequence: number;
  applied: number;
  memtableBytes: number;
  journalBytes: number;
  height: number;
}

export interface Tree extends Startable {
  readonly treeId: Bytes;
  /**
   * Executes an operation exactly once at the leader, wherever it is, across takeovers, and returns the view's answer.
   * Throws what the view threw; `unavailable` when no leader can be had within the deadline (60 s): the operation may
   * still happen then.
   */
  do(operation: Bytes, options?: DoOptions): Promise<Bytes>;
  /** Answers on a linearizable view. */
  query(query: Bytes, options?: Abortable): Promise<Bytes>;
  /** Cells of up to 64 KiB sealed together into chunks and put; named by an operation afterwards. */
  writeChunks(cells: readonly Bytes[], options?: Abortable): Promise<WrittenChunk[]>;
  /** Plain bytes of `count` cells that follow each other, in one read. Throws `corrupt`, `lost`. */
  readCells(
    chunk: { address: Address; key: Bytes },
    first: number,
    count: number,
    options?: Abortable,
  ): Promise<Bytes[]>;
  /**
   * Called with the keys an acknowledged operation changed, in order, while this client follows or leads; at least once
   * each. `missed`: changes up to this one are not known any more (a long absence): what was derived must be read again.
   */
  onChange(listener: (change: { sequence: number; effects: readonly Effect[]; missed?: boolean }) => void): () => void;
  /** Everything this client's operations did is durable when it resolves; throws `lost` when some of it may be gone meanwhile. */
  sync(options?: Abortable): Promise<void>;
  readonly locks: TreeLocks;
  /** How often changes that were not asked to be durable may have been lost with a leadership of this client. */
  readonly losses: number;
  /** For how long local answers stay true, milliseconds: 0 for one that does not lead. */
  leaseMs(): number;
  /** Leads, and no other client was heard of for a while. */
  alone(): boolean;
  /**
   * How garbage collection stands at the leader, wherever it is; `begin` asks for a cycle (which runs when `garbage` is worked
   * there). Readers of what is not in the tree any more have `graceMs`, an hour unless told.
   */
  collect(begin?: { graceMs?: number | undefined }): Promise<CollectionStatus>;
  /** Garbage collection as background work, done while this process leads. */
  readonly garbage: {
    readonly name: string;
    readonly counters: Record<string, number>;
    step(signal: AbortSignal): Promise<boolean>;
    /** Called when some waits. */
    onWork: () => void;
    /** Called when the tree stops. */
    onStop: () => void;
  };
  /** How it is shared; a read of the root register. */
  access(options?: Abortable): Promise<TreeAccess>;
  /**
   * Shares it as `change` says, from here on, as its owner: `denied` for others. Leads meanwhile: another leader hands over. Who is
   * left out is refused by leader, journal and register from then on, and reads nothing that comes after; what he could read is
   * sealed anew by `resealing`.
   */
  share(change: ChangeShares, options?: Abortable): Promise<void>;
  /** Background work as `garbage`: what somebody who was left out could read takes new keys. */
  readonly resealing: Tree['garbage'];
  /** Writes what is only in the journal into the root. */
  commit(): Promise<void>;
  status(): TreeStatus;
  /** Commits, resigns when leading, and closes. */
  stop(): Promise<void>;
}
