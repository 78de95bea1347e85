// Conformance of the files view: attributes that are set, and times that move by themselves.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type AttributeChange, rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, nanosecondsOf, type Trial, type Using } from './files-support.ts';

const both = ['modified', 'changed'];

export function times(using: Using): void {
  setting(using);
  ofFiles(using);
  ofDirectories(using);
}

function setting(using: Using): void {
  it(
    'changes what is named, and nothing else',
    using(async (t) => {
      const targets = [
        await t.file('file', 'content'),
        await t.directory('directory'),
        (await t.make('link', { type: 'symlink', target: bytesOf('x') })).inode,
        (await t.make('fifo', { type: 'fifo' })).inode,
      ];
      const changes: AttributeChange[] = [
        { mode: 0o7777 },
        { mode: 0 },
        { uid: 4_294_967_294 },
        { gid: 65_536 },
        { mode: 0o640, uid: 1, gid: 2 },
        { accessed: { seconds: 1, nanoseconds: 999_999_999 } },
        { modified: { seconds: -1_000_000_000, nanoseconds: 1 } },
        { modified: { seconds: 0, nanoseconds: 0 }, accessed: { seconds: 9_000_000_000, nanoseconds: 0 } },
      ];
      for (const inode of targets)
        for (const change of changes) {
          const before = await t.files.attributes(inode);
          await t.pass(10);
          const after = await t.files.change(inode, change);
          assert.deepEqual(after, { ...before, ...change, changed: after.changed });
          assert.ok(nanosecondsOf(after.changed) > nanosecondsOf(before.changed));
          assert.deepEqual(await t.files.attributes(inode), after);
        }
      await t.holds(targets[0] as number, 'content');
    }),
  );

  it(
    'sets times to now',
    using(async (t) => {
      const inode = await t.file('file');
      const old = { seconds: 1000, nanoseconds: 5 };
      await t.files.change(inode, { accessed: old, modified: old });
      await t.pass(10);
      const one = await t.files.change(inode, { accessed: 'now' });
      assert.deepEqual([one.accessed, one.modified], [one.changed, old]);
      await t.pass(10);
      const two = await t.files.change(inode, { modified: 'now' });
      assert.deepEqual([two.accessed, two.modified], [one.accessed, two.changed]);
      assert.ok(nanosecondsOf(two.modified) > nanosecondsOf(one.accessed));
    }),
  );

  it(
    'keeps times that were set over writes before them',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      const old = { seconds: 1000, nanoseconds: 5 };
      assert.deepEqual((await t.files.change(inode, { modified: old })).modified, old);
      await t.pass(5000);
      await t.files.flush(inode);
      assert.deepEqual((await t.files.attributes(inode)).modified, old);
      await t.files.syncAll();
      assert.deepEqual((await t.files.attributes(inode)).modified, old);
      await t.files.close(inode);
    }),
  );
}

function ofFiles(using: Using): void {
  it(
    'moves the times of a file by what is done to it',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      const attribute = bytesOf('user.a');
      const cases: [string, () => Promise<unknown>, string[]][] = [
        ['write', () => t.files.write(inode, 3, bytesOf('x')), both],
        ['empty write', () => t.files.write(inode, 3, bytesOf('')), []],
        ['read', () => t.files.read(inode, 0, 5), []],
        ['flush', () => t.files.flush(inode), []],
        ['grow', () => t.files.change(inode, { size: 1000 }), both],
        ['cut', () => t.files.change(inode, { size: 10 }), both],
        ['mode', () => t.files.change(inode, { mode: 0o600 }), ['changed']],
        ['owner', () => t.files.change(inode, { uid: 7 }), ['changed']],
        ['set attribute', () => t.files.setExtended(inode, attribute, bytesOf('b')), ['changed']],
        ['get attribute', () => t.files.getExtended(inode, attribute), []],
        ['remove attribute', () => t.files.removeExtended(inode, attribute), ['changed']],
        ['link', () => t.files.link(inode, rootInode, bytesOf('two')), ['changed']],
        ['unlink', () => t.unlink('two'), ['changed']],
        ['rename', () => t.rename('file', 'moved'), ['changed']],
        ['punch', () => t.files.allocate(inode, 0, 5, 'punch'), both],
        ['extend', () => t.files.allocate(inode, 0, 50, 'allocate'), both],
        ['lookup', () => t.lookup('moved'), []],
        ['failed link', () => fails('exists', t.files.link(inode, rootInode, bytesOf('moved'))), []],
      ];
      for (const [name, task, expected] of cases) assert.deepEqual(await t.moved(inode, task), expected, name);
    }),
  );

  it(
    'lowers the links of a replaced file, which is a change of it',
    using(async (t) => {
      const inode = await t.file('file');
      await t.files.link(inode, rootInode, bytesOf('two'));
      await t.file('other');
      assert.deepEqual(await t.moved(inode, () => t.rename('other', 'two')), ['changed']);
    }),
  );
}

function ofDirectories(using: Using): void {
  it(
    'moves the times of directories by what happens in them',
    using(async (t) => {
      const a = await t.directory('a');
      const b = await t.directory('b');
      const file = await t.file('file', '', a);
      const steps: [string, () => Promise<unknown>, { a: string[]; b: string[] }][] = [
        ['make', () => t.make('new', {}, a), { a: both, b: [] }],
        ['make directory', () => t.directory('below', a), { a: both, b: [] }],
        ['link', () => t.files.link(file, b, bytesOf('link')), { a: [], b: both }],
        ['unlink', () => t.unlink('link', b), { a: [], b: both }],
        ['rename within', () => t.rename('new', 'newer', 'replace', [a, a]), { a: both, b: [] }],
        ['rename across', () => t.rename('newer', 'newer', 'replace', [a, b]), { a: both, b: both }],
        ['exchange', () => t.rename('file', 'newer', 'exchange', [a, b]), { a: both, b: both }],
        ['move directory', () => t.rename('below', 'below', 'replace', [a, b]), { a: both, b: both }],
        ['remove directory', () => t.files.removeDirectory(b, bytesOf('below')), { a: [], b: both }],
        ['list', () => t.files.list(a, 0n), { a: [], b: [] }],
        ['write below', () => t.files.write(file, 0, bytesOf('x')), { a: [], b: [] }],
        ['failed make', () => fails('exists', t.make('file', {}, a)), { a: [], b: [] }],
        ['failed unlink', () => fails('not-found', t.unlink('none', a)), { a: [], b: [] }],
      ];
      for (const [name, task, expected] of steps) assert.deepEqual(await movedOf(t, { a, b }, task), expected, name);
    }),
  );

  it(
    'does not change the rename of one file onto its other name',
    using(async (t) => {
      const directory = await t.directory('directory');
      const file = await t.file('one', '', directory);
      await t.files.link(file, directory, bytesOf('two'));
      const rename = () => t.rename('one', 'two', 'replace', [directory, directory]);
      assert.deepEqual(await t.moved(directory, rename), []);
    }),
  );
}

async function movedOf(t: Trial, inodes: { a: number; b: number }, task: () => Promise<unknown>) {
  let b: string[] = [];
  const a = await t.moved(inodes.a, async () => {
    b = await t.moved(inodes.b, task);
  });
  return { a, b };
}
