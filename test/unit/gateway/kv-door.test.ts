import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { existsSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { equalBytes, toHex, utf8 } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { connectDoor, openDoor } from '../../../src/core/gateway/kv/door.ts';
import { systemRuntime } from '../../../src/core/runtime/system/system.ts';
import type { KeyChange, KeyStore } from '../../../src/core/volume/keys.ts';

const folder = mkdtempSync(join(tmpdir(), 'infinit-door-'));
after(() => rmSync(folder, { recursive: true, force: true }));
const runtime = systemRuntime();

/** A plain map with the meaning of the keys view. */
function memoryStore(): KeyStore & { watching: number } {
  const entries = new Map<string, { value: Uint8Array; version: number }>();
  const listeners = new Set<(change: KeyChange) => void>();
  let version = 0;
  const change = (type: 'put' | 'delete', key: Uint8Array) => {
    version++;
    for (const listener of listeners) listener({ type, key, version });
    return version;
  };
  const store: KeyStore & { watching: number } = {
    watching: 0,
    get: async (key) => {
      const found = entries.get(toHex(key));
      if (found === undefined) throw new InfinitError('not-found', 'no such key');
      return { key, ...found };
    },
    put: async (key, value, options = {}) => {
      if (options.ifAbsent && entries.has(toHex(key))) throw new InfinitError('exists', 'key exists');
      const now = change('put', key);
      entries.set(toHex(key), { value: Buffer.from(value), version: now });
      return now;
    },
    delete: async (key) => {
      change('delete', key);
      return entries.delete(toHex(key));
    },
    list: async (options = {}) => {
      const keys = [...entries.keys()].sort().filter((key) => key.startsWith(toHex(options.prefix ?? Buffer.alloc(0))));
      const limit = options.limit ?? 1000;
      const shown = keys.slice(0, limit).map((key) => {
        const { value, version: at } = entries.get(key) as { value: Uint8Array; version: number };
        return { key: Buffer.from(key, 'hex'), version: at, size: value.length };
      });
      return { entries: shown, truncated: keys.length > limit };
    },
    async *watch(_prefix, options = {}) {
      const queue: KeyChange[] = [];
      let wake = () => {};
      const listener = (next: KeyChange) => {
        queue.push(next);
        wake();
      };
      listeners.add(listener);
      store.watching++;
      options.signal?.addEventListener('abort', () => wake());
      try {
        while (!options.signal?.aborted) {
          while (queue.length > 0) yield queue.shift() as KeyChange;
          await new Promise<void>((resolve) => {
            wake = resolve;
          });
        }
      } finally {
        listeners.delete(listener);
        store.watching--;
      }
    },
  };
  return store;
}

async function door(name: string) {
  const path = join(folder, name, 'door.sock');
  const store = memoryStore();
  const close = await openDoor(runtime, path, (asked) => {
    if (asked !== '' && asked !== 'alice/notes') throw new InfinitError('not-found', `no store ${asked}`);
    return store;
  });
  return { path, store, close };
}

test('values of all sizes go in and out, with conditions and typed errors', async () => {
  const { path, close } = await door('sizes');
  const { keys, close: leave } = await connectDoor(runtime, path, 'alice/notes');
  for (const size of [0, 1, 1024 * 1024, 1024 * 1024 + 1, 5_000_000]) {
    const value = randomBytes(size);
    await keys.put(utf8(`k${size}`), value);
    assert.ok(equalBytes((await keys.get(utf8(`k${size}`))).value, value));
  }
  await assert.rejects(keys.put(utf8('k1'), utf8('x'), { ifAbsent: true }), (error) => isError(error, 'exists'));
  await assert.rejects(keys.get(utf8('absent')), (error) => isError(error, 'not-found'));
  await assert.rejects(keys.put(utf8('big'), Buffer.alloc(17 * 1024 * 1024)), (error) => isError(error, 'full'));
  assert.equal(await keys.delete(utf8('k1')), true);
  assert.equal(await keys.delete(utf8('k1')), false);
  const { entries, truncated } = await keys.list({ prefix: utf8('k'), limit: 2 });
  assert.equal(entries.length, 2);
  assert.equal(truncated, true);
  await leave();
  await close();
});

test('another store is not found, and the socket is private', async () => {
  const { path, close } = await door('private');
  const { keys, close: leave } = await connectDoor(runtime, path, 'bob/other');
  await assert.rejects(keys.get(utf8('k')), (error) => isError(error, 'not-found'));
  assert.equal(statSync(path).mode & 0o777, 0o600);
  assert.equal(statSync(join(path, '..')).mode & 0o777, 0o700);
  await leave();
  await close();
  await assert.rejects(connectDoor(runtime, path, ''), (error) => isError(error, 'unavailable'));
});

test('watches deliver changes and end with their connection', async () => {
  const { path, store, close } = await door('watch');
  const watcher = await connectDoor(runtime, path, '');
  const writer = await connectDoor(runtime, path, '');
  const seen: string[] = [];
  const stop = new AbortController();
  const watching = (async () => {
    for await (const change of watcher.keys.watch(Buffer.alloc(0), { signal: stop.signal })) {
      seen.push(`${change.type} ${Buffer.from(change.key)}`);
      if (seen.length === 3) break;
    }
  })();
  while (store.watching === 0) await new Promise((resolve) => setTimeout(resolve, 5));
  await writer.keys.put(utf8('a'), utf8('1'));
  await writer.keys.put(utf8('b'), utf8('2'));
  await writer.keys.delete(utf8('a'));
  await watching;
  assert.deepEqual(seen, ['put a', 'put b', 'delete a']);
  await watcher.close();
  await writer.close();
  for (let tries = 0; store.watching > 0 && tries < 200; tries++)
    await new Promise((resolve) => setTimeout(resolve, 5));
  assert.equal(store.watching, 0);
  await close();
});

test('a socket left by a dead process is replaced, a living door is not', async () => {
  const { path, close } = await door('stale');
  await assert.rejects(openDoor(runtime, path, memoryStore), (error) => isError(error, 'exists'));
  await close();
  writeFileSync(path, '');
  const again = await openDoor(runtime, path, memoryStore);
  assert.ok(existsSync(path));
  await again();
});

test('garbage on the socket closes that connection only', async () => {
  const { path, close } = await door('garbage');
  const socket = createConnection(path);
  socket.on('error', () => {});
  socket.resume();
  socket.write(randomBytes(4096));
  await new Promise((resolve) => socket.once('close', resolve));
  const { keys, close: leave } = await connectDoor(runtime, path, '');
  assert.equal(await keys.put(utf8('still'), utf8('here')), 1);
  await leave();
  await close();
});
