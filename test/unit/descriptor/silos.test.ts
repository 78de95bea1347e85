import assert from 'node:assert/strict';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import type { SiloDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { getLink } from '../../../src/core/descriptor/links.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import {
  createFilesystemSilo,
  createMemorySilo,
  deleteSilo,
  getSilo,
  importSilo,
  listSilos,
} from '../../../src/core/descriptor/silos.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { failsWith, found, newDevice } from './support.ts';

test('a silo keeps its bytes in blocks/NAME, or where it is told', async (t) => {
  const device = await newDevice(t);
  const { silo, notEmpty } = await createFilesystemSilo(device, { name: 'local', capacity: 5e9, description: 'ssd' });
  const path = join(device.home.data, 'blocks', 'local');
  assert.deepEqual(silo, { name: 'local', type: 'filesystem', description: 'ssd', capacity: 5e9, path });
  assert.equal(notEmpty, false);
  const other = join(device.home.data, 'full');
  await mkdir(other);
  await writeFile(join(other, 'x'), 'x');
  assert.equal((await createFilesystemSilo(device, { name: 'full', path: other })).notEmpty, true);
  assert.deepEqual(await createMemorySilo(device, { name: 'ram' }), { name: 'ram', type: 'memory' });
  assert.deepEqual(
    (await listSilos(device)).map(({ name }) => name),
    ['full', 'local', 'ram'],
  );
});

test('what cannot be a silo is refused and not kept', async (t) => {
  const device = await newDevice(t);
  const file = join(device.home.data, 'file');
  await mkdir(device.home.data);
  await writeFile(file, '');
  const wrong: [{ name: string; path?: string; capacity?: number }, RegExp][] = [
    [{ name: 'Local' }, /invalid silo name/],
    [{ name: 'a', path: 'relative' }, /not absolute: relative/],
    [{ name: 'a', path: file }, /is not a folder/],
    [{ name: 'a', capacity: 0 }, /field "capacity" is not between/],
    [{ name: 'a', capacity: 1.5 }, /field "capacity" is not an integer/],
  ];
  for (const [options, message] of wrong)
    await assert.rejects(createFilesystemSilo(device, options), failsWith('usage', message));
  assert.deepEqual(await listSilos(device), []);
});

test('import takes what export gives, and refuses another silo of the same name', async (t) => {
  const device = await newDevice(t);
  const { silo } = await createFilesystemSilo(device, { name: 'local' });
  assert.equal((await importSilo(device, JSON.stringify(silo))).result, 'unchanged');
  await assert.rejects(
    importSilo(device, JSON.stringify({ ...silo, path: '/elsewhere' })),
    failsWith('exists', /silo "local" already exists/),
  );
  await deleteSilo(device, 'local');
  assert.equal((await importSilo(device, JSON.stringify(silo))).result, 'saved');
  assert.deepEqual(await getSilo(device, 'local'), silo);
  const { path: _, ...pathless } = silo;
  await assert.rejects(importSilo(device, JSON.stringify(pathless)), failsWith('corrupt', /field "path" is missing/));
});

test('delete: who uses it, clearing, purging', async (t) => {
  const device = await newDevice(t);
  await createUser(device, { name: 'alice' });
  const { silo } = await createFilesystemSilo(device, { name: 'local' });
  await createNetwork(device, { as: 'alice', name: 'n', silos: ['local'], found });
  const cleared: SiloDescriptor[] = [];
  const clearContent = async (target: SiloDescriptor) => {
    cleared.push(target);
  };
  await assert.rejects(
    deleteSilo(device, 'local', { clearContent }),
    failsWith('conflict', /^silo "local" is used by network "alice\/n"$/),
  );
  assert.deepEqual([cleared, await getSilo(device, 'local')], [[], silo]);
  const without = await deleteSilo(device, 'local');
  assert.deepEqual(without, { removed: [{ kind: 'silo', name: 'local' }], stillUsedBy: ['alice/n'] });
  await importSilo(device, JSON.stringify(silo));
  assert.deepEqual(await deleteSilo(device, 'local', { clearContent, purge: true }), {
    removed: [
      { kind: 'linked-network', name: 'alice/alice/n' },
      { kind: 'silo', name: 'local' },
    ],
    stillUsedBy: [],
  });
  assert.deepEqual(cleared, [silo]);
  await assert.rejects(getLink(device, 'alice', 'n'), failsWith('not-found', /has not yet linked/));
});
