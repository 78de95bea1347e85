// SHA-256 and what is derived from it.

import { createHash, createHmac, hash as hashOnce, hkdfSync } from 'node:crypto';
import { type Bytes, utf8 } from '../base/bytes.ts';

export const hashBytes = 32;

/** SHA-256 over the parts in order. */
export function hash(...parts: readonly Bytes[]): Buffer {
  // Without an object for the state, which takes as long as a short part.
  if (parts.length === 1) return hashOnce('sha256', parts[0] as Bytes, 'buffer');
  const digest = createHash('sha256');
  for (const part of parts) digest.update(part);
  return digest.digest();
}

/** SHA-256 of a label, a zero byte and the parts: keeps uses apart. */
export function labelledHash(label: string, ...parts: readonly Bytes[]): Buffer {
  return hash(utf8(`infinit/${label}\0`), ...parts);
}

export function hmac(key: Bytes, ...parts: readonly Bytes[]): Buffer {
  const mac = createHmac('sha256', key);
  for (const part of parts) mac.update(part);
  return mac.digest();
}

/** HKDF-SHA256 (RFC 5869) without salt; the label keeps derived keys independent. */
export function deriveKey(secret: Bytes, label: string, length = 32): Buffer {
  return Buffer.from(hkdfSync('sha256', secret, new Uint8Array(0), `infinit/${label}`, length));
}
