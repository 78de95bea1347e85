// What the doctor finds in a real home: each fault named, and followed to what rests on it.

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import type { FindingGroup } from '../../../src/core/cli/running.ts';
import { createDrive, noteDriveUser } from '../../../src/core/descriptor/drives.ts';
import { linkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork, updateNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import { revokePassports } from '../../../src/core/descriptor/revocations.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { diagnose } from '../../../src/core/node/doctor/doctor.ts';
import { redundancyFindings } from '../../../src/core/node/doctor/redundancy.ts';
import type { Context } from '../../../src/core/node/link.ts';
import { systemTransport } from '../../../src/core/runtime/system/transport.ts';
import { found, newDevice, type TestDevice } from '../descriptor/support.ts';

const day = 24 * 60 * 60 * 1000;

async function scene(t: TestContext) {
  const device = await newDevice(t);
  await createUser(device, { name: 'alice' });
  await createUser(device, { name: 'bob' });
  const { silo } = await createFilesystemSilo(device, { name: 'disk' });
  await createNetwork(device, { as: 'alice', name: 'n', silos: ['disk'], found });
  await createVolume(device, { as: 'alice', name: 'v', network: 'n' });
  return { device, folder: silo.path as string };
}

/** By section: the findings that are not sound, as `name: reason`. */
async function troubles(device: TestDevice, groups: FindingGroup[], as = 'alice', ignoreNonLinked = false) {
  const context = device as unknown as Context;
  const sections = await diagnose({ context, as, variables: ['INFINIT_HOME'], ignoreNonLinked }, groups);
  return Object.fromEntries(
    sections.map(({ key, findings }) => [
      key,
      findings
        .filter(({ sane, warning }) => !sane || warning)
        .map(({ name, sane, reason }) => `${sane ? 'warning' : 'fault'} ${name}: ${reason}`),
    ]),
  );
}

const none = { user: [], silos: [], networks: [], volumes: [], drives: [], key_value_stores: [], leftovers: [] };

test('a home where everything fits', async (t) => {
  const { device } = await scene(t);
  assert.deepEqual(await troubles(device, ['configuration']), none);
  assert.deepEqual((await troubles(device, ['configuration'], 'nobody')).user, [
    'fault nobody: user "nobody" does not exist',
  ]);
});

test('a silo that cannot be used makes its network and the volumes in it faulty', async (t) => {
  const { device, folder } = await scene(t);
  await rm(folder, { recursive: true, force: true });
  await writeFile(folder, 'a file').catch(async () => {
    await mkdir(join(folder, '..'), { recursive: true });
    await writeFile(folder, 'a file');
  });
  const found = await troubles(device, ['configuration']);
  assert.deepEqual(found.silos, [`fault disk: ${folder} is not a folder`]);
  assert.deepEqual(found.networks, [`fault alice/n: silo "disk" is faulty: ${folder} is not a folder`]);
  assert.match(found.volumes?.[0] ?? '', /^fault alice\/v: network "alice\/n" is faulty: silo "disk"/);
});

test('passports that were revoked or end soon, networks not linked and volumes of unknown ones', async (t) => {
  const { device } = await scene(t);
  const network = 'alice/n';
  await createPassport(device, { as: 'alice', network, user: 'bob', expiresInMs: 2 * day });
  assert.deepEqual((await troubles(device, ['configuration'], 'bob')).networks, [
    'warning alice/n: this device is not linked to it',
  ]);
  assert.deepEqual((await troubles(device, ['configuration'], 'bob', true)).networks, []);
  await linkNetwork(device, { as: 'bob', name: network });
  assert.deepEqual((await troubles(device, ['configuration'], 'bob')).networks, [
    'warning alice/n: your passport ends on 2026-01-03T00:00:00.000Z',
  ]);
  await revokePassports(device, { as: 'alice', network, user: 'bob' });
  assert.deepEqual((await troubles(device, ['configuration'], 'bob')).networks, [
    'fault alice/n: your passport was revoked',
  ]);
  device.time(Date.now() + 1000 * day);
  assert.match((await troubles(device, ['configuration'], 'bob')).networks?.[0] ?? '', /has expired$/);
  await device.repository.delete('network', network);
  assert.deepEqual((await troubles(device, ['configuration'])).volumes, [
    'fault alice/v: network "alice/n" is not known here',
  ]);
});

test('drives: of a faulty or unknown volume, and offered ones', async (t) => {
  const { device, folder } = await scene(t);
  const drive = await createDrive(device, { as: 'alice', name: 'd', network: 'n', volume: 'v' });
  const drives = async (as = 'alice') => (await troubles(device, ['configuration'], as)).drives;
  assert.deepEqual(await drives(), []);
  const offer = { permissions: 'rw', status: 'pending', create_home: false } as const;
  const offered = await noteDriveUser(device, drive, 'bob', offer);
  assert.deepEqual(await drives('bob'), ['warning alice/d: you have not joined it yet']);
  assert.deepEqual(await drives('carol'), []);
  await noteDriveUser(device, offered, 'bob', { ...offer, status: 'ok' });
  assert.deepEqual(await drives('bob'), []);
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  await writeFile(folder, 'a file');
  assert.match(
    (await drives())?.[0] ?? '',
    /^fault alice\/d: volume "alice\/v" is faulty: network "alice\/n" is faulty/,
  );
  await device.repository.delete('volume', 'alice/v');
  for (const as of ['alice', 'bob'])
    assert.deepEqual(await drives(as), ['fault alice/d: volume "alice/v" is not known here']);
});

test('files that are no descriptors', async (t) => {
  const { device } = await scene(t);
  await writeFile(join(device.home.data, 'users', 'mallory'), 'not JSON');
  await writeFile(join(device.home.data, 'volumes', 'stray'), '');
  const { leftovers } = await troubles(device, ['configuration']);
  assert.equal(leftovers?.length, 2);
  assert.match(leftovers?.[0] ?? '', /^warning users\/mallory: user "mallory" cannot be read/);
  assert.equal(leftovers?.[1], 'warning volumes/stray: is not a folder');
});

test('the machine: folders, space, variables', async (t) => {
  const { device } = await scene(t);
  const found = await troubles(device, ['system']);
  assert.deepEqual(found.environment, ['warning INFINIT_HOME: is set, and changes what commands do']);
  assert.deepEqual([found.username, found.permissions], [[], []]);
  await rm(device.home.state, { recursive: true, force: true });
  await writeFile(device.home.state, '');
  assert.deepEqual((await troubles(device, ['system'])).permissions, [
    `fault state: ${device.home.state} is not a folder`,
  ]);
});

test('a network that does not run here', async (t) => {
  const { device } = await scene(t);
  assert.deepEqual((await troubles(device, ['redundancy'])).redundancy, [
    'warning alice/n: it does not run on this device: its copies are not known',
  ]);
});

test('what lacks copies, why, and what is being done', () => {
  const whole = { desired_factor: 3, registers: 4, under_replicated_registers: 0, network_register_members: 3 };
  const tell = (more: object) =>
    redundancyFindings('alice/n', { ...whole, ...more }).map(
      ({ sane, reason }) => `${sane ? 'warning' : 'fault'} ${reason}`,
    );
  assert.deepEqual(tell({ blocks: 9, shortages: [], missing_blocks: 0, bad_blocks: 0, work: {} }), []);
  assert.deepEqual(tell({ network_register_error: 'too few members answer' }), [
    'fault nothing can be agreed on: too few members answer',
  ]);
  const work = { repair: { state: 'working', backlog: 7 }, membership: { state: 'idle' } };
  const shortages = [
    { reason: 'few nodes', nodes: 2, blocks: 9 },
    { reason: 'node away', node: 'q83vASNFZ4kabcdef=', away_ms: 1000, evicted_in_ms: 599_000, blocks: 5 },
    { reason: 'node closed', node: 'q83vASNFZ4kabcdef=', blocks: 2 },
    { reason: 'node lacks', node: 'q83vASNFZ4kabcdef=', blocks: 1 },
  ];
  assert.deepEqual(
    tell({ under_replicated_registers: 1, blocks: 9, shortages, missing_blocks: 3, bad_blocks: 1, work }),
    [
      'warning 1 of 4 registers kept here have fewer than 3 members (membership: idle)',
      'warning 9 of 9 blocks kept here lack copies: there are 2 nodes for 3 copies (repair: working, 7 to do)',
      'warning 5 of 9 blocks kept here lack copies: node q83vASNFZ4ka is away; its copies are made elsewhere in 10 min unless it comes back (repair: working, 7 to do)',
      'warning 2 of 9 blocks kept here lack copies: node q83vASNFZ4ka takes no more data (repair: working, 7 to do)',
      'warning 1 of 9 blocks kept here lack copies: they are on their way to node q83vASNFZ4ka (repair: working, 7 to do)',
      'warning 3 blocks that belong here are still being fetched (repair: working, 7 to do)',
      'warning 1 copies kept here are rotten, and are replaced from good ones (repair: working, 7 to do)',
    ],
  );
  const mending = { state: 'working', backlog: 1 };
  assert.deepEqual(
    tell({ rotten_records: [{}], work: { mending, scrub: { state: 'idle', last_error: 'disk error' } } }),
    [
      'warning 1 records of registers or journals kept here are rotten, and are mended from memory or the other members (mending: working, 1 to do)',
      'warning scrub was held up: disk error',
    ],
  );
});

test('causes are nested: a volume names its network, that its silos', async (t) => {
  const { device, folder } = await scene(t);
  await rm(folder, { recursive: true, force: true });
  await mkdir(join(folder, '..'), { recursive: true });
  await writeFile(folder, 'a file');
  const context = device as unknown as Context;
  const sections = await diagnose({ context, as: 'alice', variables: [], ignoreNonLinked: false }, ['configuration']);
  const volume = sections.find(({ key }) => key === 'volumes')?.findings[0];
  assert.equal(volume?.network?.name, 'alice/n');
  assert.deepEqual(
    volume?.network?.silos?.map(({ name, sane, reason }) => ({ name, sane, reason })),
    [{ name: 'disk', sane: false, reason: `${folder} is not a folder` }],
  );
});

test('connectivity: nodes that take connections and such that do not, the hub and its clock', async (t) => {
  const { device } = await scene(t);
  const open = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  // One time for both, however long the examinations take.
  const nowMs = Date.now();
  let offMs = 0;
  const hub = createHttpServer((_, response) => {
    response.setHeader('date', new Date(nowMs + offMs).toUTCString()).end('{}');
  }).listen(0, '127.0.0.1');
  await Promise.all([once(open, 'listening'), once(hub, 'listening')]);
  t.after(() => void [open.close(), hub.close()]);
  const portOf = (server: { address(): unknown }) => (server.address() as { port: number }).port;
  const here = `127.0.0.1:${portOf(open)}`;
  const nowhere = '127.0.0.1:1';
  const runtime = { ...device.runtime, transport: systemTransport, datagrams: { router: async () => undefined } };
  const context = { ...device, runtime } as unknown as Context;
  device.time(nowMs);
  const examine = async (peers: string[], more: { hub?: string; server?: string } = {}) => {
    await updateNetwork(device, { as: 'alice', name: 'n', peers });
    const surroundings = { context, as: 'alice', variables: [], ignoreNonLinked: false, ...more };
    const sections = await diagnose(surroundings, ['connectivity']);
    return Object.fromEntries(sections.map(({ key, findings }) => [key, findings]));
  };
  assert.deepEqual((await examine([])).nodes?.[0], { name: 'alice/n', sane: true, warning: false, nodes: [] });
  const [good] = (await examine([here])).nodes ?? [];
  assert.deepEqual([good?.sane, good?.warning, good?.nodes?.[0]?.endpoint], [true, false, here]);
  const [half] = (await examine([here, nowhere])).nodes ?? [];
  assert.deepEqual([half?.sane, half?.reason], [true, '1 of its 2 other nodes cannot be reached']);
  const [none] = (await examine([nowhere])).nodes ?? [];
  assert.deepEqual([none?.sane, none?.reason], [false, 'none of its 1 other nodes can be reached']);

  const address = `http://127.0.0.1:${portOf(hub)}`;
  assert.deepEqual((await examine([], { hub: address })).hub, [{ name: address, sane: true, warning: false }]);
  offMs = -10 * 60_000;
  const [off] = (await examine([], { hub: address })).hub ?? [];
  assert.match(off?.reason ?? '', /clock of this machine is (599|600|601) s ahead/);
  offMs = 10 * 60_000;
  const [late] = (await examine([], { hub: address })).hub ?? [];
  assert.match(late?.reason ?? '', /clock of this machine is (599|600|601) s behind the hub's/);
  const [absent] = (await examine([], { hub: `http://${nowhere}` })).hub ?? [];
  assert.deepEqual([absent?.sane, /^the hub does not answer/.test(absent?.reason ?? '')], [false, true]);
  const [unseen] = (await examine([], { server: nowhere })).reachability ?? [];
  assert.equal(unseen?.sane, false);
});
