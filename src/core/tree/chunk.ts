// A chunk: cells of data, each compressed when that helps and sealed singly, in one immutable block, so that a part can be read
// alone (docs/tree-schema.md 2). Payload: kind u8 = 2, cells u16, per cell {stored length u24, codec u8}, the sealed cells.
// One fresh AES-256-GCM key a chunk; nonce = cell index; tree tag, kind, index and codec are authenticated.

import { asBuffer, type Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { encodeImmutable, immutableHeaderBytes, payloadKinds } from '../block/immutable.ts';
import { counterNonce, open, seal, tagBytes } from '../crypto/cipher.ts';
import { type CodecName, codecIds } from '../runtime/runtime.ts';

const tableStart = immutableHeaderBytes + 3;
const tableEntryBytes = 4;
const sealedCellBytesMax = limits.cellBytesMax + tagBytes;
const codecNames = Object.keys(codecIds) as CodecName[];

/** A cell ready to be written. */
export interface SealedCell {
  codec: CodecName;
  sealed: Bytes;
}

/** Where the cells of a chunk lie in its block. */
export interface ChunkTable {
  cells: { codec: CodecName; offset: number; length: number }[];
  /** Bytes of the whole block. */
  stored: number;
}

/** Bytes of the block's start that hold the table of so many cells. */
export function chunkHeaderBytes(cells: number): number {
  return tableStart + cells * tableEntryBytes;
}

/** Seals what a cell holds (compressed by the codec). */
export function sealCell(treeTag: Bytes, key: Bytes, index: number, codec: CodecName, packed: Bytes): SealedCell {
  return { codec, sealed: seal(key, counterNonce(index), packed, associated(treeTag, index, codec)) };
}

/** What a cell holds, still compressed. Throws `corrupt`. */
export function openCell(treeTag: Bytes, key: Bytes, index: number, codec: CodecName, sealed: Bytes): Buffer {
  return open(key, counterNonce(index), sealed, associated(treeTag, index, codec));
}

/** The block of cells sealed with their indices in this order. */
export function encodeChunk(treeTag: Bytes, cells: readonly SealedCell[]): Buffer {
  if (cells.length === 0 || cells.length > limits.chunkCellsMax)
    throw new RangeError(`a chunk of ${cells.length} cells`);
  const table = Buffer.allocUnsafe(3 + cells.length * tableEntryBytes);
  table[0] = payloadKinds.chunk;
  table.writeUInt16BE(cells.length, 1);
  for (const [i, { codec, sealed }] of cells.entries()) {
    table.writeUIntBE(sealed.length, 3 + i * tableEntryBytes, 3);
    table[3 + i * tableEntryBytes + 3] = codecIds[codec];
  }
  return encodeImmutable(treeTag, 'aes256gcm', [table, ...cells.map((cell) => cell.sealed)]);
}

/**
 * The table from the start of a chunk's block; undefined when more of the block is needed (`chunkHeaderBytes` of
 * `chunkCellCount`). It is not authenticated: what it leads to is. Throws `corrupt`.
 */
export function decodeChunkTable(start: Bytes): ChunkTable | undefined {
  const bytes = asBuffer(start);
  const count = chunkCellCount(bytes);
  const cellsAt = chunkHeaderBytes(count);
  if (bytes.length < cellsAt) return undefined;
  const cells: ChunkTable['cells'] = [];
  let offset = cellsAt;
  for (let at = tableStart; at < cellsAt; at += tableEntryBytes) {
    const length = bytes.readUIntBE(at, 3);
    const codec = codecNames[bytes[at + 3] as number];
    if (codec === undefined || length < tagBytes || length > sealedCellBytesMax)
      throw new InfinitError('corrupt', 'chunk has a malformed cell table');
    cells.push({ codec, offset, length });
    offset += length;
  }
  if (offset > limits.blockBytesMax) throw new InfinitError('corrupt', 'chunk is above the limit');
  return { cells, stored: offset };
}

/** How many cells the chunk says it has. Throws `corrupt`. */
export function chunkCellCount(start: Bytes): number {
  const bytes = asBuffer(start);
  const count = bytes.length < tableStart ? 0 : bytes.readUInt16BE(immutableHeaderBytes + 1);
  if (bytes[immutableHeaderBytes] !== payloadKinds.chunk || count === 0 || count > limits.chunkCellsMax)
    throw new InfinitError('corrupt', 'block is not a chunk');
  return count;
}

function associated(treeTag: Bytes, index: number, codec: CodecName): Buffer {
  return Buffer.concat([treeTag, Buffer.from([payloadKinds.chunk, index >> 8, index & 255, codecIds[codec]])]);
}
