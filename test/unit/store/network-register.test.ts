import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Bytes } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { networkIdOf } from '../../../src/core/block/address.ts';
import type { RegisterSnapshot, Registers } from '../../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { signNetwork } from '../../../src/core/descriptor/signing.ts';
import { formatDescriptor } from '../../../src/core/descriptor/stream.ts';
import {
  decodeNetworkState,
  initialNetworkState,
  NetworkRegister,
  networkLosses,
  refuseNetworkValue,
} from '../../../src/core/store/network-register.ts';
import * as good from '../../fuzz/subjects.ts';

const owner = keyPairFromSeed(randomBytes(32));
const alice = keyPairFromSeed(randomBytes(32));
const mallory = keyPairFromSeed(randomBytes(32));
const network = { id: networkIdOf(owner.publicKey, 'alice/cluster'), owner: owner.publicKey };
const descriptor = (serial: number, signer = owner) =>
  formatDescriptor(
    'network',
    signNetwork(signer, {
      ...good.network,
      owner: { ed25519: signer.publicKey.toString('base64') },
      serial,
    }),
  );
/** What acceptors say to a value on top of another. */
const judge = (after: Bytes, before: Bytes) =>
  refuseNetworkValue(network, after, before) ?? networkLosses(network, after, before)[0]?.reason;

/** A register that obeys the acceptors' rule. */
function ruledRegister(): { register: NetworkRegister; payload: () => Bytes; force: (payload: Bytes) => void } {
  let payload = initialNetworkState(Buffer.alloc(0));
  const snapshot = () => ({ payload, members: [] }) as Partial<RegisterSnapshot> as RegisterSnapshot;
  const registers = {
    read: async () => snapshot(),
    write: async (_address: Bytes, _author: KeyPair, change: (current: RegisterSnapshot) => Bytes) => {
      const next = change(snapshot());
      const reason = judge(next, payload);
      if (reason !== undefined) throw new Error(reason);
      payload = next;
      return snapshot();
    },
  } as Partial<Registers> as Registers;
  const founder = { node: randomBytes(32), store: randomBytes(8) };
  const register = new NetworkRegister({ registers, address: randomBytes(32), founder, networkId: network.id });
  return { register, payload: () => payload, force: (next) => (payload = next) };
}

test('a tree is registered once; the loser of a race is told which root stands', async () => {
  const { register } = ruledRegister();
  const [treeId, first, second] = [randomBytes(16), randomBytes(32), randomBytes(32)];
  assert.equal(await register.findTree(treeId, alice.publicKey), undefined);
  assert.deepEqual(await register.addTree(alice, treeId, first), first);
  assert.deepEqual(await register.addTree(alice, treeId, second), first);
  assert.deepEqual(await register.findTree(treeId, alice.publicKey), first);
  assert.equal(await register.findTree(treeId, mallory.publicKey), undefined);
});

test("entries are not dropped, altered, doubled or forged, and the descriptor is the owner's", async () => {
  const { register, payload } = ruledRegister();
  const treeId = randomBytes(16);
  const empty = payload();
  await register.addTree(alice, treeId, randomBytes(32));
  const one = payload();
  assert.equal(judge(one, empty), undefined);
  assert.match(judge(empty, one) ?? '', /dropped/);
  const other = ruledRegister();
  await other.register.addTree(alice, treeId, randomBytes(32));
  assert.match(judge(other.payload(), one) ?? '', /altered/);
  const foreign = Buffer.from(one);
  foreign[foreign.length - 1] = (foreign[foreign.length - 1] as number) ^ 1;
  assert.match(judge(foreign, empty) ?? '', /signature/);
  assert.match(refuseNetworkValue(network, foreign) ?? '', /signature/);
  const published = ruledRegister();
  await published.register.publish(owner, descriptor(1));
  assert.equal(judge(published.payload(), empty), undefined);
  assert.match(judge(empty, published.payload()) ?? '', /owner/);
  await assert.rejects(ruledRegister().register.publish(mallory, Buffer.from('{}')), /owner/);
  await assert.rejects(ruledRegister().register.publish(mallory, descriptor(9, mallory)), /owner/);
});

test('publishing the same again changes nothing', async () => {
  const { register, payload } = ruledRegister();
  await register.publish(owner, descriptor(2));
  const before = payload();
  await register.publish(owner, descriptor(2));
  assert.equal(payload(), before);
});

test('hostile payloads are refused with a typed error', () => {
  const valid = initialNetworkState(Buffer.from('{}'));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(valid.length), (noise, cut) => {
      for (const bytes of [noise, Buffer.concat([valid.subarray(0, cut), noise])]) {
        try {
          decodeNetworkState(bytes);
        } catch (error) {
          assert.ok(isError(error, 'corrupt', 'unsupported'), String(error));
        }
      }
    }),
  );
});
