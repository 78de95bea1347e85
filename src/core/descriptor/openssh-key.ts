// OpenSSH private key files (openssh-key-v1), plain or encrypted with AES under a bcrypt-derived key. Ed25519 only.

import { createDecipheriv, type DecipherGCM } from 'node:crypto';
import { type Bytes, equalBytes, utf8 } from '../base/bytes.ts';
import { Reader } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { type KeyPair, keyPairFromSeed, seedBytes } from '../crypto/keys.ts';
import { bcryptPbkdf } from './bcrypt-pbkdf.ts';

const magic = utf8('openssh-key-v1\0');
const algorithm = 'ssh-ed25519';
const blockBytes = 16;
const ciphers: { [name: string]: { name: string; keyBytes: number; nonceBytes: number } } = {};
for (const bits of [128, 192, 256])
  for (const mode of ['ctr', 'cbc'])
    ciphers[`aes${bits}-${mode}`] = { name: `aes-${bits}-${mode}`, keyBytes: bits / 8, nonceBytes: blockBytes };
for (const bits of [128, 256])
  ciphers[`aes${bits}-gcm@openssh.com`] = { name: `aes-${bits}-gcm`, keyBytes: bits / 8, nonceBytes: 12 };

export interface OpenSshKey {
  /** Of the key in the file, e.g. `ssh-ed25519`. */
  readonly algorithm: string;
  readonly encrypted: boolean;
  /** Throws `denied` for a wrong passphrase, `unsupported`, `corrupt`. */
  open(passphrase: string): KeyPair;
}

/** Reads the outer layer; throws `corrupt`. */
export function parseOpenSshKey(file: Bytes): OpenSshKey {
  const reader = new Reader(file);
  if (!equalBytes(reader.raw(Math.min(magic.length, reader.remaining)), magic))
    throw new InfinitError('corrupt', 'not an OpenSSH private key');
  const cipher = text(reader);
  const derivation = text(reader);
  const options = string(reader);
  if (reader.u32() !== 1) throw new InfinitError('unsupported', 'the file holds more than one key');
  const publicKey = new Reader(string(reader));
  const sealed = string(reader);
  const tag = reader.raw(reader.remaining);
  const encrypted = cipher !== 'none';
  return {
    algorithm: text(publicKey),
    encrypted,
    open: (passphrase) => {
      const plain = encrypted ? decrypt({ cipher, derivation, options, sealed, tag }, passphrase) : sealed;
      return keyPairOf(plain, encrypted);
    },
  };
}

interface Encrypted {
  cipher: string;
  derivation: string;
  /** Of the derivation. */
  options: Bytes;
  sealed: Buffer;
  /** Of authenticated ciphers; else empty. */
  tag: Buffer;
}

function decrypt({ cipher, derivation, options, sealed, tag }: Encrypted, passphrase: string): Buffer {
  const known = Object.hasOwn(ciphers, cipher) ? ciphers[cipher] : undefined;
  if (known === undefined || derivation !== 'bcrypt')
    throw new InfinitError('unsupported', `key files encrypted with ${cipher} and ${derivation} are not supported`, {
      hint: 're-encrypt the file: ssh-keygen -p -Z aes256-ctr -f FILE',
    });
  const authenticated = known.name.endsWith('gcm');
  if (sealed.length % blockBytes !== 0 || tag.length !== (authenticated ? blockBytes : 0))
    throw new InfinitError('corrupt', 'key file is truncated');
  const reader = new Reader(options);
  const salt = string(reader);
  const rounds = reader.u32();
  reader.end();
  const material = bcryptPbkdf(utf8(passphrase), salt, rounds, known.keyBytes + known.nonceBytes);
  const [key, nonce] = [material.subarray(0, known.keyBytes), material.subarray(known.keyBytes)];
  const decipher = createDecipheriv(known.name, key, nonce);
  decipher.setAutoPadding(false);
  if (authenticated) (decipher as DecipherGCM).setAuthTag(tag);
  try {
    return Buffer.concat([decipher.update(sealed), decipher.final()]);
  } catch (cause) {
    throw new InfinitError('denied', 'wrong passphrase', { cause });
  }
}

function keyPairOf(plain: Buffer, encrypted: boolean): KeyPair {
  const reader = new Reader(plain);
  const [check, again] = [reader.u32(), reader.u32()];
  if (check !== again)
    throw encrypted
      ? new InfinitError('denied', 'wrong passphrase')
      : new InfinitError('corrupt', 'key file is damaged');
  if (text(reader) !== algorithm) throw new InfinitError('corrupt', 'key file holds another kind of key than it says');
  const publicKey = string(reader);
  const secret = string(reader);
  string(reader); // comment
  for (let pad = 1; reader.remaining > 0; pad++)
    if (reader.u8() !== pad) throw new InfinitError('corrupt', 'key file has wrong padding');
  if (secret.length !== 2 * seedBytes) throw new InfinitError('corrupt', 'key file has a key of wrong length');
  const pair = keyPairFromSeed(Buffer.from(secret.subarray(0, seedBytes)));
  if (!equalBytes(pair.publicKey, publicKey))
    throw new InfinitError('corrupt', 'key file: the private key does not belong to the public key');
  return pair;
}

/** A byte string behind its length, as SSH writes them; never longer than what is left. */
function string(reader: Reader): Buffer {
  return reader.raw(reader.u32());
}

function text(reader: Reader): string {
  return string(reader).toString('latin1');
}
