import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { KeyValueStoreDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import {
  createKeyValueStore,
  deleteKeyValueStore,
  getKeyValueStore,
  importKeyValueStore,
  listKeyValueStores,
} from '../../../src/core/descriptor/key-value-stores.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { signKeyValueStore, verifyKeyValueStore } from '../../../src/core/descriptor/signing.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { failsWith, newDevice, type TestDevice } from './support.ts';

async function scene(t: TestContext, seed: string): Promise<{ device: TestDevice; store: KeyValueStoreDescriptor }> {
  const device = await newDevice(t, seed);
  await createUser(device, { name: 'alice' });
  await createNetwork(device, { as: 'alice', name: 'n' });
  return {
    device,
    store: await createKeyValueStore(device, { as: 'alice', name: 'kv', network: 'n', description: 'd' }),
  };
}

test('create, get, list, delete', async (t) => {
  const { device, store } = await scene(t, 'a');
  verifyKeyValueStore(store);
  assert.deepEqual([store.name, store.network, store.serial, store.description], ['alice/kv', 'alice/n', 1, 'd']);
  assert.deepEqual(await getKeyValueStore(device, 'alice', 'kv'), store);
  const second = await createKeyValueStore(device, { as: 'alice', name: 'second', network: 'alice/n' });
  assert.notEqual(second.tree_id, store.tree_id);
  assert.deepEqual(await listKeyValueStores(device), [
    { name: 'alice/kv', network: 'alice/n', description: 'd' },
    { name: 'alice/second', network: 'alice/n' },
  ]);
  assert.deepEqual(await listKeyValueStores(device, 'alice/other'), []);
  assert.deepEqual(await deleteKeyValueStore(device, 'alice', 'kv'), { name: 'alice/kv' });
  const gone = getKeyValueStore(device, 'alice', 'kv');
  await assert.rejects(gone, failsWith('not-found', /^key-value store "alice\/kv" does not exist$/));
});

test('create refuses foreign names, unknown networks and names taken', async (t) => {
  const { device } = await scene(t, 'a');
  const create = (name: string, network: string) => createKeyValueStore(device, { as: 'alice', name, network });
  await assert.rejects(create('bob/kv', 'n'), failsWith('denied', /of another user/));
  await assert.rejects(create('x', 'none'), failsWith('not-found', /network "alice\/none" does not exist/));
  await assert.rejects(create('kv', 'n'), failsWith('exists', /^key-value store "alice\/kv" already exists$/));
});

test('import takes a newer descriptor of the same store and nothing else', async (t) => {
  const { device, store } = await scene(t, 'a');
  const other = await scene(t, 'b');
  const pair = userKeyPair(await getUser(device, 'alice'));
  const { signature: _, ...unsigned } = store;
  const resign = (changes: Partial<KeyValueStoreDescriptor>) => signKeyValueStore(pair, { ...unsigned, ...changes });
  assert.equal((await importKeyValueStore(device, JSON.stringify(store))).result, 'unchanged');
  const newer = resign({ serial: 2, description: 'newer' });
  assert.equal((await importKeyValueStore(device, JSON.stringify(newer))).result, 'updated');
  const refused: [KeyValueStoreDescriptor, 'corrupt' | 'exists' | 'conflict' | 'denied', RegExp][] = [
    [store, 'conflict', /serial 1 is not newer than serial 2/],
    [{ ...newer, serial: 3 }, 'corrupt', /the signature is not its owner's/],
    [resign({ serial: 3, tree_id: other.store.tree_id }), 'exists', /another one of the same name/],
    [resign({ serial: 3, network: 'alice/m' }), 'exists', /another one of the same name/],
    [other.store, 'denied', /signed by #.*, but user "alice" is #/],
  ];
  for (const [descriptor, kind, message] of refused)
    await assert.rejects(importKeyValueStore(device, JSON.stringify(descriptor)), failsWith(kind, message));
  assert.deepEqual(await getKeyValueStore(device, 'alice', 'kv'), newer);
  const stranger = await newDevice(t, 'c');
  assert.equal((await importKeyValueStore(stranger, JSON.stringify(store))).result, 'saved');
  const changed = importKeyValueStore(stranger, JSON.stringify(other.store));
  await assert.rejects(changed, failsWith('exists', /already exists with a different key/));
});
