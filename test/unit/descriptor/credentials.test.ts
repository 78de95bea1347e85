import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import {
  addCredentials,
  deleteCredentials,
  listCredentials,
  readCredentials,
} from '../../../src/core/descriptor/credentials.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { carryUsers, failsWith, newDevice } from './support.ts';

const secret = { access_key_id: 'AKIAIOSFODNN7EXAMPLE', secret_access_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY' };
const work = { service: 'aws', account: 'work', as: 'alice', secret } as const;

test('credentials are in a closed file that does not hold the secret, and open for their user', async (t) => {
  const device = await newDevice(t);
  await createUser(device, { name: 'alice' });
  await addCredentials(device, { ...work, display: secret.access_key_id });
  const path = join(device.home.data, 'credentials', 'aws', 'work');
  assert.equal((await stat(path)).mode & 0o777, 0o600);
  assert.ok(!(await readFile(path, 'utf8')).includes(secret.secret_access_key));
  assert.deepEqual(await readCredentials(device, 'alice', 'aws', 'work'), secret);
  assert.deepEqual(await listCredentials(device), [{ service: 'aws', name: 'work', display: secret.access_key_id }]);
  assert.deepEqual(await listCredentials(device, ['crypt']), []);
});

test('what is there is not replaced unless asked, and what is not there names the next command', async (t) => {
  const device = await newDevice(t);
  await createUser(device, { name: 'alice' });
  await addCredentials(device, work);
  const other = { ...secret, secret_access_key: 'other' };
  await assert.rejects(
    addCredentials(device, { ...work, secret: other }),
    failsWith('exists', /AWS credentials "work"/),
  );
  await addCredentials(device, { ...work, secret: other, replace: true });
  assert.deepEqual(await readCredentials(device, 'alice', 'aws', 'work'), other);
  await deleteCredentials(device, 'aws', 'work');
  await assert.rejects(readCredentials(device, 'alice', 'aws', 'work'), (error: { hint: string }) => {
    assert.equal(error.hint, 'infinit credentials add --aws work');
    return failsWith('not-found', /^AWS credentials "work" do not exist$/)(error);
  });
  await assert.rejects(deleteCredentials(device, 'aws', 'work'), failsWith('not-found', /do not exist/));
});

test('another user cannot open them, and who has no private key here cannot add any', async (t) => {
  const device = await newDevice(t);
  const elsewhere = await newDevice(t, 'elsewhere');
  await createUser(device, { name: 'alice' });
  await createUser(device, { name: 'bob' });
  await createUser(elsewhere, { name: 'carol' });
  await carryUsers(elsewhere, device, ['carol']);
  await addCredentials(device, work);
  await assert.rejects(readCredentials(device, 'bob', 'aws', 'work'), failsWith('denied', /added by another user/));
  await assert.rejects(addCredentials(device, { ...work, as: 'carol' }), failsWith('denied', /no private key/));
});
