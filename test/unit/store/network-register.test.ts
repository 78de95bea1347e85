import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import type { Bytes } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { networkIdOf, registerAddress } from '../../../src/core/block/address.ts';
import type { RegisterSnapshot, Registers } from '../../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { signNetwork } from '../../../src/core/descriptor/signing.ts';
import { formatDescriptor } from '../../../src/core/descriptor/stream.ts';
import {
  decodeNetworkState,
  encodeNetworkState,
  initialNetworkState,
  NetworkRegister,
  networkLosses,
  refuseNetworkValue,
} from '../../../src/core/store/network-register.ts';
import { signDestroyed } from '../../../src/core/store/tree-entries.ts';
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

test('a destroyed tree: its owner says so, of his own root; it is not found, not made anew, and not forgotten', async () => {
  const { register, payload, force } = ruledRegister();
  const [treeId, salt] = [randomBytes(16), randomBytes(32)];
  const root = registerAddress(alice.publicKey, salt);
  await register.addTree(alice, treeId, root);
  await register.addTree(mallory, treeId, randomBytes(32));
  const before = payload();
  assert.equal(await register.destroyedRoot(treeId, alice.publicKey), undefined);
  await register.destroyTree(alice, treeId, salt);
  const after = payload();
  assert.equal(judge(after, before), undefined);
  assert.deepEqual(await register.destroyedRoot(treeId, alice.publicKey), root);
  const lost = (error: unknown) => isError(error, 'lost');
  await assert.rejects(register.findTree(treeId, alice.publicKey), lost);
  await assert.rejects(register.addTree(alice, treeId, root), lost);
  assert.ok(await register.findTree(treeId, mallory.publicKey), 'that of another stays');
  await register.destroyTree(alice, treeId, salt);
  assert.deepEqual(payload(), after, 'once is enough');
  assert.match(judge(before, after) ?? '', /a destroyed tree was forgotten/);
  // Another salt is another root: what stands there is not his to take away.
  force(before);
  await assert.rejects(register.destroyTree(alice, treeId, randomBytes(32)), /a tree entry was dropped/);
  await assert.rejects(register.destroyTree(mallory, treeId, salt), /a tree entry was dropped/);
  const forged = Buffer.from(after);
  const at = forged.indexOf(salt) + 40; // within the signature behind it
  forged[at] = (forged[at] as number) ^ 1;
  assert.match(judge(forged, before) ?? '', /destroyed by its owner only/);
  const [state, old] = [decodeNetworkState(after), decodeNetworkState(before)];
  assert.equal(state.trees.length, old.trees.length - 1);
});

test('of destroyed trees the newest are remembered, and each user has room for his', async () => {
  const { register, payload, force } = ruledRegister();
  const made: { treeId: Buffer; salt: Buffer }[] = [];
  const destroy = async (user: KeyPair) => {
    const [treeId, salt] = [randomBytes(16), randomBytes(32)];
    await register.addTree(user, treeId, registerAddress(user.publicKey, salt));
    await register.destroyTree(user, treeId, salt);
    return { treeId, salt };
  };
  const his = await destroy(alice);
  for (let i = 0; i <= limits.destroyedTreesPerUserMax; i++) made.push(await destroy(mallory));
  const { destroyed } = decodeNetworkState(payload());
  assert.equal(destroyed.length, 1 + limits.destroyedTreesPerUserMax);
  assert.ok(await register.destroyedRoot(his.treeId, alice.publicKey));
  assert.equal(await register.destroyedRoot(made[0]?.treeId as Buffer, mallory.publicKey), undefined);
  assert.ok(await register.destroyedRoot(made.at(-1)?.treeId as Buffer, mallory.publicKey));
  // A member that missed some takes the newest state all the same.
  const whole = payload();
  force(initialNetworkState(Buffer.alloc(0)));
  assert.equal(judge(whole, payload()), undefined);
});

test('a full register with all that is remembered fits a value', () => {
  const state = {
    format: 1,
    descriptor: Buffer.alloc(16 * 1024),
    destroyed: Array.from({ length: limits.destroyedTreesMax }, () =>
      signDestroyed(network.id, alice, randomBytes(16), randomBytes(32)),
    ),
    trees: Array.from({ length: limits.treesInNetworkMax }, () => ({
      treeId: randomBytes(16),
      root: randomBytes(32),
      owner: alice.publicKey,
      signature: Buffer.alloc(64),
    })),
  };
  assert.ok(encodeNetworkState(state).length <= limits.registerPayloadBytesMax);
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
