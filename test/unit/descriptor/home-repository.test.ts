import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { test } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { DescriptorKind, SiloDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { HomeRepository } from '../../../src/core/descriptor/home-repository.ts';
import { createKeyValueStore } from '../../../src/core/descriptor/key-value-stores.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import type { Files } from '../../../src/core/runtime/runtime.ts';
import { failsWith, newDevice, type TestDevice } from './support.ts';

const silo = (name: string): SiloDescriptor => ({ name, type: 'memory' });

async function fill(device: TestDevice): Promise<void> {
  await createUser(device, { name: 'alice' });
  await createUser(device, { name: 'bob' });
  await device.repository.put('silo', 'local', silo('local'));
  await createNetwork(device, { as: 'alice', name: 'cluster' });
  await createPassport(device, { as: 'alice', network: 'cluster', user: 'bob' });
  await createKeyValueStore(device, { as: 'alice', name: 'kv', network: 'cluster' });
  await createVolume(device, { as: 'alice', name: 'v', network: 'cluster' });
}

test('each kind has its place; files are 0600 in folders 0700', async (t) => {
  const device = await newDevice(t);
  await fill(device);
  const places = [
    'users/alice',
    'users/bob',
    'silos/local',
    'networks/alice/cluster',
    'linked_networks/alice/alice/cluster',
    'passports/alice/cluster/bob',
    'volumes/alice/v',
    'key_value_stores/alice/kv',
  ];
  for (const place of places) {
    const path = join(device.home.data, place);
    assert.equal((await stat(path)).mode & 0o777, 0o600, place);
    for (let folder = dirname(path); folder.length >= device.home.data.length; folder = dirname(folder))
      assert.equal((await stat(folder)).mode & 0o777, 0o700, folder);
  }
  const nodeKeys = join(device.home.state, 'alice/cluster/.nodes/alice');
  const [key = ''] = await readdir(nodeKeys);
  assert.equal((await stat(join(nodeKeys, key))).mode & 0o777, 0o600);
  assert.equal((await stat(nodeKeys)).mode & 0o777, 0o700);
});

test('put, get, has, list, replace, delete', async (t) => {
  const { repository } = await newDevice(t);
  await assert.rejects(repository.get('silo', 'a'), failsWith('not-found', /^silo "a" does not exist$/));
  await assert.rejects(repository.delete('silo', 'a'), failsWith('not-found', /^silo "a" does not exist$/));
  for (const name of ['b', 'c', 'a']) await repository.put('silo', name, silo(name));
  await assert.rejects(repository.put('silo', 'a', silo('a')), failsWith('exists', /^silo "a" already exists$/));
  await repository.put('silo', 'a', { ...silo('a'), capacity: 7 }, { replace: true });
  assert.deepEqual(await repository.get('silo', 'a'), { ...silo('a'), capacity: 7 });
  assert.deepEqual(
    (await repository.list('silo')).map(({ name }) => name),
    ['a', 'b', 'c'],
  );
  await repository.delete('silo', 'b');
  assert.equal(await repository.has('silo', 'b'), false);
  assert.equal(await repository.has('silo', 'a'), true);
  await assert.rejects(repository.put('silo', 'b', silo('a')), failsWith('internal', /put as b/));
});

test('what is missing is named as people know it', async (t) => {
  const { repository } = await newDevice(t);
  const missing: [DescriptorKind, string, RegExp][] = [
    ['network', 'alice/n', /^network "alice\/n" does not exist$/],
    ['passport', 'alice/n/bob', /^passport "alice\/n: bob" does not exist$/],
    ['linked-network', 'bob/alice/n', /^link of user "bob" to network "alice\/n" does not exist$/],
    ['volume', 'alice/v', /^volume "alice\/v" does not exist$/],
    ['key-value-store', 'alice/kv', /^key-value store "alice\/kv" does not exist$/],
  ];
  for (const [kind, name, message] of missing)
    await assert.rejects(repository.get(kind, name), failsWith('not-found', message));
});

test('a name never leaves its folder', async (t) => {
  const { repository } = await newDevice(t);
  for (const name of ['..', '../users/alice', 'a/b', '', '/etc/passwd', '.hidden', 'a\0'])
    await assert.rejects(repository.get('silo', name), failsWith('usage', /invalid silo name/), name);
  for (const name of ['a', 'a/b/c', '../b', 'a/..'])
    await assert.rejects(repository.get('network', name), failsWith('usage', /invalid network name/), name);
});

test('a bad file is an error that names it, and never breaks a list', async (t) => {
  const device = await newDevice(t);
  for (const name of ['bad', 'big', 'good', 'other']) await device.repository.put('silo', name, silo(name));
  const pathOf = (name: string) => join(device.home.data, 'silos', name);
  await writeFile(pathOf('bad'), '{"name":"bad"');
  await writeFile(pathOf('big'), ' '.repeat(limits.descriptorBytesMax + 1));
  await writeFile(pathOf('other'), await readFile(pathOf('good')));
  await writeFile(pathOf('.infinit-0123456789abcdef.tmp'), 'left by a crash');
  await mkdir(pathOf('folder'));
  const expected: [string, RegExp][] = [
    ['bad', /^silo "bad" cannot be read from \/.*\/silos\/bad: silo: not a JSON text$/],
    ['big', /^silo "big" cannot be read from .*larger/],
    ['other', /^silo "other" cannot be read from .*: it holds another name than its file$/],
  ];
  for (const [name, message] of expected)
    await assert.rejects(device.repository.get('silo', name), failsWith('corrupt', message));
  assert.deepEqual(
    (await device.repository.list('silo')).map(({ name }) => name),
    ['good'],
  );
  for (const name of ['bad', 'big', 'other'])
    assert.ok(
      device.logged.some((line) => line.includes(`silo "${name}" cannot be read`)),
      name,
    );
});

test('a file where a folder should be, or a closed folder, hides nothing else', async (t) => {
  const device = await newDevice(t);
  await fill(device);
  await writeFile(join(device.home.data, 'networks', 'stray'), 'x');
  await mkdir(join(device.home.data, 'networks', 'closed'));
  const list: Files['list'] = (path) => {
    if (path.endsWith('/closed')) throw new InfinitError('denied', 'permission denied');
    return device.runtime.files.list(path);
  };
  const repository = new HomeRepository({ ...device.runtime, files: { ...device.runtime.files, list } }, device.home);
  assert.deepEqual(
    (await repository.list('network')).map(({ name }) => name),
    ['alice/cluster'],
  );
  assert.ok(device.logged.some((line) => line.endsWith('networks/closed cannot be listed: permission denied')));
});

test('what is written is found again by a repository made anew', async (t) => {
  const device = await newDevice(t);
  await fill(device);
  for (const kind of ['user', 'silo', 'network', 'linked-network', 'passport', 'volume', 'key-value-store'] as const)
    for (const { name, descriptor } of await device.repository.list(kind)) {
      await device.repository.put(kind, name, descriptor, { replace: true });
      assert.deepEqual(await device.repository.get(kind, name), descriptor);
    }
  assert.equal((await device.repository.list('user')).length, 2);
});
