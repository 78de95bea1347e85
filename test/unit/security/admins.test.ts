// Lists without the admins of the network: members of a register refuse them, whoever signed them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessList } from '../../../src/core/block/register.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { withoutAdmins } from '../../../src/core/node/passport-book.ts';

const key = (name: string) => keyPairFromSeed(Buffer.alloc(32, name)).publicKey;
const [owner, reader, writer] = [key('owner'), key('reader'), key('writer')];
const admins = [
  { key: reader, write: false },
  { key: writer, write: true },
];

function listOf(readers: Buffer[], writers: Buffer[], version = 2): AccessList {
  const sealed = readers.map((one) => ({ key: one, sealed: Buffer.alloc(81) }));
  const world = { worldReader: undefined, worldWrite: false };
  return { version, owner, readers: sealed, writers, ...world, signature: Buffer.alloc(64) };
}

test('a new list of something sealed names every admin, with his right', () => {
  const before = listOf([owner], [], 1);
  assert.equal(withoutAdmins(admins, listOf([owner, reader, writer], [writer]), before), undefined);
  for (const list of [
    listOf([owner], []),
    listOf([owner, reader], []),
    listOf([owner, writer], [writer]),
    listOf([owner, reader, writer], []),
    listOf([owner, reader], [writer]),
  ]) {
    assert.match(withoutAdmins(admins, list, before) ?? '', /admin/);
    assert.match(withoutAdmins(admins, list, undefined) ?? '', /admin/);
  }
  assert.equal(withoutAdmins([{ key: owner, write: true }], listOf([owner], []), undefined), undefined);
});

test('a list there was stays as it is, and what is in the clear needs none', () => {
  const list = listOf([owner], []);
  assert.equal(withoutAdmins(admins, list, list), undefined);
  assert.equal(withoutAdmins(admins, listOf([], [], 1), undefined), undefined);
  assert.equal(withoutAdmins([], list, undefined), undefined);
});
