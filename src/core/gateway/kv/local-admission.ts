// Admission within a home: whoever could open the socket is the user himself.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { nodeIdOf } from '../../block/address.ts';
import type { Admission, PeerIdentity } from '../../peer/peer.ts';

const greeting = Buffer.from('infinit key-value door 1');

export function localAdmission(publicKey: Bytes): Admission {
  return {
    self: identity(publicKey),
    present: () => greeting,
    admit(presented, remoteKey) {
      if (!equalBytes(presented, greeting)) throw new InfinitError('denied', 'not a key-value door of this version');
      return identity(remoteKey);
    },
    check: () => {},
  };
}

function identity(publicKey: Bytes): PeerIdentity {
  const rights = { write: true, storage: false, sign: false };
  return {
    id: nodeIdOf(publicKey),
    nodeKey: publicKey,
    userKey: publicKey,
    kind: 'client',
    rights,
    passportHash: Buffer.alloc(32),
  };
}
