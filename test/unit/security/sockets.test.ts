// Sockets in folders that other users reach: neither served from nor talked to where another user could stand in.

import assert from 'node:assert/strict';
import { chmodSync, chownSync, lchownSync, mkdirSync, mkdtempSync, rmSync, statSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { unixTransport } from '../../../src/core/gateway/kv/unix-transport.ts';
import { askMonitor, serveMonitor } from '../../../src/core/node/monitor.ts';

const root = mkdtempSync(join(tmpdir(), 'infinit-sockets-'));
test.after(() => rmSync(root, { recursive: true, force: true }));
const identity = keyPairFromSeed(Buffer.alloc(32, 1));
const denied = (error: unknown) => isError(error, 'denied');
const listen = (path: string) => unixTransport.listen({ host: path, port: 0 }, identity, () => {});
/** Only the superuser gives files away. */
const superuser = process.getuid?.() === 0 ? {} : { skip: 'needs the rights to give files away' };

test('a folder others may write in is refused, unless it is sticky', async () => {
  const folder = join(root, 'open');
  mkdirSync(folder);
  chmodSync(folder, 0o777);
  await assert.rejects(listen(join(folder, 'door.sock')), denied);
  await assert.rejects(serveMonitor(join(folder, 'monitor.sock'), {}), denied);
  chmodSync(folder, 0o1777);
  const close = await serveMonitor(join(folder, 'monitor.sock'), { ping: () => 'pong' });
  assert.equal(await askMonitor(join(folder, 'monitor.sock'), 'ping'), 'pong');
  await close();
});

test('a folder that is made, and the socket in it, are closed to others', async () => {
  const path = join(root, 'made', 'door.sock');
  const listener = await listen(path);
  assert.equal(statSync(join(root, 'made')).mode & 0o777, 0o700);
  assert.equal(statSync(path).mode & 0o777, 0o600);
  await listener.close();
});

test('a folder that another user made first is refused', superuser, async () => {
  const folder = join(root, 'taken');
  mkdirSync(folder, { mode: 0o700 });
  chownSync(folder, 65_534, 65_534);
  await assert.rejects(listen(join(folder, 'door.sock')), denied);
  await assert.rejects(serveMonitor(join(folder, 'monitor.sock'), {}), denied);
});

test('a socket of another user, or his link to one, is not talked to', superuser, async () => {
  const path = join(root, 'his', 'door.sock');
  const listener = await listen(path);
  const link = join(root, 'link.sock');
  symlinkSync(path, link);
  lchownSync(link, 65_534, 65_534);
  await assert.rejects(unixTransport.dial({ host: link, port: 0 }, identity, {}), denied);
  chownSync(path, 65_534, 65_534);
  await assert.rejects(unixTransport.dial({ host: path, port: 0 }, identity, {}), denied);
  await assert.rejects(askMonitor(path, 'status'), denied);
  await listener.close();
});
