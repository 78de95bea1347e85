// Chunks of cells: what is written is read back by cell, by range and whole; damaged bytes never are (docs/tree-schema.md 2).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex, u32Bytes } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { decodeChunkTable, encodeChunk, sealCell } from '../../../src/core/tree/chunk.ts';
import { ChunkReader } from '../../../src/core/tree/chunk-reader.ts';
import { ChunkWriter } from '../../../src/core/tree/chunk-writer.ts';
import { MemoryBlocks, memoryRuntime } from './memory-blocks.ts';

const treeTag = Buffer.alloc(16, 7);
const isCorrupt = (error: unknown) => isError(error, 'corrupt');

function writer(blocks: MemoryBlocks, packBytesMax?: number): ChunkWriter {
  const options = { runtime: memoryRuntime(), blocks, treeTag, putOptions: () => ({ generation: 3, quorum: 2 }) };
  return new ChunkWriter(packBytesMax === undefined ? options : { ...options, packBytesMax });
}

function reader(blocks: MemoryBlocks, cacheBytesMax = 1 << 24): ChunkReader {
  return new ChunkReader({ runtime: memoryRuntime(), blocks, treeTag, cacheBytesMax });
}

/** Bytes that do not compress. */
function noise(length: number, seed: number): Buffer {
  const parts = Array.from({ length: Math.ceil(length / 32) }, (_, i) => hash(u32Bytes(seed), u32Bytes(i)));
  return Buffer.concat(parts).subarray(0, length);
}

test('cells come back in order, packed into few chunks', async () => {
  const cell = fc.tuple(fc.integer({ min: 1, max: 65_536 }), fc.boolean(), fc.nat());
  await fc.assert(
    fc.asyncProperty(fc.array(cell, { minLength: 1, maxLength: 30 }), fc.nat(), async (specs, pick) => {
      const cells = specs.map(([length, flat, seed]) => (flat ? Buffer.alloc(length, seed) : noise(length, seed)));
      const blocks = new MemoryBlocks();
      const chunks = await writer(blocks).write(cells);
      const total = cells.reduce((sum, { length }) => sum + length, 0);
      assert.ok(chunks.length <= Math.ceil(total / 500_000) + 1);
      assert.deepEqual(
        chunks.flatMap((chunk) => chunk.cells),
        cells.map(({ length }) => length),
      );
      const places = chunks.flatMap((chunk) => chunk.cells.map((_, index) => ({ chunk, index })));
      const place = places[pick % cells.length];
      assert.ok(place);
      const { chunk } = place;
      assert.deepEqual(await reader(blocks).readCell(chunk, place.index), cells[pick % cells.length]);
      const all = reader(blocks);
      const read = await Promise.all(chunks.map((each) => all.readCells(each, 0, each.cells.length)));
      assert.deepEqual(read.flat().map(toHex), cells.map(toHex));
      const held = blocks.held.get(toHex(chunk.address));
      assert.equal(held?.length, chunk.stored);
      assert.equal(chunk.generation, 3);
    }),
    { numRuns: 25 },
  );
});

test('every flipped bit is refused, by range and whole', async () => {
  const blocks = new MemoryBlocks();
  const cells = [noise(300, 1), Buffer.alloc(2_000, 2), noise(5_000, 3)];
  const [chunk] = await writer(blocks).write(cells);
  assert.ok(chunk);
  const name = toHex(chunk.address);
  const good = blocks.held.get(name) as Buffer;
  for (let at = 0; at < good.length; at += at < 40 ? 1 : 97) {
    const bad = Buffer.from(good);
    bad[at] = (bad[at] as number) ^ (1 << (at % 8));
    blocks.held.set(name, bad);
    // A range read of a cell that is not touched may succeed; then it is the right one.
    for (const [i, cell] of cells.entries()) {
      const read = await reader(blocks)
        .readCell(chunk, i)
        .catch((error: unknown) => error);
      assert.ok(isCorrupt(read) || (Buffer.isBuffer(read) && read.equals(cell)), `byte ${at}, cell ${i}`);
    }
    await assert.rejects(reader(blocks).readCells(chunk, 0, 3), isCorrupt);
  }
});

test('a holder with damaged ranges is put right by the verified block', async () => {
  const blocks = new MemoryBlocks();
  const cells = Array.from({ length: 16 }, (_, i) => noise(60_000, i));
  const [chunk] = await writer(blocks).write(cells);
  assert.ok(chunk);
  const { getRange } = blocks;
  blocks.getRange = async (address, offset, length) => {
    const bytes = Buffer.from(await getRange.call(blocks, address, offset, length));
    bytes[bytes.length - 1] = (bytes[bytes.length - 1] as number) ^ 1;
    return bytes;
  };
  const reading = reader(blocks);
  assert.deepEqual(await reading.readCell(chunk, 9), cells[9]);
  assert.equal(reading.counters.wholeReads, 1);
});

test('a cell cannot stand in for another, nor a chunk of another tree', async () => {
  const key = Buffer.alloc(32, 1);
  const blocks = new MemoryBlocks();
  const put = (tag: Buffer, cells: Parameters<typeof encodeChunk>[1]) =>
    blocks.put(encodeChunk(tag, cells), { generation: 1, quorum: 1 });
  const a = sealCell(treeTag, key, 0, 'none', Buffer.from('a'));
  const b = sealCell(treeTag, key, 1, 'none', Buffer.from('b'));
  const swapped = await put(treeTag, [b, a]);
  await assert.rejects(reader(blocks).readCell({ address: swapped, key }, 0), isCorrupt);
  const recoded = await put(treeTag, [{ ...a, codec: 'brotli' }, b]);
  await assert.rejects(reader(blocks).readCell({ address: recoded, key }, 0), isCorrupt);
  const foreign = await put(Buffer.alloc(16, 9), [a, b]);
  await assert.rejects(reader(blocks).readCells({ address: foreign, key }, 0, 2), isCorrupt);
  await assert.rejects(reader(blocks).readCell({ address: await put(treeTag, [a, b]), key }, 2), (error) =>
    isError(error, 'not-found'),
  );
});

test('single cells cost a range, a pack read twice is fetched once, and hits cost nothing', async () => {
  const blocks = new MemoryBlocks();
  const small = Array.from({ length: 3_000 }, (_, i) => noise(300, i));
  const [pack] = await writer(blocks).write(small);
  assert.ok(pack && pack.cells.length === 3_000);
  const reading = reader(blocks);
  assert.deepEqual(await reading.readCell(pack, 100), small[100]);
  assert.deepEqual(blocks.counts, { put: 1, get: 0, range: 3 });
  for (const i of [200, 2_999, 100]) assert.deepEqual(await reading.readCell(pack, i), small[i]);
  assert.deepEqual(blocks.counts, { put: 1, get: 1, range: 3 });
  const large = Array.from({ length: 16 }, (_, i) => noise(65_536, i));
  const [chunk] = await writer(blocks).write(large);
  assert.ok(chunk);
  assert.deepEqual(await reading.readCells(chunk, 2, 3), large.slice(2, 5));
  assert.deepEqual(await reading.readCell(chunk, 3), large[3]);
  assert.deepEqual(blocks.counts, { put: 2, get: 1, range: 5 });
  await Promise.all([reading.readCell(chunk, 9), reading.readCell(chunk, 9)]);
  assert.deepEqual(blocks.counts, { put: 2, get: 1, range: 6 });
  assert.ok(reading.cachedBytes <= 1 << 24);
});

test('chunks are put a few at once and cells have bounds', async () => {
  const blocks = new MemoryBlocks();
  const chunks = await writer(blocks, 65_536).write(Array.from({ length: 40 }, (_, i) => noise(40_000, i)));
  assert.equal(chunks.length, 40);
  assert.ok(blocks.inFlightMax <= 4);
  for (const length of [0, 65_537])
    await assert.rejects(writer(blocks).write([Buffer.alloc(length)]), (error) => isError(error, 'usage'));
});

test('a hostile table leads nowhere outside a block', () => {
  const header = encodeChunk(treeTag, [{ codec: 'none', sealed: Buffer.alloc(16) }]).subarray(0, 23);
  fc.assert(
    fc.property(fc.nat(5000), fc.uint8Array({ maxLength: 60 }), (count, rest) => {
      const start = Buffer.concat([header, Buffer.from([count >> 8, count & 255]), rest]);
      try {
        const table = decodeChunkTable(start);
        if (table === undefined) assert.ok(rest.length < count * 4);
        else assert.ok(table.cells.length === count && table.stored <= 4 << 20);
      } catch (error) {
        assert.ok(isCorrupt(error), String(error));
      }
    }),
    { numRuns: 1000 },
  );
  for (const bad of [Buffer.alloc(0), header, Buffer.concat([header, Buffer.alloc(2)])])
    assert.throws(() => decodeChunkTable(bad), isCorrupt);
});
