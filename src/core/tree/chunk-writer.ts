// Writes cells of data: packs them in the given order into chunks of up to 1 MiB plain, compresses and seals each cell, and puts
// the chunks, a few at once. What is written becomes part of the tree when an operation names it.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { type Abortable, checkSignal, Mutex, Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { keyBytes } from '../crypto/cipher.ts';
import type { Runtime } from '../runtime/runtime.ts';
import type { Blocks, PutOptions } from '../store/store.ts';
import { encodeChunk, type SealedCell, sealCell } from './chunk.ts';
import type { WrittenChunk } from './tree.ts';

/** Smaller cells are stored as they are: starting a compressor costs more than they could save. */
const compressFrom = 2048;
/** Cells compressed and sealed between two yields: about 2 ms. */
const stepCells = 32;

export interface ChunkWriterOptions {
  runtime: Pick<Runtime, 'random' | 'offload' | 'clock'>;
  blocks: Blocks;
  treeTag: Bytes;
  /** Generation and quorum of a put at this moment. */
  putOptions: () => PutOptions;
  /** Plain bytes of a chunk (`--block-size`). */
  packBytesMax?: number;
}

export class ChunkWriter {
  private readonly options: ChunkWriterOptions;
  private readonly packBytesMax: number;
  private readonly slots = new Semaphore(limits.chunkPutsInFlightMax);
  private readonly sealing = new Mutex();

  constructor(options: ChunkWriterOptions) {
    this.options = options;
    this.packBytesMax = options.packBytesMax ?? limits.packBytesMax;
  }

  /** Every chunk is acknowledged when it resolves; the chunks' cells in order are the given ones in order. */
  async write(cells: readonly Bytes[], options: Abortable = {}): Promise<WrittenChunk[]> {
    const writes = this.packs(cells).map((pack, i) => this.slots.run(() => this.writeChunk(pack, i > 0, options)));
    await Promise.allSettled(writes);
    return Promise.all(writes);
  }

  private packs(cells: readonly Bytes[]): Bytes[][] {
    const packs: Bytes[][] = [];
    let pack: Bytes[] = [];
    let bytes = 0;
    for (const cell of cells) {
      if (cell.length === 0 || cell.length > limits.cellBytesMax)
        throw new InfinitError('usage', `a cell has 1 to ${limits.cellBytesMax} bytes, not ${cell.length}`);
      if (pack.length === 0 || bytes + cell.length > this.packBytesMax || pack.length === limits.chunkCellsMax) {
        packs.push((pack = []));
        bytes = 0;
      }
      pack.push(cell);
      bytes += cell.length;
    }
    return packs;
  }

  private async writeChunk(cells: readonly Bytes[], later: boolean, { signal }: Abortable): Promise<WrittenChunk> {
    const key = this.options.runtime.random.bytes(keyBytes);
    const sealed: SealedCell[] = [];
    while (sealed.length < cells.length) {
      checkSignal(signal);
      sealed.push(...(await this.sealSome(key, cells, sealed.length, later || sealed.length > 0)));
    }
    const { treeTag, blocks } = this.options;
    const block = encodeChunk(treeTag, sealed);
    const put = this.options.putOptions();
    const address = await blocks.put(block, { ...put, signal });
    const { generation } = put;
    return { address, key, stored: block.length, cells: cells.map((cell) => cell.length), generation };
  }

  /** The next few cells from `first` on. What is not the first of a write lets others run before it. */
  private async sealSome(key: Bytes, cells: readonly Bytes[], first: number, later: boolean): Promise<SealedCell[]> {
    const { runtime, treeTag } = this.options;
    const { offload, clock } = runtime;
    const codec = offload.preferredCodec;
    const some = cells.slice(first, first + stepCells);
    const packed = await Promise.all(
      some.map((cell) => (cell.length < compressFrom ? undefined : offload.compress(cell, codec))),
    );
    return this.sealing.run(async () => {
      if (later) await clock.sleep(0);
      return some.map((cell, i) => {
        const smaller = packed[i];
        return sealCell(treeTag, key, first + i, smaller === undefined ? 'none' : codec, smaller ?? cell);
      });
    });
  }
}
