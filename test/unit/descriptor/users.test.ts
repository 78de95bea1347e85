import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { keyPairFromSeed, sign, verify } from '../../../src/core/crypto/keys.ts';
import { createKeyValueStore } from '../../../src/core/descriptor/key-value-stores.ts';
import { keyFromJson, userHash } from '../../../src/core/descriptor/keys.ts';
import { linkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import {
  createUser,
  deleteUser,
  exportUser,
  findUserByKey,
  getUser,
  importUser,
  listUsers,
  userKeyPair,
} from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { carryUsers, failsWith, newDevice } from './support.ts';

test('a created user has a working key pair, all its fields, and is refused twice', async (t) => {
  const device = await newDevice(t);
  const fields = { email: 'alice@example.org', fullname: 'Alice Liddell', description: 'curious\nand curiouser' };
  const user = await createUser(device, { name: 'alice', ...fields });
  assert.deepEqual(await getUser(device, 'alice'), user);
  const { name, public_key, private_key, ...rest } = user;
  assert.equal(name, 'alice');
  assert.deepEqual(rest, fields);
  const signature = sign(userKeyPair(user), 'test', Buffer.from('x'));
  assert.ok(verify(keyFromJson(public_key), signature, 'test', Buffer.from('x')));
  assert.notEqual(private_key, undefined);
  await assert.rejects(createUser(device, { name: 'alice' }), failsWith('exists', /^user "alice" already exists$/));
});

test('an imported key becomes the user', async (t) => {
  const device = await newDevice(t);
  const pair = keyPairFromSeed(Buffer.alloc(32, 3));
  const user = await createUser(device, { name: 'alice', seed: pair.seed });
  assert.deepEqual(keyFromJson(user.public_key), pair.publicKey);
  assert.deepEqual((await findUserByKey(device, user.public_key))?.name, 'alice');
});

test('what a person types wrong is a usage error that names the field', async (t) => {
  const device = await newDevice(t);
  const wrong: [object, RegExp][] = [
    [{ name: 'Alice' }, /invalid user name "Alice"/],
    [{ email: 'alice' }, /field "email" is not an e-mail address/],
    [{ description: 'x'.repeat(2049) }, /field "description" has more than 2048 characters/],
    [{ description: '\u001b[31m' }, /field "description" holds a control character/],
    [{ fullname: 'a\nb' }, /field "fullname" holds a control character/],
  ];
  for (const [options, message] of wrong)
    await assert.rejects(createUser(device, { name: 'alice', ...options }), failsWith('usage', message));
  assert.deepEqual(await listUsers(device), []);
});

test('export leaves the private key out, unless it is full; import brings it to another device', async (t) => {
  const a = await newDevice(t, 'a');
  const b = await newDevice(t, 'b');
  const alice = await createUser(a, { name: 'alice', description: 'here' });
  assert.equal('private_key' in (await exportUser(a, 'alice')), false);
  await carryUsers(a, b, ['alice']);
  assert.deepEqual(await listUsers(b), [{ name: 'alice', has_private_key: false, description: 'here' }]);
  assert.throws(
    () => userKeyPair({ ...alice, private_key: undefined as never }),
    failsWith('denied', /no private key/),
  );
  await assert.rejects(exportUser(b, 'alice', { full: true }), failsWith('denied', /"alice" has no private key/));
  const full = await importUser(b, JSON.stringify(await exportUser(a, 'alice', { full: true })));
  assert.equal(full.result, 'updated');
  assert.deepEqual(await getUser(b, 'alice'), alice);
});

test('an import never takes a private key or a name away', async (t) => {
  const a = await newDevice(t, 'a');
  const b = await newDevice(t, 'b');
  const alice = await createUser(a, { name: 'alice' });
  const again = await importUser(a, JSON.stringify(await exportUser(a, 'alice')));
  assert.deepEqual([again.result, again.descriptor], ['unchanged', alice]);
  await createUser(b, { name: 'alice' });
  await assert.rejects(
    carryUsers(b, a, ['alice']),
    failsWith('exists', /^user "alice" already exists with a different key$/),
  );
  assert.deepEqual(await getUser(a, 'alice'), alice);
});

test('a forged pair is refused: from a stream and from the disk', async (t) => {
  const device = await newDevice(t);
  const alice = await createUser(device, { name: 'alice' });
  const bob = await createUser(device, { name: 'bob' });
  const forged = JSON.stringify({ ...alice, name: 'eve', private_key: bob.private_key });
  await assert.rejects(importUser(device, forged), failsWith('corrupt', /private key does not belong/));
  const path = join(device.home.data, 'users', 'alice');
  const text = await readFile(path, 'utf8');
  await writeFile(path, text.replace(alice.public_key.ed25519, bob.public_key.ed25519));
  await assert.rejects(getUser(device, 'alice'), failsWith('corrupt', /user "alice" cannot be read .*does not belong/));
  assert.deepEqual(
    (await listUsers(device)).map(({ name }) => name),
    ['bob'],
  );
});

test('users are also known by their hash', async (t) => {
  const device = await newDevice(t);
  const alice = await createUser(device, { name: 'alice' });
  await createUser(device, { name: 'bob' });
  const hash = userHash(alice.public_key);
  assert.match(hash, /^#[0-9a-f]{6}$/);
  assert.deepEqual(await getUser(device, hash), alice);
  await assert.rejects(getUser(device, '#nobody'), failsWith('not-found', /user "#nobody" does not exist/));
});

test('delete takes the user; with purge also what is his', async (t) => {
  const device = await newDevice(t);
  for (const name of ['alice', 'bob']) await createUser(device, { name });
  await createNetwork(device, { as: 'alice', name: 'hers' });
  await createNetwork(device, { as: 'bob', name: 'his' });
  await createPassport(device, { as: 'alice', network: 'hers', user: 'bob' });
  await createPassport(device, { as: 'bob', network: 'his', user: 'alice' });
  await linkNetwork(device, { as: 'bob', name: 'alice/hers' });
  await createKeyValueStore(device, { as: 'bob', name: 'kv', network: 'alice/hers' });
  await createVolume(device, { as: 'bob', name: 'v', network: 'alice/hers' });
  await createVolume(device, { as: 'bob', name: 'w', network: 'his' });
  const removed = await deleteUser(device, 'bob', { purge: true });
  assert.deepEqual(
    removed.map(({ kind, name }) => `${kind} ${name}`),
    [
      'linked-network bob/alice/hers',
      'linked-network bob/bob/his',
      'passport bob/his/alice',
      'volume bob/w',
      'network bob/his',
      'volume bob/v',
      'key-value-store bob/kv',
      'passport alice/hers/bob',
      'user bob',
    ],
  );
  const left = [];
  for (const kind of ['user', 'network', 'linked-network', 'passport', 'volume', 'key-value-store'] as const)
    for (const { name } of await device.repository.list(kind)) left.push(`${kind} ${name}`);
  assert.deepEqual(left, ['user alice', 'network alice/hers', 'linked-network alice/alice/hers']);
  assert.deepEqual(await deleteUser(device, 'alice'), [{ kind: 'user', name: 'alice' }]);
  assert.equal(await device.repository.has('network', 'alice/hers'), true);
});
