// Data through a client of the files view: what readers see of dirty data, when it leaves, how it is cut into operations.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../../src/core/base/limits.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { FilesWorld, name, newFile, pattern } from './world.ts';

const MiB = 1024 * 1024;

describe('data of a file', () => {
  test('is seen by this client at once, with size and times, and by others when flushed', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await w.file(a, 'f');
    const before = await w.run(a.files.attributes(inode));
    await w.run(a.files.write(inode, 5, pattern(100)));
    const dirty = await w.run(a.files.attributes(inode));
    assert.equal(dirty.size, 105);
    assert.ok(
      dirty.modified.seconds > before.modified.seconds || dirty.modified.nanoseconds > before.modified.nanoseconds,
    );
    assert.deepEqual(dirty.changed, dirty.modified);
    assert.equal((await w.run(a.files.lookup(rootInode, name('f')))).size, 105);
    const { entries } = await w.run(a.files.list(rootInode, 0n, { attributes: true }));
    assert.equal(entries.find((entry) => entry.inode === inode)?.attributes?.size, 105);
    assert.deepEqual(await w.content(a, inode), Buffer.concat([Buffer.alloc(5), pattern(100)]));
    assert.equal((await w.run(b.files.attributes(inode))).size, 0);
    assert.equal(a.hooked.writes().length, 0);

    await w.run(a.files.flush(inode));
    const seen = await w.run(b.files.attributes(inode));
    assert.equal(seen.size, 105);
    assert.deepEqual(seen.modified, dirty.modified);
    assert.deepEqual(await w.content(b, inode), Buffer.concat([Buffer.alloc(5), pattern(100)]));
    assert.deepEqual(await w.content(a, inode), Buffer.concat([Buffer.alloc(5), pattern(100)]));
  });

  test('leaves by itself a second after it was written', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inodes = [await w.file(a, 'f'), await w.file(a, 'g')];
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(1000)));
    await w.world.run(900);
    assert.equal(a.hooked.writes().length, 0);
    await w.world.run(400);
    const [write, ...more] = a.hooked.writes();
    assert.equal(more.length, 0, 'both files leave in one operation');
    assert.deepEqual(
      write?.files.map(({ inode }) => inode),
      inodes,
    );
    assert.equal(write?.chunks.length, 1, 'packed into one chunk');
    for (const inode of inodes) assert.deepEqual(await w.content(a, inode), pattern(1000));
  });

  test('written on and on leaves in whole chunks, several at a time', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const data = pattern(5 * MiB + 1000);
    let atOnce = 0;
    let putting = 0;
    a.hooked.onWriteChunks = async () => {
      atOnce = Math.max(atOnce, ++putting);
      await a.process.runtime.clock.sleep(50);
      putting--;
    };
    for (let at = 100; at < data.length; at += 128 * 1024)
      await w.run(a.files.write(inode, at, data.subarray(at, Math.min(data.length, at + 128 * 1024))));
    assert.ok(atOnce >= 4, `${atOnce} puts at once`);
    await w.run(a.files.flush(inode));
    const cells = a.hooked.writes().flatMap(({ chunks }) => chunks.flatMap((chunk) => chunk.cells));
    assert.equal(cells.filter((cell) => cell !== limits.cellBytesMax).length, 1, 'only the first cell is not whole');
    assert.equal(a.hooked.writes().flatMap(({ chunks }) => chunks).length, 5);
    const content = await w.content(a, inode);
    assert.ok(content.subarray(100).equals(data.subarray(100)));
    const b = await w.client('b');
    assert.ok((await w.content(b, inode)).subarray(100).equals(data.subarray(100)));
  });

  test('asked for and small rides in the operation; many files at once in one', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inodes: number[] = [];
    for (let i = 0; i < 20; i++) inodes.push(await w.file(a, `f${i}`));
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(2000, inode)));
    await w.run(Promise.all(inodes.map((inode) => a.files.flush(inode))));
    assert.equal(a.hooked.writes().length, 1);
    assert.equal(a.hooked.writes()[0]?.chunks.length, 0);
    for (const inode of inodes) assert.deepEqual(await w.content(a, inode), pattern(2000, inode));
  });

  test('many small files of more bytes than an operation may have', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inodes: number[] = [];
    for (let i = 0; i < 30; i++) inodes.push(await w.file(a, `f${i}`));
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(60_000, inode)));
    await w.run(a.files.syncAll());
    for (const inode of inodes) assert.ok((await w.content(a, inode)).equals(pattern(60_000, inode)));
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(60_000, inode + 1)));
    await w.run(Promise.all(inodes.map((inode) => a.files.sync(inode))));
    for (const inode of inodes) assert.ok((await w.content(a, inode)).equals(pattern(60_000, inode + 1)));
  });

  test('scattered in many small pieces', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const model = Buffer.alloc(3 * MiB);
    for (let i = 0; i < 3000; i++) {
      const at = w.world.below(model.length - 300);
      const data = pattern(1 + w.world.below(300), i);
      model.set(data, at);
      await w.run(a.files.write(inode, at, data));
    }
    await w.run(a.files.write(inode, model.length - 1, Buffer.from([9])));
    model[model.length - 1] = 9;
    await w.run(a.files.sync(inode));
    assert.ok((await w.content(a, inode)).equals(model));
    const b = await w.client('b');
    assert.ok((await w.content(b, inode)).equals(model));
  });

  test('is sparse where nothing was written, and found by seek', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 3 * MiB, pattern(10)));
    assert.equal(await w.run(a.files.seek(inode, 0, 'data')), 3 * MiB);
    assert.equal(await w.run(a.files.seek(inode, 0, 'hole')), 0);
    const parts = await w.run(a.files.read(inode, 3 * MiB - 5, 100));
    assert.deepEqual(Buffer.concat(parts), Buffer.concat([Buffer.alloc(5), pattern(10)]));
  });

  test('written faster than it is stored still leaves in whole chunks', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a', { dirtyBytesMax: 4 * MiB });
    const inode = await w.file(a, 'f');
    a.hooked.onWriteChunks = () => a.process.runtime.clock.sleep(200);
    for (let at = 0; at < 16 * MiB; at += 96 * 1024) await w.run(a.files.write(inode, at, pattern(96 * 1024, at)));
    await w.run(a.files.flush(inode));
    const chunks = a.hooked.writes().flatMap((operation) => operation.chunks);
    assert.equal(chunks.length, 16);
    for (const { cells } of chunks) assert.equal(cells.length, 16);
  });

  test('of many files leaves before too much of it waits', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a', { dirtyBytesMax: 4 * MiB });
    const puts: number[] = [];
    a.hooked.onWriteChunks = (cells) => {
      puts.push(cells.length);
    };
    const inodes: number[] = [];
    for (let i = 0; i < 30; i++) inodes.push(await w.file(a, `f${i}`));
    const start = w.world.now;
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(100_000)));
    assert.ok(w.world.now - start < 900, 'before a second has passed');
    assert.deepEqual(puts, [22, 22], 'eleven files each time');
  });

  test('is not shared with a writer of the whole volume that is full', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a', { dirtyBytesMax: 256 * 1024 });
    const inode = await w.file(a, 'f');
    let let_ = () => {};
    const gate = new Promise<void>((resolve) => {
      let_ = resolve;
    });
    a.hooked.onWriteChunks = () => gate;
    let accepted = 0;
    const writes = Array.from({ length: 16 }, (_, i) =>
      a.files.write(inode, i * 65_536, pattern(65_536, i)).then(() => {
        accepted++;
      }),
    );
    await w.world.run(3000);
    assert.equal(accepted, 4, 'writers wait when so much is dirty');
    let_();
    await w.run(Promise.all(writes));
    await w.run(a.files.flush(inode));
    const content = await w.content(a, inode);
    for (let i = 0; i < 16; i++) assert.ok(content.subarray(i * 65_536, (i + 1) * 65_536).equals(pattern(65_536, i)));
  });

  test('waiting for room can be given up', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a', { dirtyBytesMax: 1000 });
    const inode = await w.file(a, 'f');
    a.hooked.onWriteChunks = () => new Promise(() => {});
    await w.run(a.files.write(inode, 0, pattern(900)));
    const given = new AbortController();
    const waiting = a.files.write(inode, 900, pattern(900), { signal: given.signal });
    await w.world.run(10);
    given.abort();
    await assert.rejects(w.run(waiting), { kind: 'cancelled' });
    assert.equal((await w.run(a.files.attributes(inode))).size, 900);
  });

  test('what is no file takes none', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    await assert.rejects(w.run(a.files.write(rootInode, 0, pattern(1))), { data: { reason: 'is-directory' } });
    await assert.rejects(w.run(a.files.write(999, 0, pattern(1))), { data: { reason: 'stale' } });
    await assert.rejects(w.run(a.files.read(999, 0, 1)), { data: { reason: 'stale' } });
    const { inode } = await w.run(a.files.make(rootInode, name('p'), { ...newFile, type: 'fifo' }));
    await assert.rejects(w.run(a.files.write(inode, 0, pattern(1))), { data: { reason: 'invalid' } });
    const file = await w.file(a, 'f');
    await assert.rejects(w.run(a.files.write(file, limits.fileBytesMax, pattern(1))), {
      data: { reason: 'too-large' },
    });
  });
});
