// Operations that come late: each once, under reserved numbers, and not over what others did.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../../../../src/core/base/codec.ts';
import { isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { superKey, superRecord } from '../../../../src/core/tree/keys.ts';
import type { Memtable } from '../../../../src/core/tree/memtable.ts';
import { reasonOf, rootInode } from '../../../../src/core/volume/files/files.ts';
import {
  attributesReply,
  domainNumberReply,
  type FileOperation,
  fileOperation,
  fileQuery,
  type LateOperation,
  recordsReply,
  replayedReply,
  replayReply,
  reserveReply,
} from '../../../../src/core/volume/files/messages.ts';
import { nameBeside } from '../../../../src/core/volume/files/names.ts';
import { bytes, client, time, ViewTree } from './view-tree.ts';

const journal = Buffer.alloc(16, 1);
const node = { type: 'file', mode: 0o644, uid: 0, gid: 0, device: 0, target: Buffer.alloc(0) } as const;
const make = (name: string, directory = rootInode): FileOperation => ({
  ...{ type: 'make', directory, name: bytes(name), node, now: time(2000), client },
});

let numbers = 0;
function late(operation: FileOperation, more: Partial<LateOperation> = {}): LateOperation {
  const plain = { number: ++numbers, made: undefined, seen: [], without: [] };
  return { ...plain, operation: encode(fileOperation, operation), ...more };
}

async function replay(tree: ViewTree, ...operations: LateOperation[]) {
  const asked = { type: 'replay', journal, label: 'bob', now: time(3000), operations } as const;
  return decode(replayReply, await tree.do(asked));
}
const reserve = async (tree: ViewTree, count: number) =>
  decode(reserveReply, await tree.do({ type: 'reserve', count }));
const find = async (tree: ViewTree, name: string) => {
  const query = { type: 'lookup', directory: rootInode, name: bytes(name) } as const;
  return decode(attributesReply, await tree.ask(query));
};
const reason = (wanted: string) => (error: unknown) => isError(error) && reasonOf(error) === wanted;

test('an operation happens once, however often its journal says so', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 100);
  const made = late(make('file'), { made: first });
  await replay(tree, made);
  assert.equal((await find(tree, 'file')).inode, first);
  const { notes } = await replay(tree, made, late(make('next'), { made: first + 1 }));
  assert.deepEqual(notes, []);
  assert.equal(decode(replayedReply, await tree.ask({ type: 'replayed', journal })), numbers);
  await tree.do({ type: 'forgetJournal', journal });
  assert.equal(decode(replayedReply, await tree.ask({ type: 'replayed', journal })), 0);
});

test('numbers are given away once: others get none of those reserved, and nothing else is taken', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 10);
  const second = await reserve(tree, 10);
  assert.ok(second >= first + 10);
  await tree.do(make('ordinary') as never);
  const { inode } = await find(tree, 'ordinary');
  assert.ok(inode < first || inode >= second + 10);
  for (const wrong of [undefined, rootInode, inode + 1, second + 1_000_000])
    await assert.rejects(replay(tree, late(make('x'), { made: wrong })), (error) => isError(error, 'usage'));
  await assert.rejects(replay(tree, late(make('x'), { made: inode })), (error) => isError(error, 'exists', 'usage'));
  await assert.rejects(reserve(tree, limits.asyncInodesMax + 1), (error) => isError(error, 'usage'));
});

test('all of a replay happens or nothing; replays are not nested', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 10);
  const made = late(make('a'), { made: first });
  const write = late({ type: 'write', chunks: [], files: [{ inode: first + 5, modified: time(1), pieces: [] }] });
  await assert.rejects(replay(tree, made, write), reason('gone'));
  await assert.rejects(find(tree, 'a'), (error) => isError(error, 'not-found'));
  const inner = late({ type: 'replay', journal, label: '', now: time(1), operations: [] });
  await assert.rejects(replay(tree, inner), (error) => isError(error, 'usage'));
});

test('data over what others changed is refused until they are known; a name others took is left to them', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 10);
  await tree.do(make('theirs.txt') as never);
  const theirs = await find(tree, 'theirs.txt');
  const { notes } = await replay(tree, late(make('theirs.txt'), { made: first }));
  assert.equal((await find(tree, 'theirs (bob).txt')).inode, first);
  assert.match(notes[0]?.text ?? '', /made by somebody else/);
  const piece = { type: 'bytes', offset: 0, bytes: bytes('ours') } as const;
  const files = [{ inode: theirs.inode, modified: time(2500), pieces: [piece] }];
  const written = (changed: typeof theirs.changed) =>
    late({ type: 'write', chunks: [], files }, { seen: [{ inode: theirs.inode, changed }] });
  await assert.rejects(replay(tree, written(time(1))), reason('changed'));
  const { changed } = await replay(tree, written(theirs.changed));
  assert.deepEqual(changed, [{ inode: theirs.inode, changed: (await find(tree, 'theirs.txt')).changed }]);
  const unlink = {
    type: 'unlink',
    directory: rootInode,
    name: bytes('theirs.txt'),
    now: time(4000),
    free: true,
    client,
    held: false,
  } as const;
  const kept = await replay(tree, late(unlink, { seen: [{ inode: theirs.inode, changed: time(1) }] }));
  assert.match(kept.notes[0]?.text ?? '', /kept/);
  await replay(tree, late(unlink, { seen: changed }));
  await assert.rejects(find(tree, 'theirs.txt'), (error) => isError(error, 'not-found'));
});

test('what lands in a folder that is gone lands in the root', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 10);
  const { notes } = await replay(tree, late(make('lost', 4711), { made: first }));
  assert.equal(notes.length, 1);
  assert.equal((await find(tree, 'lost (bob)')).inode, first);
});

test('records are told in pages without gaps', async () => {
  const tree = await ViewTree.begun();
  for (let i = 0; i < limits.recordsPerAnswerMax; i++) await tree.do(make(`file ${i}`) as never);
  const keys: string[] = [];
  const to = bytes('z');
  for (let from: Uint8Array = bytes('a'); Buffer.compare(from, to) < 0; ) {
    const page = decode(recordsReply, await tree.ask({ type: 'records', from, to }));
    assert.ok(page.entries.length <= limits.recordsPerAnswerMax);
    keys.push(...page.entries.map(({ key }) => Buffer.from(key).toString('hex')));
    assert.ok(Buffer.compare(from, page.through) < 0);
    from = page.through;
  }
  assert.deepEqual(keys, [...new Set(keys)].sort());
  assert.ok(keys.length > 2 * limits.recordsPerAnswerMax);
  assert.ok(encode(fileQuery, { type: 'records', from: to, to }).length > 0);
});

test('names beside a name keep its ending, whole characters, and the length a name may have', () => {
  assert.equal(String(nameBeside(bytes('report.odt'), 'bob', 1)), 'report (bob).odt');
  assert.equal(String(nameBeside(bytes('.profile'), 'bob', 2)), '.profile (bob 2)');
  const long = nameBeside(bytes(`${'é'.repeat(126)}.md`), 'bob', 1);
  assert.ok(long.length <= 255 && !String(long).includes('\ufffd'), String(long));
  assert.ok(String(long).endsWith(' (bob).md'));
});

test('a name beside another is told whatever its bytes are', async () => {
  const tree = await ViewTree.begun();
  const first = await reserve(tree, 10);
  for (const [at, byte] of [0x01, 0xe9, 0x22].entries()) {
    const name = Buffer.alloc(limits.fileNameBytesMax, byte);
    await tree.make(name);
    const { notes } = await replay(tree, late({ ...make(''), name } as FileOperation, { made: first + at }));
    assert.match(notes[0]?.text ?? '', /made by somebody else/);
  }
});

test('a name that leads to another tree stays, though what is there has the number of what was here', async () => {
  const tree = await ViewTree.begun();
  const { inode, changed } = await tree.make('file');
  const record = { format: 1, treeId: Buffer.alloc(16, 2), root: Buffer.alloc(32, 3), list: Buffer.alloc(32, 4) };
  const added = await tree.do({ type: 'addDomain', record: { ...record, since: time(1) } as never });
  const domain = decode(domainNumberReply, added);
  const place = { directory: rootInode, name: bytes('file') };
  const gone = { now: time(2100), free: true, client, held: false };
  await tree.do({ type: 'leadAway', ...place, inode, changed, domain, target: inode, ...gone });
  const seen = [{ inode, changed }];
  const unlink = { type: 'unlink', ...place, ...gone } as const;
  const to = { directory: rootInode, name: bytes('other') };
  const rename = { type: 'rename', from: place, to, mode: 'replace', ...gone, held: undefined } as const;
  const { notes } = await replay(tree, late(unlink, { seen }), late(rename, { seen }));
  assert.equal(notes.length, 2);
  assert.deepEqual(await tree.names(), ['.', '..', 'file']);
});

test('what is too much for one answer is asked for in parts', async () => {
  const tree = await ViewTree.begun();
  const count = limits.asyncBatchMax;
  const first = await reserve(tree, count);
  const names = Array.from({ length: count }, (_, at) => Buffer.from(`${'\u0001'.repeat(250)}${100 + at}`));
  for (const name of names) await tree.make(name);
  const all = names.map((name, at) => late({ ...make(''), name } as FileOperation, { made: first + at }));
  const isSplit = (error: unknown) => isError(error, 'full') && error.data?.split === true;
  await assert.rejects(replay(tree, ...all), isSplit);
  assert.equal((await replay(tree, ...all.slice(0, 10))).notes.length, 10);
  const seen = (from: number) =>
    Array.from({ length: limits.writtenFilesMax }, (_, at) => ({ inode: from + at, changed: time(1) }));
  const many = Array.from({ length: 6 }, (_, at) => late({ type: 'nothing' }, { seen: seen(1000 * at) }));
  await assert.rejects(replay(tree, ...many), isSplit);
});

test('no inode number is one that stands for another tree', async () => {
  const tree = await ViewTree.begun();
  const [found] = await tree.records('super');
  assert.ok(found);
  const record = { ...decode(superRecord, found.value), nextInode: limits.domainInodesMax - 10 };
  const { memtable } = tree as unknown as { memtable: Memtable };
  memtable.apply([{ type: 'put', key: superKey, value: encode(superRecord, record) }]);
  await assert.rejects(reserve(tree, 11), (error) => isError(error, 'full'));
  assert.equal(await reserve(tree, 10), limits.domainInodesMax - 10);
  await assert.rejects(tree.make('file'), (error) => isError(error, 'full'));
});
