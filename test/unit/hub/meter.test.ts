// What a hub tells of its requests, its database and what it keeps.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { Metrics } from '../../../src/core/base/metrics.ts';
import { meteredDatabase, watchStore } from '../../../src/core/hub/server/meter.ts';
import { SqlHubStore } from '../../../src/core/hub/server/sql-store.ts';
import { openSqlite, SerialDatabase } from '../../../src/core/runtime/system/databases.ts';
import { networkOf, person, TestHub, userBody } from './support.ts';

const alice = person('alice');

/** A sample of the text format. */
function sampleOf(text: string, sample: string): number | undefined {
  const line = text.split('\n').find((one) => one.startsWith(`${sample} `));
  return line === undefined ? undefined : Number(line.slice(sample.length));
}

test('requests count by their route in the table and the code of the answer, refusals by their reason', async () => {
  const metrics = new Metrics();
  const hub = await TestHub.open({ metrics });
  await hub.enrol(alice);
  await hub.must(200, alice, 'GET', '/users/alice/networks');
  for (const name of ['bob', 'carol']) await hub.must(404, undefined, 'GET', `/users/${name}`);
  await hub.must(401, undefined, 'GET', '/networks/alice/n');
  await hub.must(404, undefined, 'GET', '/nothing/here');
  const text = await metrics.text();
  const requests = (route: string, code: number) =>
    sampleOf(text, `infinit_hub_requests_total{route="${route}",code="${code}"}`);
  assert.equal(requests('PUT /users/:user', 201), 1);
  assert.equal(requests('GET /users/:user/networks', 200), 1);
  assert.equal(requests('GET /users/:user', 404), 2);
  assert.equal(requests('GET /networks/:owner/:name', 401), 1);
  assert.equal(requests('none', 404), 1);
  assert.equal(sampleOf(text, 'infinit_hub_request_seconds_count{route="GET /users/:user"}'), 2);
  const refusals = (reason: string) => sampleOf(text, `infinit_hub_refusals_total{reason="${reason}"}`);
  assert.deepEqual([refusals('user/not_found'), refusals('user/unauthorized'), refusals('route/not_found')], [2, 1, 1]);
  const sent = Buffer.byteLength(JSON.stringify(userBody(alice)));
  assert.equal(sampleOf(text, 'infinit_hub_bytes_total{direction="received"}'), sent);
  assert.doesNotMatch(text, /alice|bob/);
  await hub.close();
});

test('what comes too often and what is too long counts too', async () => {
  const metrics = new Metrics();
  const hub = await TestHub.open({ metrics });
  const long = { body: Buffer.alloc(limits.hubBodyBytesMax + 1) };
  await hub.send(hub.request('PUT', '/users/alice', undefined, long));
  for (let i = 0; i < limits.hubAddressRate.burst; i++) await hub.send(hub.request('GET', '/'));
  const text = await metrics.text();
  assert.equal(sampleOf(text, 'infinit_hub_refusals_total{reason="request/size"}'), 1);
  assert.equal(sampleOf(text, 'infinit_hub_refusals_total{reason="request/rate"}'), 1);
  await hub.close();
});

test('statements are timed, in transactions too, and what fails', async () => {
  const metrics = new Metrics();
  let nowMs = 0;
  const clock = { monotonic: () => (nowMs += 1000) };
  const database = meteredDatabase(new SerialDatabase(await openSqlite(':memory:')), clock, metrics);
  await database.exec('CREATE TABLE t (a INTEGER PRIMARY KEY)');
  await database.transaction(async (inner) => {
    await inner.run('INSERT INTO t (a) VALUES (?)', [1]);
    assert.equal((await inner.all('SELECT a FROM t')).length, 1);
  });
  await assert.rejects(database.get('SELECT nothing FROM t'));
  const text = await metrics.text();
  const of = (operation: string, what: 'count' | 'sum') =>
    sampleOf(text, `infinit_hub_database_seconds_${what}{operation="${operation}"}`);
  assert.deepEqual(
    ['exec', 'run', 'all', 'get', 'transaction'].map((operation) => of(operation, 'count')),
    [1, 1, 1, 1, 1],
  );
  assert.deepEqual([of('get', 'sum'), of('transaction', 'sum')], [1, 5]);
  await database.close();
});

test('what is kept is counted by kind, once a minute at most', async () => {
  const metrics = new Metrics();
  const store = await SqlHubStore.open(new SerialDatabase(await openSqlite(':memory:')));
  let nowMs = 0;
  watchStore(metrics, store, { monotonic: () => nowMs }, async () => 4096);
  const kept = async (kind: string) => sampleOf(await metrics.text(), `infinit_hub_descriptors{kind="${kind}"}`);
  await store.put('network', 'alice/n', networkOf(alice, 'n'));
  assert.equal(await kept('network'), 1);
  await store.put('network', 'alice/m', networkOf(alice, 'm'));
  assert.equal(await kept('network'), 1);
  nowMs += 60_000;
  assert.equal(await kept('network'), 2);
  assert.equal(await kept('volume'), undefined);
  assert.match(await metrics.text(), /^infinit_hub_database_bytes 4096$/m);
  await store.close();
});
