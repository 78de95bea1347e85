// Sizes, durations and whole numbers as people write them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../src/core/base/errors.ts';
import { formatBytes, parseBytes, parseDuration, parseInteger } from '../../../src/core/cli/quantities.ts';

const usage = (error: unknown) => isError(error, 'usage');

test('kB is 1000, KiB is 1024, case does not matter, a bare number is bytes', () => {
  const sizes = {
    '0': 0,
    '17': 17,
    '5B': 5,
    '1kB': 1e3,
    '1KB': 1e3,
    '1KiB': 1024,
    '2.5GiB': 2.5 * 2 ** 30,
    '50 gb': 50e9,
  };
  for (const [text, bytes] of Object.entries({ ...sizes, '1TiB': 2 ** 40, ' 3MB ': 3e6 })) {
    assert.equal(parseBytes(text), bytes, text);
  }
});

test('what is no size is a usage error', () => {
  for (const text of [
    '',
    'many',
    '-1',
    '1e3',
    '1 XB',
    '1.GB',
    '.5GB',
    '0x10',
    '9999999TiB',
    'constructor',
    '1toString',
  ]) {
    assert.throws(() => parseBytes(text), usage, text);
  }
});

test('durations are milliseconds, and a bare number is seconds', () => {
  const times = { '2': 2000, '250ms': 250, '1.5s': 1500, '10min': 600_000, '2h': 7_200_000, '30d': 2_592_000_000 };
  for (const [text, ms] of Object.entries(times)) assert.equal(parseDuration(text), ms, text);
  for (const text of ['soon', '10 minutes', '-5s', '']) assert.throws(() => parseDuration(text), usage, text);
});

test('whole numbers keep their bounds', () => {
  const port = parseInteger('port', 0, 65_535);
  assert.deepEqual(['0', '65535'].map(port), [0, 65_535]);
  for (const text of ['65536', '-1', '1.5', '', ' 1', '1e2']) assert.throws(() => port(text), usage, text);
});

test('a formatted size reads back to within half a percent', () => {
  fc.assert(
    fc.property(fc.integer({ min: 0, max: 2 ** 50 }), (bytes) => {
      assert.ok(Math.abs(parseBytes(formatBytes(bytes)) - bytes) <= bytes * 0.005);
    }),
  );
  assert.deepEqual([0, 999, 1500, 50e9].map(formatBytes), ['0 B', '999 B', '1.5 kB', '50 GB']);
});
