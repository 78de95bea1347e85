// Conformance of the files view: extended attributes, files that are open without a name, and several at work on the same files.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import { type NewNode, rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, pattern, type Trial, type Using } from './files-support.ts';

const unnamed: NewNode = { type: 'file', mode: 0o600, uid: 3, gid: 4 };

export function extendedAttributes(using: Using): void {
  const namesOf = async (t: Trial, inode: number) =>
    (await t.files.listExtended(inode)).map((name) => Buffer.from(name).toString('latin1')).sort();

  it(
    'keeps extended attributes of everything',
    using(async (t) => {
      const link = await t.make('link', { type: 'symlink', target: bytesOf('x') });
      for (const inode of [rootInode, await t.file('file', 'content'), link.inode]) {
        assert.deepEqual(await namesOf(t, inode), []);
        const sizes = [0, 1, 255, 256, 257, 4096, limits.extendedValueBytesMax];
        for (const size of sizes) await t.files.setExtended(inode, bytesOf(`user.${size}`), pattern(size, size + 1));
        const check = async () => {
          for (const size of sizes)
            assert.ok(pattern(size, size + 1).equals(await t.files.getExtended(inode, bytesOf(`user.${size}`))));
          assert.deepEqual(await namesOf(t, inode), sizes.map((size) => `user.${size}`).sort());
        };
        await check();
        await t.files.sync(inode);
        await check();
        assert.equal((await t.files.attributes(inode)).hasExtended, true);
        await t.files.setExtended(inode, bytesOf('user.1'), bytesOf('another'));
        assert.deepEqual(Buffer.from(await t.files.getExtended(inode, bytesOf('user.1'))), bytesOf('another'));
        for (const size of sizes) await t.files.removeExtended(inode, bytesOf(`user.${size}`));
        assert.deepEqual(await namesOf(t, inode), []);
        assert.equal((await t.files.attributes(inode)).hasExtended, false);
      }
    }),
  );

  it(
    'makes and replaces extended attributes as told',
    using(async (t) => {
      const inode = await t.file('file');
      const set = (value: string, only?: 'create' | 'replace') =>
        t.files.setExtended(inode, bytesOf('user.a'), bytesOf(value), only ? { only } : {});
      const holds = async (value: string) =>
        assert.deepEqual(Buffer.from(await t.files.getExtended(inode, bytesOf('user.a'))), bytesOf(value));
      await fails('no-attribute', t.files.getExtended(inode, bytesOf('user.a')));
      await fails('no-attribute', t.files.removeExtended(inode, bytesOf('user.a')));
      await fails('no-attribute', set('none', 'replace'));
      await set('one', 'create');
      await fails('exists', set('two', 'create'));
      await holds('one');
      await set('three', 'replace');
      await holds('three');
      await t.files.removeExtended(inode, bytesOf('user.a'));
      await fails('no-attribute', set('none', 'replace'));
      await fails('no-attribute', t.files.getExtended(inode, bytesOf('user.a')));
    }),
  );

  it(
    'bounds extended attributes',
    using(async (t) => {
      const inode = await t.file('file');
      const [longest, value] = [Buffer.alloc(255, 0xff), bytesOf('value')];
      await t.files.setExtended(inode, longest, value);
      assert.deepEqual(Buffer.from(await t.files.getExtended(inode, longest)), value);
      const large = Buffer.alloc(limits.extendedValueBytesMax + 1);
      await fails('attribute-too-large', t.files.setExtended(inode, bytesOf('user.a'), large));
      await fails('usage', t.files.setExtended(inode, Buffer.alloc(256, 1), value));
      await fails('usage', t.files.setExtended(inode, bytesOf(''), value));
      for (let i = 1; i < limits.extendedPerInodeMax; i++)
        await t.files.setExtended(inode, bytesOf(`user.${i}`), value);
      await fails('full', t.files.setExtended(inode, bytesOf('user.more'), value));
      await t.files.setExtended(inode, bytesOf('user.7'), bytesOf('replaced'));
      assert.equal((await namesOf(t, inode)).length, limits.extendedPerInodeMax);
    }),
  );

  it(
    'forgets extended attributes with their file',
    using(async (t) => {
      await t.files.setExtended(await t.file('file'), bytesOf('user.a'), bytesOf('b'));
      await t.unlink('file');
      assert.deepEqual(await namesOf(t, await t.file('file')), []);
    }),
  );
}

export function heldFiles(using: Using): void {
  it(
    'keeps a file that is open when its last name goes',
    using(async (t) => {
      const inode = await t.file('file', pattern(100_000));
      t.files.open(inode);
      t.files.open(inode);
      await t.unlink('file');
      assert.deepEqual(await t.linksOf(inode), [0]);
      await t.holds(inode, pattern(100_000));
      await t.files.write(inode, 100_000, bytesOf('more'));
      await t.files.setExtended(inode, bytesOf('user.a'), bytesOf('b'));
      await t.files.sync(inode);
      await t.holds(inode, Buffer.concat([pattern(100_000), bytesOf('more')]));
      const again = await t.file('file', 'another');
      await t.files.close(inode);
      await t.pass(5000);
      assert.equal((await t.files.change(inode, { size: 5 })).size, 5);
      await t.holds(inode, pattern(5));
      await t.files.close(inode);
      await t.gone(inode);
      await t.holds(again, 'another');
    }),
  );

  it(
    'keeps an open file that is replaced, and one whose other names go first',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      t.files.open(inode);
      await t.files.link(inode, rootInode, bytesOf('two'));
      await t.unlink('file');
      await t.file('new', 'new');
      await t.rename('new', 'two');
      assert.deepEqual(await t.linksOf(inode), [0]);
      await t.holds(inode, 'content');
      await t.files.close(inode);
      await t.gone(inode);
    }),
  );

  it(
    'frees nothing of a file that has names when it is closed',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      t.files.open(inode);
      await t.files.close(inode);
      await t.files.close(inode);
      await t.holds(inode, 'content');
      await t.unlink('file');
      await t.gone(inode);
    }),
  );

  it(
    'makes files without a name, which vanish or get one',
    using(async (t) => {
      const directory = await t.directory('directory');
      const made = await t.files.makeUnnamed(directory, unnamed);
      assert.deepEqual([made.links, made.type, made.mode, made.uid, made.gid], [0, 'file', 0o600, 3, 4]);
      await t.files.write(made.inode, 0, pattern(70_000));
      await t.holds(made.inode, pattern(70_000));
      assert.deepEqual(await t.names(directory), []);
      await t.files.close(made.inode);
      await t.gone(made.inode);

      const kept = await t.files.makeUnnamed(directory, unnamed);
      await t.files.write(kept.inode, 0, bytesOf('content'));
      assert.equal((await t.files.link(kept.inode, rootInode, bytesOf('name'))).links, 1);
      await t.files.close(kept.inode);
      await t.pass(5000);
      assert.equal((await t.lookup('name')).inode, kept.inode);
      await t.holds(kept.inode, 'content');
      await t.unlink('name');
      await t.gone(kept.inode);
    }),
  );
}

export function severalClients(using: Using): void {
  it(
    'shows names and attributes to others at once, data after a flush',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      assert.equal((await t.other.lookup(rootInode, bytesOf('file'))).inode, inode);
      await t.files.flush(inode);
      await t.holds(inode, 'content', t.other);
      await t.other.change(inode, { mode: 0o640 });
      assert.equal((await t.files.attributes(inode)).mode, 0o640);
      await t.other.write(inode, 3, pattern(200_000));
      await t.other.flush(inode);
      await t.holds(inode, Buffer.concat([bytesOf('con'), pattern(200_000)]));
      await t.other.change(inode, { size: 2 });
      await t.holds(inode, 'co');
      await t.other.rename(
        { directory: rootInode, name: bytesOf('file') },
        { directory: rootInode, name: bytesOf('moved') },
        'replace',
      );
      await fails('not-found', t.lookup('file'));
      await t.files.setExtended(inode, bytesOf('user.a'), bytesOf('b'));
      assert.deepEqual(Buffer.from(await t.other.getExtended(inode, bytesOf('user.a'))), bytesOf('b'));
      await t.other.removeExtended(inode, bytesOf('user.a'));
      await fails('no-attribute', t.files.getExtended(inode, bytesOf('user.a')));
    }),
  );

  it(
    'keeps a file one has open while the other takes its name',
    using(async (t) => {
      const both: [Trial['files'], Trial['files']][] = [
        [t.files, t.other],
        [t.other, t.files],
      ];
      for (const [holder, remover] of both) {
        const inode = await t.file('file', pattern(100_000));
        await t.files.flush(inode);
        holder.open(inode);
        await t.pass(2000);
        await remover.unlink(rootInode, bytesOf('file'));
        await fails('not-found', holder.lookup(rootInode, bytesOf('file')));
        await t.pass(5000);
        await t.holds(inode, pattern(100_000), holder);
        await holder.close(inode);
      }
    }),
  );

  it(
    'lays writes of both over each other in their order',
    using(async (t) => {
      const inode = await t.file('file');
      const expected = Buffer.alloc(300_000);
      for (let i = 0; i < 30; i++) {
        const files = i % 2 === 0 ? t.files : t.other;
        const [offset, data] = [(i * 31_337) % 250_000, pattern(1 + ((i * 9_973) % 50_000), i)];
        await files.write(inode, offset, data);
        await files.flush(inode);
        data.copy(expected, offset);
      }
      const { size } = await t.files.attributes(inode);
      await t.holds(inode, expected.subarray(0, size));
      await t.holds(inode, expected.subarray(0, size), t.other);
    }),
  );
}

export function manyAtOnce(using: Using): void {
  const settled = async (tasks: Promise<unknown>[]) =>
    (await Promise.allSettled(tasks)).filter(({ status }) => status === 'fulfilled').length;

  it(
    'lets one of many win a name',
    using(async (t) => {
      for (let round = 0; round < 5; round++) {
        const name = bytesOf(`name ${round}`);
        const of = (i: number) => (i % 2 === 0 ? t.files : t.other);
        const makes = Array.from({ length: 20 }, (_, i) => of(i).make(rootInode, name, unnamed));
        assert.equal(await settled(makes), 1);
        const links = await t.directory(`links ${round}`);
        const inode = (await t.lookup(name)).inode;
        await Promise.all(Array.from({ length: 20 }, (_, i) => of(i).link(inode, links, bytesOf(`${i}`))));
        assert.deepEqual(await t.linksOf(inode), [21]);
        const removals = Array.from({ length: 20 }, (_, i) => of(i).unlink(rootInode, name));
        assert.equal(await settled(removals), 1);
        assert.deepEqual(await t.linksOf(inode), [20]);
      }
    }),
  );

  it(
    'never makes a ring of two renames at once',
    using(async (t) => {
      for (let round = 0; round < 10; round++) {
        const [a, b] = [await t.directory(`a${round}`), await t.directory(`b${round}`)];
        const place = (directory: number, name: string) => ({ directory, name: bytesOf(name) });
        const tasks = [
          t.files.rename(place(rootInode, `a${round}`), place(b, 'a'), 'replace'),
          t.other.rename(place(rootInode, `b${round}`), place(a, 'b'), 'replace'),
        ];
        assert.equal(await settled(tasks), 1);
      }
      assert.equal((await t.names()).length, 10);
    }),
  );

  it(
    'takes many writes of one file at once',
    using(async (t) => {
      const inode = await t.file('file');
      const size = 50 * 20_000;
      const data = pattern(size);
      const at = Array.from({ length: 50 }, (_, i) => i * 20_000);
      await Promise.all([
        ...at.map((from) => t.files.write(inode, from, data.subarray(from, from + 20_000))),
        ...at.map(async (_, i) => {
          if (i % 10 === 0) await t.files.flush(inode);
        }),
      ]);
      await t.holds(inode, data);
      await t.files.sync(inode);
      await t.holds(inode, data);
    }),
  );
}
