import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import type { VolumeDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { signVolume, verifyVolume } from '../../../src/core/descriptor/signing.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import {
  createVolume,
  deleteVolume,
  exportVolume,
  getVolume,
  importVolume,
  listVolumes,
  updateVolume,
} from '../../../src/core/descriptor/volumes.ts';
import { carryUsers, failsWith, newDevice, type TestDevice } from './support.ts';

async function scene(t: TestContext, seed: string): Promise<{ device: TestDevice; volume: VolumeDescriptor }> {
  const device = await newDevice(t, seed);
  await createUser(device, { name: 'alice' });
  await createNetwork(device, { as: 'alice', name: 'n' });
  const mountOptions = { readonly: true, mountpoint: '/mnt/v' };
  return {
    device,
    volume: await createVolume(device, { as: 'alice', name: 'v', network: 'n', description: 'd', mountOptions }),
  };
}

test('create, get, list, delete', async (t) => {
  const { device, volume } = await scene(t, 'a');
  verifyVolume(volume);
  assert.deepEqual([volume.name, volume.network, volume.serial, volume.description], ['alice/v', 'alice/n', 1, 'd']);
  assert.deepEqual([volume.block_size, volume.default_permissions], [1_048_576, '']);
  assert.deepEqual(await getVolume(device, 'alice', 'v'), volume);
  const open = { defaultPermissions: 'rw', blockBytes: 4096 } as const;
  const second = await createVolume(device, { as: 'alice', name: 'second', network: 'alice/n', ...open });
  assert.deepEqual([second.block_size, second.default_permissions], [4096, 'rw']);
  assert.notEqual(second.tree_id, volume.tree_id);
  assert.deepEqual(await listVolumes(device), [
    { name: 'alice/second', network: 'alice/n' },
    { name: 'alice/v', network: 'alice/n', description: 'd' },
  ]);
  assert.deepEqual(await listVolumes(device, 'alice/other'), []);
  assert.deepEqual(await deleteVolume(device, 'alice', 'v'), [{ kind: 'volume', name: 'alice/v' }]);
  const gone = getVolume(device, 'alice', 'v');
  await assert.rejects(gone, failsWith('not-found', /^volume "alice\/v" does not exist$/));
});

test('create refuses foreign names, unknown networks, names taken and what makes no sense', async (t) => {
  const { device } = await scene(t, 'a');
  const create = (name: string, network = 'n', more = {}) =>
    createVolume(device, { as: 'alice', name, network, ...more });
  await assert.rejects(create('bob/v'), failsWith('denied', /cannot create volume "bob\/v" of another user/));
  await assert.rejects(create('x', 'none'), failsWith('not-found', /network "alice\/none" does not exist/));
  await assert.rejects(create('v'), failsWith('exists', /^volume "alice\/v" already exists$/));
  for (const bad of [
    { blockBytes: 1 },
    { blockBytes: 2 ** 40 },
    { mountOptions: { peers: ['nowhere'] } },
    { mountOptions: { mountpoint: 'relative' } },
    { description: 'x'.repeat(3000) },
  ])
    await assert.rejects(create('bad', 'n', bad), failsWith('usage', /^volume: field/));
  assert.equal((await listVolumes(device)).length, 1);
});

test('update signs anew with a higher serial; options given replace options stored', async (t) => {
  const { device } = await scene(t, 'a');
  const options = { readonly: false, cache: false, peers: ['a:1'] };
  const updated = await updateVolume(device, {
    as: 'alice',
    name: 'v',
    description: 'new',
    blockBytes: 8192,
    mountOptions: options,
  });
  verifyVolume(updated);
  assert.deepEqual([updated.serial, updated.description, updated.block_size], [2, 'new', 8192]);
  assert.deepEqual(updated.mount_options, { ...options, mountpoint: '/mnt/v' });
  assert.deepEqual(await getVolume(device, 'alice', 'v'), updated);
  const bad = updateVolume(device, { as: 'alice', name: 'v', blockBytes: 0 });
  await assert.rejects(bad, failsWith('usage', /block_size/));
});

test('the mountpoint is the device its own: not exported, not imported, changed by anybody, kept by a newer import', async (t) => {
  const { device, volume } = await scene(t, 'a');
  const other = await newDevice(t, 'b');
  await createUser(other, { name: 'bob' });
  await carryUsers(device, other, ['alice']);
  const exported = await exportVolume(device, 'alice', 'v');
  assert.deepEqual(exported.mount_options, { readonly: true });
  verifyVolume(exported);
  const withOne = JSON.stringify({ ...volume, mount_options: { ...volume.mount_options, mountpoint: '/etc' } });
  assert.deepEqual((await importVolume(other, withOne)).descriptor.mount_options, { readonly: true });
  const set = await updateVolume(other, { as: 'bob', name: 'alice/v', mountOptions: { mountpoint: '/home/bob/v' } });
  assert.deepEqual([set.serial, set.mount_options.mountpoint], [1, '/home/bob/v']);
  assert.equal((await importVolume(other, JSON.stringify(exported))).result, 'unchanged');
  const foreign = updateVolume(other, { as: 'bob', name: 'alice/v', mountOptions: { readonly: false } });
  await assert.rejects(foreign, failsWith('denied', /user "bob" does not own volume "alice\/v"/));
  await updateVolume(device, { as: 'alice', name: 'v', description: 'newer' });
  const newer = await importVolume(other, JSON.stringify(await exportVolume(device, 'alice', 'v')));
  assert.equal(newer.result, 'updated');
  assert.equal((await getVolume(other, 'bob', 'alice/v')).mount_options.mountpoint, '/home/bob/v');
  const asked = await importVolume(other, JSON.stringify(newer.descriptor), { mountpoint: '/mnt/x' });
  assert.deepEqual([asked.result, asked.descriptor.mount_options.mountpoint], ['updated', '/mnt/x']);
});

test('import takes a newer descriptor of the same volume and nothing else', async (t) => {
  const { device, volume } = await scene(t, 'a');
  const other = await scene(t, 'b');
  const pair = userKeyPair(await getUser(device, 'alice'));
  const { signature: _, ...unsigned } = volume;
  const resign = (changes: Partial<VolumeDescriptor>) => signVolume(pair, { ...unsigned, ...changes });
  assert.equal((await importVolume(device, JSON.stringify(volume))).result, 'unchanged');
  const newer = resign({ serial: 2, description: 'newer' });
  assert.equal((await importVolume(device, JSON.stringify(newer))).result, 'updated');
  const forged = "the signature is not its owner's \\(#[0-9a-f]{6}\\): forged or damaged";
  const refused: [object, 'corrupt' | 'exists' | 'conflict' | 'denied', RegExp][] = [
    [volume, 'conflict', /serial 1 is not newer than serial 2/],
    [{ ...newer, serial: 3 }, 'corrupt', new RegExp(`^volume "alice/v": ${forged}$`)],
    [{ ...newer, default_permissions: 'rw' }, 'corrupt', new RegExp(forged)],
    [{ ...newer, mount_options: { fuse_options: ['dev'] } }, 'corrupt', new RegExp(forged)],
    [{ ...newer, owner: other.volume.owner }, 'corrupt', new RegExp(forged)],
    [{ ...newer, signature: undefined }, 'corrupt', /field "signature" is missing/],
    [resign({ serial: 3, tree_id: other.volume.tree_id }), 'exists', /another one of the same name/],
    [resign({ serial: 3, network: 'alice/m' }), 'exists', /another one of the same name/],
    [other.volume, 'denied', /signed by #.*, but user "alice" is #/],
  ];
  for (const [descriptor, kind, message] of refused)
    await assert.rejects(importVolume(device, JSON.stringify(descriptor)), failsWith(kind, message));
  const text = JSON.stringify(newer);
  for (const length of [0, 1, text.length / 2, text.length - 1])
    await assert.rejects(
      importVolume(device, text.slice(0, length)),
      failsWith('corrupt', /^volume: not a JSON text$/),
    );
  assert.deepEqual(await getVolume(device, 'alice', 'v'), newer);
  const stranger = await newDevice(t, 'c');
  assert.equal((await importVolume(stranger, JSON.stringify(volume))).result, 'saved');
  const changed = importVolume(stranger, JSON.stringify(other.volume));
  await assert.rejects(changed, failsWith('exists', /already exists with a different key/));
});
