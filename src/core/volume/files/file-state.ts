// What a client keeps of a file it has open, writes to, or owes an error: data not yet in the tree, its order of flushes, and
// what was learnt of it for reading.

import type { Bytes } from '../../base/bytes.ts';
import type { InfinitError } from '../../base/errors.ts';
import type { LockGuard } from '../../tree/tree.ts';
import { cut, DirtyRanges, type Piece } from './dirty.ts';
import type { Attributes, FileTime } from './files.ts';
import type { Group } from './flush-group.ts';
import { isLater } from './times.ts';

/** Data on its way into the tree. */
export interface Flight {
  state: FileState;
  /** In order, without overlaps. */
  pieces: readonly Piece[];
  bytes: number;
  modified: FileTime;
  /** It was written under a lock of that session. */
  guard: LockGuard | undefined;
  /** It belongs at the end of the file, wherever that is when it arrives: its offsets are a guess. */
  append: boolean;
}

/** Who shares a file that he appends to puts each piece at its place at once, until others were quiet for so long. */
const sharedMs = 60_000;

export class FileState {
  readonly inode: number;
  opens = 0;
  /** Calls at work with it. */
  users = 0;
  /** Has no name any more, and this client has said that it holds it. */
  orphan = false;
  readonly dirty = new DirtyRanges();
  /** Data not sent yet belongs at the end of the file: all of it or none. */
  appending = false;
  private sharedUntilMs = Number.NEGATIVE_INFINITY;
  /** When the oldest dirty byte came, by the monotonic clock. */
  dirtySinceMs = 0;
  /** Of data not sent yet: written under a lock. */
  guard: LockGuard | undefined;
  /** Of the newest data here. */
  modified: FileTime | undefined;
  /** Oldest first. */
  readonly flights: Flight[] = [];
  readonly groups = new Set<Group>();
  /** Resolves when all data that left so far has arrived or was given up; never rejects. */
  order: Promise<void> = Promise.resolve();
  /** An operation that lets no data leave until it has ended. */
  exclusive: Promise<void> | undefined;
  /** What became of data, told once. */
  error: InfinitError | undefined;
  /** The tree's losses when the oldest change that no sync has covered was made. */
  lossesBefore: number | undefined;
  /** Counts changes of what the tree holds of the file. */
  changes = 0;
  /** Counts truncations and holes. */
  cuts = 0;
  /** Known to be a file. */
  checked = false;

  constructor(inode: number) {
    this.inode = inode;
  }

  get isDirty(): boolean {
    return this.flights.length > 0 || !this.dirty.isEmpty;
  }
  /** Nothing would be lost by forgetting it. */
  get isIdle(): boolean {
    return (
      this.opens === 0 &&
      this.users === 0 &&
      !this.isDirty &&
      this.groups.size === 0 &&
      this.exclusive === undefined &&
      this.error === undefined
    );
  }

  /** What is not in the tree yet of [from, to): later ones hide earlier ones. */
  overlay(from: number, to: number): Piece[] {
    if (!this.isDirty) return [];
    const found: Piece[] = [];
    for (const { pieces } of this.flights)
      for (const piece of pieces)
        if (piece.offset < to && piece.offset + piece.bytes.length > from) found.push(cut(piece, from, to));
    found.push(...this.dirty.within(from, to));
    return found;
  }

  /** Attributes as this client's readers see them. */
  shown(attributes: Attributes): Attributes {
    if (!this.isDirty) return attributes;
    const { modified = attributes.modified } = this;
    const size = Math.max(attributes.size, this.end);
    const changed = isLater(modified, attributes.changed) ? modified : attributes.changed;
    // What lies over other data is not told apart here.
    const held = this.flights.reduce((sum, { bytes }) => sum + bytes, attributes.allocatedBytes + this.dirty.bytes);
    const allocatedBytes = Math.max(attributes.allocatedBytes, Math.min(size, held));
    return { ...attributes, size, allocatedBytes, modified, changed };
  }

  /** Behind the last byte not yet in the tree. */
  get end(): number {
    let end = this.dirty.end;
    for (const { pieces } of this.flights) {
      const last = pieces.at(-1);
      if (last !== undefined) end = Math.max(end, last.offset + last.bytes.length);
    }
    return end;
  }

  /** Others write to the file, as seen at that monotonic time. */
  share(nowMs: number): void {
    this.sharedUntilMs = nowMs + sharedMs;
  }
  /** Another client changed it. */
  changedBy(nowMs: number): void {
    this.changes++;
    this.share(nowMs);
  }
  isShared(nowMs: number): boolean {
    return nowMs < this.sharedUntilMs;
  }

  /** What is to be appended goes so many bytes further than was thought. */
  shift(bytes: number): void {
    for (const flight of this.flights)
      if (flight.append) flight.pieces = flight.pieces.map((piece) => ({ ...piece, offset: piece.offset + bytes }));
    if (this.appending) this.dirty.shift(bytes);
  }

  takeError(): InfinitError | undefined {
    const { error } = this;
    this.error = undefined;
    return error;
  }
}

/** States by inode, kept only while there is something to keep. */
export class FileStates {
  private readonly states = new Map<number, FileState>();

  get(inode: number): FileState | undefined {
    return this.states.get(inode);
  }
  need(inode: number): FileState {
    let state = this.states.get(inode);
    if (state === undefined) this.states.set(inode, (state = new FileState(inode)));
    return state;
  }
  /** The state while a task works with it. */
  async using<T>(inode: number, task: (state: FileState) => Promise<T>): Promise<T> {
    const state = this.need(inode);
    state.users++;
    try {
      return await task(state);
    } finally {
      state.users--;
      this.settle(state);
    }
  }
  /** Forgets what is idle. */
  settle(state: FileState): void {
    if (state.isIdle) this.states.delete(state.inode);
  }
  get all(): FileState[] {
    return [...this.states.values()];
  }
}

/** Pieces, later ones hiding earlier ones, laid over bytes from the offset on: `length` in all, zeros where nothing is. */
export function overlaid(base: readonly Bytes[], offset: number, pieces: readonly Piece[], length: number): Bytes[] {
  const ranges = new DirtyRanges();
  let at = offset;
  for (const bytes of base) {
    if (bytes.length > 0) ranges.add(at, bytes);
    at += bytes.length;
  }
  for (const piece of pieces) ranges.add(piece.offset, piece.bytes);
  const out: Bytes[] = [];
  const end = offset + length;
  at = offset;
  for (const piece of ranges.within(offset, end)) {
    out.push(...zeros(piece.offset - at), piece.bytes);
    at = piece.offset + piece.bytes.length;
  }
  out.push(...zeros(end - at));
  return out;
}

const zeroBytes = Buffer.alloc(64 * 1024);

/** So many zeros, of one piece of memory. */
export function zeros(length: number): Bytes[] {
  const out: Bytes[] = [];
  for (let left = length; left > 0; left -= zeroBytes.length)
    out.push(left < zeroBytes.length ? zeroBytes.subarray(0, left) : zeroBytes);
  return out;
}
