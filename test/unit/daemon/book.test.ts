import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { Book, checkUnit } from '../../../src/core/daemon/book.ts';
import { keyOf, type Unit } from '../../../src/core/daemon/daemon.ts';
import type { Home } from '../../../src/core/descriptor/descriptor.ts';
import { systemFiles } from '../../../src/core/runtime/system/files.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinit-book-'));
const home: Home = { data: folder, cache: folder, state: folder, config: folder, runtime: folder };
const path = join(folder, 'daemon.json');
const unit: Unit = { role: 'volume', user: 'alice', name: 'alice/v', words: ['volume', 'mount', 'v'], directory: '/' };
const open = () => Book.open(systemFiles(), home);
after(() => rmSync(folder, { recursive: true }));

test('what was put is there again, with its process; what was removed is not', async () => {
  const book = await open();
  assert.deepEqual(book.list(), []);
  await book.put(unit);
  await book.put(unit, { pid: 7, began: 'b' });
  await book.put({ ...unit, name: 'alice/w' });
  assert.equal(statSync(path).mode & 0o077, 0);
  const again = await open();
  assert.deepEqual(again.list(), [{ unit, process: { pid: 7, began: 'b' } }, { unit: { ...unit, name: 'alice/w' } }]);
  await again.remove(keyOf(unit));
  assert.deepEqual(
    (await open()).list().map((entry) => entry.unit.name),
    ['alice/w'],
  );
});

test('a file that is none of ours is told of, not taken', async () => {
  const good = readFileSync(path, 'utf8');
  for (const bad of ['', '[]', '{"version":2,"units":[]}', '{"version":1,"units":[7]}', good.replace('"mount"', '7')]) {
    writeFileSync(path, bad);
    await assert.rejects(open(), { kind: 'corrupt' });
  }
  writeFileSync(path, 'x'.repeat(limits.unitBookBytesMax + 1));
  await assert.rejects(open(), { kind: 'corrupt' });
  writeFileSync(path, good);
});

test('units are bounded', async () => {
  const book = await open();
  for (let i = book.list().length; i < limits.unitsMax; i++) await book.put({ ...unit, name: `alice/n${i}` });
  await assert.rejects(book.put({ ...unit, name: 'alice/more' }), { kind: 'full' });
  await book.put({ ...unit, name: 'alice/n5' }, { pid: 1, began: '' });
});

test('a unit from outside is checked', () => {
  const given = { ...unit };
  assert.deepEqual(checkUnit(given), unit);
  const bad: Record<string, unknown>[] = [
    { ...given, role: 'user' },
    { ...given, words: 'volume mount' },
    { ...given, words: ['volume', 7] },
    { ...given, words: ['user', 'delete'] },
    { ...given, words: Array(limits.unitWordsMax + 1).fill('volume') },
    { ...given, name: '' },
    { ...given, directory: undefined },
  ];
  for (const one of bad) assert.throws(() => checkUnit(one), { kind: 'usage' });
});
