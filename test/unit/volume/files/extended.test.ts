import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { decode } from '../../../../src/core/base/codec.ts';
import { isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { getExtendedReply, listExtendedReply } from '../../../../src/core/volume/files/messages.ts';
import type { NameHash } from '../../../../src/core/volume/files/names.ts';
import { bytes, ViewTree } from './view-tree.ts';

const halves: NameHash = { of: (name) => Buffer.from([0, 0, 0, 0, 0, 0, 1, (name.at(-1) ?? 0) & 1]) };

const get = async (tree: ViewTree, inode: number, name: string) =>
  decode(getExtendedReply, await tree.ask({ type: 'getExtended', inode, name: bytes(name) }));
const list = async (tree: ViewTree, inode: number) =>
  decode(listExtendedReply, await tree.ask({ type: 'listExtended', inode }))
    .map((name) => Buffer.from(name).toString())
    .sort();
const remove = (tree: ViewTree, inode: number, name: string) =>
  tree.do({ type: 'removeExtended', inode, name: bytes(name), now: tree.tick() });

describe('extended attributes of the files view', () => {
  test('set, replaced, listed, removed; the inode says whether there are any', async () => {
    const tree = await ViewTree.begun();
    const { inode, modified } = await tree.make('a');
    await tree.refused(get(tree, inode, 'user.a'), 'not-found', 'no-attribute');
    await tree.refused(tree.setExtended(inode, 'user.a', bytes('x'), 'replace'), 'not-found', 'no-attribute');
    const set = await tree.setExtended(inode, 'user.a', bytes('x'), 'create');
    assert.deepEqual([set.hasExtended, set.modified], [true, modified]);
    assert.notDeepEqual(set.changed, modified);
    await tree.refused(tree.setExtended(inode, 'user.a', bytes('y'), 'create'), 'exists');
    await tree.setExtended(inode, 'user.a', Buffer.alloc(limits.extendedValueBytesMax, 3), 'replace');
    await tree.setExtended(inode, 'security.empty/name', Buffer.alloc(0));
    await tree.commit();
    assert.ok(Buffer.alloc(limits.extendedValueBytesMax, 3).equals(await get(tree, inode, 'user.a')));
    assert.equal((await get(tree, inode, 'security.empty/name')).length, 0);
    assert.deepEqual(await list(tree, inode), ['security.empty/name', 'user.a']);
    await remove(tree, inode, 'user.a');
    await tree.refused(remove(tree, inode, 'user.a'), 'not-found', 'no-attribute');
    await remove(tree, inode, 'security.empty/name');
    assert.equal((await tree.attributes(inode)).hasExtended, false);
    assert.deepEqual(await list(tree, inode), []);
    await tree.refused(tree.setExtended(inode, '', bytes('x')), 'usage', 'invalid');
    await tree.refused(tree.setExtended(999, 'user.a', bytes('x')), 'not-found', 'stale');
  });

  test('so many of a file and no more; they go with it', async () => {
    const tree = await ViewTree.begun();
    const { inode } = await tree.make('a');
    for (let i = 0; i < limits.extendedPerInodeMax; i++) await tree.setExtended(inode, `user.${i}`, bytes('v'));
    await tree.refused(tree.setExtended(inode, 'user.more', bytes('v')), 'full');
    await tree.setExtended(inode, 'user.7', bytes('w'));
    assert.equal((await list(tree, inode)).length, limits.extendedPerInodeMax);
    await tree.setExtended(1, 'user.root', bytes('r'));
    await tree.make('d', { type: 'directory' });
    const { inode: directory } = await tree.lookup('d');
    await tree.setExtended(directory, 'user.d', bytes('d'));
    await tree.removeDirectory('d');
    await tree.unlink('a');
    assert.equal((await tree.records('attribute')).length, 1);
    await tree.check();
  });

  test('are like a map, also when names have one hash', async () => {
    const action = fc.record({ name: fc.nat(9), value: fc.option(fc.nat(99)), commit: fc.boolean() });
    await fc.assert(
      fc.asyncProperty(fc.array(action, { maxLength: 40 }), fc.boolean(), async (actions, collide) => {
        const tree = await ViewTree.begun(collide ? { names: halves } : {});
        const { inode } = await tree.make('a');
        const model = new Map<string, string>();
        for (const { name, value, commit } of actions) {
          const text = `user.${name}`;
          if (value !== null) {
            await tree.setExtended(inode, text, bytes(`${value}`));
            model.set(text, `${value}`);
          } else {
            const known = model.delete(text);
            const done = await remove(tree, inode, text).then(
              () => true,
              (error) => !isError(error, 'not-found'),
            );
            assert.equal(done, known);
          }
          if (commit) await tree.commit();
          assert.deepEqual(await list(tree, inode), [...model.keys()].sort());
          assert.equal((await tree.attributes(inode)).hasExtended, model.size > 0);
        }
        for (const [name, value] of model) assert.deepEqual(await get(tree, inode, name), bytes(value));
      }),
      { numRuns: 100 },
    );
  });
});
