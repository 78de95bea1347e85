// Existing Ed25519 keys as users: OpenSSH private keys and PEM PKCS#8, plain or under a passphrase.

import { createPrivateKey, type KeyObject } from 'node:crypto';
import { asBuffer, type Bytes, fromBase64 } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { type KeyPair, keyPairFromSeed } from '../crypto/keys.ts';
import { parseOpenSshKey } from './openssh-key.ts';

/** Asked only when the key is encrypted. */
export type Passphrase = () => Promise<string> | string;

/** Throws `unsupported` for RSA and other kinds of keys, `denied` for a wrong passphrase, `corrupt`, `usage`. */
export async function importKey(file: Bytes | string, passphrase: Passphrase): Promise<KeyPair> {
  if (file.length > limits.keyFileBytesMax) throw new InfinitError('corrupt', 'key file is too large');
  const text = typeof file === 'string' ? file : asBuffer(file).toString('latin1');
  const armour = /-----BEGIN ([A-Z0-9 ]{1,64})-----([^-]*)-----END \1-----/.exec(text);
  if (/-----BEGIN [A-Z0-9 ]*PUBLIC KEY-----/.test(text) || /^(ssh|ecdsa)-[a-z0-9-]+ /.test(text))
    throw new InfinitError('usage', 'the key file holds a public key; the private key is needed');
  if (armour === null) throw new InfinitError('corrupt', 'the key file is neither an OpenSSH nor a PEM private key');
  const [pem, label = '', body = ''] = armour;
  switch (label) {
    case 'OPENSSH PRIVATE KEY':
      return fromOpenSsh(fromBase64(body), passphrase);
    case 'PRIVATE KEY':
      return fromPkcs8(pem, undefined);
    case 'ENCRYPTED PRIVATE KEY':
      return fromPkcs8(pem, await passphrase());
    default:
      throw refused(label.replace(/ ?PRIVATE KEY$/, ''));
  }
}

async function fromOpenSsh(file: Buffer, passphrase: Passphrase): Promise<KeyPair> {
  const key = parseOpenSshKey(file);
  if (key.algorithm !== 'ssh-ed25519') throw refused(key.algorithm);
  return key.open(key.encrypted ? await passphrase() : '');
}

function fromPkcs8(pem: string, passphrase: string | undefined): KeyPair {
  let key: KeyObject;
  try {
    key = createPrivateKey({ key: pem, format: 'pem', ...(passphrase !== undefined && { passphrase }) });
  } catch (cause) {
    throw passphrase === undefined
      ? new InfinitError('corrupt', 'the key file is damaged', { cause })
      : new InfinitError('denied', 'wrong passphrase, or the key file is damaged', { cause });
  }
  if (key.asymmetricKeyType !== 'ed25519') throw refused(key.asymmetricKeyType ?? 'unknown');
  const seed = key.export({ format: 'jwk' }).d;
  if (seed === undefined) throw new InfinitError('corrupt', 'the key file holds no private key');
  return keyPairFromSeed(Buffer.from(seed, 'base64url'));
}

function refused(kind: string): InfinitError {
  const name = /rsa/i.test(kind) ? 'RSA' : /ec/i.test(kind) ? 'ECDSA' : kind;
  return new InfinitError('unsupported', `${name} keys are not supported: infinit uses Ed25519 keys`, {
    hint: 'make one: ssh-keygen -t ed25519',
  });
}
