// E-mail of a hub by a real SMTP server on loopback: in the clear, and with TLS and a password.

import assert from 'node:assert/strict';
import { execFileSync, spawn } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { HubClient } from '../../src/core/hub/client/client.ts';
import { httpConnection } from '../../src/core/hub/client/http.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { person, userBody } from '../unit/hub/support.ts';
import { eventually, Lab, Running } from './device.ts';
import { Hub } from './hub.ts';
import { needs } from './needs.ts';

const alice = person('alice');
const email = 'alice@example.org';
const password = 'p@ss/wörd';

/** Debian's aiosmtpd, for Debian's Python, which prints what it takes; with TLS and a password where `tls` is a folder with a certificate. */
const server = `
import asyncio, ssl, sys
from aiosmtpd.controller import Controller
from aiosmtpd.handlers import Debugging
from aiosmtpd.smtp import AuthResult
port, folder = int(sys.argv[1]), sys.argv[2]
options = {}
if folder:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder + '/cert.pem', folder + '/key.pem')
    def check(server, session, envelope, mechanism, data):
        return AuthResult(success=data.login == b'hub' and data.password.decode() == sys.argv[3])
    options = dict(tls_context=context, require_starttls=True, auth_required=True, authenticator=check)
controller = Controller(Debugging(sys.stdout), hostname='localhost', port=port, **options)
controller.start()
print('Serving', flush=True)
import time
while True:
    time.sleep(0.1)
    sys.stdout.flush()
`;

async function freePort(): Promise<number> {
  const socket = createServer();
  await new Promise<void>((resolve) => socket.listen(0, 'localhost', resolve));
  const { port } = socket.address() as { port: number };
  await new Promise((resolve) => socket.close(resolve));
  return port;
}

describe('e-mail of a hub', { timeout: 120_000, ...needs('aiosmtpd', 'openssl') }, () => {
  const lab = new Lab();
  const ended: Running[] = [];
  after(async () => {
    for (const one of ended) await one.kill();
    await lab.close();
  });

  async function smtp(folder: string): Promise<Running & { port: number }> {
    const port = await freePort();
    const script = join(lab.folder, 'server.py');
    writeFileSync(script, server);
    const running = new Running(
      spawn('/usr/bin/python3', ['-u', script, String(port), folder, password], { stdio: 'pipe' }),
    );
    ended.push(running);
    await running.waitFor(/^Serving$/m, 30_000);
    return Object.assign(running, { port });
  }

  /** A code is sent, arrives, and confirms. */
  async function confirms(hub: Hub, mails: Running): Promise<void> {
    const client = new HubClient(systemRuntime({ log: { level: 'error' } }), httpConnection(hub.url), alice);
    const ask = (method: string, path: string, body?: unknown) => client.ask(method, path, { body, what: path });
    await ask('PUT', '/users/alice', userBody(alice, { email }));
    const text = await eventually('the mail is there', 30_000, async () => {
      const encoded = /Content-Transfer-Encoding: base64\s[\s\S]*?\n\n([A-Za-z0-9+/=\n]+)\n/.exec(mails.output)?.[1];
      return encoded && Buffer.from(encoded, 'base64').toString();
    });
    assert.match(mails.output, /^To: <alice@example\.org>$/m);
    assert.match(mails.output, /^From: Infinit hub <hub@example\.org>$/m);
    const confirmation_code = /^[0-9a-f]{32}$/m.exec(text)?.[0];
    await assert.rejects(ask('GET', '/users/alice/email_confirmed'));
    await ask('POST', '/users/alice/confirm_email', { confirmation_code });
    await ask('GET', '/users/alice/email_confirmed');
  }

  test('in the clear', async () => {
    const mails = await smtp('');
    const hub = new Hub(lab, 'hub1', ['--smtp', `smtp://localhost:${mails.port}?from=hub@example.org`]);
    await hub.start();
    await confirms(hub, mails);
  });

  test('with TLS and a password, which nobody sees', async () => {
    const [cert, key] = [join(lab.folder, 'cert.pem'), join(lab.folder, 'key.pem')];
    const words = ['req', '-x509', '-newkey', 'rsa:2048', '-nodes', '-days', '2', '-subj', '/CN=localhost'];
    execFileSync('openssl', [...words, '-addext', 'subjectAltName=DNS:localhost', '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    const mails = await smtp(lab.folder);
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
    assert.equal(mails.output.match(/^To: /gm)?.length, 1);
  });
});
