import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { type ErrorKind, InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { type FileReason, reasonOf } from '../../../../src/core/volume/files/files.ts';
import type { NameHash } from '../../../../src/core/volume/files/names.ts';
import { bytes, ViewTree } from './view-tree.ts';

const same: NameHash = { of: () => Buffer.from([0, 0, 0, 0, 0, 0, 1, 0]) };

/** One directory `d` in the root, and in both a file, an empty directory and a full one. */
async function furnished(names?: NameHash) {
  const tree = await ViewTree.begun(names ? { names } : {});
  const d = (await tree.make('d', { type: 'directory' })).inode;
  const at: Record<string, number> = { d };
  for (const [prefix, directory] of [
    ['', 1],
    ['d/', d],
  ] as const) {
    at[`${prefix}file`] = (await tree.make('file', {}, directory)).inode;
    at[`${prefix}other`] = (await tree.make('other', { type: 'symlink', target: bytes('x') }, directory)).inode;
    at[`${prefix}empty`] = (await tree.make('empty', { type: 'directory' }, directory)).inode;
    at[`${prefix}full`] = (await tree.make('full', { type: 'directory' }, directory)).inode;
    await tree.make('inner', {}, at[`${prefix}full`]);
  }
  const place = (path: string): [number, string] => (path.startsWith('d/') ? [d, path.slice(2)] : [1, path]);
  const inodeAt = async (path: string): Promise<number | undefined> => {
    const [directory, name] = place(path);
    return tree.lookup(name, directory).then(
      ({ inode }) => inode,
      (error) => {
        assert.ok(isError(error, 'not-found'));
        return undefined;
      },
    );
  };
  return { tree, at, place, inodeAt };
}

type Outcome = 'moved' | 'nothing' | [ErrorKind, FileReason?];

describe('rename of the files view', () => {
  const isDirectory: [ErrorKind, FileReason] = ['usage', 'is-directory'];
  const notDirectory: [ErrorKind, FileReason] = ['usage', 'not-directory'];
  const notEmpty: [ErrorKind, FileReason] = ['exists', 'not-empty'];
  const invalid: [ErrorKind, FileReason] = ['usage', 'invalid'];
  const matrix: [from: string, to: string, replace: Outcome, noReplace: Outcome, exchange: Outcome][] = [
    ['file', 'new', 'moved', 'moved', ['not-found']],
    ['file', 'd/new', 'moved', 'moved', ['not-found']],
    ['empty', 'd/new', 'moved', 'moved', ['not-found']],
    ['none', 'new', ['not-found'], ['not-found'], ['not-found']],
    ['none', 'file', ['not-found'], ['not-found'], ['not-found']],
    ['file', 'other', 'moved', ['exists'], 'moved'],
    ['file', 'd/file', 'moved', ['exists'], 'moved'],
    ['file', 'empty', isDirectory, ['exists'], 'moved'],
    ['file', 'd/full', isDirectory, ['exists'], 'moved'],
    ['empty', 'file', notDirectory, ['exists'], 'moved'],
    ['full', 'd/other', notDirectory, ['exists'], 'moved'],
    ['empty', 'full', notEmpty, ['exists'], 'moved'],
    ['full', 'empty', 'moved', ['exists'], 'moved'],
    ['full', 'd/empty', 'moved', ['exists'], 'moved'],
    ['d/full', 'empty', 'moved', ['exists'], 'moved'],
    ['full', 'd/full', notEmpty, ['exists'], 'moved'],
    ['file', 'file', 'nothing', ['exists'], 'nothing'],
    ['full', 'full', 'nothing', ['exists'], 'nothing'],
    ['d', 'd/new', invalid, invalid, ['not-found']],
    ['d', 'd/empty', invalid, ['exists'], invalid],
    ['d/empty', 'd', notEmpty, ['exists'], invalid],
    ['d/file', 'd', isDirectory, ['exists'], invalid],
  ];

  for (const names of [undefined, same])
    for (const [from, to, ...outcomes] of matrix)
      for (const [i, mode] of (['replace', 'no-replace', 'exchange'] as const).entries())
        test(`${from} to ${to}, ${mode}${names ? ', names of one hash' : ''}`, async () => {
          const { tree, at, place, inodeAt } = await furnished(names);
          const outcome = outcomes[i] as Outcome;
          const before = await inodeAt(to);
          const source = await inodeAt(from);
          const records = await tree.records('entry');
          try {
            const { moved, replaced } = await tree.rename(place(from), place(to), { mode });
            assert.equal(moved.inode, source);
            assert.equal(replaced?.inode, outcome === 'moved' && mode === 'replace' ? before : undefined);
            assert.ok(!replaced || replaced.links === 0);
          } catch (error) {
            assert.ok(Array.isArray(outcome) && error instanceof InfinitError, `${error}`);
            assert.deepEqual([error.kind, reasonOf(error)], [outcome[0], outcome[1]]);
          }
          if (outcome === 'moved') {
            assert.equal(await inodeAt(to), source);
            assert.equal(await inodeAt(from), mode === 'exchange' ? before : undefined);
            if (mode === 'replace' && before !== undefined)
              await tree.refused(tree.attributes(before), 'not-found', 'stale');
          } else assert.deepEqual(await tree.records('entry'), records);
          assert.ok(at.d);
          await tree.check();
        });

  test('times: of both directories, and of what moved', async () => {
    const { tree, at, place } = await furnished();
    const { moved } = await tree.rename(place('file'), place('d/new'));
    const now = moved.changed;
    assert.equal(moved.inode, at.file);
    assert.notDeepEqual(moved.modified, now);
    for (const directory of [1, at.d as number]) {
      const { modified, changed } = await tree.attributes(directory);
      assert.deepEqual([modified, changed], [now, now]);
    }
  });

  test('two names of one file stay as they are', async () => {
    const { tree, at, place } = await furnished();
    await tree.link(at.file as number, 'twin');
    for (const mode of ['replace', 'exchange'] as const) {
      const { replaced } = await tree.rename(place('file'), place('twin'), { mode });
      assert.equal(replaced, undefined);
    }
    assert.equal((await tree.lookup('twin')).inode, at.file);
    assert.equal((await tree.lookup('file')).links, 2);
    await tree.refused(tree.rename(place('file'), place('twin'), { mode: 'no-replace' }), 'exists');
    await tree.check();
  });

  test('a moved directory knows its new parent', async () => {
    const { tree, at, place } = await furnished();
    await tree.rename(place('full'), place('d/moved'));
    assert.equal((await tree.lookup('..', at.full)).inode, at.d);
    await tree.rename(place('d/moved'), place('empty'), { mode: 'exchange' });
    assert.equal((await tree.lookup('..', at.full)).inode, 1);
    assert.equal((await tree.lookup('..', at.empty)).inode, at.d);
    await tree.check();
  });

  test('no directory moves below itself, however deep', async () => {
    const tree = await ViewTree.begun();
    const top = (await tree.make('top', { type: 'directory' })).inode;
    let deepest = top;
    for (let i = 0; i < 30; i++) deepest = (await tree.make('d', { type: 'directory' }, deepest)).inode;
    await tree.refused(tree.rename([1, 'top'], [deepest, 'x']), 'usage', 'invalid');
    await tree.refused(tree.rename([1, 'top'], [top, 'x']), 'usage', 'invalid');
    await tree.make('f', {}, deepest);
    await tree.refused(tree.rename([deepest, 'f'], [1, 'top'], { mode: 'exchange' }), 'usage', 'invalid');
    await tree.make('g');
    await tree.rename([1, 'g'], [deepest, 'g']);
    await tree.check();
  });

  test('what is replaced while it is open keeps its data', async () => {
    const { tree, at, place } = await furnished();
    const held = at['d/file'] as number;
    await tree.writeBytes(held, 0, bytes('kept'));
    const { replaced } = await tree.rename(place('file'), place('d/file'), { held });
    assert.deepEqual([replaced?.inode, replaced?.links], [held, 0]);
    assert.deepEqual(await tree.read(held, 0, 10), bytes('kept'));
    await tree.check();
    await tree.refused(tree.reap(held), 'conflict', 'busy');
  });

  test('names are checked', async () => {
    const { tree } = await furnished();
    for (const name of ['.', '..', 'a/b', '']) {
      await tree.refused(tree.rename([1, 'file'], [1, name]), 'usage', 'invalid');
      await tree.refused(tree.rename([1, name], [1, 'file']), 'usage', 'invalid');
    }
    await tree.refused(tree.rename([99, 'file'], [1, 'x']), 'not-found', 'stale');
  });

  test('many renames and links leave counts right and no cycles', async () => {
    const move = fc.record({
      what: fc.constantFrom('replace', 'no-replace', 'exchange', 'link', 'unlink', 'rmdir', 'mkdir', 'make'),
      from: fc.tuple(fc.nat(5), fc.nat(4)),
      to: fc.tuple(fc.nat(5), fc.nat(4)),
    });
    await fc.assert(
      fc.asyncProperty(fc.array(move, { minLength: 5, maxLength: 40 }), fc.boolean(), async (moves, collide) => {
        const tree = await ViewTree.begun(collide ? { names: same } : {});
        const directories = [1];
        for (const { what, from, to } of moves) {
          const at = ([i, name]: number[]): [number, string] => [directories[i as number] ?? 1, `n${name}`];
          const [directory, name] = at(from);
          try {
            if (what === 'mkdir') directories.push((await tree.make(name, { type: 'directory' }, directory)).inode);
            else if (what === 'make') await tree.make(name, {}, directory);
            else if (what === 'link') {
              const [into, as] = at(to);
              await tree.link((await tree.lookup(name, directory)).inode, as, into);
            } else if (what === 'unlink') await tree.unlink(name, { directory });
            else if (what === 'rmdir') await tree.removeDirectory(name, directory);
            else await tree.rename(at(from), at(to), { mode: what as 'replace' });
          } catch (error) {
            assert.ok(error instanceof InfinitError && error.kind !== 'internal', `${error}`);
          }
          await tree.check();
        }
        await assertConnected(tree);
      }),
      { numRuns: 150 },
    );
  });
});

/** Every directory leads up to the root. */
async function assertConnected(tree: ViewTree): Promise<void> {
  const inodes = await tree.inodes();
  for (const inode of inodes.values()) {
    if (inode.type !== 'directory') continue;
    let at = inode;
    for (let depth = 0; at.inode !== 1; depth++) {
      assert.ok(depth < 100, 'a cycle');
      const parent = inodes.get(at.parent);
      assert.ok(parent, 'a parent that exists');
      at = parent;
    }
  }
}
