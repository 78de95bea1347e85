// The key derivation of OpenSSH private keys: PBKDF2 whose hash is bcrypt over SHA-512, output bytes interleaved.

import { createHash } from 'node:crypto';
import { type Bytes, u32Bytes, utf8 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { Blowfish, wordsOf } from './blowfish.ts';

const outputBytes = 32;
const magic = utf8('OxychromaticBlowfishSwatDynamite');

/** Throws `corrupt` for parameters no OpenSSH writes. Blocks for about 15 ms a round. */
export function bcryptPbkdf(passphrase: Bytes, salt: Bytes, rounds: number, keyBytes: number): Buffer {
  if (passphrase.length === 0) throw new InfinitError('denied', 'empty passphrase');
  if (rounds < 1 || rounds > limits.bcryptRoundsMax || salt.length === 0 || keyBytes > 8 * outputBytes)
    throw new InfinitError('corrupt', `key derivation with ${rounds} rounds is out of range`);
  const password = wordsOf(sha512(passphrase));
  const key = Buffer.alloc(keyBytes);
  const blocks = Math.ceil(keyBytes / outputBytes);
  for (let block = 1; block <= blocks; block++) {
    let last = bcryptHash(password, wordsOf(sha512(salt, u32Bytes(block))));
    const sum = Buffer.from(last);
    for (let round = 1; round < rounds; round++) {
      last = bcryptHash(password, wordsOf(sha512(last)));
      for (let i = 0; i < outputBytes; i++) sum[i] = (sum[i] as number) ^ (last[i] as number);
    }
    for (let i = 0; i * blocks + block - 1 < keyBytes; i++) key[i * blocks + block - 1] = sum[i] as number;
  }
  return key;
}

function bcryptHash(password: Uint32Array, salt: Uint32Array): Buffer {
  const cipher = new Blowfish();
  cipher.expand(password, salt);
  for (let i = 0; i < 64; i++) {
    cipher.expand(salt);
    cipher.expand(password);
  }
  const words = wordsOf(magic);
  for (let i = 0; i < 64; i++) cipher.encrypt(words);
  const out = Buffer.alloc(outputBytes);
  words.forEach((word, i) => {
    out.writeUInt32LE(word, i * 4);
  });
  return out;
}

function sha512(...parts: readonly Bytes[]): Buffer {
  const digest = createHash('sha512');
  for (const part of parts) digest.update(part);
  return digest.digest();
}
