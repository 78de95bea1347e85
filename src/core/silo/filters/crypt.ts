// The filter `crypt`: values are sealed before they reach the device, under a key made of a passphrase. What nodes keep is
// encrypted by its writers already; this hides the rest (records of registers and journals, tags of trees) from whoever owns
// the device. Keys are not hidden: they are hashes. docs/formats-silo.md has the bytes.

import { createDecipheriv } from 'node:crypto';
import { type Bytes, equalBytes, fromBase64 } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { nonceBytes, open, seal, tagBytes } from '../../crypto/cipher.ts';
import { deriveKey, hmac } from '../../crypto/hash.ts';
import { passphraseCheck, passphraseKey } from '../../crypto/passphrase.ts';
import type { Random } from '../../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, notFound, spaceIndex } from '../entries.ts';
import { passing } from '../passing.ts';
import type { Silo, SiloConfig, SiloEntry, SiloKey, SiloKind, SiloStart, Space } from '../silo.ts';
import { clearBackends, oneBackend } from './backends.ts';

const format = 1;
const headBytes = 1 + nonceBytes;
const addedBytes = headBytes + tagBytes;
const cipherBlockBytes = 16;
/** A range this near to the start is read together with the nonce. */
const nearBytes = 64 * 1024;
/** A value may be replaced between two reads; more often than this it is no coincidence. */
const readAttempts = 8;

export const cryptKind: SiloKind = {
  name: 'crypt',
  open: async (config, around) => {
    const inner = oneBackend(config);
    const key = await keyOf(config, await around.secrets('crypt', config.account ?? ''));
    return cryptSilo(await around.open(inner, { addedBytes }), key, around.runtime.random, around.addedBytes);
  },
  clear: clearBackends,
};

async function keyOf(config: SiloConfig, secret: Readonly<Record<string, string>>): Promise<Buffer> {
  const { salt, check, account } = config;
  if (salt === undefined || check === undefined || secret.passphrase === undefined)
    throw new InfinitError('corrupt', 'a crypt silo needs a salt, a check and a passphrase');
  const key = await passphraseKey(secret.passphrase, fromBase64(salt));
  if (equalBytes(passphraseCheck(key), fromBase64(check))) return key;
  throw new InfinitError('denied', `the passphrase "${account}" is not that of this crypt silo`, {
    hint: `infinit credentials add --crypt ${account} --replace`,
  });
}

export function cryptSilo(inner: Silo, secret: Bytes, random: Pick<Random, 'bytes'>, outerBytes = 0): Silo {
  const master = deriveKey(secret, 'silo-crypt-values');
  const associated = (space: Space, key: SiloKey) => Buffer.concat([Buffer.of(spaceIndex(space)), key]);
  /** Each place has a key of its own, so that random nonces never meet, however much is written. */
  const keyAt = (space: Space, key: SiloKey) => hmac(master, associated(space, key));

  const sealed = (space: Space, key: SiloKey, value: Bytes): Buffer => {
    const nonce = random.bytes(nonceBytes);
    const body = seal(keyAt(space, key), nonce, value, associated(space, key));
    return Buffer.concat([Buffer.of(format), nonce, body]);
  };
  const opened = (space: Space, key: SiloKey, stored: Buffer): Buffer => {
    checkFormat(space, stored);
    const nonce = stored.subarray(1, headBytes);
    return open(keyAt(space, key), nonce, stored.subarray(headBytes), associated(space, key));
  };
  const get: Silo['get'] = async (space, key, options) => opened(space, key, await inner.get(space, key, options));
  const batch = async (entries: readonly SiloEntry[]): Promise<void> => {
    checkEntries(entries, outerBytes);
    await inner.batch(
      entries.map((entry) => {
        const { space, key, value } = entry;
        return value === undefined ? entry : { space, key, value: sealed(space, key, value) };
      }),
    );
  };
  /** Bytes from `offset` of the stored value, of which the nonce is known, as far as they were read. */
  const decrypted = (space: Space, key: SiloKey, nonce: Bytes, body: Bytes, offset: number): Buffer => {
    const first = Math.floor(offset / cipherBlockBytes);
    const decipher = createDecipheriv('aes-256-ctr', keyAt(space, key), counterBlock(nonce, first));
    return decipher.update(body).subarray(offset - first * cipherBlockBytes);
  };
  return passing(inner, {
    get,
    verify: async (space, key) => void (await get(space, key)),
    size: async (space, key) => {
      const stored = await inner.size(space, key);
      return stored === undefined ? undefined : Math.max(0, stored - addedBytes);
    },
    put: (space, key, value) => batch([{ space, key, value }]),
    batch,
    getRange: async (space, key, offset, length) => {
      checkRange(offset, length);
      for (let attempt = 0; attempt < readAttempts; attempt++) {
        const part = await readPart(inner, space, key, offset, length);
        if (part === undefined) continue;
        checkFormat(space, part.head);
        return decrypted(space, key, part.head.subarray(1, headBytes), part.body, part.from);
      }
      throw new InfinitError('unavailable', `a stored ${space} changes faster than it can be read`);
    },
    scan: (space, startBytes, after) => scanned(inner, space, startBytes, after, decrypted),
  });
}

interface Part {
  head: Buffer;
  /** From a whole cipher block on. */
  body: Buffer;
  /** Where in the value the range begins. */
  from: number;
}

/** Head and body of one version of a value; undefined when it was replaced in between. */
async function readPart(
  inner: Silo,
  space: Space,
  key: SiloKey,
  offset: number,
  length: number,
): Promise<Part | undefined> {
  checkKey(space, key);
  const stored = await inner.size(space, key);
  if (stored === undefined) throw notFound(space);
  const bytes = Math.max(0, stored - addedBytes);
  const from = Math.min(offset, bytes);
  const to = from + Math.min(length, bytes - from);
  if (from <= nearBytes) {
    const start = await inner.getRange(space, key, 0, headBytes + to);
    const same = (await inner.size(space, key)) === stored;
    const first = headBytes + Math.floor(from / cipherBlockBytes) * cipherBlockBytes;
    return same ? { head: start.subarray(0, headBytes), body: start.subarray(first), from } : undefined;
  }
  const first = Math.floor(from / cipherBlockBytes) * cipherBlockBytes;
  const head = await inner.getRange(space, key, 0, headBytes);
  const body = await inner.getRange(space, key, headBytes + first, to - first);
  const again = await inner.getRange(space, key, 0, headBytes);
  return equalBytes(head, again) ? { head, body, from } : undefined;
}

async function* scanned(
  inner: Silo,
  space: Space,
  startBytes: number,
  after: SiloKey | undefined,
  decrypted: (space: Space, key: SiloKey, nonce: Bytes, body: Bytes, offset: number) => Buffer,
): AsyncGenerator<SiloStart> {
  // So many that what comes short of it is a whole value, whose tag is at the end.
  const wanted = startBytes + addedBytes;
  for await (const { key, start } of inner.scan(space, wanted, after)) {
    const bytes = Math.min(startBytes, Math.max(0, start.length - addedBytes));
    const body = start.subarray(headBytes, headBytes + bytes);
    yield { key, start: decrypted(space, key, start.subarray(1, headBytes), body, 0) };
  }
}

/** The counter of GCM at a block of the body: its first is 2. */
function counterBlock(nonce: Bytes, index: number): Buffer {
  const block = Buffer.alloc(cipherBlockBytes);
  block.set(nonce);
  block.writeUInt32BE(2 + index, nonceBytes);
  return block;
}

function checkFormat(space: Space, stored: Buffer): void {
  if (stored.length < headBytes || stored[0] !== format)
    throw new InfinitError('corrupt', `a stored ${space} is not sealed`);
}
