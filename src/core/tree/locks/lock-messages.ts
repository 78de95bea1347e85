// What a client of a tree says to its leader about locks (docs/protocols.md 4.10, docs/formats-tree.md). Every call names the
// client's lock session; numbers of calls tell a call said twice from another.

import {
  bool,
  type Codec,
  type CodecType,
  fixed,
  list,
  mapped,
  oneOf,
  optional,
  struct,
  u32,
  u64,
  union,
} from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import type { Method } from '../../peer/peer.ts';
import { clientIdBytes, type Outcome, outcome } from '../messages.ts';
import { treeIdBytes } from '../root.ts';
import { type LockPlace, lockSpaces } from '../tree.ts';

const wide: Codec<bigint> = mapped(
  fixed(8),
  (raw) => Buffer.from(raw).readBigUInt64BE(),
  (value) => {
    const raw = Buffer.alloc(8);
    raw.writeBigUInt64BE(value);
    return raw;
  },
);

const mode = oneOf(['shared', 'exclusive']);
const place: Codec<LockPlace> = struct({ space: oneOf(lockSpaces), resource: u64, owner: wide });
const range = struct({ from: wide, to: wide, mode, pid: u32 });
const ranges = list(range, limits.lockRangesPerPlaceMax);
/** What an owner has locked, all of it. */
const held = struct({ place, ranges });
export type HeldLocks = CodecType<typeof held>;

export const lockRequest = union({
  /** Begins the session, or takes up one the leader before knew, with all that was locked in it. */
  begin: struct({ reclaim: bool, held: list(held, limits.lockRangesPerClientMax) }),
  /** `wait`: until it is granted, under the number of this call. */
  lock: struct({ place, range, wait: bool }),
  unlock: struct({ place, from: wide, to: wide }),
  test: struct({ place, range }),
  /** Waits no more for what the call with that number asked for. */
  cancel: struct({ place, waiter: u64 }),
  /** What was granted behind that count to those who wait; waits for the first, a little. Keeps the session. */
  poll: struct({ seen: u64, waitMs: u32 }),
  end: struct({}),
});
export type LockRequest = CodecType<typeof lockRequest>;

export interface LockCall {
  treeId: Uint8Array;
  client: Uint8Array;
  /** The session: each of a client has another number. */
  session: number;
  /** 1, 2, 3... in the session; 0 for what may be said twice: begin, test, poll, end. */
  serial: number;
  /** All calls up to this one are answered: what comes of them still is not to be obeyed. */
  through: number;
  request: LockRequest;
}
export const lockCall: Codec<LockCall> = struct({
  treeId: fixed(treeIdBytes),
  client: fixed(clientIdBytes),
  session: u64,
  serial: u64,
  through: u64,
  request: lockRequest,
});

/** Counts changes of what the session holds: of two statements about a place the later one is true. */
const state = { revision: u64, ranges };

export const lockAnswer = union({
  /** `refused`: places of which something is somebody else's now. */
  begun: struct({ revision: u64, refused: list(place, limits.lockRangesPerClientMax) }),
  locked: struct({ result: oneOf(['granted', 'conflict', 'waiting', 'deadlock']), ...state }),
  unlocked: struct(state),
  /** `mine`: of the client that asks. */
  tested: struct({ found: optional(struct({ mine: bool, range })) }),
  /** `granted`: before it was said. */
  cancelled: struct({ granted: bool, ...state }),
  polled: struct({
    revision: u64,
    grants: list(struct({ waiter: u64, place, ...state }), limits.lockGrantsPerAnswerMax),
  }),
  ended: struct({}),
  /** Nothing new is granted yet: others may still take up what they had. */
  later: struct({ afterMs: u32 }),
  /** No such session here: it is to begin, or to be taken up. */
  unknown: struct({}),
  /** It cannot be taken up any more. */
  over: struct({}),
});
export type LockAnswer = CodecType<typeof lockAnswer>;

/** The outcome's reply is a `lockAnswer`. */
export const treeLock: Method<LockCall, Outcome> = {
  name: 'tree.lock',
  request: lockCall,
  response: outcome,
  right: 'write',
};

/** In the tree: the client may hold locks, and may take them up from another leader. */
export const lockSessionRecord = struct({ session: u64 });
