// Ed25519 keys and signatures (RFC 8032) by node:crypto, which refuses malleable signatures. Keys travel as raw bytes: 32 of
// public key, 32 of seed. Parsed key objects are cached because parsing costs more than verifying.

import {
  createPrivateKey,
  createPublicKey,
  type KeyObject,
  sign as signNative,
  verify as verifyNative,
} from 'node:crypto';
import { asBuffer, type Bytes, concatBytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { labelledHash } from './hash.ts';

export const publicKeyBytes = 32;
export const seedBytes = 32;
export const signatureBytes = 64;

export interface KeyPair {
  readonly publicKey: Buffer;
  /** Secret. */
  readonly seed: Buffer;
}

const pkcs8Prefix = Buffer.from('302e020100300506032b657004220420', 'hex');
const spkiPrefix = Buffer.from('302a300506032b6570032100', 'hex');
const cacheEntriesMax = 4096;
const publicCache = new Map<string, KeyObject>();
const privateCache = new WeakMap<Bytes, KeyObject>();

/** The pair of a 32-byte seed. */
export function keyPairFromSeed(seed: Bytes): KeyPair {
  const spki = createPublicKey(privateKeyObject(seed)).export({ format: 'der', type: 'spki' });
  return { publicKey: Buffer.from(spki.subarray(spkiPrefix.length)), seed: asBuffer(seed) };
}

/** A seed as a node:crypto key; cached by identity of the byte string, so that no copy of the secret is made as a map key. */
export function privateKeyObject(seed: Bytes): KeyObject {
  const cached = privateCache.get(seed);
  if (cached) return cached;
  if (seed.length !== seedBytes) throw new InfinitError('corrupt', 'an Ed25519 seed has 32 bytes');
  const key = createPrivateKey({ key: concatBytes([pkcs8Prefix, seed]), format: 'der', type: 'pkcs8' });
  privateCache.set(seed, key);
  return key;
}

/** A raw public key as a node:crypto key. Throws `corrupt` when it is none. */
export function publicKeyObject(publicKey: Bytes): KeyObject {
  const name = toHex(publicKey);
  const cached = publicCache.get(name);
  if (cached) return cached;
  if (publicKey.length !== publicKeyBytes) throw new InfinitError('corrupt', 'an Ed25519 public key has 32 bytes');
  let key: KeyObject;
  try {
    key = createPublicKey({ key: concatBytes([spkiPrefix, publicKey]), format: 'der', type: 'spki' });
  } catch (error) {
    throw new InfinitError('corrupt', 'not an Ed25519 public key', { cause: error });
  }
  if (publicCache.size >= cacheEntriesMax) publicCache.delete(publicCache.keys().next().value as string);
  publicCache.set(name, key);
  return key;
}

/** 64-byte signature of the label and the parts. The label keeps signatures of different things apart. */
export function sign(key: KeyPair, label: string, ...parts: readonly Bytes[]): Buffer {
  return signNative(null, labelledHash(label, ...parts), privateKeyObject(key.seed));
}

/** Whether the signature is that key's over label and parts. Never throws for hostile input. */
export function verify(publicKey: Bytes, signature: Bytes, label: string, ...parts: readonly Bytes[]): boolean {
  if (signature.length !== signatureBytes) return false;
  try {
    return verifyNative(null, labelledHash(label, ...parts), publicKeyObject(publicKey), signature);
  } catch {
    return false;
  }
}
