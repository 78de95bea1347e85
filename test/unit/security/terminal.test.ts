// What others write must not steer the terminal of who reads it, nor must a secret be readable by others of the machine.

import assert from 'node:assert/strict';
import { chmodSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { writeDocument } from '../../../src/core/cli/documents.ts';
import { reportFailure } from '../../../src/core/cli/failure.ts';
import type { Invocation } from '../../../src/core/cli/invocation.ts';
import type { Paint } from '../../../src/core/cli/paint.ts';
import { printable, printableJson } from '../../../src/core/cli/printable.ts';
import { checkRecord, signRecord } from '../../../src/core/overlay/node-record.ts';
import { keyOf, member } from '../../fuzz/subjects.ts';

test('control characters are shown, our colours and line breaks stay', () => {
  assert.equal(printable('\u001b[1;31mred\u001b[39m\n\tplain\n'), '\u001b[1;31mred\u001b[39m\n\tplain\n');
  assert.equal(printable('\u001b]0;title\u0007'), '\\u001b]0;title\\u0007');
  assert.equal(printable('\u001b[2J\u001b[H\r\b\u009b2J'), '\\u001b[2J\\u001b[H\\u000d\\u0008\\u009b2J');
  assert.equal(printable('alice\u202egpj.exe'), 'alice\\u202egpj.exe');
});

test('JSON on standard output is the same value without control characters', async () => {
  const value = { key: 'a\u009b2J\u0085\u202e', list: ['\u001b[1mx'] };
  assert.doesNotMatch(printableJson(value), /[\p{Cc}\u202e]/u);
  assert.deepEqual(JSON.parse(printableJson(value)), value);
  let text = '';
  const stdout = { write: (piece: string) => void (text += piece) };
  await writeDocument({ stdout } as Partial<Invocation> as Invocation, undefined, value);
  assert.equal(text, `${printableJson(value)}\n`);
});

test('an error of another node is printed without its escapes', () => {
  let text = '';
  const stream = { write: (piece: string) => void (text += piece) };
  const invocation = { argv: [], env: { INFINIT_BACKTRACE: '1' }, stdout: stream, stderr: stream };
  const error = new InfinitError('denied', 'go away\u001b[2J', { hint: 'or\u001b]52;c;aGk=\u0007' });
  const paint = { red: (word: string) => word } as Partial<Paint> as Paint;
  reportFailure(error, [], invocation as Partial<Invocation> as Invocation, paint);
  assert.match(text, /go away\\u001b\[2J/);
  assert.doesNotMatch(text, /[^\P{Cc}\n\t]/u);
});

test('records of nodes with control characters are refused', () => {
  const statement = {
    userKey: member.publicKey,
    endpoints: [{ host: 'a.example', port: 1 }],
    positions: 4,
    zone: 'cellar' as string | undefined,
    capacityBytes: 1,
    freeBytes: 1,
    stores: [],
    closed: false,
    leaving: false,
    credentials: Buffer.alloc(0),
    serial: 1,
  };
  const refused = (error: unknown) => isError(error, 'corrupt');
  checkRecord(signRecord(keyOf('node'), statement));
  assert.throws(() => checkRecord(signRecord(keyOf('node'), { ...statement, zone: 'a\u001b[2J' })), refused);
  const endpoints = [{ host: 'a\nb', port: 1 }];
  assert.throws(() => checkRecord(signRecord(keyOf('node'), { ...statement, endpoints })), refused);
});

test('a secret written over a file that others may read is closed to them', async (t) => {
  const folder = mkdtempSync(join(tmpdir(), 'infinit-secret-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const path = join(folder, 'alice.json');
  writeFileSync(path, 'older and much longer than what comes');
  chmodSync(path, 0o644);
  const invocation = { workingDirectory: folder } as Partial<Invocation> as Invocation;
  assert.equal(await writeDocument(invocation, 'alice.json', { private: 1 }, { secret: true }), true);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(readFileSync(path, 'utf8'), '{"private":1}\n');
});
