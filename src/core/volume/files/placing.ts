// From dirty data to what an operation says of it: bytes that ride in the operation itself, or cells of chunks. Ranges above a
// cell are cut where the file's offsets are multiples of it, so that whole cells follow each other; smaller ones are one cell.

import { type Bytes, concatBytes } from '../../base/bytes.ts';
import { assert } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { WrittenChunk } from '../../tree/tree.ts';
import type { Piece } from './dirty.ts';
import type { Flight } from './file-state.ts';
import type { FileOperation, WrittenPiece } from './messages.ts';

const cellBytes = limits.cellBytesMax;

export type WriteOperation = Extract<FileOperation, { type: 'write' }>;
type AppendOperation = Extract<FileOperation, { type: 'append' }>;
type WrittenFile = WriteOperation['files'][number];

/** Data without a gap. */
interface Range {
  offset: number;
  length: number;
  parts: Bytes[];
}

/** The data itself in the operation. Each flight has at most a cell's worth. */
export function ridingFile({ state, modified, pieces }: Flight): WrittenFile {
  const written = rangesOf(pieces).map(
    ({ offset, parts }): WrittenPiece => ({ type: 'bytes', offset, bytes: concatBytes(parts) }),
  );
  return { inode: state.inode, modified, pieces: written };
}

/** The cells each flight comes to, in order. */
export function cutFlights(flights: readonly Flight[]): Piece[][] {
  return flights.map(({ pieces }) => cutIntoCells(pieces));
}

/** The operation that names the cells of the flights in the chunks that hold them in the same order. */
export function placedOperation(
  flights: readonly Flight[],
  cells: readonly Piece[][],
  chunks: readonly WrittenChunk[],
): WriteOperation {
  const places = chunks.flatMap((chunk, index) => chunk.cells.map((length, cell) => ({ chunk: index, cell, length })));
  let next = 0;
  const files = flights.map(({ state, modified }, i) => {
    const written: Extract<WrittenPiece, { type: 'cells' }>[] = [];
    for (const { offset, bytes } of cells[i] ?? []) {
      const place = places[next++];
      assert(place !== undefined && place.length === bytes.length, 'chunks hold the cells they were made of');
      const { chunk, cell, length } = place;
      const last = written.at(-1);
      // All cells of a run but the last are whole.
      const follows =
        last !== undefined &&
        last.chunk === chunk &&
        last.offset + last.length === offset &&
        last.length % cellBytes === 0 &&
        last.length > 0;
      if (follows) last.length += length;
      else written.push({ type: 'cells', offset, length, chunk, cell, skip: 0 });
    }
    return { inode: state.inode, modified, pieces: written };
  });
  return { type: 'write', files, chunks: [...chunks] };
}

/** The same at the end of the file; of one flight. */
export function appendOperation({ files, chunks }: WriteOperation): AppendOperation {
  const [file] = files;
  assert(file !== undefined && files.length === 1, 'data of one file is appended at a time');
  return { type: 'append', ...file, chunks };
}

/** Two parts of about the same size of what was too much for one operation; nothing when it cannot be parted. */
export function halves(flights: readonly Flight[]): [Flight[], Flight[]] | undefined {
  const [first] = flights;
  if (first === undefined) return undefined;
  if (flights.length > 1) {
    const middle = flights.length >> 1;
    return [flights.slice(0, middle), flights.slice(middle)];
  }
  const { pieces } = first;
  const parted = pieces.length > 1 ? partPieces(pieces) : partPiece(pieces[0]);
  return parted?.map((part) => [flightOf(first, part)]) as [Flight[], Flight[]] | undefined;
}

export function flightOf(
  { state, modified, guard, append }: Omit<Flight, 'pieces' | 'bytes'>,
  pieces: readonly Piece[],
): Flight {
  return { state, modified, guard, append, pieces, bytes: pieces.reduce((sum, { bytes }) => sum + bytes.length, 0) };
}

function partPieces(pieces: readonly Piece[]): Piece[][] {
  const middle = pieces.length >> 1;
  return [pieces.slice(0, middle), pieces.slice(middle)];
}

function partPiece(piece: Piece | undefined): Piece[][] | undefined {
  if (piece === undefined || piece.bytes.length <= cellBytes) return undefined;
  const middle = Math.ceil(piece.bytes.length / 2 / cellBytes) * cellBytes;
  return [
    [{ offset: piece.offset, bytes: piece.bytes.subarray(0, middle) }],
    [{ offset: piece.offset + middle, bytes: piece.bytes.subarray(middle) }],
  ];
}

function rangesOf(pieces: readonly Piece[]): Range[] {
  const ranges: Range[] = [];
  for (const { offset, bytes } of pieces) {
    const last = ranges.at(-1);
    if (last !== undefined && last.offset + last.length === offset) {
      last.parts.push(bytes);
      last.length += bytes.length;
    } else ranges.push({ offset, length: bytes.length, parts: [bytes] });
  }
  return ranges;
}

function cutIntoCells(pieces: readonly Piece[]): Piece[] {
  const cells: Piece[] = [];
  for (const range of rangesOf(pieces)) {
    if (range.length <= cellBytes) cells.push({ offset: range.offset, bytes: concatBytes(range.parts) });
    else cutRange(range, cells);
  }
  return cells;
}

function cutRange(range: Range, cells: Piece[]): void {
  let at = range.offset;
  let parts: Bytes[] = [];
  let gathered = 0;
  const finish = () => {
    if (gathered === 0) return;
    cells.push({ offset: at, bytes: concatBytes(parts) });
    at += gathered;
    parts = [];
    gathered = 0;
  };
  for (const part of range.parts)
    for (let from = 0; from < part.length; ) {
      const room = cellBytes - ((at + gathered) % cellBytes);
      const taken = part.subarray(from, from + room);
      parts.push(taken);
      gathered += taken.length;
      from += taken.length;
      if (taken.length === room) finish();
    }
  finish();
}
