import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decode } from '../../../../src/core/base/codec.ts';
import { InfinitError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { seekReply, type WrittenPiece } from '../../../../src/core/volume/files/messages.ts';
import { nextTime } from '../../../../src/core/volume/files/times.ts';
import { bytes, chunkOf, time, ViewTree } from './view-tree.ts';

const cell = limits.cellBytesMax;
const step = limits.extentsPerStepMax;

/** A plain file: its bytes, and which of them are data, not holes or reserved zeros. */
class Model {
  data = Buffer.alloc(0);
  isData = Buffer.alloc(0);

  resize(size: number): void {
    const grow = (old: Buffer) => Buffer.concat([old.subarray(0, size), Buffer.alloc(Math.max(0, size - old.length))]);
    this.data = grow(this.data);
    this.isData = grow(this.isData);
  }
  put(offset: number, data: Buffer): void {
    this.resize(Math.max(this.data.length, offset + data.length));
    data.copy(this.data, offset);
    this.isData.fill(1, offset, offset + data.length);
  }
  zero(offset: number, length: number): void {
    const end = Math.min(offset + length, this.data.length);
    if (offset >= end) return;
    this.data.fill(0, offset, end);
    this.isData.fill(0, offset, end);
  }
}

const size = 3 * cell;
const offset = fc.oneof(fc.nat(size), fc.nat(300), fc.constantFrom(0, cell, 2 * cell));
const length = fc.oneof(fc.integer({ min: 1, max: 600 }), fc.integer({ min: 1, max: size }));
const action = fc.oneof(
  { weight: 4, arbitrary: fc.record({ type: fc.constant('bytes' as const), offset, length, salt: fc.nat(255) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constant('cells' as const),
      offset,
      length,
      salt: fc.nat(255),
      skip: fc.nat(cell - 1),
    }),
  },
  { weight: 2, arbitrary: fc.record({ type: fc.constant('resize' as const), offset }) },
  {
    weight: 4,
    arbitrary: fc.record({
      type: fc.constantFrom('allocate' as const, 'reserve' as const, 'punch' as const, 'zero' as const, 'zero-keep'),
      offset,
      length,
    }),
  },
  { weight: 1, arbitrary: fc.constant({ type: 'commit' as const }) },
);

function pattern(length: number, salt: number): Buffer {
  const out = Buffer.allocUnsafe(length);
  for (let i = 0; i < length; i++) out[i] = 1 + ((i * 7 + (i >> 8) + salt) % 255);
  return out;
}

type Action = typeof action extends fc.Arbitrary<infer T> ? T : never;

async function act(tree: ViewTree, inode: number, model: Model, one: Action): Promise<void> {
  switch (one.type) {
    case 'bytes': {
      const data = pattern(Math.min(one.length, cell), one.salt);
      await tree.writeBytes(inode, one.offset, data);
      return model.put(one.offset, data);
    }
    case 'cells': {
      const data = pattern(one.length, one.salt);
      await tree.writeCells(inode, one.offset, data, one.skip);
      return model.put(one.offset, data);
    }
    case 'resize':
      await tree.resize(inode, one.offset);
      return model.resize(one.offset);
    case 'commit':
      return tree.commit();
    default: {
      await tree.allocate(inode, one.offset, one.length, one.type as 'zero');
      if (one.type === 'allocate' || one.type === 'zero')
        model.resize(Math.max(model.data.length, one.offset + one.length));
      if (one.type !== 'allocate' && one.type !== 'reserve') model.zero(one.offset, one.length);
    }
  }
}

async function seek(tree: ViewTree, inode: number, offset: number, what: 'data' | 'hole'): Promise<number | undefined> {
  try {
    return decode(seekReply, await tree.ask({ type: 'seek', inode, offset, what }));
  } catch (error) {
    assert.ok(error instanceof InfinitError && error.data?.reason === 'no-such-place');
    return undefined;
  }
}

async function compare(tree: ViewTree, inode: number, model: Model): Promise<void> {
  const all = await tree.read(inode, 0, 10 * size);
  assert.ok(all.equals(model.data), 'the bytes are those written');
  assert.equal((await tree.attributes(inode)).size, model.data.length);
  for (const at of [0, 1, 77, cell, model.data.length >> 1, model.data.length - 1]) {
    if (at < 0) continue;
    assert.ok((await tree.read(inode, at, 1000)).equals(model.data.subarray(at, at + 1000)), `bytes from ${at}`);
    const data = model.isData.indexOf(1, at);
    assert.equal(await seek(tree, inode, at, 'data'), data < 0 ? undefined : data);
    const hole = model.isData.indexOf(0, at);
    const expected = at >= model.data.length ? undefined : hole < 0 ? model.data.length : hole;
    assert.equal(await seek(tree, inode, at, 'hole'), expected);
  }
}

describe('data of the files view', () => {
  test('is like plain bytes, whatever is done, and its counters are right', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(action, { minLength: 1, maxLength: 25 }), async (actions) => {
        const tree = await ViewTree.begun();
        const { inode } = await tree.make('a');
        const model = new Model();
        for (const one of actions) {
          await act(tree, inode, model, one);
          await tree.check();
        }
        await compare(tree, inode, model);
        await tree.commit();
        await compare(tree, inode, model);
        await tree.unlink('a');
        await tree.check();
        assert.equal((await tree.usage()).bytesUsed, 0);
      }),
      { numRuns: 150 },
    );
  });

  test('pieces of one operation lie over each other in order, of several files and chunks', async () => {
    const pieces = fc.array(
      fc.record({ file: fc.nat(2), offset: fc.nat(50), at: fc.nat(90), length: fc.integer({ min: 1, max: 10 }) }),
      { minLength: 1, maxLength: 9 },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(pieces, { minLength: 1, maxLength: 5 }), async (operations) => {
        const tree = await ViewTree.begun();
        const files: number[] = [];
        for (const name of ['a', 'b', 'c']) files.push((await tree.make(name)).inode);
        const models = files.map(() => new Model());
        let salt = 0;
        for (const operation of operations) {
          const plain = pattern(100, ++salt);
          const sorted: WrittenPiece[][] = [[], [], []];
          for (const { file, offset, at, length } of operation) {
            const data = plain.subarray(at, at + length);
            const inChunk = { type: 'cells', offset, length, chunk: at & 1, cell: 0, skip: at } as const;
            sorted[file]?.push(length > 5 ? inChunk : { type: 'bytes', offset, bytes: data });
            models[file]?.put(offset, data);
          }
          const written = sorted.map((pieces, i) => ({ inode: files[i] as number, modified: time(5), pieces }));
          await tree.write(written, [chunkOf([plain]), chunkOf([plain])]);
          await tree.check();
        }
        for (const [i, model] of models.entries()) await compare(tree, files[i] as number, model);
      }),
      { numRuns: 150 },
    );
  });

  test('the time of the last change goes on, by the least there is, when older data arrives', async () => {
    const tree = await ViewTree.begun();
    const { inode, changed } = await tree.make('a');
    const older = time(changed.seconds - 5);
    await tree.write([{ inode, modified: older, pieces: [{ type: 'bytes', offset: 0, bytes: pattern(3, 1) }] }], []);
    const after = await tree.attributes(inode);
    assert.deepEqual([after.modified, after.changed], [older, nextTime(changed)]);
  });

  test('a chunk of which nothing is named is no part of the tree; files that are gone are left out', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    await tree.unlink('a');
    const { inode: other } = await tree.make('b');
    const piece = (offset: number) => ({ type: 'cells', offset, length: 10, chunk: 0, cell: 0, skip: 0 }) as const;
    const chunk = () => [chunkOf([Buffer.alloc(20, 1)])];
    assert.deepEqual(await tree.write([{ inode, modified: time(1), pieces: [piece(0)] }], chunk()), []);
    assert.equal((await tree.chunks()).size, 0);
    const [written, ...more] = await tree.write(
      [inode, other].map((inode) => ({ inode, modified: time(5000), pieces: [piece(7)] })),
      chunk(),
    );
    assert.equal(more.length, 0);
    assert.deepEqual([written?.inode, written?.size, written?.allocatedBytes], [other, 17, 10]);
    assert.deepEqual([written?.modified, written?.changed], [time(5000), time(5000)]);
    assert.deepEqual(
      [...(await tree.chunks()).values()].map(({ live, stored }) => [live, stored]),
      [[10, 100]],
    );
    const over = { ...piece(50), chunk: 1 };
    await tree.write([{ inode: other, modified: time(1), pieces: [piece(50), over] }], [...chunk(), ...chunk()]);
    assert.deepEqual(
      [...(await tree.chunks()).values()].map(({ live }) => live),
      [10, 10],
    );
    await tree.check();
  });

  test('what a chunk does not have is refused', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    const whole = Buffer.alloc(cell);
    const attempt = (piece: object, cells = [whole, whole, Buffer.alloc(10)]) => {
      const full = { type: 'cells', offset: 0, length: 1, chunk: 0, cell: 0, skip: 0, ...piece } as const;
      return tree.write([{ inode, modified: time(1), pieces: [full] }], [chunkOf(cells)]);
    };
    await attempt({ length: 2 * cell + 10 });
    await attempt({ cell: 1, skip: cell - 1, length: 11 });
    for (const piece of [
      { length: 0 },
      { length: 2 * cell + 11 },
      { chunk: 1 },
      { cell: 3 },
      { cell: 2, skip: 10 },
      { cell: 0, skip: cell, length: 1 },
      { cell: 2, skip: 5, length: 6 },
    ])
      await tree.refused(attempt(piece), 'usage');
    await tree.refused(attempt({ length: 11 }, [Buffer.alloc(10), whole]), 'usage');
    await tree.refused(attempt({}, [Buffer.alloc(0)]), 'usage');
    await tree.refused(attempt({}, [Buffer.alloc(cell + 1)]), 'usage');
    const pieces = [0, 10].map((offset) => ({ type: 'cells', offset, length: 8, chunk: 0, cell: 0, skip: 0 }) as const);
    await tree.refused(tree.write([{ inode, modified: time(1), pieces }], [chunkOf([Buffer.alloc(10)])]), 'usage');
    await tree.refused(tree.writeBytes(inode, 0, Buffer.alloc(0)), 'usage');
    await tree.refused(attempt({ offset: limits.fileBytesMax }), 'full', 'too-large');
    await tree.refused(tree.writeBytes(1, 0, bytes('x')), 'usage', 'is-directory');
    const { inode: fifo } = await tree.make('p', { type: 'fifo' });
    await tree.refused(tree.writeBytes(fifo, 0, bytes('x')), 'usage', 'invalid');
    await tree.check();
  });

  test('the end of the largest file', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    const end = limits.fileBytesMax;
    await tree.writeBytes(inode, end - 3, bytes('end'));
    assert.equal((await tree.attributes(inode)).size, end);
    assert.deepEqual(await tree.read(inode, end - 4, 100), bytes('\0end'));
    await tree.refused(tree.allocate(inode, end - 1, 2, 'allocate'), 'full', 'too-large');
    await tree.refused(tree.allocate(inode, 0, 0, 'punch'), 'usage', 'invalid');
    await tree.resize(inode, end - 2);
    assert.deepEqual(await tree.read(inode, end - 4, 100), bytes('\0e'));
    await tree.resize(inode, end);
    assert.deepEqual(await tree.read(inode, end - 4, 100), bytes('\0e\0\0'));
    await tree.check();
  });

  test('reserved: counted, zeros, kept behind the end, replaced by data', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    await tree.writeBytes(inode, 10, bytes('data'));
    const reserved = await tree.allocate(inode, 0, 5_000_000_000, 'reserve');
    assert.deepEqual([reserved.size, reserved.allocatedBytes], [14, 5_000_000_000]);
    await tree.writeBytes(inode, 4_000_000_000, bytes('far'));
    const far = await tree.attributes(inode);
    assert.deepEqual([far.size, far.allocatedBytes], [4_000_000_003, 5_000_000_000]);
    assert.equal(await seek(tree, inode, 14, 'data'), 4_000_000_000);
    assert.deepEqual(await tree.read(inode, 3_999_999_999, 100), bytes('\0far'));
    await tree.check();
    assert.equal((await tree.resize(inode, 4_000_000_003)).allocatedBytes, 4_000_000_003);
    await tree.allocate(inode, 0, 4_000_000_003, 'punch');
    assert.equal((await tree.attributes(inode)).allocatedBytes, 0);
    await tree.check();
  });

  test('a quota holds, and what is freed may be used again', async () => {
    const tree = await ViewTree.begun({ quota: 1000 });
    const { inode } = await tree.make('a');
    await tree.writeBytes(inode, 0, Buffer.alloc(900, 1));
    await tree.refused(tree.writeBytes(inode, 900, Buffer.alloc(101, 1)), 'full');
    await tree.refused(tree.allocate(inode, 900, 101, 'reserve'), 'full');
    await tree.writeBytes(inode, 100, Buffer.alloc(900, 2));
    assert.equal((await tree.usage()).bytesUsed, 1000);
    await tree.resize(inode, 10);
    await tree.writeBytes(inode, 100, Buffer.alloc(990, 3));
    await tree.check();
  });
});

describe('files of many extents', () => {
  const count = 3 * step + 17;
  async function fragmented(place = (i: number) => i * 10) {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    for (let at = 0; at < count; at += 500) {
      const pieces: WrittenPiece[] = [];
      for (let i = at; i < Math.min(at + 500, count); i++)
        pieces.push({ type: 'bytes', offset: place(i), bytes: bytes('xy') });
      await tree.write([{ inode, modified: tree.tick(), pieces }]);
    }
    await tree.commit();
    return { tree, inode };
  }

  for (const [name, place] of [
    ['alike', (i: number) => i * 10],
    ['dense at the start', (i: number) => i * i * i],
    ['dense at the end', (i: number) => (i === 0 ? 0 : 2 ** 40 + i * 3)],
  ] as const)
    test(`are cut from the end in steps: ${name}`, async () => {
      const { tree, inode } = await fragmented(place);
      const first = await tree.change(inode, { size: 5 });
      assert.ok(first.size > 5);
      await tree.check();
      // What is cut is gone at once, also for one who extends the file meanwhile.
      await tree.change(inode, { size: first.size + 100 });
      assert.equal(await seek(tree, inode, first.size, 'data'), undefined);
      let steps = 1;
      for (; (await tree.change(inode, { size: 5 })).size > 5; steps++) await tree.check();
      assert.ok(steps <= (2 * count) / step + 1, `${steps} steps`);
      await tree.check();
      assert.equal((await tree.records('extent')).length, place(1) < 5 ? 2 : 1);
      await tree.resize(inode, 100);
      assert.deepEqual((await tree.read(inode, 5, 100)).equals(Buffer.alloc(95)), true);
    });

  test('are punched, zeroed and reserved in steps', async () => {
    const { tree, inode } = await fragmented();
    const full = await tree.read(inode, 0, count * 10);
    const whole = count * 10;
    await tree.allocate(inode, 0, whole, 'reserve');
    await tree.check();
    assert.ok((await tree.read(inode, 0, whole)).equals(full));
    const allocated = await tree.attributes(inode);
    assert.equal(allocated.allocatedBytes, whole);
    await tree.allocate(inode, 11, whole - 20, 'zero');
    await tree.check();
    full.fill(0, 11, whole - 9);
    assert.ok((await tree.read(inode, 0, whole)).equals(full));
    assert.equal((await tree.attributes(inode)).allocatedBytes, whole);
    await tree.allocate(inode, 0, whole, 'punch');
    await tree.check();
    assert.equal((await tree.records('extent')).length, 0);
  });

  test('are overwritten by one piece', async () => {
    const { tree, inode } = await fragmented();
    await tree.writeCells(inode, 1, pattern(count * 10, 3));
    assert.equal((await tree.records('extent')).length, 2);
    await tree.check();
  });

  test('more than one operation may change is refused, to be asked again in parts', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    for (let i = 0; i < 20; i++) await tree.writeBytes(inode, i * cell, pattern(cell, i));
    const pieces = Array.from({ length: 20 }, (_, i): WrittenPiece => {
      return { type: 'bytes', offset: i * cell + 100, bytes: bytes('mid') };
    });
    const split = (error: unknown) =>
      error instanceof InfinitError && error.kind === 'full' && error.data?.split === true;
    await assert.rejects(tree.write([{ inode, modified: time(1), pieces }]), split);
    for (const half of [pieces.slice(0, 10), pieces.slice(10)])
      await tree.write([{ inode, modified: time(1), pieces: half }]);
    assert.deepEqual(await tree.read(inode, 19 * cell + 100, 3), bytes('mid'));
    const many = Array.from({ length: limits.writtenPiecesMax / 2 + 1 }, (_, i): WrittenPiece => {
      return { type: 'bytes', offset: i, bytes: bytes('m') };
    });
    const files = [1, 2].map(() => ({ inode, modified: time(1), pieces: many }));
    await assert.rejects(tree.write(files), split);
    await tree.write(files.slice(0, 1));
    await tree.check();
  });

  test('a full operation of the largest size fits', async () => {
    const tree = await ViewTree.begun();
    const files = [];
    for (let i = 0; i < limits.writtenFilesMax; i++) files.push((await tree.make(`f${i}`)).inode);
    const each = Math.floor(limits.writtenPiecesMax / files.length);
    const piece = (n: number, chunk: number): WrittenPiece => {
      return { type: 'cells', offset: n * 20, length: 10, chunk, cell: 0, skip: (n * 10) % cell };
    };
    const chunks = Array.from({ length: limits.operationChunksMax }, () => chunkOf([Buffer.alloc(cell, 1)]));
    const written = await tree.write(
      files.map((inode, i) => ({
        inode,
        modified: time(1),
        pieces: Array.from({ length: each }, (_, n) => piece(n, i % chunks.length)),
      })),
      chunks,
    );
    assert.equal(written.length, files.length);
    await tree.check();
  });
});
