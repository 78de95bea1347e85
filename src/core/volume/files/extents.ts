// Extents: where the bytes of a file are. Each names a run of a file's bytes that lie in cells of a chunk, ride in the record
// itself until a commit packs them, or are reserved zeros. Extents of a file do not overlap; what none covers is a hole.
// Layout: length u32, kind u8, then {chunk u48, cell u16, skip u32} or the bytes or nothing.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { spaceRange } from '../../tree/keys.ts';
import type { CellRef, CellUse, Effect, MapReader, PendingData } from '../../tree/tree.ts';
import type { Inode } from './inodes.ts';
import { behindInode, extentKey, fileSpaces, inodeOf, lastOf } from './records.ts';
import type { Work } from './work.ts';

/** Where the bytes are. Cells: from `skip` bytes behind the start of the cell on, through the full cells behind it. */
export type Body =
  | { type: 'cells'; chunk: number; cell: number; skip: number }
  | { type: 'bytes'; bytes: Bytes }
  | { type: 'reserved' };

export interface Extent {
  start: number;
  length: number;
  body: Body;
}

/** Bytes one extent of reserved zeros may have. */
export const reservedBytesMax = 2 ** 31;

const kinds = { cells: 0, bytes: 1, reserved: 2 } as const;
const kindAt = 4;
const bodyAt = 5;
const at = { chunk: bodyAt, cell: bodyAt + 6, skip: bodyAt + 8 };
const cellsBytes = bodyAt + 12;

export function encodeExtent(length: number, body: Body): Buffer {
  const tail = body.type === 'bytes' ? body.bytes.length : body.type === 'cells' ? cellsBytes - bodyAt : 0;
  const out = Buffer.allocUnsafe(bodyAt + tail);
  out.writeUInt32BE(length, 0);
  out[kindAt] = kinds[body.type];
  if (body.type === 'bytes') out.set(body.bytes, bodyAt);
  else if (body.type === 'cells') {
    out.writeUIntBE(body.chunk, at.chunk, 6);
    out.writeUInt16BE(body.cell, at.cell);
    out.writeUInt32BE(body.skip, at.skip);
  }
  return out;
}

/** Throws `corrupt`. */
export function decodeExtent(key: Bytes, record: Bytes): Extent {
  const value = asBuffer(record);
  const length = value.length < bodyAt ? 0 : value.readUInt32BE(0);
  const start = lastOf(key) + 1 - length;
  const body = length === 0 || start < 0 ? undefined : bodyOf(value, length);
  if (body === undefined) throw new InfinitError('corrupt', 'an extent is malformed');
  return { start, length, body };
}

function bodyOf(value: Buffer, length: number): Body | undefined {
  const kind = value[kindAt];
  if (kind === kinds.cells && value.length === cellsBytes)
    return {
      type: 'cells',
      chunk: value.readUIntBE(at.chunk, 6),
      cell: value.readUInt16BE(at.cell),
      skip: value.readUInt32BE(at.skip),
    };
  if (kind === kinds.bytes && value.length === bodyAt + length) return { type: 'bytes', bytes: value.subarray(bodyAt) };
  return kind === kinds.reserved && value.length === bodyAt ? { type: 'reserved' } : undefined;
}

/** Small data stays where it is, larger moves into a pack at a commit. */
export const pending: PendingData = {
  of: (key, value) =>
    key[0] === fileSpaces.extent && value[kindAt] === kinds.bytes && value.length > bodyAt + limits.inlineBytesMax
      ? value.subarray(bodyAt)
      : undefined,
  moved: (value, { chunk, cell }) =>
    encodeExtent(asBuffer(value).readUInt32BE(0), { type: 'cells', chunk, cell, skip: 0 }),
};

/** Extents name cells; one whose bytes move becomes as many as there are runs of whole cells in one chunk. */
export const cells: CellUse = {
  range: spaceRange('extent'),
  of: (key, value) => {
    const { length, body } = decodeExtent(key, value);
    return body.type === 'cells' ? [{ chunk: body.chunk, cell: body.cell, skip: body.skip, length }] : [];
  },
  moved: (key, value, [cells]) => {
    if (cells === undefined) return [{ type: 'put', key, value }];
    const inode = inodeOf(key);
    const effects: Effect[] = [];
    let { start } = decodeExtent(key, value);
    for (let i = 0; i < cells.length; ) {
      const { chunk, cell } = cells[i] as CellRef;
      let length = 0;
      for (let next = cells[i]; next?.chunk === chunk; next = cells[++i]) length += next.length;
      const last = start + length - 1;
      effects.push({
        type: 'put',
        key: extentKey(inode, last),
        value: encodeExtent(length, { type: 'cells', chunk, cell, skip: 0 }),
      });
      start = last + 1;
    }
    return effects;
  },
};

/** The part of an extent in [from, to), both inside it. */
export function part(extent: Extent, from: number, to: number): Extent {
  const { start, body } = extent;
  const skipped = from - start;
  const length = to - from;
  if (body.type === 'bytes')
    return { start: from, length, body: { type: 'bytes', bytes: body.bytes.subarray(skipped, skipped + length) } };
  if (body.type === 'reserved' || skipped === 0) return { start: from, length, body };
  const behind = body.skip + skipped;
  const cell = body.cell + Math.floor(behind / limits.cellBytesMax);
  return { start: from, length, body: { type: 'cells', chunk: body.chunk, cell, skip: behind % limits.cellBytesMax } };
}

/** The extents that reach behind an offset, in order. */
export async function* extentsFrom(
  reader: MapReader,
  inode: number,
  offset: number,
): AsyncGenerator<Extent, void, void> {
  for await (const { key, value } of reader.scan(extentKey(inode, offset), behindInode('extent', inode)))
    yield decodeExtent(key, value);
}

/** Records an extent where none is. */
export function place(work: Work, inode: Inode, extent: Extent): void {
  work.put(extentKey(inode.inode, extent.start + extent.length - 1), encodeExtent(extent.length, extent.body));
  work.allocated(inode, extent.length);
}

/**
 * Removes what lies in [from, to), at most so many extents of it: how far that went. The chunks' live bytes and the inode's
 * allocated bytes follow.
 */
export async function cut(
  work: Work,
  inode: Inode,
  range: { from: number; to: number; extentsMax?: number },
): Promise<number> {
  const { from, to, extentsMax = Number.POSITIVE_INFINITY } = range;
  const gone: Bytes[] = [];
  let reached = to;
  let count = 0;
  for await (const { key, value } of work.transaction.scan(
    extentKey(inode.inode, from),
    behindInode('extent', inode.inode),
  )) {
    const extent = decodeExtent(key, value);
    if (extent.start >= to) break;
    if (count++ === extentsMax) {
      reached = extent.start;
      break;
    }
    const end = extent.start + extent.length;
    const [first, last] = [Math.max(extent.start, from), Math.min(end, to)];
    if (extent.body.type === 'cells') work.live(extent.body.chunk, first - last);
    work.allocated(inode, -extent.length);
    if (end <= to) gone.push(key);
    if (extent.start < from) place(work, inode, part(extent, extent.start, from));
    if (end > to) place(work, inode, part(extent, to, end));
  }
  work.deleteRun(gone);
  return reached;
}

/** Reserves what is a hole in [from, to), at most so many extents visited or made: how far that went. */
export async function reserve(
  work: Work,
  inode: Inode,
  range: { from: number; to: number; extentsMax: number },
): Promise<number> {
  const { from, to, extentsMax } = range;
  const gaps: { from: number; to: number }[] = [];
  let reached = from;
  let visited = 0;
  for await (const { start, length } of extentsFrom(work.transaction, inode.inode, from)) {
    if (start >= to || visited++ === extentsMax) break;
    if (start > reached) gaps.push({ from: reached, to: start });
    reached = Math.min(start + length, to);
  }
  if (visited <= extentsMax && reached < to) {
    gaps.push({ from: reached, to });
    reached = to;
  }
  let made = 0;
  for (const gap of gaps)
    for (let at = gap.from; at < gap.to; made++) {
      if (made === extentsMax) return at;
      const length = Math.min(gap.to - at, reservedBytesMax);
      place(work, inode, { start: at, length, body: { type: 'reserved' } });
      at += length;
    }
  return reached;
}
