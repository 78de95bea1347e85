// The log writes what it is asked to, one line a fact, harmless to terminals.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type LogOptions, systemLog } from '../../../src/core/runtime/system/log.ts';

function makeLog(options: LogOptions) {
  const lines: string[] = [];
  const sink = { writableLength: 0, write: (line: string) => lines.push(line) };
  return { lines, sink, log: systemLog(options, () => 0, sink) };
}

test('text lines, least level, escaped control characters', () => {
  const { lines, log } = makeLog({ level: 'info' });
  log.write('debug', 'peer', 'not shown');
  log.write('info', 'peer', 'hello', { peer: 'ab', count: 3 });
  log.write('error', 'peer', 'evil \u001b[31m\nfake line \u202e', { text: 'a\nb' });
  assert.deepEqual(lines, [
    '1970-01-01T00:00:00.000Z info  peer      hello peer="ab" count=3\n',
    '1970-01-01T00:00:00.000Z error peer      evil \\u001b[31m\\u000afake line \\u202e text="a\\nb"\n',
  ]);
});

test('JSON lines, one object each', () => {
  const { lines, log } = makeLog({ format: 'json' });
  log.write('warn', 'silo', 'disk\nfull', { bytes: 7 });
  assert.equal(lines.length, 1);
  assert.deepEqual(JSON.parse(lines[0] as string), {
    time: '1970-01-01T00:00:00.000Z',
    level: 'warn',
    component: 'silo',
    message: 'disk\nfull',
    bytes: 7,
  });
});

test('JSON lines hold no control character, and the same value', () => {
  const { lines, log } = makeLog({ format: 'json' });
  const message = 'evil \u009b2J\u0085 \u007f \u202e \u2028 \u{e0001} \ud800';
  log.write('warn', 'peer', message, { 'na\u009bme': ['\u009d0;title\u009c'] });
  const [line = ''] = lines;
  assert.doesNotMatch(line, /[^\P{Cc}\n]|\p{Cf}|[\u2028\u2029]/u);
  const { message: read, 'na\u009bme': facts } = JSON.parse(line);
  assert.equal(read, message);
  assert.deepEqual(facts, ['\u009d0;title\u009c']);
});

test('a sink that does not keep up loses lines and says how many', () => {
  const { lines, sink, log } = makeLog({});
  sink.writableLength = 2 << 20;
  for (let i = 0; i < 5; i++) log.write('error', 'a', `${i}`);
  assert.equal(lines.length, 0);
  sink.writableLength = 0;
  log.write('error', 'a', 'after');
  assert.equal(lines.length, 2);
  assert.match(lines[0] as string, /5 lines dropped/);
});
