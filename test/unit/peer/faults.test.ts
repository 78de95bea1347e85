// Peers over a network that fails: silence, loss, repetition, crashes, slow links.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { Peers } from '../../../src/core/peer/peer.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import type { Endpoint } from '../../../src/core/runtime/runtime.ts';
import { blob, echo, wait } from '../../conformance/peer.ts';
import type { LinkOptions } from '../../simulator/runtime/network.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from './fake-admission.ts';

const port = 7;

async function startNode(world: World, index: number): Promise<Peers> {
  const { runtime } = world.host(`h${index}`);
  const peers = createPeers({ runtime, identity: testKey(index), admission: fakeAdmission(testKey(index)) });
  await world.settle(peers.listen({ host: '::', port }));
  return peers;
}

const at = (index: number): Endpoint => ({ host: `h${index}`, port });

async function makePair(seed: number, link: Partial<LinkOptions> = {}) {
  const world = createWorld({ seed, link });
  const a = await startNode(world, 0);
  const b = await startNode(world, 1);
  const connect = (from: Peers, to: Peers, index: number) =>
    world.settle(from.connect({ id: to.self.id, endpoints: [at(index)] }));
  return { world, a, b, connect };
}

for (const oneWay of [false, true])
  test(`a link cut ${oneWay ? 'one way' : 'both ways'} is noticed by both ends in time, and mended by connecting again`, async () => {
    const { world, a, b, connect } = await makePair(1);
    b.serve(wait, (_, { signal }) => new Promise((resolve) => signal.addEventListener('abort', () => resolve({}))));
    b.serve(echo, (request) => request);
    const peer = await connect(a, b, 1);
    await world.settle(peer.call(echo, { text: 'before' }));
    const mend = world.network.partition(['h0'], ['h1'], { oneWay });
    const began = world.nowMs;
    await assert.rejects(world.settle(peer.call(wait, {}, { timeoutMs: 60_000 })), (e) => isError(e, 'unavailable'));
    const tookMs = world.nowMs - began;
    assert.ok(tookMs <= limits.heartbeatTimeoutMs + 2 * limits.heartbeatPeriodMs + 10, `${tookMs} ms`);
    await world.run(() => a.connected().length + b.connected().length === 0, { limitMs: 20_000 });
    await assert.rejects(connect(a, b, 1), (error) => isError(error, 'unavailable'));
    mend();
    await world.runFor(limits.dialRetryMs + 1);
    const again = await connect(a, b, 1);
    assert.deepEqual(await world.settle(again.call(echo, { text: 'after' })), { text: 'after' });
  });

test('of connections made at once one stays, and no call is lost in between', async () => {
  for (let seed = 0; seed < 30; seed++) {
    const { world, a, b } = await makePair(seed, { latencyMs: { min: 0.1, max: 20 } });
    let most = 0;
    for (const node of [a, b]) node.serve(echo, (request) => request);
    const talk = async (from: Peers, to: Peers, index: number) => {
      const peer = await from.connect({ id: to.self.id, endpoints: [at(index)] });
      for (let i = 0; i < 200; i++) {
        await peer.call(echo, { text: `${i}` });
        most = Math.max(most, world.network.connectionCount('h0', 'h1'));
      }
    };
    await world.settle(Promise.all([talk(a, b, 1), talk(b, a, 0)]));
    await world.runFor(3 * limits.heartbeatPeriodMs);
    assert.equal(world.network.connectionCount('h0', 'h1'), 1);
    assert.ok(a.get(b.self.id)?.open && b.get(a.self.id)?.open);
    assert.ok(most <= 2);
  }
});

test('an idle connection stays open for hours', async () => {
  const { world, a, b, connect } = await makePair(2);
  const peer = await connect(a, b, 1);
  await world.runFor(2 * 3600_000);
  assert.ok(peer.open);
  assert.equal(b.connected().length, 1);
});

test('with loss, repetition and reordering no call runs twice and those that are answered are answered right', async () => {
  const { world, a, b } = await makePair(3, { loss: 0.05, duplication: 0.2, reordering: 0.2 });
  const runs = new Map<string, number>();
  b.serve(echo, async ({ text }) => {
    runs.set(text, (runs.get(text) ?? 0) + 1);
    await world.host('h1').runtime.clock.sleep(world.random.below(5));
    return { text };
  });
  let answered = 0;
  let failed = 0;
  const attempt = async (text: string) => {
    try {
      const peer = await a.connect({ id: b.self.id, endpoints: [at(1)] });
      assert.equal((await peer.call(echo, { text }, { timeoutMs: 100 })).text, text);
      answered++;
    } catch (error) {
      assert.ok(isError(error, 'unavailable', 'corrupt'), String(error));
      failed++;
    }
  };
  for (let round = 0; round < 100; round++) {
    await world.settle(Promise.all(Array.from({ length: 10 }, (_, i) => attempt(`${round}.${i}`))));
    if (!a.get(b.self.id)) await world.runFor(limits.dialRetryMs + 1);
  }
  assert.equal(Math.max(...runs.values()), 1);
  assert.ok(answered > 800 && failed > 10, `${answered} answered, ${failed} failed`);
});

test('a node that crashed silently and came back replaces its old connection at once', async () => {
  for (const [survivor, crasher] of [
    [0, 1],
    [1, 0],
  ] as const) {
    const { world, a, b, connect } = await makePair(4);
    const nodes = [a, b];
    const stays = nodes[survivor] as Peers;
    stays.serve(echo, (request) => request);
    // The survivor had dialled.
    await connect(stays, nodes[crasher] as Peers, crasher);
    await world.runFor(limits.dialTimeoutMs + 1);
    world.host(`h${crasher}`).restart();
    const back = await startNode(world, crasher);
    back.serve(echo, (request) => request);
    const peer = await connect(back, stays, survivor);
    await world.runFor(10);
    assert.deepEqual(await world.settle(peer.call(echo, { text: 'there' })), { text: 'there' });
    const old = stays.get(back.self.id);
    assert.ok(old);
    assert.deepEqual(await world.settle(old.call(echo, { text: 'and back' })), { text: 'and back' });
  }
});

test('thousands of calls and many mebibytes wait their turn and all arrive, both ways at once', async () => {
  const { world, a, b, connect } = await makePair(5, { bytesPerMs: 50_000 });
  let most = 0;
  let running = 0;
  for (const [node, host] of [
    [a, 'h0'],
    [b, 'h1'],
  ] as const) {
    node.serve(echo, async (request) => {
      most = Math.max(most, ++running);
      await world.host(host).runtime.clock.sleep(5);
      running--;
      return request;
    });
    node.serve(blob, ({ blocks }) => ({ size: 0, blocks }));
  }
  const toB = await connect(a, b, 1);
  await world.run(() => b.connected().length === 1);
  const toA = b.get(a.self.id);
  assert.ok(toA);
  const calls: Promise<unknown>[] = [];
  const block = Buffer.alloc(1 << 20);
  const options = { timeoutMs: 600_000 };
  for (const peer of [toA, toB]) {
    for (let i = 0; i < 2500; i++) calls.push(peer.call(echo, { text: `${i}` }, options));
    for (let i = 0; i < 60; i++) calls.push(peer.call(blob, { blocks: [block] }, options));
  }
  await world.settle(Promise.all(calls));
  assert.ok(most <= 2 * limits.handlersMax && most > limits.handlersMax / 2, `${most} at once`);
  assert.ok(toA.open && toB.open);
});

test('a failed dial is remembered for a moment, and only one dial goes out a node', async () => {
  const { world, a, b } = await makePair(6);
  const dead = { id: b.self.id, endpoints: [{ host: 'h1', port: 99 }] };
  const first = a.connect(dead);
  const events = world.eventCount;
  const results = await world.settle(Promise.allSettled([first, ...Array.from({ length: 50 }, () => a.connect(dead))]));
  assert.ok(results.every((result) => result.status === 'rejected'));
  assert.ok(world.eventCount - events < 20, 'fifty callers, one dial');
  const before = world.eventCount;
  await assert.rejects(a.connect(dead), (error) => isError(error, 'unavailable'));
  assert.equal(world.eventCount, before);
  const alive = await world.settle(a.connect({ id: b.self.id, endpoints: [at(1)] }));
  assert.ok(alive.open);
});

test('stopping ends calls, waits for handlers, frees the port', async () => {
  const { world, a, b, connect } = await makePair(7);
  let finished = false;
  let began = false;
  b.serve(wait, async () => {
    began = true;
    await world.host('h1').runtime.clock.sleep(500);
    finished = true;
    return {};
  });
  const peer = await connect(a, b, 1);
  const call = assert.rejects(peer.call(wait, {}), (error) => isError(error, 'unavailable'));
  await world.run(() => began);
  await world.settle(b.stop());
  assert.ok(finished);
  await world.settle(call);
  await world.settle(b.stop());
  await assert.rejects(world.settle(b.connect({ endpoints: [at(0)] })), (error) => isError(error, 'unavailable'));
  await startNode(world, 1);
});
