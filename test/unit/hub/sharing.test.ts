import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { createDrive, deleteDrive } from '../../../src/core/descriptor/drives.ts';
import { keepIcon, keptIcon } from '../../../src/core/descriptor/icons.ts';
import { userHash } from '../../../src/core/descriptor/keys.ts';
import { createNetwork, updateNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import { createUser, newUser } from '../../../src/core/descriptor/users.ts';
import { createVolume, deleteVolume } from '../../../src/core/descriptor/volumes.ts';
import { fetchDrives } from '../../../src/core/hub/client/drives.ts';
import { login } from '../../../src/core/hub/client/login.ts';
import {
  fetchNetworks,
  fetchPassports,
  fetchTrees,
  fetchUser,
  openSharing,
  pull,
  push,
  pushUser,
  signUp,
} from '../../../src/core/hub/client/sharing.ts';
import type { HubConnection } from '../../../src/core/hub/hub.ts';
import { failsWith, newDevice } from '../descriptor/support.ts';
import { networkOf, passportOf, person, publicKey, TestHub, userBody } from './support.ts';

const typed = (password: string) => ({
  password: async () => password,
  directoryPassword: async () => assert.fail('no directory is meant'),
});

async function hubAnd(t: TestContext) {
  const hub = await TestHub.open();
  t.after(() => hub.close());
  const alice = await newDevice(t, `${t.name} alice`);
  const bob = await newDevice(t, `${t.name} bob`);
  await createUser(alice, { name: 'alice', email: 'alice@example.org' });
  await createUser(bob, { name: 'bob' });
  const as = (device: typeof alice, name: string, connection: HubConnection = hub.connection) =>
    openSharing(device, connection, name);
  return { hub, alice, bob, as };
}

describe('push and fetch', () => {
  test('a drive brings its picture, which is forgotten with it', async (t) => {
    const { hub, alice, bob, as } = await hubAnd(t);
    const [hers, his] = [await as(alice, 'alice'), await as(bob, 'bob')];
    await pushUser(hers, 'alice');
    await pushUser(his, 'bob');
    await createNetwork(alice, { as: 'alice', name: 'n' });
    await createVolume(alice, { as: 'alice', name: 'v', network: 'n' });
    await createDrive(alice, { as: 'alice', name: 'd', network: 'n', volume: 'v' });
    const gif = Buffer.from('GIF89a and so on');
    await keepIcon(alice, 'alice/d', gif);
    for (const [kind, name] of [
      ['network', 'alice/n'],
      ['volume', 'alice/v'],
      ['drive', 'alice/d'],
    ] as const)
      await push(hers, kind, name);
    await hers.hub.client.ask('PUT', '/drives/alice/d/invitations/bob', {
      body: { permissions: 'rw', status: 'pending', create_home: false },
      what: 'inviting',
    });
    await fetchDrives(his, undefined);
    assert.deepEqual(await keptIcon(bob, 'alice/d'), gif);
    // What is no picture is not taken, whatever the hub says it is; nor does it keep anybody from the drive.
    await hub.store.setPicture('alice/d', { type: 'image/gif', content: toBase64(Buffer.from('<svg>')) });
    assert.equal((await fetchDrives(his, 'alice/d'))[0]?.result, 'unchanged');
    assert.deepEqual(await keptIcon(bob, 'alice/d'), gif);
    await deleteDrive(bob, 'bob', 'alice/d');
    assert.equal(await keptIcon(bob, 'alice/d'), undefined);
    await deleteVolume(alice, 'alice', 'v', { purge: true });
    assert.equal(await keptIcon(alice, 'alice/d'), undefined);
  });

  test('carry what two people need to share a volume', async (t) => {
    const { alice, bob, as } = await hubAnd(t);
    const [hers, his] = [await as(alice, 'alice'), await as(bob, 'bob')];
    assert.equal(await pushUser(hers, 'alice'), 'created');
    assert.equal(await pushUser(his, 'bob', { fullname: 'Bob' }), 'created');
    assert.equal((await bob.repository.get('user', 'bob')).fullname, 'Bob');
    assert.deepEqual(await fetchUser(hers, 'bob', false), { kind: 'user', name: 'bob', result: 'saved' });
    await createNetwork(alice, { as: 'alice', name: 'n' });
    const mountOptions = { mountpoint: '/mnt/v' };
    const volume = await createVolume(alice, { as: 'alice', name: 'v', network: 'n', mountOptions });
    await createPassport(alice, { as: 'alice', network: 'n', user: 'bob' });
    for (const [kind, name] of [
      ['network', 'alice/n'],
      ['passport', 'alice/n/bob'],
      ['volume', 'alice/v'],
    ] as const) {
      assert.equal(await push(hers, kind, name), 'created');
      assert.equal(await push(hers, kind, name), 'unchanged');
    }
    // A passport brings its network along.
    assert.deepEqual(
      (await fetchPassports(his, {})).map(({ name, result }) => [name, result]),
      [['alice/n/bob', 'saved']],
    );
    assert.deepEqual(await bob.repository.get('network', 'alice/n'), await alice.repository.get('network', 'alice/n'));
    const [fetched] = await fetchTrees(his, 'volume', { network: 'alice/n' });
    assert.equal(fetched?.name, 'alice/v');
    const { tree_id, mount_options } = await bob.repository.get('volume', 'alice/v');
    assert.deepEqual([tree_id, mount_options], [volume.tree_id, {}]);
    assert.equal(await pull(hers, 'volume', 'alice/v', {}), true);
    assert.equal(await pull(hers, 'volume', 'alice/v', { missingOk: true }), false);
  });

  test('a hub that shows an older network is not believed', async (t) => {
    const { hub, alice, as } = await hubAnd(t);
    const hers = await as(alice, 'alice');
    await pushUser(hers, 'alice');
    const { network } = await createNetwork(alice, { as: 'alice', name: 'n' });
    await push(hers, 'network', 'alice/n');
    await updateNetwork(alice, { as: 'alice', name: 'n', description: 'newer' });
    await assert.rejects(fetchNetworks(hers, 'alice/n'), failsWith('conflict', /older than serial/));
    const [all] = await fetchNetworks(hers, undefined);
    assert.deepEqual([all?.result, all?.error?.kind], ['failed', 'conflict']);
    assert.equal((await alice.repository.get('network', 'alice/n')).description, 'newer');
    await push(hers, 'network', 'alice/n');
    await hub.store.put('network', 'alice/n', network);
    await assert.rejects(fetchNetworks(hers, 'alice/n'), failsWith('conflict', /older/));
  });
});

describe('a hub that lies', () => {
  const answering = (status: number, body: unknown): HubConnection => ({
    host: 'hub.example.org',
    isExposed: false,
    exchange: async () => ({
      status,
      headers: {},
      body: Buffer.from(typeof body === 'string' ? body : JSON.stringify(body)),
    }),
  });

  test('gives another thing than was asked for, or none', async (t) => {
    const { alice, as } = await hubAnd(t);
    const eve = person('eve');
    const mine = async (body: unknown) => as(alice, 'alice', answering(200, body));
    await assert.rejects(
      fetchUser(await mine(userBody(eve)), 'bob', false),
      failsWith('corrupt', /user "eve" for "bob"/),
    );
    const secret = userBody(eve, { private_key: { ed25519: toBase64(eve.key.seed) } });
    await assert.rejects(fetchUser(await mine(secret), 'eve', false), failsWith('corrupt', /private key/));
    const hash = userHash(publicKey(eve));
    await assert.rejects(fetchUser(await mine(secret), hash, false), failsWith('corrupt', /private key/));
    await assert.rejects(
      fetchUser(await mine(userBody(person('mallory'))), hash, false),
      failsWith('corrupt', /user "mallory" for "#/),
    );
    await assert.rejects(fetchUser(await mine('<html>'), 'bob', false), failsWith('corrupt', /not JSON/));
    await assert.rejects(fetchUser(await mine({}), 'bob', false), failsWith('corrupt', /bad user/));
    await assert.rejects(fetchNetworks(await mine(networkOf(eve, 'n')), 'alice/n'), failsWith('corrupt', /"eve\/n"/));
    const forged = { ...networkOf(eve, 'n', { name: 'alice/n' }), owner: publicKey(person('alice')) };
    await assert.rejects(fetchNetworks(await mine(forged), 'alice/n'), failsWith('corrupt', /signature/));
    // Signed by somebody who is not the alice known here.
    const stolen = networkOf(eve, 'n', { name: 'alice/n' });
    await assert.rejects(fetchNetworks(await mine(stolen), 'alice/n'), failsWith('denied', /is signed by/));
    await assert.rejects(fetchNetworks(await mine({ networks: 1 }), undefined), failsWith('corrupt', /no list/));
    assert.deepEqual(await alice.repository.list('network'), []);
    const passport = passportOf(eve, person('alice'), networkOf(eve, 'n'));
    await assert.rejects(
      fetchPassports(await mine(passport), { network: 'alice/n', user: 'bob' }),
      failsWith('corrupt', /"eve\/n" for "alice\/n"/),
    );
  });

  test('asks for a cheap password', async (t) => {
    const { alice, as } = await hubAnd(t);
    const cheap = await as(alice, 'alice', answering(200, { salt: 'AAAAAAAAAAAAAAAAAAAAAA==', scrypt_n: 1024 }));
    await assert.rejects(login(cheap, 'carol', typed('password')), failsWith('corrupt', /cost/));
  });

  test('speaks in the words of the original when it refuses', async (t) => {
    const { alice, as } = await hubAnd(t);
    await createNetwork(alice, { as: 'alice', name: 'n' });
    const pushing = async (status: number, body: unknown) =>
      push(await as(alice, 'alice', answering(status, body)), 'network', 'alice/n');
    const what = 'pushing network "alice/n"';
    await assert.rejects(
      pushing(401, {}),
      failsWith('denied', /^Unauthorized pushing network "alice\/n", check the system clock$/),
    );
    await assert.rejects(
      pushing(403, {}),
      failsWith(
        'denied',
        /^Forbidden pushing network "alice\/n", ensure the user has been set using --as or INFINIT_USER$/,
      ),
    );
    await assert.rejects(pushing(402, {}), failsWith('full', /^limit reached/));
    const conflict = { error: 'network/conflict', reason: 'network "alice/n" already exists with a different key' };
    await assert.rejects(pushing(409, conflict), failsWith('exists', /already exists with a different key$/));
    await assert.rejects(pushing(429, {}), failsWith('unavailable', /too often/));
    await assert.rejects(pushing(502, '<html>'), failsWith('unavailable', new RegExp(`${what}: the hub answers 502`)));
    await assert.rejects(pushing(200, '<html>'), failsWith('corrupt', /not JSON/));
  });
});

describe('signing up', () => {
  const failing = (sent: boolean): HubConnection => ({
    host: 'hub.example.org',
    isExposed: false,
    exchange: async () => {
      throw new InfinitError('unavailable', 'the hub does not answer', { data: { sent } });
    },
  });

  test('keeps nothing here when the hub refuses or is not reached', async (t) => {
    const { alice, bob, as } = await hubAnd(t);
    await pushUser(await as(alice, 'alice'), 'alice');
    const other = newUser(bob, { name: 'alice' });
    await assert.rejects(signUp(await as(bob, 'alice'), other, {}), failsWith('exists', /different key/));
    await assert.rejects(signUp(await as(bob, 'alice', failing(false)), other, {}), failsWith('unavailable', /answer/));
    await assert.rejects(signUp(await as(bob, 'alice'), other, { full: true }), failsWith('usage', /password/));
    assert.equal(await bob.repository.has('user', 'alice'), false);
  });

  test('keeps the key when the hub may have taken the name', async (t) => {
    const { bob, as } = await hubAnd(t);
    const carol = newUser(bob, { name: 'carol' });
    // Whoever acts: the push to try again is of the one who signs up.
    await assert.rejects(signUp(await as(bob, 'bob', failing(true)), carol, {}), (error: InfinitError) => {
      assert.equal(error.hint, 'try again: infinit user push carol');
      return failsWith('unavailable', /answer/)(error);
    });
    assert.deepEqual(await bob.repository.get('user', 'carol'), carol);
    await assert.rejects(signUp(await as(bob, 'carol'), carol, {}), failsWith('exists', /already exists/));
  });

  test('leaves a key that a login brings to another device', async (t) => {
    const { bob, alice, as } = await hubAnd(t);
    const carol = newUser(bob, { name: 'carol', email: 'c@example.org' });
    await signUp(await as(bob, 'carol'), carol, { full: true, password: 'ünïcode ' });
    assert.deepEqual((await login(await as(alice, 'alice'), 'carol', typed('u\u0308nïcode '))).descriptor, carol);
    await assert.rejects(
      login(await as(alice, 'alice'), 'carol', typed('unicode')),
      failsWith('denied', /^password do not match$/),
    );
  });
});
