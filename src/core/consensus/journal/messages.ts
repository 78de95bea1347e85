// What writers and recovering leaders say to journal members (docs/protocols.md 4.3, docs/formats-consensus.md). A journal is
// named by the address of its tree's root register: nobody else can make one of that name.

import type { Bytes } from '../../base/bytes.ts';
import {
  attachment,
  bytes,
  type Codec,
  type CodecType,
  fixed,
  list,
  struct,
  u32,
  u48,
  u64,
  union,
} from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { address, storeId } from '../../block/address.ts';
import { hashBytes } from '../../crypto/hash.ts';
import { publicKeyBytes, signatureBytes } from '../../crypto/keys.ts';
import type { Method } from '../../peer/peer.ts';

/** A signed register state that holds the tree's root. */
const proof = bytes(limits.registerBatchBytesMax);
const chain = fixed(hashBytes);
const signature = fixed(signatureBytes);

const signedBatch = struct({
  first: u48,
  last: u48,
  /** Chain hash before it. */
  previous: chain,
  /** Of the writer over the chain hash behind it. */
  signature,
  data: attachment(limits.journalBatchBytesMax),
});
export type SignedBatch = CodecType<typeof signedBatch>;

const tail = struct({ segment: u32, author: fixed(publicKeyBytes), last: u48, chain });
export type Tail = CodecType<typeof tail>;

const answer = union({
  /** Held through `last`, all before included. */
  ok: struct({ last: u48 }),
  /** Not what comes next: continue behind `last`. */
  gap: struct({ last: u48 }),
  /** A higher epoch fences, or another writer was first in this place. */
  fenced: struct({ epoch: u64 }),
  /** A grant to a lower epoch runs for that long. */
  wait: struct({ ms: u32 }),
  /** The segment is not open here. */
  closed: struct({}),
  tails: struct({ tails: list(tail, limits.segmentsMax) }),
  batches: struct({ batches: list(signedBatch, 4096) }),
});
export type JournalAnswer = CodecType<typeof answer>;

/** `store` says in which member's name the node answers. */
export interface JournalResponse {
  store: Bytes;
  answer: JournalAnswer;
}
const response: Codec<JournalResponse> = struct({ store: storeId, answer });

export type JournalMethod<Q> = Method<Q, JournalResponse>;
function method<Q>(name: string, request: Codec<Q>): JournalMethod<Q> {
  return { name, request, response, right: 'write' };
}

export const journalOpen = method('jnl.open', struct({ tree: address, segment: u32, proof }));
export const journalAppend = method(
  'jnl.append',
  struct({ tree: address, segment: u32, epoch: u64, batch: signedBatch }),
);
export const journalFence = method('jnl.fence', struct({ tree: address, proof }));
export const journalRead = method('jnl.read', struct({ tree: address, epoch: u64, segment: u32, from: u48 }));
export const journalTrim = method('jnl.trim', struct({ tree: address, proof }));
export const journalHold = method('jnl.hold', struct({ tree: address, segment: u32, epoch: u64 }));
export const journalRelease = method('jnl.release', struct({ tree: address, segment: u32, epoch: u64 }));
/** Lets a member that lags go on behind records that the root contains. */
export const journalSkip = method(
  'jnl.skip',
  struct({ tree: address, segment: u32, through: u48, chain, signature, proof }),
);

/** A batch as this member holds it, for another member whose copy has rotted; what it says is proved by its writer's signature. */
export const journalCopy: JournalMethod<{ tree: Bytes; segment: number; first: number; last: number }> = {
  ...method('jnl.copy', struct({ tree: address, segment: u32, first: u48, last: u48 })),
  right: 'storage',
};

export type AppendRequest = CodecType<typeof journalAppend.request>;
export type SkipRequest = CodecType<typeof journalSkip.request>;
