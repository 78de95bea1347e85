// E-mail of a hub by a real SMTP server on loopback: in the clear, and with TLS and a password.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HubClient } from '../../src/core/hub/client/client.ts';
import { httpConnection } from '../../src/core/hub/client/http.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { person, userBody } from '../unit/hub/support.ts';
import { Lab } from './device.ts';
import { Hub } from './hub.ts';
import { MailServer } from './mail-server.ts';
import { needs } from './needs.ts';

const alice = person('alice');
const email = 'alice@example.org';
const password = 'p@ss/wörd';

describe('e-mail of a hub', { timeout: 120_000, ...needs('aiosmtpd', 'openssl') }, () => {
  const lab = new Lab();
  const servers: MailServer[] = [];
  after(async () => {
    for (const one of servers) await one.stop();
    await lab.close();
  });

  async function mailServer(tls?: { folder: string; password: string }) {
    const server = await MailServer.start(lab, tls);
    servers.push(server);
    return server;
  }

  /** A code is sent, arrives, and confirms. */
  async function confirms(hub: Hub, mails: MailServer): Promise<void> {
    const client = new HubClient(systemRuntime({ log: { level: 'error' } }), httpConnection(hub.url), alice);
    const ask = (method: string, path: string, body?: unknown) => client.ask(method, path, { body, what: path });
    await ask('PUT', '/users/alice', userBody(alice, { email }));
    const { text, from } = await mails.letterTo(email);
    assert.equal(from, 'Infinit hub <hub@example.org>');
    const confirmation_code = /^[0-9a-f]{32}$/m.exec(text)?.[0];
    await assert.rejects(ask('GET', '/users/alice/email_confirmed'));
    await ask('POST', '/users/alice/confirm_email', { confirmation_code });
    await ask('GET', '/users/alice/email_confirmed');
  }

  test('in the clear', async () => {
    const mails = await mailServer();
    const hub = new Hub(lab, 'hub1', ['--smtp', mails.url]);
    await hub.start();
    await confirms(hub, mails);
  });

  test('with TLS and a password, which nobody sees', async () => {
    const [cert, key] = [join(lab.folder, 'cert.pem'), join(lab.folder, 'key.pem')];
    const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
    execFileSync('openssl', [...words, '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    const mails = await mailServer({ folder: lab.folder, password });
    const address = `smtp://hub@localhost:${mails.port}?from=hub@example.org`;
    const hub = new Hub(lab, 'hub2', ['--smtp', address]);
    hub.device.environment = { NODE_EXTRA_CA_CERTS: cert, INFINIT_SMTP_PASSWORD: password };
    await hub.start();
    await confirms(hub, mails);
    // A server that is not trusted gets no password.
    const wary = new Hub(lab, 'hub3', ['--smtp', address]);
    wary.device.environment = { INFINIT_SMTP_PASSWORD: password };
    await wary.start();
    const client = new HubClient(systemRuntime({ log: { level: 'error' } }), httpConnection(wary.url), alice);
    const asking = { body: userBody(alice, { email }), what: 'pushing' };
    assert.deepEqual(await client.ask('PUT', '/users/alice', asking), { result: 'created' });
    assert.equal(mails.letters().length, 1);
  });
});
