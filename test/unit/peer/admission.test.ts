import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { networkIdOf, nodeIdOf } from '../../../src/core/block/address.ts';
import { type KeyPair, keyPairFromSeed, sign } from '../../../src/core/crypto/keys.ts';
import { canonicalJson } from '../../../src/core/descriptor/canonical.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { keyFromJson } from '../../../src/core/descriptor/keys.ts';
import { getLink } from '../../../src/core/descriptor/links.ts';
import { createNetwork, updateNetwork } from '../../../src/core/descriptor/networks.ts';
import { type CreatePassportOptions, createPassport } from '../../../src/core/descriptor/passports.ts';
import { passportHash } from '../../../src/core/descriptor/signing.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { type AdmissionOptions, createAdmission } from '../../../src/core/peer/admission.ts';
import { certify, type NodeKind, signedCertificate } from '../../../src/core/peer/certificate.ts';
import type { Admission } from '../../../src/core/peer/peer.ts';
import { failsWith, found, newDevice, someFounding, start, type TestDevice } from '../descriptor/support.ts';

const hour = 3_600_000;
const remote = keyPairFromSeed(Buffer.alloc(32, 21));
const local = keyPairFromSeed(Buffer.alloc(32, 22));
/** Where the fields of the presented bytes begin: format, founding flag, founding, then the certificate. */
const certificateAt = 34;
const certificateBytes = 32 + 32 + 1 + 32 + 6 + 6 + 64;

interface Scene {
  device: TestDevice;
  network: NetworkDescriptor;
  keyOf(user: string): Promise<KeyPair>;
  pass(user: string, options?: Partial<CreatePassportOptions>): Promise<PassportDescriptor>;
  /** The other side: its clock is the same. */
  peer(
    user: string,
    passport: PassportDescriptor,
    kind?: NodeKind,
    changes?: Partial<AdmissionOptions>,
  ): Promise<Admission>;
  /** This side, the owner's. */
  here: Admission;
}

async function scene(t: TestContext): Promise<Scene> {
  const device = await newDevice(t);
  for (const name of ['alice', 'bob', 'carol']) await createUser(device, { name });
  await createFilesystemSilo(device, { name: 'local' });
  const { network, link } = await createNetwork(device, { as: 'alice', name: 'n', silos: ['local'], found });
  const keyOf = async (user: string) => userKeyPair(await getUser(device, user));
  const shared = { clock: device.runtime.clock, log: device.runtime.log, network: () => network };
  const peer: Scene['peer'] = async (user, passport, kind = 'client', changes = {}) =>
    createAdmission({ ...shared, user: await keyOf(user), node: remote, kind, passport, ...changes });
  const here = createAdmission({
    ...shared,
    user: await keyOf('alice'),
    node: local,
    kind: 'storage',
    passport: link.passport,
  });
  const pass: Scene['pass'] = async (user, options = {}) =>
    (await createPassport(device, { as: 'alice', network: 'alice/n', user, ...options })).passport;
  return { device, network, keyOf, pass, peer, here };
}

/** Replaces the certificate, or the passport, in presented bytes. */
function tampered(presented: Uint8Array, change: { certificate?: Uint8Array; passport?: Uint8Array }): Buffer {
  const bytes = Buffer.from(presented);
  const head = bytes.subarray(0, certificateAt);
  const certificate = bytes.subarray(certificateAt, certificateAt + certificateBytes);
  const passport = change.passport ?? bytes.subarray(certificateAt + certificateBytes + 4);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(passport.length);
  return Buffer.concat([head, change.certificate ?? certificate, length, passport]);
}

test('who presents good credentials is known with his rights', async (t) => {
  const { here, peer, pass, keyOf, network } = await scene(t);
  const passport = await pass('bob', { denyWrite: true });
  const bob = await peer('bob', passport, 'storage');
  const identity = here.admit(bob.present(), remote.publicKey);
  assert.deepEqual(identity, bob.self);
  assert.deepEqual(identity, {
    id: nodeIdOf(remote.publicKey),
    nodeKey: remote.publicKey,
    userKey: (await keyOf('bob')).publicKey,
    kind: 'storage',
    rights: { write: false, storage: true, sign: false },
    passportHash: passportHash(passport),
  });
  here.check(identity);
  const back = bob.admit(here.present(), local.publicKey);
  assert.deepEqual(back.rights, { write: true, storage: true, sign: true });
  assert.deepEqual(back.userKey, keyFromJson(network.owner));
});

test('a delegate vouches by his own passport, which travels along', async (t) => {
  const { device, here, peer, pass } = await scene(t);
  await pass('bob', { allowCreatePassport: true, denyStorage: true });
  const { passport } = await createPassport(device, { as: 'bob', network: 'alice/n', user: 'carol' });
  const identity = here.admit((await peer('carol', passport)).present(), remote.publicKey);
  assert.deepEqual(identity.rights, { write: true, storage: false, sign: false });
  const { certifier_passport: delegate, ...alone } = passport;
  const bare = tampered((await peer('carol', passport)).present(), { passport: canonicalJson(alone) });
  assert.throws(() => here.admit(bare, remote.publicKey), failsWith('denied', /without its delegate's passport/));
  const judge = createAdmission({
    ...(await ownerOptions(device)),
    revoked: (one) => delegate !== undefined && passportHash(delegate).equals(passportHash(one)),
  });
  const presented = (await peer('carol', passport)).present();
  assert.throws(
    () => judge.admit(presented, remote.publicKey),
    failsWith('denied', /a delegate whose passport was revoked/),
  );
});

/** Of the owner's node. */
async function ownerOptions(device: TestDevice): Promise<AdmissionOptions> {
  const link = await getLink(device, 'alice', 'n');
  const user = userKeyPair(await getUser(device, 'alice'));
  const { clock, log } = device.runtime;
  return { clock, log, network: () => link.network, user, node: local, kind: 'storage', passport: link.passport };
}

test('storage nodes need the right; without it a device cannot even present itself as one', async (t) => {
  const { here, peer, pass, keyOf, network } = await scene(t);
  const passport = await pass('bob', { denyStorage: true });
  const denied = failsWith('denied', /^passport of #[0-9a-f]{6} for network "alice\/n" does not allow storage nodes$/);
  await assert.rejects(peer('bob', passport, 'storage'), denied);
  const client = await peer('bob', passport);
  here.admit(client.present(), remote.publicKey);
  const networkId = networkIdOf(keyFromJson(network.owner), network.name);
  const forged = certify(await keyOf('bob'), { nodeKey: remote.publicKey, kind: 'storage', networkId, now: start });
  const presented = tampered(client.present(), { certificate: encode(signedCertificate, forged) });
  assert.throws(() => here.admit(presented, remote.publicKey), denied);
});

test('another network, another founding', async (t) => {
  const { device, here, peer, pass } = await scene(t);
  const { network: other, link } = await createNetwork(device, { as: 'alice', name: 'other' });
  const stranger = await peer('alice', link.passport, 'client', { network: () => other });
  assert.throws(() => here.admit(stranger.present(), remote.publicKey), failsWith('denied', /is of another network$/));
  const passport = await pass('bob');
  const { network } = await ownerOptions(device);
  const elsewhere = { ...network(), founding: { ...someFounding, register: Buffer.alloc(32, 1).toString('base64') } };
  const separate = await peer('bob', passport, 'client', { network: () => elsewhere });
  const presented = separate.present();
  const separately = failsWith('conflict', /^device founded network "alice\/n" separately$/);
  assert.throws(() => here.admit(presented, remote.publicKey), separately);
  const early = await peer('bob', passport, 'client', { network: () => ({ ...network(), founding: null }) });
  here.admit(early.present(), remote.publicKey);
});

test('each flaw of a certificate is refused with what failed', async (t) => {
  const { device, here, peer, pass, keyOf, network } = await scene(t);
  const passport = await pass('bob');
  const bob = await keyOf('bob');
  const presented = (await peer('bob', passport)).present();
  const networkId = networkIdOf(keyFromJson(network.owner), network.name);
  const made = certify(bob, { nodeKey: remote.publicKey, kind: 'client', networkId, now: start });
  const long = { ...made.body, expires: made.body.issued + limits.clientCertificateMs + 1 };
  const other = certify(await keyOf('carol'), { nodeKey: remote.publicKey, kind: 'client', networkId, now: start });
  const flawed: [object, RegExp][] = [
    [{ ...made, signature: Buffer.alloc(64, 1) }, /certificate that its user did not sign/],
    [{ ...made, body: { ...made.body, kind: 'storage' } }, /certificate that its user did not sign/],
    [{ ...made, body: long }, /certificate that its user did not sign/],
    [{ ...made, body: { ...made.body, nodeKey: local.publicKey } }, /certificate of another node/],
    [{ ...made, body: { ...made.body, networkId: Buffer.alloc(32) } }, /is of another network/],
    [other, /is presented by another user/],
    [
      certify(bob, { nodeKey: remote.publicKey, kind: 'client', networkId, now: start + limits.clockSkewMs + 1 }),
      /certificate from the future: check the clocks/,
    ],
  ];
  for (const [certificate, message] of flawed) {
    const bytes = tampered(presented, { certificate: encode(signedCertificate, certificate as never) });
    assert.throws(() => here.admit(bytes, remote.publicKey), failsWith('denied', message));
  }
  assert.throws(() => here.admit(presented, local.publicKey), failsWith('denied', /certificate of another node/));
  here.admit(presented, remote.publicKey);
  device.time(start + limits.clientCertificateMs + limits.clockSkewMs);
  assert.throws(() => here.admit(presented, remote.publicKey), failsWith('denied', /an expired certificate/));
});

test('a certificate cannot be made to last', async (t) => {
  const { here, peer, pass, keyOf } = await scene(t);
  const peerOfBob = await peer('bob', await pass('bob'), 'storage');
  const presented = peerOfBob.present();
  const cut = presented.subarray(certificateAt, certificateAt + certificateBytes);
  const { body } = decode(signedCertificate, Uint8Array.from(cut));
  assert.equal(body.expires - body.issued, limits.storageCertificateMs);
  // A client's certificate with the duration of a storage node's, properly signed: the kind decides.
  const asClient = encode(signedCertificate, { body: { ...body, kind: 'client' }, signature: Buffer.alloc(64) });
  const signature = sign(await keyOf('bob'), 'node-certificate', asClient.subarray(0, -64));
  const certificate = Buffer.concat([asClient.subarray(0, -64), signature]);
  const forged = tampered(presented, { certificate });
  assert.throws(() => here.admit(forged, remote.publicKey), failsWith('denied', /certificate of invalid duration/));
});

test('clients renew their certificates before they end, and when the clock went back', async (t) => {
  const { device, here, peer, pass } = await scene(t);
  const bob = await peer('bob', await pass('bob'));
  const first = bob.present();
  device.time(start + 11 * hour);
  assert.deepEqual(bob.present(), first);
  for (const hours of [13, 40, 400, 2]) {
    device.time(start + hours * hour);
    const presented = bob.present();
    assert.notDeepEqual(presented, first);
    here.admit(presented, remote.publicKey);
  }
});

test('each flaw of a passport is refused', async (t) => {
  const { here, peer, pass } = await scene(t);
  const passport = await pass('bob', { denyStorage: true });
  const presented = (await peer('bob', passport)).present();
  const flawed: [Buffer, 'denied' | 'corrupt', RegExp][] = [
    [canonicalJson({ ...passport, allow_storage: true }), 'denied', /not signed by the network's owner/],
    [canonicalJson(await pass('carol')), 'denied', /is presented by another user/],
    [Buffer.from(JSON.stringify(passport)), 'corrupt', /passport is not in canonical form/],
    [canonicalJson({ ...passport, more: 1 }), 'corrupt', /field "more" is unknown/],
    [Buffer.from('{'), 'corrupt', /passport: not a JSON text/],
    [Buffer.alloc(limits.passportBytesMax + 1), 'corrupt', /above the limit/],
  ];
  for (const [bytes, kind, message] of flawed)
    assert.throws(
      () => here.admit(tampered(presented, { passport: bytes }), remote.publicKey),
      failsWith(kind, message),
    );
});

test('expiry and revocation also end connections that are open', async (t) => {
  const { device, here, peer, pass } = await scene(t);
  const expiring = here.admit(
    (await peer('bob', await pass('bob', { expiresInMs: hour }))).present(),
    remote.publicKey,
  );
  const lasting = here.admit((await peer('carol', await pass('carol'))).present(), remote.publicKey);
  device.time(start + hour + limits.clockSkewMs - 1);
  here.check(expiring);
  device.time(start + hour + limits.clockSkewMs);
  assert.throws(() => here.check(expiring), failsWith('denied', /has expired$/));
  here.check(lasting);
  const unknown = { ...lasting };
  assert.throws(() => here.check(unknown), failsWith('denied', /not admitted here/));
  here.check(here.self);
});

test('a revoked passport is refused, at the door and on open connections; the owner cannot be revoked', async (t) => {
  const { device, peer, pass } = await scene(t);
  const passport = await pass('bob');
  let closed = false;
  const judge = createAdmission({ ...(await ownerOptions(device)), revoked: () => closed });
  const bob = await peer('bob', passport);
  const identity = judge.admit(bob.present(), remote.publicKey);
  const owner = await getLink(device, 'alice', 'n');
  const alice = await peer('alice', owner.passport);
  closed = true;
  assert.throws(() => judge.check(identity), failsWith('denied', /was revoked$/));
  assert.throws(() => judge.admit(bob.present(), remote.publicKey), failsWith('denied', /was revoked$/));
  judge.check(judge.admit(alice.present(), remote.publicKey));
});

test('an update of the descriptor keeps what was presented valid', async (t) => {
  const { device, peer, pass } = await scene(t);
  const bob = await peer('bob', await pass('bob'));
  const updated = await updateNetwork(device, { as: 'alice', name: 'n', description: 'new' });
  const judge = createAdmission({ ...(await ownerOptions(device)), network: () => updated });
  judge.admit(bob.present(), remote.publicKey);
});

test('an expired passport of one own is told at once', async (t) => {
  const { device, peer, pass } = await scene(t);
  const passport = await pass('bob', { expiresInMs: 1 });
  device.time(start + hour);
  await assert.rejects(peer('bob', passport), failsWith('denied', /has expired/));
});

test('refusals are logged for who looks, and credentials have a limit', async (t) => {
  const { device, here } = await scene(t);
  const refused: [Buffer, RegExp][] = [
    [Buffer.alloc(limits.presentedBytesMax + 1, 1), /credentials are too long/],
    [Buffer.alloc(0), /unknown format none/],
    [Buffer.from([2]), /unknown format 2/],
    [Buffer.from([1]), /truncated/],
  ];
  for (const [bytes, message] of refused) {
    assert.throws(() => here.admit(bytes, remote.publicKey), failsWith('corrupt', message));
    assert.match(device.logged.at(-1) ?? '', message);
  }
});

test('truncated, flipped and random credentials are never admitted and throw nothing but our errors', async (t) => {
  const { here, peer, pass } = await scene(t);
  const good = Buffer.from((await peer('bob', await pass('bob'), 'storage')).present());
  const attempt = (bytes: Uint8Array) => {
    if (good.equals(bytes)) return;
    try {
      here.admit(bytes, remote.publicKey);
    } catch (error) {
      assert.ok(error instanceof InfinitError, String(error));
      assert.ok(['denied', 'corrupt', 'conflict'].includes(error.kind), error.kind);
      return;
    }
    assert.fail('admitted');
  };
  fc.assert(
    fc.property(fc.nat(), fc.integer({ min: 1, max: 255 }), (at, mask) => {
      const index = at % good.length;
      const flipped = Buffer.from(good);
      flipped[index] = (flipped[index] as number) ^ mask;
      attempt(flipped);
      attempt(good.subarray(0, index));
      attempt(Buffer.concat([good, Buffer.from([mask])]));
    }),
    { numRuns: 250 },
  );
  fc.assert(fc.property(fc.uint8Array({ maxLength: 2000 }), attempt));
  fc.assert(fc.property(fc.uint8Array(), (bytes) => attempt(Buffer.concat([good.subarray(0, certificateAt), bytes]))));
});
