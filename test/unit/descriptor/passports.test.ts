import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { sealTo } from '../../../src/core/crypto/sealed-box.ts';
import type { NetworkDescriptor, PassportDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { keyFromJson } from '../../../src/core/descriptor/keys.ts';
import { getLink, linkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork, importNetwork } from '../../../src/core/descriptor/networks.ts';
import {
  type CreatePassportOptions,
  createPassport,
  deletePassport,
  getPassport,
  importPassport,
  listPassports,
} from '../../../src/core/descriptor/passports.ts';
import { passportExpiry, verifyPassport } from '../../../src/core/descriptor/rights.ts';
import { passportHash, signPassport } from '../../../src/core/descriptor/signing.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { carryUsers, failsWith, newDevice, start, type TestDevice } from './support.ts';

const minute = 60_000;

interface Scene {
  device: TestDevice;
  network: NetworkDescriptor;
  /** A passport by Alice, the owner. */
  pass(user: string, options?: Partial<CreatePassportOptions>): Promise<PassportDescriptor>;
  /** The same passport with changes, signed by that user. */
  forge(
    signer: string,
    passport: PassportDescriptor,
    changes: Partial<PassportDescriptor>,
  ): Promise<PassportDescriptor>;
}

async function scene(t: TestContext): Promise<Scene> {
  const device = await newDevice(t);
  for (const name of ['alice', 'bob', 'carol', 'dave']) await createUser(device, { name });
  const { network } = await createNetwork(device, { as: 'alice', name: 'n' });
  return {
    device,
    network,
    pass: async (user, options = {}) =>
      (await createPassport(device, { as: 'alice', network: 'alice/n', user, ...options })).passport,
    forge: async (signer, passport, changes) => {
      const { signature: _, certifier_passport, ...body } = { ...passport, ...changes };
      const signed = signPassport(userKeyPair(await getUser(device, signer)), body);
      return certifier_passport === undefined ? signed : { ...signed, certifier_passport };
    },
  };
}

test('rights of a passport by the owner', async (t) => {
  const { network, pass } = await scene(t);
  const rights = async (options: Partial<CreatePassportOptions>) => verifyPassport(network, await pass('bob', options));
  assert.deepEqual(await rights({}), { write: true, storage: true, sign: false });
  assert.deepEqual(await rights({ denyWrite: true }), { write: false, storage: true, sign: false });
  assert.deepEqual(await rights({ denyStorage: true }), { write: true, storage: false, sign: false });
  assert.deepEqual(await rights({ allowCreatePassport: true }), { write: true, storage: true, sign: true });
});

test('the owner has all rights by his own passport', async (t) => {
  const { device, network } = await scene(t);
  const { passport } = await getLink(device, 'alice', 'n');
  assert.deepEqual(verifyPassport(network, passport), { write: true, storage: true, sign: true });
  const own = createPassport(device, { as: 'alice', network: 'n', user: 'alice' });
  await assert.rejects(own, failsWith('usage', /"alice" owns network "alice\/n" and needs no passport/));
});

test('a delegate signs, gives no more than he has, and not the right to sign', async (t) => {
  const { device, network, pass } = await scene(t);
  const as = 'bob';
  const signs = (options: Partial<CreatePassportOptions> = {}) =>
    createPassport(device, { as, network: 'alice/n', user: 'carol', ...options });
  await assert.rejects(signs(), failsWith('denied', /"bob" neither owns network "alice\/n" nor has a passport/));
  await pass('bob');
  await assert.rejects(signs(), failsWith('denied', /"alice\/n: bob" does not allow creating passports/));
  const own = await pass('bob', { allowCreatePassport: true, denyStorage: true, expiresInMs: 10 * minute });
  const { passport, delegated, name } = await signs({ expiresInMs: 20 * minute });
  assert.deepEqual([delegated, name, passport.certifier_passport], [true, 'alice/n/carol', own]);
  assert.deepEqual(verifyPassport(network, passport), { write: true, storage: false, sign: false });
  assert.equal(passportExpiry(passport), start + 10 * minute);
  await assert.rejects(signs({ allowCreatePassport: true }), failsWith('denied', /only the owner/));
  const now = start + 10 * minute + limits.clockSkewMs;
  assert.throws(() => verifyPassport(network, passport, { now }), failsWith('denied', /has expired/));
  verifyPassport(network, passport, { now: now - 1 });
});

test('expiry, with tolerance for clocks', async (t) => {
  const { network, pass } = await scene(t);
  const passport = await pass('bob', { expiresInMs: minute });
  assert.equal(passport.expires, start + minute);
  verifyPassport(network, passport, { now: start + minute + limits.clockSkewMs - 1 });
  const late = () => verifyPassport(network, passport, { now: start + minute + limits.clockSkewMs });
  assert.throws(late, failsWith('denied', /^passport of #[0-9a-f]{6} for network "alice\/n" has expired$/));
  assert.equal(passportExpiry(await pass('bob')), undefined);
});

test('each way to forge a passport is refused with what failed', async (t) => {
  const { device, network, pass, forge } = await scene(t);
  const keyOf = async (name: string) => (await getUser(device, name)).public_key;
  const plain = await pass('bob', { denyWrite: true });
  const own = await pass('bob', { allowCreatePassport: true });
  const { passport: delegated } = await createPassport(device, { as: 'bob', network: 'alice/n', user: 'carol' });
  const { network: other } = await createNetwork(device, { as: 'alice', name: 'other' });
  const { certifier_passport: _, ...bare } = delegated;
  const chain = await forge('carol', delegated, { user: await keyOf('dave'), certifier: await keyOf('carol') });
  const forged: [PassportDescriptor, RegExp][] = [
    [{ ...plain, allow_write: true }, /not signed by the network's owner: forged or damaged/],
    [{ ...plain, expires: 1 }, /not signed by the network's owner/],
    [await forge('bob', plain, { allow_write: true }), /not signed by the network's owner/],
    [{ ...plain, network: 'alice/other' }, /is not for network "alice\/n"/],
    [{ ...delegated, allow_storage: false }, /not signed by the delegate it names/],
    [bare, /comes without its delegate's passport/],
    [{ ...delegated, certifier_passport: { ...own, allow_write: false } }, /not signed by the network's owner/],
    [{ ...delegated, certifier_passport: await pass('dave') }, /a passport that is not its delegate's/],
    [{ ...delegated, certifier_passport: await pass('bob') }, /delegate who may not sign passports/],
    [{ ...chain, certifier_passport: delegated }, /delegate whom the owner did not certify/],
    [await forge('dave', delegated, { certifier: await keyOf('dave') }), /not its delegate's/],
  ];
  for (const [passport, message] of forged)
    assert.throws(() => verifyPassport(network, passport), failsWith('denied', message));
  assert.throws(() => verifyPassport(other, plain), failsWith('denied', /is not for network "alice\/other"/));
});

test('a passport is named by what is signed, not by its signature', async (t) => {
  const { pass } = await scene(t);
  const passport = await pass('bob');
  const name = passportHash(passport);
  assert.deepEqual(passportHash({ ...passport, signature: toBase64(Buffer.alloc(64)) }), name);
  assert.notDeepEqual(passportHash({ ...passport, allow_write: false }), name);
});

test('a newer passport has a higher serial, also from a device that knows no earlier one', async (t) => {
  const { device, pass } = await scene(t);
  const first = await pass('bob');
  const second = await pass('bob');
  assert.deepEqual([first.serial, second.serial], [start / 1000, start / 1000 + 1]);
  device.time(start + 60_000);
  await deletePassport(device, 'alice', 'n', 'bob');
  assert.equal((await pass('bob')).serial, start / 1000 + 60);
});

test('list, get, delete', async (t) => {
  const { device, pass } = await scene(t);
  await createNetwork(device, { as: 'alice', name: 'other' });
  const passport = await pass('bob');
  await pass('carol', { network: 'other' });
  assert.deepEqual(await listPassports(device, 'alice'), [
    { network: 'alice/n', user: 'bob' },
    { network: 'alice/other', user: 'carol' },
  ]);
  assert.deepEqual(await listPassports(device, 'alice', 'other'), [{ network: 'alice/other', user: 'carol' }]);
  assert.deepEqual(await getPassport(device, 'alice', 'n', 'bob'), passport);
  assert.deepEqual(await deletePassport(device, 'alice', 'n', 'bob'), { network: 'alice/n', user: 'bob' });
  const missing = getPassport(device, 'alice', 'n', 'bob');
  await assert.rejects(missing, failsWith('not-found', /^passport "alice\/n: bob" does not exist$/));
});

test('import verifies against the known network and user, and keeps the newest', async (t) => {
  const { device: a, network, pass } = await scene(t);
  const b = await newDevice(t, 'b');
  const first = await pass('bob');
  const second = await pass('bob', { denyWrite: true });
  const text = JSON.stringify(first);
  await assert.rejects(importPassport(b, text), failsWith('not-found', /network "alice\/n" does not exist/));
  await importNetwork(b, network);
  await assert.rejects(importPassport(b, text), failsWith('not-found', /the user #.* of the passport is not known/));
  await carryUsers(a, b, ['bob'], true);
  const imported = await importPassport(b, text);
  assert.deepEqual([imported.result, imported.network, imported.user], ['saved', 'alice/n', 'bob']);
  assert.equal((await importPassport(b, text)).result, 'unchanged');
  await linkNetwork(b, { as: 'bob', name: 'alice/n' });
  assert.equal((await importPassport(b, JSON.stringify(second))).result, 'updated');
  assert.deepEqual((await getLink(b, 'bob', 'alice/n')).passport, second);
  await assert.rejects(importPassport(b, text), failsWith('conflict', /serial \d+ is older than serial \d+ known/));
  const forged = JSON.stringify({ ...second, allow_write: true, serial: second.serial + 1 });
  await assert.rejects(importPassport(b, forged), failsWith('denied', /not signed by the network's owner/));
  assert.deepEqual(await getPassport(b, 'bob', 'alice/n', 'bob'), second);
});

test('import by its user proves the members key in it', async (t) => {
  const { device, pass, forge } = await scene(t);
  const passport = await pass('bob');
  const user = keyFromJson((await getUser(device, 'bob')).public_key);
  const seals: [Buffer, RegExp][] = [
    [sealTo(user, Buffer.alloc(32, 1), Buffer.alloc(32, 2)), /members key is not that of network/],
    [Buffer.alloc(81, 1), /does not open/],
  ];
  for (const [sealed, message] of seals) {
    const changes = { members_key: toBase64(sealed), serial: passport.serial + 1 };
    const wrong = JSON.stringify(await forge('alice', passport, changes));
    await assert.rejects(importPassport(device, wrong), failsWith('corrupt', message));
  }
});
