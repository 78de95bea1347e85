// What one user may take of what all share: never so much that others have none.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import type { RegisterSnapshot, Registers } from '../../../src/core/consensus/consensus.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import { NodeState } from '../../../src/core/node/state.ts';
import { createPeers } from '../../../src/core/peer/peers.ts';
import { initialNetworkState, NetworkRegister, refuseNetworkValue } from '../../../src/core/store/network-register.ts';
import { SessionShares } from '../../../src/core/tree/session-shares.ts';
import { sessionSilenceMs } from '../../../src/core/tree/sessions.ts';
import { keyOf, member, networkId, owner } from '../../fuzz/subjects.ts';
import { createWorld } from '../../simulator/runtime/world.ts';
import { fakeAdmission, testKey } from '../peer/fake-admission.ts';

function adjust(t: TestContext, changes: Partial<Record<keyof typeof limits, number>>): void {
  const before = Object.fromEntries(Object.keys(changes).map((name) => [name, limits[name as keyof typeof limits]]));
  Object.assign(limits as object, changes);
  t.after(() => Object.assign(limits as object, before));
}

const full = (error: unknown) => isError(error, 'full');

/** A network register that obeys what acceptors demand. */
function register(isMember?: (user: Uint8Array) => boolean): NetworkRegister {
  let payload: Uint8Array = initialNetworkState(Buffer.alloc(0));
  const snapshot = () => ({ payload, members: [] }) as Partial<RegisterSnapshot> as RegisterSnapshot;
  const registers = {
    read: async () => snapshot(),
    write: async (_at: Uint8Array, _author: KeyPair, change: (current: RegisterSnapshot) => Uint8Array) => {
      const next = change(snapshot());
      const reason = refuseNetworkValue({ id: networkId, owner: owner.publicKey, isMember }, next, payload);
      if (reason !== undefined) throw new Error(reason);
      payload = next;
      return snapshot();
    },
  } as Partial<Registers> as Registers;
  const founder = { node: Buffer.alloc(32), store: Buffer.alloc(8) };
  return new NetworkRegister({
    registers,
    address: Buffer.alloc(32),
    founder,
    networkId,
    owner: isMember === undefined ? owner.publicKey : undefined,
  });
}

const tree = (number: number) => Buffer.alloc(16, number);
const rootOf = (number: number) => Buffer.alloc(32, number);

test('places of trees in a network', async (t) => {
  adjust(t, { treesPerUserMax: 3 });
  const trees = register();
  for (let i = 1; i <= 3; i++) await trees.addTree(member, tree(i), rootOf(i));
  await assert.rejects(trees.addTree(member, tree(4), rootOf(4)), full);
  for (let i = 1; i <= 5; i++) await trees.addTree(owner, tree(i), rootOf(i));
  await trees.addTree(keyOf('another'), tree(1), rootOf(1));
});

test('nobody has more places by signing with keys of no member', async () => {
  const trees = register((user) => Buffer.from(user).equals(member.publicKey));
  await trees.addTree(member, tree(1), rootOf(1));
  await assert.rejects(trees.addTree(keyOf('made up'), tree(2), rootOf(2)), /not known here as a member/);
});

test('clients of one user at a leader', (t) => {
  adjust(t, { sessionsPerUserMax: 3 });
  let now = 0;
  const shares = new SessionShares({ monotonic: () => now });
  const client = (number: number) => Buffer.alloc(16, number);
  for (let i = 1; i <= 3; i++) assert.equal(shares.refuse(member.publicKey, client(i)), undefined);
  assert.equal(shares.refuse(member.publicKey, client(4))?.kind, 'full');
  assert.equal(shares.refuse(owner.publicKey, client(4)), undefined);
  now += sessionSilenceMs / 2;
  assert.equal(shares.refuse(member.publicKey, client(2)), undefined);
  now += sessionSilenceMs / 2;
  for (const number of [4, 5]) assert.equal(shares.refuse(member.publicKey, client(number)), undefined);
  assert.equal(shares.refuse(member.publicKey, client(6))?.kind, 'full');
});

test('connections: the user with most makes room for others, not for himself', async (t) => {
  adjust(t, { sessionsOpenMax: 4 });
  const world = createWorld({ seed: 1 });
  const honest = [testKey(50), testKey(51)].map(({ publicKey }) => publicKey.toString('hex'));
  // All other nodes are of one user.
  const userOf = (key: Uint8Array) => (honest.includes(Buffer.from(key).toString('hex')) ? key : testKey(9).publicKey);
  const admission = fakeAdmission(testKey(1), { userOf });
  const peers = createPeers({ runtime: world.host('server').runtime, identity: testKey(1), admission });
  const { port } = await world.settle(peers.listen({ host: '::', port: 0 }));
  const connect = async (number: number) => {
    const [runtime, identity] = [world.host(`client${number}`).runtime, testKey(number)];
    const client = createPeers({ runtime, identity, admission: fakeAdmission(identity) });
    await world.settle(client.connect({ endpoints: [{ host: 'server', port }] }).catch(() => {}));
    await world.runFor(100);
  };
  const isConnected = (number: number) => peers.get(nodeIdOf(testKey(number).publicKey)) !== undefined;
  for (const number of [10, 11, 12, 13]) await connect(number);
  for (const number of [50, 51]) await connect(number);
  for (const number of [14, 15, 16]) await connect(number);
  assert.deepEqual([50, 51, 14, 15, 16].map(isConnected), [true, true, false, false, false]);
  assert.equal(peers.connected().length, 4);
  await world.settle(peers.stop());
});

test('counts of stores that one node tells', async () => {
  const world = createWorld({ seed: 1 });
  const state = await world.settle(NodeState.open(world.host('a').runtime, '/state'));
  const [honest, hostile] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];
  const store = (number: number) => {
    const id = Buffer.alloc(8);
    id.writeUInt32BE(number);
    return id;
  };
  await world.settle(state.remember(honest, store(1), 7));
  for (let i = 0; i < 40; i++) await world.settle(state.remember(hostile, store(i), 1));
  assert.equal(await world.settle(state.recall(honest, store(1))), 7);
  assert.equal(await world.settle(state.recall(hostile, store(0))), undefined);
  assert.equal(await world.settle(state.recall(hostile, store(39))), 1);
});
