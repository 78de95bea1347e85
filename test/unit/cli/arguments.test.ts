// Words made ready for the parser: existence, arguments, booleans by value.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Flags } from '@oclif/core';
import { isError } from '../../../src/core/base/errors.ts';
import { asUsageError, normaliseWords, parsing } from '../../../src/core/cli/arguments.ts';

const flags = {
  name: Flags.string({ char: 'n' }),
  silo: Flags.string({ char: 'S', multiple: true }),
  force: Flags.boolean({ char: 'f' }),
  quick: Flags.boolean({ char: 'q', exclusive: ['force'] }),
  cache: Flags.boolean({ default: true, allowNo: true }),
  'no-local': Flags.boolean(),
};

const normalise = (line: string) => normaliseWords(line.split(' ').filter(Boolean), flags).join(' ');

test('plain words and options pass as they are', () => {
  for (const line of ['alice -n bob -f', '--silo a --silo b', '--name=x y', '-fn bob', '-nbob', '- --', '--no-local']) {
    assert.equal(normalise(line), line);
  }
});

test('booleans by value become plain', () => {
  for (const value of ['false', 'no', '0']) assert.equal(normalise(`--cache=${value}`), '--no-cache');
  for (const value of ['true', 'yes', '1']) assert.equal(normalise(`--cache=${value}`), '--cache');
  assert.equal(normalise('a --force=no b'), 'a b');
  assert.equal(normalise('--no-cache'), '--no-cache');
});

test('what is wrong is named', () => {
  const wrong = {
    '--foo': 'unknown option: --foo',
    '--foo=1': 'unknown option: --foo',
    '-fx': 'unknown option: -x',
    '--no-force': 'unknown option: --no-force',
    '--toString': 'unknown option: --toString',
    '--name': 'option requires an argument: --name',
    '-f -n': 'option requires an argument: --name',
    '--name --force': 'option requires an argument: --name',
    '--name -f': 'option requires an argument: --name',
    '--cache=perhaps': 'invalid value for --cache: perhaps',
    '-f -q': 'options exclude each other: --quick, --force',
  };
  for (const [line, message] of Object.entries(wrong)) assert.throws(() => normalise(line), { kind: 'usage', message });
});

test('behind -- nothing is an option, and a value may look like an unknown one', () => {
  assert.equal(normalise('-- --foo -x'), '-- --foo -x');
  assert.equal(normalise('--name -x'), '--name -x');
  assert.equal(normalise('--name=--force'), '--name=--force');
});

test('required options are asked for', () => {
  const network = { network: Flags.string({ required: true }) };
  assert.throws(() => normaliseWords([], network), { kind: 'usage', message: 'missing option: --network' });
  assert.deepEqual(normaliseWords(['--network', 'x'], network), ['--network', 'x']);
});

test('an error thrown while parsing a value comes out as it was', async () => {
  const parse = parsing(() => normaliseWords(['--foo'], {}));
  const thrown = await parse('x').catch((error: unknown) => error);
  assert.ok(isError(asUsageError(thrown), 'usage'));
  const other = new TypeError('a bug');
  assert.equal(asUsageError(other), other);
});
