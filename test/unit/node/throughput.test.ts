import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createConnection, createServer } from 'node:net';
import { after, test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import { connects, look, measure, serveThroughput } from '../../../src/core/node/doctor/throughput.ts';

const closers: (() => Promise<void> | void)[] = [];
after(async () => {
  for (const close of closers) await close();
});

async function serve() {
  const told: string[] = [];
  const { endpoint, close } = await serveThroughput({ host: '127.0.0.1', port: 0 }, (what) => told.push(what));
  closers.push(close);
  return { endpoint, told };
}

async function raw(port: number, text: string | Buffer): Promise<string> {
  const socket = createConnection({ host: '127.0.0.1', port });
  let heard = '';
  socket.on('data', (piece) => (heard += piece)).on('error', () => {});
  socket.write(text);
  await once(socket, 'close');
  return heard;
}

test('both ways, every byte counted', async () => {
  const { endpoint, told } = await serve();
  for (const mode of ['upload', 'download'] as const) {
    const { bytes, ms, bytesPerSecond } = await measure(endpoint, mode, { packetBytes: 100_000, packets: 200 });
    assert.equal(bytes, 20_000_000);
    assert.ok(ms > 0 && bytesPerSecond > 0, `${ms} ms, ${bytesPerSecond} B/s`);
  }
  for (let i = 0; told.length < 2 && i < 500; i++) await new Promise((resolve) => setTimeout(resolve, 10));
  assert.equal(told.length, 2);
  assert.match(told[0] ?? '', /^127\.0\.0\.1:\d+: upload measured$/);
});

test('the other side tells how it sees this one, and whether it can connect', async () => {
  const { endpoint } = await serve();
  const own = createServer((socket) => socket.destroy()).listen(0, '127.0.0.1');
  await once(own, 'listening');
  closers.push(() => void own.close());
  const { port } = own.address() as { port: number };
  assert.deepEqual(await look(endpoint, port), { address: '127.0.0.1', reachable: true });
  assert.deepEqual(await look(endpoint, 1), { address: '127.0.0.1', reachable: false });
  assert.deepEqual([await connects(endpoint), await connects({ host: '127.0.0.1', port: 1 })], [true, false]);
});

test('what makes no sense, or too much, is not served', async () => {
  const { endpoint } = await serve();
  const { port } = endpoint;
  const bad = [
    'nonsense\n',
    '{"mode":"fly","packet_size":1,"packets_count":1}\n',
    '{"mode":"download","packet_size":1e9,"packets_count":1}\n',
    `{"mode":"download","packet_size":1048576,"packets_count":${limits.throughputBytesMax}}\n`,
    '{"mode":"download","packet_size":-1,"packets_count":1}\n',
    '{"mode":"look","port":"22; rm"}\n',
    Buffer.alloc(5000, 0x61),
  ];
  for (const text of bad) assert.equal(await raw(port, text), '', String(text).slice(0, 60));
  await assert.rejects(measure(endpoint, 'upload', { packetBytes: 0, packets: 1 }), { kind: 'usage' });
  await assert.rejects(measure({ host: '127.0.0.1', port: 1 }, 'upload', { packetBytes: 1, packets: 1 }), {
    kind: 'unavailable',
  });
  assert.equal((await measure(endpoint, 'upload', { packetBytes: 10, packets: 1 })).bytes, 10);
});
