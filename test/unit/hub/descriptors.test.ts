import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  networkOf,
  nodeId,
  nodePath,
  passportOf,
  person,
  publicKey,
  start,
  TestHub,
  userBody,
  volumeOf,
} from './support.ts';

const alice = person('alice');
const bob = person('bob');
const eve = person('eve');

/** Alice's network and volume, bob with a passport, eve with nothing. */
async function sharing() {
  const hub = await TestHub.open();
  await hub.enrol(alice, bob, eve);
  const network = networkOf(alice, 'n');
  const passport = passportOf(alice, bob, network);
  const volume = volumeOf(alice, 'v', network.name);
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/bob', passport);
  await hub.must(201, alice, 'PUT', '/volumes/alice/v', volume);
  return { hub, network, passport, volume };
}

describe('users', () => {
  test('a name is his who takes it first', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    assert.deepEqual(await hub.must(200, alice, 'PUT', '/users/alice', userBody(alice)), { result: 'unchanged' });
    const fuller = userBody(alice, { fullname: 'Alice', email: 'alice@example.org' });
    assert.deepEqual(await hub.must(200, alice, 'PUT', '/users/alice', fuller), { result: 'updated' });
    const other = person('alice', 'another');
    assert.equal(await hub.refused(409, other, 'PUT', '/users/alice', userBody(other)), 'user/conflict');
    // Nor does he take it who names a key he has not.
    assert.equal(await hub.refused(401, eve, 'PUT', '/users/carol', userBody(person('carol'))), 'user/unauthorized');
    assert.equal(
      await hub.refused(401, { name: 'carol', key: eve.key }, 'PUT', '/users/carol', userBody(person('carol'))),
      'user/unauthorized',
    );
    await hub.close();
  });

  test('some names are nobody’s, private keys are refused', async () => {
    const hub = await TestHub.open();
    for (const name of ['demo', 'root', 'admin', 'hub'])
      assert.equal(
        await hub.refused(403, person(name), 'PUT', `/users/${name}`, userBody(person(name))),
        'user/forbidden',
      );
    const leak = userBody(alice, { private_key: { ed25519: alice.key.seed.toString('base64') } });
    assert.equal(await hub.refused(422, alice, 'PUT', '/users/alice', leak), 'request/schema');
    await hub.refused(404, undefined, 'GET', '/users/alice');
    await hub.close();
  });

  test('e-mail addresses are one’s own; keys are found by hash', async () => {
    const hub = await TestHub.open();
    await hub.must(201, alice, 'PUT', '/users/alice', userBody(alice, { email: 'alice@example.org' }));
    assert.equal('email' in (await hub.must(200, undefined, 'GET', '/users/alice')), false);
    assert.equal((await hub.must(200, alice, 'GET', '/users/alice')).email, 'alice@example.org');
    // A signature that does not hold reads as none.
    const forged = await hub.must(200, { name: 'alice', key: eve.key }, 'GET', '/users/alice');
    assert.equal('email' in forged, false);
    const { userHash } = await import('../../../src/core/descriptor/keys.ts');
    const short = userHash(publicKey(alice));
    assert.equal((await hub.must(200, undefined, 'GET', `/users/${encodeURIComponent(short)}`)).name, 'alice');
    await hub.refused(404, undefined, 'GET', '/users/%23000000');
    await hub.close();
  });

  test('avatars are set and taken away by their user alone', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice, eve);
    const picture = { body: Buffer.from('89504e470d0a1a0a00', 'hex'), headers: { 'content-type': 'image/png' } };
    const put = (who: typeof alice) => hub.send(hub.signed(who, 'PUT', '/users/alice/avatar', undefined, picture));
    assert.equal((await put(eve)).status, 403);
    assert.equal((await put(alice)).status, 201);
    assert.equal((await hub.ask(undefined, 'GET', '/users/alice/avatar')).headers['content-type'], 'image/png');
    await hub.refused(403, eve, 'DELETE', '/users/alice/avatar');
    await hub.must(200, alice, 'DELETE', '/users/alice/avatar');
    await hub.refused(404, undefined, 'GET', '/users/alice/avatar');
    const page = { ...picture, headers: { 'content-type': 'text/html' } };
    assert.equal((await hub.send(hub.signed(alice, 'PUT', '/users/alice/avatar', undefined, page))).status, 415);
    const other = { ...picture, body: Buffer.from('GIF89a') };
    assert.equal((await hub.send(hub.signed(alice, 'PUT', '/users/alice/avatar', undefined, other))).status, 415);
    await hub.close();
  });
});

describe('networks, passports, volumes', () => {
  test('are read by those in the network', async () => {
    const { hub, network, passport, volume } = await sharing();
    for (const who of [alice, bob]) {
      assert.deepEqual(await hub.must(200, who, 'GET', '/networks/alice/n'), network);
      assert.deepEqual(await hub.must(200, who, 'GET', '/volumes/alice/v'), volume);
      assert.deepEqual(await hub.must(200, who, 'GET', '/networks/alice/n/volumes'), { volumes: [volume] });
      assert.deepEqual(await hub.must(200, who, 'GET', '/networks/alice/n/passports/bob'), passport);
      assert.deepEqual(await hub.must(200, who, 'GET', `/users/${who.name}/networks`), { networks: [network] });
      assert.deepEqual(await hub.must(200, who, 'GET', `/users/${who.name}/volumes`), { volumes: [volume] });
    }
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/passports'), {
      passports: { bob: passport },
    });
    await hub.refused(403, bob, 'GET', '/networks/alice/n/passports');
    assert.deepEqual(await hub.must(200, bob, 'GET', '/users/bob/passports'), { passports: [passport] });
    const paths = [
      '/networks/alice/n',
      '/volumes/alice/v',
      '/networks/alice/n/volumes',
      '/networks/alice/n/passports/bob',
    ];
    for (const path of [...paths, '/networks/alice/n/endpoints', '/networks/alice/n/stat', '/users/bob/networks'])
      await hub.refused(403, eve, 'GET', path);
    assert.deepEqual(await hub.must(200, eve, 'GET', '/users/eve/networks'), { networks: [] });
    await hub.close();
  });

  test('are written by their owners', async () => {
    const { hub, network, volume } = await sharing();
    const stolen = networkOf(eve, 'n', { name: network.name, serial: 9 });
    await hub.refused(403, eve, 'PUT', '/networks/alice/n', stolen);
    await hub.refused(403, eve, 'PUT', '/networks/alice/n', network);
    await hub.refused(403, bob, 'DELETE', '/networks/alice/n');
    await hub.refused(403, eve, 'PUT', '/volumes/alice/v', volume);
    await hub.refused(400, alice, 'PUT', '/networks/alice/m', network);
    // A volume of one's own goes into networks one is in.
    await hub.refused(403, eve, 'PUT', '/volumes/eve/v', volumeOf(eve, 'v', network.name));
    await hub.must(201, bob, 'PUT', '/volumes/bob/v', volumeOf(bob, 'v', network.name));
    await hub.refused(404, bob, 'PUT', '/volumes/bob/w', volumeOf(bob, 'w', 'alice/nowhere'));
    await hub.close();
  });

  test('go forwards only', async () => {
    const { hub, network, volume } = await sharing();
    assert.deepEqual(await hub.must(200, alice, 'PUT', '/networks/alice/n', network), { result: 'unchanged' });
    const newer = networkOf(alice, 'n', { serial: 3 });
    assert.deepEqual(await hub.must(200, alice, 'PUT', '/networks/alice/n', newer), { result: 'updated' });
    await hub.refused(409, alice, 'PUT', '/networks/alice/n', networkOf(alice, 'n', { serial: 2 }));
    assert.deepEqual(await hub.must(200, bob, 'GET', '/networks/alice/n'), newer);
    const described = volumeOf(alice, 'v', network.name, { description: 'x' });
    assert.equal(await hub.refused(409, alice, 'PUT', '/volumes/alice/v', described), 'volume/outdated');
    const other = volumeOf(alice, 'v', network.name, { serial: 9, tree_id: Buffer.alloc(16, 4).toString('base64') });
    assert.equal(await hub.refused(409, alice, 'PUT', '/volumes/alice/v', other), 'volume/conflict');
    await hub.must(200, alice, 'DELETE', '/volumes/alice/v');
    await hub.must(201, alice, 'PUT', '/volumes/alice/v', other);
    assert.deepEqual(volume.name, other.name);
    await hub.close();
  });

  test('a mountpoint stays where it is', async () => {
    const { hub, network } = await sharing();
    const volume = volumeOf(alice, 'w', network.name, { mount_options: { mountpoint: '/mnt/w', readonly: true } });
    await hub.must(201, alice, 'PUT', '/volumes/alice/w', volume);
    const { mount_options } = await hub.must(200, alice, 'GET', '/volumes/alice/w');
    assert.deepEqual(mount_options, { readonly: true });
    await hub.close();
  });

  test('passports are those of the owner or his delegates, for the key the user has', async () => {
    const { hub, network } = await sharing();
    const path = '/networks/alice/n/passports/eve';
    await hub.refused(403, eve, 'PUT', path, passportOf(eve, eve, network));
    await hub.refused(403, alice, 'PUT', path, passportOf(eve, eve, network));
    await hub.refused(403, bob, 'PUT', path, passportOf(alice, eve, network));
    await hub.refused(409, alice, 'PUT', path, passportOf(alice, person('x'), network));
    await hub.refused(404, alice, 'PUT', '/networks/alice/n/passports/x', passportOf(alice, person('x'), network));
    await hub.refused(403, alice, 'PUT', path, passportOf(alice, eve, network, { expires: start - 600_000 }));
    // Its own user may bring it.
    await hub.must(201, eve, 'PUT', path, passportOf(alice, eve, network));
    await hub.refused(409, eve, 'PUT', path, passportOf(alice, eve, network, { serial: 4 }));
    await hub.refused(403, bob, 'DELETE', path);
    await hub.must(200, eve, 'DELETE', path);
    await hub.close();
  });

  test('a delegate gives passports', async () => {
    const { hub, network } = await sharing();
    const own = passportOf(alice, bob, network, { serial: 6, allow_sign: true });
    await hub.must(200, alice, 'PUT', '/networks/alice/n/passports/bob', own);
    const given = { ...passportOf(bob, eve, network, { certifier: publicKey(bob) }), certifier_passport: own };
    await hub.must(201, bob, 'PUT', '/networks/alice/n/passports/eve', given);
    await hub.must(200, bob, 'GET', '/networks/alice/n/passports/eve');
    await hub.must(200, eve, 'GET', '/networks/alice/n');
    // Revoking the delegate ends it, for the reader and for the next passport.
    const revoked = networkOf(alice, 'n', { serial: 2, revoked: [{ user: publicKey(bob), through: 6 }] });
    await hub.must(200, alice, 'PUT', '/networks/alice/n', revoked);
    await hub.refused(403, eve, 'GET', '/networks/alice/n');
    await hub.refused(403, bob, 'GET', '/networks/alice/n/endpoints');
    await hub.refused(403, bob, 'PUT', '/networks/alice/n/passports/eve', { ...given, serial: given.serial });
    await hub.close();
  });

  test('a passport ends with its time', async () => {
    const { hub, network } = await sharing();
    const brief = passportOf(alice, eve, network, { expires: start + 60_000 });
    await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/eve', brief);
    await hub.must(200, eve, 'GET', '/networks/alice/n/endpoints');
    hub.nowMs += 3_600_000;
    await hub.refused(403, eve, 'GET', '/networks/alice/n/endpoints');
    await hub.close();
  });

  test('taking off the hub, with and without what hangs on it', async () => {
    const { hub, network, passport, volume } = await sharing();
    await hub.must(200, alice, 'DELETE', '/networks/alice/n');
    await hub.refused(404, bob, 'GET', '/networks/alice/n');
    await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
    assert.deepEqual(await hub.must(200, bob, 'GET', '/networks/alice/n/passports/bob'), passport);
    assert.deepEqual(await hub.must(200, bob, 'GET', '/volumes/alice/v'), volume);
    await hub.must(200, alice, 'DELETE', '/networks/alice/n?purge=true');
    await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
    await hub.refused(404, alice, 'GET', '/networks/alice/n/passports/bob');
    await hub.refused(404, alice, 'GET', '/volumes/alice/v');
    await hub.must(200, alice, 'DELETE', '/users/alice?purge');
    await hub.refused(404, undefined, 'GET', '/users/alice');
    await hub.enrol(alice);
    assert.deepEqual(await hub.must(200, alice, 'GET', '/users/alice/networks'), { networks: [] });
    await hub.close();
  });
});

describe('nodes', () => {
  const told = { addresses: ['192.0.2.7', '2001:db8::7'], port: 4242 };

  test('say where they are to those in the network', async () => {
    const { hub, network } = await sharing();
    const path = `/networks/alice/n/endpoints/bob/${nodePath}`;
    await hub.must(200, bob, 'PUT', path, told);
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/endpoints'), { bob: { [nodeId]: told } });
    await hub.refused(401, undefined, 'GET', '/networks/alice/n/endpoints');
    await hub.refused(403, eve, 'GET', '/networks/alice/n/endpoints');
    await hub.refused(403, alice, 'PUT', path, told);
    await hub.refused(403, eve, 'PUT', `/networks/alice/n/endpoints/eve/${nodePath}`, told);
    await hub.refused(400, bob, 'PUT', '/networks/alice/n/endpoints/bob/abc', told);
    for (const bad of [
      {},
      { ...told, port: 0 },
      { ...told, addresses: ['a b'] },
      { ...told, addresses: Array(99).fill('h') },
    ])
      await hub.refused(422, bob, 'PUT', path, bad);
    // Changing the network keeps them.
    await hub.must(200, alice, 'PUT', '/networks/alice/n', networkOf(alice, 'n', { serial: 2 }));
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/endpoints'), { bob: { [nodeId]: told } });
    await hub.must(200, bob, 'DELETE', path);
    await hub.refused(404, bob, 'DELETE', path);
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/endpoints'), {});
    assert.equal(network.name, 'alice/n');
    await hub.close();
  });

  test('are forgotten after a day', async () => {
    const { hub } = await sharing();
    await hub.must(200, bob, 'PUT', `/networks/alice/n/endpoints/bob/${nodePath}`, told);
    await hub.must(200, bob, 'PUT', `/networks/alice/n/stat/bob/${nodePath}`, { capacity: 10, usage: 1 });
    hub.nowMs += 25 * 3_600_000;
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/endpoints'), {});
    assert.deepEqual(await hub.must(200, alice, 'GET', '/networks/alice/n/stat'), { capacity: 0, usage: 0 });
    await hub.close();
  });

  test('are few for one user', async () => {
    const { hub } = await sharing();
    const { limits } = await import('../../../src/core/base/limits.ts');
    const at = (i: number) => encodeURIComponent(Buffer.alloc(32, i).toString('base64'));
    for (let i = 0; i < limits.hubNodesPerUserMax; i++) {
      hub.nowMs += 100;
      const path = `/networks/alice/n/endpoints/bob/${at(i)}`;
      await hub.must(200, bob, 'PUT', path, told);
    }
    const more = encodeURIComponent(Buffer.alloc(32, 1).fill(2, 0, 1).toString('base64'));
    await hub.refused(413, bob, 'PUT', `/networks/alice/n/endpoints/bob/${more}`, told);
    await hub.must(200, bob, 'PUT', `/networks/alice/n/endpoints/bob/${at(3)}`, told);
    await hub.close();
  });

  test('tell how full they are', async () => {
    const { hub } = await sharing();
    await hub.must(200, alice, 'PUT', `/networks/alice/n/stat/alice/${nodePath}`, { capacity: 1000, usage: 10 });
    await hub.must(200, bob, 'PUT', `/networks/alice/n/stat/bob/${nodePath}`, { capacity: 500, usage: 5 });
    await hub.must(200, bob, 'PUT', `/networks/alice/n/stat/bob/${nodePath}`, { capacity: 500, usage: 7 });
    assert.deepEqual(await hub.must(200, bob, 'GET', '/networks/alice/n/stat'), { capacity: 1500, usage: 17 });
    await hub.refused(403, alice, 'PUT', `/networks/alice/n/stat/bob/${nodePath}`, { capacity: 1, usage: 1 });
    await hub.refused(422, bob, 'PUT', `/networks/alice/n/stat/bob/${nodePath}`, { capacity: -1, usage: 1 });
    await hub.close();
  });
});
