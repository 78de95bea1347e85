// States of registers: bytes, signatures for many values at once, and what is refused.

import assert from 'node:assert/strict';
import test from 'node:test';
import fc from 'fast-check';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { registerAddress } from '../../../src/core/block/address.ts';
import {
  type AccessList,
  accessInClear,
  batchSignature,
  type RegisterState,
  registerState,
} from '../../../src/core/block/register.ts';
import { BatchVerifier, signBatch } from '../../../src/core/block/register-batch.ts';
import {
  imageOf,
  readImage,
  registerValueHash,
  StateVerifier,
  signAccessList,
  signGenesis,
} from '../../../src/core/block/register-validity.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';

const networkId = hash(Buffer.from('network'));
const owner = keyPairFromSeed(hash(Buffer.from('owner')));
const writer = keyPairFromSeed(hash(Buffer.from('writer')));
const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
const salt = Buffer.alloc(16, 1);
const address = registerAddress(owner.publicKey, salt);
const members = [1, 2, 3].map((n) => ({ node: Buffer.alloc(32, n), store: Buffer.alloc(8, n) }));

function stateBy(author = owner, access: Partial<AccessList> = {}): RegisterState {
  const unsigned = {
    version: 1,
    lineage: [],
    aclVersion: 1,
    payload: Buffer.from('payload'),
    deleted: false,
    author: author.publicKey,
    passportHash: Buffer.alloc(32, 9),
  };
  const [signature] = signBatch(author, [registerValueHash(networkId, address, unsigned)]);
  assert.ok(signature);
  return {
    config: { generation: 0, current: members, previous: undefined },
    access: signAccessList(owner, networkId, address, {
      ...accessInClear(owner.publicKey),
      writers: [writer.publicKey],
      ...access,
    }),
    genesis: signGenesis(owner, networkId, salt, members),
    value: { ...unsigned, signature },
  };
}

const refused = (state: RegisterState, message: RegExp) =>
  assert.throws(() => new StateVerifier(networkId).verify(imageOf(networkId, address, state)), message);

test('a state survives its bytes, and other formats are unsupported', () => {
  const state = stateBy();
  const bytes = encode(registerState, state);
  assert.deepEqual(encode(registerState, decode(registerState, bytes)), bytes);
  const image = new StateVerifier(networkId).read(bytes);
  assert.deepEqual(image.address, address);
  const recovery = { generation: 1000, valueHash: Buffer.alloc(32, 3), lost: state.genesis.members };
  const recovered = { ...state, genesis: { ...state.genesis, recovery } };
  const again = encode(registerState, recovered);
  assert.equal(again[0], 2);
  assert.deepEqual(decode(registerState, again), decode(registerState, encode(registerState, recovered)));
  assert.deepEqual(decode(registerState, again).genesis.recovery?.lost.length, state.genesis.members.length);
  const other = Buffer.from(bytes);
  other[0] = 3;
  assert.throws(
    () => decode(registerState, other),
    (error) => isError(error, 'unsupported'),
  );
});

test('owner and listed writers may write, others only where the world may', () => {
  const verify = (state: RegisterState) => new StateVerifier(networkId).verify(imageOf(networkId, address, state));
  verify(stateBy(owner));
  verify(stateBy(writer));
  verify(stateBy(stranger, { worldWrite: true }));
  refused(stateBy(stranger), /not in the access list/);
});

test('whatever was changed is refused', () => {
  const state = stateBy();
  refused({ ...state, value: { ...state.value, payload: Buffer.from('forged') } }, /not signed by its author/);
  refused({ ...state, access: { ...state.access, worldWrite: true } }, /access list is not signed/);
  refused({ ...state, genesis: { ...state.genesis, members: members.slice(1) } }, /genesis is not signed/);
  refused({ ...state, value: { ...state.value, version: 2 } }, /ancestors/);
  refused({ ...state, config: { ...state.config, current: [] } }, /no current members/);
  const twice = [...members, ...members.slice(0, 1)];
  refused({ ...state, config: { ...state.config, current: twice } }, /named twice/);
  assert.throws(() =>
    new StateVerifier(hash(Buffer.from('another network'))).verify(imageOf(networkId, address, state)),
  );
});

test('hostile bytes are corrupt, never a crash', () => {
  const original = stateBy();
  const bytes = encode(registerState, original);
  fc.assert(
    fc.property(fc.nat(bytes.length - 1), fc.nat(255), fc.nat(bytes.length), (at, value, length) => {
      const changed = Buffer.from(bytes).subarray(0, length === 0 ? bytes.length : length);
      if (at < changed.length) changed[at] = value;
      try {
        const image = readImage(networkId, changed);
        new StateVerifier(networkId).verify(image);
        // The configuration is agreed, not signed: acceptors judge it by what they hold (2.5, 2.8).
        return encode(registerState, { ...image.state, config: original.config }).equals(bytes);
      } catch (error) {
        return isError(error, 'corrupt', 'denied', 'unsupported');
      }
    }),
    { numRuns: 300 },
  );
});

test('one signature covers every leaf of a batch and no other leaf or place', () => {
  fc.assert(
    fc.property(fc.integer({ min: 1, max: 256 }), fc.nat(255), (count, pick) => {
      const leaves = Array.from({ length: count }, (_, i) => hash(Buffer.from(`leaf ${i}`)));
      const proofs = signBatch(owner, leaves);
      const verifier = new BatchVerifier();
      const index = pick % count;
      const proof = proofs[index];
      const leaf = leaves[index];
      assert.ok(proof && leaf);
      assert.deepEqual(decode(batchSignature, encode(batchSignature, proof)), proof);
      assert.ok(verifier.verify(owner.publicKey, leaf, proof));
      assert.ok(!verifier.verify(owner.publicKey, hash(leaf), proof));
      assert.ok(!verifier.verify(writer.publicKey, leaf, proof));
      if (count > 1) assert.ok(!verifier.verify(owner.publicKey, leaf, { ...proof, index: index ^ 1 }));
      assert.ok(!verifier.verify(owner.publicKey, leaf, { ...proof, index: 255, path: [] }));
    }),
    { numRuns: 25 },
  );
  assert.throws(() => signBatch(owner, []));
  assert.throws(() => signBatch(owner, Array(257).fill(hash())));
});

test('a value stands beside the list it was written under, and beside no other', () => {
  const second = { version: 2, writers: [] };
  const under = (access: Partial<AccessList>, aclVersion = access.version ?? 1): RegisterState => {
    const state = stateBy(owner, access);
    const { signature: _, ...value } = { ...state.value, aclVersion };
    const [signature] = signBatch(owner, [registerValueHash(networkId, address, value, state.access)]);
    assert.ok(signature);
    return { ...state, value: { ...value, signature } };
  };
  new StateVerifier(networkId).verify(imageOf(networkId, address, under(second)));
  refused(under(second, 1), /another access list/);
  refused(under({ version: 1 }, 2), /another access list/);
  // Two devices of the owner wrote a second list; one was chosen.
  const other = under({ version: 2, writers: [stranger.publicKey] });
  refused({ ...under(second), access: other.access }, /not signed by its author/);
});
