// The bytes between peers as docs/formats-peer.md gives them: a change here is a change of the protocol.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { encode } from '../../../src/core/base/codec.ts';
import { errorKinds, InfinitError } from '../../../src/core/base/errors.ts';
import {
  errorCodec,
  frameFlags,
  frameKinds,
  framePrefix,
  hello,
  namePart,
  parseFrame,
  splitName,
} from '../../../src/core/peer/frames.ts';

test('prefix, name and hello', () => {
  const prefix = framePrefix(frameKinds.request, 0x01020304, 0x0a0b, 0x0506, frameFlags.named);
  assert.equal(prefix.toString('hex'), '030105060102030400000a0b');
  assert.equal(namePart('a.b').toString('hex'), '03612e62');
  const greeting = encode(hello, { versionMin: 1, versionMax: 2, presented: Buffer.from('hi') });
  assert.equal(greeting.toString('hex'), '00010002000000026869');
});

test('errors', () => {
  const error = new InfinitError('denied', 'no', { hint: 'ask', data: { a: 1 } });
  assert.equal(encode(errorCodec, error).toString('hex'), '03000000026e6f010000000361736b01000000077b2261223a317d');
  assert.equal(encode(errorCodec, new InfinitError('usage', '')).toString('hex'), '00000000000000');
  assert.equal(errorKinds.indexOf('internal'), 11);
});

test('what is very long is cut or left out, never refused', () => {
  const huge = new InfinitError('full', 'x'.repeat(100_000), {
    hint: 'y'.repeat(9000),
    data: { z: 'z'.repeat(20_000) },
  });
  const bytes = encode(errorCodec, huge);
  assert.ok(bytes.length < 5000);
  const circular: Record<string, unknown> = {};
  circular.self = circular;
  assert.ok(encode(errorCodec, new InfinitError('full', 'm', { data: circular })).length < 20);
});

test('a frame comes apart as it was put together', () => {
  const header = Buffer.from('header');
  const frame = parseFrame(
    Buffer.concat([framePrefix(frameKinds.request, 7, header.length, 9, frameFlags.named), namePart('n'), header]),
  );
  assert.deepEqual(
    [frame.kind, frame.flags, frame.method, frame.call, frame.headerLength],
    [frameKinds.request, frameFlags.named, 9, 7, 6],
  );
  const { name, rest } = splitName(frame.body);
  assert.equal(name, 'n');
  assert.deepEqual(rest, header);
});
