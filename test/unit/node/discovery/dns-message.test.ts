import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../../src/core/base/errors.ts';
import {
  decodeMessage,
  encodeMessage,
  type Message,
  recordTypes,
} from '../../../../src/core/node/discovery/dns-message.ts';

const name = fc.array(fc.stringMatching(/^[a-z0-9_-]{1,20}$/), { minLength: 1, maxLength: 6 });
const data = fc.oneof(
  fc
    .tuple(fc.nat(255), fc.nat(255), fc.nat(255), fc.nat(255))
    .map((parts) => ({ type: 'a' as const, address: parts.join('.') })),
  name.map((target) => ({ type: 'ptr' as const, target })),
  fc.constant({ type: 'txt' as const }),
  fc.record({ type: fc.constant('srv' as const), port: fc.nat(65_535), target: name }),
);
const message: fc.Arbitrary<Message> = fc.record({
  id: fc.nat(65_535),
  isAnswer: fc.boolean(),
  questions: fc.array(fc.record({ name, type: fc.nat(65_535), unicast: fc.boolean() }), { maxLength: 5 }),
  records: fc.array(fc.record({ name, ttlSeconds: fc.nat(0xffff_ffff), unique: fc.boolean(), data }), { maxLength: 5 }),
});

test('what is written is read', () => {
  fc.assert(fc.property(message, (one) => assert.deepEqual(decodeMessage(encodeMessage(one)), structuredClone(one))));
});

test('a message as other programs write it, with pointers', () => {
  // Answer: PTR _infinit._tcp.local -> x._infinit._tcp.local by a pointer, and a record of a kind not known here.
  const bytes = Buffer.concat([
    Buffer.from('000084000000000200000000', 'hex'),
    Buffer.from('085f696e66696e6974045f746370056c6f63616c00', 'hex'),
    Buffer.from('000c0001000011940004' + '0178c00c', 'hex'),
    Buffer.from('c00c' + '002f8001000000780002' + 'ffff', 'hex'),
  ]);
  const service = ['_infinit', '_tcp', 'local'];
  assert.deepEqual(decodeMessage(bytes).records, [
    { name: service, ttlSeconds: 4500, unique: false, data: { type: 'ptr', target: ['x', ...service] } },
  ]);
});

test('whatever comes is read or corrupt, soon', () => {
  const check = (bytes: Uint8Array) => {
    try {
      decodeMessage(Buffer.from(bytes));
    } catch (error) {
      assert.ok(isError(error, 'corrupt'), String(error));
    }
  };
  fc.assert(fc.property(fc.uint8Array({ maxLength: 600 }), check), { numRuns: 2000 });
  const changed = fc.tuple(message, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { minLength: 1, maxLength: 8 }));
  fc.assert(
    fc.property(changed, ([one, changes]) => {
      const bytes = encodeMessage(one);
      for (const [at, value] of changes) bytes[at % bytes.length] = value;
      check(bytes);
    }),
    { numRuns: 2000 },
  );
  // A pointer to itself, and a chain of them as long as a message may be.
  check(Buffer.from('000000000001000000000000c00c00ff0001', 'hex'));
  const chain = Buffer.alloc(9000, 0xc0);
  chain.writeUInt16BE(1, 4);
  check(chain);
  assert.equal(recordTypes.any, 255);
});
