// Existing Ed25519 keys as users: OpenSSH private keys and PEM PKCS#8, plain or under a passphrase.
import type { Bytes } from '../base/bytes.ts';
import type { KeyPair } from '../crypto/keys.ts';

/** `passphrase` is asked only when the key is encrypted. RSA: `unsupported`. Wrong passphrase: `denied`. */
export async function importKey(file: Bytes | string, passphrase: () => Promise<string> | string): Promise<KeyPair> {
  throw new Error('soon');
}
