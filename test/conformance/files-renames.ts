// Conformance of the files view: renaming, by every pair of types in every mode, and what must not become a ring.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import type { ErrorKind } from '../../src/core/base/errors.ts';
import { type FileReason, type RenameMode, rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, listAll, type Trial, type Using } from './files-support.ts';

const things = ['nothing', 'file', 'symlink', 'empty', 'full'] as const;
type Thing = (typeof things)[number];
const modes: RenameMode[] = ['replace', 'no-replace', 'exchange'];

export function renames(using: Using): void {
  matrix(using);
  sameFile(using);
  rings(using);
  movedAndReplaced(using);
}

async function put(t: Trial, thing: Thing, name: string, directory: number): Promise<number | undefined> {
  if (thing === 'nothing') return undefined;
  if (thing === 'file') return t.file(name, `file ${name}`, directory);
  if (thing === 'symlink') return (await t.make(name, { type: 'symlink', target: bytesOf(name) }, directory)).inode;
  const made = await t.directory(name, directory);
  if (thing === 'full') await t.file('inside', '', made);
  return made;
}

const isDirectory = (thing: Thing) => thing === 'empty' || thing === 'full';

/** What POSIX and renameat2(2) say. */
function refusal(from: Thing, to: Thing, mode: RenameMode): ErrorKind | FileReason | undefined {
  if (from === 'nothing') return 'not-found';
  if (to === 'nothing') return mode === 'exchange' ? 'not-found' : undefined;
  if (mode === 'no-replace') return 'exists';
  if (mode === 'exchange') return undefined;
  if (isDirectory(from) && !isDirectory(to)) return 'not-directory';
  if (!isDirectory(from) && isDirectory(to)) return 'is-directory';
  return to === 'full' ? 'not-empty' : undefined;
}

function matrix(using: Using): void {
  for (const mode of modes)
    it(
      `renames (${mode}) every type onto every other, within a directory and across`,
      using(async (t) => {
        for (const from of things)
          for (const to of things)
            for (const across of [false, true]) {
              const source = await t.directory(`source ${from} ${to} ${across}`);
              const target = across ? await t.directory(`target ${from} ${to}`) : source;
              await oneOf(t, { from, to, mode, source, target });
            }
      }),
    );
}

async function oneOf(
  t: Trial,
  { from, to, mode, source, target }: { from: Thing; to: Thing; mode: RenameMode; source: number; target: number },
): Promise<void> {
  const what = `${mode} ${from} onto ${to}, ${source === target ? 'within' : 'across'}`;
  const moved = await put(t, from, 'a', source);
  const replaced = await put(t, to, 'b', target);
  const refused = refusal(from, to, mode);
  const renamed = t.rename('a', 'b', mode, [source, target]);
  if (refused) await fails(refused, renamed).catch((cause) => Promise.reject(new Error(what, { cause })));
  else await renamed;
  const inodeOf = async (name: string, directory: number) =>
    (await listAll(t.files, directory)).find((entry) => Buffer.from(entry.name).toString() === name)?.inode;
  const after = refused ? { a: moved, b: replaced } : { a: mode === 'exchange' ? replaced : undefined, b: moved };
  assert.deepEqual({ a: await inodeOf('a', source), b: await inodeOf('b', target) }, after, what);
  const places = [
    { directory: source, things: [refused ? from : mode === 'exchange' ? to : 'nothing'] as Thing[] },
    { directory: target, things: [refused ? to : from] as Thing[] },
  ];
  for (const { directory } of places) {
    const here = places.filter((place) => place.directory === directory).flatMap((place) => place.things);
    assert.deepEqual(await t.linksOf(directory), [2 + here.filter(isDirectory).length], `links after ${what}`);
  }
  if (replaced !== undefined && !refused && mode === 'replace') await t.gone(replaced);
  for (const { directory, things: here } of places)
    for (const entry of here.some(isDirectory) ? await listAll(t.files, directory) : [])
      if (entry.type === 'directory' && !['.', '..'].includes(Buffer.from(entry.name).toString()))
        assert.equal((await listAll(t.files, entry.inode))[1]?.inode, directory, `the parent after ${what}`);
}

function sameFile(using: Using): void {
  it(
    'does nothing between two names of one file',
    using(async (t) => {
      const file = await t.file('one', 'content');
      const below = await t.directory('below');
      await t.files.link(file, rootInode, bytesOf('two'));
      await t.files.link(file, below, bytesOf('three'));
      await t.rename('one', 'two');
      await t.rename('one', 'three', 'replace', [rootInode, below]);
      await t.rename('one', 'two', 'exchange');
      await fails('exists', t.rename('one', 'two', 'no-replace'));
      assert.deepEqual(await t.names(), ['below', 'one', 'two']);
      assert.deepEqual(await t.linksOf(file), [3]);
      await t.rename('one', 'one');
      await t.rename('below', 'below');
      await t.rename('below', 'below', 'exchange');
      await fails('exists', t.rename('one', 'one', 'no-replace'));
      await fails('not-found', t.rename('none', 'none'));
      assert.deepEqual(await t.linksOf(file, rootInode), [3, 3]);
    }),
  );
}

function rings(using: Using): void {
  it(
    'moves no directory into itself',
    using(async (t) => {
      const a = await t.directory('a');
      const b = await t.directory('b', a);
      const c = await t.directory('c', b);
      await t.directory('d', c);
      for (const [name, directory] of [
        ['x', a],
        ['b', a],
        ['x', b],
        ['x', c],
        ['d', c],
      ] as const) {
        const existing = name !== 'x';
        const places: [number, number] = [rootInode, directory];
        await fails('invalid', t.rename('a', name, 'replace', places));
        await fails(existing ? 'exists' : 'invalid', t.rename('a', name, 'no-replace', places));
        await fails(existing ? 'invalid' : 'not-found', t.rename('a', name, 'exchange', places));
      }
      // The other way round: a directory takes the place of what holds it.
      await fails('not-empty', t.rename('b', 'a', 'replace', [a, rootInode]));
      await fails('invalid', t.rename('b', 'a', 'exchange', [a, rootInode]));
      await fails('invalid', t.rename('d', 'a', 'exchange', [c, rootInode]));
      assert.deepEqual(await t.linksOf(rootInode, a, b, c), [3, 3, 3, 3]);
      // What is beside it, or was inside and no longer is, may take it.
      await t.rename('c', 'c', 'replace', [b, rootInode]);
      await t.rename('a', 'a', 'replace', [rootInode, c]);
      await fails('invalid', t.rename('c', 'c', 'replace', [rootInode, b]));
      assert.deepEqual(await t.linksOf(rootInode, a, b, c), [3, 3, 2, 4]);
    }),
  );

  it(
    'exchanges trees and keeps their parents',
    using(async (t) => {
      const left = await t.directory('left');
      const right = await t.directory('right');
      const tree = await t.directory('tree', left);
      const file = await t.file('file', 'content', right);
      await t.file('leaf', 'leaf', tree);
      await t.rename('tree', 'file', 'exchange', [left, right]);
      assert.deepEqual([await t.names(left), await t.names(right)], [['tree'], ['file']]);
      assert.deepEqual([(await t.lookup('tree', left)).inode, (await t.lookup('file', right)).inode], [file, tree]);
      assert.deepEqual(await t.linksOf(left, right, tree), [2, 3, 2]);
      assert.equal((await listAll(t.files, tree))[1]?.inode, right);
      await t.rename('left', 'right', 'exchange');
      assert.equal((await t.lookup('left')).inode, right);
      await fails('invalid', t.rename('left', 'x', 'replace', [rootInode, tree]));
    }),
  );
}

function movedAndReplaced(using: Using): void {
  it(
    'moves a file with all it has, and lowers the links of what it replaces',
    using(async (t) => {
      const file = await t.file('file', 'content');
      const below = await t.directory('below');
      await t.files.setExtended(file, bytesOf('user.a'), bytesOf('b'));
      await t.files.change(file, { mode: 0o4711, uid: 5, gid: 6 });
      const before = await t.files.attributes(file);
      const old = await t.file('old', 'old', below);
      await t.files.link(old, rootInode, bytesOf('old too'));
      await t.rename('file', 'old', 'replace', [rootInode, below]);
      const after = await t.lookup('old', below);
      assert.deepEqual({ ...after, changed: before.changed }, before);
      await t.holds(file, 'content');
      assert.deepEqual(Buffer.from(await t.files.getExtended(file, bytesOf('user.a'))), bytesOf('b'));
      assert.deepEqual(await t.linksOf(file, old), [1, 1]);
      await t.holds(old, 'old');
    }),
  );

  it(
    'leaves nothing of a name that moved many times',
    using(async (t) => {
      const [a, b] = [await t.directory('a'), await t.directory('b')];
      const file = await t.file('0', 'content', a);
      for (let i = 0; i < 40; i++) await t.rename(`${i}`, `${i + 1}`, 'no-replace', i % 2 === 0 ? [a, b] : [b, a]);
      assert.deepEqual([await t.names(a), await t.names(b)], [['40'], []]);
      assert.equal((await t.lookup('40', a)).inode, file);
      await t.holds(file, 'content');
    }),
  );
}
