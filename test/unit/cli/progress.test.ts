import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bar, Progress } from '../../../src/core/cli/progress.ts';

function scene(isTTY: boolean, quiet = false) {
  let text = '';
  let now = 0;
  const output = { write: (piece: string | Uint8Array) => (text += piece), isTTY, columns: 60 };
  const progress = new Progress(output, { quiet, now: () => now });
  return { progress, text: () => text, pass: (ms: number) => (now += ms) };
}

test('bars', () => {
  assert.equal(bar(0), `[${'.'.repeat(24)}]   0 %`);
  assert.equal(bar(0.5), `[${'#'.repeat(12)}${'.'.repeat(12)}]  50 %`);
  assert.equal(bar(1), `[${'#'.repeat(24)}] 100 %`);
  assert.equal(bar(7), bar(1));
  assert.equal(bar(-1), bar(0));
});

test('on a terminal one line is drawn over itself, not too often, within its width, and erased at the end', () => {
  const { progress, text, pass } = scene(true);
  progress.tell('1 of 4', 0.25);
  progress.tell('2 of 4', 0.5);
  pass(200);
  progress.tell(`3 of 4${' and more'.repeat(10)}`, 0.75);
  progress.done();
  const drawn = text().split('\r\u001b[2K');
  assert.deepEqual(drawn.slice(0, 2), ['', `${bar(0.25)} 1 of 4`]);
  assert.equal(drawn[2]?.length, 59);
  assert.deepEqual([drawn.length, drawn[3]], [4, '']);
});

test('elsewhere each change is a line; for scripts nothing', () => {
  const { progress, text } = scene(false);
  for (const line of ['a', 'a', 'b']) progress.tell(line, 0.5);
  progress.done();
  assert.equal(text(), 'a\nb\n');
  const quiet = scene(true, true);
  quiet.progress.tell('a', 1);
  quiet.progress.done();
  assert.equal(quiet.text(), '');
});
