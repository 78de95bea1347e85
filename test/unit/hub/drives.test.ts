import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import type { DriveDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { signDrive } from '../../../src/core/descriptor/signing.ts';
import { networkOf, passportOf, person, publicKey, TestHub, volumeOf } from './support.ts';

const alice = person('alice');
const bob = person('bob');
const eve = person('eve');
const offer = { permissions: 'rw', status: 'pending', create_home: false };

function driveOf(owner: typeof alice, changes: Partial<DriveDescriptor> = {}): DriveDescriptor {
  const names = { name: `${owner.name}/d`, network: 'alice/n', volume: 'alice/v' };
  return signDrive(owner.key, { ...names, owner: publicKey(owner), serial: 1, ...changes });
}

async function withDrive() {
  const hub = await TestHub.open();
  await hub.enrol(alice, bob, eve);
  const network = networkOf(alice, 'n');
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  await hub.must(201, alice, 'PUT', '/volumes/alice/v', volumeOf(alice, 'v', 'alice/n'));
  await hub.must(201, alice, 'PUT', '/drives/alice/d', driveOf(alice));
  return { hub, network };
}

describe('drives', () => {
  test('are for their owner and whom he invites', async () => {
    const { hub } = await withDrive();
    const invitation = '/drives/alice/d/invitations/bob';
    await hub.refused(403, bob, 'GET', '/drives/alice/d');
    await hub.refused(403, bob, 'PUT', invitation, offer);
    // What an owner says of the status is not taken.
    await hub.must(201, alice, 'PUT', invitation, { ...offer, status: 'ok' });
    const seen = { ...driveOf(alice), users: { bob: offer } };
    for (const who of [alice, bob]) {
      assert.deepEqual(await hub.must(200, who, 'GET', '/drives/alice/d'), seen);
      assert.deepEqual(await hub.must(200, who, 'GET', `/users/${who.name}/drives`), { drives: [seen] });
    }
    await hub.refused(403, eve, 'GET', '/drives/alice/d');
    await hub.refused(403, bob, 'GET', '/drives/alice/d/invitations');
    // Nor does joining give more than was offered.
    const more = { permissions: 'rw', status: 'ok', create_home: true };
    assert.deepEqual(await hub.must(200, bob, 'PUT', invitation, more), { result: 'updated' });
    assert.deepEqual(await hub.must(200, alice, 'GET', '/drives/alice/d/invitations'), {
      invitations: { bob: { ...offer, status: 'ok' } },
    });
    assert.deepEqual(await hub.must(200, alice, 'PUT', invitation, offer), { result: 'unchanged' });
    await hub.close();
  });

  test('show a guest nobody but himself', async () => {
    const { hub } = await withDrive();
    for (const who of [bob, eve]) await hub.must(201, alice, 'PUT', `/drives/alice/d/invitations/${who.name}`, offer);
    const { users } = await hub.must(200, eve, 'GET', '/drives/alice/d');
    assert.deepEqual(users, { eve: offer });
    await hub.refused(403, bob, 'DELETE', '/drives/alice/d/invitations/eve');
    await hub.must(200, eve, 'DELETE', '/drives/alice/d/invitations/eve');
    await hub.refused(404, alice, 'DELETE', '/drives/alice/d/invitations/eve');
    await hub.must(200, alice, 'DELETE', '/drives/alice/d/invitations/bob');
    await hub.refused(403, bob, 'GET', '/drives/alice/d');
    await hub.refused(404, alice, 'PUT', '/drives/alice/d/invitations/nobody', offer);
    await hub.close();
  });

  test('are changed by their owners, name a volume on the hub, and go forwards', async () => {
    const { hub, network } = await withDrive();
    await hub.refused(403, bob, 'PUT', '/drives/alice/d', driveOf(alice, { serial: 2 }));
    await hub.refused(403, bob, 'PUT', '/drives/bob/d', driveOf(bob));
    await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/bob', passportOf(alice, bob, network));
    await hub.must(201, bob, 'PUT', '/drives/bob/d', driveOf(bob));
    await hub.refused(404, alice, 'PUT', '/drives/alice/e', driveOf(alice, { name: 'alice/e', volume: 'alice/w' }));
    await hub.must(200, alice, 'PUT', '/drives/alice/d', driveOf(alice, { serial: 3, description: 'x' }));
    assert.equal(
      await hub.refused(409, alice, 'PUT', '/drives/alice/d', driveOf(alice, { serial: 2 })),
      'drive/outdated',
    );
    await hub.refused(422, alice, 'PUT', '/drives/alice/d', {
      ...driveOf(alice, { serial: 4 }),
      description: 'forged',
    });
    await hub.close();
  });

  test('have a picture, which their owner sets and whom he invites sees', async () => {
    const { hub } = await withDrive();
    const icon = '/drives/alice/d/icon';
    const put = (who: typeof alice, body: Buffer, type: string, path = icon) =>
      hub.send(hub.signed(who, 'PUT', path, undefined, { body, headers: { 'content-type': type } }));
    const gif = Buffer.from('GIF89a and so on');
    await hub.refused(404, alice, 'GET', icon);
    await hub.must(201, alice, 'PUT', '/drives/alice/d/invitations/bob', offer);
    assert.equal((await put(bob, gif, 'image/gif')).status, 403);
    assert.equal((await put(alice, gif, 'image/gif', '/drives/alice/none/icon')).status, 404);
    const [script, big] = [Buffer.from('<svg>'), Buffer.alloc(limits.hubPictureBytesMax + 1, gif)];
    for (const [body, type, status, error] of [
      [script, 'image/svg+xml', 415, 'icon/type'],
      [script, 'image/gif', 415, 'icon/type'],
      [gif, 'text/html', 415, 'icon/type'],
      [Buffer.alloc(0), 'image/gif', 413, 'icon/size'],
      [big, 'image/gif', 413, 'icon/size'],
    ] as const) {
      const answer = await put(alice, body, type);
      assert.deepEqual([answer.status, answer.body.error], [status, error]);
    }
    assert.equal((await put(alice, gif, 'image/gif')).status, 201);
    for (const who of [alice, bob]) {
      const { status, headers } = await hub.send(hub.signed(who, 'GET', icon));
      assert.deepEqual([status, headers['content-type']], [200, 'image/gif']);
    }
    await hub.refused(403, eve, 'GET', icon);
    await hub.refused(401, undefined, 'GET', icon);
    await hub.refused(403, bob, 'DELETE', icon);
    await hub.must(200, alice, 'DELETE', icon);
    await hub.refused(404, bob, 'GET', icon);
    // It goes with the drive.
    await put(alice, gif, 'image/gif');
    await hub.must(200, alice, 'DELETE', '/drives/alice/d');
    await hub.must(201, alice, 'PUT', '/drives/alice/d', driveOf(alice));
    await hub.refused(404, alice, 'GET', icon);
    await hub.close();
  });

  test('go with their volume, network or owner where that is asked', async () => {
    for (const path of ['/volumes/alice/v?purge', '/networks/alice/n?purge', '/users/alice?purge', '/drives/alice/d']) {
      const { hub } = await withDrive();
      await hub.must(201, alice, 'PUT', '/drives/alice/d/invitations/bob', offer);
      await hub.must(200, alice, 'DELETE', path);
      assert.deepEqual(await hub.must(200, bob, 'GET', '/users/bob/drives'), { drives: [] }, path);
      assert.deepEqual(await hub.store.invitedTo('bob'), [], path);
      await hub.close();
    }
  });
});
