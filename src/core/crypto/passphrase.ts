// From a passphrase to a key: scrypt (RFC 7914) with 128 MiB and about 0.4 s, in the thread pool.

import { scrypt } from 'node:crypto';
import type { Bytes } from '../base/bytes.ts';
import { deriveKey } from './hash.ts';

export const saltBytes = 32;
const cost = { N: 2 ** 17, r: 8, p: 1, maxmem: 192 * 1024 * 1024 };

/** 32 bytes; the same for the same passphrase and salt. */
export function passphraseKey(passphrase: string, salt: Bytes): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(passphrase.normalize('NFC'), salt, 32, cost, (error, key) => (error ? reject(error) : resolve(key)));
  });
}

/** May be kept in the open: tells whether a passphrase is the right one, as slowly as trying it does. */
export function passphraseCheck(key: Bytes): Buffer {
  return deriveKey(key, 'passphrase-check');
}
