import assert from 'node:assert/strict';
import { test } from 'node:test';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { checkRecord, mergeRecord, type NodeStatement, signRecord } from '../../../src/core/overlay/node-record.ts';
import { type NodeRecord, nodeRecord } from '../../../src/core/overlay/overlay.ts';

const key = keyPairFromSeed(Buffer.alloc(32, 1));
const other = keyPairFromSeed(Buffer.alloc(32, 2));
const statement: NodeStatement = {
  userKey: Buffer.alloc(32, 3),
  endpoints: [{ host: 'one.example', port: 7000 }],
  positions: 8,
  zone: 'cellar',
  capacityBytes: 2 ** 40,
  freeBytes: 2 ** 39,
  stores: [Buffer.alloc(8, 4)],
  closed: false,
  leaving: false,
  credentials: Buffer.alloc(0),
  serial: 5,
};
const corrupt = (error: unknown) => isError(error, 'corrupt');

test('a signed record survives its encoding and verifies', () => {
  const record = signRecord(key, statement);
  const back = decode(nodeRecord, encode(nodeRecord, record));
  checkRecord(back);
  assert.deepEqual(encode(nodeRecord, back), encode(nodeRecord, record));
});

test('a record changed in any field is refused', () => {
  const record = signRecord(key, statement);
  const changes: Partial<NodeRecord>[] = [
    { serial: 6 },
    { positions: 9 },
    { zone: undefined },
    { endpoints: [] },
    { closed: true },
    { stores: [] },
    { userKey: other.publicKey },
    { id: signRecord(other, statement).id },
    { publicKey: other.publicKey },
    { signature: Buffer.alloc(64) },
  ];
  for (const change of changes)
    assert.throws(() => checkRecord({ ...record, ...change }), corrupt, JSON.stringify(change));
});

test('a node cannot claim more positions than the limit, or none', () => {
  for (const positions of [0, 1025])
    assert.throws(() => checkRecord(signRecord(key, { ...statement, positions })), corrupt);
});

test('the higher serial stands; an older one never replaces, a forged newer one is refused', () => {
  const old = signRecord(key, statement);
  const newer = signRecord(key, { ...statement, serial: 6, closed: true });
  assert.equal(mergeRecord(undefined, old), old);
  assert.equal(mergeRecord(old, newer), newer);
  assert.equal(mergeRecord(newer, old), newer);
  assert.equal(mergeRecord(old, { ...old }), old);
  assert.throws(() => mergeRecord(old, { ...newer, serial: 7 }), corrupt);
});

test('of two records with one serial all keep the same, in whatever order they come', () => {
  const one = signRecord(key, statement);
  const other = signRecord(key, { ...statement, closed: true });
  assert.equal(mergeRecord(one, other), mergeRecord(other, one));
  const forged = { ...other, zone: 'elsewhere', signature: Buffer.alloc(64, 0xff) };
  assert.throws(() => mergeRecord(one, forged), corrupt);
});
