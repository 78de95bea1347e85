// What register proposers and acceptors say to each other, and how it travels: batches of up to `limits.registerBatchMax`
// messages for different registers in one call (docs/protocols.md 2.2, docs/formats-consensus.md).

import type { Bytes } from '../../base/bytes.ts';
import {
  bool,
  bytes,
  type Codec,
  type CodecType,
  fixed,
  list,
  optional,
  struct,
  text,
  u32,
  union,
} from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { type Address, address, type Member, member, storeId } from '../../block/address.ts';
import { type RegisterConfig, registerConfig } from '../../block/register.ts';
import { recoveredAt, type StateImage } from '../../block/register-validity.ts';
import { hashBytes } from '../../crypto/hash.ts';
import type { Method } from '../../peer/peer.ts';
import { type Ballot, ballot, compareBallots } from './ballot.ts';

/** A ballot with the state proposed at it, and the configuration the proposer started from. */
export interface Entry {
  ballot: Ballot;
  image: StateImage;
  from: RegisterConfig;
}

/** Which of two entries is later: the one after the owner's last recovery, else the one of the higher ballot. */
export function compareEntries(a: Entry, b: Entry): number {
  return recoveredAt(a.image.state) - recoveredAt(b.image.state) || compareBallots(a.ballot, b.ballot);
}

/** Tells an acceptor that its entry at that ballot, with that state, is chosen. Rides in front of the next batch. */
export interface CommitHint {
  ballot: Ballot;
  hash: Bytes;
}

/** An accepted entry that names whom it is shown to: among the new members of a joint state, or as a member above his floor. */
export interface Evidence {
  ballot: Ballot;
  image: StateImage;
  from: RegisterConfig;
}

export type Message =
  | { type: 'read'; known: Bytes | undefined }
  | { type: 'prepare'; ballot: Ballot; known: Bytes | undefined; evidence: Evidence | undefined }
  | {
      type: 'accept';
      ballot: Ballot;
      image: StateImage;
      from: RegisterConfig;
      /** Also promised by accepting: the proposer's next write needs no prepare. */
      next: Ballot | undefined;
    }
  | ({ type: 'commit' } & CommitHint)
  /** A configuration without the receiver is said to be chosen: he asks its members, and gives up his record (2.3 rule 4). */
  | ({ type: 'retire' } & Moved);

/** Where a register is now: a simple configuration. */
export interface Moved {
  generation: number;
  current: Member[];
}

export interface Refusal {
  reason: string;
  /** Later it may say otherwise: what the member knows is behind, or it cannot read what it holds. Else it is for good. */
  passing: boolean;
}

export type Reply =
  /** To `read`: what is accepted, and whether it is known to be chosen. */
  | { type: 'entry'; entry: Entry; committed: boolean }
  /** To `prepare`; without entry from a member that holds nothing and was shown evidence. */
  | { type: 'promise'; entry: Entry | undefined; committed: boolean }
  | { type: 'accepted' }
  /** To `commit`, whatever it did. */
  | { type: 'noted' }
  | { type: 'refused'; promised: Ballot }
  /** Blank here: says nothing about whether the register exists. */
  | { type: 'unknown' }
  /** A stub is here. */
  | ({ type: 'moved' } & Moved)
  /** This store is in no configuration the message names. */
  | { type: 'not-member' }
  | ({ type: 'denied' } & Refusal);

const nothing = struct({});
const imageBytes = bytes(limits.registerBatchBytesMax);
const commitHint: Codec<CommitHint> = struct({ ballot, hash: fixed(hashBytes) });
const moved: Codec<Moved> = struct({ generation: u32, current: list(member, limits.membersMax) });

export const wireMessage = union({
  read: struct({ known: optional(fixed(hashBytes)) }),
  prepare: struct({
    ballot,
    known: optional(fixed(hashBytes)),
    evidence: optional(struct({ ballot, state: imageBytes, from: optional(registerConfig) })),
  }),
  accept: struct({
    ballot,
    state: imageBytes,
    /** Absent: the configuration of the state itself. */
    from: optional(registerConfig),
    next: optional(ballot),
  }),
  commit: commitHint,
  retire: moved,
});
export type WireMessage = CodecType<typeof wireMessage>;

const wireEntry = struct({
  ballot,
  hash: fixed(hashBytes),
  /** Absent: the asker said that it has the state of that hash. */
  state: optional(imageBytes),
  from: optional(registerConfig),
});
export type WireEntry = CodecType<typeof wireEntry>;

export const wireReply = union({
  entry: struct({ entry: wireEntry, committed: bool }),
  promise: struct({ entry: optional(wireEntry), committed: bool }),
  accepted: nothing,
  noted: nothing,
  refused: struct({ promised: ballot }),
  unknown: nothing,
  moved,
  'not-member': nothing,
  denied: struct({ reason: text(256), passing: bool }),
});
export type WireReply = CodecType<typeof wireReply>;

const registerCall = struct({ address, message: wireMessage });
export interface RegisterCall {
  address: Address;
  message: WireMessage;
}

/**
 * Steps for many registers at one store: one flush, one reply. Fewer replies than calls: the rest did not fit and was not
 * looked at. `store` says in which member's name the node answers (G5).
 */
export const registerBatch: Method<{ calls: RegisterCall[] }, { store: Bytes; replies: WireReply[] }> = {
  name: 'reg.batch',
  request: struct({ calls: list(registerCall, limits.registerBatchMax) }),
  response: struct({ store: storeId, replies: list(wireReply, limits.registerBatchMax) }),
  right: 'member',
};
