// The root register of an open tree when its owner has recovered it (docs/protocols.md 2.11): what follows is newer than all before,
// whatever version it has, and is sealed under the access list that stands.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AccessList } from '../../../src/core/block/register.ts';
import type { RegisterSnapshot } from '../../../src/core/consensus/consensus.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { openSecret } from '../../../src/core/tree/access.ts';
import { RootRegister, type RootRegisterOptions } from '../../../src/core/tree/context.ts';
import { createTreeRoot, deriveTreeKeys, openRootBody, readHeader } from '../../../src/core/tree/root.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';

const owner = keyPairFromSeed(Buffer.alloc(32, 1));
const treeId = Buffer.alloc(16, 2);
const address = Buffer.alloc(32, 3);

test('a root after a recovery takes the place of one with a later version and another secret', async () => {
  const random = new SeededRandom('root');
  /** With a secret of its own. */
  const root = (place: { recovered: number; version: number; access: number }): RegisterSnapshot => {
    const { payload, access: unsigned } = createTreeRoot({ owner, treeId }, random);
    const access: AccessList = { ...unsigned, version: place.access, signature: random.bytes(64) };
    const facts = { address, members: [], joint: false, author: owner.publicKey, deleted: false, generation: 0 };
    return { ...facts, ...place, access, payload, valueHash: Buffer.alloc(32), proof: Buffer.alloc(0) };
  };
  const lost = root({ recovered: 0, version: 9, access: 2 });
  for (const access of [1, 2, 3]) {
    const recovered = root({ recovered: 1000, version: 5, access });
    let current = lost;
    const registers = {
      read: () => Promise.resolve(current),
      write: (_address: unknown, _author: unknown, change: (current: RegisterSnapshot) => Buffer) => {
        current = { ...current, version: current.version + 1, payload: change(current) };
        return Promise.resolve(current);
      },
    };
    const secretOf = (list: AccessList) => openSecret(list, owner);
    const parts = { runtime: { random }, store: { registers }, treeId, address, user: owner, secretOf };
    const register = new RootRegister(parts as unknown as RootRegisterOptions);
    await register.read();
    current = recovered;
    await register.write(({ header, body }) => ({ header: { ...header, applied: 7 }, body }));
    assert.equal(register.latest?.header.applied, 7);
    assert.deepEqual(register.secret, secretOf(recovered.access));
    const written = readHeader(current, treeId);
    assert.equal(openRootBody(deriveTreeKeys(secretOf(recovered.access)), written).nextSegment, 1);
  }
});
