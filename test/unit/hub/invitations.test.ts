// Invitations by e-mail: who may invite, who is let in, and with what rights.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { InfinitError } from '../../../src/core/base/errors.ts';
import type { DriveDescriptor, PassportDescriptor, UserDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { verifyPassport } from '../../../src/core/descriptor/rights.ts';
import { signDrive } from '../../../src/core/descriptor/signing.ts';
import type { Mail, Mailer } from '../../../src/core/hub/server/mail.ts';
import { networkOf, type Person, passportOf, person, publicKey, TestHub, userBody, volumeOf } from './support.ts';

const alice = person('alice');
const bob = person('bob');
const carol = person('carol');
const offer = { permissions: 'rw', status: 'pending', create_home: false };
const network = networkOf(alice, 'n');
const byMail = '/drives/alice/d/invitations/bob%40example.org';

function driveOf(owner: Person): DriveDescriptor {
  const names = { name: `${owner.name}/d`, network: 'alice/n', volume: 'alice/v' };
  return signDrive(owner.key, { ...names, owner: publicKey(owner), serial: 1 });
}

/** A drive of alice's on a hub that sends mail. `delegate`: what the passport she gave the hub says; none without. */
async function withDrive(delegate?: Partial<PassportDescriptor>, mailer?: Mailer) {
  const mails: Mail[] = [];
  const collecting = { send: async (mail: Mail) => void mails.push(mail) };
  const hub = await TestHub.open({ mailer: mailer ?? collecting, url: 'https://h' });
  await hub.enrol(alice);
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  await hub.must(201, alice, 'PUT', '/volumes/alice/v', volumeOf(alice, 'v', 'alice/n'));
  await hub.must(201, alice, 'PUT', '/drives/alice/d', driveOf(alice));
  const given = delegate && (await delegated(hub, delegate));
  if (given) await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/hub', given);
  return { hub, mails };
}

/** A passport for the hub's user: its key is known only as everybody knows it. */
async function delegated(hub: TestHub, changes: Partial<PassportDescriptor>): Promise<PassportDescriptor> {
  const { public_key } = (await hub.must(200, undefined, 'GET', '/users/hub')) as unknown as UserDescriptor;
  const key = { ...alice.key, publicKey: Buffer.from(public_key.ed25519, 'base64') };
  return passportOf(alice, { name: 'hub', key }, network, { allow_sign: true, ...changes });
}

async function confirms(hub: TestHub, mails: Mail[], who: Person, email: string, status = 201): Promise<void> {
  hub.nowMs += 61_000;
  await hub.must(status, who, 'PUT', `/users/${who.name}`, userBody(who, { email }));
  const confirmation_code = /^[0-9a-f]{32}$/m.exec(mails.at(-1)?.text ?? '')?.[0];
  await hub.must(200, undefined, 'POST', `/users/${who.name}/confirm_email`, { confirmation_code });
}

async function passportFor(hub: TestHub, who: Person): Promise<PassportDescriptor> {
  const path = `/networks/alice/n/passports/${who.name}`;
  return (await hub.must(200, who, 'GET', path)) as unknown as PassportDescriptor;
}

describe('an invitation by e-mail', () => {
  test('waits for whoever confirms the address, whom the hub lets in', async () => {
    const { hub, mails } = await withDrive({});
    assert.deepEqual(await hub.must(201, alice, 'PUT', '/drives/alice/d/invitations/Bob%40Example.org', offer), {
      result: 'created',
    });
    assert.equal(mails.length, 1);
    assert.equal(mails[0]?.to, 'bob@example.org');
    assert.match(mails[0]?.text ?? '', /export INFINIT_BEYOND=https:\/\/h\n.*signup NAME --email bob@example\.org\n/);
    const { users } = await hub.must(200, alice, 'GET', '/drives/alice/d');
    assert.deepEqual(users, { 'bob@example.org': offer });
    // To say that the address is one's own is not enough.
    await hub.must(201, carol, 'PUT', '/users/carol', userBody(carol, { email: 'bob@example.org' }));
    await hub.refused(403, carol, 'GET', '/drives/alice/d');
    await hub.refused(403, carol, 'PUT', byMail, offer);
    await confirms(hub, mails, bob, 'bob@example.org');
    assert.deepEqual((await hub.must(200, alice, 'GET', '/drives/alice/d')).users, { bob: offer });
    const passport = await passportFor(hub, bob);
    const rights = verifyPassport(network, passport, { now: hub.nowMs });
    assert.deepEqual(rights, { write: true, storage: true, sign: false });
    await hub.must(200, bob, 'GET', '/networks/alice/n');
    await hub.must(200, bob, 'PUT', '/drives/alice/d/invitations/bob', { ...offer, status: 'ok' });
    await hub.close();
  });

  test('reaches a user who has confirmed that address by his name', async () => {
    const { hub, mails } = await withDrive({ allow_storage: false });
    await confirms(hub, mails, bob, 'bob@example.org');
    await hub.must(201, alice, 'PUT', byMail, offer);
    assert.match(mails.at(-1)?.text ?? '', /infinit drive join alice\/d\n/);
    assert.deepEqual((await hub.must(200, bob, 'GET', '/drives/alice/d')).users, { bob: offer });
    // No more than the delegate has.
    assert.equal(verifyPassport(network, await passportFor(hub, bob)).storage, false);
    // He joins: alice, whose address is known, is told.
    await confirms(hub, mails, alice, 'alice@example.org', 200);
    await hub.must(200, bob, 'PUT', '/drives/alice/d/invitations/bob', { ...offer, status: 'ok' });
    assert.deepEqual([mails.at(-1)?.to, mails.at(-1)?.subject], ['alice@example.org', 'bob joined drive alice/d']);
    const before = mails.length;
    await hub.must(200, bob, 'PUT', '/drives/alice/d/invitations/bob', { ...offer, status: 'ok' });
    assert.equal(mails.length, before);
    await hub.must(200, bob, 'DELETE', '/drives/alice/d/invitations/bob');
    await hub.refused(403, bob, 'GET', '/drives/alice/d');
    await hub.close();
  });

  test('needs a passport for the hub that allows creating passports', async () => {
    const without = await withDrive();
    assert.equal(await without.hub.refused(404, alice, 'PUT', byMail, offer), 'passport/not_found');
    const { hub, mails } = await withDrive({ allow_sign: false });
    assert.equal(await hub.refused(403, alice, 'PUT', byMail, offer), 'passport/forbidden');
    assert.deepEqual([mails.length, await hub.store.invitations('alice/d')], [0, new Map()]);
    await without.hub.close();
    await hub.close();
  });

  test('of somebody who may not let people in is refused, and ends with his right to', async () => {
    const { hub, mails } = await withDrive({});
    await hub.enrol(carol);
    const may = (allow_sign: boolean, serial: number) => passportOf(alice, carol, network, { allow_sign, serial });
    const passport = '/networks/alice/n/passports/carol';
    await hub.must(201, alice, 'PUT', passport, may(false, 5));
    await hub.must(201, carol, 'PUT', '/drives/carol/d', driveOf(carol));
    const path = '/drives/carol/d/invitations/bob%40example.org';
    assert.equal(await hub.refused(403, carol, 'PUT', path, offer), 'network/forbidden');
    await hub.must(200, alice, 'PUT', passport, may(true, 6));
    await hub.must(201, carol, 'PUT', path, offer);
    await hub.refused(403, alice, 'PUT', path, offer);
    await hub.must(200, alice, 'PUT', passport, may(false, 7));
    await confirms(hub, mails, bob, 'bob@example.org');
    await hub.refused(404, bob, 'GET', '/networks/alice/n/passports/bob');
    await hub.refused(403, bob, 'GET', '/drives/carol/d');
    assert.deepEqual([...(await hub.store.invitations('carol/d')).keys()], ['bob@example.org']);
    await hub.close();
  });

  test('whose delegate was revoked lets nobody in, nor whom it let in', async () => {
    const { hub, mails } = await withDrive({});
    await hub.must(201, alice, 'PUT', byMail, offer);
    await confirms(hub, mails, bob, 'bob@example.org');
    const given = (await hub.must(
      200,
      alice,
      'GET',
      '/networks/alice/n/passports/hub',
    )) as unknown as PassportDescriptor;
    const revoked = [{ user: given.user, through: given.serial }];
    await hub.must(200, alice, 'PUT', '/networks/alice/n', networkOf(alice, 'n', { serial: 2, revoked }));
    await hub.refused(403, bob, 'GET', '/networks/alice/n');
    assert.equal(await hub.refused(403, alice, 'PUT', byMail, offer), 'passport/forbidden');
    await hub.close();
  });

  test('can be taken back, is not sent without bound, and reaches addresses only', async () => {
    const { hub, mails } = await withDrive({});
    await hub.must(201, alice, 'PUT', byMail, offer);
    await hub.must(200, alice, 'DELETE', byMail);
    await confirms(hub, mails, bob, 'bob@example.org');
    await hub.refused(403, bob, 'GET', '/drives/alice/d');
    for (const bad of ['a%0d%0ab%40example.org', 'a%40b', '%40example.org', 'a%20b%40example.org', 'a%40b%40c.d'])
      await hub.refused(400, alice, 'PUT', `/drives/alice/d/invitations/${bad}`, offer);
    const other = '/drives/alice/d/invitations/somebody%40example.org';
    const statuses = [];
    for (let i = 0; i < 12; i++) statuses.push((await hub.ask(alice, 'PUT', other, offer)).status);
    assert.deepEqual(statuses.slice(-2), [429, 429]);
    assert.equal(mails.filter(({ to }) => to === 'somebody@example.org').length, 10);
    await hub.close();
  });

  test('is not sent by a hub without a mail server', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
    await hub.must(201, alice, 'PUT', '/volumes/alice/v', volumeOf(alice, 'v', 'alice/n'));
    await hub.must(201, alice, 'PUT', '/drives/alice/d', driveOf(alice));
    assert.equal(await hub.refused(404, alice, 'PUT', byMail, offer), 'email/not_configured');
    assert.equal(await hub.refused(403, alice, 'PUT', '/drives/alice/d/invitations/alice', offer), 'drive/forbidden');
    await hub.close();
  });
});

test('a mail that could not be sent is said, and is sent when the invitation is put again', async () => {
  let isDown = true;
  const mailer = {
    send: async () => {
      if (isDown) throw new InfinitError('unavailable', 'the mail server does not answer');
    },
  };
  const { hub } = await withDrive({}, mailer);
  assert.equal(await hub.refused(503, alice, 'PUT', byMail, offer), 'hub/unavailable');
  isDown = false;
  assert.deepEqual(await hub.must(200, alice, 'PUT', byMail, offer), { result: 'unchanged' });
  await hub.close();
});
