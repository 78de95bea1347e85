// What changes the data of files: writes of several files at once, cutting and extending, reserving and punching. Data behind
// the end of a file there is none (reserved zeros at most), so a file that grows shows zeros.

import type { Bytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { WrittenChunk } from '../../tree/tree.ts';
import { type Body, cut, extentsFrom, place, reserve, reservedBytesMax } from './extents.ts';
import { type FileTime, fileError } from './files.ts';
import { attributesOf, type Inode } from './inodes.ts';
import { allocateReply, attributesReply, type FileOperation, type WrittenPiece, writeReply } from './messages.ts';
import { isLater } from './times.ts';
import { asFile, tooMuch, type Work } from './work.ts';

const { cellBytesMax, extentsPerStepMax: stepMax, fileBytesMax } = limits;

/** Looks for where a step of a cut begins, before a smaller one is taken. */
const probesMax = 8;

type Write = FileOperation & { type: 'write' };

export async function write(asked: Write, work: Work): Promise<Bytes> {
  const chunks = asked.chunks.map((chunk) => new OfferedChunk(chunk));
  checkPieces(asked, chunks);
  const written: Inode[] = [];
  for (const { inode: number, modified, pieces } of asked.files) {
    const found = await work.find(number);
    if (found === undefined) continue;
    const inode = asFile(found);
    for (const run of runsOf(pieces)) await store(work, inode, run, chunks);
    wasWritten(work, inode, modified);
    written.push(inode);
  }
  return encode(writeReply, written.map(attributesOf));
}

function wasWritten(work: Work, inode: Inode, modified: FileTime): void {
  inode.modified = modified;
  // What was done meanwhile may have arrived before the data.
  if (isLater(modified, inode.changed)) inode.changed = modified;
  work.touch(inode);
}

type Append = FileOperation & { type: 'append' };

export async function append({ inode: number, modified, ...asked }: Append, work: Work): Promise<Bytes> {
  const chunks = asked.chunks.map((chunk) => new OfferedChunk(chunk));
  checkPieces({ files: [asked] }, chunks);
  const [run, ...others] = runsOf(asked.pieces);
  if (run === undefined || others.length > 0) throw new InfinitError('usage', 'what is appended has a gap');
  const found = await work.find(number);
  if (found === undefined) return encode(writeReply, []);
  const inode = asFile(found);
  const shift = inode.size - (run[0]?.offset ?? 0);
  const moved = run.map((piece) => ({ ...piece, offset: piece.offset + shift }));
  if (moved.some((piece) => piece.offset + lengthOf(piece) > fileBytesMax)) throw tooLarge();
  await store(work, inode, moved, chunks);
  wasWritten(work, inode, modified);
  return encode(writeReply, [attributesOf(inode)]);
}

/** Throws before anything is done. */
function checkPieces({ files }: { files: readonly Pick<Append, 'pieces'>[] }, chunks: readonly OfferedChunk[]): void {
  let count = 0;
  for (const { pieces } of files)
    for (const piece of pieces) {
      const length = lengthOf(piece);
      if (length === 0) throw new InfinitError('usage', 'a piece of data is empty');
      if (piece.offset + length > fileBytesMax) throw tooLarge();
      if (piece.type === 'cells') offeredAt(chunks, piece.chunk).checkRun(piece);
      count++;
    }
  if (count > limits.writtenPiecesMax) throw tooMuch();
}

/** Pieces that follow each other without a gap replace what lay there at once. */
function runsOf(pieces: readonly WrittenPiece[]): WrittenPiece[][] {
  const runs: WrittenPiece[][] = [];
  let end = -1;
  for (const piece of pieces) {
    if (piece.offset === end) runs.at(-1)?.push(piece);
    else runs.push([piece]);
    end = piece.offset + lengthOf(piece);
  }
  return runs;
}

async function store(
  work: Work,
  inode: Inode,
  run: readonly WrittenPiece[],
  chunks: readonly OfferedChunk[],
): Promise<void> {
  const from = run[0]?.offset ?? 0;
  const to = run.reduce((end, piece) => end + lengthOf(piece), from);
  // Behind the end there is nothing to cut, unless it was reserved.
  if (inode.allocated > 0 && (inode.beyond || from < inode.size)) await cut(work, inode, { from, to });
  for (const piece of run)
    place(work, inode, { start: piece.offset, length: lengthOf(piece), body: await bodyOf(work, piece, chunks) });
  inode.size = Math.max(inode.size, to);
}

async function bodyOf(work: Work, piece: WrittenPiece, chunks: readonly OfferedChunk[]): Promise<Body> {
  if (piece.type === 'bytes') return piece;
  const { cell, skip, length } = piece;
  const chunk = await offeredAt(chunks, piece.chunk).number(work);
  work.live(chunk, length);
  return { type: 'cells', chunk, cell, skip };
}

function lengthOf(piece: WrittenPiece): number {
  return piece.type === 'bytes' ? piece.bytes.length : piece.length;
}

function offeredAt(chunks: readonly OfferedChunk[], index: number): OfferedChunk {
  const chunk = chunks[index];
  if (chunk === undefined) throw new InfinitError('usage', 'a piece names a chunk that is not there');
  return chunk;
}

/** A chunk that comes with an operation: part of the tree once a piece of a file that exists names it. */
class OfferedChunk {
  private readonly chunk: WrittenChunk;
  private readonly plain: number;
  private named = 0;
  private allocated: number | undefined;

  constructor(chunk: WrittenChunk) {
    if (chunk.cells.some((cell) => cell < 1 || cell > cellBytesMax))
      throw new InfinitError('usage', `a cell has 1 to ${cellBytesMax} bytes`);
    this.chunk = chunk;
    this.plain = chunk.cells.reduce((sum, cell) => sum + cell, 0);
  }

  /** Throws `usage` unless the piece's bytes are there, in cells that follow each other without gaps. */
  checkRun({ cell, skip, length }: WrittenPiece & { type: 'cells' }): void {
    const { cells } = this.chunk;
    let left = length + skip;
    for (let at = cell; left > 0; at++) {
      const bytes = cells[at];
      if (bytes === undefined || (at === cell && skip >= bytes) || (bytes < left && bytes < cellBytesMax))
        throw new InfinitError('usage', 'a piece names bytes that its chunk does not have');
      left -= bytes;
    }
    this.named += length;
    if (this.named > this.plain) throw new InfinitError('usage', 'pieces name more bytes than their chunk has');
  }

  async number(work: Work): Promise<number> {
    this.allocated ??= await work.addChunk(this.chunk);
    return this.allocated;
  }
}

type Change = FileOperation & { type: 'change' };

export async function change(asked: Change, work: Work): Promise<Bytes> {
  const inode = await work.need(asked.inode);
  if (asked.size !== undefined) {
    await resize(work, asFile(inode), asked.size);
    inode.modified = asked.now;
  }
  if (asked.mode !== undefined) inode.mode = asked.mode & 0o7777;
  inode.uid = asked.uid ?? inode.uid;
  inode.gid = asked.gid ?? inode.gid;
  inode.accessed = asked.accessed ?? inode.accessed;
  inode.modified = asked.modified ?? inode.modified;
  inode.changed = asked.now;
  work.touch(inode);
  return encode(attributesReply, attributesOf(inode));
}

/** A cut that takes more than a step's worth of extents ends where the step does, above the wanted size. */
async function resize(work: Work, inode: Inode, size: number): Promise<void> {
  if (size > fileBytesMax) throw tooLarge();
  const cuts = inode.allocated > 0 && (size < inode.size || inode.beyond);
  const from = cuts ? await lastStep(work, inode, size) : size;
  if (cuts) await cut(work, inode, { from, to: fileBytesMax });
  if (from === size) {
    inode.beyond = false;
    inode.size = size;
  } else inode.size = Math.max(size, Math.min(inode.size, from));
}

/**
 * An offset at or above the given one behind which at most a step's worth of extents ends: the given one, or one with not
 * much less than that behind it. Trees are scanned forward only, so it is found by probing, guessing that extents are alike.
 */
async function lastStep(work: Work, inode: Inode, from: number): Promise<number> {
  let probe = await endsFrom(work, inode, from);
  if (probe.count <= stepMax) return from;
  // More than a step's worth ends behind `low`, less than half of it behind `high`.
  let low = probe.first;
  let high = inode.beyond ? fileBytesMax : inode.size;
  let end = high;
  let best: number | undefined;
  let span = probe.last - probe.first;
  for (let probes = 0; ; probes++) {
    let next = end - Math.ceil((span * 3) / 4);
    if (next <= low || next >= high) next = Math.floor((low + high) / 2);
    probe = await endsFrom(work, inode, next);
    if (probe.count > stepMax) low = Math.max(next, probe.first);
    else if (probe.count >= stepMax / 2) return next;
    else high = next;
    if (probe.count === 0) end = next;
    else if (probe.count <= stepMax) {
      best = next;
      end = probe.last;
    }
    if (best !== undefined && (probes >= probesMax || high - low <= 1)) return best;
    if (probe.count > 0) span = ((probe.last - probe.first) * stepMax) / Math.min(probe.count, stepMax);
  }
}

/** How many extents end behind an offset, counted to a step and one; where the first starts (there at least) and the last ends. */
async function endsFrom(
  work: Work,
  inode: Inode,
  offset: number,
): Promise<{ count: number; first: number; last: number }> {
  let count = 0;
  let first = offset;
  let last = offset;
  for await (const { start, length } of extentsFrom(work.transaction, inode.inode, offset)) {
    if (count++ === 0) first = Math.max(start, offset);
    last = start + length;
    if (count > stepMax) break;
  }
  return { count, first, last };
}

type Allocate = FileOperation & { type: 'allocate' };

export async function allocate(asked: Allocate, work: Work): Promise<Bytes> {
  const inode = await work.file(asked.inode);
  const { offset: from, length, mode, now } = asked;
  const to = from + length;
  if (length === 0) throw fileError('invalid', 'a range to allocate has at least one byte');
  if (to > fileBytesMax) throw tooLarge();
  const reserves = mode === 'allocate' || mode === 'reserve';
  let reached = to;
  if (!reserves) {
    reached = await cut(work, inode, { from, to, extentsMax: stepMax });
    inode.modified = now;
  }
  if (mode !== 'punch') {
    const range = { from, to: Math.min(reached, from + stepMax * reservedBytesMax), extentsMax: stepMax };
    reached = await reserve(work, inode, range);
    if ((mode === 'allocate' || mode === 'zero') && reached > inode.size) {
      inode.size = reached;
      inode.modified = now;
    }
    if (reached > inode.size) inode.beyond = true;
  }
  inode.changed = now;
  work.touch(inode);
  return encode(allocateReply, { attributes: attributesOf(inode), behind: reached - from });
}

function tooLarge(): InfinitError {
  return fileError('too-large', `a file has at most ${fileBytesMax} bytes`);
}
