// Node records against members that make up nodes: only what a user certified whom the network lets store is learned, and many
// nodes of one user push out none of others.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toBase64, toHex } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import { signPassport } from '../../../src/core/descriptor/signing.ts';
import { certifyRecord } from '../../../src/core/node/self-record.ts';
import { Directory } from '../../../src/core/overlay/directory.ts';
import { type NodeStatement, signRecord } from '../../../src/core/overlay/node-record.ts';
import type { NodeRecord, OverlayContext } from '../../../src/core/overlay/overlay.ts';
import { createAdmission } from '../../../src/core/peer/admission.ts';
import type { NodeKind } from '../../../src/core/peer/certificate.ts';
import { keyOf, member, network, owner, passport } from '../../fuzz/subjects.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const { runtime } = createWorld({ seed: 1 }).host('here');
const statement: NodeStatement = {
  userKey: member.publicKey,
  endpoints: [],
  positions: 4,
  zone: undefined,
  capacityBytes: 1,
  freeBytes: 1,
  stores: [],
  closed: false,
  leaving: false,
  credentials: Buffer.alloc(0),
  serial: 1,
};

function admissionOf(
  user: KeyPair,
  node: KeyPair,
  kind: NodeKind = 'storage',
  allow_storage = true,
  clock: { now(): number } = runtime.clock,
) {
  const rights = { allow_write: true, allow_storage, allow_sign: false, serial: 1 };
  const { members_key } = passport;
  const own = signPassport(owner, {
    user: { ed25519: toBase64(user.publicKey) },
    network: network.name,
    ...rights,
    members_key,
  });
  const { log } = runtime;
  return createAdmission({ clock, log, network: () => network, user, node, kind, passport: own });
}

const recordOf = (user: KeyPair, node: KeyPair, credentials: Uint8Array, serial = 1) =>
  signRecord(node, { ...statement, userKey: user.publicKey, credentials, serial });
const certified = (user: KeyPair, name: string) =>
  recordOf(user, keyOf(name), admissionOf(user, keyOf(name)).present());

function directory() {
  const here = admissionOf(owner, keyOf('here'));
  const context = {
    runtime,
    peers: { self: here.self },
    self: () => undefined,
    certify: (record: NodeRecord) => certifyRecord(here, record),
  } as Partial<OverlayContext> as OverlayContext;
  return new Directory(context, { liveness: () => 'unknown', standing: () => ({ nodes: [], whole: false }) });
}

test('a node is learned only with the certificate of its user, whom the network lets store', () => {
  const known = directory();
  const node = keyOf('node');
  const name = toHex(nodeIdOf(node.publicKey));
  const credentials = admissionOf(member, node).present();
  const stranger = admissionOf(member, keyOf('another')).present();
  const refused = [
    recordOf(member, node, Buffer.alloc(0)),
    recordOf(member, node, Buffer.from('nonsense')),
    recordOf(member, node, stranger),
    recordOf(owner, node, credentials),
    recordOf(member, node, admissionOf(member, node, 'client').present()),
    recordOf(member, node, admissionOf(member, node, 'client', false).present()),
  ];
  for (const [i, record] of refused.entries()) {
    known.learn([record]);
    assert.equal(known.get(name), undefined, `${i}`);
  }
  const good = recordOf(member, node, credentials);
  known.learn([good]);
  assert.equal(known.get(name), good);
  known.learn([recordOf(member, node, stranger, 2)]);
  assert.equal(known.get(name), good);
  const newer = recordOf(member, node, credentials, 3);
  known.learn([newer]);
  assert.equal(known.get(name), newer);
});

test('a certificate that has expired brings no node in', () => {
  const clock = { now: () => runtime.clock.now() - 2 * limits.storageCertificateMs };
  const node = keyOf('old');
  const old = admissionOf(owner, node, 'storage', true, clock);
  const record = recordOf(owner, node, old.present());
  assert.throws(
    () => certifyRecord(admissionOf(owner, keyOf('here')), record),
    (error) => isError(error, 'denied'),
  );
});

test('many nodes of one user push out none of others', (t) => {
  const adjustable = limits as { nodeRecordsMax: number };
  const { nodeRecordsMax } = limits;
  adjustable.nodeRecordsMax = 6;
  t.after(() => (adjustable.nodeRecordsMax = nodeRecordsMax));
  const known = directory();
  const honest = ['a', 'b'].map((name) => certified(owner, name));
  known.learn(honest);
  for (let i = 0; i < 12; i++) known.learn([certified(member, `many${i}`)]);
  assert.equal(known.all().length, 6);
  for (const { id } of honest) assert.ok(known.get(toHex(id)));
  known.learn([certified(keyOf('third'), 'c')]);
  assert.ok(known.get(toHex(nodeIdOf(keyOf('c').publicKey))));
});
