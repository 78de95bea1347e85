// What every runtime must do, the simulated and the real one alike: time, chance, connections, files, databases, compression.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import type { Connection, Listener, Runtime } from '../../src/core/runtime/runtime.ts';
import { testKey } from '../unit/peer/fake-admission.ts';
import { carrierPair } from './carriers.ts';

export interface RuntimeHarness {
  runtime: Runtime;
  /** An empty directory of that runtime. */
  directory: string;
  hostName: string;
  settle<T>(promise: Promise<T>): Promise<T>;
  until(condition: () => boolean): Promise<void>;
}

interface Ends {
  near: Connection;
  far: Connection;
  listener: Listener;
}

async function connect({ runtime, settle, until, hostName }: RuntimeHarness): Promise<Ends> {
  let far: Connection | undefined;
  const listener = await settle(
    runtime.transport.listen({ host: '127.0.0.1', port: 0 }, testKey(1), (connection) => {
      far = connection;
    }),
  );
  const endpoint = { host: hostName, port: listener.endpoint.port };
  const near = await settle(runtime.transport.dial(endpoint, testKey(0), { expectedKey: testKey(1).publicKey }));
  await until(() => far !== undefined);
  assert.ok(far);
  return { near, far, listener };
}

/** The same by way of a third. */
async function carry({ runtime, settle }: RuntimeHarness): Promise<Ends> {
  const carriers = carrierPair(runtime.clock);
  const { transport } = runtime;
  const [near, far] = await settle(
    Promise.all([
      transport.secure(carriers.near, 'dialler', testKey(0)),
      transport.secure(carriers.far, 'listener', testKey(1)),
    ]),
  );
  return { near, far, listener: { endpoint: carriers.near.remote, close: async () => {} } };
}

export function runtimeSuite(name: string, makeHarness: () => Promise<RuntimeHarness>): void {
  const check = (what: string, run: (harness: RuntimeHarness) => Promise<void>) =>
    test(`${name}: ${what}`, async () => run(await makeHarness()));
  timeSuite(check);
  connectionSuite(check, connect);
  connectionSuite((what, run) => check(`carried: ${what}`, run), carry);
  dialSuite(check);
  fileSuite(check);
  databaseSuite(check);
  compressionSuite(check);
}

type Check = (what: string, run: (harness: RuntimeHarness) => Promise<void>) => void;

function timeSuite(check: Check): void {
  check('timers never fire early, in order, and can be taken off', async ({ runtime: { clock }, settle }) => {
    const start = clock.monotonic();
    const fired: number[] = [];
    clock.after(30, () => fired.push(30));
    clock.after(10, () => fired.push(10));
    clock.after(20, () => fired.push(20))();
    await settle(clock.sleep(40));
    assert.deepEqual(fired, [10, 30]);
    assert.ok(clock.monotonic() - start >= 40);
    assert.ok(clock.now() > Date.UTC(2020, 0, 1));
    const abort = new AbortController();
    const sleep = assert.rejects(clock.sleep(60_000, { signal: abort.signal }), (error) => isError(error, 'cancelled'));
    abort.abort();
    await settle(sleep);
    await assert.rejects(settle(clock.sleep(1, { signal: abort.signal })), (error) => isError(error, 'cancelled'));
  });

  check('chance stays in its bounds and is spread', async ({ runtime: { random } }) => {
    const seen = new Set<number>();
    for (let i = 0; i < 1000; i++) {
      const value = random.below(7);
      assert.ok(Number.isInteger(value) && value >= 0 && value < 7);
      seen.add(value);
      const fraction = random.fraction();
      assert.ok(fraction >= 0 && fraction < 1);
    }
    assert.equal(seen.size, 7);
    assert.equal(random.below(1), 0);
    assert.equal(random.bytes(33).length, 33);
    assert.notDeepEqual(random.bytes(16), random.bytes(16));
  });
}

function connectionSuite(check: Check, connect: (harness: RuntimeHarness) => Promise<Ends>): void {
  check('frames arrive whole and in order, both ways, with proved keys', async (harness) => {
    const { near, far, listener } = await connect(harness);
    assert.deepEqual(Buffer.from(near.remoteKey), testKey(1).publicKey);
    assert.deepEqual(Buffer.from(far.remoteKey), testKey(0).publicKey);
    const got: Buffer[] = [];
    far.onFrame((frame) => {
      got.push(frame);
      far.send([frame.subarray(0, 1)]);
    });
    let back = 0;
    near.onFrame(() => back++);
    const sent = [0, 1, 100, 16_384, 100_000, 1 << 20, 3].map((size, i) => Buffer.alloc(size, i + 1));
    for (const frame of sent) near.send([frame.subarray(0, frame.length >> 1), frame.subarray(frame.length >> 1)]);
    await harness.until(() => back === sent.length);
    assert.deepEqual(got, sent);
    near.close();
    await harness.settle(listener.close());
  });

  check('close lets what was sent arrive first; both ends are told once', async (harness) => {
    const { near, far, listener } = await connect(harness);
    const told: string[] = [];
    let bytes = 0;
    far.onFrame((frame) => {
      bytes += frame.length;
    });
    near.onClose((error) => told.push(`near ${error}`));
    far.onClose((error) => told.push(`far ${error}`));
    near.send([]);
    for (let i = 0; i < 8; i++) near.send([Buffer.alloc(1 << 20)]);
    near.close();
    near.send([Buffer.alloc(1)]);
    await harness.until(() => told.length === 2);
    far.close();
    await harness.settle(harness.runtime.clock.sleep(20));
    assert.equal(bytes, 8 << 20);
    assert.deepEqual(told.sort(), ['far undefined', 'near undefined']);
    await assert.rejects(harness.settle(near.drained()), (error) => isError(error, 'unavailable'));
    await harness.settle(listener.close());
  });

  check('a reader that pauses holds the sender back', async (harness) => {
    const { near, far, listener } = await connect(harness);
    let bytes = 0;
    far.pause();
    far.onFrame((frame) => {
      bytes += frame.length;
    });
    near.send([]);
    for (let i = 0; i < 40; i++) near.send([Buffer.alloc(1 << 20)]);
    await harness.settle(harness.runtime.clock.sleep(100));
    assert.equal(bytes, 0);
    assert.ok(near.queuedBytes > 8 << 20, `${near.queuedBytes} queued`);
    let drained = false;
    const wait = near.drained().then(() => {
      drained = true;
    });
    await harness.settle(harness.runtime.clock.sleep(20));
    assert.equal(drained, false);
    far.resume();
    await harness.settle(wait);
    await harness.until(() => bytes === 40 << 20);
    await harness.settle(near.drained());
    near.close();
    await harness.settle(listener.close());
  });

  check('a stranger may not begin with a large frame', async (harness) => {
    const { near, far, listener } = await connect(harness);
    let frames = 0;
    let told: Error | undefined;
    far.onFrame(() => frames++);
    far.onClose((error) => {
      told = error;
    });
    near.send([Buffer.alloc(limits.firstFrameBytesMax + 1)]);
    await harness.until(() => told !== undefined);
    assert.ok(isError(told, 'corrupt'));
    assert.equal(frames, 0);
    near.close();
    await harness.settle(listener.close());
  });
}

function dialSuite(check: Check): void {
  check('dials and listeners fail in words', async ({ runtime: { transport }, settle, hostName }) => {
    const listener = await settle(transport.listen({ host: '127.0.0.1', port: 0 }, testKey(1), () => {}));
    const { port } = listener.endpoint;
    const at = { host: hostName, port };
    await assert.rejects(settle(transport.listen({ host: '127.0.0.1', port }, testKey(2), () => {})), (error) =>
      isError(error, 'exists'),
    );
    await assert.rejects(settle(transport.dial(at, testKey(0), { expectedKey: testKey(2).publicKey })), (error) =>
      isError(error, 'denied'),
    );
    const abort = new AbortController();
    const dial = assert.rejects(transport.dial(at, testKey(0), { signal: abort.signal }), (error) =>
      isError(error, 'cancelled'),
    );
    abort.abort();
    await settle(dial);
    await settle(listener.close());
    await assert.rejects(settle(transport.dial(at, testKey(0))), (error) => isError(error, 'unavailable'));
    assert.ok(transport.localAddresses().length > 0);
    assert.ok((await settle(transport.resolve('localhost'))).length > 0);
    assert.deepEqual(await settle(transport.resolve('no-such-host.invalid')), []);
  });

  check('a carrier that carries nothing, or breaks off, is no connection', async ({ runtime, settle }) => {
    const { transport, clock } = runtime;
    const silent = carrierPair(clock).near;
    await assert.rejects(settle(transport.secure(silent, 'dialler', testKey(0), { timeoutMs: 50 })), (error) =>
      isError(error, 'unavailable'),
    );
    const broken = carrierPair(clock);
    const wait = assert.rejects(transport.secure(broken.far, 'listener', testKey(0)), (e) => isError(e, 'unavailable'));
    broken.near.close(new Error('gone'));
    await settle(wait);
    const abort = new AbortController();
    const given = assert.rejects(
      transport.secure(carrierPair(clock).near, 'dialler', testKey(0), { signal: abort.signal }),
      (error) => isError(error, 'cancelled'),
    );
    abort.abort();
    await settle(given);
  });
}

function fileSuite(check: Check): void {
  check('files are replaced, listed, opened, cut and removed', async ({ runtime: { files }, directory, settle }) => {
    const at = (name: string) => `${directory}/${name}`;
    await settle(files.makeDirectory(at('x/y')));
    await settle(files.makeDirectory(at('x/y')));
    await settle(files.replace(at('x/b'), Buffer.from('one')));
    await settle(files.replace(at('x/b'), Buffer.from('three')));
    await settle(files.replace(at('x/a'), Buffer.alloc(0)));
    assert.equal((await settle(files.read(at('x/b')))).toString(), 'three');
    assert.deepEqual(await settle(files.list(at('x'))), ['a', 'b', 'y']);
    assert.deepEqual(await settle(files.list(at('nothing'))), []);
    assert.equal(await settle(files.stat(at('nothing'))), undefined);
    assert.equal((await settle(files.stat(at('x/y'))))?.kind, 'directory');
    assert.deepEqual(await settle(files.stat(at('x/b'))), { kind: 'file', bytes: 5 });
    await assert.rejects(settle(files.read(at('x/b'), { limit: 4 })), (error) => isError(error));
    await assert.rejects(settle(files.read(at('nothing'))), (error) => isError(error, 'not-found'));
    await assert.rejects(settle(files.open(at('nothing'), { mode: 'write' })), (error) => isError(error, 'not-found'));

    const file = await settle(files.open(at('x/c'), { mode: 'create' }));
    await settle(file.write(Buffer.from('abcdef'), 5000));
    await settle(file.sync());
    await settle(files.syncDirectory(at('x')));
    const into = Buffer.alloc(10, 1);
    assert.equal(await settle(file.read(into, 4998)), 8);
    assert.equal(into.toString('latin1'), '\0\0abcdef\x01\x01');
    await settle(file.truncate(5002));
    assert.equal(await settle(file.bytes()), 5002);
    await settle(file.truncate(5004));
    assert.equal(file.readSync(into, 5000), 4);
    assert.equal(into.toString('latin1', 0, 4), 'ab\0\0');
    await settle(file.close());
    await settle(files.remove(at('x')));
    await settle(files.remove(at('x')));
    assert.deepEqual(await settle(files.list(directory)), []);
    const { freeBytes, totalBytes } = await settle(files.space(directory));
    assert.ok(freeBytes > 0 && freeBytes <= totalBytes);
  });

  check('a lock has one holder', async ({ runtime: { files }, directory, settle }) => {
    const path = `${directory}/lock`;
    const lock = await settle(files.lock(path));
    await assert.rejects(settle(files.lock(path)), (error) => isError(error, 'exists'));
    await settle(lock.release());
    await settle((await settle(files.lock(path))).release());
  });
}

function databaseSuite(check: Check): void {
  check('databases keep rows; transactions are all or nothing, one at a time', async (harness) => {
    const { runtime, directory, settle } = harness;
    const path = `${directory}/state.db`;
    const database = await settle(runtime.databases.open(path));
    await settle(database.exec('CREATE TABLE t (k TEXT PRIMARY KEY, v BLOB, n INTEGER)'));
    const insert = 'INSERT INTO t VALUES (?, ?, ?)';
    assert.deepEqual(await settle(database.run(insert, ['a', Buffer.from('x'), 1])), { changes: 1 });
    await assert.rejects(settle(database.run(insert, ['a', null, 2])), (error) => isError(error, 'conflict'));
    await assert.rejects(settle(database.exec('nonsense')), (error) => isError(error, 'internal'));
    const failing = database.transaction(async (inside) => {
      await inside.run(insert, ['b', null, 2]);
      throw new Error('no');
    });
    await assert.rejects(settle(failing), /no/);
    const increment = () =>
      database.transaction(async (inside) => {
        const row = await inside.get('SELECT n FROM t WHERE k = ?', ['a']);
        await runtime.clock.sleep(1);
        await inside.run('UPDATE t SET n = ?', [Number(row?.n) + 1]);
      });
    await settle(Promise.all([increment(), increment(), increment(), database.all('SELECT * FROM t')]));
    await settle(database.close());
    const again = await settle(runtime.databases.open(path));
    assert.deepEqual(await settle(again.all('SELECT * FROM t')), [{ k: 'a', v: Buffer.from('x'), n: 4 }]);
    assert.equal(await settle(again.get('SELECT * FROM t WHERE k = ?', ['z'])), undefined);
    await settle(again.close());
  });
}

function compressionSuite(check: Check): void {
  check('compression keeps what gains, and bounds what comes out', async ({ runtime, settle }) => {
    const { offload, random } = runtime;
    const codec = offload.preferredCodec;
    const data = Buffer.from('words and words again '.repeat(5000));
    const packed = await settle(offload.compress(data, codec));
    assert.ok(packed && packed.length < data.length / 10);
    assert.deepEqual(await settle(offload.decompress(packed, codec, data.length)), data);
    assert.deepEqual(offload.decompressSync(packed, codec, data.length), data);
    assert.equal(await settle(offload.compress(random.bytes(100_000), codec)), undefined);
    assert.equal(await settle(offload.compress(random.bytes(100), codec)), undefined);
    assert.equal(await settle(offload.compress(data, 'none')), undefined);
    for (const [bytes, limit] of [
      [packed, data.length - 1],
      [packed, 0],
      [packed.subarray(0, packed.length - 3), data.length],
      [random.bytes(500), 1000],
    ] as const) {
      await assert.rejects(settle(offload.decompress(bytes, codec, limit)), (error) => isError(error, 'corrupt'));
      assert.throws(
        () => offload.decompressSync(bytes, codec, limit),
        (error) => isError(error, 'corrupt'),
      );
    }
    await assert.rejects(settle(offload.decompress(data, 'none', 3)), (error) => isError(error, 'corrupt'));
  });
}
