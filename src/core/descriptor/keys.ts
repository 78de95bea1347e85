// Keys as descriptors carry them, and the short hashes by which people name keys.

import { type Bytes, fromBase64, toBase64, toHex } from '../base/bytes.ts';
import { deriveKey, hash, labelledHash } from '../crypto/hash.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { boxKeyPair } from '../crypto/sealed-box.ts';
import type { PublicKeyJson } from './descriptor.ts';

/** The key of a descriptor that passed its checks. */
export function keyFromJson(json: PublicKeyJson): Buffer {
  return fromBase64(json.ed25519);
}

export function keyToJson(key: Bytes): PublicKeyJson {
  return { ed25519: toBase64(key) };
}

export function sameKey(a: PublicKeyJson, b: PublicKeyJson): boolean {
  return a.ed25519 === b.ed25519;
}

/** `#` and the first six hex digits of the key's hash. */
export function userHash(key: PublicKeyJson): string {
  return `#${toHex(hash(keyFromJson(key))).slice(0, 6)}`;
}

/** Base64 of a node's id, as links and `--node-id` have it. */
export function nodeIdText(publicKey: Bytes): string {
  return toBase64(labelledHash('node', publicKey));
}

/** The members pair of a network: derived, so that the owner has it on every device his seed is on. */
export function membersKeyPair(owner: KeyPair, salt: Bytes): { publicKey: Buffer; secretKey: Buffer } {
  return boxKeyPair(deriveKey(Buffer.concat([owner.seed, salt]), 'members'));
}
