// Data written to a file and not yet sent to the tree: pieces in order of their offsets that do not overlap. The memory given
// is kept, not copied; only small writes one behind the other are gathered.

import type { Bytes } from '../../base/bytes.ts';

export interface Piece {
  offset: number;
  bytes: Bytes;
}

/** Writes up to here are gathered with the one they follow, up to `gatheredBytesMax` together. */
const smallBytes = 8 * 1024;
const gatheredBytesMax = 64 * 1024;
const gatheredBytesMin = 4 * 1024;

interface KeptPiece extends Piece {
  /** Memory of our own that starts with the bytes and may have room behind them. */
  memory?: Buffer;
}

export class DirtyRanges {
  private readonly kept: KeptPiece[] = [];
  private used = 0;

  /** Bytes held. */
  get bytes(): number {
    return this.used;
  }
  get count(): number {
    return this.kept.length;
  }
  get isEmpty(): boolean {
    return this.kept.length === 0;
  }
  /** Behind the last byte; 0 when empty. */
  get end(): number {
    const last = this.kept.at(-1);
    return last === undefined ? 0 : last.offset + last.bytes.length;
  }

  /** Takes data over what is there. Answers by how many bytes more are held. */
  add(offset: number, data: Bytes): number {
    const before = this.used;
    const bytes = detached(data);
    const at = this.indexOf(offset);
    const previous = this.kept[at - 1];
    const next = this.kept[at];
    const end = offset + bytes.length;
    const follows = previous !== undefined && previous.offset + previous.bytes.length === offset;
    if (follows && (next === undefined || next.offset >= end) && this.gather(previous, bytes)) return bytes.length;
    this.remove(offset, end);
    this.kept.splice(this.indexOf(offset), 0, { offset, bytes });
    this.used += bytes.length;
    return this.used - before;
  }

  /** What is held of [from, to), in order. */
  within(from: number, to: number): Piece[] {
    const found: Piece[] = [];
    for (let i = this.firstBehind(from); i < this.kept.length; i++) {
      const piece = this.kept[i] as Piece;
      if (piece.offset >= to) break;
      found.push(cut(piece, from, to));
    }
    return found;
  }

  /** Forgets what is held of [from, to). Answers how many bytes that were. */
  remove(from: number, to: number): number {
    const first = this.firstBehind(from);
    let behind = first;
    const stay: KeptPiece[] = [];
    let removed = 0;
    for (; behind < this.kept.length; behind++) {
      const piece = this.kept[behind] as KeptPiece;
      if (piece.offset >= to) break;
      const end = piece.offset + piece.bytes.length;
      if (piece.offset < from) stay.push(cut(piece, piece.offset, from));
      if (end > to) stay.push(cut(piece, to, end));
      removed += Math.min(end, to) - Math.max(piece.offset, from);
    }
    if (behind > first) this.kept.splice(first, behind - first, ...stay);
    this.used -= removed;
    return removed;
  }

  /** Hands out what lies before the offset, all by default, and forgets it. */
  take(to = Number.MAX_SAFE_INTEGER): Piece[] {
    const taken = this.within(0, to).map(({ offset, bytes }) => ({ offset, bytes }));
    this.remove(0, to);
    return taken;
  }

  /** All of it lies so many bytes further. */
  shift(bytes: number): void {
    for (const piece of this.kept) piece.offset += bytes;
  }

  /** Where the data without a gap begins that ends at this offset; the offset itself when none does. */
  runStart(end: number): number {
    let start = end;
    for (let i = this.indexOf(end) - 1; i >= 0; i--) {
      const { offset, bytes } = this.kept[i] as Piece;
      if (offset + bytes.length !== start) break;
      start = offset;
    }
    return start;
  }

  private gather(previous: KeptPiece, bytes: Bytes): boolean {
    const length = previous.bytes.length + bytes.length;
    if (bytes.length > smallBytes || length > gatheredBytesMax) return false;
    let { memory } = previous;
    if (memory === undefined || memory.length < length) {
      memory = Buffer.allocUnsafeSlow(Math.min(gatheredBytesMax, Math.max(gatheredBytesMin, 2 * length)));
      memory.set(previous.bytes);
      previous.memory = memory;
    }
    // Readers may hold what is before: only memory behind it is written.
    memory.set(bytes, previous.bytes.length);
    previous.bytes = memory.subarray(0, length);
    this.used += bytes.length;
    return true;
  }

  /** Index of the first piece at or behind the offset. */
  private indexOf(offset: number): number {
    let low = 0;
    let high = this.kept.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      if ((this.kept[middle] as Piece).offset < offset) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Index of the first piece that ends behind the offset. */
  private firstBehind(offset: number): number {
    const at = this.indexOf(offset);
    const previous = this.kept[at - 1];
    return previous !== undefined && previous.offset + previous.bytes.length > offset ? at - 1 : at;
  }
}

/** The part of a piece in [from, to). */
export function cut({ offset, bytes }: Piece, from: number, to: number): Piece {
  const start = Math.max(from, offset);
  const end = Math.min(to, offset + bytes.length);
  return { offset: start, bytes: bytes.subarray(start - offset, end - offset) };
}

/** Small bytes apart from a much larger buffer (a frame) that they would keep in memory. */
function detached(bytes: Bytes): Bytes {
  const { byteLength } = bytes.buffer;
  return byteLength > gatheredBytesMax && bytes.length * 8 < byteLength ? Buffer.from(bytes) : bytes;
}
