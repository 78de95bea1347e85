// Unlinked files that are open, with several clients: kept while anybody has them open, across leaders and lost messages; freed
// when nobody does.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { reasonOf, rootInode } from '../../../../src/core/volume/files/files.ts';
import { type FilesClient, FilesWorld, name, newFile, pattern } from './world.ts';

const second = 1000;
const minute = 60 * second;
const directory = rootInode;

async function exists(w: FilesWorld, { files }: FilesClient, inode: number): Promise<boolean> {
  try {
    await w.run(files.attributes(inode));
    return true;
  } catch (error) {
    if (isError(error) && reasonOf(error) === 'stale') return false;
    throw error;
  }
}

async function written(w: FilesWorld, client: FilesClient, text: string): Promise<number> {
  const inode = await w.file(client, text);
  await w.run(client.files.write(inode, 0, pattern(5000)));
  await w.run(client.files.flush(inode));
  await w.run(client.files.close(inode));
  return inode;
}

describe('an unlinked file', () => {
  test('that nobody has open is freed with its name, when the client is alone', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await written(w, a, 'f');
    await w.world.run(2 * minute);
    await w.run(a.files.unlink(directory, name('f')));
    assert.equal(await exists(w, a, inode), false);
    assert.equal((await w.run(a.files.usage())).usedBytes, 0);
  });

  test('that its own client has open is kept until it closes', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await written(w, a, 'f');
    await w.world.run(2 * minute);
    a.files.open(inode);
    a.files.open(inode);
    await w.run(a.files.unlink(directory, name('f')));
    await w.run(a.files.write(inode, 5000, pattern(10)));
    await w.run(a.files.flush(inode));
    await w.run(a.files.close(inode));
    await w.world.run(30 * minute);
    assert.deepEqual(await w.content(a, inode), Buffer.concat([pattern(5000), pattern(10)]));
    await w.run(a.files.close(inode));
    await w.world.run(1 * second);
    assert.equal(await exists(w, a, inode), false);
    assert.equal((await w.run(a.files.usage())).usedBytes, 0);
  });

  test('that another client has open is kept until that one closes', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await written(w, a, 'f');
    b.files.open(inode);
    await w.run(a.files.unlink(directory, name('f')));
    await w.world.run(30 * minute);
    assert.deepEqual(await w.content(b, inode), pattern(5000));
    await w.run(b.files.write(inode, 0, pattern(10, 3)));
    await w.run(b.files.flush(inode));
    assert.deepEqual((await w.content(a, inode)).subarray(0, 10), pattern(10, 3));
    await w.run(b.files.close(inode));
    await w.world.run(minute);
    assert.equal(await exists(w, b, inode), false);
    assert.equal((await w.run(a.files.usage())).usedBytes, 0);
  });

  test('that the leader has open and a follower unlinks or replaces is kept', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inodes = [await written(w, a, 'f'), await written(w, a, 'g')];
    await written(w, b, 'new');
    for (const inode of inodes) a.files.open(inode);
    await w.run(b.files.unlink(directory, name('f')));
    await w.run(b.files.rename({ directory, name: name('new') }, { directory, name: name('g') }, 'replace'));
    await w.world.run(20 * minute);
    for (const inode of inodes) {
      assert.deepEqual(await w.content(a, inode), pattern(5000));
      await w.run(a.files.close(inode));
    }
    await w.world.run(minute);
    for (const inode of inodes) assert.equal(await exists(w, a, inode), false);
  });

  test('replaced by a rename of the client that has it open is kept', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [old, next] = [await written(w, a, 'old'), await written(w, a, 'next')];
    await w.world.run(2 * minute);
    a.files.open(old);
    const to = { directory, name: name('old') };
    await w.run(a.files.rename({ directory, name: name('next') }, to, 'replace'));
    assert.equal((await w.run(a.files.lookup(directory, name('old')))).inode, next);
    await w.world.run(15 * minute);
    assert.deepEqual(await w.content(a, old), pattern(5000));
    await w.run(a.files.close(old));
    await w.world.run(second);
    assert.equal(await exists(w, a, old), false);
  });

  test('open at a follower stays while leaders change', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const c = await w.client('c');
    const inode = await written(w, a, 'f');
    b.files.open(inode);
    await w.run(a.files.unlink(directory, name('f')));
    await w.world.run(3 * second);
    await w.run(a.files.stop());
    await w.run(a.tree.stop());
    await w.run(c.files.attributes(rootInode));
    await w.world.run(12 * minute);
    assert.deepEqual(await w.content(b, inode), pattern(5000));
    await w.run(b.files.close(inode));
    await w.world.run(minute);
    assert.equal(await exists(w, c, inode), false);
  });

  test('open at the leader that crashes is freed by the next one, some minutes later', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await written(w, a, 'f');
    a.files.open(inode);
    await w.run(a.files.unlink(directory, name('f')));
    await w.run(a.files.syncAll());
    a.process.crash();
    await w.world.run(6 * minute);
    assert.equal(await exists(w, b, inode), true, 'the holder might only be slow');
    await w.world.run(8 * minute);
    assert.equal(await exists(w, b, inode), false);
    assert.equal((await w.run(b.files.usage())).usedBytes, 0);
  });

  test('of a client that says goodbye is freed at once', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await written(w, b, 'f');
    b.files.open(inode);
    await w.run(b.files.unlink(directory, name('f')));
    await w.run(b.files.stop());
    await w.world.run(minute);
    assert.equal(await exists(w, a, inode), false);
  });

  test('of many extents goes step by step', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    for (let i = 0; i < 3300; i++) await w.run(a.files.write(inode, i * 20, pattern(10, i)));
    await w.run(a.files.flush(inode));
    await w.world.run(2 * minute);
    await w.run(a.files.unlink(directory, name('f')));
    await w.run(a.files.close(inode));
    await w.world.run(10 * second);
    assert.ok(a.hooked.operations.filter(({ type }) => type === 'reap').length >= 3);
    assert.equal(await exists(w, a, inode), false);
    const { usedBytes, inodesUsed } = await w.run(a.files.usage());
    assert.deepEqual({ usedBytes, inodesUsed }, { usedBytes: 0, inodesUsed: 1 });
  });
});

describe('a file without a name', () => {
  test('vanishes at its close, or stays when it was given one', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    await w.world.run(minute);
    const [gone, named] = [
      (await w.run(a.files.makeUnnamed(directory, newFile))).inode,
      (await w.run(a.files.makeUnnamed(directory, newFile))).inode,
    ];
    for (const inode of [gone, named]) await w.run(a.files.write(inode, 0, pattern(100, inode)));
    await w.world.run(10 * second);
    assert.equal((await w.run(a.files.link(named, directory, name('n')))).links, 1);
    for (const inode of [gone, named]) await w.run(a.files.close(inode));
    await w.world.run(10 * second);
    assert.equal(await exists(w, a, gone), false);
    assert.deepEqual(await w.content(a, named), pattern(100, named));
  });
});

describe('what a leader is told of others', () => {
  test('names the inodes, entries and directories, before the other is answered', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const told: { inodes: Set<number>; names: string[]; directories: number[] }[] = [];
    let answered = false;
    const off = a.files.onForeign(async ({ inodes, entries, directories = [] }) => {
      await a.process.runtime.clock.sleep(500);
      assert.equal(answered, false, 'told before the answer');
      const names = entries.map((entry) => Buffer.from(entry.name).toString());
      told.push({ inodes: new Set(inodes), names, directories: [...directories] });
    });
    const told1 = async (task: Promise<unknown>) => {
      answered = false;
      await w.run(
        task.then(() => {
          answered = true;
        }),
      );
      const [only, ...more] = told.splice(0);
      assert.ok(only !== undefined && more.length === 0);
      return only;
    };
    const made = b.files.make(directory, name('f'), newFile);
    const first = await told1(made);
    const { inode } = await made;
    assert.ok(first.inodes.has(inode) && first.inodes.has(directory));
    assert.deepEqual([first.names, first.directories], [['f'], []]);
    b.files.open(inode);
    await w.run(b.files.write(inode, 0, pattern(10)));
    assert.deepEqual([...(await told1(b.files.flush(inode))).inodes], [inode]);
    const to = { directory, name: name('g') };
    const renamed = await told1(b.files.rename({ directory, name: name('f') }, to, 'replace'));
    assert.deepEqual([renamed.names, renamed.directories], [['g'], [directory]]);
    const gone = await told1(b.files.unlink(directory, name('g')));
    assert.ok(gone.inodes.has(inode) && gone.inodes.has(directory));
    assert.deepEqual(gone.directories, [directory]);
    await w.run(a.files.make(directory, name('own'), newFile));
    assert.equal(told.length, 0, 'nothing is told of its own changes');
    assert.ok(a.files.freshForMs(rootInode) > 0);
    assert.equal(b.files.freshForMs(rootInode), 0);
    off();
    await w.run(b.files.make(directory, name('h'), newFile));
    assert.equal(told.length, 0);
  });
});
