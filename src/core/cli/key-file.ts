// `--key FILE`: an existing Ed25519 key, its passphrase asked when it has one.

import type { KeyPair } from '../crypto/keys.ts';
import { importKey } from '../descriptor/key-import.ts';
import { readDocument } from './documents.ts';
import type { Invocation } from './invocation.ts';

const keyFileBytesMax = 64 * 1024;

export async function readKeyFile(invocation: Invocation, path: string): Promise<KeyPair> {
  const content = await readDocument(invocation, path, keyFileBytesMax);
  return importKey(content, async () => {
    const { askPassphrase } = await import('./questions.ts');
    return askPassphrase(invocation, `Passphrase of ${path}:`);
  });
}
