// Conformance of the files view: making, finding, linking and removing names.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import { type FileType, rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, type Trial, type Using } from './files-support.ts';

export function names(using: Using, fast: boolean): void {
  making(using);
  naming(using);
  linking(using, fast);
  removing(using);
  missing(using);
}

function making(using: Using): void {
  it(
    'starts with an empty root',
    using(async (t) => {
      const root = await t.files.attributes(rootInode);
      const { type, mode, uid, gid, links, generation, hasExtended } = root;
      assert.deepEqual(
        { type, mode, uid, gid, links, generation, hasExtended },
        { type: 'directory', mode: 0o755, uid: 0, gid: 0, links: 2, generation: 0, hasExtended: false },
      );
      assert.deepEqual(await t.names(), []);
    }),
  );

  it(
    'makes every type with what was asked for',
    using(async (t) => {
      const target = Buffer.from([0x2e, 0x2f, 0xff, 0xfe, 0x01]);
      const types: FileType[] = ['file', 'directory', 'symlink', 'fifo', 'socket', 'character-device', 'block-device'];
      const inodes = new Set([rootInode]);
      for (const [i, type] of types.entries()) {
        const device = type.endsWith('device') ? 0x0801 + i : 0;
        const mode = type === 'symlink' ? 0o777 : 0o7000 + i;
        const asked = { type, mode, uid: 4_294_967_000 + i, gid: 70_000 + i, device };
        const made = await t.make(type, { ...asked, ...(type === 'symlink' ? { target } : {}) });
        assert.deepEqual({ ...made, ...asked }, made);
        assert.equal(made.links, type === 'directory' ? 2 : 1);
        assert.equal(made.generation, 0);
        assert.equal(made.hasExtended, false);
        if (type !== 'directory') assert.equal(made.size, type === 'symlink' ? target.length : 0);
        assert.deepEqual(made.modified, made.created);
        assert.deepEqual(await t.lookup(type), made);
        assert.deepEqual(await t.files.attributes(made.inode), made);
        assert.ok(!inodes.has(made.inode));
        inodes.add(made.inode);
      }
      assert.deepEqual(await t.linksOf(rootInode), [3]);
      assert.deepEqual(Buffer.from(await t.files.readLink((await t.lookup('symlink')).inode)), target);
      await fails('invalid', t.files.readLink((await t.lookup('file')).inode));
      assert.deepEqual(await t.names(), [...types].sort());
    }),
  );

  it(
    'keeps targets of symbolic links up to their limit',
    using(async (t) => {
      for (const length of [1, 255, 256, 257, 4000, limits.symlinkBytesMax]) {
        const target = Buffer.alloc(length, `target of ${length} `);
        const { inode, size } = await t.make(`to ${length}`, { type: 'symlink', target });
        assert.equal(size, length);
        assert.ok(target.equals(await t.files.readLink(inode)));
      }
      await fails('usage', t.make('long', { type: 'symlink', target: Buffer.alloc(limits.symlinkBytesMax + 1, 1) }));
      await fails('not-found', t.lookup('long'));
    }),
  );

  it(
    'hands on the group of a set-group-id directory',
    using(async (t) => {
      const { inode } = await t.make('shared', { type: 'directory', mode: 0o2775, gid: 500 });
      const file = await t.make('file', { mode: 0o640, gid: 7 }, inode);
      const link = await t.make('link', { type: 'symlink', target: bytesOf('file'), gid: 7 }, inode);
      const below = await t.make('below', { type: 'directory', mode: 0o755, gid: 7 }, inode);
      assert.deepEqual([file.gid, link.gid, below.gid], [500, 500, 500]);
      assert.deepEqual([file.mode, below.mode], [0o640, 0o2755]);
      assert.equal((await t.make('deeper', {}, below.inode)).gid, 500);
      const unnamed = await t.files.makeUnnamed(inode, { type: 'file', mode: 0o600, uid: 0, gid: 7 });
      assert.equal(unnamed.gid, 500);
      await t.files.close(unnamed.inode);
      await t.files.change(inode, { mode: 0o775 });
      assert.equal((await t.make('after', { gid: 7 }, inode)).gid, 7);
    }),
  );
}

function naming(using: Using): void {
  it(
    'takes any bytes as names, up to 255',
    using(async (t) => {
      const every = Buffer.from(Array.from({ length: 255 }, (_, i) => i + 1).filter((byte) => byte !== 0x2f));
      const given = [
        Buffer.alloc(255, 'x'),
        every,
        every.subarray(0, 128),
        Buffer.from([0xff]),
        Buffer.from([0xfe]),
        Buffer.from([0xc3, 0xa9]),
        Buffer.from([0x65, 0xcc, 0x81]),
        ...['...', '.a', '..a', ' ', 'A', 'a', 'a ', 'a.', '\n', '*', '\\', '-', '~', 'con', 'nul'].map(bytesOf),
      ];
      const made = new Map<string, number>();
      for (const name of given) made.set(name.toString('hex'), (await t.make(name)).inode);
      assert.equal(made.size, given.length);
      for (const name of given) assert.equal((await t.lookup(name)).inode, made.get(name.toString('hex')));
      assert.deepEqual(await t.names(), given.map((name) => Buffer.from(name).toString('latin1')).sort());
      for (const name of given) await t.unlink(name);
      assert.deepEqual(await t.names(), []);
    }),
  );

  it(
    'refuses what is no name, everywhere',
    using(async (t) => {
      const file = await t.file('file');
      await t.directory('directory');
      const everywhere = async (reason: 'invalid' | 'name-too-long', name: string) => {
        await fails(reason, t.make(name));
        await fails(reason, t.files.link(file, rootInode, bytesOf(name)));
        await fails(reason, t.unlink(name));
        await fails(reason, t.files.removeDirectory(rootInode, bytesOf(name)));
        await fails(reason, t.rename('file', name));
        await fails(reason, t.rename(name, 'other'));
      };
      for (const name of ['', '.', '..', 'a/b', '/', 'a\0', '\0']) await everywhere('invalid', name);
      for (const length of [256, 5000]) await everywhere('name-too-long', 'x'.repeat(length));
      await fails('name-too-long', t.lookup('x'.repeat(256)));
      assert.deepEqual(await t.names(), ['directory', 'file']);
    }),
  );

  it(
    'never makes over what is there, and puts names in directories only',
    using(async (t) => {
      const file = await t.file('file', 'content');
      await t.directory('directory');
      for (const name of ['file', 'directory']) {
        await fails('exists', t.make(name));
        await fails('exists', t.make(name, { type: 'directory' }));
        await fails('exists', t.make(name, { type: 'symlink', target: bytesOf('x') }));
        await fails('exists', t.files.link(file, rootInode, bytesOf(name)));
      }
      const link = (await t.make('link', { type: 'symlink', target: bytesOf('directory') })).inode;
      for (const inode of [file, link]) {
        await fails('not-directory', t.lookup('x', inode));
        await fails('not-directory', t.make('x', {}, inode));
        await fails('not-directory', t.files.makeUnnamed(inode, { type: 'file', mode: 0o600, uid: 0, gid: 0 }));
        await fails('not-directory', t.files.link(file, inode, bytesOf('x')));
        await fails('not-directory', t.unlink('x', inode));
        await fails('not-directory', t.files.removeDirectory(inode, bytesOf('x')));
        await fails('not-directory', t.rename('file', 'x', 'replace', [rootInode, inode]));
        await fails('not-directory', t.rename('x', 'y', 'replace', [inode, rootInode]));
        await fails('not-directory', t.files.list(inode, 0n));
      }
      await t.holds(file, 'content');
      assert.deepEqual(await t.names(), ['directory', 'file', 'link']);
    }),
  );
}

function linking(using: Using, fast: boolean): void {
  it(
    'gives a file several names',
    using(async (t) => {
      const file = await t.file('one', 'content');
      const below = await t.directory('below');
      const linked = await t.files.link(file, below, bytesOf('two'));
      assert.deepEqual([linked.inode, linked.links], [file, 2]);
      const link = await t.make('link', { type: 'symlink', target: bytesOf('one') });
      assert.equal((await t.files.link(link.inode, below, bytesOf('another'))).links, 2);
      assert.equal((await t.lookup('two', below)).inode, file);
      await t.unlink('one');
      assert.deepEqual(await t.linksOf(file), [1]);
      await t.holds(file, 'content');
      await fails('not-found', t.lookup('one'));
      await t.unlink('two', below);
      await t.gone(file);
    }),
  );

  it(
    'gives a directory one name',
    using(async (t) => {
      const directory = await t.directory('directory');
      await fails('not-permitted', t.files.link(directory, rootInode, bytesOf('again')));
      await fails('not-permitted', t.files.link(directory, directory, bytesOf('loop')));
      assert.deepEqual(await t.linksOf(directory, rootInode), [2, 3]);
    }),
  );

  if (!fast) return;
  it(
    'refuses more links than there may be',
    using(async (t) => {
      const file = await t.file('file');
      const below = await t.directory('below');
      for (let i = 1; i < limits.fileLinksMax; i++) await t.files.link(file, below, bytesOf(`${i}`));
      await fails('too-many-links', t.files.link(file, rootInode, bytesOf('more')));
      await t.unlink('7', below);
      assert.equal((await t.files.link(file, rootInode, bytesOf('more'))).links, limits.fileLinksMax);
    }),
  );
}

function removing(using: Using): void {
  it(
    'removes files and directories, each in its way',
    using(async (t) => {
      const directory = await t.directory('directory');
      await t.file('file');
      const inner = await t.directory('inner', directory);
      await t.file('leaf', '', inner);
      const remove = (name: string, at = rootInode) => t.files.removeDirectory(at, bytesOf(name));
      await fails('not-directory', remove('file'));
      await fails('is-directory', t.unlink('directory'));
      await fails('not-empty', remove('directory'));
      await fails('not-empty', remove('inner', directory));
      await fails('not-found', remove('nothing'));
      await fails('not-found', t.unlink('nothing'));
      assert.deepEqual(await t.linksOf(rootInode, directory, inner), [3, 3, 2]);
      await t.unlink('leaf', inner);
      await remove('inner', directory);
      assert.deepEqual(await t.linksOf(rootInode, directory), [3, 2]);
      await remove('directory');
      await t.unlink('file');
      assert.deepEqual(await t.linksOf(rootInode), [2]);
      assert.deepEqual(await t.names(), []);
    }),
  );

  it(
    'uses an inode number once',
    using(async (t) => {
      const seen = new Set<number>();
      for (let i = 0; i < 30; i++) {
        const inode = i % 2 === 0 ? await t.file('again', `${i}`) : await t.directory('again');
        assert.ok(!seen.has(inode));
        seen.add(inode);
        if (i % 2 === 0) await t.unlink('again');
        else await t.files.removeDirectory(rootInode, bytesOf('again'));
      }
      for (const inode of seen) await t.gone(inode);
    }),
  );

  it(
    'counts inodes',
    using(async (t) => {
      const before = await t.files.usage();
      await t.file('one');
      await t.directory('two');
      const after = await t.files.usage();
      assert.equal(after.inodesUsed, before.inodesUsed + 2);
      assert.ok(after.totalBytes >= after.usedBytes && after.freeBytes <= after.totalBytes);
    }),
  );
}

function missing(using: Using): void {
  const gone = 1_000_000_007;
  const operations: Record<string, (t: Trial, inode: number) => Promise<unknown>> = {
    attributes: (t, inode) => t.files.attributes(inode),
    change: (t, inode) => t.files.change(inode, { mode: 0 }),
    'change of size': (t, inode) => t.files.change(inode, { size: 0 }),
    lookup: (t, inode) => t.lookup('x', inode),
    readLink: (t, inode) => t.files.readLink(inode),
    make: (t, inode) => t.make('x', {}, inode),
    makeUnnamed: (t, inode) => t.files.makeUnnamed(inode, { type: 'file', mode: 0, uid: 0, gid: 0 }),
    link: (t, inode) => t.files.link(inode, rootInode, bytesOf('x')),
    unlink: (t, inode) => t.unlink('x', inode),
    removeDirectory: (t, inode) => t.files.removeDirectory(inode, bytesOf('x')),
    'rename from': (t, inode) => t.rename('x', 'y', 'replace', [inode, rootInode]),
    list: (t, inode) => t.files.list(inode, 0n),
    read: (t, inode) => t.files.read(inode, 0, 1),
    allocate: (t, inode) => t.files.allocate(inode, 0, 1, 'allocate'),
    seek: (t, inode) => t.files.seek(inode, 0, 'data'),
    getExtended: (t, inode) => t.files.getExtended(inode, bytesOf('user.x')),
    setExtended: (t, inode) => t.files.setExtended(inode, bytesOf('user.x'), bytesOf('y')),
    listExtended: (t, inode) => t.files.listExtended(inode),
    removeExtended: (t, inode) => t.files.removeExtended(inode, bytesOf('user.x')),
  };
  it(
    'says so when an inode is not there, whatever is asked',
    using(async (t) => {
      const removed = await t.file('removed', 'content');
      await t.unlink('removed');
      await t.gone(removed);
      for (const [name, operation] of Object.entries(operations))
        for (const inode of [gone, removed])
          await fails('stale', operation(t, inode)).catch((cause) => {
            throw new Error(name, { cause });
          });
      await t.file('here');
      await fails('stale', t.rename('here', 'x', 'replace', [rootInode, gone]));
      assert.deepEqual(await t.names(), ['here']);
      await t.files.close(gone);
    }),
  );

  it(
    'gives up when cancelled before',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      const options = { signal: AbortSignal.abort() };
      const place = { directory: rootInode, name: bytesOf('file') };
      const node = { type: 'file', mode: 0o600, uid: 0, gid: 0 } as const;
      await fails('cancelled', t.files.make(rootInode, bytesOf('new'), node, options));
      await fails('cancelled', t.files.rename(place, { ...place, name: bytesOf('new') }, 'replace', options));
      await fails('cancelled', t.files.unlink(rootInode, bytesOf('file'), options));
      await fails('cancelled', t.files.setExtended(inode, bytesOf('user.x'), bytesOf('x'), options));
      await fails('cancelled', t.files.change(inode, { mode: 0 }, options));
      assert.deepEqual(await t.names(), ['file']);
    }),
  );
}
