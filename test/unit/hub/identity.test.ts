import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { makeIdentity, openIdentity, passwordKeys } from '../../../src/core/hub/identity.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';
import { failsWith } from '../descriptor/support.ts';
import { person, TestHub, userBody } from './support.ts';

const alice = person('alice');
const password = 'correct horse';

describe('a private key under a password', () => {
  test('opens with the password, and the hub has neither', async () => {
    const random = new SeededRandom('identity');
    const identity = await makeIdentity(random, 'alice', password, alice.key.seed);
    assert.ok(identity.sealed);
    const { login, sealing } = await passwordKeys('alice', password, identity);
    assert.deepEqual(openIdentity('alice', sealing, identity.sealed), alice.key.seed);
    assert.equal(identity.login_key.ed25519, login.publicKey.toString('base64'));
    const kept = Buffer.from(JSON.stringify(identity));
    for (const secret of [alice.key.seed, sealing, login.seed]) {
      assert.ok(!kept.includes(secret.toString('base64')));
      assert.ok(!Buffer.from(identity.sealed, 'base64').includes(secret));
    }
    const wrong = await passwordKeys('alice', 'another', identity);
    assert.throws(() => openIdentity('alice', wrong.sealing, identity.sealed ?? ''), failsWith('denied', /password/));
    // Not that of another user who has the same password and was given the same salt.
    assert.throws(() => openIdentity('bob', sealing, identity.sealed ?? ''), failsWith('denied', /password/));
    assert.notDeepEqual((await passwordKeys('bob', password, identity)).sealing, sealing);
  });

  test('a hub that asks for a cheap password, or a ruinous one, is refused', async () => {
    for (const scrypt_n of [2, 2 ** 16, 2 ** 17 + 1, 2 ** 21, Number.NaN])
      await assert.rejects(passwordKeys('alice', password, { salt: 'AAAA', scrypt_n }), failsWith('corrupt', /cost/));
  });

  test('is given to who signs with what the password gives', async () => {
    const hub = await TestHub.open();
    const identity = await makeIdentity(hub.random, 'alice', password, alice.key.seed);
    await hub.must(201, alice, 'PUT', '/users/alice', userBody(alice, { identity, email: 'a@b.c' }));
    assert.deepEqual(await hub.must(200, undefined, 'GET', '/users/alice/login'), {
      salt: identity.salt,
      scrypt_n: identity.scrypt_n,
    });
    const { login } = await passwordKeys('alice', password, identity);
    const got = await hub.must(200, { name: 'alice', key: login }, 'POST', '/users/alice/login', {});
    assert.equal(got.sealed, identity.sealed);
    const { login: wrong } = await passwordKeys('alice', 'another', identity);
    await hub.refused(401, { name: 'alice', key: wrong }, 'POST', '/users/alice/login', {});
    // The user's own key is no password, and who knows the password is not the user.
    await hub.refused(401, alice, 'POST', '/users/alice/login', {});
    await hub.refused(401, { name: 'alice', key: login }, 'GET', '/users/alice/networks');
    assert.ok(!JSON.stringify(await hub.must(200, undefined, 'GET', '/users/alice')).includes('sealed'));
    // Another push without a password keeps it.
    await hub.must(200, alice, 'PUT', '/users/alice', userBody(alice, { fullname: 'Alice' }));
    await hub.must(200, { name: 'alice', key: login }, 'POST', '/users/alice/login', {});
    await hub.must(200, alice, 'DELETE', '/users/alice');
    await hub.refused(404, { name: 'alice', key: login }, 'POST', '/users/alice/login', {});
    await hub.close();
  });

  test('a password alone names nobody’s key', async () => {
    const hub = await TestHub.open();
    const identity = await makeIdentity(hub.random, 'alice', password, undefined);
    await hub.must(201, alice, 'PUT', '/users/alice', userBody(alice, { identity }));
    const { login } = await passwordKeys('alice', password, identity);
    assert.equal(
      await hub.refused(404, { name: 'alice', key: login }, 'POST', '/users/alice/login', {}),
      'user/no_identity',
    );
    await hub.close();
  });
});
