import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import { greet } from '../../../src/core/peer/greeting.ts';
import type { Peer } from '../../../src/core/peer/peer.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import { relayEnd, relayOpen, relayPiece } from '../../../src/core/peer/relay-messages.ts';
import { fewer, isRelayed, parseRelayed, relayedEndpoint } from '../../../src/core/peer/relayed-endpoint.ts';
import { Services } from '../../../src/core/peer/services.ts';
import { Session } from '../../../src/core/peer/session.ts';
import { Turns } from '../../../src/core/peer/turns.ts';
import { formatEndpoint, parseEndpoint } from '../../../src/core/runtime/endpoint.ts';
import type { Carrier, Clock, Connection, Runtime } from '../../../src/core/runtime/runtime.ts';
import { systemRuntime } from '../../../src/core/runtime/system/system.ts';
import { echo, makeHiddenNode, makeNode, type PeerHarness } from '../../conformance/peer.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from './fake-admission.ts';

const real = { ...systemRuntime(), log: { write: () => {} } };

test('relayed endpoints are endpoints like others', () => {
  const [node, relay] = [nodeIdOf(testKey(0).publicKey), nodeIdOf(testKey(1).publicKey)];
  for (const host of ['192.0.2.7', 'relay.example.org', '2001:db8::7']) {
    const endpoint = relayedEndpoint({ node, relay, at: { host, port: 4242 } });
    assert.ok(isRelayed(endpoint) && endpoint.host.length <= 255);
    assert.deepEqual(parseEndpoint(formatEndpoint(endpoint)), endpoint);
    assert.deepEqual(parseRelayed(endpoint), { node, relay, at: { host, port: 4242 } });
  }
  assert.equal(parseRelayed({ host: '192.0.2.7', port: 1 }), undefined);
  fc.assert(
    fc.property(fc.string(), (host) => {
      try {
        parseRelayed({ host: `@${host}`, port: 1 });
      } catch (error) {
        assert.ok(isError(error, 'corrupt'));
      }
    }),
  );
  const some = [1, 2, 3, 4, 5].map((port) => ({ host: '192.0.2.7', port }));
  const carried = relayedEndpoint({ node, relay, at: { host: '192.0.2.8', port: 9 } });
  assert.deepEqual(fewer([...some, carried], 3), [some[0], some[1], carried]);
});

function harnessOf(world: World): PeerHarness {
  return {
    runtime: (index) => world.host(`h${index}`).runtime,
    hostName: (index) => `h${index}`,
    patienceMs: 10_000,
    settle: (promise) => world.settle(promise),
    until: (condition) => world.run(condition),
  };
}

/** The runtime, and how many of its timers have neither ended nor been taken off. */
function counted(runtime: Runtime): { runtime: Runtime; timers: () => number } {
  const { clock } = runtime;
  const open = new Set<object>();
  const counting: Clock = {
    now: () => clock.now(),
    monotonic: () => clock.monotonic(),
    after: (timeMs, task) => {
      const timer = {};
      open.add(timer);
      const cancel = clock.after(timeMs, () => {
        open.delete(timer);
        task();
      });
      return () => {
        open.delete(timer);
        cancel();
      };
    },
    sleep: async (timeMs, options) => {
      const timer = {};
      open.add(timer);
      await clock.sleep(timeMs, options).finally(() => open.delete(timer));
    },
  };
  return { runtime: { ...runtime, clock: counting }, timers: () => open.size };
}

test('a node that stops leaves no timer behind, though a direct connection was to be tried later', async () => {
  const world = createWorld({ seed: 5 });
  const harness = harnessOf(world);
  const { runtime, timers } = counted(world.host('h0').runtime);
  const a = await makeHiddenNode({ ...harness, runtime: () => runtime }, 0);
  const b = await makeNode(harness, 1);
  const third = await makeNode(harness, 2);
  for (const { peers } of [a, b])
    await world.settle(peers.connect({ id: third.peers.self.id, endpoints: [third.endpoint] }));
  world.network.partition(['h0'], ['h1']);
  const toB = await world.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [b.endpoint] }));
  assert.ok(toB.relay !== undefined);
  // In the middle of the first attempt.
  await world.runFor(limits.directRetryMs + 100);
  await world.settle(a.peers.stop());
  await world.runFor(100);
  assert.equal(timers(), 0);
  await world.settle(Promise.all([b, third].map(({ peers }) => peers.stop())));
});

test('a direct connection takes over as soon as one can be had, without a call lost', async () => {
  const world = createWorld({ seed: 4 });
  const harness = harnessOf(world);
  const a = await makeHiddenNode(harness, 0);
  const b = await makeNode(harness, 1);
  const third = await makeNode(harness, 2);
  b.peers.serve(echo, ({ text }) => ({ text }));
  for (const { peers } of [a, b])
    await world.settle(peers.connect({ id: third.peers.self.id, endpoints: [third.endpoint] }));
  const mend = world.network.partition(['h0'], ['h1']);
  const toB = await world.settle(a.peers.connect({ id: b.peers.self.id, endpoints: [b.endpoint] }));
  assert.ok(toB.relay !== undefined);
  await world.runFor(limits.directRetryMs * 4);
  assert.ok(toB.relay !== undefined);
  mend();
  let told = 0;
  a.peers.events.on('disconnected', () => told++);
  while (toB.relay !== undefined) {
    await world.settle(toB.call(echo, { text: 'on' }));
    await world.runFor(1000);
  }
  assert.deepEqual(await world.settle(toB.call(echo, { text: 'direct' })), { text: 'direct' });
  await world.run(() => b.peers.get(a.peers.self.id)?.relay === undefined);
  await world.runFor(30_000);
  assert.ok(toB.open && told === 0);
  await world.settle(Promise.all([a, b, third].map(({ peers }) => peers.stop())));
});

/** A relay that says it opened a stream to whoever is wanted, and answers itself. */
async function posingRelay(answer: (carrier: Carrier) => Promise<Connection>) {
  const key = testKey(2);
  const admission = fakeAdmission(key);
  const services = new Services(admission, real.log);
  let relay: Peer | undefined;
  const receivers = new Map<number, (bytes: Buffer) => Promise<void>>();
  services.serve(relayOpen, () => {
    const stream = receivers.size + 1;
    let sequence = 0;
    const carrier: Carrier = {
      remote: { host: 'end', port: 0 },
      send: async (data) => {
        await relay?.call(relayPiece, { stream, down: true, sequence: sequence++, data });
      },
      onData: (receive) => void receivers.set(stream, receive),
      onClose: () => {},
      close: () => {},
    };
    answer(carrier).catch(() => {});
    return { stream };
  });
  services.serve(relayPiece, async ({ stream, data }) => {
    await receivers.get(stream)?.(Buffer.from(data));
    return {};
  });
  services.serve(relayEnd, () => ({}));
  return await real.transport.listen({ host: '127.0.0.1', port: 0 }, key, async (connection) => {
    const greeted = await greet(connection, 'listener', admission, real.clock);
    const { clock } = real;
    const peer = () => session as unknown as Peer;
    const parts = { connection, greeted, services, turns: new Turns(clock), clock, peer, closed: () => {} };
    const session: Session = new Session({ ...parts, side: 'listener' });
    relay = { call: (...[method, request]: Parameters<Peer['call']>) => session.call(method, request, {}) } as Peer;
    session.start(greeted);
  });
}

test('a relay cannot pose as the node it is to carry to, nor as any other', async () => {
  const listener = await posingRelay((carrier) => real.transport.secure(carrier, 'listener', testKey(2)));
  const peers = createPeers({ runtime: real, identity: testKey(0), admission: fakeAdmission(testKey(0)) });
  const [node, relay] = [nodeIdOf(testKey(1).publicKey), nodeIdOf(testKey(2).publicKey)];
  const endpoint = relayedEndpoint({ node, relay, at: { host: '127.0.0.1', port: listener.endpoint.port } });
  for (const contact of [{ id: node, endpoints: [endpoint] }, { endpoints: [endpoint] }])
    await assert.rejects(peers.connect(contact), (error) => isError(error, 'denied'));
  assert.equal(peers.get(node), undefined);
  await peers.stop();
  await listener.close();
});

test('a relay that carries rubbish gives no connection, and does no harm', async () => {
  const listener = await posingRelay(async (carrier) => {
    await carrier.send(Buffer.from('HTTP/1.1 200 nothing\r\n\r\n'));
    throw new Error('no connection');
  });
  const peers = createPeers({ runtime: real, identity: testKey(0), admission: fakeAdmission(testKey(0)) });
  const [node, relay] = [nodeIdOf(testKey(1).publicKey), nodeIdOf(testKey(2).publicKey)];
  const endpoint = relayedEndpoint({ node, relay, at: { host: '127.0.0.1', port: listener.endpoint.port } });
  await assert.rejects(peers.connect({ id: node, endpoints: [endpoint] }), (error) => isError(error, 'unavailable'));
  assert.ok(peers.get(relay)?.open);
  await peers.stop();
  await listener.close();
});
