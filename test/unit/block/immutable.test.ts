// Immutable blocks: header, limits, and the address that certifies them (docs/protocols.md 3, I1).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { blockAddress } from '../../../src/core/block/address.ts';
import {
  checkImmutable,
  decodeImmutable,
  decodeImmutableHeader,
  encodeImmutable,
  immutableHeaderBytes,
  treeTagOf,
} from '../../../src/core/block/immutable.ts';

const tag = treeTagOf(Buffer.alloc(32, 1));
const isCorrupt = (error: unknown) => isError(error, 'corrupt');

test('a block says whose it is and comes back whole', () => {
  const block = encodeImmutable(tag, 'aes256gcm', [utf8('pay'), utf8('load')]);
  const decoded = decodeImmutable(block);
  assert.deepEqual(decoded, { cipher: 'aes256gcm', treeTag: tag, payloadLength: 7, payload: utf8('payload') });
  assert.equal(block.toString('hex'), `0101${tag.toString('hex')}00000007${Buffer.from('payload').toString('hex')}`);
  assert.deepEqual(checkImmutable(blockAddress(block), block).treeTag, tag);
  assert.equal(decodeImmutableHeader(block.subarray(0, immutableHeaderBytes)).payloadLength, 7);
  assert.notDeepEqual(treeTagOf(Buffer.alloc(32, 2)), tag);
});

test('any changed byte changes the address; malformed headers are refused', () => {
  const block = encodeImmutable(tag, 'clear', [utf8('x')]);
  const address = blockAddress(block);
  for (let at = 0; at < block.length; at++) {
    const changed = Buffer.from(block);
    changed[at] = (changed[at] as number) ^ 1;
    assert.throws(() => checkImmutable(address, changed), isCorrupt);
  }
  const format = Buffer.from(block);
  format[0] = 2;
  const cipher = Buffer.from(block);
  cipher[1] = 9;
  const length = Buffer.from(block);
  length.writeUInt32BE(0xffff_ffff, 18);
  for (const bad of [format, cipher, length, block.subarray(0, 21), Buffer.alloc(0)])
    assert.throws(() => decodeImmutableHeader(bad), isCorrupt);
  for (const bad of [block.subarray(0, -1), Buffer.concat([block, utf8('y')])])
    assert.throws(() => decodeImmutable(bad), isCorrupt);
});

test('a block has a limit', () => {
  assert.throws(
    () => encodeImmutable(tag, 'clear', [Buffer.alloc(1 << 22)]),
    (error) => isError(error, 'full'),
  );
  assert.throws(() => encodeImmutable(Buffer.alloc(15), 'clear', []), RangeError);
});
