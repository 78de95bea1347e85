// A stored block as JSON: all that can be said of it without the key.

import { type Bytes, toBase64, toHex } from '../base/bytes.ts';
import { blockAddress } from '../block/address.ts';
import { decodeImmutable } from '../block/immutable.ts';

/** Throws `corrupt` when the bytes are no block. */
export function describeBlock(bytes: Bytes): Record<string, unknown> {
  const { cipher, treeTag, payload } = decodeImmutable(bytes);
  return {
    type: 'immutable',
    address: toHex(blockAddress(bytes)),
    cipher,
    tree_tag: toHex(treeTag),
    payload_bytes: payload.length,
    payload: toBase64(payload),
  };
}
