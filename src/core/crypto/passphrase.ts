// From a passphrase to a key: 128 MiB and about 0.4 s (`stretch`).

import type { Bytes } from '../base/bytes.ts';
import { deriveKey } from './hash.ts';
import { stretch } from './password.ts';

export const saltBytes = 32;
const cost = { n: 2 ** 17, bytes: 32 };

/** 32 bytes; the same for the same passphrase and salt. */
export function passphraseKey(passphrase: string, salt: Bytes): Promise<Buffer> {
  return stretch(passphrase, salt, cost);
}

/** May be kept in the open: tells whether a passphrase is the right one, as slowly as trying it does. */
export function passphraseCheck(key: Bytes): Buffer {
  return deriveKey(key, 'passphrase-check');
}
