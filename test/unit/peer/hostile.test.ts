// Peers against members and strangers that send anything: the connection ends with `corrupt` or the frame is ignored; nothing
// crashes, nothing runs twice, nothing grows.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { errorKinds, InfinitError, isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { errorCodec, frameFlags, frameKinds, framePrefix, hello, namePart } from '../../../src/core/peer/frames.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import type { Connection } from '../../../src/core/runtime/runtime.ts';
import { blob, echo, wait } from '../../conformance/peer.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from './fake-admission.ts';

interface Victim {
  world: World;
  /** A raw connection to it, as a stranger. */
  dial(): Promise<Connection>;
  /** The same after a proper greeting. */
  enter(): Promise<Connection>;
  connected(): number;
  runs: { echo: number; waiting: number; blob: number };
  release(): void;
  end(): Promise<void>;
}

async function makeVictim(seed = 1): Promise<Victim> {
  const world = createWorld({ seed });
  const { runtime } = world.host('victim');
  const peers = createPeers({ runtime, identity: testKey(1), admission: fakeAdmission(testKey(1)) });
  const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
  const runs = { echo: 0, waiting: 0, blob: 0 };
  let release = () => {};
  const released = new Promise<void>((resolve) => {
    release = resolve;
  });
  peers.serve(echo, (request) => {
    runs.echo++;
    return request;
  });
  peers.serve(wait, async () => {
    runs.waiting++;
    await released;
    return {};
  });
  peers.serve(blob, () => {
    runs.blob++;
    return { size: 1, blocks: [Buffer.alloc(1 << 20)] };
  });
  const { transport } = world.host('attacker').runtime;
  const dial = () => world.settle(transport.dial({ host: 'victim', port }, testKey(0)));
  const enter = async () => {
    const connection = await dial();
    let greeted = false;
    connection.onFrame((frame) => {
      greeted ||= frame[0] === frameKinds.hello;
    });
    connection.send([greeting()]);
    await world.run(() => greeted);
    return connection;
  };
  const end = () => world.settle(peers.stop());
  return { world, dial, enter, connected: () => peers.connected().length, runs, release, end };
}

function greeting(version = 1): Buffer {
  const presented = fakeAdmission(testKey(0)).present();
  const body = encode(hello, { versionMin: version, versionMax: version, presented });
  return Buffer.concat([framePrefix(frameKinds.hello, 0, body.length), body]);
}

function request(call: number, text = 'x', method = 3): Buffer {
  const header = encode(echo.request, { text });
  const prefix = framePrefix(frameKinds.request, call, header.length, method, frameFlags.named);
  return Buffer.concat([prefix, namePart(echo.name), header]);
}

/** How the victim ends a connection after such a frame: undefined while it does not. */
async function answerTo(victim: Victim, connection: Connection, frame: Buffer): Promise<boolean> {
  let closed = false;
  connection.onClose(() => {
    closed = true;
  });
  connection.send([frame]);
  await victim.world.runFor(20);
  return closed;
}

test('before the greeting nothing but a greeting is processed', async () => {
  const victim = await makeVictim();
  const presented = Buffer.from('{"word":"foe","flags":{},"key":""}');
  const foe = encode(hello, { versionMin: 1, versionMax: 1, presented });
  for (const frame of [
    request(1),
    framePrefix(frameKinds.ping),
    Buffer.alloc(0),
    Buffer.from('garbage that is long enough'),
    Buffer.concat([framePrefix(frameKinds.hello, 0, 400), Buffer.alloc(20)]),
    Buffer.concat([framePrefix(frameKinds.hello, 0, foe.length), foe]),
    greeting(2),
  ]) {
    const connection = await victim.dial();
    const answers: Buffer[] = [];
    connection.onFrame((answer) => answers.push(answer));
    assert.equal(await answerTo(victim, connection, frame), true);
    assert.deepEqual(
      answers.map((answer) => answer[0]),
      [frameKinds.refusal],
    );
  }
  assert.equal(victim.connected(), 0);
  assert.equal(victim.runs.echo, 0);
  await victim.end();
});

test('who says nothing is hung up on, and cannot keep others out for long', async () => {
  const victim = await makeVictim();
  const silent: Connection[] = [];
  let closed = 0;
  for (let i = 0; i < limits.greetingsMax; i++) {
    const connection = await victim.dial();
    connection.onFrame(() => {});
    connection.onClose(() => closed++);
    silent.push(connection);
  }
  await victim.world.runFor(5);
  const late = await victim.dial();
  assert.equal(await answerTo(victim, late, greeting()), true);
  await victim.world.runFor(limits.handshakeTimeoutMs + 100);
  assert.equal(closed, silent.length);
  await victim.enter();
  await victim.end();
});

test('malformed frames of a member end its connection', async () => {
  const victim = await makeVictim();
  const cases: [string, Buffer][] = [
    ['short', Buffer.alloc(11, frameKinds.ping)],
    ['unknown kind', framePrefix(99 as never)],
    ['header beyond the frame', framePrefix(frameKinds.request, 1, 5000)],
    ['unknown method number', framePrefix(frameKinds.request, 1, 0, 77)],
    [
      'truncated name',
      Buffer.concat([framePrefix(frameKinds.request, 1, 0, 7, frameFlags.named), Buffer.from([200, 65])]),
    ],
    ['answer to a call never made', framePrefix(frameKinds.reply, 5)],
    ['failure never asked for', Buffer.concat([framePrefix(frameKinds.failure, 9), Buffer.from('zz')])],
    ['broken refusal', Buffer.concat([framePrefix(frameKinds.refusal, 0, 2), Buffer.from('zz')])],
  ];
  for (const [what, frame] of cases) assert.equal(await answerTo(victim, await victim.enter(), frame), true, what);
  const twice = await victim.enter();
  twice.send([request(1)]);
  const header = encode(wait.request, {});
  const prefix = framePrefix(frameKinds.request, 2, header.length, 3, frameFlags.named);
  assert.equal(await answerTo(victim, twice, Buffer.concat([prefix, namePart(wait.name), header])), true, 'two names');
  assert.equal(victim.runs.waiting, 0);
  await victim.end();
});

test('a repeated number runs once; an unreadable request fails alone', async () => {
  const victim = await makeVictim();
  const connection = await victim.enter();
  const answers: Buffer[] = [];
  connection.onFrame((frame) => answers.push(frame));
  for (const call of [1, 1, 3, 2, 3, 2, 1]) connection.send([request(call)]);
  await victim.world.runFor(20);
  connection.send([request(3)]);
  await victim.world.runFor(20);
  assert.equal(victim.runs.echo, 3);
  assert.equal(answers.length, 3);
  const bad = Buffer.concat([framePrefix(frameKinds.request, 9, 3, 3, 0), Buffer.from('zzz')]);
  assert.equal(await answerTo(victim, connection, bad), false);
  assert.equal(answers.at(-1)?.[0], frameKinds.failure);
  await victim.end();
});

test('numbers may wrap and jump without running anything twice', async () => {
  const victim = await makeVictim();
  const run = async (numbers: number[]) => {
    const before = victim.runs.echo;
    const connection = await victim.enter();
    for (const call of numbers) connection.send([request(call)]);
    await victim.world.runFor(20);
    return victim.runs.echo - before;
  };
  assert.equal(await run([1, 1_000_000, 1, 999_999, 1_000_000, 999_999]), 3, 'too old, or seen');
  assert.equal(await run([0x7fff_0000, 0xfffe_0000, 0xffff_fff0, 5, 0xffff_fff0, 5, 0xffff_fff1, 6]), 6, 'wrapped');
  await victim.end();
});

test('a flood of calls that never end is not read for ever', async () => {
  const victim = await makeVictim();
  const connection = await victim.enter();
  const header = encode(wait.request, {});
  const name = namePart(wait.name);
  let answered = 0;
  connection.onFrame((frame) => {
    if (frame[0] === frameKinds.reply) answered++;
  });
  const count = 3 * limits.callsInFlightMax;
  for (let call = 1; call <= count; call++)
    connection.send([framePrefix(frameKinds.request, call, header.length, 0, frameFlags.named), name, header]);
  await victim.world.runFor(100);
  assert.equal(victim.runs.waiting, limits.handlersMax);
  assert.ok(connection.queuedBytes > 0, 'the rest was not read');
  victim.release();
  await victim.world.run(() => answered === count, { limitMs: 60_000 });
  await victim.end();
});

test('a member that asks much and reads nothing stops being served', async () => {
  const victim = await makeVictim();
  const connection = await victim.enter();
  connection.pause();
  const header = encode(blob.request, { blocks: [] });
  const name = namePart(blob.name);
  for (let call = 1; call <= 300; call++) {
    connection.send([framePrefix(frameKinds.request, call, header.length, 0, frameFlags.named), name, header]);
    if (call % 10 === 0) await victim.world.runFor(2);
  }
  await victim.world.runFor(100);
  assert.ok(victim.runs.blob < 40, `${victim.runs.blob} answers were made for nobody`);
  let megabytes = 0;
  connection.onFrame((frame) => {
    megabytes += frame.length >> 20;
  });
  connection.resume();
  await victim.world.run(() => megabytes === 300, { limitMs: 60_000 });
  await victim.end();
});

test('fuzz: thousands of random and mutated frames, before and after the greeting', async () => {
  let frames = 0;
  const victim = await makeVictim();
  const kinds = fc.constantFrom(...Object.values(frameKinds));
  const plausible = fc
    .record({ kind: kinds, flags: fc.nat(3), method: fc.nat(5), call: fc.nat(20), length: fc.nat(40) })
    .chain(({ kind, flags, method, call, length }) =>
      fc
        .uint8Array({ minLength: 0, maxLength: 60 })
        .map((body) => Buffer.concat([framePrefix(kind, call, length, method, flags), body])),
    );
  const mutated = fc.record({ at: fc.nat(60), value: fc.nat(255), call: fc.nat(50) }).map(({ at, value, call }) => {
    const frame = request(call);
    frame[at % frame.length] = value;
    return frame;
  });
  const random = fc.uint8Array({ minLength: 0, maxLength: 100 }).map((bytes) => Buffer.from(bytes));
  const batch = fc.array(fc.oneof(plausible, mutated, random), { minLength: 20, maxLength: 40, size: 'max' });
  await fc.assert(
    fc.asyncProperty(batch, fc.boolean(), async (list, member) => {
      const connection = member ? await victim.enter() : await victim.dial();
      connection.onFrame(() => {});
      for (const frame of list) connection.send([frame]);
      frames += list.length;
      await victim.world.runFor(5);
      connection.close();
      await victim.world.runFor(5);
      assert.ok(victim.connected() <= 1);
    }),
    { numRuns: 300, seed: 42 },
  );
  const honest = await victim.enter();
  const runs = victim.runs.echo;
  honest.send([request(1)]);
  await victim.world.runFor(10);
  assert.equal(victim.runs.echo, runs + 1);
  assert.ok(frames > 4000);
  console.log(`# ${frames} hostile frames`);
  await victim.end();
});

test('errors: whatever bytes come, an error comes out or `corrupt` is thrown', () => {
  const texts = fc.string({ unit: 'binary', maxLength: 50 });
  fc.assert(
    fc.property(
      fc.constantFrom(...errorKinds),
      texts,
      texts,
      fc.nat(200),
      fc.nat(255),
      (kind, message, hint, at, value) => {
        const error = new InfinitError(kind, wellFormed(message), { hint: wellFormed(hint), data: { at } });
        const bytes = encode(errorCodec, error);
        const back = decode(errorCodec, bytes);
        assert.deepEqual([back.kind, back.message, back.hint, back.data], [kind, error.message, error.hint, { at }]);
        bytes[at % bytes.length] = value;
        try {
          assert.ok(decode(errorCodec, bytes) instanceof InfinitError);
        } catch (thrown) {
          assert.ok(isError(thrown, 'corrupt'));
        }
      },
    ),
    { seed: 7 },
  );
});

/** Without lone surrogates, which UTF-8 cannot say. */
function wellFormed(text: string): string {
  return Buffer.from(text).toString();
}
