// The folder of a client's own journal: its head opens with its user's key only, one has it at a time, what was refused stays until it
// is removed, and all of it is read beside whoever writes.

import assert from 'node:assert/strict';
import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { encode } from '../../../../src/core/base/codec.ts';
import { isError } from '../../../../src/core/base/errors.ts';
import { keyPairFromSeed } from '../../../../src/core/crypto/keys.ts';
import type { VolumeDescriptor } from '../../../../src/core/descriptor/descriptor.ts';
import { beginJournal, hasJournal, lockJournal, readHead } from '../../../../src/core/node/late/journal-folder.ts';
import { JournalReading } from '../../../../src/core/node/late/journal-reading.ts';
import { type Refused, RefusedOperations } from '../../../../src/core/node/late/refused.ts';
import { systemFiles } from '../../../../src/core/runtime/system/files.ts';
import { AsyncLog, type LateEntry } from '../../../../src/core/tree/async/log.ts';
import { encodeEntry } from '../../../../src/core/volume/files/entries.ts';
import { expectation } from '../../../../src/core/volume/files/expectation.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { lateFacts, lateJson } from '../../../../src/core/volume/files/late-facts.ts';
import { type FileOperation, fileOperation } from '../../../../src/core/volume/files/messages.ts';
import { namedKey } from '../../../../src/core/volume/files/records.ts';
import { World } from '../../../fakes/world.ts';

const folders: string[] = [];
after(() => {
  for (const folder of folders) rmSync(folder, { recursive: true });
});

const world = new World();
const runtime = {
  files: systemFiles(),
  random: { bytes: (count: number) => world.bytes(count) },
  log: { write: () => {} },
  clock: { now: () => 1_000_000 },
} as never;
const [alice, bob] = [keyPairFromSeed(Buffer.alloc(32, 'alice')), keyPairFromSeed(Buffer.alloc(32, 'bob'))];
const volume = { name: 'alice/shared', tree_id: Buffer.alloc(16, 3).toString('base64') } as VolumeDescriptor;
const nameKey = Buffer.alloc(32, 8);
const secret = 'words that nobody reads';
const now = { seconds: 5, nanoseconds: 0 };
const begin = () => ({ next: 1, inode: 0, inodeEnd: 0, sent: 0 });
const address = Buffer.alloc(32, 7);

async function folder(): Promise<string> {
  const parent = mkdtempSync(join(tmpdir(), 'infinit-journal-'));
  folders.push(parent);
  const made = join(parent, 'journal');
  await systemFiles().makeDirectory(made);
  return made;
}

function entry(number: number, operation: FileOperation): LateEntry {
  const name = Buffer.from('notes');
  const key = namedKey('entry', rootInode, Buffer.alloc(8, number), 0);
  const value = encodeEntry({ domain: 0, inode: 17, type: 'file', name });
  const effects = [{ type: 'put', key, value } as const];
  const expected = encode(expectation, []);
  return { number, made: undefined, expected, operation: encode(fileOperation, operation), effects };
}

const make: FileOperation = {
  type: 'make',
  directory: rootInode,
  name: Buffer.from('notes'),
  node: { type: 'file', mode: 0o644, uid: 1, gid: 2, device: 0, target: Buffer.alloc(0) },
  now,
  client: Buffer.alloc(16),
};
const write: FileOperation = {
  type: 'write',
  files: [
    {
      inode: 17,
      modified: now,
      pieces: [
        { type: 'bytes', offset: 0, bytes: Buffer.from('begin ') },
        { type: 'cells', offset: 6, length: secret.length, chunk: 0, cell: 0, skip: 2 },
      ],
    },
  ],
  chunks: [{ address, key: Buffer.alloc(32), stored: 100, cells: [secret.length + 2], generation: 0 }],
};
const cells = [Buffer.from(`__${secret}`)];

test('the head opens with the key of its user only, and is sealed on the disk; one has the journal at a time', async () => {
  const path = await folder();
  assert.equal(await hasJournal(runtime, path), false);
  assert.equal(await readHead(runtime, path, alice), undefined);
  const lock = await lockJournal(runtime, path, volume.name);
  await assert.rejects(lockJournal(runtime, path, volume.name), (error) => isError(error, 'exists'));
  const head = await beginJournal(runtime, path, alice, { volume, nameKey });
  assert.deepEqual(await readHead(runtime, path, alice), head);
  assert.equal(statSync(join(path, 'head')).mode & 0o777, 0o600);
  const kept = readFileSync(join(path, 'head'));
  for (const hidden of [head.key, nameKey, Buffer.from(volume.name)])
    assert.equal(kept.includes(Buffer.from(hidden)), false);
  await assert.rejects(readHead(runtime, path, bob), (error) => isError(error, 'corrupt'));
  kept[50] = (kept[50] as number) ^ 1;
  writeFileSync(join(path, 'head'), kept);
  await assert.rejects(readHead(runtime, path, alice), (error) => isError(error, 'corrupt'));
  writeFileSync(join(path, 'head'), Buffer.alloc(100_000));
  await assert.rejects(readHead(runtime, path, alice), (error) => isError(error, 'corrupt'));
  assert.equal(await hasJournal(runtime, path), true);
  await lock.release();
});

test('logs without a head are damage, not a new journal', async () => {
  const path = await folder();
  writeFileSync(join(path, '000000000001.log'), 'x');
  await assert.rejects(readHead(runtime, path, alice), (error) => isError(error, 'corrupt'));
});

test('what waits is read while it is written, with its data and where it belongs', async () => {
  const path = await folder();
  const { key } = await beginJournal(runtime, path, alice, { volume, nameKey });
  const log = await AsyncLog.open({ runtime, folder: path, key, begin }, () => {});
  await log.append({ type: 'operation', ...entry(1, make) });
  await log.append({ type: 'chunk', address, cells });
  await log.append({ type: 'operation', ...entry(2, make) });
  await log.append({ type: 'operation', ...entry(3, write) });
  await log.append({ type: 'sent', through: 1 });
  const reading = await JournalReading.open(runtime, path, alice);
  assert.ok(reading);
  const waiting = await reading.waiting();
  assert.deepEqual(
    waiting.map(({ entry: { number } }) => number),
    [2, 3],
  );
  assert.ok((waiting[1]?.bytes ?? 0) > (waiting[0]?.bytes ?? 0) + secret.length);
  const names = await reading.names(waiting, []);
  const [, written] = waiting.map(({ entry: one }) => one);
  assert.ok(written);
  assert.deepEqual(lateFacts(written, names), { type: 'write', paths: ['/notes'], bytes: 6 + secret.length });
  const data = await reading.dataOf(written);
  const { files } = lateJson(written, names, (one) => data.get(one)) as {
    files: { path: string; pieces: { content: string }[] }[];
  };
  assert.equal(files[0]?.path, '/notes');
  const text = files[0]?.pieces.map(({ content }) => Buffer.from(content, 'base64').toString()).join('');
  assert.equal(text, `begin ${secret}`);
  assert.equal(lateJson(waiting[0]?.entry as LateEntry, names, () => undefined).name, 'notes');
  await log.append({ type: 'sent', through: 3 });
  assert.deepEqual(await reading.waiting(), []);
  await log.close();
});

test('what was refused is kept with its data and its reason, sealed, until it is removed', async () => {
  const path = await folder();
  const key = Buffer.alloc(32, 9);
  const refused = new RefusedOperations(runtime, path, key);
  const all = async () => {
    const found: Refused[] = [];
    for await (const one of refused.all((error) => damaged.push(error.message))) found.push(one);
    return found;
  };
  const damaged: string[] = [];
  assert.deepEqual(await all(), []);
  const chunk = { type: 'chunk', address, cells } as const;
  await refused.keep(entry(12, write), [chunk], 'others have deleted it');
  // Told again after a restart in between.
  await refused.keep(entry(12, write), [chunk], 'others have deleted it');
  await refused.keep(entry(3, make), [], 'no room');
  assert.deepEqual(
    (await all()).map(({ entry: { number }, reason }) => [number, reason]),
    [
      [3, 'no room'],
      [12, 'others have deleted it'],
    ],
  );
  const [name = ''] = readdirSync(join(path, 'refused')).slice(-1);
  const [file = ''] = readdirSync(join(path, 'refused', name));
  const at = join(path, 'refused', name, file);
  assert.equal(statSync(at).mode & 0o777, 0o600);
  const content = readFileSync(at);
  assert.equal(content.includes(secret), false);
  content[30] = (content[30] as number) ^ 1;
  writeFileSync(at, content);
  assert.deepEqual(
    (await all()).map(({ entry: { number } }) => number),
    [3],
  );
  assert.equal(damaged.length, 1, 'one that is damaged is told');
  await refused.remove(3);
  assert.deepEqual(await all(), []);
});
