// What every pair of peers must do, whatever runtime carries them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { attachment, empty, list, struct, text, u32 } from '../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../src/core/base/errors.ts';
import type { Method, Peer, Peers } from '../../src/core/peer/peer.ts';
import { createPeers } from '../../src/core/peer/peers.ts';
import type { Endpoint, Runtime } from '../../src/core/runtime/runtime.ts';
import { type FakeAdmission, type FakeAdmissionOptions, fakeAdmission, testKey } from '../unit/peer/fake-admission.ts';

/** Where nodes live and how a test waits for them. */
export interface PeerHarness {
  runtime(index: number): Runtime;
  /** The host name under which node `index` is dialled. */
  hostName(index: number): string;
  /** How long a test may wait for what takes seconds. */
  patienceMs: number;
  settle<T>(promise: Promise<T>): Promise<T>;
  until(condition: () => boolean): Promise<void>;
}

export interface TestNode {
  peers: Peers;
  admission: FakeAdmission;
  endpoint: Endpoint;
  runtime: Runtime;
}

export const echo: Method<{ text: string }, { text: string }> = {
  name: 'test.echo',
  request: struct({ text: text(1000) }),
  response: struct({ text: text(1000) }),
  right: 'member',
};
export const blob: Method<{ blocks: Uint8Array[] }, { size: number; blocks: Uint8Array[] }> = {
  name: 'test.blob',
  request: struct({ blocks: list(attachment(4 << 20), 16) }),
  response: struct({ size: u32, blocks: list(attachment(4 << 20), 16) }),
  right: 'write',
};
export const wait: Method<Record<string, never>, Record<string, never>> = {
  name: 'test.wait',
  request: empty,
  response: empty,
  right: 'storage',
};

export async function makeNode(harness: PeerHarness, index: number, options?: FakeAdmissionOptions): Promise<TestNode> {
  const node = await makeHiddenNode(harness, index, options);
  const { peers } = node;
  const { port } = await harness.settle(peers.listen({ host: '127.0.0.1', port: 0 }));
  return { ...node, endpoint: { host: harness.hostName(index), port } };
}

/** One that listens nowhere: nobody can dial it. */
export async function makeHiddenNode(
  harness: PeerHarness,
  index: number,
  options?: FakeAdmissionOptions,
): Promise<Omit<TestNode, 'endpoint'>> {
  const runtime = harness.runtime(index);
  const key = testKey(index);
  const admission = fakeAdmission(key, options);
  const peers = createPeers({ runtime, identity: key, admission });
  await harness.settle(peers.start());
  return { peers, admission, runtime };
}

/** Two nodes whose first is connected to the second. */
async function makePair(
  harness: PeerHarness,
  options: FakeAdmissionOptions = {},
): Promise<{ a: TestNode; b: TestNode; toB: Peer; end(): Promise<void> }> {
  const a = await makeNode(harness, 0, options);
  const b = await makeNode(harness, 1);
  const toB = await harness.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [b.endpoint] }));
  const end = async () => {
    await harness.settle(Promise.all([a.peers.stop(), b.peers.stop()]));
  };
  return { a, b, toB, end };
}

export function peerSuite(name: string, makeHarness: () => PeerHarness): void {
  const check = (what: string, run: (harness: PeerHarness) => Promise<void>) =>
    test(`${name}: ${what}`, () => run(makeHarness()));

  check('calls go both ways over one connection, and locally', async (harness) => {
    const { a, b, toB, end } = await makePair(harness);
    for (const [node, mark] of [
      [a, 'a'],
      [b, 'b'],
    ] as const)
      node.peers.serve(echo, ({ text }) => ({ text: `${mark}:${text}` }));
    assert.deepEqual(await harness.settle(toB.call(echo, { text: 'x' })), { text: 'b:x' });
    await harness.until(() => b.peers.connected().length === 1);
    const toA = b.peers.get(a.peers.self.id);
    assert.ok(toA);
    assert.deepEqual(await harness.settle(toA.call(echo, { text: 'y' })), { text: 'a:y' });
    const self = a.peers.get(a.peers.self.id);
    assert.ok(self);
    assert.deepEqual(await harness.settle(self.call(echo, { text: 'z' })), { text: 'a:z' });
    assert.equal(await harness.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [] })), toB);
    assert.equal(await harness.settle(a.peers.connect({ endpoints: [a.endpoint] })), self);
    assert.equal(a.peers.connected().length, 1);
    assert.ok(toB.roundTripMs !== undefined);
    await end();
  });

  check('64 calls at once, answered in any order', async (harness) => {
    const { b, toB, end } = await makePair(harness);
    b.peers.serve(echo, async ({ text }) => {
      await b.runtime.clock.sleep(b.runtime.random.below(20));
      return { text };
    });
    const texts = Array.from({ length: 64 }, (_, i) => `${i}`);
    const answers = await harness.settle(Promise.all(texts.map((text) => toB.call(echo, { text }))));
    assert.deepEqual(
      answers.map((answer) => answer.text),
      texts,
    );
    await end();
  });

  check('attachments of a mebibyte cross whole', async (harness) => {
    const { b, toB, end } = await makePair(harness);
    b.peers.serve(blob, ({ blocks }) => ({ size: blocks.reduce((sum, one) => sum + one.length, 0), blocks }));
    const blocks = [Buffer.alloc(1 << 20, 1), Buffer.alloc(0), Buffer.alloc(100_001, 2)];
    const answer = await harness.settle(toB.call(blob, { blocks }));
    assert.equal(answer.size, (1 << 20) + 100_001);
    assert.ok(answer.blocks.every((block, i) => Buffer.compare(block, blocks[i] as Buffer) === 0));
    const tooMuch = harness.settle(toB.call(blob, { blocks: [Buffer.alloc(4 << 20), Buffer.alloc(1 << 20)] }));
    await assert.rejects(tooMuch, (error) => isError(error, 'full'));
    await end();
  });

  check('errors cross whole; bugs cross without their message', async (harness) => {
    const { a, b, toB, end } = await makePair(harness);
    const serve = (node: TestNode) =>
      node.peers.serve(echo, ({ text }) => {
        if (text === 'bug') throw new TypeError('secret detail');
        throw new InfinitError('conflict', 'message', { hint: 'hint', data: { version: 7 } });
      });
    serve(a);
    serve(b);
    const local = a.peers.get(a.peers.self.id);
    for (const peer of [toB, local]) {
      assert.ok(peer);
      await assert.rejects(harness.settle(peer.call(echo, { text: '' })), (error) => {
        assert.ok(isError(error, 'conflict'));
        assert.deepEqual([error.message, error.hint, error.data], ['message', 'hint', { version: 7 }]);
        return true;
      });
      await assert.rejects(harness.settle(peer.call(echo, { text: 'bug' })), (error) => {
        assert.ok(isError(error, 'internal'));
        assert.ok(!error.message.includes('secret'));
        return true;
      });
      await assert.rejects(harness.settle(peer.call(wait, {})), (error) => isError(error, 'unsupported'));
    }
    await end();
  });

  check('rights and revocation are checked a call', async (harness) => {
    const { a, b, toB, end } = await makePair(harness, { rights: { write: false } });
    b.peers.serve(echo, ({ text }) => ({ text }));
    b.peers.serve(blob, () => ({ size: 0, blocks: [] }));
    await assert.rejects(harness.settle(toB.call(blob, { blocks: [] })), (error) => isError(error, 'denied'));
    await harness.settle(toB.call(echo, { text: '' }));
    b.admission.revoked.add(Buffer.from(a.peers.self.id).toString('hex'));
    await assert.rejects(harness.settle(toB.call(echo, { text: '' })), (error) => isError(error, 'denied'));
    await end();
  });

  check('admission refused by either side is denied at both', async (harness) => {
    const a = await makeNode(harness, 0, { word: 'foe' });
    const b = await makeNode(harness, 1);
    for (const [from, to] of [
      [a, b],
      [b, a],
    ] as const)
      await assert.rejects(harness.settle(from.peers.connect({ endpoints: [to.endpoint] })), (error) => {
        assert.ok(isError(error, 'denied'));
        assert.equal(error.hint, 'ask');
        return true;
      });
    assert.equal(a.peers.connected().length + b.peers.connected().length, 0);
    await harness.settle(Promise.all([a.peers.stop(), b.peers.stop()]));
  });

  check('connect: another id, no answer, endpoints in order', async (harness) => {
    const a = await makeNode(harness, 0);
    const b = await makeNode(harness, 1);
    const c = await makeNode(harness, 2);
    const dead = { ...c.endpoint };
    await harness.settle(c.peers.stop());
    const connect = (id: Uint8Array, endpoints: Endpoint[]) => harness.settle(a.peers.connect({ id, endpoints }));
    await assert.rejects(connect(c.peers.self.id, [b.endpoint]), (error) => isError(error, 'denied'));
    await assert.rejects(connect(c.peers.self.id, [dead]), (error) => isError(error, 'unavailable'));
    await assert.rejects(connect(c.peers.self.id, []), (error) => isError(error, 'unavailable'));
    const peer = await connect(b.peers.self.id, [dead, b.endpoint]);
    assert.deepEqual(Buffer.from(peer.id), Buffer.from(b.peers.self.id));
    await harness.settle(Promise.all([a.peers.stop(), b.peers.stop()]));
  });

  check('cancelling reaches the handler, deadlines end calls', async (harness) => {
    const { a, b, toB, end } = await makePair(harness);
    let running = 0;
    let aborted = 0;
    const serve = (node: TestNode) =>
      node.peers.serve(wait, async (_, { signal }) => {
        running++;
        await new Promise<void>((resolve) =>
          signal.addEventListener('abort', () => {
            aborted++;
            resolve();
          }),
        );
        return {};
      });
    serve(a);
    serve(b);
    const local = a.peers.get(a.peers.self.id);
    for (const peer of [toB, local]) {
      assert.ok(peer);
      running = aborted = 0;
      const abort = new AbortController();
      const call = assert.rejects(peer.call(wait, {}, { signal: abort.signal }), (e) => isError(e, 'cancelled'));
      await harness.until(() => running === 1);
      abort.abort();
      await harness.settle(call);
      await harness.until(() => aborted === 1);
      await assert.rejects(harness.settle(peer.call(wait, {}, { timeoutMs: 30 })), (e) => isError(e, 'unavailable'));
      await harness.until(() => aborted === 2);
      await assert.rejects(harness.settle(peer.call(wait, {}, { signal: abort.signal })), (e) =>
        isError(e, 'cancelled'),
      );
    }
    await end();
  });

  check('a closed connection ends its calls and is told', async (harness) => {
    const { a, b, toB, end } = await makePair(harness);
    let signalled = false;
    b.peers.serve(wait, async (_, { signal }) => {
      await new Promise((resolve) => signal.addEventListener('abort', resolve));
      signalled = true;
      return {};
    });
    const gone: string[] = [];
    a.peers.events.on('disconnected', () => gone.push('a'));
    b.peers.events.on('disconnected', () => gone.push('b'));
    const call = assert.rejects(toB.call(wait, {}), (error) => isError(error, 'unavailable'));
    await harness.until(() => b.peers.connected().length === 1);
    await harness.settle(a.runtime.clock.sleep(50));
    toB.close();
    await harness.settle(call);
    await harness.until(() => signalled && gone.length === 2);
    assert.equal(toB.open, false);
    assert.equal(a.peers.get(b.peers.self.id), undefined);
    await assert.rejects(harness.settle(toB.call(wait, {})), (error) => isError(error, 'unavailable'));
    await end();
  });

  check('two nodes that dial each other at once keep one connection', async (harness) => {
    const a = await makeNode(harness, 0);
    const b = await makeNode(harness, 1);
    for (const node of [a, b]) node.peers.serve(echo, ({ text }) => ({ text }));
    let events = 0;
    for (const node of [a, b]) node.peers.events.on('connected', () => events++);
    const [toB, toA] = await harness.settle(
      Promise.all([
        a.peers.connect({ id: b.peers.self.id, endpoints: [b.endpoint] }),
        b.peers.connect({ id: a.peers.self.id, endpoints: [a.endpoint] }),
      ]),
    );
    const texts = Array.from({ length: 10 }, (_, i) => `${i}`);
    await harness.settle(Promise.all(texts.flatMap((t) => [toA.call(echo, { text: t }), toB.call(echo, { text: t })])));
    await harness.settle(a.runtime.clock.sleep(harness.patienceMs));
    await harness.settle(Promise.all([toA.call(echo, { text: '' }), toB.call(echo, { text: '' })]));
    assert.equal(events, 2);
    assert.ok(toA.open && toB.open);
    await harness.settle(Promise.all([a.peers.stop(), b.peers.stop()]));
  });
}
