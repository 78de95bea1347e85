// What a hub's store must do, whatever database is below it; `share` opens the same one as another process would.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import type { UserDescriptor } from '../../src/core/descriptor/descriptor.ts';
import { userHash } from '../../src/core/descriptor/keys.ts';
import type { HubStore } from '../../src/core/hub/hub.ts';
import { networkOf, passportOf, person, start, userBody, volumeOf } from '../unit/hub/support.ts';

export interface HubStoreHarness {
  /** An empty store. */
  make(): Promise<HubStore>;
  /** The store of the last `make`, opened once more. */
  share(): Promise<HubStore>;
}

const alice = person('alice');
const bob = person('bob');
const network = networkOf(alice, 'n');
const user = userBody(alice) as unknown as UserDescriptor;
const identity = { salt: 'c2FsdHNhbHRzYWx0c2FsdA==', scrypt_n: 131_072, login_key: user.public_key };

export function hubStoreConformance(name: string, { make, share }: HubStoreHarness): void {
  const check = (what: string, run: (store: HubStore) => Promise<void>) =>
    test(`${name}: ${what}`, async () => {
      const store = await make();
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });

  check('descriptors come back as they were put, the last one counts', async (store) => {
    assert.equal(await store.get('network', network.name), undefined);
    await store.put('network', network.name, network);
    assert.deepEqual(await store.get('network', network.name), network);
    const newer = networkOf(alice, 'n', { serial: 2, description: `été "' 漢` });
    await store.put('network', network.name, newer);
    assert.deepEqual(await store.get('network', network.name), newer);
    assert.equal(await store.get('volume', network.name), undefined);
    assert.equal(await store.delete('network', network.name), true);
    assert.equal(await store.delete('network', network.name), false);
    assert.equal(await store.get('network', network.name), undefined);
  });

  check('lists by owner, network and user, sorted', async (store) => {
    const passports = ['carol', 'bob'].map((who) => ({ who, passport: passportOf(alice, person(who), network) }));
    for (const { who, passport } of passports) await store.put('passport', `alice/n/${who}`, passport);
    await store.put('passport', 'alice/m/bob', passportOf(alice, bob, networkOf(alice, 'm')));
    await store.put('volume', 'alice/v', volumeOf(alice, 'v', 'alice/n'));
    await store.put('volume', 'bob/v', volumeOf(bob, 'v', 'alice/n'));
    const names = async (...asked: Parameters<HubStore['list']>) => (await store.list(...asked)).map((one) => one.name);
    assert.deepEqual(await names('passport', { network: 'alice/n' }), ['alice/n/bob', 'alice/n/carol']);
    assert.deepEqual(await names('passport', { user: 'bob' }), ['alice/m/bob', 'alice/n/bob']);
    assert.deepEqual(await names('passport', { user: 'bob', network: 'alice/m' }), ['alice/m/bob']);
    assert.deepEqual(await names('volume', { owner: 'bob' }), ['bob/v']);
    assert.deepEqual(await names('volume', { network: 'alice/n' }), ['alice/v', 'bob/v']);
    assert.equal(await store.count('passport', { network: 'alice/n' }), 2);
    assert.equal((await store.census()).get('passport'), 3);
    await store.deleteAll('passport', { network: 'alice/n' });
    assert.deepEqual(await names('passport', {}), ['alice/m/bob']);
  });

  check('users by the hash of their key, identities, pictures', async (store) => {
    await store.put('user', 'alice', user);
    assert.deepEqual(await store.usersByHash(userHash(user.public_key)), [user]);
    assert.deepEqual(await store.usersByHash('#000000'), []);
    assert.equal(await store.identity('alice'), undefined);
    await store.setIdentity('alice', identity);
    await store.setIdentity('alice', { ...identity, sealed: 'xyz' });
    assert.deepEqual(await store.identity('alice'), { ...identity, sealed: 'xyz' });
    await store.setIdentity('alice', undefined);
    assert.equal(await store.identity('alice'), undefined);
    await store.setPicture('alice', { type: 'image/png', content: 'AAAA' });
    assert.deepEqual(await store.picture('alice'), { type: 'image/png', content: 'AAAA' });
    await store.setPicture('alice/drive', { type: 'image/gif', content: 'BBBB' });
    await store.setPicture('alice', undefined);
    assert.deepEqual(await store.picture('alice/drive'), { type: 'image/gif', content: 'BBBB' });
    assert.equal(await store.picture('alice'), undefined);
  });

  check('nodes: where they are, how full, until they are too old', async (store) => {
    const said = { addresses: ['192.0.2.1'], port: 1 };
    // A name like any other.
    await store.setEndpoints('alice/n', '__proto__', 'node1', said, start);
    await store.setEndpoints('alice/n', 'bob', 'node1', said, start);
    await store.setEndpoints('alice/n', 'bob', 'node1', { ...said, port: 2 }, start + 5);
    await store.setEndpoints('alice/m', 'bob', 'node1', said, start);
    const found = await store.endpoints('alice/n', start);
    assert.deepEqual(Object.keys(found).sort(), ['__proto__', 'bob']);
    assert.deepEqual(found.bob, { node1: { ...said, port: 2 } });
    assert.deepEqual(await store.endpoints('alice/n', start + 1), { bob: { node1: { ...said, port: 2 } } });
    assert.equal(await store.countEndpoints('alice/n', 'bob'), 1);
    await store.setUsage('alice/n', 'bob', 'node1', { capacity: 2 ** 50, usage: 3 }, start);
    await store.setUsage('alice/n', 'bob', 'node2', { capacity: 10, usage: 1 }, start);
    assert.deepEqual(await store.usage('alice/n', start), { capacity: 2 ** 50 + 10, usage: 4 });
    assert.equal(await store.countUsage('alice/n', 'bob'), 2);
    assert.equal(await store.deleteEndpoints('alice/n', '__proto__', 'node1'), true);
    assert.equal(await store.deleteEndpoints('alice/n', '__proto__', 'node1'), false);
    await store.forgetNodes({ network: 'alice/n' });
    assert.deepEqual(await store.endpoints('alice/n', 0), {});
    assert.deepEqual(await store.usage('alice/n', 0), { capacity: 0, usage: 0 });
    await store.forgetNodes({ user: 'bob' });
    assert.deepEqual(await store.endpoints('alice/m', 0), {});
  });

  check('invitations by drive and by user', async (store) => {
    const offer = { permissions: 'rw', status: 'pending', create_home: false } as const;
    await store.setInvitation('alice/d', 'bob', offer);
    await store.setInvitation('alice/d', '__proto__', offer);
    await store.setInvitation('alice/c', 'bob', offer);
    await store.setInvitation('alice/d', 'bob', { ...offer, status: 'ok' });
    assert.deepEqual(
      [...(await store.invitations('alice/d'))],
      [
        ['__proto__', offer],
        ['bob', { ...offer, status: 'ok' }],
      ],
    );
    assert.deepEqual(await store.invitedTo('bob'), ['alice/c', 'alice/d']);
    await store.setInvitation('alice/d', 'bob', undefined);
    assert.deepEqual(await store.invitedTo('bob'), ['alice/c']);
  });

  check('confirmations of addresses', async (store) => {
    const sent = { email: 'a@b.c', code_hash: 'xyz', sent_ms: start, confirmed: false };
    assert.equal(await store.confirmation('alice'), undefined);
    await store.setConfirmation('alice', sent);
    await store.setConfirmation('alice', { ...sent, confirmed: true });
    assert.deepEqual(await store.confirmation('alice'), { ...sent, confirmed: true });
    await store.setConfirmation('alice', undefined);
    assert.equal(await store.confirmation('alice'), undefined);
  });

  check('pairings, whose key is forgotten at their end and which are forgotten later', async (store) => {
    const sealed = { ...identity, sealed: 'xyz' };
    assert.equal(await store.pairing('alice'), undefined);
    await store.setPairing('alice', { sealed: { ...sealed, sealed: 'abc' }, until_ms: start });
    await store.setPairing('alice', { sealed, until_ms: start + 5 });
    await store.setPairing('__proto__', { sealed, until_ms: start + 5 });
    await store.sweep(start + 5);
    assert.deepEqual(await store.pairing('alice'), { sealed, until_ms: start + 5 });
    await store.setPairing('__proto__', undefined);
    assert.equal(await store.pairing('__proto__'), undefined);
    await store.sweep(start + 6);
    assert.deepEqual(await store.pairing('alice'), { sealed: undefined, until_ms: start + 5 });
    await store.sweep(start + 6 + limits.hubPairingMemoryMs);
    assert.equal(await store.pairing('alice'), undefined);
  });

  check('who confirmed an address', async (store) => {
    const sent = { email: 'A@b.c', code_hash: 'xyz', sent_ms: start, confirmed: false };
    await store.setConfirmation('alice', sent);
    assert.deepEqual(await store.confirmedUsers('a@b.c'), []);
    for (const name of ['bob', 'alice']) await store.setConfirmation(name, { ...sent, confirmed: true });
    assert.deepEqual(await store.confirmedUsers('a@b.c'), ['alice', 'bob']);
    await store.setConfirmation('alice', { ...sent, email: 'other@b.c', confirmed: true });
    await store.setConfirmation('bob', { ...sent, sent_ms: start + 1 });
    assert.deepEqual(await store.confirmedUsers('a@b.c'), []);
    await store.setConfirmation('alice', undefined);
    assert.deepEqual(await store.confirmedUsers('other@b.c'), []);
  });

  check('the seed of the hub is drawn once for all its processes', async (store) => {
    const other = await share();
    const seeds = await Promise.all([store.delegateSeed(Buffer.alloc(32, 1)), other.delegateSeed(Buffer.alloc(32, 2))]);
    assert.deepEqual(seeds[0], seeds[1]);
    assert.deepEqual(await store.delegateSeed(Buffer.alloc(32, 3)), seeds[0]);
    await other.close();
  });

  check('people of a directory, one name each, however their entries are written', async (store) => {
    const [dn, other] = ['uid=alice,ou=people,dc=org', 'uid=bob,dc=org'];
    assert.equal(await store.directoryUser({ dn }), undefined);
    await store.setDirectoryUser({ dn, name: 'alice', email: 'alice@example.org' });
    await store.setDirectoryUser({ dn: other, name: '__proto__' });
    const alice = { dn: dn.toUpperCase(), name: 'alice', fullname: 'Alice' };
    await store.setDirectoryUser(alice);
    assert.deepEqual(await store.directoryUser({ dn: dn.replaceAll(',', ', ') }), alice);
    assert.deepEqual(await store.directoryUser({ name: 'alice' }), alice);
    assert.deepEqual(await store.directoryUser({ name: '__proto__' }), { dn: other, name: '__proto__' });
    // A name that goes to another, and an entry that gets another.
    await store.setDirectoryUser({ dn: other, name: 'alice' });
    assert.equal(await store.directoryUser({ dn }), undefined);
    assert.equal(await store.directoryUser({ name: '__proto__' }), undefined);
    await assert.rejects(store.directoryUser({ dn: 'alice' }), /no distinguished name/);
  });

  check('tickets: found by their hash, the last few of a user kept', async (store) => {
    const ticket = (until: number) => ({ user: 'alice', kind: 'session' as const, until_ms: start + until });
    for (const i of [1, 2, 3]) await store.putTicket(`h${i}`, ticket(i));
    await store.putTicket('code', { user: 'alice', kind: 'code', until_ms: start + 9 });
    assert.deepEqual(await store.ticket('h1'), ticket(1));
    await store.deleteTickets('alice', 'session', 2);
    assert.equal(await store.ticket('h1'), undefined);
    assert.deepEqual(await store.ticket('h3'), ticket(3));
    await store.sweep(start + 3);
    assert.deepEqual([await store.ticket('h2'), (await store.ticket('code'))?.kind], [undefined, 'code']);
    assert.deepEqual([await store.deleteTicket('h3'), await store.deleteTicket('h3')], [true, false]);
    await store.deleteTickets('alice', 'code', 0);
    assert.equal(await store.ticket('code'), undefined);
  });

  check('nodes, with where they are when they told', async (store) => {
    await store.setUsage('a/n', 'bob', 'x', { capacity: 10, usage: 4 }, start);
    await store.setUsage('a/n', 'alice', 'y', { capacity: 20, usage: 5 }, start + 5);
    await store.setUsage('a/m', 'alice', 'z', { capacity: 20, usage: 5 }, start + 5);
    await store.setEndpoints('a/n', 'bob', 'x', { addresses: ['192.0.2.1'], port: 7 }, start);
    const his = { user: 'bob', node: 'x', capacity: 10, usage: 4, atMs: start };
    const hers = { user: 'alice', node: 'y', capacity: 20, usage: 5, atMs: start + 5 };
    assert.deepEqual(await store.nodes('a/n', start), [
      hers,
      { ...his, endpoints: { addresses: ['192.0.2.1'], port: 7 } },
    ]);
    assert.deepEqual(await store.nodes('a/n', start + 1), [hers]);
  });

  check('a nonce is new once, however many ask at once', async (store) => {
    const answers = await Promise.all(Array.from({ length: 20 }, () => store.useNonce('n', start)));
    assert.equal(answers.filter(Boolean).length, 1);
    const other = await share();
    assert.equal(await other.useNonce('n', start), false);
    assert.equal(await other.useNonce('m', start), true);
    await other.close();
    await store.sweep(start + 1);
    assert.equal(await store.useNonce('n', start), true);
  });

  check('transactions are all or nothing, and see what the last one left', async (store) => {
    const failing = store.transaction('alice', async (inside) => {
      await inside.put('network', network.name, network);
      throw new Error('no');
    });
    await assert.rejects(failing, /no/);
    assert.equal(await store.get('network', network.name), undefined);
    const other = await share();
    await store.put('network', network.name, networkOf(alice, 'n', { serial: 0 }));
    const grow = (one: HubStore) =>
      one.transaction('alice', async (inside) => {
        const known = await inside.get('network', network.name);
        await inside.put('network', network.name, networkOf(alice, 'n', { serial: (known?.serial ?? 0) + 1 }));
      });
    await Promise.all(Array.from({ length: 12 }, (_, i) => grow(i % 2 === 0 ? store : other)));
    assert.equal((await other.get('network', network.name))?.serial, 12);
    await other.close();
  });

  check('what was acknowledged is there for who opens it next', async (store) => {
    await store.put('user', 'alice', user);
    const other = await share();
    assert.deepEqual(await other.get('user', 'alice'), user);
    await other.close();
  });
}
