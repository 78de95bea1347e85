// Dirty data and what must happen in order with it: newer data, cuts, times, names, answers that were on their way.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { deferred } from '../../../../src/core/base/lifecycle.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { FilesWorld, name, pattern } from './world.ts';

const MiB = 1024 * 1024;

describe('the order of', () => {
  test('data: what left later arrives later, however long the first takes', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const gate = deferred();
    a.hooked.onWriteChunks = () => gate.promise;
    await w.run(a.files.write(inode, 0, pattern(MiB)));
    await w.run(a.files.write(inode, 10, Buffer.from('newer')));
    const flushed = a.files.flush(inode);
    await w.world.run(500);
    assert.equal(a.hooked.writes().length, 0, 'the small one waits for the large one');
    gate.resolve();
    await w.run(flushed);
    const expected = pattern(MiB);
    expected.set(Buffer.from('newer'), 10);
    assert.ok((await w.content(a, inode)).equals(expected));
    const b = await w.client('b');
    assert.ok((await w.content(b, inode)).equals(expected));
  });

  test('a large file on its way and the flush of another: nobody waits', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [large, small] = [await w.file(a, 'large'), await w.file(a, 'small')];
    a.hooked.onWriteChunks = () => new Promise(() => {});
    await w.run(a.files.write(large, 0, pattern(MiB)));
    await w.run(a.files.write(small, 0, pattern(10)));
    await w.run(a.files.sync(small));
    assert.equal(a.hooked.writes().length, 1);
  });

  test('cuts: data on its way arrives before, data behind the end never', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const gate = deferred();
    a.hooked.onWriteChunks = () => gate.promise;
    await w.run(a.files.write(inode, 0, pattern(MiB)));
    await w.run(a.files.write(inode, 2 * MiB, pattern(1000)));
    const cut = a.files.change(inode, { size: 500 });
    await w.world.run(300);
    gate.resolve();
    assert.equal((await w.run(cut)).size, 500);
    await w.run(a.files.syncAll());
    assert.deepEqual(await w.content(a, inode), pattern(500));
    await w.run(a.files.change(inode, { size: 800 }));
    assert.deepEqual(await w.content(a, inode), Buffer.concat([pattern(500), Buffer.alloc(300)]));
  });

  test('a cut that does not come about: nothing of the data is lost', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 0, pattern(1000)));
    a.hooked.onDo = (operation) => {
      if (operation.type === 'change') throw new Error('no');
    };
    await assert.rejects(w.run(a.files.change(inode, { size: 10 })));
    assert.deepEqual(await w.content(a, inode), pattern(1000));
    await w.run(a.files.flush(inode));
    assert.deepEqual(await w.content(a, inode), pattern(1000));
  });

  test('cuts of many extents, which take several steps', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    for (let i = 0; i < 2500; i++) await w.run(a.files.write(inode, i * 20, pattern(10, i)));
    await w.run(a.files.flush(inode));
    const { operations } = a.hooked;
    const before = operations.length;
    assert.equal((await w.run(a.files.change(inode, { size: 15 }))).size, 15);
    const steps = operations.slice(before).filter(({ type }) => type === 'change');
    assert.ok(steps.length > 1, `${steps.length} steps`);
    assert.deepEqual(await w.content(a, inode), Buffer.concat([pattern(10), Buffer.alloc(5)]));
  });

  test('reserving and punching over dirty data, in several steps', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    for (let i = 0; i < 2200; i++) await w.run(a.files.write(inode, i * 20, pattern(20, i)));
    await w.run(a.files.allocate(inode, 100, 2190 * 20, 'punch'));
    const expected = Buffer.alloc(2200 * 20);
    for (let i = 0; i < 2200; i++) expected.set(pattern(20, i), i * 20);
    expected.fill(0, 100, 100 + 2190 * 20);
    assert.ok((await w.content(a, inode)).equals(expected));
    await w.run(a.files.write(inode, 50, pattern(10)));
    await w.run(a.files.allocate(inode, 40, 100_000, 'allocate'));
    assert.equal((await w.run(a.files.attributes(inode))).size, 100_040);
    expected.set(pattern(10), 50);
    assert.ok((await w.content(a, inode)).subarray(0, expected.length).equals(expected));
  });

  test('times: what is set after a write stays, what is written after moves on', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const old = { seconds: 1000, nanoseconds: 1 };
    await w.run(a.files.write(inode, 0, pattern(10)));
    assert.deepEqual((await w.run(a.files.change(inode, { modified: old }))).modified, old);
    await w.run(a.files.syncAll());
    assert.deepEqual((await w.run(a.files.attributes(inode))).modified, old);
    await w.run(a.files.write(inode, 0, pattern(10)));
    const { changed } = await w.run(a.files.change(inode, { mode: 0o600 }));
    const last = await w.run(a.files.attributes(inode));
    assert.ok(last.modified.seconds > 1000);
    await w.run(a.files.syncAll());
    assert.deepEqual((await w.run(a.files.attributes(inode))).changed, changed, 'it does not go back');
  });

  test('answers: an answer on its way while data arrives shows the data', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 0, pattern(100)));
    const asks = [
      () => a.files.attributes(inode),
      () => a.files.lookup(rootInode, name('f')),
      async () => (await a.files.list(rootInode, 2n, { attributes: true })).entries[0]?.attributes,
    ];
    for (const [i, ask] of asks.entries()) {
      const held = deferred();
      a.hooked.afterQuery = () => held.promise;
      const answer = ask();
      await w.world.run(20);
      a.hooked.afterQuery = () => {};
      // Longer than what was asked can know of.
      await w.run(a.files.write(inode, 100 * (i + 1), pattern(100)));
      await w.run(a.files.flush(inode));
      held.resolve();
      assert.equal((await w.run(answer))?.size, 100 * (i + 2));
    }
  });

  test('names: a file that is gone takes its dirty data along', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.close(inode));
    await w.run(a.files.write(inode, 0, pattern(MiB / 2)));
    await w.run(a.files.unlink(rootInode, name('f')));
    await w.world.run(3000);
    assert.equal(a.hooked.writes().length, 0, 'what nobody can read is not written');
    await w.run(a.files.syncAll());
  });
});

describe('errors of waiting', () => {
  test('a flush is given up, the data goes on', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    const gate = deferred();
    a.hooked.onWriteChunks = () => gate.promise;
    await w.run(a.files.write(inode, 0, pattern(100_000)));
    const abort = new AbortController();
    const flushed = a.files.flush(inode, { signal: abort.signal });
    await w.world.run(10);
    abort.abort();
    await assert.rejects(w.run(flushed), { kind: 'cancelled' });
    gate.resolve();
    await w.run(a.files.flush(inode));
    assert.ok((await w.content(a, inode)).equals(pattern(100_000)));
  });
});
