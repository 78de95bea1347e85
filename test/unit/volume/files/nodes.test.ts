import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode } from '../../../../src/core/base/codec.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { orphansReply, readLinkReply } from '../../../../src/core/volume/files/messages.ts';
import { bytes, client, time, ViewTree } from './view-tree.ts';

describe('nodes of the files view', () => {
  test('a begun tree has a root, once', async () => {
    const tree = await ViewTree.begun({ quota: 5000 });
    const root = await tree.attributes(1);
    assert.deepEqual(
      [root.type, root.mode, root.uid, root.gid, root.links, root.created],
      ['directory', 0o755, 1, 2, 2, time(1000)],
    );
    await tree.make('a');
    await tree.do({ type: 'begin', mode: 0o700, uid: 9, gid: 9, defaultMode: 7, quota: 1, now: tree.tick() });
    assert.equal((await tree.attributes(1)).mode, 0o755);
    assert.deepEqual(await tree.usage(), { bytesUsed: 0, inodesUsed: 2, quota: 5000 });
    await tree.check();
  });

  test('before the beginning there is nothing', async () => {
    const tree = new ViewTree();
    await tree.refused(tree.make('a'), 'not-found', 'stale');
    await tree.refused(tree.usage(), 'not-found', 'stale');
    await tree.refused(tree.lookup('a'), 'not-found', 'stale');
  });

  test('every type is made and found again, after a commit too', async () => {
    const tree = await ViewTree.begun();
    const made = [
      await tree.make('file', { mode: 0o4751, uid: 100, gid: 200 }),
      await tree.make('directory', { type: 'directory', mode: 0o1777 }),
      await tree.make('symlink', { type: 'symlink', target: bytes('../else') }),
      await tree.make('fifo', { type: 'fifo' }),
      await tree.make('socket', { type: 'socket' }),
      await tree.make('character-device', { type: 'character-device', device: 0x0103 }),
      await tree.make('block-device', { type: 'block-device', device: 0x0801 }),
    ];
    assert.deepEqual(
      made.map(({ type, mode, links, size, device }) => [type, mode, links, size, device]),
      [
        ['file', 0o4751, 1, 0, 0],
        ['directory', 0o1777, 2, 0, 0],
        ['symlink', 0o777, 1, 7, 0],
        ['fifo', 0o644, 1, 0, 0],
        ['socket', 0o644, 1, 0, 0],
        ['character-device', 0o644, 1, 0, 0x0103],
        ['block-device', 0o644, 1, 0, 0x0801],
      ],
    );
    assert.equal(new Set(made.map(({ inode }) => inode)).size, 7);
    await tree.commit();
    for (const attributes of made) assert.deepEqual(await tree.lookup(attributes.type), attributes);
    const [, , symlink] = made;
    const target = await tree.ask({ type: 'readLink', inode: symlink?.inode ?? 0 });
    assert.deepEqual(Buffer.from(decode(readLinkReply, target)), bytes('../else'));
    await tree.refused(tree.ask({ type: 'readLink', inode: made[0]?.inode ?? 0 }), 'usage', 'invalid');
    await tree.check();
  });

  test('a new entry changes its directory; a directory is linked by its parent', async () => {
    const tree = await ViewTree.begun();
    const before = await tree.attributes(1);
    const file = await tree.make('file');
    const after = await tree.attributes(1);
    assert.deepEqual([after.modified, after.changed, after.accessed], [file.changed, file.changed, before.accessed]);
    const sub = await tree.make('sub', { type: 'directory' });
    assert.equal((await tree.attributes(1)).links, 3);
    assert.equal((await tree.lookup('.', sub.inode)).inode, sub.inode);
    assert.equal((await tree.lookup('..', sub.inode)).inode, 1);
    assert.equal((await tree.lookup('..')).inode, 1);
    await tree.refused(tree.make('file'), 'exists');
    await tree.refused(tree.make('x', {}, file.inode), 'usage', 'not-directory');
    await tree.refused(tree.make('x', {}, 999), 'not-found', 'stale');
    await tree.refused(tree.lookup('none'), 'not-found');
    await tree.refused(tree.lookup('none', file.inode), 'usage', 'not-directory');
    await tree.refused(tree.attributes(2 ** 48 - 1), 'usage');
  });

  test('names', async () => {
    const tree = await ViewTree.begun();
    for (const name of ['.', '..', '', 'a/b', 'a\0']) await tree.refused(tree.make(name), 'usage', 'invalid');
    await tree.make('n'.repeat(255));
    await tree.refused(tree.make('n'.repeat(256)), 'full');
    await tree.make(Buffer.from([0xff, 0xfe]));
    assert.equal((await tree.lookup(Buffer.from([0xff, 0xfe]))).type, 'file');
    await tree.refused(tree.make('l', { type: 'symlink' }), 'usage', 'invalid');
    await tree.refused(tree.make('l', { type: 'symlink', target: Buffer.from('a\0') }), 'usage', 'invalid');
  });

  test('a set-group-id directory hands its group down, and to directories the bit', async () => {
    const tree = await ViewTree.begun();
    const shared = await tree.make('shared', { type: 'directory', mode: 0o2775, gid: 77 });
    const file = await tree.make('file', { gid: 5 }, shared.inode);
    const sub = await tree.make('sub', { type: 'directory', mode: 0o755, gid: 5 }, shared.inode);
    assert.deepEqual([file.gid, file.mode, sub.gid, sub.mode], [77, 0o644, 77, 0o2755]);
  });

  test('default rights are added to all that is made', async () => {
    const tree = await ViewTree.begun({ defaultMode: 0o006 });
    const file = await tree.make('file', { mode: 0o640 });
    const directory = await tree.make('directory', { type: 'directory', mode: 0o750 });
    assert.deepEqual([file.mode, directory.mode, (await tree.attributes(1)).mode], [0o646, 0o757, 0o757]);
  });

  test('links: counted, bounded, not for directories', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    const linked = await tree.link(inode, 'b');
    assert.equal(linked.links, 2);
    assert.deepEqual(linked.changed, (await tree.attributes(1)).modified);
    await tree.refused(tree.link(inode, 'b'), 'exists');
    await tree.refused(tree.link(999, 'c'), 'not-found', 'stale');
    const { inode: directory } = await tree.make('d', { type: 'directory' });
    await tree.refused(tree.link(directory, 'c'), 'denied', 'not-permitted');
    assert.equal((await tree.unlink('a')).links, 1);
    assert.equal((await tree.lookup('b')).inode, inode);
    assert.equal((await tree.unlink('b')).links, 0);
    await tree.refused(tree.attributes(inode), 'not-found', 'stale');
    await tree.refused(tree.unlink('b'), 'not-found');
    await tree.refused(tree.unlink('d'), 'usage', 'is-directory');
    await tree.check();
  });

  test('a file has so many names and no more', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    for (let i = 1; i < limits.fileLinksMax; i++) await tree.link(inode, `l${i}`);
    await tree.refused(tree.link(inode, 'more'), 'full', 'too-many-links');
    assert.equal((await tree.attributes(inode)).links, limits.fileLinksMax);
  });

  test('a directory is removed when it is empty', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('d', { type: 'directory' });
    await tree.make('f', {}, inode);
    await tree.commit();
    await tree.refused(tree.removeDirectory('d'), 'exists', 'not-empty');
    await tree.unlink('f', { directory: inode });
    await tree.make('f');
    await tree.refused(tree.removeDirectory('f'), 'usage', 'not-directory');
    await tree.refused(tree.removeDirectory('g'), 'not-found');
    await tree.removeDirectory('d');
    assert.equal((await tree.attributes(1)).links, 2);
    await tree.refused(tree.make('x', {}, inode), 'not-found', 'stale');
    await tree.check();
  });

  test('attributes change singly, the change time with each', async () => {
    const tree = await ViewTree.begun();
    const { inode, created } = await tree.make('a');
    const changed = await tree.change(inode, { mode: 0o100600, uid: 8 });
    assert.deepEqual([changed.mode, changed.uid, changed.gid], [0o600, 8, 6]);
    assert.deepEqual([changed.modified, changed.created], [created, created]);
    assert.notDeepEqual(changed.changed, created);
    const times = await tree.change(inode, { accessed: time(-5, 999_999_999), modified: time(2 ** 33, 7), gid: 3 });
    assert.deepEqual([times.accessed, times.modified, times.gid], [time(-5, 999_999_999), time(2 ** 33, 7), 3]);
    assert.deepEqual(await tree.attributes(inode), times);
    const resized = await tree.change(inode, { size: 10 });
    assert.deepEqual([resized.size, resized.modified], [10, resized.changed]);
    await tree.refused(tree.change(1, { size: 0 }), 'usage', 'is-directory');
    const { inode: fifo } = await tree.make('p', { type: 'fifo' });
    await tree.refused(tree.change(fifo, { size: 0 }), 'usage', 'invalid');
    await tree.refused(tree.change(inode, { modified: time(0, 1e9) }), 'usage');
  });
});

describe('orphans of the files view', () => {
  const listed = async (tree: ViewTree, after = 0, limit = 100) =>
    decode(orphansReply, await tree.ask({ type: 'orphans', after, limit }));
  const other = Buffer.alloc(16, 8);

  test('an open file keeps its data when its last name goes', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    await tree.writeBytes(inode, 0, bytes('hello'));
    const gone = await tree.unlink('a', { free: false, held: true });
    assert.equal(gone.links, 0);
    assert.deepEqual(await tree.read(inode, 0, 10), bytes('hello'));
    await tree.writeBytes(inode, 5, bytes(' world'));
    assert.deepEqual(await tree.read(inode, 0, 20), bytes('hello world'));
    const [orphan] = await listed(tree);
    assert.deepEqual([orphan?.inode, orphan?.since], [inode, gone.changed]);
    assert.deepEqual(
      orphan?.holders.map(({ client, at }) => [Buffer.from(client), at]),
      [[client, gone.changed]],
    );
    await tree.refused(tree.reap(inode), 'conflict', 'busy');
    await tree.do({ type: 'release', inodes: [inode], client });
    await tree.check();
    assert.equal(await tree.reap(inode), 1);
    await tree.refused(tree.attributes(inode), 'not-found', 'stale');
    assert.deepEqual(await listed(tree), []);
    assert.deepEqual(await tree.usage(), { bytesUsed: 0, inodesUsed: 1, quota: 0 });
    assert.equal(await tree.reap(inode), 1);
    await tree.check();
  });

  test('holders say so again, and are spared since then', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    const { inode: named } = await tree.make('named');
    await tree.unlink('a', { free: false });
    assert.deepEqual((await listed(tree))[0]?.holders, []);
    await tree.do({ type: 'hold', inodes: [inode, named, 12345], client, now: time(50) });
    await tree.do({ type: 'hold', inodes: [inode], client: other, now: time(60) });
    await tree.do({ type: 'hold', inodes: [inode], client, now: time(70, 5) });
    const [orphan, ...more] = await listed(tree);
    assert.deepEqual(
      orphan?.holders.map(({ at }) => at),
      [time(70, 5), time(60)],
    );
    assert.equal(more.length, 0);
    await tree.refused(tree.reap(inode, time(70, 5)), 'conflict', 'busy');
    assert.equal(await tree.reap(inode, time(70, 6)), 1);
    await tree.check();
  });

  test('orphans are listed in pages, each whole', async () => {
    const tree = await ViewTree.begun();
    const inodes = [];
    for (let i = 0; i < 5; i++) inodes.push((await tree.make(undefined)).inode);
    await tree.do({ type: 'hold', inodes, client: other, now: time(60) });
    await tree.commit();
    const found = [];
    for (let after = 0; ; ) {
      const page = await listed(tree, after, 2);
      if (page.length === 0) break;
      found.push(...page);
      after = page.at(-1)?.inode ?? 0;
    }
    assert.deepEqual(
      found.map(({ inode, holders }) => [inode, holders.length]),
      inodes.map((inode) => [inode, 2]),
    );
  });

  test('a file without a name gets one by a link, or goes', async () => {
    const tree = await ViewTree.begun();
    const before = await tree.attributes(1);
    const { inode, links } = await tree.make(undefined);
    assert.equal(links, 0);
    assert.deepEqual(await tree.attributes(1), before);
    await tree.writeBytes(inode, 0, bytes('kept'));
    assert.equal((await tree.link(inode, 'now')).links, 1);
    assert.deepEqual(await listed(tree), []);
    assert.equal(await tree.reap(inode), 1);
    assert.deepEqual(await tree.read((await tree.lookup('now')).inode, 0, 9), bytes('kept'));
    await tree.refused(tree.make(undefined, { type: 'directory' }), 'usage', 'invalid');
    await tree.check();
  });

  test('a large file goes step by step, and is gone for all from the first', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('big');
    const count = 2 * limits.extentsPerStepMax + 10;
    for (let at = 0; at < count; at += 500) {
      const pieces = [];
      for (let i = at; i < Math.min(count, at + 500); i++)
        pieces.push({ type: 'bytes', offset: i * 10, bytes: bytes('x') } as const);
      await tree.write([{ inode, modified: tree.tick(), pieces }]);
    }
    await tree.commit();
    await tree.setExtended(inode, 'user.a', bytes('b'));
    const gone = await tree.unlink('big', { free: true });
    assert.equal(gone.links, 0);
    await tree.check();
    await tree.refused(tree.attributes(inode), 'not-found', 'stale');
    await tree.refused(tree.link(inode, 'again'), 'not-found', 'stale');
    assert.deepEqual(await tree.writeBytes(inode, 0, bytes('late')), []);
    assert.equal((await listed(tree)).length, 1);
    assert.equal(await tree.reap(inode), 2);
    await tree.check();
    assert.equal((await tree.records('attribute')).length, 0);
  });

  test('a free file that its remover holds stays', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    await tree.unlink('a', { free: true, held: true });
    assert.equal((await tree.attributes(inode)).links, 0);
  });
});
