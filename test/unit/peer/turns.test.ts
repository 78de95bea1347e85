// Calls of several users share the event loop: a flood of one does not make the others wait behind it.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { empty, struct, u32 } from '../../../src/core/base/codec.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { Method } from '../../../src/core/peer/peer.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import { Turns } from '../../../src/core/peer/turns.ts';
import { createWorld } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from './fake-admission.ts';

const work: Method<{ item: number }, Record<string, never>> = {
  name: 'test.work',
  request: struct({ item: u32 }),
  response: empty,
  right: 'member',
};

test('a call of another user begins in the turn it comes in, however many wait of one', async () => {
  const world = createWorld({ seed: 1 });
  const { runtime } = world.host('server');
  const server = createPeers({ runtime, identity: testKey(0), admission: fakeAdmission(testKey(0)) });
  const begun: string[] = [];
  server.serve(work, (_, { from }) => {
    begun.push(Buffer.from(from.userKey).equals(testKey(1).publicKey) ? 'flood' : 'other');
    return {};
  });
  const { port } = await world.settle(server.listen({ host: '::', port: 0 }));
  const connect = async (index: number) => {
    const peers = createPeers({
      runtime: world.host(`client${index}`).runtime,
      identity: testKey(index),
      admission: fakeAdmission(testKey(index)),
    });
    return world.settle(peers.connect({ endpoints: [{ host: 'server', port }] }));
  };
  const [flooding, other] = [await connect(1), await connect(2)];
  // What both sent lies there when the server comes to look: the flood first.
  world.host('server').pause();
  const flood = Promise.all(Array.from({ length: 2000 }, (_, item) => flooding.call(work, { item })));
  await world.runFor(200);
  const one = other.call(work, { item: 0 });
  await world.runFor(200);
  world.host('server').resume();
  await world.settle(Promise.all([flood, one]));
  assert.equal(begun.length, 2001);
  const before = begun.indexOf('other');
  assert.ok(before <= 64, `${before} of the flood began before the other call`);
  await world.settle(server.stop());
});

test('a turn has room for so many calls and bytes of each user, and for one call of any size', () => {
  const later: (() => void)[] = [];
  const after = (_: number, task: () => void) => {
    later.push(task);
    return () => {};
  };
  const turns = new Turns({ after, monotonic: () => 0 });
  for (let i = 0; i < limits.callsPerTurnMax; i++) assert.equal(turns.begin('a', 1), true);
  assert.equal(turns.begin('a', 1), false);
  assert.equal(turns.begin('b', 10 * limits.callBytesPerTurnMax), true);
  assert.equal(turns.begin('b', 1), false);
  const order: number[] = [];
  turns.later(() => order.push(1));
  turns.later(() => order.push(2));
  assert.equal(later.length, 1);
  later.shift()?.();
  assert.deepEqual(order, [1, 2]);
  assert.equal(turns.begin('a', 1), true);
});

test('who floods with calls that take long begins one a turn, beside whom others begin theirs; cheap ones are many again', () => {
  let now = 0;
  let next = () => {};
  const after = (_: number, task: () => void) => {
    next = task;
    return () => {};
  };
  const turns = new Turns({ after, monotonic: () => now });
  /** A turn in which the flood begins all it may, each of its calls taking so long. */
  const flood = (eachMs: number) => {
    let begun = 0;
    while (turns.begin('flood', 100)) begun++;
    now += begun * eachMs;
    return begun;
  };
  const turn = (eachMs: number) => {
    const begun = flood(eachMs);
    next();
    return begun;
  };
  const begun = Array.from({ length: 6 }, () => turn(3));
  assert.deepEqual(begun, [limits.callsPerTurnMax, 8, 4, 2, 1, 1]);
  assert.equal(flood(3), 1);
  for (let i = 0; i < limits.callsPerTurnMax; i++) assert.ok(turns.begin('other', 100));
  next();
  assert.deepEqual(
    Array.from({ length: 6 }, () => turn(0.1)),
    [1, 2, 4, 8, 16, 16],
  );
  // A turn in which nothing had to wait says that there is room.
  turn(3);
  assert.ok(turns.begin('flood', 100));
  next();
  assert.equal(turn(0), limits.callsPerTurnMax);
});
