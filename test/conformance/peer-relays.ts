// What peers that cannot dial each other must do by way of a third, whatever runtime carries them.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { equalBytes } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import type { Peer } from '../../src/core/peer/peer.ts';
import { relayEnd, relayOpen, relayPiece, relayReach } from '../../src/core/peer/relay-messages.ts';
import { relayedEndpoint } from '../../src/core/peer/relayed-endpoint.ts';
import { blob, echo, makeHiddenNode, makeNode, type PeerHarness, type TestNode } from './peer.ts';

type Hidden = Omit<TestNode, 'endpoint'>;

/** Two that listen nowhere, both connected to a third, or to two. */
async function makeScene(harness: PeerHarness, relays = 1) {
  const a = await makeHiddenNode(harness, 0);
  const b = await makeHiddenNode(harness, 1);
  const thirds: TestNode[] = [];
  for (let i = 0; i < relays; i++) thirds.push(await makeNode(harness, 2 + i));
  for (const end of [a, b]) for (const third of thirds) await meet(harness, end, third);
  const end = async () => {
    await harness.settle(Promise.all([a, b, ...thirds].map(({ peers }) => peers.stop())));
  };
  return { a, b, thirds, third: thirds[0] as TestNode, end };
}

async function meet(harness: PeerHarness, node: Hidden, to: TestNode): Promise<Peer> {
  return await harness.settle(node.peers.connect({ id: to.peers.self.id, endpoints: [to.endpoint] }));
}

export function relaySuite(name: string, makeHarness: () => PeerHarness): void {
  const check = (what: string, run: (harness: PeerHarness) => Promise<void>) =>
    test(`${name}: ${what}`, () => run(makeHarness()));

  check('calls and attachments go both ways by way of a relay that is announced', async (harness) => {
    const { a, b, third, end } = await makeScene(harness);
    for (const { peers } of [a, b]) {
      peers.serve(echo, ({ text }) => ({ text }));
      peers.serve(blob, ({ blocks }) => ({ size: blocks.length, blocks }));
    }
    const [node, relay] = [b.peers.self.id, third.peers.self.id];
    const endpoint = relayedEndpoint({ node, relay, at: third.endpoint });
    const toB = await harness.settle(a.peers.connect({ endpoints: [endpoint] }));
    assert.ok(equalBytes(toB.id, node));
    assert.ok(toB.relay && equalBytes(toB.relay, relay));
    await harness.until(() => b.peers.get(a.peers.self.id) !== undefined);
    const toA = b.peers.get(a.peers.self.id) as Peer;
    assert.ok(toA.relay && equalBytes(toA.relay, relay));
    const blocks = [Buffer.alloc(1 << 20, 1), Buffer.alloc(300_001, 2)];
    for (const peer of [toB, toA]) {
      const texts = Array.from({ length: 40 }, (_, i) => `${i}`);
      const answers = await harness.settle(Promise.all(texts.map((text) => peer.call(echo, { text }))));
      assert.deepEqual(
        answers.map(({ text }) => text),
        texts,
      );
      const answer = await harness.settle(peer.call(blob, { blocks }));
      assert.deepEqual(
        answer.blocks.map((block) => Buffer.from(block)),
        blocks,
      );
    }
    toA.close();
    await harness.until(() => !toB.open);
    assert.ok(a.peers.get(relay)?.open, 'the connection to the relay stays');
    await end();
  });

  check(
    'whoever is connected to both is asked when nobody is announced, and dead addresses do not matter',
    async (harness) => {
      const { a, b, end } = await makeScene(harness, 2);
      b.peers.serve(echo, ({ text }) => ({ text }));
      const gone = await makeNode(harness, 5);
      await harness.settle(gone.peers.stop());
      const toB = await harness.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [gone.endpoint] }));
      assert.ok(toB.relay !== undefined);
      assert.deepEqual(await harness.settle(toB.call(echo, { text: 'x' })), { text: 'x' });
      await end();
    },
  );

  check('when the relay goes another one carries', async (harness) => {
    const { a, b, thirds, end } = await makeScene(harness, 2);
    b.peers.serve(echo, ({ text }) => ({ text }));
    const contact = { id: b.peers.self.id, endpoints: [] };
    const first = await harness.settle(a.peers.connect(contact));
    const carrying = thirds.find(({ peers }) => first.relay && equalBytes(peers.self.id, first.relay)) as TestNode;
    await harness.settle(carrying.peers.stop());
    await harness.until(() => !first.open);
    const second = await harness.settle(a.peers.connect(contact));
    assert.ok(second.relay && !equalBytes(second.relay, carrying.peers.self.id));
    assert.deepEqual(await harness.settle(second.call(echo, { text: 'y' })), { text: 'y' });
    await end();
  });

  check('nobody who can carry: unavailable; neither is one carried twice', async (harness) => {
    const { a, b, third, end } = await makeScene(harness);
    const alone = await makeHiddenNode(harness, 6);
    const nobody = a.peers.connect({ id: alone.peers.self.id, endpoints: [] });
    await assert.rejects(harness.settle(nobody), (error) => isError(error, 'unavailable'));
    const toB = await harness.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [] }));
    const over = toB.call(relayOpen, { to: third.peers.self.id, endpoints: [] });
    await assert.rejects(harness.settle(over), (error) => isError(error, 'unavailable'));
    const self = a.peers.get(third.peers.self.id)?.call(relayOpen, { to: a.peers.self.id, endpoints: [] });
    await assert.rejects(harness.settle(self as Promise<unknown>), (error) => isError(error, 'usage'));
    await end();
  });

  check('a relay carries so many connections of one node, and others keep their part', async (harness) => {
    const { a, b, third, end } = await makeScene(harness);
    const c = await makeHiddenNode(harness, 7);
    await meet(harness, c, third);
    const toThird = a.peers.get(third.peers.self.id) as Peer;
    const fromC = c.peers.get(third.peers.self.id) as Peer;
    const askers = [...Array.from({ length: limits.relayStreamsPerNodeMax }, () => toThird), fromC, fromC];
    const opened = await harness.settle(
      Promise.allSettled(askers.map((peer) => peer.call(relayOpen, { to: b.peers.self.id, endpoints: [] }))),
    );
    const names = opened.flatMap((one) => (one.status === 'fulfilled' ? one.value.stream : []));
    assert.equal(new Set(names).size, limits.relayStreamsPerNodeMax);
    for (const one of opened) assert.ok(one.status === 'fulfilled' || isError(one.reason, 'full'));
    assert.ok(toThird.open && b.peers.get(third.peers.self.id)?.open);
    await end();
  });

  check('nobody else has a say in a stream, and pieces out of place end it', async (harness) => {
    const { a, b, third, end } = await makeScene(harness);
    b.peers.serve(echo, ({ text }) => ({ text }));
    const c = await makeHiddenNode(harness, 7);
    const fromC = await meet(harness, c, third);
    const toB = await harness.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [] }));
    const stream = 1;
    const piece = { stream, down: false, sequence: 3, data: Buffer.alloc(10) };
    for (const down of [true, false]) {
      const wrong = fromC.call(relayPiece, { ...piece, down });
      await assert.rejects(harness.settle(wrong), (error) => isError(error, 'unavailable'));
      await harness.settle(fromC.call(relayEnd, { stream, down, broken: true }));
    }
    assert.deepEqual(await harness.settle(toB.call(echo, { text: 'still' })), { text: 'still' });
    const far = (a.peers.get(third.peers.self.id) as Peer).call(relayPiece, { ...piece, sequence: 5_000_000 });
    await assert.rejects(harness.settle(far), (error) => isError(error, 'corrupt'));
    await harness.until(() => !toB.open);
    await end();
  });

  check('a node is told whether others reach it', async (harness) => {
    const { a, third, end } = await makeScene(harness);
    const d = await makeNode(harness, 8);
    const toThird = await meet(harness, d, third);
    const wrong = { ...d.endpoint, port: d.endpoint.port === 1 ? 2 : 1 };
    const ask = (peer: Peer, endpoints: (typeof wrong)[]) => harness.settle(peer.call(relayReach, { endpoints }));
    assert.deepEqual(await ask(toThird, [wrong, d.endpoint]), { reached: true });
    assert.deepEqual(await ask(toThird, [wrong]), { reached: false });
    assert.deepEqual(await ask(toThird, []), { reached: false });
    const posing = a.peers.get(third.peers.self.id) as Peer;
    assert.deepEqual(await ask(posing, [d.endpoint]), { reached: false }, 'somebody else is there');
    await harness.settle(d.peers.stop());
    await end();
  });
}
