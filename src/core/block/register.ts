// What stands in a register: the access list signed by the owner, the value signed by its author, the configuration, and how
// an acceptor checks them (docs/protocols.md 2.1, 2.8).

import type { Bytes } from '../base/bytes.ts';
import { bool, bytes, type Codec, fixed, list, optional, struct, u32 } from '../base/codec.ts';
import { publicKeyBytes, signatureBytes } from '../crypto/keys.ts';

/** A key of the register's data sealed to one reader. */
export interface Reader {
  key: Bytes;
  sealed: Bytes;
}

/** Who may read and write; versioned and signed by the owner apart from the value. */
export interface AccessList {
  version: number;
  owner: Bytes;
  /** The data key sealed to each reader; the owner is one of them. Empty when the payload is in the clear. */
  readers: Reader[];
  /** Users beside the owner that may write. */
  writers: Bytes[];
  /** The data key sealed to the members key of the network: every passport holder reads. */
  worldReader: Bytes | undefined;
  /** Every passport that allows writing may write. */
  worldWrite: boolean;
  /** Of the owner over network, address and all of the above. */
  signature: Bytes;
}

export const accessList: Codec<AccessList> = struct({
  version: u32,
  owner: fixed(publicKeyBytes),
  readers: list(struct({ key: fixed(publicKeyBytes), sealed: bytes(256) }), 256),
  writers: list(fixed(publicKeyBytes), 256),
  worldReader: optional(bytes(256)),
  worldWrite: bool,
  signature: fixed(signatureBytes),
});
