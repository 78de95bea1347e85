// Users register their own names in a network, and nobody else's.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, equalBytes, toBase64 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { DescriptorContext } from '../../../src/core/descriptor/context.ts';
import { keyToJson } from '../../../src/core/descriptor/keys.ts';
import { People } from '../../../src/core/node/sharing/people.ts';
import { Registry } from '../../../src/core/node/sharing/registry.ts';
import type { NetworkRegister } from '../../../src/core/store/network-register.ts';
import type { TreeEntry } from '../../../src/core/store/tree-entries.ts';

const key = (name: string): KeyPair => keyPairFromSeed(Buffer.alloc(32, name));
const usage = (error: unknown) => isError(error, 'usage');

test('a user registers as he is called here; the network tells his key, and of two that say so none', async () => {
  const entries: TreeEntry[] = [];
  const register = {
    named: async (id: Bytes) => entries.filter(({ treeId }) => equalBytes(treeId, id)),
    addTree: async ({ publicKey: owner }: KeyPair, treeId: Bytes, root: Bytes) =>
      void entries.push({ treeId, root, owner, signature: Buffer.alloc(64) }),
  } as unknown as NetworkRegister;
  const as = (name: string, user: KeyPair) => {
    const list = async () => [{ name, descriptor: { name, public_key: keyToJson(user.publicKey) } }];
    const people = new People({ repository: { list } } as unknown as DescriptorContext);
    return new Registry({ register, user, people });
  };
  const nothing = Buffer.alloc(0);
  const bob = as('bob', key('bob'));
  await assert.rejects(bob.get(1, 'resolve.bob'), usage);
  await assert.rejects(bob.set(1, 'register.alice', nothing), (error) => isError(error, 'denied'));
  await bob.set(1, 'register.bob', nothing);
  const told = Buffer.from(await as('alice', key('alice')).get(1, 'resolve.bob')).toString();
  assert.deepEqual(JSON.parse(told), { ed25519: toBase64(key('bob').publicKey) });
  // Somebody else's key under his own signature is not registered by it.
  const [entry] = entries;
  assert.ok(entry);
  entries.push({ ...entry, owner: key('mallory').publicKey });
  assert.equal((await bob.named('bob')).length, 1);
  await as('bob', key('another')).set(1, 'register.bob', nothing);
  await assert.rejects(bob.get(1, 'resolve.bob'), /several/);
  for (const name of ['resolve', 'nonsense.bob']) await assert.rejects(bob.set(1, name, nothing), usage);
});
