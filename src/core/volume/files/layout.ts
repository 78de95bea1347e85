// Where the data of a file lies: the pieces a reader fetches, and the way from data to holes and back.

import type { Bytes } from '../../base/bytes.ts';
import { type CodecType, decode, encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type ChunkRecord, chunkKey, chunkRecord } from '../../tree/keys.ts';
import type { MapReader } from '../../tree/tree.ts';
import { type Extent, extentsFrom, part } from './extents.ts';
import { fileError } from './files.ts';
import { type ExtentsReply, extentsReply, type FileQuery, seekReply } from './messages.ts';
import { asFile, needInode } from './work.ts';

/** Data that stands in one answer itself. */
const answeredBytesMax = limits.answerBytesMax / 2;
/** An extent may bring zeros before it, and the last ones follow. */
const piecesMax = limits.extentsPerAnswerMax - 2;

type Piece = ExtentsReply['pieces'][number];

export async function extents(asked: FileQuery & { type: 'extents' }, reader: MapReader): Promise<Bytes> {
  const inode = asFile(await needInode(reader, asked.inode));
  const answer = new Answer(reader, asked.offset, Math.min(asked.offset + asked.length, inode.size));
  let complete = true;
  if (inode.allocated > 0 && answer.at < answer.end)
    for await (const extent of extentsFrom(reader, inode.inode, answer.at)) {
      if (extent.start >= answer.end) break;
      complete = answer.fits(extent);
      if (!complete) break;
      await answer.add(extent);
    }
  if (complete) answer.zeros(answer.end);
  return encode(extentsReply, { size: inode.size, pieces: answer.pieces });
}

class Answer {
  readonly pieces: Piece[] = [];
  at: number;
  readonly end: number;
  private readonly reader: MapReader;
  private readonly chunks = new Map<number, ChunkRecord>();
  private bytes = 0;

  constructor(reader: MapReader, at: number, end: number) {
    this.reader = reader;
    this.at = at;
    this.end = end;
  }

  fits({ body }: Extent): boolean {
    const bytes = body.type === 'bytes' ? body.bytes.length : 0;
    return this.pieces.length < piecesMax && (this.bytes === 0 || this.bytes + bytes <= answeredBytesMax);
  }

  /** Up to an offset; nothing when it is reached already. */
  zeros(to: number): void {
    if (to <= this.at) return;
    const last = this.pieces.at(-1);
    if (last?.type === 'zeros') last.length += to - this.at;
    else this.pieces.push({ type: 'zeros', length: to - this.at });
    this.at = to;
  }

  async add(extent: Extent): Promise<void> {
    this.zeros(extent.start);
    const to = Math.min(extent.start + extent.length, this.end);
    if (extent.body.type === 'reserved') this.zeros(to);
    else if (to > this.at) {
      const { length, body } = part(extent, this.at, to);
      this.pieces.push(await this.piece(length, body));
      this.at = to;
    }
  }

  private async piece(length: number, body: Extent['body']): Promise<Piece> {
    if (body.type === 'bytes') {
      this.bytes += length;
      return body;
    }
    if (body.type === 'reserved') return { type: 'zeros', length };
    const { address, key } = await this.chunk(body.chunk);
    return { type: 'cells', length, address, key, cell: body.cell, skip: body.skip };
  }

  private async chunk(number: number): Promise<ChunkRecord> {
    const known = this.chunks.get(number);
    if (known !== undefined) return known;
    const record = await this.reader.get(chunkKey(number));
    if (record === undefined) throw new InfinitError('corrupt', `chunk ${number} is not in the chunk table`);
    const found: CodecType<typeof chunkRecord> = decode(chunkRecord, record);
    this.chunks.set(number, found);
    return found;
  }
}

/** Looks at so many extents only: what is behind them counts as data up to the end, as POSIX allows. */
const lookedAtMax = limits.extentsPerAnswerMax;

export async function seek(asked: FileQuery & { type: 'seek' }, reader: MapReader): Promise<Bytes> {
  const inode = asFile(await needInode(reader, asked.inode));
  const { offset, what } = asked;
  if (offset < inode.size) {
    const found = what === 'data' ? await seekData(reader, inode, offset) : await seekHole(reader, inode, offset);
    if (found !== undefined && (what === 'hole' || found < inode.size)) return encode(seekReply, found);
  }
  throw fileError('no-such-place', `there is no ${what} at or behind ${offset}`);
}

interface Sought {
  inode: number;
  size: number;
}

async function seekData(reader: MapReader, { inode }: Sought, offset: number): Promise<number | undefined> {
  let looked = 0;
  for await (const { start, body } of extentsFrom(reader, inode, offset))
    if (body.type !== 'reserved' || ++looked > lookedAtMax) return Math.max(start, offset);
  return undefined;
}

async function seekHole(reader: MapReader, { inode, size }: Sought, offset: number): Promise<number> {
  let at = offset;
  let looked = 0;
  for await (const { start, length, body } of extentsFrom(reader, inode, offset)) {
    if (start > at || body.type === 'reserved') return Math.min(at, size);
    at = start + length;
    if (++looked > lookedAtMax) return size;
  }
  return Math.min(at, size);
}
