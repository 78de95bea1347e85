// People of a directory on a hub: who gets which name, and what the directory is asked for it.

import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { keepUsers, planUsers, userOfEntry } from '../../../src/core/hub/client/directory-users.ts';
import { login } from '../../../src/core/hub/client/login.ts';
import { openSharing, pushUser } from '../../../src/core/hub/client/sharing.ts';
import { normalDn } from '../../../src/core/hub/directory/distinguished-names.ts';
import { sealedSeedBytes } from '../../../src/core/hub/identity.ts';
import { DirectoryPasswords } from '../../../src/core/hub/server/directory.ts';
import { failsWith, newDevice } from '../descriptor/support.ts';
import { entryOf, MemoryDirectory } from './directory/support.ts';
import { person, publicKey, TestHub, userBody } from './support.ts';

const [admin, bob, eve] = [person('alice'), person('bob'), person('eve')];
const dnOf = (name: string) => `uid=${name},ou=people,dc=org`;
const path = `/ldap_users/${encodeURIComponent(dnOf('bob'))}`;
const kept = (...names: string[]) => ({ users: names.map((name) => ({ dn: dnOf(name), name })) });
const patterns = { username: '$(cn)%', email: '$(mail)', fullname: '$(cn)' };

async function hubWith(t: TestContext) {
  const directory = new MemoryDirectory();
  for (const name of ['bob', 'eve', 'carol']) directory.passwords.set(normalDn(dnOf(name)), `${name} of ldap`);
  let monotonicMs = 0;
  const clock = { monotonic: () => monotonicMs };
  const open = async () => {
    if (directory.isAway) throw new InfinitError('denied', 'the LDAP server is not trusted');
    return directory;
  };
  const administrators = new Map([[admin.name, publicKey(admin)]]);
  const hub = await TestHub.open({ directory: new DirectoryPasswords(open, clock), administrators });
  t.after(() => hub.close());
  await hub.enrol(admin);
  const later = () => {
    monotonicMs += 1_000_000;
  };
  return { hub, directory, later };
}

const withPassword = (who: typeof bob, password: string, more: Record<string, unknown> = {}) =>
  userBody(who, { ...more, ldap_password: password });

describe('a name kept for a person', () => {
  test('is kept by administrators only, by the key they had', async (t) => {
    const { hub } = await hubWith(t);
    await hub.enrol(eve);
    assert.equal(await hub.refused(403, eve, 'PUT', '/ldap_users', kept('bob')), 'user/forbidden');
    assert.equal(await hub.refused(401, undefined, 'PUT', '/ldap_users', kept('bob')), 'user/unauthorized');
    await hub.must(200, admin, 'DELETE', '/users/alice');
    const other = person('alice', 'another');
    await hub.enrol(other);
    assert.equal(await hub.refused(403, other, 'PUT', '/ldap_users', kept('bob')), 'user/forbidden');
  });

  test('is his who knows the password of the entry, with what was noted of him', async (t) => {
    const { hub, directory } = await hubWith(t);
    const noted = { users: [{ dn: dnOf('bob'), name: 'bob', email: 'bob@example.org', fullname: 'Bob' }] };
    await hub.must(200, admin, 'PUT', '/ldap_users', noted);
    assert.deepEqual(await hub.must(200, undefined, 'GET', '/users/bob/login'), { ldap: true });
    assert.equal(await hub.refused(404, admin, 'GET', path), 'ldap_user/not_enrolled');
    for (const body of [userBody(bob), withPassword(bob, 'wrong'), withPassword(bob, '')])
      assert.equal(await hub.refused(401, bob, 'PUT', '/users/bob', body), 'ldap/password');
    assert.equal(await hub.refused(404, undefined, 'GET', '/users/bob'), 'user/not_found');
    await hub.must(201, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap'));
    assert.ok(directory.bound.every((dn) => dn === dnOf('bob')));
    const open = { name: 'bob', public_key: publicKey(bob), fullname: 'Bob' };
    const own = { ...open, email: 'bob@example.org', ldap_dn: dnOf('bob') };
    assert.deepEqual(await hub.must(200, bob, 'GET', '/users/bob'), own);
    for (const [who, at] of [
      [undefined, '/users/bob'],
      [admin, '/users/bob'],
      [admin, path],
    ] as const)
      assert.deepEqual(await hub.must(200, who, 'GET', at), open);
    assert.deepEqual(await hub.must(200, bob, 'PUT', '/users/bob', own), { result: 'unchanged' });
    assert.doesNotMatch(JSON.stringify(hub.logged), /of ldap/);
  });

  test('is nobody else’s: not without a password, not by another entry’s, not by another key', async (t) => {
    const { hub, later } = await hubWith(t);
    await hub.must(200, admin, 'PUT', '/ldap_users', kept('bob'));
    const hers = person('bob', 'eve');
    const claim = withPassword(hers, 'eve of ldap', { ldap_dn: dnOf('eve') });
    assert.equal(await hub.refused(403, hers, 'PUT', '/users/bob', claim), 'user/forbidden');
    // The entry is bob's under no other name either.
    const other = withPassword(eve, 'bob of ldap', { ldap_dn: dnOf('BOB').replace(',', ' , ') });
    assert.equal(await hub.refused(409, eve, 'PUT', '/users/eve', other), 'user/conflict');
    await hub.must(201, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap'));
    later();
    const again = withPassword(hers, 'bob of ldap', { ldap_dn: dnOf('bob') });
    assert.equal(await hub.refused(409, hers, 'PUT', '/users/bob', again), 'user/conflict');
  });

  test('stays as it is once he has taken it; before that it may be another', async (t) => {
    const { hub } = await hubWith(t);
    const put = async (name: string, query = '') => {
      const body = { users: [{ dn: dnOf('bob'), name }] };
      const answer = await hub.must(200, admin, 'PUT', `/ldap_users${query}`, body);
      const [told] = answer.users as { name: string; result: string }[];
      return [told?.name, told?.result];
    };
    assert.deepEqual(await put('robert', '?plan'), ['robert', 'created']);
    assert.deepEqual(await put('robert'), ['robert', 'created']);
    assert.deepEqual(await put('robert'), ['robert', 'unchanged']);
    for (const taken of ['alice', 'root', 'hub']) assert.deepEqual(await put(taken), [taken, 'taken']);
    assert.deepEqual(await put('bob'), ['bob', 'updated']);
    await hub.must(201, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap'));
    assert.deepEqual(await put('robert'), ['bob', 'enrolled']);
    assert.equal(await hub.refused(409, bob, 'PUT', '/users/bob', userBody(bob)), 'user/conflict');
  });
});

describe('an entry one names oneself', () => {
  test('is proved by its password, and may move', async (t) => {
    const { hub, directory } = await hubWith(t);
    await hub.enrol(bob, eve);
    assert.equal(
      await hub.refused(401, bob, 'PUT', '/users/bob', userBody(bob, { ldap_dn: dnOf('bob') })),
      'ldap/password',
    );
    await hub.must(200, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap', { ldap_dn: dnOf('bob') }));
    assert.equal((await hub.must(200, admin, 'GET', path)).name, 'bob');
    const moved = 'uid=bob,ou=former,dc=org';
    directory.passwords.set(normalDn(moved), 'bob of ldap');
    await hub.must(200, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap', { ldap_dn: moved }));
    assert.equal(await hub.refused(404, admin, 'GET', path), 'ldap_user/not_found');
    // What he was is free again.
    await hub.must(200, eve, 'PUT', '/users/eve', withPassword(eve, 'bob of ldap', { ldap_dn: dnOf('bob') }));
  });

  test('is no distinguished name, or the hub has no directory: refused', async (t) => {
    const { hub } = await hubWith(t);
    assert.equal(
      await hub.refused(400, bob, 'PUT', '/users/bob', withPassword(bob, 'x', { ldap_dn: 'bob' })),
      'request/usage',
    );
    const plain = await TestHub.open();
    t.after(() => plain.close());
    const claim = withPassword(bob, 'bob of ldap', { ldap_dn: dnOf('bob') });
    assert.equal(await plain.refused(404, bob, 'PUT', '/users/bob', claim), 'ldap/not_configured');
    await plain.enrol(admin);
    assert.equal(await plain.refused(403, admin, 'PUT', '/ldap_users', kept('bob')), 'user/forbidden');
  });
});

describe('a login', () => {
  const loginKey = person('bob', 'login');
  const identity = {
    salt: toBase64(Buffer.alloc(16, 1)),
    scrypt_n: 2 ** 17,
    login_key: publicKey(loginKey),
    sealed: toBase64(Buffer.alloc(sealedSeedBytes, 2)),
  };

  test('needs both passwords, and asks the directory only for who has the other', async (t) => {
    const { hub, directory } = await hubWith(t);
    await hub.must(200, admin, 'PUT', '/ldap_users', kept('bob'));
    await hub.must(201, bob, 'PUT', '/users/bob', withPassword(bob, 'bob of ldap', { identity }));
    const { ldap } = await hub.must(200, undefined, 'GET', '/users/bob/login');
    assert.equal(ldap, true);
    const asked = directory.bound.length;
    const good = { ldap_password: 'bob of ldap' };
    assert.equal(await hub.refused(401, bob, 'POST', '/users/bob/login', good), 'user/unauthorized');
    assert.equal(directory.bound.length, asked);
    assert.equal(await hub.refused(401, loginKey, 'POST', '/users/bob/login'), 'ldap/password');
    assert.equal(await hub.refused(401, loginKey, 'POST', '/users/bob/login', { ldap_password: 'x' }), 'ldap/password');
    assert.equal((await hub.must(200, loginKey, 'POST', '/users/bob/login', good)).sealed, identity.sealed);
    directory.passwords.delete(normalDn(dnOf('bob'))); // he has left
    assert.equal(await hub.refused(401, loginKey, 'POST', '/users/bob/login', good), 'ldap/password');
  });

  test('waits for a directory that is away, or not trusted; and is not tried too often', async (t) => {
    const { hub, directory, later } = await hubWith(t);
    await hub.must(200, admin, 'PUT', '/ldap_users', kept('bob'));
    directory.isAway = true;
    const good = withPassword(bob, 'bob of ldap');
    assert.equal(await hub.refused(503, bob, 'PUT', '/users/bob', good), 'hub/unavailable');
    directory.isAway = false;
    const refusals: string[] = [];
    for (let tries = 0; tries < 6; tries += 1)
      refusals.push(String((await hub.ask(bob, 'PUT', '/users/bob', withPassword(bob, `guess ${tries}`))).body.error));
    assert.deepEqual([refusals[0], refusals.at(-1)], ['ldap/password', 'request/rate']);
    assert.equal(await hub.refused(429, bob, 'PUT', '/users/bob', good), 'request/rate');
    later();
    await hub.must(201, bob, 'PUT', '/users/bob', good);
  });
});

describe('populating a hub', () => {
  const entry = (uid: string, cn: string, mail?: string) =>
    entryOf(dnOf(uid), { cn: [cn], ...(mail !== undefined && { mail: [mail] }) });
  const people = [
    entry('a', 'Ann Smith', 'ann@example.org'),
    entry('b', 'Ann Smith', 'no address'),
    entry('c', 'Alice'),
    entry('d', '日本'),
    entryOf('no name', { cn: ['x'] }),
  ];

  async function administrator(t: TestContext) {
    const { hub } = await hubWith(t);
    const device = await newDevice(t, t.name);
    await createUser(device, { name: 'alice', seed: admin.key.seed });
    return { hub, sharing: await openSharing(device, hub.connection, 'alice'), device };
  }

  test('plans names that nobody has, keeps them, and keeps to them', async (t) => {
    const { sharing } = await administrator(t);
    const plan = await planUsers(sharing, people, patterns);
    const shown = plan.users.map(({ name, email, result }) => [name, email, result]);
    assert.deepEqual(shown, [
      ['ann.smith', 'ann@example.org', 'created'],
      ['ann.smith1', undefined, 'created'],
      ['alice1', undefined, 'created'],
    ]);
    assert.deepEqual(
      plan.problems.map(({ name }) => name),
      [dnOf('d'), 'no name'],
    );
    const done = await keepUsers(sharing, plan);
    assert.ok(done.every(({ result }) => result === 'created'));
    // In another order: the same names.
    const again = await planUsers(sharing, people.slice(0, 3).reverse(), patterns);
    assert.ok(again.users.every(({ result }) => result === 'unchanged'));
    const names = (users: typeof done) => Object.fromEntries(users.map(({ dn, name }) => [dn, name]));
    assert.deepEqual(names(again.users), names(done));
    const fixed = await planUsers(sharing, people.slice(0, 2), { ...patterns, username: 'ann' });
    assert.deepEqual(
      [fixed.users.map(({ name, result }) => [name, result]), fixed.problems.length],
      [[['ann', 'updated']], 1],
    );
  });

  test('a person logs in, chooses a password of his own, and is found by his entry', async (t) => {
    const { hub, sharing } = await administrator(t);
    await keepUsers(sharing, await planUsers(sharing, [entry('bob', 'Bob', 'bob@example.org')], patterns));
    assert.equal(await userOfEntry(sharing, dnOf('bob')), undefined);
    await assert.rejects(userOfEntry(sharing, dnOf('eve')), failsWith('not-found', /does not exist/));
    const laptop = await newDevice(t, `${t.name} laptop`);
    const secrets = (own: string, directory: string) => ({
      password: async () => own,
      directoryPassword: async () => directory,
    });
    const exposed = await openSharing(laptop, { ...hub.connection, isExposed: true }, 'bob');
    await assert.rejects(login(exposed, 'bob', secrets('his own', 'bob of ldap')), failsWith('denied', /without TLS/));
    const his = await openSharing(laptop, hub.connection, 'bob');
    const same = secrets('bob of ldap', 'bob of ldap');
    await assert.rejects(login(his, 'bob', same), failsWith('usage', /another than that of the directory/));
    assert.equal(await laptop.repository.has('user', 'bob'), false);
    const { isNew, descriptor } = await login(his, 'bob', secrets('his own', 'bob of ldap'));
    assert.deepEqual([isNew, descriptor.email, descriptor.fullname], [true, 'bob@example.org', 'Bob']);
    const found = await userOfEntry(sharing, dnOf('bob'));
    assert.deepEqual(found?.public_key, descriptor.public_key);
    await pushUser(await openSharing(laptop, hub.connection, 'bob'), 'bob', { fullname: 'Robert' });
    const desk = await newDevice(t, `${t.name} desk`);
    const there = await openSharing(desk, hub.connection, 'bob');
    await assert.rejects(login(there, 'bob', secrets('his own', 'wrong')), failsWith('denied', /of the directory/));
    const second = await login(there, 'bob', secrets('his own', 'bob of ldap'));
    assert.deepEqual(second.descriptor, await laptop.repository.get('user', 'bob'));
  });

  test('who names his entry with another password is told which password it is', async (t) => {
    const { hub } = await administrator(t);
    const device = await newDevice(t, `${t.name} eve`);
    await createUser(device, { name: 'eve' });
    const sharing = await openSharing(device, hub.connection, 'eve');
    const wrong = { ldapDn: dnOf('eve'), directoryPassword: 'bob of ldap' };
    await assert.rejects(
      pushUser(sharing, 'eve', wrong),
      failsWith('denied', /^password of the directory do not match$/),
    );
  });
});
