import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import nacl from 'tweetnacl';
import { isError } from '../../../src/core/base/errors.ts';
import { counterNonce, open, seal } from '../../../src/core/crypto/cipher.ts';
import { deriveKey, hash, hmac, labelledHash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed, privateKeyObject, publicKeyObject, sign, verify } from '../../../src/core/crypto/keys.ts';
import { boxPublicKey, openSealed, sealTo } from '../../../src/core/crypto/sealed-box.ts';

const corrupt = (error: unknown) => isError(error, 'corrupt');

test('keys and signatures are those of tweetnacl', () => {
  for (let i = 0; i < 20; i++) {
    const seed = randomBytes(32);
    const ours = keyPairFromSeed(seed);
    const theirs = nacl.sign.keyPair.fromSeed(seed);
    assert.deepEqual(ours.publicKey, Buffer.from(theirs.publicKey));
    const message = randomBytes(i * 7);
    const signature = sign(ours, 'test', message);
    const signed = labelledHash('test', message);
    assert.deepEqual(signature, Buffer.from(nacl.sign.detached(signed, theirs.secretKey)));
    assert.ok(verify(ours.publicKey, signature, 'test', message));
  }
});

test('a signature holds for its key, label and message only, and is not malleable', () => {
  const key = keyPairFromSeed(randomBytes(32));
  const message = Buffer.from('message');
  const signature = sign(key, 'one', message);
  assert.ok(verify(key.publicKey, signature, 'one', message));
  assert.ok(!verify(key.publicKey, signature, 'two', message));
  assert.ok(!verify(key.publicKey, signature, 'one', Buffer.from('massage')));
  assert.ok(!verify(keyPairFromSeed(randomBytes(32)).publicKey, signature, 'one', message));
  assert.ok(!verify(key.publicKey, signature.subarray(0, 63), 'one', message));
  assert.ok(!verify(randomBytes(7), signature, 'one', message));
  // S + L: tweetnacl takes it, we do not.
  const order = 2n ** 252n + 27742317777372353535851937790883648493n;
  const s = BigInt(`0x${Buffer.from(signature.subarray(32)).reverse().toString('hex')}`) + order;
  const twin = Buffer.concat([
    signature.subarray(0, 32),
    Buffer.from(s.toString(16).padStart(64, '0'), 'hex').reverse(),
  ]);
  assert.ok(nacl.sign.detached.verify(labelledHash('one', message), twin, key.publicKey));
  assert.ok(!verify(key.publicKey, twin, 'one', message));
});

test('bad keys are typed errors', () => {
  assert.throws(() => privateKeyObject(randomBytes(31)), corrupt);
  assert.throws(() => publicKeyObject(randomBytes(33)), corrupt);
});

test('the box key of a user agrees with the one derived from the seed', () => {
  for (let i = 0; i < 10; i++) {
    const pair = keyPairFromSeed(randomBytes(32));
    const secret = createHash('sha512').update(pair.seed).digest().subarray(0, 32);
    const expected = nacl.box.keyPair.fromSecretKey(Uint8Array.from(secret)).publicKey;
    assert.deepEqual(boxPublicKey(pair.publicKey), Buffer.from(expected));
  }
});

test('what is sealed to a user opens for him alone, whole or not at all', () => {
  const alice = keyPairFromSeed(randomBytes(32));
  const bob = keyPairFromSeed(randomBytes(32));
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 200 }), fc.nat(), (plain, at) => {
      const sealed = sealTo(alice.publicKey, plain, randomBytes(32));
      assert.deepEqual(openSealed(alice, sealed), Buffer.from(plain));
      assert.throws(() => openSealed(bob, sealed), corrupt);
      const damaged = Buffer.from(sealed);
      damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ 1;
      assert.throws(() => openSealed(alice, damaged), corrupt);
      assert.throws(() => openSealed(alice, sealed.subarray(0, at % sealed.length)), corrupt);
    }),
    { numRuns: 20 },
  );
});

test('keys of small order receive and send nothing', () => {
  const one = Buffer.alloc(32);
  one[0] = 1; // the neutral element: u = (1 + 1) / (1 - 1)
  assert.throws(() => sealTo(one, Buffer.from('x'), randomBytes(32)), corrupt);
  const alice = keyPairFromSeed(randomBytes(32));
  const forged = Buffer.concat([Buffer.from([1]), Buffer.alloc(32), randomBytes(40)]);
  assert.throws(() => openSealed(alice, forged), corrupt);
});

test('sealed bytes open with key, nonce and associated data as they were, and not otherwise', () => {
  const key = randomBytes(32);
  const nonce = counterNonce(5);
  const associated = Buffer.from('about');
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 300 }), fc.nat(), (plain, at) => {
      const sealed = seal(key, nonce, plain, associated);
      assert.equal(sealed.length, plain.length + 16);
      assert.deepEqual(open(key, nonce, sealed, associated), Buffer.from(plain));
      const damaged = Buffer.from(sealed);
      damaged[at % damaged.length] = (damaged[at % damaged.length] as number) ^ 0x80;
      for (const attempt of [
        () => open(key, nonce, damaged, associated),
        () => open(key, counterNonce(6), sealed, associated),
        () => open(randomBytes(32), nonce, sealed, associated),
        () => open(key, nonce, sealed, Buffer.from('other')),
        () => open(key, nonce, sealed.subarray(0, at % 16), associated),
      ]) {
        assert.throws(attempt, corrupt);
      }
    }),
    { numRuns: 50 },
  );
});

test('hashes and derived keys are the standard ones', () => {
  assert.equal(
    hash(Buffer.from('ab'), Buffer.from('c')).toString('hex'),
    createHash('sha256').update('abc').digest('hex'),
  );
  assert.notDeepEqual(labelledHash('a', Buffer.from('b')), labelledHash('ab'));
  assert.equal(hmac(Buffer.from('key'), Buffer.from('data')).length, 32);
  const secret = randomBytes(32);
  assert.notDeepEqual(deriveKey(secret, 'one'), deriveKey(secret, 'two'));
  assert.deepEqual(deriveKey(secret, 'one'), deriveKey(Buffer.from(secret), 'one'));
});
