// Reads cells of chunks: by range for a few cells, whole when a pack of small cells is read more than once. Each cell
// authenticates itself; when one does not, the whole block is fetched, which its address verifies, before `corrupt` is said.
// Plain cells, cell tables and packs are cached.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address } from '../block/address.ts';
import { decodeImmutable } from '../block/immutable.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Blocks } from '../store/store.ts';
import { ByteCache } from './base/byte-cache.ts';
import { nodeName } from './base/node-store.ts';
import { SharedLoads } from './base/shared-loads.ts';
import { type ChunkTable, chunkCellCount, chunkHeaderBytes, decodeChunkTable, openCell } from './chunk.ts';

/** First read of an unknown chunk: its table, and of a pack some small cells too. */
const probeBytes = 4096;
/** A chunk of smaller cells on average is a pack: reading a second cell fetches all of it. */
const packedCellBytes = 16 * 1024;
/** Reads of so many cells fetch the whole chunk at once. */
const manyCells = 8;
/** Parts of the cache for tables and for packs kept as stored. */
const tableCacheShare = 1 / 16;
const packCacheShare = 1 / 4;
const cellOverheadBytes = 200;
/** Up to here a thread's turn costs more than decompressing. */
const smallCellBytes = 8 * 1024;
/** Cells opened between two yields. */
const stepCells = 32;

export interface ChunkReaderOptions {
  runtime: Pick<Runtime, 'offload' | 'clock'>;
  blocks: Blocks;
  treeTag: Bytes;
  cacheBytesMax?: number;
}

/** What the chunk table of a tree says of a chunk, as far as a reader needs it. */
export interface ChunkSource {
  address: Address;
  key: Bytes;
}

/** A piece of a chunk's block, from `start` on. */
interface ChunkPart {
  table: ChunkTable;
  start: number;
  bytes: Buffer;
}

interface KnownChunk {
  table: ChunkTable;
  reads: number;
}

export class ChunkReader {
  /** Since the start: reads of blocks, of ranges. */
  readonly counters = { wholeReads: 0, rangeReads: 0 };
  private readonly options: ChunkReaderOptions;
  private readonly cells: ByteCache<Buffer>;
  private readonly wholes: ByteCache<ChunkPart>;
  private readonly known: ByteCache<KnownChunk>;
  private readonly loads = new SharedLoads<Buffer[]>();

  constructor(options: ChunkReaderOptions) {
    this.options = options;
    const bytesMax = options.cacheBytesMax ?? limits.cellCacheBytesMax;
    this.known = new ByteCache(bytesMax * tableCacheShare);
    this.wholes = new ByteCache(bytesMax * packCacheShare);
    this.cells = new ByteCache(bytesMax * (1 - tableCacheShare - packCacheShare));
  }

  get cachedBytes(): number {
    return this.cells.bytes + this.wholes.bytes + this.known.bytes;
  }

  /** Plain bytes of one cell. Throws `corrupt`, `lost`, `unavailable`, `not-found` beyond the last cell. */
  async readCell(chunk: ChunkSource, cell: number, options: Abortable = {}): Promise<Buffer> {
    const [bytes] = await this.readCells(chunk, cell, 1, options);
    return bytes as Buffer;
  }

  /** The same for `count` consecutive cells, in one read. */
  async readCells(chunk: ChunkSource, first: number, count: number, options: Abortable = {}): Promise<Buffer[]> {
    checkSignal(options.signal);
    const name = nodeName(chunk.address);
    const cached = this.cachedCells(name, first, count);
    if (cached !== undefined) return cached;
    const read = () => this.fetch(chunk, name, first, count);
    return this.loads.run(`${name}${first}+${count}`, read, options);
  }

  private cachedCells(name: string, first: number, count: number): Buffer[] | undefined {
    const cells: Buffer[] = [];
    for (let i = first; i < first + count; i++) {
      const cell = this.cells.get(`${name}${i}`);
      if (cell === undefined) return undefined;
      cells.push(cell);
    }
    return cells;
  }

  private async fetch(chunk: ChunkSource, name: string, first: number, count: number): Promise<Buffer[]> {
    try {
      const part = this.wholes.get(name) ?? (await this.fetchPart(chunk, name, first, count));
      if (part !== undefined) return await this.open(chunk, name, part, first, count);
    } catch (error) {
      // A holder that sends wrong ranges, or no chunk at all: the verified block decides.
      if (!isError(error, 'corrupt', 'not-found')) throw error;
      this.known.delete(name);
    }
    return this.open(chunk, name, await this.fetchWhole(chunk, name), first, count);
  }

  /** The range that holds the cells, or nothing when the whole block is the better read. */
  private async fetchPart(
    chunk: ChunkSource,
    name: string,
    first: number,
    count: number,
  ): Promise<ChunkPart | undefined> {
    if (count >= manyCells) return undefined;
    const known = this.known.get(name) ?? (await this.probe(chunk, name));
    const { table } = known;
    const isPack = table.stored < table.cells.length * packedCellBytes;
    if (count >= table.cells.length || (isPack && known.reads++ > 0)) return undefined;
    checkSpan(table, first, count);
    const start = table.cells[first]?.offset ?? 0;
    const end = table.cells[first + count]?.offset ?? table.stored;
    this.counters.rangeReads++;
    return { table, start, bytes: await this.options.blocks.getRange(chunk.address, start, end - start) };
  }

  /** The table of a chunk not seen yet. */
  private async probe(chunk: ChunkSource, name: string): Promise<KnownChunk> {
    this.counters.rangeReads++;
    const { blocks } = this.options;
    let start = await blocks.getRange(chunk.address, 0, probeBytes);
    let table = decodeChunkTable(start);
    if (table === undefined) {
      start = await blocks.getRange(chunk.address, 0, chunkHeaderBytes(chunkCellCount(start)));
      table = decodeChunkTable(start);
    }
    if (table === undefined) throw new InfinitError('corrupt', 'chunk is truncated');
    return this.remember(name, table);
  }

  private async fetchWhole(chunk: ChunkSource, name: string): Promise<ChunkPart> {
    this.counters.wholeReads++;
    const bytes = await this.options.blocks.get(chunk.address);
    const { treeTag, cipher } = decodeImmutable(bytes);
    const table = decodeChunkTable(bytes);
    if (cipher !== 'aes256gcm' || !treeTag.equals(this.options.treeTag) || table?.stored !== bytes.length)
      throw new InfinitError('corrupt', 'block is not a chunk of this tree');
    this.remember(name, table);
    const whole = { table, start: 0, bytes };
    if (table.stored < table.cells.length * packedCellBytes) this.wholes.set(name, whole, bytes.length);
    return whole;
  }

  /** Opens consecutive cells that lie in the part. */
  private async open(
    chunk: ChunkSource,
    name: string,
    part: ChunkPart,
    first: number,
    count: number,
  ): Promise<Buffer[]> {
    const { treeTag, runtime } = this.options;
    checkSpan(part.table, first, count);
    const cells: Buffer[] = [];
    while (cells.length < count) {
      if (cells.length > 0) await runtime.clock.sleep(0);
      const from = first + cells.length;
      const some = part.table.cells.slice(from, Math.min(from + stepCells, first + count));
      const opened = some.map(async ({ codec, offset, length }, i) => {
        const sealed = part.bytes.subarray(offset - part.start, offset - part.start + length);
        const packed = openCell(treeTag, chunk.key, from + i, codec, sealed);
        if (codec === 'none') return packed;
        const { offload } = runtime;
        if (packed.length <= smallCellBytes) return offload.decompressSync(packed, codec, limits.cellBytesMax);
        return offload.decompress(packed, codec, limits.cellBytesMax);
      });
      cells.push(...(await Promise.all(opened)));
    }
    for (const [i, cell] of cells.entries())
      this.cells.set(`${name}${first + i}`, cell, cell.length + cellOverheadBytes);
    return cells;
  }

  private remember(name: string, table: ChunkTable): KnownChunk {
    const known = { table, reads: this.known.get(name)?.reads ?? 0 };
    this.known.set(name, known, table.cells.length * 64 + cellOverheadBytes);
    return known;
  }
}

function checkSpan(table: ChunkTable, first: number, count: number): void {
  if (first < 0 || count < 1 || first + count > table.cells.length)
    throw new InfinitError('not-found', `chunk has only ${table.cells.length} cells`);
}
