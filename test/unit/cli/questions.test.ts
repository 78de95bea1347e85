// Questions: asked on a terminal only, on standard error, and refused elsewhere.

import assert from 'node:assert/strict';
import { PassThrough } from 'node:stream';
import { test } from 'node:test';
import type { Invocation } from '../../../src/core/cli/invocation.ts';
import { askPassphrase, confirmByTyping } from '../../../src/core/cli/questions.ts';

/** Somebody who types the text once a question is shown. */
function terminal(isTTY: boolean, typed = '') {
  const stdin = Object.assign(new PassThrough(), { isTTY });
  const stderr = Object.assign(new PassThrough(), { isTTY, columns: 80 });
  let shown = '';
  stderr.on('data', (piece) => {
    if (shown === '') setTimeout(() => stdin.write(typed), 50);
    shown += piece;
  });
  return { invocation: { stdin, stderr } as unknown as Invocation, shown: () => shown };
}

test('the very text confirms, any other does not', async () => {
  for (const [typed, confirmed] of [
    ['alice\n', true],
    ['Alice\n', false],
    ['\n', false],
  ] as const) {
    const { invocation, shown } = terminal(true, typed);
    assert.equal(await confirmByTyping(invocation, 'Type the name:', 'alice'), confirmed);
    assert.match(shown(), /Type the name:/);
  }
});

test('a passphrase is not shown', async () => {
  const { invocation, shown } = terminal(true, 'secret words\n');
  assert.equal(await askPassphrase(invocation, 'Passphrase:'), 'secret words');
  assert.doesNotMatch(shown(), /secret/);
});

test('without a terminal both say so', async () => {
  const { invocation } = terminal(false);
  await assert.rejects(confirmByTyping(invocation, 'Type:', 'alice'), { kind: 'usage', message: /not a terminal/ });
  await assert.rejects(askPassphrase(invocation, 'Passphrase:'), { kind: 'usage', message: /not a terminal/ });
});
