// Conformance of the files view: bytes of files, sizes, holes and reserved ranges.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import { rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, pattern, readAll, type Trial, type Using } from './files-support.ts';

const KiB = 1024;
const MiB = 1024 * KiB;

export function contents(using: Using): void {
  writing(using);
  resizing(using);
  holes(using);
  allocating(using);
}

function writing(using: Using): void {
  it(
    'gives back what was written, of every size',
    using(async (t) => {
      const sizes = [1, 255, 256, 257, 4095, 4096, 4097, 65_535, 65_536, 65_537, MiB - 1, MiB, MiB + 1, 3 * MiB + 5];
      const inodes = [];
      for (const size of sizes) {
        const inode = await t.file(`of ${size}`, pattern(size, size));
        assert.equal((await t.files.attributes(inode)).size, size, 'seen by the writer at once');
        await t.holds(inode, pattern(size, size));
        inodes.push(inode);
      }
      await t.files.syncAll();
      for (const [i, size] of sizes.entries()) await t.holds(inodes[i] as number, pattern(size, size));
    }),
  );

  it(
    'appends behind the end, whatever place is named, in the order of the writes',
    using(async (t) => {
      const inode = await t.file('log', pattern(1000, 1));
      const whole = [pattern(1000, 1)];
      const append = async (data: Buffer, at: number) => {
        await t.files.write(inode, at, data, { append: true });
        whole.push(data);
        assert.equal((await t.files.attributes(inode)).size, Buffer.concat(whole).length, 'seen by the writer at once');
      };
      for (const [i, size] of [1, 300, 5000, 70_000, MiB, 10, 2 * MiB + 3].entries())
        await append(pattern(size, i), 1000);
      await t.holds(inode, Buffer.concat(whole));
      await t.files.sync(inode);
      await t.holds(inode, Buffer.concat(whole));
      // Among writes at places, and behind a cut.
      await append(pattern(20, 9), 0);
      await t.files.write(inode, 10, pattern(30, 8));
      await append(pattern(40, 7), 0);
      const bytes = Buffer.concat(whole);
      bytes.set(pattern(30, 8), 10);
      await t.holds(inode, bytes);
      await t.files.change(inode, { size: 500 });
      await t.files.write(inode, 7, pattern(60, 6), { append: true });
      await t.holds(inode, Buffer.concat([bytes.subarray(0, 500), pattern(60, 6)]));
      await t.files.write(inode, 0, pattern(5, 5), { append: true });
      await t.files.change(inode, { size: 1000 });
      await t.holds(inode, Buffer.concat([bytes.subarray(0, 500), pattern(60, 6), pattern(5, 5), Buffer.alloc(435)]));
    }),
  );

  it(
    'reads any range, cut at the end',
    using(async (t) => {
      const data = pattern(200_000);
      const inode = await t.file('file', data);
      const ranges = async () => {
        for (const [offset, length] of [
          ...[0, 1, 4095, 4096, 65_535, 65_536, 131_071, 199_999].map((at) => [at, 10] as const),
          ...[0, 100, 65_000, 199_000].map((at) => [at, 300_000] as const),
          ...[200_000, 200_001, 10 * MiB].map((at) => [at, 5] as const),
          [5, 0] as const,
        ])
          assert.ok(
            data.subarray(offset, offset + length).equals(await readAll(t.files, inode, offset, length)),
            `${length} at ${offset}`,
          );
      };
      await ranges();
      await t.files.sync(inode);
      await ranges();
    }),
  );

  it(
    'lays later bytes over earlier ones',
    using(async (t) => {
      const inode = await t.file('file');
      const expected = Buffer.alloc(400_000);
      let size = 0;
      for (let i = 0; i < 120; i++) {
        const offset = (i * 7919 * 13) % 300_000;
        const data = pattern(1 + ((i * 4_421) % 90_000), i);
        await t.files.write(inode, offset, data);
        data.copy(expected, offset);
        size = Math.max(size, offset + data.length);
        if (i % 10 === 3) await t.files.flush(inode);
        if (i % 10 === 7) await t.files.sync(inode);
        if (i % 5 === 0) await t.holds(inode, expected.subarray(0, size));
      }
      await t.holds(inode, expected.subarray(0, size));
      await t.files.syncAll();
      await t.holds(inode, expected.subarray(0, size));
    }),
  );

  it(
    'has bytes in files only',
    using(async (t) => {
      const directory = await t.directory('directory');
      const link = (await t.make('link', { type: 'symlink', target: bytesOf('x') })).inode;
      await fails('is-directory', t.files.change(directory, { size: 0 }));
      await fails('is-directory', t.files.read(directory, 0, 1));
      await fails('usage', t.files.read(link, 0, 1));
      await fails('usage', t.files.allocate(link, 0, 1, 'allocate'));
      assert.deepEqual(Buffer.from(await t.files.readLink(link)), bytesOf('x'));
    }),
  );
}

function resizing(using: Using): void {
  it(
    'cuts and grows; what was cut comes back as zeros',
    using(async (t) => {
      const data = pattern(200_000);
      for (const synced of [false, true])
        for (const cut of [0, 1, 100, 4096, 65_536, 65_537, 131_000, 199_999]) {
          const inode = await t.file(`cut to ${cut} ${synced}`, data);
          if (synced) await t.files.sync(inode);
          assert.equal((await t.files.change(inode, { size: cut })).size, cut);
          await t.holds(inode, data.subarray(0, cut));
          assert.equal((await t.files.change(inode, { size: 250_000 })).size, 250_000);
          const expected = Buffer.alloc(250_000);
          data.copy(expected, 0, 0, cut);
          await t.holds(inode, expected);
          await t.files.write(inode, 240_000, bytesOf('here'));
          expected.write('here', 240_000);
          if (synced) await t.files.sync(inode);
          await t.holds(inode, expected);
        }
    }),
  );

  it(
    'keeps files of up to 2^48 - 1 bytes',
    using(async (t) => {
      const inode = await t.file('file', 'start');
      const end = limits.fileBytesMax;
      await t.files.write(inode, end - 3, bytesOf('end'));
      assert.equal((await t.files.attributes(inode)).size, end);
      assert.equal((await readAll(t.files, inode, end - 4, 100)).toString('latin1'), '\0end');
      assert.equal((await readAll(t.files, inode, 0, 8)).toString('latin1'), 'start\0\0\0');
      await t.files.sync(inode);
      assert.equal((await readAll(t.files, inode, end - 4, 100)).toString('latin1'), '\0end');
      assert.ok((await t.files.attributes(inode)).allocatedBytes < 10 * MiB);
      await fails('too-large', t.files.write(inode, end - 2, bytesOf('end')));
      await fails('too-large', t.files.write(inode, 2 ** 52, bytesOf('x')));
      await fails('too-large', t.files.change(inode, { size: end + 1 }));
      await fails('too-large', t.files.allocate(inode, end, 1, 'allocate'));
      await t.files.change(inode, { size: 5 });
      await t.holds(inode, 'start');
    }),
  );
}

function holes(using: Using): void {
  it(
    'keeps holes as holes, and finds data and holes',
    using(async (t) => {
      const inode = await t.file('sparse');
      const pieces = [2, 9, 10, 30].map((at) => at * MiB);
      for (const at of pieces) await t.files.write(inode, at, pattern(MiB, at));
      const size = 100 * MiB;
      await t.files.change(inode, { size });
      const found = async () => {
        const { size: kept, allocatedBytes } = await t.files.attributes(inode);
        assert.equal(kept, size);
        assert.ok(allocatedBytes >= 4 * MiB && allocatedBytes < 8 * MiB, `${allocatedBytes} bytes kept`);
        assert.equal(await t.files.seek(inode, 0, 'hole'), 0);
        assert.equal(await t.files.seek(inode, 0, 'data'), 2 * MiB);
        assert.equal(await t.files.seek(inode, 2 * MiB + 7, 'data'), 2 * MiB + 7);
        assert.equal(await t.files.seek(inode, 2 * MiB + 7, 'hole'), 3 * MiB);
        assert.equal(await t.files.seek(inode, 3 * MiB, 'hole'), 3 * MiB);
        assert.equal(await t.files.seek(inode, 3 * MiB, 'data'), 9 * MiB);
        assert.equal(await t.files.seek(inode, 9 * MiB, 'hole'), 11 * MiB);
        assert.equal(await t.files.seek(inode, size - 1, 'hole'), size - 1);
        await fails('no-such-place', t.files.seek(inode, 31 * MiB, 'data'));
        await fails('no-such-place', t.files.seek(inode, size, 'hole'));
        await fails('no-such-place', t.files.seek(inode, size + MiB, 'data'));
        for (const at of pieces) assert.ok(pattern(MiB, at).equals(await readAll(t.files, inode, at, MiB)));
        assert.ok((await readAll(t.files, inode, 3 * MiB, 2 * MiB)).equals(Buffer.alloc(2 * MiB)));
        const edge = await readAll(t.files, inode, 2 * MiB - 10, 20);
        assert.ok(Buffer.concat([Buffer.alloc(10), pattern(10, 2 * MiB)]).equals(edge));
      };
      await found();
      await t.files.sync(inode);
      await found();
    }),
  );

  it(
    'sees the end of a full file as a hole',
    using(async (t) => {
      const inode = await t.file('full', pattern(70_000));
      for (const synced of [false, true]) {
        if (synced) await t.files.sync(inode);
        assert.equal(await t.files.seek(inode, 0, 'hole'), 70_000);
        assert.equal(await t.files.seek(inode, 69_999, 'data'), 69_999);
        await fails('no-such-place', t.files.seek(inode, 70_000, 'data'));
      }
      const empty = await t.file('empty');
      await fails('no-such-place', t.files.seek(empty, 0, 'data'));
      await fails('no-such-place', t.files.seek(empty, 0, 'hole'));
    }),
  );
}

/** A new file of 8 MiB, dirty or synced. */
async function eight(t: Trial, name: string, synced: boolean): Promise<{ inode: number; data: Buffer }> {
  const data = pattern(8 * MiB);
  const inode = await t.file(name, data);
  if (synced) await t.files.sync(inode);
  return { inode, data };
}

function allocating(using: Using): void {
  for (const synced of [false, true]) {
    const state = synced ? 'synced' : 'just written';
    it(
      `punches holes into what was ${state}`,
      using(async (t) => {
        const { inode, data } = await eight(t, 'file', synced);
        for (const [offset, length] of [
          [MiB, 2 * MiB],
          [5 * MiB + 1, 10],
          [6 * MiB - 70_001, 140_003],
          [8 * MiB - 5, MiB],
          [20 * MiB, MiB],
        ] as const) {
          await t.files.allocate(inode, offset, length, 'punch');
          data.fill(0, offset, Math.min(offset + length, data.length));
          await t.holds(inode, data);
        }
        assert.equal(await t.files.seek(inode, 0, 'hole'), MiB);
        assert.equal(await t.files.seek(inode, MiB, 'data'), 3 * MiB);
        assert.ok((await t.files.attributes(inode)).allocatedBytes <= 6 * MiB + 512 * KiB);
        await t.files.syncAll();
        await t.holds(inode, data);
      }),
    );

    it(
      `writes zeros over what was ${state}, and further when asked`,
      using(async (t) => {
        const { inode, data } = await eight(t, 'file', synced);
        const zero = async (offset: number, length: number, mode: 'zero' | 'zero-keep', size: number) => {
          await t.files.allocate(inode, offset, length, mode);
          data.fill(0, offset, Math.min(offset + length, data.length));
          const expected = Buffer.alloc(size);
          data.copy(expected);
          await t.holds(inode, expected);
        };
        await zero(3, 100_000, 'zero', 8 * MiB);
        await zero(2 * MiB, MiB, 'zero-keep', 8 * MiB);
        await zero(8 * MiB - 3, 100, 'zero-keep', 8 * MiB);
        await zero(8 * MiB - 3, 100, 'zero', 8 * MiB + 97);
        await zero(9 * MiB, MiB, 'zero-keep', 8 * MiB + 97);
        await zero(9 * MiB, MiB, 'zero', 10 * MiB);
      }),
    );

    it(
      `reserves without a change of what was ${state}, and extends when asked`,
      using(async (t) => {
        const { inode, data } = await eight(t, 'file', synced);
        await t.files.allocate(inode, 2 * MiB, MiB, 'reserve');
        await t.files.allocate(inode, 7 * MiB, 4 * MiB, 'reserve');
        await t.files.allocate(inode, MiB, 3 * MiB, 'allocate');
        await t.holds(inode, data);
        await t.files.allocate(inode, 7 * MiB, 4 * MiB, 'allocate');
        const expected = Buffer.alloc(11 * MiB);
        data.copy(expected);
        await t.holds(inode, expected);
        await t.files.write(inode, 9 * MiB + 5, bytesOf('inside'));
        expected.write('inside', 9 * MiB + 5);
        await t.files.syncAll();
        await t.holds(inode, expected);
        // A reserved range may be told as data: what lies before data and holes is what counts.
        const at = await t.files.seek(inode, 8 * MiB, 'data');
        assert.ok(at >= 8 * MiB && at <= 9 * MiB + 5);
        assert.ok((await readAll(t.files, inode, 8 * MiB, at - 8 * MiB)).every((byte) => byte === 0));
      }),
    );
  }

  it(
    'reserves in holes and behind the end of an empty file',
    using(async (t) => {
      const inode = await t.file('file');
      await t.files.allocate(inode, 10, 3 * MiB, 'reserve');
      assert.equal((await t.files.attributes(inode)).size, 0);
      await t.files.allocate(inode, 10, 3 * MiB, 'allocate');
      await t.holds(inode, Buffer.alloc(3 * MiB + 10));
      await fails('usage', t.files.allocate(inode, 0, 0, 'allocate'));
      await fails('is-directory', t.files.allocate(rootInode, 0, 1, 'allocate'));
    }),
  );
}
