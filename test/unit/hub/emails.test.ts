import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, type Socket } from 'node:net';
import { describe, test } from 'node:test';
import { type Mail, parseSmtpUrl, SmtpMailer } from '../../../src/core/hub/server/mail.ts';
import { systemRuntime } from '../../../src/core/runtime/system/system.ts';
import { failsWith } from '../descriptor/support.ts';
import { person, TestHub, userBody } from './support.ts';

const alice = person('alice');
const eve = person('eve');
const email = 'alice@example.org';
const send = '/users/alice/send_confirmation_email';

async function mailing() {
  const mails: Mail[] = [];
  const mailer = { send: async (mail: Mail) => void mails.push(mail) };
  const hub = await TestHub.open({ mailer, url: 'https://hub.example.org' });
  await hub.must(201, alice, 'PUT', '/users/alice', userBody(alice, { email }));
  await hub.enrol(eve);
  // The code of the push itself is for the first test.
  const pushed = mails.length;
  hub.nowMs += 61_000;
  const code = () => /^[0-9a-f]{32}$/m.exec(mails.at(-1)?.text ?? '')?.[0] ?? '';
  return { hub, mails, code, pushed };
}

describe('an e-mail address', () => {
  test('is confirmed by the code that was sent there', async () => {
    const { hub, mails, code, pushed } = await mailing();
    assert.equal(pushed, 1);
    await hub.refused(404, alice, 'GET', '/users/alice/email_confirmed');
    assert.equal(mails[0]?.to, email);
    assert.ok(mails[0]?.text.includes(`https://hub.example.org/users/alice/confirm_email?code=${code()}`));
    const confirm = (confirmation_code: string) =>
      hub.ask(undefined, 'POST', '/users/alice/confirm_email', { confirmation_code });
    assert.equal((await confirm('0'.repeat(32))).status, 403);
    await hub.refused(404, alice, 'GET', '/users/alice/email_confirmed');
    assert.equal((await confirm(code())).status, 200);
    await hub.must(200, alice, 'GET', '/users/alice/email_confirmed');
    await hub.refused(403, eve, 'GET', '/users/alice/email_confirmed');
    // Another address is another matter.
    await hub.must(200, alice, 'PUT', '/users/alice', userBody(alice, { email: 'new@example.org' }));
    await hub.refused(404, alice, 'GET', '/users/alice/email_confirmed');
    await hub.close();
  });

  test('looking at the page confirms nothing, its button does', async () => {
    const { hub, code } = await mailing();
    await hub.must(200, alice, 'POST', send);
    const page = await hub.ask(undefined, 'GET', `/users/alice/confirm_email?code=${code()}`);
    assert.equal(page.headers['content-type'], 'text/html; charset=utf-8');
    await hub.refused(404, alice, 'GET', '/users/alice/email_confirmed');
    const form = {
      body: Buffer.from(`confirmation_code=${code()}`),
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
    };
    assert.equal((await hub.send(hub.request('POST', '/users/alice/confirm_email', undefined, form))).status, 303);
    await hub.must(200, alice, 'GET', '/users/alice/email_confirmed');
    await hub.close();
  });

  test('codes end, are not sent without bound, nor guessed', async () => {
    const { hub, mails, code } = await mailing();
    await hub.refused(403, eve, 'POST', send);
    await hub.refused(401, undefined, 'POST', send);
    await hub.must(200, alice, 'POST', send);
    await hub.refused(429, alice, 'POST', send);
    assert.equal(mails.length, 2);
    const first = code();
    hub.nowMs += 61_000;
    await hub.must(200, alice, 'POST', send);
    const confirm = async (confirmation_code: string) =>
      (await hub.ask(undefined, 'POST', '/users/alice/confirm_email', { confirmation_code })).status;
    assert.equal(await confirm(first), 403);
    hub.nowMs += 25 * 3_600_000;
    assert.equal(await confirm(code()), 403);
    const statuses: number[] = [];
    for (let i = 0; i < 12; i++) statuses.push(await confirm('x'));
    assert.deepEqual(statuses.slice(-2), [429, 429]);
    await hub.close();
  });

  test('a hub without a mail server says so, a user without an address too', async () => {
    const hub = await TestHub.open();
    await hub.enrol(alice);
    assert.equal(await hub.refused(404, alice, 'POST', send), 'email/not_configured');
    await hub.close();
    const { hub: other } = await mailing();
    assert.equal(await other.refused(404, eve, 'POST', '/users/eve/send_confirmation_email'), 'email/not_found');
    await other.close();
  });
});

test('addresses of mail servers', () => {
  assert.deepEqual(parseSmtpUrl('smtp://mail.example.org?from=hub@example.org'), {
    ...{ secure: false, host: 'mail.example.org', port: 25 },
    from: 'hub@example.org',
  });
  const { secure, port, login } = parseSmtpUrl('smtps://u%40x:p%2Fw@mail.example.org');
  assert.deepEqual({ secure, port, login }, { secure: true, port: 465, login: { user: 'u@x', password: 'p/w' } });
  for (const bad of ['', 'http://x', 'smtp://', 'smtp://x?from=a', 'smtp://x?from=a%0d%0ab@c'])
    assert.throws(() => parseSmtpUrl(bad), failsWith('usage', /mail server/), bad);
});

test('an address that would speak to the server is none', async () => {
  const mailer = new SmtpMailer(parseSmtpUrl('smtp://127.0.0.1:1'), systemRuntime());
  for (const to of ['a@b>\r\nRCPT TO:<c@d', 'a b@c', '<a@b', 'a@b\n'])
    await assert.rejects(mailer.send({ to, subject: 's', text: 't' }), failsWith('denied', /that address/), to);
  await assert.rejects(
    mailer.send({ to: email, subject: 's', text: 't' }),
    failsWith('unavailable', /does not answer/),
  );
});

test('a mail server that says nothing is left', async (t) => {
  const server = createServer().listen(0, '127.0.0.1');
  t.after(() => server.close());
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const asked = once(server, 'connection');
  t.mock.method(AbortSignal, 'timeout', () => {
    const end = new AbortController();
    asked.then(() => end.abort());
    return end.signal;
  });
  const mailer = new SmtpMailer(parseSmtpUrl(`smtps://127.0.0.1:${port}`), systemRuntime());
  await assert.rejects(
    mailer.send({ to: email, subject: 's', text: 't' }),
    failsWith('unavailable', /does not answer/),
  );
  const [socket] = (await asked) as [Socket];
  const closed = once(socket.resume(), 'close').then(() => true);
  const waited = new Promise((resolve) => setTimeout(resolve, 5000, false).unref());
  t.after(() => socket.destroy());
  assert.equal(await Promise.race([closed, waited]), true);
});
