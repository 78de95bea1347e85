// Keys: byte order is number order, spaces keep apart, ranges hold exactly what starts with their prefix.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import {
  chunkKey,
  chunkRecord,
  prefixRange,
  spaceRange,
  spaces,
  superKey,
  superRecord,
  userKeyOf,
  valueKey,
} from '../../../src/core/tree/keys.ts';
import { valueRecord } from '../../../src/core/volume/key-view.ts';

const isCorrupt = (error: unknown) => isError(error, 'corrupt');

test('chunk keys are ordered by number', () => {
  fc.assert(
    fc.property(fc.nat(2 ** 31), fc.nat(2 ** 31), fc.nat(2 ** 16 - 1), (a, b, high) => {
      const [left, right] = [a, b + high * 2 ** 32];
      assert.equal(Math.sign(Buffer.compare(chunkKey(left), chunkKey(right))), Math.sign(left - right));
    }),
  );
});

test('a prefix range holds the keys with the prefix and no other', () => {
  const some = fc.uint8Array({ minLength: 1, maxLength: 4 }).map((bytes) => Buffer.from(bytes));
  fc.assert(
    fc.property(some, some, fc.boolean(), (prefix, other, extend) => {
      fc.pre(prefix.some((byte) => byte !== 0xff));
      const key = extend ? Buffer.concat([prefix, other]) : other;
      const { from, to } = prefixRange(prefix);
      const inside = Buffer.compare(from, key) <= 0 && Buffer.compare(key, to) < 0;
      assert.equal(inside, key.subarray(0, prefix.length).equals(prefix));
    }),
    { numRuns: 500 },
  );
  assert.throws(() => prefixRange(Buffer.from([0xff])), RangeError);
});

test('spaces have one byte each, and ranges apart', () => {
  const bytes = Object.values(spaces);
  assert.equal(new Set(bytes).size, bytes.length);
  assert.ok(bytes.every((byte) => byte.length === 1));
  const { from, to } = spaceRange('value');
  assert.ok(Buffer.compare(from, valueKey(Buffer.alloc(1024, 0xff))) < 0);
  assert.ok(Buffer.compare(valueKey(Buffer.alloc(1024, 0xff)), to) < 0);
  assert.deepEqual([superKey.toString('hex'), chunkKey(258).toString('hex')], ['6d00', '63000000000102']);
  assert.deepEqual(userKeyOf(valueKey(utf8('a'))), utf8('a'));
  for (const length of [0, 1025])
    assert.throws(
      () => valueKey(Buffer.alloc(length)),
      (error) => isError(error, 'usage'),
    );
});

test('records come back; larger ones than any writer makes are refused', () => {
  const cells = { version: 9, body: { type: 'cells' as const, cells: [{ chunk: 2 ** 40, cell: 7, length: 65_536 }] } };
  const inline = { version: 9, body: { type: 'inline' as const, bytes: utf8('value') } };
  for (const record of [cells, inline]) assert.deepEqual(decode(valueRecord, encode(valueRecord, record)), record);
  const large = encode(valueRecord, { version: 1, body: { type: 'inline', bytes: Buffer.alloc(256) } });
  large.writeUInt32BE(257, 9);
  assert.throws(() => decode(valueRecord, Buffer.concat([large, Buffer.alloc(1)])), isCorrupt);
  const record = {
    address: Buffer.alloc(32, 1),
    key: Buffer.alloc(32, 2),
    stored: 1_000_000,
    live: 65_536,
    coding: 0,
    generation: 3,
    plain: 131_072,
  };
  assert.equal(encode(chunkRecord, record).length, 81);
  assert.deepEqual(decode(chunkRecord, encode(chunkRecord, record)), record);
  const whole = {
    format: 1,
    view: 'keys',
    nextInode: 2,
    nextChunk: 1024,
    bytesUsed: 2 ** 45,
    inodesUsed: 0,
    quota: 0,
    defaultMode: 0o755,
    createdMs: 1,
  };
  assert.deepEqual(decode(superRecord, encode(superRecord, whole)), whole);
});
