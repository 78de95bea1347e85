// People invited to a drive by e-mail: alice knows bob's address only. The hub writes to him; he signs up, confirms, joins and reads
// what she wrote; nobody has carried a passport or a name.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Device, Lab, type Running, shell } from './device.ts';
import { Hub } from './hub.ts';
import { MailServer } from './mail-server.ts';
import { needs } from './needs.ts';
import { cannotMount, mountOn } from './volume.ts';

const words = (line: string) => line.split(' ');

describe('a drive for people known by their e-mail', { timeout: 600_000, ...needs('aiosmtpd') }, () => {
  const lab = new Lab();
  let mails: MailServer;
  let hub: Hub;
  let alice: Device;
  let bob: Device;
  let carol: Device;
  let node: Running;

  before(async () => {
    mails = await MailServer.start(lab);
    hub = new Hub(lab, 'hub', ['--smtp', mails.url]);
    await hub.start();
    [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => lab.device(name, name)) as [Device, Device, Device];
    for (const device of [alice, bob, carol]) device.environment = hub.environment;
  });
  after(async () => {
    await mails.stop();
    await lab.close();
  });

  /** As the button of the page does that the letter leads to. */
  async function confirm(user: string, address: string, after = 0): Promise<void> {
    const code = /^[0-9a-f]{32}$/m.exec((await mails.letterTo(address, after)).text)?.[0] ?? '';
    const page = await fetch(`${hub.url}/users/${user}/confirm_email?code=${code}`);
    assert.match(await page.text(), new RegExp(code));
    const body = new URLSearchParams({ confirmation_code: code });
    const confirmed = await fetch(page.url, { method: 'POST', body });
    assert.match(await confirmed.text(), /The address is confirmed/);
  }

  test('alice makes it', async () => {
    await alice.run(words('user signup alice --email alice@example.org'));
    await confirm('alice', 'alice@example.org');
    await alice.run(words('silo create filesystem local --capacity 1GB'));
    await alice.run(words('network create cluster --silo local --push'));
    await alice.run(words('volume create shared --network cluster --default-permissions rw --push'));
    await alice.run(words('drive create family --network cluster --volume shared --push'));
    node = await alice.start(words('network run cluster --listen 127.0.0.1 --publish'), /^Running network/m);
  });

  test('she invites by e-mail once the hub may create passports', async () => {
    const invite = words('drive invite family --email bob@example.org --push-invitations');
    const early = await alice.attempt(invite);
    assert.equal(early.code, 1);
    assert.match(early.stderr, /^infinit: fatal error: passport "alice\/cluster: hub" does not exist\n/);
    assert.equal(await alice.run(words('user fetch hub')), 'Locally fetched identity for user "hub".');
    await alice.run(words('passport create --network cluster --user hub --allow-create-passport --push'));
    assert.equal(
      await alice.run(invite),
      'Remotely already updated drive descriptor "alice/family".\n' +
        'Created invitation "alice/family: bob@example.org".\n' +
        'Remotely created invitation "alice/family: bob@example.org".',
    );
    const { subject, text } = await mails.letterTo('bob@example.org');
    assert.equal(subject, 'alice invites you to drive alice/family');
    assert.match(text, /infinit user signup NAME --email bob@example\.org\n/);
  });

  test('bob signs up with that address, confirms it, and joins', async () => {
    await bob.run(words('user signup bob --email bob@example.org'));
    assert.equal((await bob.attempt(words('drive fetch alice/family'))).code, 1);
    await confirm('bob', 'bob@example.org', 1);
    await bob.run(words('drive fetch'));
    assert.equal(await bob.run(words('drive list')), 'alice/family: pending');
    assert.equal(
      await bob.run(words('drive join alice/family')),
      [
        'Locally fetched drive descriptor "alice/family".',
        'Locally fetched passport "alice/cluster: bob".',
        'Locally fetched volume descriptor "alice/shared".',
        'Joined drive "alice/family".',
      ].join('\n'),
    );
    assert.equal((await mails.letterTo('alice@example.org', 1)).subject, 'bob joined drive alice/family');
    await alice.run(words('drive fetch family'));
    const { users } = JSON.parse(await alice.run(words('drive export family')));
    assert.deepEqual(users, { bob: { permissions: 'rw', status: 'ok', create_home: false } });
  });

  test('he is in: both see what the other wrote', { skip: cannotMount() ?? false }, async () => {
    await bob.run(words('network link alice/cluster'));
    const hers = await mountOn(alice, ['--publish']);
    await shell(`echo from alice > ${hers.mountpoint}/letter`);
    const his = await mountOn(bob, ['--publish']);
    assert.equal(await shell(`cat ${his.mountpoint}/letter`), 'from alice\n');
    await shell(`echo from bob > ${his.mountpoint}/answer`);
    assert.equal(await shell(`cat ${hers.mountpoint}/answer`), 'from bob\n');
    for (const mount of [his, hers]) assert.equal(await mount.stop('SIGINT'), 0);
  });

  test('carol, whose address is confirmed, is invited by it and declines', async () => {
    await carol.run(words('user signup carol --email carol@example.org'));
    await confirm('carol', 'carol@example.org');
    await alice.run(words('drive invite family --email Carol@example.org --push'));
    assert.match((await mails.letterTo('carol@example.org', 1)).text, /infinit drive join alice\/family\n/);
    await carol.run(words('drive fetch'));
    assert.equal(
      await carol.run(words('drive pull alice/family')),
      'Remotely deleted invitation "alice/family: carol".',
    );
    assert.equal((await carol.attempt(words('drive join alice/family'))).code, 1);
    assert.equal(await node.stop(), 0);
  });
});
