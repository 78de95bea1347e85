// A revoked passport opens nothing any more: no connection, no call on an open one, no new value in a register.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { fromBase64, toBase64 } from '../../../src/core/base/bytes.ts';
import { empty } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { isRevoked } from '../../../src/core/descriptor/rights.ts';
import { passportHash, signNetwork, signPassport } from '../../../src/core/descriptor/signing.ts';
import { formatDescriptor, parseDescriptor } from '../../../src/core/descriptor/stream.ts';
import { PassportBook } from '../../../src/core/node/passport-book.ts';
import type { NodeState } from '../../../src/core/node/state.ts';
import { createAdmission } from '../../../src/core/peer/admission.ts';
import type { NodeKind } from '../../../src/core/peer/certificate.ts';
import type { Method } from '../../../src/core/peer/peer.ts';
import { closeRefused, createPeers } from '../../../src/core/peer/peers.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { delegate, network as good, keyOf, member, owner, passport } from '../../fuzz/subjects.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const { signature: _, ...unsigned } = good;
const ping: Method<Record<string, never>, Record<string, never>> = {
  name: 'test.ping',
  request: empty,
  response: empty,
  right: 'member',
};

function passportOf(user: KeyPair, signer = owner): PassportDescriptor {
  const key = { ed25519: toBase64(user.publicKey) };
  const { network, members_key } = passport;
  const rights = { allow_write: true, allow_storage: true, allow_sign: true };
  return signPassport(signer, { user: key, network, ...rights, serial: 1, members_key });
}

function revoking(...passports: PassportDescriptor[]): NetworkDescriptor {
  const revoked = passports.map(({ user, serial }) => ({ user, through: serial }));
  const descriptor = signNetwork(owner, { ...unsigned, serial: unsigned.serial + 1, revoked });
  return parseDescriptor('network', formatDescriptor('network', descriptor));
}

function admissionOf(runtime: Runtime, network: () => NetworkDescriptor, user: KeyPair, node: KeyPair, kind: NodeKind) {
  const revoked = (one: PassportDescriptor) => isRevoked(network(), one);
  const { clock, log } = runtime;
  return createAdmission({ clock, log, network, user, node, kind, passport: passportOf(user), revoked });
}

test('connections of a revoked user end, and he makes no new ones', async () => {
  const world = createWorld({ seed: 1 });
  let network = good;
  const [here, there] = [world.host('here').runtime, world.host('there').runtime];
  const admission = admissionOf(here, () => network, owner, keyOf('node'), 'storage');
  const peers = createPeers({ runtime: here, identity: keyOf('node'), admission });
  peers.serve(ping, () => ({}));
  const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
  const identity = keyOf('client');
  const his = admissionOf(there, () => good, member, identity, 'client');
  const client = createPeers({ runtime: there, identity, admission: his });
  const endpoints = [{ host: 'here', port }];
  const peer = await world.settle(client.connect({ endpoints }));
  await world.settle(peer.call(ping, {}));
  network = revoking(passportOf(member));
  await assert.rejects(world.settle(peer.call(ping, {})), (error) => isError(error, 'denied'));
  assert.equal(peers.connected().length, 1);
  closeRefused(peers, admission);
  await world.runFor(1000);
  assert.equal(peers.connected().length, 0);
  assert.equal(peer.open, false);
  await assert.rejects(world.settle(client.connect({ endpoints })), (error) => isError(error, 'denied'));
  await world.settle(Promise.all([client.stop(), peers.stop()]));
});

test('a revoked author writes nothing new, nor whom a revoked delegate let in; the owner always does', async () => {
  const { runtime } = createWorld({ seed: 1 }).host('here');
  let network = good;
  const state = { passports: async () => [], rememberPassport: async () => {} } as Partial<NodeState> as NodeState;
  const book = new PassportBook({ runtime, state, network: () => network, meet: async () => {}, isNear: () => true });
  const note = (user: KeyPair, his: PassportDescriptor) => {
    const rights = { write: true, storage: false, sign: false };
    const id = Buffer.alloc(32);
    book.admitted(
      { id, nodeKey: id, userKey: user.publicKey, kind: 'client', rights, passportHash: passportHash(his) },
      his,
    );
    return () => book.mayWrite(user.publicKey, passportHash(his));
  };
  const lent = fromBase64(passport.members_key);
  const guest = keyOf('guest');
  const guestPassport = {
    ...signPassport(delegate, {
      ...passportOf(guest),
      members_key: toBase64(lent),
      certifier: { ed25519: toBase64(delegate.publicKey) },
    }),
    certifier_passport: passportOf(delegate),
  };
  const [memberMay, guestMay, ownerMay] = [
    note(member, passportOf(member)),
    note(guest, guestPassport),
    note(owner, passportOf(owner)),
  ];
  assert.deepEqual([memberMay(), guestMay(), ownerMay()], [true, true, true]);
  network = revoking(passportOf(member), passportOf(owner));
  assert.deepEqual([memberMay(), guestMay(), ownerMay()], [false, true, true]);
  network = revoking(passportOf(delegate));
  assert.deepEqual([memberMay(), guestMay(), ownerMay()], [true, false, true]);
});

test('a node of a revoked user becomes a member of nothing any more (2.8)', () => {
  const { runtime } = createWorld({ seed: 1 }).host('here');
  let network = good;
  const state = { passports: async () => [], rememberPassport: async () => {} } as Partial<NodeState> as NodeState;
  const book = new PassportBook({ runtime, state, network: () => network, meet: async () => {}, isNear: () => true });
  const address = Buffer.alloc(32, 7);
  const nodes = [member, owner].map((user, i) => {
    const id = Buffer.alloc(32, i + 1);
    const rights = { write: true, storage: true, sign: false };
    const his = passportOf(user);
    const hash = passportHash(his);
    book.admitted({ id, nodeKey: id, userKey: user.publicKey, kind: 'storage', rights, passportHash: hash }, his);
    return () => book.mayStore(id, address);
  });
  assert.deepEqual(
    nodes.map((may) => may()),
    [true, true],
  );
  network = revoking(passportOf(member), passportOf(owner));
  assert.deepEqual(
    nodes.map((may) => may()),
    [false, true],
  );
  assert.equal(book.mayStore(Buffer.alloc(32, 9), address), false);
});
