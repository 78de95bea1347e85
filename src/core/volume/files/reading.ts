// Reads what the tree holds of a file: asks for extents, fetches cells side by side and ahead of one who reads on and on. While
// this client leads, extents once answered are remembered until the file changes.

import type { Bytes } from '../../base/bytes.ts';
import { decode, encode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, Semaphore } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Tree } from '../../tree/tree.ts';
import { type FileState, zeros } from './file-state.ts';
import { type ExtentsReply, extentsReply, fileQuery } from './messages.ts';

const cellBytes = limits.cellBytesMax;
/** Cells of a chunk that are read together: a chunk of usual size. */
const groupCells = 16;
const cellReadsMax = 32;
const aheadReadsMax = 16;
/** Cells asked for ahead and not here yet, of all files. */
const aheadCellsMax = 256;
const aheadBytesMin = 128 * 1024;
const aheadBytesMax = 4 * 1024 * 1024;
/** So much of a file is asked for at once, where the answer may be remembered, by one who reads on. */
const rememberedBytes = 2 * 1024 * 1024;
const rememberedFilesMax = 256;
const rememberedInlineBytesMax = 256 * 1024;

type Extent = ExtentsReply['pieces'][number];
type CellRun = Extract<Extent, { type: 'cells' }>;

/** Extents of [from, to) without gaps; `to` is the end of the file or of the answer. */
interface Extents {
  from: number;
  to: number;
  size: number;
  pieces: readonly Extent[];
}

interface Remembered extends Extents {
  epoch: number;
  changes: number;
}

/** How one reads a file: the place a sequential reader would ask for next, and what is asked for ahead of it. */
interface Ahead {
  next: number;
  windowBytes: number;
  through: number;
}

export interface BaseRead {
  /** Of the file in the tree. */
  size: number;
  /** The bytes from the offset, fewer only at the end of the file. */
  parts: Bytes[];
}

export class Reading {
  private readonly tree: Tree;
  private readonly remembered = new Map<FileState, Remembered>();
  private readonly ahead = new WeakMap<FileState, Ahead>();
  private readonly slots = new Semaphore(cellReadsMax);
  private readonly aheadSlots = new Semaphore(aheadReadsMax);
  private readonly stopped = new AbortController();
  private aheadCells = 0;

  constructor(tree: Tree) {
    this.tree = tree;
  }

  /** What the tree holds from the offset on. */
  async read(state: FileState, offset: number, length: number, options: Abortable): Promise<BaseRead> {
    try {
      return await this.readOnce(state, offset, length, options);
    } catch (error) {
      if (!isError(error, 'lost')) throw error;
      // What was remembered may have been written elsewhere since, and garbage collection has come by.
      this.forget(state);
      return this.readOnce(state, offset, length, options);
    }
  }

  private async readOnce(state: FileState, offset: number, length: number, options: Abortable): Promise<BaseRead> {
    const reads: Promise<Bytes[]>[] = [];
    let size = 0;
    for (let at = offset; ; ) {
      const extents = await this.extents(state, at, offset + length - at, options);
      size = extents.size;
      const end = Math.min(offset + length, extents.to);
      if (end > at) reads.push(this.bytesOf(extents, at, end, options));
      if (end <= at || end >= Math.min(offset + length, size)) break;
      at = end;
    }
    this.readAhead(state, offset, length, size);
    const parts = (await Promise.all(reads)).flat();
    return { size, parts };
  }

  forget(state: FileState): void {
    this.remembered.delete(state);
  }

  stop(): void {
    this.stopped.abort();
    this.remembered.clear();
  }

  private async extents(state: FileState, offset: number, length: number, options: Abortable): Promise<Extents> {
    const { tree } = this;
    const leads = tree.leaseMs() > 0;
    const epoch = leads ? tree.status().epoch : 0;
    const known = this.remembered.get(state);
    if (leads && known?.epoch === epoch && known.changes === state.changes && known.from <= offset)
      if (offset < known.to || offset >= known.size) return known;
    const readsOn = offset === 0 || (this.ahead.get(state)?.windowBytes ?? 0) > 0;
    const asked = leads && readsOn ? Math.max(length, rememberedBytes) : length;
    const { changes } = state;
    const query = encode(fileQuery, { type: 'extents', inode: state.inode, offset, length: asked });
    const { size, pieces } = decode(extentsReply, await tree.query(query, options));
    const extents = { from: offset, to: offset + lengthOf(pieces), size, pieces };
    if (leads && inlineBytes(pieces) <= rememberedInlineBytesMax) this.remember(state, { ...extents, epoch, changes });
    return extents;
  }

  private remember(state: FileState, extents: Remembered): void {
    // An answer that came after a change that was under way is not used: `changes` has gone on.
    this.remembered.delete(state);
    this.remembered.set(state, extents);
    const [oldest] = this.remembered.keys();
    if (this.remembered.size > rememberedFilesMax && oldest !== undefined) this.remembered.delete(oldest);
  }

  /** The bytes of [from, to), which the extents cover. */
  private async bytesOf(extents: Extents, from: number, to: number, options: Abortable): Promise<Bytes[]> {
    const parts: (Bytes[] | Promise<Bytes[]>)[] = [];
    let at = extents.from;
    for (const piece of extents.pieces) {
      const length = pieceLength(piece);
      const start = Math.max(from, at) - at;
      const end = Math.min(to, at + length) - at;
      at += length;
      if (end <= start) continue;
      if (piece.type === 'zeros') parts.push(zeros(end - start));
      else if (piece.type === 'bytes') parts.push([piece.bytes.subarray(start, end)]);
      else parts.push(this.cells(piece, start, end, options));
    }
    return (await Promise.all(parts)).flat();
  }

  /** Bytes [start, end) of a run of cells: all but the last are whole. */
  private async cells(run: CellRun, start: number, end: number, options: Abortable): Promise<Bytes[]> {
    const first = run.skip + start;
    const last = run.skip + end;
    const base = run.cell * cellBytes;
    const groups = groupsOf(run, start, end).map(({ cell, count }) =>
      this.slots.run(async () => {
        const read = await this.tree.readCells(run, cell, count, options);
        return read.map((bytes, i) => {
          const at = (cell + i) * cellBytes - base;
          const to = Math.min(last - at, cellBytes);
          if (bytes.length < to) throw new InfinitError('corrupt', 'a cell is shorter than its extent says');
          return bytes.subarray(Math.max(first - at, 0), to);
        });
      }),
    );
    await Promise.allSettled(groups);
    return (await Promise.all(groups)).flat();
  }

  /** One who goes on where he was is fetched for: twice as far each time. */
  private readAhead(state: FileState, offset: number, length: number, size: number): void {
    const ahead = this.ahead.get(state);
    const end = offset + length;
    // Kernels ask side by side: the next but one may come first.
    if (ahead === undefined || Math.abs(offset - ahead.next) > 4 * length) {
      this.ahead.set(state, { next: end, windowBytes: 0, through: end });
      return;
    }
    ahead.next = Math.max(end, ahead.next);
    ahead.through = Math.max(end, ahead.through);
    if (ahead.through - end > ahead.windowBytes / 2) return;
    ahead.windowBytes = Math.min(Math.max(2 * ahead.windowBytes, aheadBytesMin), aheadBytesMax);
    const from = ahead.through;
    const to = Math.min(from + ahead.windowBytes, size);
    if (to <= from || this.stopped.signal.aborted) return;
    ahead.through = to;
    // What fails ahead fails again, and is told, when it is read.
    void this.fetchAhead(state, from, to).catch(() => {});
  }

  private async fetchAhead(state: FileState, from: number, to: number): Promise<void> {
    const { signal } = this.stopped;
    const extents = await this.extents(state, from, to - from, { signal });
    let at = extents.from;
    for (const piece of extents.pieces) {
      const start = Math.max(from - at, 0);
      const end = Math.min(to - at, pieceLength(piece));
      at += pieceLength(piece);
      if (piece.type !== 'cells' || end <= start) continue;
      for (const { cell, count } of groupsOf(piece, start, end)) {
        if (this.aheadCells >= aheadCellsMax) return;
        this.aheadCells += count;
        void this.aheadSlots
          .run(() => this.tree.readCells(piece, cell, count, { signal }))
          .catch(() => {})
          .finally(() => {
            this.aheadCells -= count;
          });
      }
    }
  }
}

/** The cells that hold bytes [start, end) of a run, in groups read at once; always cut at the same places of a chunk. */
function groupsOf(run: CellRun, start: number, end: number): { cell: number; count: number }[] {
  const groups: { cell: number; count: number }[] = [];
  const behind = run.cell + Math.ceil((run.skip + end) / cellBytes);
  for (let cell = run.cell + Math.floor((run.skip + start) / cellBytes); cell < behind; ) {
    const next = Math.min(behind, cell - (cell % groupCells) + groupCells);
    groups.push({ cell, count: next - cell });
    cell = next;
  }
  return groups;
}

function pieceLength(piece: Extent): number {
  return piece.type === 'bytes' ? piece.bytes.length : piece.length;
}

function lengthOf(pieces: readonly Extent[]): number {
  return pieces.reduce((sum, piece) => sum + pieceLength(piece), 0);
}

function inlineBytes(pieces: readonly Extent[]): number {
  return pieces.reduce((sum, piece) => sum + (piece.type === 'bytes' ? piece.bytes.length : 0), 0);
}
