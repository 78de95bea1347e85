// Entries that lead to other trees: what the tree they stand in knows and does of them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode } from '../../../../src/core/base/codec.ts';
import { isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { borderOf } from '../../../../src/core/volume/files/entries.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import {
  choresReply,
  domainNumberReply,
  domainsReply,
  type FileOperation,
} from '../../../../src/core/volume/files/messages.ts';
import { bytes, client, time, ViewTree } from './view-tree.ts';

type Asked<T extends FileOperation['type']> = Omit<FileOperation & { type: T }, 'type'>;

const record = (id: number) => ({
  format: 1,
  treeId: Buffer.alloc(16, id),
  root: Buffer.alloc(32, id) as never,
  list: Buffer.alloc(32, id),
  since: time(1),
});
const add = async (tree: ViewTree, id: number) =>
  decode(domainNumberReply, await tree.do({ type: 'addDomain', record: record(id) }));
const chores = async (tree: ViewTree) =>
  decode(choresReply, await tree.ask({ type: 'chores', after: undefined })).map(
    ({ domain, chore, inode }) => `${chore} ${domain}:${inode}`,
  );
const away = (
  tree: ViewTree,
  name: string,
  more: Partial<Asked<'leadAway'>> & Pick<Asked<'leadAway'>, 'inode' | 'changed'>,
) =>
  tree.do({
    ...{ type: 'leadAway', directory: rootInode, name: bytes(name), domain: 1, target: 77 },
    ...{ now: tree.tick(), free: true, held: false, client, ...more },
  });
const found = async (tree: ViewTree, name: string) => borderOf((await tree.lookup(name)).inode);

describe('borders of a tree of files', () => {
  test('a tree is named once, by the lowest number that is free, and so many at most', async () => {
    const tree = await ViewTree.begun();
    assert.deepEqual([await add(tree, 1), await add(tree, 2), await add(tree, 1)], [1, 2, 1]);
    await tree.do({ type: 'dropDomain', domain: 1 });
    assert.equal(await add(tree, 3), 1);
    const named = decode(domainsReply, await tree.ask({ type: 'domains' }));
    assert.deepEqual(
      named.map(({ domain, record: { treeId } }) => [domain, treeId[0]]),
      [
        [1, 3],
        [2, 2],
      ],
    );
    for (let id = 3; id <= limits.domainsOfTreeMax; id++) {
      const treeId = Buffer.alloc(16, 9);
      treeId.writeUInt32BE(id);
      await tree.do({ type: 'addDomain', record: { ...record(1), treeId } });
    }
    await assert.rejects(add(tree, 250), (error) => isError(error, 'full'));
  });

  test('a name leads away from the file that was copied, and from no other', async () => {
    const tree = await ViewTree.begun();
    await add(tree, 1);
    const { inode, changed } = await tree.make('a');
    await tree.do({ type: 'note', domain: 1, chore: 'moving', inode, done: false, alone: false, now: time(1) });
    assert.deepEqual(await chores(tree), [`moving 1:${inode}`]);
    await tree.refused(away(tree, 'a', { inode, changed: time(changed.seconds - 1) }), 'conflict', 'busy');
    await tree.refused(away(tree, 'a', { inode: inode + 1, changed }), 'conflict', 'busy');
    await assert.rejects(away(tree, 'a', { inode, changed, domain: 2 }), (error) => isError(error, 'not-found'));
    // The same time, yet another state.
    const data = { type: 'bytes', offset: 0, bytes: bytes('x') } as const;
    await tree.write([{ inode, modified: changed, pieces: [data] }], []);
    await tree.refused(away(tree, 'a', { inode, changed }), 'conflict', 'busy');
    await away(tree, 'a', { inode, changed: (await tree.attributes(inode)).changed });
    assert.deepEqual(await found(tree, 'a'), { domain: 1, inode: 77 });
    assert.deepEqual(await chores(tree), [`moving 1:${inode}`, `led 1:${inode}`]);
    await tree.refused(tree.attributes(inode), 'not-found', 'stale');
    await tree.refused(away(tree, 'a', { inode, changed }), 'conflict', 'busy');
    const note = { type: 'note', domain: 1, chore: 'moving', inode, alone: false, now: time(1) } as const;
    await tree.refused(tree.do({ ...note, done: false }), 'not-found', 'stale');
    await tree.do({ ...note, done: true });
    assert.deepEqual(await chores(tree), [`led 1:${inode}`]);
  });

  test('what is to go to another tree goes nowhere else', async () => {
    const tree = await ViewTree.begun();
    for (const id of [1, 2, 3]) await add(tree, id);
    const { inode, changed } = await tree.make('a');
    const other = await tree.make('b');
    const note = (domain: number, of: number) =>
      tree.do({ type: 'note', domain, chore: 'moving', inode: of, done: false, alone: false, now: time(1) });
    await note(1, other.inode);
    await note(3, inode);
    await tree.refused(away(tree, 'a', { inode, changed }), 'conflict', 'busy');
    await away(tree, 'a', { inode, changed, domain: 3 });
    assert.deepEqual(await found(tree, 'a'), { domain: 3, inode: 77 });
    const directory = await tree.make('d', { type: 'directory' });
    const sub = await tree.make('sub', { type: 'directory' }, directory.inode);
    const inside = await tree.make('f', {}, sub.inode);
    await note(1, directory.inode);
    await tree.refused(note(2, (await tree.make('in', { type: 'directory' }, sub.inode)).inode), 'conflict', 'busy');
    await tree.refused(note(1, sub.inode), 'conflict', 'busy');
    await note(2, inside.inode);
  });

  test('all that is noted is answered, however much it is', async () => {
    const tree = await ViewTree.begun();
    await add(tree, 1);
    await add(tree, 2);
    const noted = limits.choresPerAnswerMax + 2;
    for (let inode = 1; inode <= noted; inode++)
      await tree.do({ type: 'note', domain: 1, chore: 'changing', inode, done: false, alone: false, now: time(1) });
    await tree.do({ type: 'note', domain: 2, chore: 'led', inode: 1, done: false, alone: false, now: time(1) });
    const first = decode(choresReply, await tree.ask({ type: 'chores', after: undefined }));
    const rest = decode(choresReply, await tree.ask({ type: 'chores', after: first.at(-1) }));
    assert.deepEqual(
      [...first, ...rest].map(({ domain, chore, inode }) => `${chore} ${domain}:${inode}`),
      [...Array.from({ length: noted }, (_, index) => `changing 1:${index + 1}`), 'led 2:1'],
    );
    assert.equal(decode(domainsReply, await tree.ask({ type: 'domains' })).length, 2);
  });

  test('a directory goes with its names; who is in it counts as before', async () => {
    const tree = await ViewTree.begun();
    await add(tree, 1);
    const directory = await tree.make('d', { type: 'directory' });
    await tree.make('f', {}, directory.inode);
    const { changed } = await tree.attributes(directory.inode);
    await away(tree, 'd', { inode: directory.inode, changed });
    assert.equal((await tree.attributes(rootInode)).links, 3);
    assert.deepEqual(await found(tree, 'd'), { domain: 1, inode: 77 });
    const drop = { type: 'dropBorder', directory: rootInode, name: bytes('d'), left: true, now: time(2000) } as const;
    await tree.refused(tree.do({ ...drop, domain: 1, inode: 78 }), 'conflict', 'busy');
    await tree.do({ ...drop, domain: 1, inode: 77 });
    assert.equal((await tree.attributes(rootInode)).links, 2);
    assert.deepEqual(await chores(tree), ['left 1:77', `led 1:${directory.inode}`]);
  });

  test('unlink and rmdir leave them to who knows the other tree; rename takes them along or leaves a note', async () => {
    const tree = await ViewTree.begun();
    await add(tree, 1);
    const border = (name: string, inode: number, of: 'file' | 'directory' = 'file') =>
      tree.do({ type: 'addBorder', directory: rootInode, name: bytes(name), of, domain: 1, inode, now: tree.tick() });
    await border('file', 50);
    await border('directory', 51, 'directory');
    await border('copy', 53);
    const copy = { directory: rootInode, name: bytes('copy'), domain: 1, inode: 53, left: false, now: tree.tick() };
    await tree.do({ type: 'dropBorder', ...copy });
    assert.deepEqual(await chores(tree), [], 'what another name leads to stays');
    await assert.rejects(border('file', 52), (error) => isError(error, 'exists'));
    assert.equal((await tree.attributes(rootInode)).links, 3);
    await tree.refused(tree.unlink('file'), 'unsupported', 'elsewhere');
    await tree.refused(tree.removeDirectory('directory'), 'unsupported', 'elsewhere');
    const sub = await tree.make('sub', { type: 'directory' });
    await tree.rename([rootInode, 'directory'], [sub.inode, 'moved']);
    assert.deepEqual([(await tree.attributes(rootInode)).links, (await tree.attributes(sub.inode)).links], [3, 3]);
    await tree.make('own');
    await tree.rename([rootInode, 'own'], [rootInode, 'file']);
    assert.deepEqual(await chores(tree), ['left 1:50']);
    assert.equal(await found(tree, 'file'), undefined);
    await tree.make('empty', { type: 'directory' });
    await tree.refused(tree.rename([rootInode, 'empty'], [sub.inode, 'moved']), 'unsupported', 'elsewhere');
  });

  test('who changes a list is alone with it', async () => {
    const tree = await ViewTree.begun();
    await add(tree, 1);
    await add(tree, 2);
    const note = (domain: number, inode: number, more: { alone?: boolean; done?: boolean } = {}) =>
      tree.do({ type: 'note', domain, chore: 'changing', inode, done: false, alone: false, now: time(1), ...more });
    await note(2, 5);
    await note(1, 5, { alone: true });
    await tree.refused(note(1, 6, { alone: true }), 'conflict', 'busy');
    await note(1, 5, { done: true });
    await note(1, 6, { alone: true });
    assert.deepEqual(await chores(tree), ['changing 1:6', 'changing 2:5']);
    await tree.do({ type: 'dropDomain', domain: 1 });
    assert.deepEqual(await chores(tree), ['changing 2:5']);
    await assert.rejects(note(1, 5), (error) => isError(error, 'not-found'));
  });
});
