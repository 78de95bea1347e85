import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { concatBytes } from '../../../src/core/base/bytes.ts';
import {
  attachment,
  bool,
  bytes,
  type Codec,
  type CodecType,
  decode,
  decodeParts,
  encode,
  encodeParts,
  fixed,
  list,
  nested,
  oneOf,
  optional,
  struct,
  text,
  u8,
  u16,
  u32,
  u48,
  u64,
  union,
} from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';

const sample = struct({
  small: u8,
  medium: u16,
  large: u32,
  wide: u48,
  widest: u64,
  flag: bool,
  id: fixed(4),
  name: text(40),
  blob: bytes(100),
  word: oneOf(['red', 'green']),
  maybe: optional(u16),
  items: list(struct({ key: bytes(10), value: u8 }), 5),
  choice: union({ none: struct({}), some: struct({ value: u32 }) }),
  inner: nested(struct({ a: u8 }), 20),
});
type Sample = CodecType<typeof sample>;

const item = fc.record({ key: fc.uint8Array({ maxLength: 10 }), value: fc.nat(255) });
const choice: fc.Arbitrary<Sample['choice']> = fc.oneof(
  fc.constant({ type: 'none' as const }),
  fc.record({ type: fc.constant('some' as const), value: fc.nat(0xffff_ffff) }),
);
const samples: fc.Arbitrary<Sample> = fc.record({
  small: fc.nat(255),
  medium: fc.nat(65_535),
  large: fc.nat(0xffff_ffff),
  wide: fc.nat(2 ** 48 - 1),
  widest: fc.maxSafeNat(),
  flag: fc.boolean(),
  id: fc.uint8Array({ minLength: 4, maxLength: 4 }),
  name: fc.string({ maxLength: 10 }),
  blob: fc.uint8Array({ maxLength: 100 }),
  word: fc.constantFrom('red' as const, 'green' as const),
  maybe: fc.option(fc.nat(65_535), { nil: undefined }),
  items: fc.array(item, { maxLength: 5 }),
  choice,
  inner: fc.record({ a: fc.nat(255) }),
});

/** Byte strings as plain arrays, so that Buffers equal Uint8Arrays. */
function plain(value: unknown): unknown {
  return JSON.parse(
    JSON.stringify(value, (_, field: unknown) => {
      const buffer = field as { type?: unknown; data?: unknown };
      if (buffer?.type === 'Buffer') return buffer.data;
      return field instanceof Uint8Array ? [...field] : field;
    }),
  );
}

test('what is encoded decodes to the same, and has one encoding', () => {
  fc.assert(
    fc.property(samples, (value) => {
      const encoded = encode(sample, value);
      const decoded = decode(sample, encoded);
      assert.deepEqual(plain(decoded), plain(value));
      assert.deepEqual(encode(sample, decoded), encoded);
    }),
  );
});

test('truncated, extended and damaged encodings are refused with a typed error or decode to something valid', () => {
  fc.assert(
    fc.property(samples, fc.nat(), fc.nat(255), (value, at, noise) => {
      const encoded = encode(sample, value);
      const cut = encoded.subarray(0, at % encoded.length);
      assert.throws(
        () => decode(sample, cut),
        (error: unknown) => isError(error, 'corrupt'),
      );
      const longer = Buffer.concat([encoded, Buffer.from([noise])]);
      assert.throws(
        () => decode(sample, longer),
        (error: unknown) => isError(error, 'corrupt'),
      );
      const damaged = Buffer.from(encoded);
      damaged[at % damaged.length] = noise;
      try {
        assert.deepEqual(encode(sample, decode(sample, damaged)), damaged);
      } catch (error) {
        assert.ok(isError(error, 'corrupt'), String(error));
      }
    }),
  );
});

test('random bytes never do anything but throw corrupt or decode', () => {
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), (noise) => {
      try {
        decode(sample, noise);
      } catch (error) {
        assert.ok(isError(error, 'corrupt'), String(error));
      }
    }),
  );
});

test('limits hold in both directions', () => {
  const cases: [Codec<never>, unknown][] = [
    [bytes(3) as Codec<never>, Buffer.alloc(4)],
    [list(u8, 2) as Codec<never>, [1, 2, 3]],
    [text(2) as Codec<never>, 'abc'],
    [attachment(3) as Codec<never>, Buffer.alloc(4)],
  ];
  for (const [codec, value] of cases) {
    assert.throws(
      () => encode(codec, value as never),
      (error: unknown) => isError(error, 'full'),
    );
  }
  const big = encode(bytes(4), Buffer.alloc(4));
  assert.throws(
    () => decode(bytes(3), big),
    (error: unknown) => isError(error, 'corrupt'),
  );
  const huge = Buffer.from('ffffffff', 'hex');
  for (const codec of [bytes(3), list(u8, 2), text(2), attachment(3)] as Codec<unknown>[]) {
    assert.throws(
      () => decode(codec, huge),
      (error: unknown) => isError(error, 'corrupt'),
    );
  }
});

test('integers above 2^53 and text that is not UTF-8 are refused', () => {
  assert.throws(
    () => decode(u64, Buffer.alloc(8, 255)),
    (error: unknown) => isError(error, 'corrupt'),
  );
  assert.throws(() => encode(u64, 2 ** 53), RangeError);
  assert.throws(() => encode(u64, -1), RangeError);
  const notText = Buffer.from('00000002c328', 'hex');
  assert.throws(
    () => decode(text(10), notText),
    (error: unknown) => isError(error, 'corrupt'),
  );
});

test('attachments travel behind the header without a copy, or in place', () => {
  const codec = struct({ a: u8, first: attachment(100), b: u8, second: attachment(100) });
  const value = { a: 1, first: randomBytes(10), b: 2, second: randomBytes(20) };
  const { header, attachments } = encodeParts(codec, value);
  assert.equal(attachments[0], value.first);
  assert.equal(attachments[1], value.second);
  const frame = concatBytes([header, ...attachments]);
  assert.deepEqual(plain(decodeParts(codec, frame, header.length)), plain(value));
  assert.deepEqual(plain(decode(codec, encode(codec, value))), plain(value));
  assert.throws(
    () => decodeParts(codec, frame.subarray(0, -1), header.length),
    (e: unknown) => isError(e, 'corrupt'),
  );
  assert.throws(
    () => decodeParts(codec, frame, frame.length + 1),
    (e: unknown) => isError(e, 'corrupt'),
  );
  const extra = Buffer.concat([frame, Buffer.from([0])]);
  assert.throws(
    () => decodeParts(codec, extra, header.length),
    (e: unknown) => isError(e, 'corrupt'),
  );
});
