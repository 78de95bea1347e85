import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { DriveUser } from '../../../src/core/descriptor/descriptor.ts';
import { createDrive, getDrive, importDrive, noteDriveUser } from '../../../src/core/descriptor/drives.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { newDevice } from './support.ts';

const pending: DriveUser = { permissions: 'rw', status: 'pending', create_home: false };
const joined: DriveUser = { ...pending, status: 'ok' };

test('who is invited by name stays over an import; an address only while what comes in names it', async (t) => {
  const alice = await newDevice(t);
  await createUser(alice, { name: 'alice' });
  await createNetwork(alice, { as: 'alice', name: 'n' });
  await createVolume(alice, { as: 'alice', name: 'v', network: 'n' });
  const bare = await createDrive(alice, { as: 'alice', name: 'd', network: 'n', volume: 'v' });
  let noted = bare;
  for (const user of ['carol', 'bob@example.org', 'eve@example.org'])
    noted = await noteDriveUser(alice, noted, user, pending);
  const take = async (users?: Record<string, DriveUser>) => {
    const { result } = await importDrive(alice, JSON.stringify({ ...bare, users }));
    return [result, (await getDrive(alice, 'alice', 'd')).users];
  };

  const told = { 'eve@example.org': pending };
  const known = { carol: pending, 'bob@example.org': pending, ...told };
  assert.deepEqual(await take(known), ['unchanged', known]);
  // The hub has bob by his name by now; carol's invitation was never pushed.
  assert.deepEqual(await take({ ...told, bob: joined }), ['updated', { carol: pending, ...told, bob: joined }]);
  // Eve's was taken back.
  assert.deepEqual(await take({ bob: joined }), ['updated', { carol: pending, bob: joined }]);
  assert.deepEqual(await take(), ['unchanged', { carol: pending, bob: joined }]);
});
