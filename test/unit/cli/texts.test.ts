// Sentences, outlines, versions and input lines.

import assert from 'node:assert/strict';
import { Readable } from 'node:stream';
import { test } from 'node:test';
import { errorKinds } from '../../../src/core/base/errors.ts';
import { readRequests } from '../../../src/core/cli/documents.ts';
import { exitCodes } from '../../../src/core/cli/exit-codes.ts';
import { outline, pick } from '../../../src/core/cli/outline.ts';
import { imported, pretty, removedLines, titled } from '../../../src/core/cli/texts.ts';
import { checkCompatibility } from '../../../src/core/cli/version.ts';

test('things are named as scripts expect', () => {
  assert.equal(pretty('user', 'alice'), 'identity for user "alice"');
  assert.equal(pretty('network', 'alice/n'), 'network descriptor "alice/n"');
  assert.equal(pretty('passport', 'alice/n/bob'), 'passport "alice/n: bob"');
  assert.equal(imported('user', 'a', 'saved'), 'Imported identity for user "a".');
  assert.deepEqual(removedLines([{ kind: 'linked-network', name: 'bob/alice/n' }]), [
    'Locally unlinked network "alice/n".',
  ]);
  assert.deepEqual([titled('a', undefined), titled('a', 'd')], ['a', 'a "d"']);
});

test('an outline shows nested values, lists and nothing', () => {
  const value = { a_b: 1, freeBytes: null, list: [{ x: 1, y: [2] }, 'z'], none: [], gone: undefined };
  assert.deepEqual(outline(value), [
    'a b: 1',
    'free bytes: none',
    'list:',
    '  - x: 1',
    '    y:',
    '      - 2',
    '  - z',
    'none: none',
  ]);
  assert.deepEqual(outline(['[fd00::2]:1', '-x']), ['- [fd00::2]:1', '- -x']);
  assert.deepEqual(pick({ a: 1, b: 2 }, ['b', 'c']), { b: 2 });
});

test('versions must parse, not be newer than this, not older than any', () => {
  for (const text of ['0.3.0', '0.8.0', '1.0.0']) assert.equal(checkCompatibility(text, '1.0.0'), text);
  for (const text of ['1..', '0..', ' ', 'nekolas', '1.0', '1.0.0.0', '-1.0.0', '']) {
    assert.throws(() => checkCompatibility(text, '1.0.0'), { kind: 'usage' }, text);
  }
  for (const text of ['1.0.1', '2.0.0', '0.2.9']) {
    assert.throws(() => checkCompatibility(text, '1.0.0'), { kind: 'unsupported' }, text);
  }
});

test('every kind of error has an exit code, 2 for usage alone', () => {
  assert.deepEqual(
    errorKinds.filter((kind) => exitCodes[kind] === 2),
    ['usage'],
  );
  assert.ok(errorKinds.every((kind) => exitCodes[kind] === 1 || kind === 'usage'));
});

test('requests come a line each, however the input is cut; too long a line and no JSON are errors', async () => {
  const read = async (pieces: string[], limit = 100) => {
    const requests: unknown[] = [];
    for await (const request of readRequests(Readable.from(pieces.map((piece) => Buffer.from(piece))), limit)) {
      requests.push(request);
    }
    return requests;
  };
  assert.deepEqual(await read(['{"a"', ':1}\n\n[2', ']\n', '"\u00e9"']), [{ a: 1 }, [2], '\u00e9']);
  await assert.rejects(read(['{"a":']), { kind: 'usage' });
  await assert.rejects(read(['x'.repeat(101)]), { kind: 'full' });
});
