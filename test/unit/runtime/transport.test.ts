// The TLS transport against sides that do not play by its rules, on loopback.

import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import net from 'node:net';
import { test } from 'node:test';
import tls from 'node:tls';
import { isError } from '../../../src/core/base/errors.ts';
import type { Connection, Listener } from '../../../src/core/runtime/runtime.ts';
import { selfSigned } from '../../../src/core/runtime/system/certificate.ts';
import { FrameReader } from '../../../src/core/runtime/system/framing.ts';
import { createSystemTransport, systemTransport } from '../../../src/core/runtime/system/transport.ts';
import { testKey } from '../peer/fake-admission.ts';

const here = '127.0.0.1';

async function listen(
  welcome: (one: Connection) => void = () => {},
): Promise<{ listener: Listener; port: number; accepted: Connection[] }> {
  const accepted: Connection[] = [];
  const listener = await systemTransport.listen({ host: here, port: 0 }, testKey(1), (one) => {
    accepted.push(one);
    welcome(one);
  });
  return { listener, port: listener.endpoint.port, accepted };
}

/** How a raw TLS client fares: the protocol it got, and whether its connection ended before anything came over it. */
function tryClient(port: number, options: tls.ConnectionOptions): Promise<{ ended: boolean; cipher: string }> {
  return new Promise((resolve) => {
    let cipher = '';
    const socket = tls.connect({ host: here, port, rejectUnauthorized: false, ALPNProtocols: ['infinit'], ...options });
    const end = (ended: boolean) => {
      socket.destroy();
      resolve({ ended, cipher });
    };
    socket.on('secureConnect', () => {
      cipher = socket.getCipher().standardName;
    });
    socket.on('data', () => end(false));
    socket.on('error', () => end(true));
    socket.on('close', () => end(true));
  });
}

test('the certificate is one OpenSSL reads and verifies, the same for the same key', () => {
  const { certificate } = selfSigned(testKey(3));
  const parsed = new X509Certificate(certificate);
  assert.ok(parsed.verify(parsed.publicKey));
  assert.equal(parsed.subject, 'CN=infinit');
  assert.equal(parsed.publicKey.asymmetricKeyType, 'ed25519');
  assert.equal(selfSigned(testKey(3)).certificate, certificate);
  assert.notEqual(selfSigned(testKey(4)).certificate, certificate);
});

test('only TLS 1.3 with an Ed25519 certificate comes in, with AES-128-GCM first', async () => {
  const { listener, port, accepted } = await listen((one) => one.send([Buffer.from('welcome')]));
  const { certificate: cert, privateKey: key } = selfSigned(testKey(0));
  assert.deepEqual(await tryClient(port, { cert, key, maxVersion: 'TLSv1.2' }), { ended: true, cipher: '' });
  assert.equal((await tryClient(port, {})).ended, true, 'no certificate');
  assert.equal(accepted.length, 0);
  const good = await tryClient(port, { cert, key });
  assert.deepEqual(good, { ended: false, cipher: 'TLS_AES_128_GCM_SHA256' });
  assert.equal(accepted.length, 1);
  assert.deepEqual(Buffer.from(accepted[0]?.remoteKey ?? []), testKey(0).publicKey);
  for (const one of accepted) one.close();
  await listener.close();
});

async function plainServer(answer: (socket: net.Socket) => void): Promise<{ server: net.Server; port: number }> {
  const server = net.createServer(answer).listen(0, here);
  await new Promise((resolve) => server.once('listening', resolve));
  return { server, port: (server.address() as net.AddressInfo).port };
}

test('a server that speaks no TLS, or shows no certificate of ours, or nothing at all', async () => {
  const plain = await plainServer((socket) => socket.end('HTTP/1.1 400 no\r\n\r\n'));
  const toPlain = systemTransport.dial({ host: here, port: plain.port }, testKey(0));
  await assert.rejects(toPlain, (error) => isError(error, 'unavailable'));
  plain.server.close();
  const silent = await plainServer(() => {});
  const toSilent = systemTransport.dial({ host: here, port: silent.port }, testKey(0), { timeoutMs: 50 });
  await assert.rejects(toSilent, (error) => isError(error, 'unavailable'));
  silent.server.close();
});

test('who connects and does not finish the handshake is hung up on', async () => {
  const transport = createSystemTransport({ handshakeTimeoutMs: 100 });
  const listener = await transport.listen({ host: here, port: 0 }, testKey(1), () => assert.fail('accepted'));
  const slow = net.connect(listener.endpoint.port, here);
  // The beginning of a plausible ClientHello, byte by byte.
  const hello = Buffer.from('16030101fc010001f803030000000000000000', 'hex');
  let at = 0;
  const dribble = setInterval(() => slow.write(hello.subarray(at, ++at)), 15);
  slow.on('error', () => {});
  const began = performance.now();
  await new Promise((resolve) => slow.once('close', resolve));
  clearInterval(dribble);
  const tookMs = performance.now() - began;
  assert.ok(tookMs > 80 && tookMs < 2000, `${tookMs} ms`);
  await listener.close();
});

test('strangers beyond the limit of handshakes are dropped, later ones come in again', async () => {
  const { listener, port } = await listen();
  let closed = 0;
  const sockets = Array.from({ length: 260 }, () => net.connect(port, here));
  for (const socket of sockets) {
    socket.on('error', () => {});
    socket.on('close', () => closed++);
  }
  while (closed < 4) await new Promise((resolve) => setTimeout(resolve, 5));
  for (const socket of sockets) socket.destroy();
  while (closed < sockets.length) await new Promise((resolve) => setTimeout(resolve, 5));
  await new Promise((resolve) => setTimeout(resolve, 20));
  const near = await systemTransport.dial({ host: here, port }, testKey(0));
  near.close();
  await listener.close();
});

test('frames come out the same however the stream is cut', () => {
  const frames = [Buffer.alloc(0), Buffer.from('a'), Buffer.alloc(70_000, 7), Buffer.from('bc'), Buffer.alloc(5000, 9)];
  frames.splice(2, 0, Buffer.from('small first'));
  const stream = Buffer.concat(
    frames.flatMap((frame) => {
      const length = Buffer.alloc(4);
      length.writeUInt32BE(frame.length);
      return [length, frame];
    }),
  );
  for (const step of [1, 3, 4, 5, 1000, 16_384, stream.length]) {
    const reader = new FrameReader();
    const got: Buffer[] = [];
    for (let at = 0; at < stream.length; at += step) {
      reader.push(stream.subarray(at, at + step));
      for (let frame = reader.next(); frame; frame = reader.next()) got.push(frame);
    }
    assert.deepEqual(got, frames);
  }
  const hostile = new FrameReader();
  hostile.push(Buffer.from('ffffffff', 'hex'));
  assert.throws(
    () => hostile.next(),
    (error) => isError(error, 'corrupt'),
  );
});

test('no byte of what is sent is on the wire in the clear', async () => {
  const { listener, port, accepted } = await listen();
  const wire: Buffer[] = [];
  const tap = net.createServer((client) => {
    const server = net.connect(port, here);
    for (const [from, to] of [
      [client, server],
      [server, client],
    ] as const) {
      from.on('data', (piece) => {
        wire.push(piece);
        to.write(piece);
      });
      from.on('close', () => to.destroy());
      from.on('error', () => {});
    }
  });
  tap.listen(0, here);
  await new Promise((resolve) => tap.once('listening', resolve));
  const tapped = { host: here, port: (tap.address() as net.AddressInfo).port };
  const near = await systemTransport.dial(tapped, testKey(0), { expectedKey: testKey(1).publicKey });
  const secret = Buffer.from('the quick brown secret');
  const echoed = new Promise<Buffer>((resolve) => near.onFrame(resolve));
  near.send([secret]);
  while (accepted.length === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  accepted[0]?.onFrame((frame) => accepted[0]?.send([frame]));
  assert.deepEqual(await echoed, secret);
  const seen = Buffer.concat(wire);
  assert.ok(seen.length > 2 * secret.length);
  assert.ok(!seen.includes(secret.subarray(0, 8)));
  // TLS 1.3 hides the certificates too: nobody on the way learns who talks.
  assert.ok(!seen.includes(testKey(0).publicKey) && !seen.includes(testKey(1).publicKey));
  near.close();
  tap.close();
  await listener.close();
});
