// AES-256-GCM by node:crypto. A key is either used once (fresh key a block, nonce = cell index) or with random nonces.
// Setting up a cipher costs about 9 us whatever the size: seal many small things together.

import { createCipheriv, createDecipheriv } from 'node:crypto';
import { asBuffer, type Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';

export const keyBytes = 32;
export const nonceBytes = 12;
export const tagBytes = 16;

/** Ciphertext followed by the 16-byte tag. `associated` is authenticated, not encrypted. */
export function seal(key: Bytes, nonce: Bytes, plain: Bytes, associated: Bytes): Buffer {
  const cipher = createCipheriv('aes-256-gcm', key, nonce);
  cipher.setAAD(associated);
  const body = cipher.update(plain);
  cipher.final();
  return Buffer.concat([body, cipher.getAuthTag()]);
}

/** The plain bytes. Throws `corrupt` when key, nonce, associated data or any byte is not what was sealed. */
export function open(key: Bytes, nonce: Bytes, sealed: Bytes, associated: Bytes): Buffer {
  if (sealed.length < tagBytes) throw new InfinitError('corrupt', 'sealed bytes are truncated');
  const cut = sealed.length - tagBytes;
  const decipher = createDecipheriv('aes-256-gcm', key, nonce);
  decipher.setAAD(associated);
  decipher.setAuthTag(asBuffer(sealed).subarray(cut));
  const plain = decipher.update(asBuffer(sealed).subarray(0, cut));
  try {
    decipher.final();
  } catch (error) {
    throw new InfinitError('corrupt', 'sealed bytes do not authenticate', { cause: error });
  }
  return plain;
}

/** A 12-byte nonce that is a counter: for keys used for one object only. */
export function counterNonce(counter: number): Buffer {
  const nonce = Buffer.alloc(nonceBytes);
  nonce.writeUIntBE(counter, nonceBytes - 6, 6);
  return nonce;
}
