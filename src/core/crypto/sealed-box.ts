// Sealing small secrets to a user: an anonymous box by tweetnacl (X25519, XSalsa20-Poly1305) under a one-time key pair. The
// X25519 pair of a user is derived from the Ed25519 seed (secret: clamped SHA-512 half; public: the birational map of RFC
// 7748), so a descriptor needs one key only. Layout: format 1, one-time public key 32, box. The nonce is a hash of both keys.

import { createHash } from 'node:crypto';
import nacl from 'tweetnacl';
import { type Bytes, concatBytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { labelledHash } from './hash.ts';
import type { KeyPair } from './keys.ts';

const format = 1;
const prime = 2n ** 255n - 19n;

function power(base: bigint, exponent: bigint): bigint {
  let result = 1n;
  for (let b = base % prime, e = exponent; e > 0n; e >>= 1n, b = (b * b) % prime)
    if (e & 1n) result = (result * b) % prime;
  return result;
}

/** The X25519 public key that belongs to an Ed25519 public key: u = (1 + y) / (1 - y). Throws `corrupt` for weak points. */
export function boxPublicKey(publicKey: Bytes): Buffer {
  const little = Buffer.from(publicKey).reverse();
  little[0] = (little[0] as number) & 0x7f;
  const y = BigInt(`0x${little.toString('hex')}`);
  const u = ((1n + y) * power((prime + 1n - (y % prime)) % prime, prime - 2n)) % prime;
  if (u === 0n) throw new InfinitError('corrupt', 'public key cannot receive sealed data');
  return Buffer.from(u.toString(16).padStart(64, '0'), 'hex').reverse();
}

function boxSecretKey(seed: Bytes): Buffer {
  return createHash('sha512').update(seed).digest().subarray(0, 32);
}

function nonceOf(oneTime: Bytes, recipient: Bytes): Uint8Array {
  return labelledHash('sealed-box', oneTime, recipient).subarray(0, nacl.box.nonceLength);
}

/** An X25519 pair that belongs to no user (the members key of a network). */
export function boxKeyPair(secret: Bytes): { publicKey: Buffer; secretKey: Buffer } {
  const pair = nacl.box.keyPair.fromSecretKey(Uint8Array.from(secret));
  return { publicKey: Buffer.from(pair.publicKey), secretKey: Buffer.from(pair.secretKey) };
}

/** Seals to an X25519 public key; `oneTimeSecret` is 32 fresh random bytes. Throws `corrupt` for an all-zero shared key. */
export function sealToBoxKey(recipient: Bytes, plain: Bytes, oneTimeSecret: Bytes): Buffer {
  const oneTime = boxKeyPair(oneTimeSecret);
  rejectWeak(recipient, oneTime.secretKey);
  const box = nacl.box(
    Uint8Array.from(plain),
    nonceOf(oneTime.publicKey, recipient),
    Uint8Array.from(recipient),
    oneTime.secretKey,
  );
  return concatBytes([Buffer.from([format]), oneTime.publicKey, box]);
}

/** Whether anything can be sealed to an Ed25519 public key: others name keys as they like. */
export function isSealable(publicKey: Bytes): boolean {
  try {
    sealTo(publicKey, Buffer.alloc(1), Buffer.alloc(32, 1));
    return true;
  } catch (error) {
    if (isError(error, 'corrupt')) return false;
    throw error;
  }
}

/** Opens with the X25519 pair it was sealed to. Throws `corrupt`. */
export function openWithBoxKey(pair: { publicKey: Bytes; secretKey: Bytes }, sealed: Bytes): Buffer {
  if (sealed.length < 33 + nacl.box.overheadLength || sealed[0] !== format)
    throw new InfinitError('corrupt', 'not a sealed box');
  const oneTime = Uint8Array.from(sealed.subarray(1, 33));
  const secret = Uint8Array.from(pair.secretKey);
  rejectWeak(oneTime, secret);
  const plain = nacl.box.open(Uint8Array.from(sealed.subarray(33)), nonceOf(oneTime, pair.publicKey), oneTime, secret);
  if (!plain) throw new InfinitError('corrupt', 'sealed box does not open with this key');
  return Buffer.from(plain);
}

/** Seals to a user's Ed25519 public key. */
export function sealTo(publicKey: Bytes, plain: Bytes, oneTimeSecret: Bytes): Buffer {
  return sealToBoxKey(boxPublicKey(publicKey), plain, oneTimeSecret);
}

/** Opens what was sealed to this user. Throws `corrupt`. */
export function openSealed(key: KeyPair, sealed: Bytes): Buffer {
  return openWithBoxKey({ publicKey: boxPublicKey(key.publicKey), secretKey: boxSecretKey(key.seed) }, sealed);
}

/** tweetnacl accepts points of small order, whose shared key is zero whatever the secret. */
function rejectWeak(publicKey: Bytes, secretKey: Uint8Array): void {
  const shared = nacl.scalarMult(secretKey, Uint8Array.from(publicKey));
  if (shared.every((byte) => byte === 0)) throw new InfinitError('corrupt', 'public key is of small order');
}
