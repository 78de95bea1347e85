import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { routes } from '../../../src/core/hub/server/routes.ts';
import { networkOf, nodePath, passportOf, person, start, TestHub, userBody } from './support.ts';

const alice = person('alice');
const bob = person('bob');
const minute = 60_000;

describe('who may ask', () => {
  test('a request counts once', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    const request = hub.signed(alice, 'GET', '/users/alice/networks');
    assert.equal((await hub.send(request)).status, 200);
    const again = await hub.send(request);
    assert.deepEqual([again.status, again.body.error], [401, 'user/unauthorized']);
    assert.match(String(again.body.reason), /sent before/);
    // And the nonce outlives what is swept meanwhile.
    hub.nowMs += 4 * minute;
    await hub.must(200, alice, 'GET', '/users/alice/networks');
    assert.equal((await hub.send(request)).status, 401);
    await hub.close();
  });

  test('nonces are forgotten when their requests are too old anyway', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    assert.equal(await hub.store.useNonce('alice x', start + minute), true);
    assert.equal(await hub.store.useNonce('alice x', start + minute), false);
    hub.nowMs += 2 * minute;
    await hub.must(200, undefined, 'GET', '/');
    assert.equal(await hub.store.useNonce('alice x', start), true);
    await hub.close();
  });

  test('too old, too new, for another hub, changed on the way, by somebody else: 401', async () => {
    const hub = await TestHub.open({ host: 'hub.example.org' });
    await hub.enrol(alice, bob);
    const path = '/users/alice/networks';
    const good = hub.signed(alice, 'GET', path);
    hub.nowMs += 5 * minute + 1000;
    assert.equal((await hub.send(good)).status, 401);
    const late = hub.signed(alice, 'GET', path);
    hub.nowMs -= 10 * minute;
    assert.equal((await hub.send(late)).status, 401);
    const elsewhere = hub.signed(alice, 'GET', path, undefined, { host: 'other.example.org' });
    assert.equal((await hub.send(elsewhere)).status, 401);
    const changed = { ...hub.signed(alice, 'GET', path), query: 'x=1' };
    assert.equal((await hub.send(changed)).status, 401);
    const forged = hub.signed({ name: 'alice', key: bob.key }, 'GET', path);
    assert.equal((await hub.send(forged)).status, 401);
    await hub.must(200, alice, 'GET', path);
    await hub.close();
  });

  test('nothing that is not signed changes anything, or reads what is not for all', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    const open = routes.filter(({ access }) => access === 'open');
    assert.ok(open.every(({ method }) => method === 'GET'));
    assert.deepEqual(
      open.map(({ path }) => path).filter((path) => !path.startsWith('/web/')),
      [
        '/',
        '/openapi.json',
        '/users/:user',
        '/users/:user/avatar',
        '/users/:user/login',
        '/users/:user/pairing',
        '/users/:user/confirm_email',
      ],
    );
    for (const { method, path, access } of routes) {
      // That one takes the code that was mailed; those of the page, which tell nobody anything without a session, are tested there.
      if (access === 'open' || path.endsWith('/confirm_email') || path.startsWith('/web')) continue;
      assert.notEqual(access, 'code');
      const real = path
        .replace(':owner', 'alice')
        .replace(':name', 'n')
        .replace(':user', 'alice')
        .replace(':node', nodePath);
      assert.equal(await hub.refused(401, undefined, method, real, {}), 'user/unauthorized', `${method} ${path}`);
    }
    await hub.close();
  });

  test('a user the hub does not know: 404, as when he is asked for', async () => {
    const hub = await TestHub.open();
    assert.equal(await hub.refused(404, bob, 'GET', '/users/bob/networks'), 'user/not_found');
    assert.equal(await hub.refused(404, undefined, 'GET', '/users/bob'), 'user/not_found');
    await hub.close();
  });
});

describe('what is asked', () => {
  test('paths, methods, types and bodies that are none', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    assert.equal(await hub.refused(404, undefined, 'GET', '/nothing/here'), 'route/not_found');
    assert.equal(await hub.refused(405, undefined, 'PATCH', '/users/alice'), 'route/method');
    assert.equal((await hub.ask(undefined, 'PATCH', '/users/alice')).headers.allow, 'GET, PUT, DELETE');
    assert.equal(await hub.refused(400, undefined, 'GET', '/users/%ff'), 'request/invalid');
    assert.equal(await hub.refused(400, undefined, 'GET', '/users/ALICE'), 'request/invalid');
    const typed = hub.signed(alice, 'PUT', '/users/alice', userBody(alice), {
      headers: { 'content-type': 'text/plain' },
    });
    assert.equal((await hub.send(typed)).status, 415);
    const text = hub.signed(alice, 'PUT', '/users/alice', undefined, { body: Buffer.from('{') });
    assert.equal((await hub.send(text)).status, 400);
    assert.equal(await hub.refused(422, alice, 'PUT', '/users/alice', { name: 'alice' }), 'request/schema');
    assert.equal(await hub.refused(422, alice, 'PUT', '/networks/alice/n', { name: 'alice/n' }), 'request/schema');
    const long = hub.request('PUT', '/users/alice', undefined, { body: Buffer.alloc(limits.hubBodyBytesMax + 1) });
    assert.equal((await hub.send(long)).status, 413);
    await hub.close();
  });

  test('a store that fails is 503 or 500 and says nothing of the inside', async () => {
    const hub = await TestHub.open();
    await hub.close();
    const { status, body } = await hub.ask(undefined, 'GET', '/users/alice');
    assert.ok(status >= 500);
    assert.doesNotMatch(JSON.stringify(body), /sqlite|database/i);
    assert.match(hub.logged.join(), /database/);
  });
});

describe('how often', () => {
  test('bad signatures and tries to log in are few', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    const statuses = new Set<number>();
    for (let i = 0; i <= limits.hubRefusedRate.burst; i++)
      statuses.add((await hub.ask({ name: 'alice', key: bob.key }, 'GET', '/users/alice/networks')).status);
    assert.deepEqual([...statuses], [401, 429]);
    const limited = await hub.ask({ name: 'alice', key: bob.key }, 'GET', '/users/alice/networks');
    assert.ok(Number(limited.headers['retry-after']) >= 1);
    // Who signs well is served all the same, from the same address.
    await hub.must(200, alice, 'GET', '/users/alice/networks');
    const logins: number[] = [];
    for (let i = 0; i <= limits.hubLoginRate.burst; i++)
      logins.push((await hub.ask(alice, 'POST', '/users/alice/login', {})).status);
    assert.deepEqual(logins.slice(-2), [404, 429]);
    hub.nowMs += minute;
    assert.equal((await hub.ask(alice, 'POST', '/users/alice/login', {})).status, 404);
    await hub.close();
  });

  test('one user is not served without bound', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice, bob);
    let status = 200;
    for (let i = 0; i <= limits.hubUserRate.burst && status === 200; i++)
      status = (await hub.ask(alice, 'GET', '/users/alice/passports')).status;
    assert.equal(status, 429);
    await hub.must(200, bob, 'GET', '/users/bob/passports');
    await hub.close();
  });
});

test('passports on a network are limited as the administrator says: 402', async () => {
  const hub = await TestHub.open({ passportsPerNetworkMax: 1 });
  const carol = person('carol');
  await hub.enrol(alice, bob, carol);
  const network = networkOf(alice, 'n');
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/bob', passportOf(alice, bob, network));
  const second = passportOf(alice, carol, network);
  assert.equal(
    await hub.refused(402, alice, 'PUT', '/networks/alice/n/passports/carol', second),
    'network/passports_limit',
  );
  // Replacing one is no further one.
  const newer = passportOf(alice, bob, network, { serial: 6 });
  await hub.must(200, alice, 'PUT', '/networks/alice/n/passports/bob', newer);
  await hub.close();
});
