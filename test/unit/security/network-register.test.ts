// The network register against members with the right to write: tree ids are no secret, and a member may miss what the owner did.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../../src/core/base/bytes.ts';
import type { RegisterSnapshot, Registers } from '../../../src/core/consensus/consensus.ts';
import type { KeyPair } from '../../../src/core/crypto/keys.ts';
import type { NetworkDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { signNetwork } from '../../../src/core/descriptor/signing.ts';
import { formatDescriptor } from '../../../src/core/descriptor/stream.ts';
import {
  initialNetworkState,
  NetworkRegister,
  networkLosses,
  refuseNetworkValue,
} from '../../../src/core/store/network-register.ts';
import { keyOf, member, network, networkId, owner } from '../../fuzz/subjects.ts';

const mallory = keyOf('mallory');
const treeId = Buffer.alloc(16, 6);
const [rootOfAlice, rootOfMallory] = [Buffer.alloc(32, 1), Buffer.alloc(32, 2)];

/** Obeys what acceptors demand. */
function register(descriptor: Uint8Array = Buffer.alloc(0)): { trees: NetworkRegister; payload: () => Uint8Array } {
  let payload: Uint8Array = initialNetworkState(descriptor);
  const snapshot = () => ({ payload, members: [] }) as Partial<RegisterSnapshot> as RegisterSnapshot;
  const registers = {
    read: async () => snapshot(),
    write: async (_at: Uint8Array, _author: KeyPair, change: (current: RegisterSnapshot) => Uint8Array) => {
      const next = change(snapshot());
      assert.equal(judge(next, payload), undefined);
      payload = next;
      return snapshot();
    },
  } as Partial<Registers> as Registers;
  const founder = { node: Buffer.alloc(32), store: Buffer.alloc(8) };
  return {
    trees: new NetworkRegister({ registers, address: Buffer.alloc(32), founder, networkId }),
    payload: () => payload,
  };
}

/** Whoever writes it, and whatever he says it follows. */
function judge(payload: Uint8Array, before: Uint8Array): string | undefined {
  const of = { id: networkId, owner: owner.publicKey };
  return refuseNetworkValue(of, payload, before) ?? networkLosses(of, payload, before)[0]?.reason;
}

test('who registers the tree id of another first does not take the place of his tree', async () => {
  const { trees } = register();
  await trees.addTree(mallory, treeId, rootOfMallory);
  assert.equal(await trees.findTree(treeId, member.publicKey), undefined);
  assert.deepEqual(await trees.addTree(member, treeId, rootOfAlice), rootOfAlice);
  assert.deepEqual(await trees.findTree(treeId, member.publicKey), rootOfAlice);
  assert.deepEqual(await trees.findTree(treeId, mallory.publicKey), rootOfMallory);
});

const { signature: _, ...unsigned } = network;
const published = (changes: Partial<NetworkDescriptor>, signer = owner) =>
  initialNetworkState(formatDescriptor('network', signNetwork(signer, { ...unsigned, ...changes })));

test("a member that missed the owner's write takes a later one of somebody else", () => {
  const before = published({});
  assert.equal(judge(published({ serial: unsigned.serial + 1 }), before), undefined);
  assert.equal(judge(published({}), initialNetworkState(Buffer.alloc(0))), undefined);
});

test('nobody brings back an older descriptor, or one of his own', () => {
  const before = published({});
  assert.match(judge(published({ serial: unsigned.serial - 1 }), before) ?? '', /only the network's owner/);
  assert.match(judge(published({ description: 'same serial' }), before) ?? '', /only the network's owner/);
  const own = { owner: { ed25519: mallory.publicKey.toString('base64') }, serial: 99 };
  assert.match(judge(published(own, mallory), before) ?? '', /only the network's owner/);
  assert.match(judge(published({ name: 'alice/other', serial: 99 }), before) ?? '', /only the network's owner/);
  assert.match(judge(initialNetworkState(utf8('{}')), before) ?? '', /only the network's owner/);
});
