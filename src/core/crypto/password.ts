// Passwords made into keys by scrypt (RFC 7914), in the thread pool: guessing costs as much memory and time as one use does.

import { scrypt } from 'node:crypto';
import type { Bytes } from '../base/bytes.ts';

/** `n` is the cost, a power of two: 1 KiB of memory each. */
export function stretch(password: string, salt: Bytes, { n, bytes }: { n: number; bytes: number }): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    const options = { N: n, r: 8, p: 1, maxmem: 2 * 1024 * n };
    // The same password typed on another keyboard: composed forms.
    scrypt(password.normalize('NFC'), salt, bytes, options, (error, key) => (error ? reject(error) : resolve(key)));
  });
}
