// Running nodes against a member who sends anything: frames no peer of ours sends, and well-formed calls of every method with
// made-up contents. The node answers or refuses, goes on serving others, and has nothing to log as a bug.

import { fromBase64, toHex, utf8 } from '../../src/core/base/bytes.ts';
import { encode } from '../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../src/core/base/errors.ts';
import { createPassport } from '../../src/core/descriptor/passports.ts';
import { createUser, userKeyPair } from '../../src/core/descriptor/users.ts';
import { KvServer } from '../../src/core/gateway/kv/server.ts';
import { createAdmission } from '../../src/core/peer/admission.ts';
import { frameFlags, frameKinds, framePrefix, hello, namePart } from '../../src/core/peer/frames.ts';
import type { Admission, Peers } from '../../src/core/peer/peer.ts';
import { createPeers } from '../../src/core/peer/peers.ts';
import type { Connection } from '../../src/core/runtime/runtime.ts';
import type { KeyStore } from '../../src/core/volume/keys.ts';
import { echo } from '../conformance/peer.ts';
import type { SeededRandom } from '../simulator/runtime/random.ts';
import { createWorld, type World } from '../simulator/runtime/world.ts';
import { makeCluster, openStore } from '../simulator/whole.ts';
import { fakeAdmission, testKey } from '../unit/peer/fake-admission.ts';
import { encodedParts, methods } from './codecs.ts';
import { acceptedLater, damage, type Fuzzer, fuzzer, mustBe, pick } from './fuzzer.ts';
import { sample } from './samples.ts';
import { keyOf } from './subjects.ts';

/** A world whose hosts must not find bugs in themselves. */
function watchedWorld(seed: number): { world: World; bugs: string[] } {
  const bugs: string[] = [];
  const world = createWorld({
    seed,
    log: ({ level, component, message, facts }) => {
      if (level === 'error') bugs.push(`${component}: ${message} ${JSON.stringify(facts)}`);
    },
  });
  return { world, bugs };
}

const kinds = Object.values(frameKinds);

/** A frame of any kind: a call of a real method, an answer, a cancellation; whole or damaged. */
function someFrame(random: SeededRandom, number: number): Buffer {
  const method = pick(random, methods);
  const kind = random.chance(0.6) ? frameKinds.request : pick(random, kinds);
  const { bytes, headerLength } = encodedParts(random, random.chance(0.8) ? method.request : method.response);
  const named = random.chance(0.8);
  const call = random.chance(0.8) ? number : random.below(2 ** 32);
  const slot = random.chance(0.9) ? methods.indexOf(method) : random.below(65_536);
  const name = named ? [namePart(random.chance(0.9) ? method.name : echo.name)] : [];
  const prefix = framePrefix(kind, call, headerLength, slot, named ? frameFlags.named : 0);
  const frame = Buffer.concat([prefix, ...name, bytes]);
  return random.chance(0.4) ? damage(random, frame) : frame;
}

/** Of tests, but what is no JSON is refused as credentials are. */
function admissionOf(index: number): Admission {
  const inner = fakeAdmission(testKey(index));
  return {
    ...inner,
    admit: (presented, remoteKey) => {
      try {
        return inner.admit(presented, remoteKey);
      } catch (error) {
        throw isError(error) ? error : new InfinitError('corrupt', 'not what this admission presents');
      }
    },
  };
}

function greeting(key = testKey(0)): Buffer {
  const body = encode(hello, { versionMin: 1, versionMax: 1, presented: fakeAdmission(key).present() });
  return Buffer.concat([framePrefix(frameKinds.hello, 0, body.length), body]);
}

const frames = fuzzer('frames', {
  inputs: 40,
  make: (random) => ({
    seed: random.below(1 << 30),
    conversations: Array.from({ length: 1 + random.below(4) }, () => {
      const sent = Array.from({ length: random.below(60) }, (_, i) => someFrame(random, i + 1));
      return random.chance(0.8) ? [greeting(), ...sent] : [damage(random, greeting()), ...sent];
    }),
  }),
  check: async ({ seed, conversations }) => {
    const { world, bugs } = watchedWorld(seed);
    const serve = (peers: Peers) => {
      for (const method of methods) peers.serve(method, () => Promise.reject(new InfinitError('not-found', 'nothing')));
      peers.serve(echo, (request) => request);
    };
    const node = (name: string, index: number) => {
      const { runtime } = world.host(name);
      return createPeers({ runtime, identity: testKey(index), admission: admissionOf(index) });
    };
    const victim = node('victim', 1);
    serve(victim);
    const { port } = await world.settle(victim.listen({ host: '::', port: 0 }));
    for (const sent of conversations) {
      const { transport } = world.host('attacker').runtime;
      const connection: Connection = await world.settle(transport.dial({ host: 'victim', port }, testKey(0)));
      connection.onFrame(() => {});
      connection.onClose(() => {});
      for (const frame of sent) connection.send([frame]);
      await world.runFor(50);
    }
    const friend = node('friend', 2);
    const peer = await world.settle(friend.connect({ endpoints: [{ host: 'victim', port }] }));
    const { text } = await world.settle(peer.call(echo, { text: 'still there' }));
    mustBe(text === 'still there', 'another was answered wrongly');
    mustBe(bugs.length === 0, `the victim logged ${bugs.join('; ')}`);
    await world.settle(Promise.all([victim.stop(), friend.stop()]));
  },
});

/** Two storage nodes with an open store; a member of given rights, and what he may know. */
async function besieged(seed: number, rights: { denyWrite: boolean; denyStorage: boolean }) {
  const { world, bugs } = watchedWorld(seed);
  const cluster = await makeCluster(world, { nodes: 2, clients: 0 });
  const [first, second] = cluster.devices as [(typeof cluster.devices)[0], (typeof cluster.devices)[0]];
  const bob = await world.settle(createUser(first.context, { name: 'bob' }));
  const options = { as: 'alice', network: cluster.network.name, user: 'bob', ...rights };
  const { passport } = await world.settle(createPassport(first.context, options));
  for (const device of [first, second]) await world.settle(device.startNode([first.endpoint]));
  const { keys } = await world.settle(openStore(first, cluster, true));
  await world.settle(keys.put(utf8('kept'), utf8('value')));
  const { runtime } = world.host('attacker');
  const node = keyOf('attacker');
  const kind = rights.denyStorage ? 'client' : 'storage';
  const parties = { clock: runtime.clock, log: runtime.log, network: () => cluster.network };
  const admission = createAdmission({ ...parties, user: userKeyPair(bob), node, kind, passport });
  const peers = createPeers({ runtime, identity: node, admission });
  const peer = await world.settle(peers.connect({ endpoints: [first.endpoint] }));
  const linked = first.linked;
  if (linked === undefined) throw new Error('the node does not run');
  const words = [
    linked.node.peers.self.id,
    peers.self.id,
    userKeyPair(bob).publicKey,
    fromBase64(cluster.store.tree_id),
    fromBase64(cluster.network.founding?.register ?? ''),
    linked.node.self()?.store ?? Buffer.alloc(8),
  ];
  return { world, bugs, cluster, keys, peer, peers, words };
}

const services = fuzzer('services', {
  inputs: 6,
  make: (random) => ({
    seed: random.below(1 << 30),
    random,
    rights: { denyWrite: random.chance(0.3), denyStorage: random.chance(0.5) },
  }),
  check: async ({ seed, random, rights }) => {
    const { world, bugs, keys, peer, peers, words } = await besieged(seed, rights);
    for (let left = 60; left > 0; left--) {
      const method = pick(random, methods);
      const request = sample(random, method.request, words);
      if (request === undefined || !peer.open) continue;
      // What fails as a bug would is a bug: `internal` is not among the refusals.
      await acceptedLater(
        () => world.settle(peer.call(method, request, { timeoutMs: 500 })),
        'unavailable',
        'cancelled',
      );
    }
    const { value } = await world.settle(keys.get(utf8('kept')));
    mustBe(Buffer.from(value).toString() === 'value', 'a value was changed by whom it is none of the business');
    await world.settle(keys.put(utf8('kept too'), utf8('x')));
    mustBe(bugs.length === 0, `a node logged ${bugs.join('; ')}`);
    await world.settle(peers.stop());
  },
});

function memoryKeys(): KeyStore {
  const entries = new Map<string, { key: Uint8Array; value: Uint8Array; version: number }>();
  let version = 0;
  return {
    get: async (key) => {
      const found = entries.get(toHex(key));
      if (found === undefined) throw new InfinitError('not-found', 'no such key');
      return found;
    },
    put: async (key, value) => {
      entries.set(toHex(key), { key, value, version: ++version });
      return version;
    },
    delete: async (key) => entries.delete(toHex(key)),
    list: async () => ({ entries: [], truncated: false }),
    async *watch() {},
  };
}

const kvMethods = methods.filter(({ name }) => name.startsWith('kv.'));

const door = fuzzer('key-value door', {
  inputs: 25,
  make: (random) => ({ seed: random.below(1 << 30), random }),
  check: async ({ seed, random }) => {
    const { world, bugs } = watchedWorld(seed);
    const { runtime } = world.host('door');
    const peers = createPeers({ runtime, identity: testKey(1), admission: fakeAdmission(testKey(1)) });
    const store = memoryKeys();
    const server = new KvServer({ peers, clock: runtime.clock, store: () => store, admit: () => {} });
    const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
    const visitor = createPeers({
      runtime: world.host('visitor').runtime,
      identity: testKey(2),
      admission: fakeAdmission(testKey(2)),
    });
    const peer = await world.settle(visitor.connect({ endpoints: [{ host: 'door', port }] }));
    const calls = Array.from({ length: 80 }, async () => {
      const method = pick(random, kvMethods);
      const request = sample(random, method.request);
      if (request !== undefined)
        await acceptedLater(() => peer.call(method, request, { timeoutMs: 20_000 }), 'unavailable', 'cancelled');
    });
    await world.settle(Promise.all(calls));
    mustBe(bugs.length === 0, `the door logged ${bugs.join('; ')}`);
    server.close();
    await world.settle(
      Promise.all([peers.stop(), visitor.stop()]).catch((error) => {
        if (!isError(error)) throw error;
      }),
    );
  },
});

export const liveFuzzers: readonly Fuzzer[] = [frames, services, door];
