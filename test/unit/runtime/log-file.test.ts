import assert from 'node:assert/strict';
import {
  appendFileSync,
  existsSync,
  mkdtempSync,
  openSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { LogFile } from '../../../src/core/runtime/system/log-file.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinit-log-'));
after(() => rmSync(folder, { recursive: true }));

async function onDisk(path: string, length: number): Promise<string> {
  for (let i = 0; i < 200; i++) {
    const text = existsSync(path) ? readFileSync(path, 'utf8') : '';
    if (text.length >= length) return text;
    await new Promise((resolve) => setTimeout(resolve, 10));
  }
  return readFileSync(path, 'utf8');
}

test('no line is lost or written twice over rotations, the oldest file goes, and all are private', async () => {
  const path = join(folder, 'many.log');
  const file = new LogFile(path, { bytesMax: 1000, kept: 3 });
  const line = (number: number) => `${String(number).padStart(9, '0')}\n`;
  for (let number = 0; number < 950; number++) {
    file.write(line(number));
    if (number % 30 === 0) await file.settled();
  }
  await file.settled();
  const names = readdirSync(folder).filter((name) => name.startsWith('many.log'));
  assert.deepEqual(names.sort(), ['many.log', 'many.log.1', 'many.log.2', 'many.log.3']);
  for (const name of names) assert.equal(statSync(join(folder, name)).mode & 0o077, 0, name);
  await onDisk(path, 1);
  const all = ['many.log.3', 'many.log.2', 'many.log.1', 'many.log']
    .map((name) => readFileSync(join(folder, name), 'utf8'))
    .join('');
  const numbers = all.split('\n').slice(0, -1).map(Number);
  const first = numbers[0] ?? 0;
  assert.deepEqual(
    numbers,
    [...numbers.keys()].map((at) => first + at),
  );
  assert.equal(numbers.at(-1), 949);
});

test('who appends to the file too goes on in it', async () => {
  const path = join(folder, 'shared.log');
  appendFileSync(path, 'before\n');
  const other = openSync(path, 'a');
  const file = new LogFile(path, { bytesMax: 20, kept: 2 });
  file.write('x'.repeat(30));
  await file.settled();
  writeSync(other, 'a crash\n');
  file.write('after\n');
  assert.equal(await onDisk(path, 14), 'a crash\nafter\n');
  assert.equal(readFileSync(`${path}.1`, 'utf8'), `before\n${'x'.repeat(30)}`);
});

test('a folder that is away does not end the process', async () => {
  const path = join(folder, 'gone', 'a.log');
  const file = new LogFile(path, { bytesMax: 5, kept: 2 });
  file.write('too long a line');
  await file.settled();
  file.write('x');
  assert.equal(await onDisk(path, 1), 'x');
});
