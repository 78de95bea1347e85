import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { pairingState, receiveUser, transmitUser } from '../../../src/core/hub/client/pairing.ts';
import { openSharing, pushUser } from '../../../src/core/hub/client/sharing.ts';
import type { SealedIdentity } from '../../../src/core/hub/hub.ts';
import { makePairing, openIdentity, passwordKeys, sealedSeedBytes } from '../../../src/core/hub/identity.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';
import { failsWith, newDevice } from '../descriptor/support.ts';
import { person, publicKey, TestHub } from './support.ts';

const alice = person('alice');
const bob = person('bob');
const passphrase = 'three blind mice';
const at = '/users/alice/pairing';

/** As if made of a passphrase: its pair is that of a made-up person. The hub cannot tell. */
function pairingUnder(made: string): SealedIdentity {
  const sealed = toBase64(Buffer.alloc(sealedSeedBytes, made));
  return { salt: toBase64(Buffer.alloc(16, 1)), scrypt_n: 2 ** 17, login_key: publicKey(person(made)), sealed };
}

async function parked(t: TestContext) {
  const hub = await TestHub.open();
  t.after(() => hub.close());
  await hub.enrol(alice, bob);
  const pairing = pairingUnder(passphrase);
  await hub.must(201, alice, 'PUT', at, pairing);
  return { hub, pairing, taker: { name: 'alice', key: person(passphrase).key } };
}

describe('a key left for another device', () => {
  test('is given to who signs with what the passphrase gives, once', async (t) => {
    const { hub, pairing, taker } = await parked(t);
    const { salt, scrypt_n } = pairing;
    assert.deepEqual(await hub.must(200, undefined, 'GET', at), { salt, scrypt_n });
    await hub.must(200, alice, 'GET', `${at}/status`);
    const got = await hub.must(200, taker, 'POST', at, {});
    assert.deepEqual(got, { name: 'alice', public_key: publicKey(alice), sealed: pairing.sealed });
    assert.equal(await hub.refused(404, taker, 'POST', at, {}), 'pairing_information/not_found');
    assert.equal(await hub.refused(404, alice, 'GET', `${at}/status`), 'pairing_information/not_found');
    assert.equal(await hub.refused(404, undefined, 'GET', at), 'pairing_information/not_found');
    assert.equal(await hub.store.pairing('alice'), undefined);
  });

  test('is the same user’s to leave and to ask after, and nobody takes it with another key', async (t) => {
    const { hub, pairing, taker } = await parked(t);
    await hub.refused(403, bob, 'PUT', at, pairing);
    await hub.refused(403, bob, 'GET', `${at}/status`);
    await hub.refused(401, undefined, 'PUT', at, pairing);
    await hub.refused(401, undefined, 'POST', at, {});
    await hub.refused(401, { name: 'bob', key: taker.key }, 'POST', at, {});
    // The user's own key is no passphrase, and who knows the passphrase is not the user.
    assert.equal(await hub.refused(401, alice, 'POST', at, {}), 'pairing/invalid_passphrase');
    await hub.refused(401, taker, 'GET', '/users/alice/networks');
    await hub.refused(401, taker, 'PUT', at, pairing);
    const { sealed: _, ...less } = pairing;
    for (const body of [less, { ...pairing, scrypt_n: 1024 }, { ...pairing, more: 1 }, { ...pairing, sealed: 'AAAA' }])
      await hub.refused(422, alice, 'PUT', at, body);
    await hub.must(200, taker, 'POST', at, {});
  });

  test('has ended after five minutes, and its bytes are gone from the database', async (t) => {
    const { hub, taker } = await parked(t);
    hub.nowMs += limits.hubPairingMs - 1;
    await hub.must(200, alice, 'GET', `${at}/status`);
    hub.nowMs += 1;
    assert.equal(await hub.refused(410, taker, 'POST', at, {}), 'pairing/gone');
    assert.equal(await hub.refused(410, undefined, 'GET', at), 'pairing/gone');
    hub.nowMs += limits.hubSweepPeriodMs;
    assert.equal(await hub.refused(410, alice, 'GET', `${at}/status`), 'pairing/gone');
    assert.equal((await hub.store.pairing('alice'))?.sealed, undefined);
    hub.nowMs += limits.hubPairingMemoryMs;
    assert.equal(await hub.refused(404, alice, 'GET', `${at}/status`), 'pairing_information/not_found');
    assert.equal(await hub.store.pairing('alice'), undefined);
  });

  test('is not guessed: few tries while it is there, and other users are not disturbed', async (t) => {
    const { hub, pairing, taker } = await parked(t);
    await hub.must(201, bob, 'PUT', '/users/bob/pairing', pairing);
    let refused = 0;
    const statuses = new Set<number>();
    const untilMs = hub.nowMs + limits.hubPairingMs;
    for (; hub.nowMs < untilMs; hub.nowMs += 1000) {
      const { status } = await hub.ask({ name: 'alice', key: bob.key }, 'POST', at, {});
      statuses.add(status);
      if (status === 401) refused++;
    }
    assert.deepEqual([...statuses].sort(), [401, 429]);
    assert.ok(refused <= 15, `${refused} guesses`);
    await hub.must(200, alice, 'PUT', at, pairing);
    assert.equal((await hub.ask(taker, 'POST', at, {})).status, 429);
    await hub.must(200, bob, 'PUT', '/users/bob/pairing', pairing);
    await hub.must(200, { name: 'bob', key: taker.key }, 'POST', '/users/bob/pairing', {});
    hub.nowMs += 30_000;
    await hub.must(200, taker, 'POST', at, {});
  });

  test('of two who have the passphrase one gets it; an earlier one ends when another is left', async (t) => {
    const { hub, taker } = await parked(t);
    const both = await Promise.all([1, 2].map(() => hub.ask(taker, 'POST', at, {})));
    assert.deepEqual(both.map(({ status }) => status).sort(), [200, 404]);
    await hub.must(201, alice, 'PUT', at, pairingUnder('another'));
    assert.equal(await hub.refused(401, taker, 'POST', at, {}), 'pairing/invalid_passphrase');
    await hub.must(200, alice, 'DELETE', '/users/alice');
    assert.equal(await hub.store.pairing('alice'), undefined);
  });

  test('does not open as a password’s, though the words are the same', async () => {
    const pairing = await makePairing(new SeededRandom('pairing'), 'alice', passphrase, alice.key.seed);
    const [keys, asPassword] = await Promise.all([
      passwordKeys('alice', passphrase, pairing, 'pairing'),
      passwordKeys('alice', passphrase, pairing),
    ]);
    assert.deepEqual(openIdentity('alice', keys.sealing, pairing.sealed, 'pairing'), alice.key.seed);
    assert.equal(pairing.login_key.ed25519, toBase64(keys.login.publicKey));
    const kept = JSON.stringify(pairing);
    for (const secret of [alice.key.seed, keys.sealing, keys.login.seed]) {
      assert.ok(!kept.includes(toBase64(secret)));
      assert.ok(!Buffer.from(pairing.sealed, 'base64').includes(secret));
    }
    assert.notDeepEqual(asPassword.login.publicKey, keys.login.publicKey);
    const refused = failsWith('denied', /does not open/);
    assert.throws(() => openIdentity('alice', asPassword.sealing, pairing.sealed, 'pairing'), refused);
    assert.throws(() => openIdentity('alice', keys.sealing, pairing.sealed), refused);
    assert.throws(() => openIdentity('bob', keys.sealing, pairing.sealed, 'pairing'), refused);
  });
});

describe('two devices of one user', () => {
  async function devices(t: TestContext) {
    const hub = await TestHub.open();
    t.after(() => hub.close());
    const [old, fresh] = [await newDevice(t, `${t.name} old`), await newDevice(t, `${t.name} fresh`)];
    await createUser(old, { name: 'alice', email: 'a@example.org', fullname: 'Alice' });
    const hers = await openSharing(old, hub.connection, 'alice');
    return { hub, old, fresh, hers, there: await openSharing(fresh, hub.connection, 'guest') };
  }

  test('have the same identity afterwards', async (t) => {
    const { hub, old, fresh, hers, there } = await devices(t);
    await assert.rejects(transmitUser(hers, passphrase), failsWith('not-found', /user "alice" does not exist/));
    await pushUser(hers, 'alice');
    await assert.rejects(
      receiveUser(there, 'alice', passphrase),
      failsWith('not-found', /pairing information "alice"/),
    );
    await transmitUser(hers, passphrase);
    assert.equal(await pairingState(hers), 'waiting');
    // Known there already, without her key.
    const { private_key: _, ...open } = await old.repository.get('user', 'alice');
    await fresh.repository.put('user', 'alice', open);
    await assert.rejects(receiveUser(there, 'alice', 'three blind rats'), failsWith('denied', /^invalid passphrase$/));
    assert.equal(await pairingState(hers), 'waiting');
    await receiveUser(there, 'alice', passphrase);
    assert.equal(await pairingState(hers), 'received');
    assert.deepEqual(await fresh.repository.get('user', 'alice'), await old.repository.get('user', 'alice'));
    await assert.rejects(
      receiveUser(there, 'alice', passphrase),
      failsWith('exists', /^user "alice" already exists locally$/),
    );
    await hub.store.setPairing('alice', { sealed: pairingUnder('x'), until_ms: hub.nowMs });
    assert.equal(await pairingState(hers), 'gone');
  });

  test('a device does not take another key than that of the user it asked for', async (t) => {
    const { hub, fresh, there } = await devices(t);
    await hub.enrol(alice);
    // Somebody who rules the hub has a key of his own sealed under a passphrase he was told.
    const forged = await makePairing(hub.random, 'alice', passphrase, bob.key.seed);
    await hub.must(201, alice, 'PUT', at, forged);
    await assert.rejects(receiveUser(there, 'alice', passphrase), failsWith('corrupt', /another key for user "alice"/));
    assert.equal(await fresh.repository.has('user', 'alice'), false);
  });
});
