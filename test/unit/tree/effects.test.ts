// Journal batches: round trip, and every damage refused.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { u64Bytes, utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { decodeRecords, type JournalContext, openBatch, sealBatch } from '../../../src/core/tree/effects.ts';
import type { Effect } from '../../../src/core/tree/tree.ts';
import { memoryRuntime } from './memory-blocks.ts';

const secret = Buffer.alloc(32, 3);
const context: JournalContext = {
  runtime: memoryRuntime(),
  secret: () => secret,
  treeId: Buffer.alloc(16, 4),
};
const isCorrupt = (error: unknown) => isError(error, 'corrupt');

const key = fc.uint8Array({ minLength: 1, maxLength: 40 }).map((bytes) => Buffer.from(bytes));
const effect: fc.Arbitrary<Effect> = fc.oneof(
  fc.record(
    {
      type: fc.constant('put' as const),
      key,
      value: fc.uint8Array({ maxLength: 400 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  ),
  fc.record({ type: fc.constant('delete' as const), key }, { noNullPrototype: true }),
  key.map((from): Effect => ({ type: 'deleteRange', from, to: Buffer.concat([from, utf8('~')]) })),
);
const records = fc.array(fc.array(effect, { maxLength: 12 }), { minLength: 1, maxLength: 20 });

test('batches come back as they were sealed, with their epoch', async () => {
  await fc.assert(
    fc.asyncProperty(records, fc.integer({ min: 1, max: 2 ** 40 }), async (given, first) => {
      const batch = await sealBatch(context, 77, first, given);
      assert.deepEqual([batch.first, batch.last], [first, first + given.length - 1]);
      assert.deepEqual(await openBatch(context, batch), { epoch: 77, records: given });
    }),
    { numRuns: 100 },
  );
});

test('a batch of alike records is small', async () => {
  const given = Array.from({ length: 1000 }, (_, i): Effect[] => [
    { type: 'put', key: Buffer.concat([utf8('a/long/common/prefix/'), u64Bytes(i)]), value: Buffer.alloc(100, 1) },
  ]);
  const batch = await sealBatch(context, 1, 1, given);
  assert.ok(batch.data.length < 10_000, `${batch.data.length} bytes`);
});

test('changed bytes, another place, epoch, tree or secret are refused', async () => {
  const given: Effect[][] = [[{ type: 'put', key: utf8('a'), value: utf8('b') }], []];
  const batch = await sealBatch(context, 5, 10, given);
  for (let at = 0; at < batch.data.length; at++) {
    const data = Buffer.from(batch.data);
    data[at] = (data[at] as number) ^ 4;
    await assert.rejects(openBatch(context, { ...batch, data }), isCorrupt, `byte ${at}`);
    await assert.rejects(openBatch(context, { ...batch, data: batch.data.subarray(0, at) }), isCorrupt);
  }
  await assert.rejects(openBatch(context, { ...batch, first: 9, last: 10 }), isCorrupt);
  await assert.rejects(openBatch(context, { ...batch, last: 12 }), isCorrupt);
  await assert.rejects(openBatch({ ...context, treeId: Buffer.alloc(16, 5) }, batch), isCorrupt);
  await assert.rejects(openBatch({ ...context, secret: () => Buffer.alloc(32, 5) }, batch), isCorrupt);
});

test('hostile plain records are refused, never read past their end', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 80 }), fc.integer({ min: 1, max: 5 }), (bytes, count) => {
      try {
        const decoded = decodeRecords(bytes, count);
        for (const each of decoded.flat())
          if (each.type !== 'deleteRange') assert.ok(each.key.length > 0);
          else assert.ok(Buffer.compare(each.from, each.to) < 0);
      } catch (error) {
        assert.ok(isCorrupt(error), String(error));
      }
    }),
    { numRuns: 3000 },
  );
  const malformed = [
    [1, 3], // unknown effect
    [1, 1, 1, 0], // shares a byte of nothing
    [1, 1, 0, 0], // empty key
    [1, 2, 0, 1, 98, 0, 1, 97], // range that ends before it starts
    [1, 0, 0, 1, 97, 255, 255, 255, 255, 1], // a length of 2^32
    [0, 0], // bytes left over
  ];
  for (const bytes of malformed) assert.throws(() => decodeRecords(Buffer.from(bytes), 1), isCorrupt);
  assert.throws(() => decodeRecords(Buffer.alloc(2 * limits.journalBatchOperationsMax), 5000), isCorrupt);
});

test('a batch above the limit is refused before it is written', async () => {
  const large: Effect[] = [{ type: 'put', key: utf8('a'), value: Buffer.alloc(limits.journalBatchBytesMax) }];
  await assert.rejects(sealBatch(context, 1, 1, [large]), (error) => isError(error, 'full'));
  await assert.rejects(sealBatch(context, 1, 1, Array(5000).fill([])), (error) => isError(error, 'full'));
});
