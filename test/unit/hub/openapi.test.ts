import assert from 'node:assert/strict';
import { test } from 'node:test';
import { routes } from '../../../src/core/hub/server/routes.ts';
import { checkAnswer, document, mismatch } from './openapi.ts';
import { networkOf, passportOf, person, TestHub, userBody, volumeOf } from './support.ts';

const alice = person('alice');
const bob = person('bob');
const network = networkOf(alice, 'n', { description: 'x', peers: ['[::1]:1'] });

test('the document is served, and tells of every route and of nothing else', async () => {
  const hub = await TestHub.open();
  assert.deepEqual(await hub.must(200, undefined, 'GET', '/openapi.json'), JSON.parse(JSON.stringify(document)));
  const told = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
  );
  const real = routes.map(({ method, path }) => `${method} ${path.replace(/:(\w+)/g, '{$1}')}`);
  assert.deepEqual(told.sort(), real.sort());
  await hub.close();
});

test('what clients send fits the document, and what the document does not know is refused', async () => {
  const { schemas } = document.components;
  const good = {
    UserBody: userBody(alice, { email: 'a@b.c' }),
    Network: network,
    Passport: passportOf(alice, bob, network),
    Volume: volumeOf(alice, 'v', network.name),
  };
  const hub = await TestHub.open();
  await hub.enrol(bob);
  for (const [name, body] of Object.entries(good)) {
    const schema = schemas[name] as Record<string, unknown>;
    assert.equal(mismatch(schema, body, name), undefined);
    assert.notEqual(mismatch(schema, { ...body, more: 1 }, name), undefined);
    const { [Object.keys(body).at(0) as string]: _, ...less } = body as Record<string, unknown>;
    assert.notEqual(mismatch(schema, less, name), undefined);
  }
  const paths = { UserBody: '/users/alice', Network: '/networks/alice/n', Volume: '/volumes/alice/v' };
  await hub.enrol(alice);
  for (const [name, path] of Object.entries(paths)) {
    const body = good[name as keyof typeof good];
    assert.ok([200, 201].includes((await hub.ask(alice, 'PUT', path, body)).status), name);
    await hub.refused(422, alice, 'PUT', path, { ...body, more: 1 });
  }
  await hub.close();
});

test('an answer the document does not tell of is noticed', () => {
  const fits = (status: number, body: unknown) => () =>
    checkAnswer('GET', '/networks/alice/n/stat', status, 'application/json', body);
  assert.doesNotThrow(fits(200, { capacity: 1, usage: 1 }));
  assert.doesNotThrow(fits(403, { error: 'x', reason: 'y' }));
  assert.throws(fits(201, { capacity: 1, usage: 1 }), /not in the document/);
  assert.throws(fits(200, { capacity: 1 }), /usage is missing/);
  assert.throws(fits(200, { capacity: -1, usage: 1 }), /integer/);
  assert.throws(fits(403, { error: 'x' }), /reason is missing/);
});
