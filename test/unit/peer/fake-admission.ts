// Admission for tests: presents the node key and a word; admits whoever says the right word.

import { equalBytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Admission, PeerIdentity } from '../../../src/core/peer/peer.ts';

export function testKey(index: number): KeyPair {
  return keyPairFromSeed(Buffer.alloc(32, index + 1));
}

export interface FakeAdmission extends Admission {
  /** Ids whose passports are revoked now. */
  readonly revoked: Set<string>;
}

export interface FakeAdmissionOptions {
  word?: string;
  rights?: Partial<PeerIdentity['rights']>;
  /** The user of a node; its own key when absent. */
  userOf?: (nodeKey: Uint8Array) => Uint8Array;
}

export function fakeAdmission(key: KeyPair, options: FakeAdmissionOptions = {}): FakeAdmission {
  const word = options.word ?? 'friend';
  const flags = { write: true, storage: true, sign: true, ...options.rights };
  const identityOf = (publicKey: Uint8Array, rights: PeerIdentity['rights']): PeerIdentity => ({
    id: nodeIdOf(publicKey),
    nodeKey: publicKey,
    userKey: options.userOf?.(publicKey) ?? publicKey,
    kind: 'storage',
    rights,
    passportHash: Buffer.alloc(32),
  });
  const revoked = new Set<string>();
  return {
    revoked,
    self: identityOf(key.publicKey, flags),
    present: () => Buffer.from(JSON.stringify({ word, flags, key: key.publicKey.toString('hex') })),
    admit(presented, remoteKey) {
      const said = JSON.parse(Buffer.from(presented).toString());
      if (said.word !== word) throw new InfinitError('denied', `"${said.word}" is not the word`, { hint: 'ask' });
      if (!equalBytes(Buffer.from(said.key, 'hex'), remoteKey))
        throw new InfinitError('denied', 'presents another key');
      return identityOf(remoteKey, said.flags);
    },
    check(identity) {
      if (revoked.has(Buffer.from(identity.id).toString('hex'))) throw new InfinitError('denied', 'passport revoked');
    },
  };
}
