// Passports that others tell: floods of them cost their sender more than the node that hears them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import { canonicalJson } from '../../../src/core/descriptor/canonical.ts';
import type { PassportDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { passportHash, signPassport } from '../../../src/core/descriptor/signing.ts';
import { PassportBook } from '../../../src/core/node/passport-book.ts';
import { passportTell } from '../../../src/core/node/passport-tells.ts';
import type { NodeState } from '../../../src/core/node/state.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import { delegate, keyOf, network, owner, passport } from '../../fuzz/subjects.ts';
import { createWorld } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from '../peer/fake-admission.ts';

const { members_key } = passport;
const rights = { allow_write: true, allow_storage: false, allow_sign: false, serial: 1, members_key };

function passportOf(user: KeyPair, by?: { signer: KeyPair; own: PassportDescriptor }): PassportDescriptor {
  const subject = { user: { ed25519: toBase64(user.publicKey) }, network: network.name, ...rights };
  if (by === undefined) return signPassport(owner, subject);
  const certifier = { ed25519: toBase64(by.signer.publicKey) };
  return { ...signPassport(by.signer, { ...subject, certifier }), certifier_passport: by.own };
}

async function listener() {
  const world = createWorld({ seed: 1 });
  const { runtime } = world.host('listener');
  const peers = createPeers({ runtime, identity: testKey(1), admission: fakeAdmission(testKey(1)) });
  const state = { passports: async () => [], rememberPassport: async () => {} } as Partial<NodeState> as NodeState;
  const book = new PassportBook({ runtime, state, network: () => network, meet: async () => {}, isNear: () => true });
  book.serve(peers);
  const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
  const connect = async () => {
    const teller = createPeers({
      runtime: world.host('teller').runtime,
      identity: testKey(2),
      admission: fakeAdmission(testKey(2)),
    });
    return { teller, peer: await world.settle(teller.connect({ endpoints: [{ host: 'listener', port }] })) };
  };
  const knows = (one: PassportDescriptor, user: KeyPair) => book.mayWrite(user.publicKey, passportHash(one));
  return { world, connect, knows, ...(await connect()) };
}

const forged = (name: string) => canonicalJson({ ...passportOf(keyOf(name)), serial: 2 });

test('who tells bad passports is not listened to, also after he connected again', async () => {
  const { world, peer, teller, connect, knows } = await listener();
  const bad = Array.from({ length: limits.passportsRefusedMax }, (_, i) => forged(`bad${i}`));
  const [good, late] = [passportOf(keyOf('good')), passportOf(keyOf('late'))];
  await world.settle(peer.call(passportTell, { passports: [canonicalJson(good), ...bad] }));
  assert.equal(knows(good, keyOf('good')), true);
  const telling = { passports: [canonicalJson(late)] };
  const denied = (error: unknown) => isError(error, 'denied');
  await assert.rejects(world.settle(peer.call(passportTell, telling)), denied);
  await world.settle(teller.stop());
  const again = await connect();
  await assert.rejects(world.settle(again.peer.call(passportTell, telling)), denied);
  assert.equal(knows(late, keyOf('late')), false);
  await world.runFor(limits.passportTellMuteMs);
  // Without calls the connection may have been given up meanwhile.
  const { peer: later } = again.peer.open ? again : await connect();
  await world.settle(later.call(passportTell, telling));
  assert.equal(knows(late, keyOf('late')), true);
});

test('messages of one sender are looked at one after another, and few wait', async () => {
  const { world, peer } = await listener();
  const passports = Array.from({ length: 64 }, (_, i) => canonicalJson(passportOf(keyOf(`user${i}`))));
  const calls = Array.from({ length: limits.passportTellsWaitingMax + 3 }, () =>
    peer.call(passportTell, { passports }).then(
      () => 'heard',
      (error) => (isError(error, 'full') ? 'full' : 'failed'),
    ),
  );
  const outcomes = await world.settle(Promise.all(calls));
  assert.equal(outcomes.filter((outcome) => outcome === 'full').length, 3);
  assert.equal(outcomes.filter((outcome) => outcome === 'heard').length, limits.passportTellsWaitingMax);
});

test('a delegate has a share of the places, and pushes nobody out of his', async (t) => {
  const adjustable = limits as { passportsPerDelegateMax: number; passportsKeptMax: number };
  const { passportsPerDelegateMax, passportsKeptMax } = limits;
  Object.assign(adjustable, { passportsPerDelegateMax: 4, passportsKeptMax: 8 });
  t.after(() => Object.assign(adjustable, { passportsPerDelegateMax, passportsKeptMax }));
  const { world, peer, knows } = await listener();
  const own = signPassport(owner, {
    ...passportOf(delegate),
    allow_sign: true,
  });
  const honest = Array.from({ length: 4 }, (_, i) => passportOf(keyOf(`honest${i}`)));
  await world.settle(peer.call(passportTell, { passports: honest.map(canonicalJson) }));
  const his = Array.from({ length: 12 }, (_, i) => passportOf(keyOf(`his${i}`), { signer: delegate, own }));
  await world.settle(peer.call(passportTell, { passports: his.map(canonicalJson) }));
  assert.equal(honest.filter((one, i) => knows(one, keyOf(`honest${i}`))).length, 4);
  assert.equal(his.filter((one, i) => knows(one, keyOf(`his${i}`))).length, 4);
});
