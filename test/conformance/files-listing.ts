// Conformance of the files view: listings, whole and while the directory changes.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { type ListedEntry, rootInode } from '../../src/core/volume/files/files.ts';
import { bytesOf, listAll, type Trial, type Using } from './files-support.ts';

const many = 5000;

export function lists(using: Using): void {
  it(
    'lists itself and its parent first, then every entry once',
    using(async (t) => {
      const directory = await t.directory('directory');
      await listing(t, directory, rootInode, []);
      const file = await t.file('file', 'content', directory);
      const below = await t.directory('below', directory);
      const link = (await t.make('link', { type: 'symlink', target: bytesOf('x') }, directory)).inode;
      await t.files.link(file, directory, bytesOf('file too'));
      await listing(t, directory, rootInode, [
        ['below', below, 'directory'],
        ['file', file, 'file'],
        ['file too', file, 'file'],
        ['link', link, 'symlink'],
      ]);
      await listing(t, below, directory, []);
      assert.equal((await listAll(t.files, rootInode))[1]?.inode, rootInode);
    }),
  );

  it(
    'goes on behind any entry, by any number, with attributes when asked',
    using(async (t) => {
      const made = new Map<string, number>();
      for (let i = 0; i < 40; i++) made.set(`name ${i}`, await t.file(`name ${i}`, 'x'.repeat(i)));
      const all = await listAll(t.files, rootInode);
      assert.equal(all.length, 42);
      for (const limit of [1, 2, 3, 7, 41, 42, 43, 1000]) {
        assert.deepEqual(await listAll(t.files, rootInode, { limit }), all, `by ${limit}`);
        const { entries } = await t.files.list(rootInode, 0n, { limit });
        assert.ok(entries.length <= limit);
      }
      for (const [i, { cookie }] of all.entries()) {
        const { entries, end } = await t.files.list(rootInode, cookie);
        assert.deepEqual(entries, all.slice(i + 1));
        assert.equal(end, true);
      }
      for (const entry of (await listAll(t.files, rootInode, { attributes: true })).slice(2)) {
        assert.equal(entry.inode, made.get(Buffer.from(entry.name).toString()));
        assert.deepEqual(entry.attributes, await t.files.attributes(entry.inode));
      }
      assert.ok(all.every(({ attributes }) => attributes === undefined));
    }),
  );

  it(
    'keeps places when entries before, at and behind them go and come',
    using(async (t) => {
      for (let i = 0; i < 60; i++) await t.file(`name ${i}`);
      const all = (await listAll(t.files, rootInode)).slice(2);
      const [at, behind] = [all[29] as ListedEntry, all.slice(30)];
      for (const entry of all.slice(20, 30)) await t.unlink(entry.name);
      await t.unlink((all[40] as ListedEntry).name);
      const left = behind.filter((_, i) => i !== 10);
      const first = await t.files.list(rootInode, at.cookie);
      assert.deepEqual(first.entries, left);
      // A renamed or exchanged file behind a name keeps the name's place.
      await t.rename(nameOf(left[0]), nameOf(left[1]), 'exchange');
      const after = await t.files.list(rootInode, at.cookie);
      assert.deepEqual(
        after.entries.map(({ name, cookie }) => ({ name, cookie })),
        left.map(({ name, cookie }) => ({ name, cookie })),
      );
      assert.deepEqual([after.entries[0]?.inode, after.entries[1]?.inode], [left[1]?.inode, left[0]?.inode]);
    }),
  );

  it(
    `lists each of ${many} entries that stay exactly once while others come and go`,
    using(async (t) => {
      const directory = await t.directory('large');
      for (let i = 0; i < many; i += 100)
        await Promise.all(Array.from({ length: 100 }, (_, j) => t.make(`name ${i + j}`, {}, directory)));
      const removed = new Set<string>();
      let round = 0;
      const entries = await listAll(t.files, directory, {
        limit: 100,
        between: async () => {
          const at = round++;
          // Names given out already and names still to come: some go, some move, some come.
          for (const i of [at * 97, many - 1 - at * 31].map((n) => n % many)) {
            if (removed.has(`name ${i}`)) continue;
            removed.add(`name ${i}`);
            if (at % 2 === 0) await t.other.unlink(directory, bytesOf(`name ${i}`));
            else await t.rename(`name ${i}`, `moved ${i}`, 'replace', [directory, directory]);
          }
          await t.make(`new ${at}`, {}, directory);
        },
      });
      assert.ok(round >= many / 100 - 5, `${round} rounds by at most a hundred`);
      const counts = new Map<string, number>();
      for (const entry of entries) counts.set(nameOf(entry), (counts.get(nameOf(entry)) ?? 0) + 1);
      for (const [name, count] of counts) assert.equal(count, 1, name);
      for (let i = 0; i < many; i++) if (!removed.has(`name ${i}`)) assert.ok(counts.has(`name ${i}`), `name ${i}`);
      const left = (await t.names(directory)).filter((name) => name.startsWith('name '));
      assert.equal(left.length, many - removed.size);
    }),
  );
}

async function listing(t: Trial, directory: number, parent: number, expected: unknown[]): Promise<void> {
  const [self, above, ...rest] = await listAll(t.files, directory);
  assert.deepEqual(
    [self, above].map((entry) => entry && [nameOf(entry), entry.inode, entry.type, entry.cookie]),
    [
      ['.', directory, 'directory', 1n],
      ['..', parent, 'directory', 2n],
    ],
  );
  assert.deepEqual(
    rest.map((entry) => [nameOf(entry), entry.inode, entry.type]).sort((a, b) => (`${a[0]}` < `${b[0]}` ? -1 : 1)),
    expected,
  );
}

const nameOf = (entry: ListedEntry | undefined): string => Buffer.from(entry?.name ?? []).toString();
