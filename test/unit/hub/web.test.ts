// The page: signed in by a link that is good once, it reads what is its user's and changes nothing.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { HubRequest, HubResponse } from '../../../src/core/hub/hub.ts';
import { html } from '../../../src/core/hub/server/web/html.ts';
import { networkOf, nodePath, passportOf, person, TestHub, volumeOf } from './support.ts';

const alice = person('alice');
const bob = person('bob');

async function hubWithAlice() {
  const hub = await TestHub.open();
  await hub.enrol(alice, bob);
  const network = networkOf(alice, 'n', { description: '<script>alert("1")</script>' });
  await hub.must(201, alice, 'PUT', '/networks/alice/n', network);
  await hub.must(201, alice, 'PUT', '/volumes/alice/v', volumeOf(alice, 'v', 'alice/n'));
  await hub.must(200, alice, 'PUT', `/networks/alice/n/stat/alice/${nodePath}`, { capacity: 2e9, usage: 5e8 });
  const raw = (method: string, path: string, changes: Partial<HubRequest> = {}): Promise<HubResponse> => {
    const { method: m, path: p, query, headers, body } = hub.request(method, path, undefined, changes);
    return hub.connection.exchange({ method: m, path: p, query, headers, body });
  };
  const post = (path: string, form: Record<string, string>, cookie = '') =>
    raw('POST', path, {
      body: Buffer.from(new URLSearchParams(form).toString()),
      headers: { 'content-type': 'application/x-www-form-urlencoded', cookie },
    });
  const see = async (cookie?: string) =>
    (await raw('GET', '/web', cookie ? { headers: { cookie } } : {})).body.toString();
  /** The cookie that a link gives. */
  const signIn = async (who = alice): Promise<string> => {
    const { code } = await hub.must(200, who, 'POST', `/users/${who.name}/web_login`);
    const { headers, status } = await post('/web/login', { code: String(code) });
    assert.equal(status, 303);
    return String(headers['set-cookie']).split(';')[0] ?? '';
  };
  return { hub, network, raw, post, see, signIn };
}

describe('the page of a hub', () => {
  test('shows its user his own, and nobody else anything', async () => {
    const { hub, network, see, signIn } = await hubWithAlice();
    for (const stranger of [undefined, 'infinit-session=', `infinit-session=${'0'.repeat(64)}`]) {
      const page = await see(stranger);
      assert.match(page, /infinit hub open/);
      assert.ok(!page.includes('alice/n'));
    }
    const cookie = await signIn();
    const page = await see(cookie);
    for (const part of ['alice/n', 'alice/v', '500 MB of 2 GB used, 25 %', 'value="500000000"'])
      assert.ok(page.includes(part), part);
    assert.ok(!page.includes('<script'));
    const his = await signIn(bob);
    assert.ok(!(await see(his)).includes('alice/n'));
    await hub.must(201, alice, 'PUT', '/networks/alice/n/passports/bob', passportOf(alice, bob, network));
    assert.ok((await see(his)).includes('alice/n'));
    await hub.close();
  });

  test('opens by a link once, for five minutes, and looking at the link uses nothing up', async () => {
    const { hub, raw, post } = await hubWithAlice();
    await hub.refused(403, bob, 'POST', '/users/alice/web_login');
    await hub.refused(401, undefined, 'POST', '/users/alice/web_login');
    const link = async () => String((await hub.must(200, alice, 'POST', '/users/alice/web_login')).code);
    const first = await link();
    const code = await link();
    assert.equal((await post('/web/login', { code: first })).status, 403);
    for (let i = 0; i < 2; i++)
      assert.match((await raw('GET', `/web/login?code=${code}`)).body.toString(), /Sign in as alice/);
    assert.equal((await post('/web/login', { code })).status, 303);
    assert.equal((await post('/web/login', { code })).status, 403);
    assert.match((await raw('GET', `/web/login?code=${code}`)).body.toString(), /has ended/);
    const late = await link();
    hub.nowMs += 5 * 60_000;
    assert.equal((await post('/web/login', { code: late })).status, 403);
    const statuses: number[] = [];
    for (let i = 0; i < 40; i++) statuses.push((await post('/web/login', { code: 'f'.repeat(64) })).status);
    assert.equal(statuses.at(-1), 429);
    await hub.close();
  });

  test('ends by signing out, by its time, with its user, and by ten newer ones', async () => {
    const { hub, post, see, signIn } = await hubWithAlice();
    const isIn = async (cookie: string) => (await see(cookie)).includes('Signed in as');
    const one = await signIn();
    assert.equal((await post('/web/logout', {}, one)).status, 303);
    assert.equal(await isIn(one), false);
    const two = await signIn();
    hub.nowMs += 12 * 3_600_000;
    assert.equal(await isIn(two), false);
    const old = await signIn();
    for (let i = 0; i < 10; i++) {
      hub.nowMs += 60_000;
      await signIn();
    }
    assert.equal(await isIn(old), false);
    const last = await signIn();
    assert.equal(await isIn(last), true);
    await hub.must(200, alice, 'DELETE', '/users/alice');
    await hub.enrol(alice);
    assert.equal(await isIn(last), false);
    await hub.close();
  });

  test('holds its session from scripts, other sites and the clear', async () => {
    const open = await hubWithAlice();
    const cookies = async (hub: TestHub): Promise<string> => {
      const { code } = await hub.must(200, alice, 'POST', '/users/alice/web_login');
      const body = Buffer.from(`code=${code}`);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return String(
        (await hub.send(hub.request('POST', '/web/login', undefined, { body, headers }))).headers['set-cookie'],
      );
    };
    assert.match(
      await cookies(open.hub),
      /^infinit-session=[0-9a-f]{64}; Path=\/web; HttpOnly; SameSite=Strict; Max-Age=43200$/,
    );
    await open.hub.close();
    const secure = await TestHub.open({ isSecure: true });
    await secure.enrol(alice);
    assert.match(await cookies(secure), /; Secure$/);
    await secure.close();
  });
});

test('what people wrote is text in a page', () => {
  const hostile = `<img src=x onerror="alert(1)">&'`;
  assert.equal(
    html`<p title="${hostile}">${[html`${hostile}`]}</p>`.text,
    '<p title="&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#38;&#39;">&#60;img src=x onerror=&#34;alert(1)&#34;&#62;&#38;&#39;</p>',
  );
});

test('a browser at the door is led to the page, a program is told what this is', async () => {
  const hub = await TestHub.open();
  const browser = hub.request('GET', '/', undefined, { headers: { accept: 'text/html,*/*' } });
  const { status, headers } = await hub.send(browser);
  assert.deepEqual([status, headers.location], [303, '/web']);
  assert.deepEqual(await hub.must(200, undefined, 'GET', '/'), { hub: 'infinit', version: 1 });
  await hub.close();
});
