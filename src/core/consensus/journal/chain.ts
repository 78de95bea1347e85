// The chain of a journal segment: each batch is hashed together with all before it, and the writer signs that hash. So a tail
// is proved by its last signature, and two members agree when their chain hashes do.

import { type Bytes, u32Bytes, u48Bytes, u64Bytes } from '../../base/bytes.ts';
import type { Address } from '../../block/address.ts';
import { hash, labelledHash } from '../../crypto/hash.ts';
import { type KeyPair, sign, verify } from '../../crypto/keys.ts';
import type { JournalBatch, JournalSegment } from '../consensus.ts';

const signatureLabel = 'journal';

/** A place in a segment: the last sequence and the chain hash there. */
export interface Position {
  last: number;
  chain: Bytes;
}

/** Where a segment begins; binds the chain to network, tree, segment and epoch. */
export function segmentStart(networkId: Bytes, tree: Address, { id, epoch, start }: JournalSegment): Position {
  const chain = labelledHash('journal-start', networkId, tree, u32Bytes(id), u64Bytes(epoch), u64Bytes(start));
  return { last: start - 1, chain };
}

export function nextChain(previous: Bytes, { first, last, data }: JournalBatch): Buffer {
  return labelledHash('journal-batch', previous, u48Bytes(first), u48Bytes(last), hash(data));
}

export function signChain(author: KeyPair, chain: Bytes): Buffer {
  return sign(author, signatureLabel, chain);
}

export function verifyChain(author: Bytes, chain: Bytes, signature: Bytes): boolean {
  return verify(author, signature, signatureLabel, chain);
}
