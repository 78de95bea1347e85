// Frames in a byte stream: a length of four bytes, then the body. Pieces received are kept as they are and copied once, when
// their frame is complete.

import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';

export const lengthBytes = 4;

const smallPieceBytes = 1024;
const smallTailMax = 64;

export class FrameReader {
  private pieces: Buffer[] = [];
  private buffered = 0;
  private smallTail = 0;
  /** Body length of the frame being received, -1 before its length is known. */
  private expected = -1;
  /** What may come first is small: until it was judged, the other side is a stranger. */
  private limit: number = limits.firstFrameBytesMax;

  push(piece: Buffer): void {
    this.pieces.push(piece);
    this.buffered += piece.length;
    this.smallTail = piece.length < smallPieceBytes ? this.smallTail + 1 : 0;
    if (this.smallTail < smallTailMax) return;
    // Somebody dribbles: the pieces would weigh more than the bytes in them.
    this.pieces.push(Buffer.concat(this.pieces.splice(-smallTailMax)));
    this.smallTail = 0;
  }

  /** The next whole frame, in memory of its own. Throws `corrupt` for one above the limit. */
  next(): Buffer | undefined {
    if (this.expected < 0) {
      if (this.buffered < lengthBytes) return undefined;
      this.expected = this.take(lengthBytes).readUInt32BE(0);
      if (this.expected > this.limit)
        throw new InfinitError('corrupt', `frame of ${this.expected} bytes is above the limit of ${this.limit}`);
    }
    if (this.buffered < this.expected) return undefined;
    const frame = this.take(this.expected);
    this.expected = -1;
    this.limit = limits.frameBytesMax;
    return frame;
  }

  private take(length: number): Buffer {
    const out = Buffer.allocUnsafe(length);
    let filled = 0;
    let used = 0;
    while (filled < length) {
      const piece = this.pieces[used] as Buffer;
      const count = Math.min(piece.length, length - filled);
      piece.copy(out, filled, 0, count);
      filled += count;
      if (count === piece.length) used++;
      else this.pieces[used] = piece.subarray(count);
    }
    if (used === this.pieces.length) this.pieces = [];
    else if (used > 0) this.pieces.splice(0, used);
    this.smallTail = Math.min(this.smallTail, this.pieces.length);
    this.buffered -= length;
    return out;
  }
}
