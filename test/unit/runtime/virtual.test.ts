// The simulator's runtime keeps its own promises: one seed is one course of events; what dies with a process stays dead; what
// was synced stays.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Connection, Runtime } from '../../../src/core/runtime/runtime.ts';
import { createWorld, type World, type WorldOptions } from '../../simulator/runtime/world.ts';

const identities = [1, 2, 3, 4, 5].map((n) => keyPairFromSeed(Buffer.alloc(32, n)));
const identityOf = (index: number) => identities[index] as (typeof identities)[number];

/** Five hosts that pass tokens at random, compress, write files and rows; returns the trace. */
async function gossip(seed: number): Promise<string> {
  const world = createWorld({ seed, link: { loss: 0.05, duplication: 0.05, reordering: 0.1 } });
  for (let i = 0; i < 5; i++) {
    const { runtime } = world.host(`h${i}`);
    await world.settle(
      runtime.transport.listen({ host: '::', port: 1 }, identityOf(i), (connection) =>
        connection.onFrame((frame) => runtime.log.write('info', 'gossip', frame.toString('hex'))),
      ),
    );
  }
  const talk = async (runtime: Runtime, index: number) => {
    const database = await runtime.databases.open('/db');
    await database.exec('CREATE TABLE t (v INTEGER)');
    for (let round = 0; round < 8; round++) {
      await runtime.clock.sleep(runtime.random.below(20));
      await Promise.all([
        runtime.files.replace(`/f${round}`, runtime.random.bytes(100)),
        database.run('INSERT INTO t VALUES (?)', [round]),
        runtime.offload.compress(Buffer.alloc(5000, round), 'brotli'),
      ]);
      const to = await runtime.transport.dial({ host: `h${runtime.random.below(5)}`, port: 1 }, identityOf(index));
      to.onFrame(() => {});
      to.send([runtime.random.bytes(8)]);
      if (round % 3 === 0) to.close();
    }
  };
  const talks = [0, 1, 2, 3, 4].map((i) => talk(world.host(`h${i}`).runtime, i));
  await world.settle(Promise.all(talks));
  await world.runFor(100);
  for (const host of world.allHosts()) await host.databases.close();
  assert.ok(world.eventCount > 300);
  return world.trace();
}

test('one seed gives one trace, ten seeds give ten', async () => {
  const same = new Set<string>();
  for (let run = 0; run < 10; run++) same.add(await gossip(7));
  assert.equal(same.size, 1);
  const different = new Set<string>();
  for (let seed = 0; seed < 10; seed++) different.add(await gossip(seed));
  assert.equal(different.size, 10);
});

async function pair(options: WorldOptions): Promise<{ world: World; near: Connection; far: Connection }> {
  const world = createWorld(options);
  let far: Connection | undefined;
  const { transport } = world.host('b').runtime;
  await world.settle(
    transport.listen({ host: '::', port: 9 }, identityOf(1), (connection) => {
      far = connection;
    }),
  );
  const near = await world.settle(world.host('a').runtime.transport.dial({ host: 'b', port: 9 }, identityOf(0)));
  await world.run(() => far !== undefined);
  assert.ok(far);
  return { world, near, far };
}

test('a crashed host does nothing any more, and comes back with what was synced', async () => {
  const world = createWorld({ seed: 1 });
  const host = world.host('a');
  const before = host.runtime;
  const file = await world.settle(before.files.open('/log', { mode: 'create' }));
  await world.settle(file.write(Buffer.alloc(20_000, 1), 0));
  await world.settle(file.sync());
  await world.settle(before.files.syncDirectory('/'));
  await world.settle(file.write(Buffer.alloc(20_000, 2), 0));
  let alive = 0;
  before.clock.after(10, () => alive++);
  void before.clock.sleep(5).then(() => alive++);
  void file.sync().then(() => alive++);
  host.crash();
  await world.runFor(1000);
  void before.clock.sleep(1).then(() => alive++);
  await world.runFor(1000);
  assert.equal(alive, 0);
  const after = host.restart();
  const content = await world.settle(after.files.read('/log'));
  assert.equal(content.length, 20_000);
  for (const byte of content) assert.ok(byte === 1 || byte === 2);
});

test('over many seeds un-synced bytes and names are sometimes kept, lost and torn, synced ones never lost', async () => {
  const seen = new Set<string>();
  for (let seed = 0; seed < 60; seed++) {
    const world = createWorld({ seed });
    const host = world.host('a');
    const file = await world.settle(host.runtime.files.open('/f', { mode: 'create' }));
    await world.settle(file.write(Buffer.alloc(4096, 9), 0));
    const fresh = await world.settle(host.runtime.files.open('/new', { mode: 'create', durableWrites: true }));
    await world.settle(fresh.write(Buffer.alloc(10, 9), 0));
    await world.settle(host.runtime.files.replace('/sure', Buffer.from('sure')));
    const after = host.restart();
    assert.equal((await world.settle(after.files.read('/sure'))).toString(), 'sure');
    seen.add((await world.settle(after.files.stat('/new'))) ? 'name kept' : 'name lost');
    const found = await world.settle(after.files.stat('/f'));
    if (!found) continue;
    const nines = (await world.settle(after.files.read('/f'))).filter((byte) => byte === 9).length;
    seen.add(nines === 4096 ? 'kept' : nines === 0 ? 'lost' : 'torn');
  }
  assert.deepEqual([...seen].sort(), ['kept', 'lost', 'name kept', 'name lost', 'torn']);
});

test('kill -9 loses nothing written, and tells the peers', async () => {
  const { world, near } = await pair({ seed: 3 });
  const host = world.host('b');
  const file = await world.settle(host.runtime.files.open('/f', { mode: 'create' }));
  await world.settle(file.write(Buffer.from('hello'), 0));
  let closed: Error | undefined;
  near.onClose((error) => {
    closed = error;
  });
  host.crash({ power: false });
  await world.runFor(100);
  assert.ok(isError(closed, 'unavailable'));
  assert.equal((await world.settle(host.restart().files.read('/f'))).toString(), 'hello');
});

test('a power failure is silent until the machine is back', async () => {
  const { world, near } = await pair({ seed: 3 });
  let closed = false;
  near.onClose(() => {
    closed = true;
  });
  world.host('b').crash();
  near.send([Buffer.from('anybody?')]);
  await world.runFor(60_000);
  assert.equal(closed, false);
  world.host('b').restart();
  near.send([Buffer.from('anybody?')]);
  await world.runFor(100);
  assert.equal(closed, true);
});

test('databases keep what was committed and nothing else', async () => {
  const world = createWorld({ seed: 4 });
  const host = world.host('a');
  const database = await world.settle(host.runtime.databases.open('/db'));
  await world.settle(database.exec('CREATE TABLE t (v INTEGER)'));
  await world.settle(database.transaction((inside) => inside.run('INSERT INTO t VALUES (1)')));
  let inserted = false;
  void database.transaction(async (inside) => {
    await inside.run('INSERT INTO t VALUES (2)');
    inserted = true;
    await host.runtime.clock.sleep(1000);
  });
  await world.run(() => inserted);
  const after = host.restart();
  const again = await world.settle(after.databases.open('/db'));
  assert.deepEqual(await world.settle(again.all('SELECT v FROM t')), [{ v: 1 }]);
  await host.databases.close();
});

test('frames keep their order, cut links swallow them, mended links carry again', async () => {
  const { world, near, far } = await pair({ seed: 5 });
  const got: string[] = [];
  far.onFrame((frame) => got.push(frame.toString()));
  for (let i = 0; i < 20; i++) near.send([Buffer.from(`${i}`)]);
  await world.runFor(50);
  assert.deepEqual(
    got,
    Array.from({ length: 20 }, (_, i) => `${i}`),
  );
  const mend = world.network.partition(['a'], ['b'], { oneWay: true });
  const back: string[] = [];
  near.onFrame((frame) => back.push(frame.toString()));
  near.send([Buffer.from('lost')]);
  far.send([Buffer.from('other way')]);
  await world.runFor(50);
  assert.deepEqual(back, ['other way']);
  mend();
  near.send([Buffer.from('after')]);
  await world.runFor(50);
  assert.deepEqual(got.slice(20), ['after']);
});

test('what reaches a paused host waits there in order, also behind what comes right after', async () => {
  for (let seed = 0; seed < 10; seed++) {
    const { world, near, far } = await pair({ seed, link: { latencyMs: { min: 0.01, max: 0.1 } } });
    const got: number[] = [];
    far.onFrame((frame) => got.push(frame.readUInt8()));
    world.host('b').pause();
    for (let i = 0; i < 10; i++) near.send([Buffer.from([i])]);
    await world.runFor(50);
    assert.equal(got.length, 0);
    for (let i = 10; i < 20; i++) near.send([Buffer.from([i])]);
    world.host('b').resume();
    await world.runFor(50);
    assert.deepEqual(
      got,
      Array.from({ length: 20 }, (_, i) => i),
    );
  }
});

test('loss, repetition and reordering happen when asked for', async () => {
  const { world, near, far } = await pair({ seed: 6, link: { loss: 0.2, duplication: 0.2, reordering: 0.2 } });
  const got: number[] = [];
  far.onFrame((frame) => got.push(frame.readUInt32BE()));
  for (let i = 0; i < 300; i++) {
    const frame = Buffer.alloc(4);
    frame.writeUInt32BE(i);
    near.send([frame]);
    await world.runFor(0.3);
  }
  await world.runFor(100);
  const distinct = new Set(got);
  assert.ok(distinct.size > 180 && distinct.size < 290, `${distinct.size} arrived`);
  assert.ok(got.length > distinct.size, 'some were repeated');
  assert.ok(
    got.some((value, i) => i > 0 && value < (got[i - 1] as number)),
    'some were overtaken',
  );
});

test('dials: nobody, another key, a cut link', async () => {
  const world = createWorld({ seed: 8 });
  const { transport } = world.host('a').runtime;
  const dial = (host: string, port: number, expectedKey?: Buffer) =>
    world.settle(transport.dial({ host, port }, identityOf(0), { expectedKey, timeoutMs: 500 }));
  world.host('b');
  await assert.rejects(dial('b', 9), (error) => isError(error, 'unavailable'));
  await assert.rejects(dial('nowhere', 9), (error) => isError(error, 'unavailable'));
  await world.settle(world.host('b').runtime.transport.listen({ host: '::', port: 9 }, identityOf(1), () => {}));
  await assert.rejects(dial('b', 9, identityOf(2).publicKey), (error) => isError(error, 'denied'));
  const open = await dial('b', 9, identityOf(1).publicKey);
  assert.deepEqual(Buffer.from(open.remoteKey), identityOf(1).publicKey);
  world.network.partition(['a'], ['b']);
  const began = world.nowMs;
  await assert.rejects(dial('b', 9), (error) => isError(error, 'unavailable'));
  assert.ok(world.nowMs - began >= 500);
});

test('clocks may run fast and slow, and paused hosts catch up', async () => {
  const world = createWorld({ seed: 9 });
  const host = world.host('a', { clockRate: 1.1 });
  const { clock } = host.runtime;
  const start = clock.monotonic();
  await world.settle(clock.sleep(1100));
  assert.ok(clock.monotonic() - start >= 1100);
  assert.ok(Math.abs(world.nowMs - 1000) < 2, `${world.nowMs}`);
  let fired = false;
  clock.after(1000, () => {
    fired = true;
  });
  host.setClockRate(0.5);
  await world.runFor(1990);
  assert.equal(fired, false);
  await world.runFor(20);
  assert.equal(fired, true);
  clock.after(10, () => {
    fired = false;
  });
  host.pause();
  await world.runFor(5000);
  assert.equal(fired, true);
  host.resume();
  await world.runFor(1);
  assert.equal(fired, false);
});

test('a full disk says so, and a failing one too', async () => {
  const world = createWorld({ seed: 10 });
  const host = world.host('a', { diskBytes: 100_000 });
  const file = await world.settle(host.runtime.files.open('/f', { mode: 'create' }));
  await assert.rejects(world.settle(file.write(Buffer.alloc(200_000), 0)), (error) => isError(error, 'full'));
  assert.equal((await world.settle(host.runtime.files.space('/'))).freeBytes, 100_000);
  host.disk.failing = true;
  await assert.rejects(world.settle(file.write(Buffer.alloc(1), 0)), (error) => isError(error, 'unavailable'));
});
