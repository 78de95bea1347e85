import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import type { NameHash } from '../../../../src/core/volume/files/names.ts';
import { checkName, NameHashes } from '../../../../src/core/volume/files/names.ts';
import { bytes, ViewTree } from './view-tree.ts';

/** Few hashes for all names: most collide. */
const colliding = (hashes: number): NameHash => ({
  of: (name) => {
    const out = Buffer.alloc(8);
    out.writeUInt32BE(16 + (name.reduce((sum, byte) => (sum * 31 + byte) % 65_521, 7) % hashes), 4);
    return out;
  },
});

describe('listing of the files view', () => {
  test('. and .. come first, then the entries in the order of their cookies', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('sub', { type: 'directory' });
    for (let i = 0; i < 20; i++) await tree.make(`f${i}`, {}, inode);
    const { entries, end } = await tree.list(inode, 0n, 1000, true);
    assert.ok(end);
    assert.equal(entries.length, 22);
    assert.deepEqual(
      entries.slice(0, 2).map(({ name, inode, cookie, type }) => [Buffer.from(name).toString(), inode, cookie, type]),
      [
        ['.', inode, 1n, 'directory'],
        ['..', 1, 2n, 'directory'],
      ],
    );
    for (const [i, entry] of entries.entries()) {
      assert.ok(i === 0 || entry.cookie > (entries[i - 1]?.cookie ?? 0n));
      assert.deepEqual(entry.attributes, await tree.attributes(entry.inode));
    }
    const [dots] = (await tree.list(1, 0n, 2)).entries;
    assert.equal(dots?.attributes, undefined);
    await tree.refused(tree.list(entries[3]?.inode), 'usage', 'not-directory');
    assert.deepEqual(await tree.list(inode, 2n ** 63n), { entries: [], end: true });
    assert.deepEqual(await tree.list(inode, 2n ** 64n - 1n), { entries: [], end: true });
    assert.deepEqual(await tree.list(inode, 2n ** 63n - 1n), { entries: [], end: true });
  });

  test('cookies of the format: the name under the key of the tree', () => {
    const names = new NameHashes(Buffer.alloc(32, 3));
    const hash = names.of(bytes('a'));
    assert.equal(hash.toString('hex'), names.of(bytes('a')).toString('hex'));
    assert.notEqual(hash.toString('hex'), new NameHashes(Buffer.alloc(32, 4)).of(bytes('a')).toString('hex'));
    for (let i = 0; i < 1000; i++) assert.ok((names.of(bytes(`n${i}`))[0] as number) < 128);
  });

  /** Between the pages of a listing others make and remove: what stays is seen exactly once. */
  const change = fc.record({ name: fc.nat(40), make: fc.boolean() });
  const page = fc.record({ limit: fc.integer({ min: 1, max: 12 }), changes: fc.array(change, { maxLength: 8 }) });

  for (const hashes of [1, 3, 20, 1_000_000])
    test(`every stable entry exactly once while others come and go: ${hashes} hashes`, async () => {
      await fc.assert(
        fc.asyncProperty(
          fc.uniqueArray(fc.nat(40), { maxLength: 30 }),
          fc.array(page, { minLength: 1, maxLength: 6 }),
          fc.boolean(),
          async (first, pages, commits) => {
            const tree = await ViewTree.begun({ names: colliding(hashes) });
            const there = new Set<string>();
            for (const i of first) {
              await tree.make(`n${i}`);
              there.add(`n${i}`);
            }
            const stable = new Set(there);
            const seen: string[] = [];
            let after = 0n;
            for (let i = 0; ; i++) {
              const { limit, changes } = pages[i % pages.length] as { limit: number; changes: [] };
              const { entries, end } = await tree.list(1, after, limit);
              seen.push(...entries.map(({ name }) => Buffer.from(name).toString()));
              if (end) break;
              assert.ok(entries.length > 0, 'a page that is not the last has entries');
              after = entries.at(-1)?.cookie ?? 0n;
              for (const { name, make } of i < 40 ? (changes as { name: number; make: boolean }[]) : []) {
                const text = `n${name}`;
                if (make === there.has(text)) continue;
                await (make ? tree.make(text) : tree.unlink(text));
                if (make) there.add(text);
                else there.delete(text);
                stable.delete(text);
              }
              if (commits) await tree.commit();
            }
            assert.deepEqual(seen.slice(0, 2), ['.', '..']);
            for (const name of stable)
              assert.equal(seen.filter((one) => one === name).length, 1, `${name} was seen once`);
            assert.equal(new Set(seen.slice(2)).size, seen.length - 2, 'nothing was seen twice');
            assert.deepEqual(await tree.names(), ['.', '..', ...there].sort());
            await tree.check();
          },
        ),
        { numRuns: 60 },
      );
    });

  test('names of one hash are told apart, up to 256 of them', async () => {
    const tree = await ViewTree.begun({ names: colliding(1) });
    const inodes = new Map<string, number>();
    for (let i = 0; i < 256; i++) inodes.set(`n${i}`, (await tree.make(`n${i}`)).inode);
    await tree.refused(tree.make('one more'), 'full');
    for (const [name, inode] of inodes) assert.equal((await tree.lookup(name)).inode, inode);
    const { entries, end } = await tree.list(1, 2n, 5);
    assert.deepEqual([entries.length, end], [256, true]);
    for (const i of [0, 100, 255, 254]) {
      await tree.unlink(`n${i}`);
      inodes.delete(`n${i}`);
      await tree.refused(tree.lookup(`n${i}`), 'not-found');
    }
    for (const [name, inode] of inodes) assert.equal((await tree.lookup(name)).inode, inode);
    await tree.check();
  });

  test('a full page fits one answer', async () => {
    const tree = await ViewTree.begun();
    const name = (i: number) => `${String(i).padStart(4, '0')}${'n'.repeat(251)}`;
    for (let i = 0; i < 1500; i++) await tree.make(name(i));
    const seen = new Set<string>();
    let after = 0n;
    for (let end = false; !end; ) {
      const page = await tree.list(1, after, 65_535, true);
      for (const { name } of page.entries) seen.add(Buffer.from(name).toString());
      after = page.entries.at(-1)?.cookie ?? after;
      end = page.end;
    }
    assert.equal(seen.size, 1502);
  });

  test('which names there may be', () => {
    for (const name of ['a', '...', '.a', 'a..', 'ä', ' ', 'n'.repeat(255)]) checkName(bytes(name));
    checkName(Buffer.from([0xff]));
    for (const name of ['', '.', '..', '/', 'a/', '\0', 'a\0b', 'n'.repeat(256)])
      assert.throws(() => checkName(bytes(name)));
  });
});
