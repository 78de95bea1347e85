import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { HubClient } from '../../../src/core/hub/client/client.ts';
import { httpConnection, parseHubUrl } from '../../../src/core/hub/client/http.ts';
import { serveHub } from '../../../src/core/hub/server/server.ts';
import { systemRuntime } from '../../../src/core/runtime/system/system.ts';
import { failsWith } from '../descriptor/support.ts';
import { person, TestHub, userBody } from './support.ts';

const runtime = systemRuntime({ log: { level: 'error' } });
const alice = person('alice');

async function served(t: TestContext, tls?: { certificate: Buffer; key: Buffer }) {
  const hub = await TestHub.open();
  const server = await serveHub({ runtime, store: hub.store, listen: { host: '127.0.0.1', port: 0 }, tls });
  t.after(async () => {
    await server.close();
    await hub.close();
  });
  return server;
}

describe('the hub on HTTP', () => {
  test('serves clients that sign', async (t) => {
    const server = await served(t);
    const client = new HubClient(runtime, httpConnection(server.url), alice);
    const put = await client.ask('PUT', '/users/alice', { body: userBody(alice), what: 'pushing' });
    assert.deepEqual(put, { result: 'created' });
    assert.deepEqual(await client.ask('GET', '/users/alice/networks', { what: 'fetching' }), { networks: [] });
    await assert.rejects(
      client.ask('GET', '/networks/alice/n', { what: 'fetching network "alice/n"' }),
      failsWith('not-found', /^network "alice\/n" does not exist$/),
    );
    await assert.rejects(
      new HubClient(runtime, httpConnection(server.url), undefined).ask('GET', '/users/alice/networks', {
        what: 'x',
        open: true,
      }),
      failsWith('denied', /^Unauthorized x, check the system clock$/),
    );
  });

  test('refuses bodies that are too long, told or not, and what is no HTTP', async (t) => {
    const server = await served(t);
    const send = (headers: Record<string, number>) =>
      new Promise<number>((resolve, reject) => {
        const asking = request(server.url, { method: 'PUT', path: '/users/alice', headers }, (answer) => {
          answer.resume();
          resolve(answer.statusCode ?? 0);
        });
        asking.on('error', reject);
        asking.end(Buffer.alloc(limits.hubBodyBytesMax + 1));
      });
    assert.equal(await send({ 'content-length': limits.hubBodyBytesMax + 1 }), 413);
    assert.equal(await send({}), 413);
    const garbage = await new Promise<string>((resolve) => {
      const socket = connect(server.port, '127.0.0.1', () => socket.end('garbage\r\n\r\n'));
      socket.on('data', (data) => resolve(data.toString()));
    });
    assert.match(garbage, /^HTTP\/1.1 400/);
    const client = new HubClient(runtime, httpConnection(server.url), undefined);
    assert.deepEqual(await client.ask('GET', '/', { what: 'x', open: true }), { hub: 'infinit', version: 1 });
  });

  test('serves TLS with a certificate, to clients that trust it', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'infinit-hub-tls-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const [cert, key] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    const words = ['req', '-x509', '-newkey', 'ed25519', '-nodes', '-days', '2', '-subj', '/CN=127.0.0.1'];
    execFileSync('openssl', [...words, '-addext', 'subjectAltName=IP:127.0.0.1', '-keyout', key, '-out', cert], {
      stdio: 'ignore',
    });
    const server = await served(t, { certificate: readFileSync(cert), key: readFileSync(key) });
    assert.match(server.url, /^https:/);
    const client = new HubClient(runtime, httpConnection(server.url), undefined);
    await assert.rejects(
      client.ask('GET', '/', { what: 'x', open: true }),
      failsWith('unavailable', /SELF_SIGNED|self-signed/),
    );
    await assert.rejects(
      serveHub({
        runtime,
        store: (await TestHub.open()).store,
        listen: { host: '127.0.0.1', port: 0 },
        tls: { certificate: Buffer.from('x'), key: Buffer.from('y') },
      }),
      failsWith('usage', /certificate/),
    );
  });

  test('a port that is taken, a hub that is not there', async (t) => {
    const server = await served(t);
    const hub = await TestHub.open();
    await assert.rejects(
      serveHub({ runtime, store: hub.store, listen: { host: '127.0.0.1', port: server.port } }),
      failsWith('exists', /cannot listen on/),
    );
    await hub.close();
    const nobody = new HubClient(runtime, httpConnection('http://127.0.0.1:1'), undefined);
    await assert.rejects(nobody.ask('GET', '/', { what: 'x', open: true }), (error: unknown) => {
      failsWith('unavailable', /does not answer: ECONNREFUSED/)(error);
      assert.deepEqual((error as { data?: unknown }).data, { sent: false });
      return true;
    });
  });
});

test('addresses of hubs as people give them', () => {
  assert.equal(parseHubUrl('hub.example.org').origin, 'https://hub.example.org');
  assert.equal(parseHubUrl('http://127.0.0.1:8042').host, '127.0.0.1:8042');
  assert.equal(parseHubUrl('https://[::1]:8042/').host, '[::1]:8042');
  for (const bad of ['ftp://x', 'http://x/path', 'http://u:p@x', 'http://x/?q', '', 'http://'])
    assert.throws(() => parseHubUrl(bad), failsWith('usage', /no address of a hub/), bad);
});
