// What trees say to each other: followers to the leader named in the root (docs/protocols.md 4.6). One set of methods a
// process; the tree id in every request says which tree is meant.

import type { Bytes } from '../base/bytes.ts';
import {
  attachment,
  bool,
  bytes,
  type Codec,
  type CodecType,
  empty,
  fixed,
  list,
  oneOf,
  optional,
  struct,
  text,
  u32,
  u48,
  u64,
  union,
} from '../base/codec.ts';
import { asError, errorKinds, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import type { Method } from '../peer/peer.ts';
import { treeIdBytes } from './root.ts';
import type { Effect, LockGuard } from './tree.ts';

export const clientIdBytes = 16;

const treeId = fixed(treeIdBytes);
const client = fixed(clientIdBytes);
const key = bytes(limits.treeKeyBytesMax);

/** `none`: the asked process does not lead this tree: whoever hears it may take over at once. */
export type Role = 'leading' | 'recovering' | 'none';
const role = oneOf(['leading', 'recovering', 'none']);

const errorDataCharsMax = 512;
const errorKind = oneOf(errorKinds);
const failed = struct({
  kind: errorKind,
  message: text(1024),
  hint: optional(text(1024)),
  /** JSON of small facts. */
  data: optional(text(errorDataCharsMax * 4)),
});
const moved = struct({ epoch: u64, role });

/** An operation as it is asked for, here or from another machine. */
export interface OperationRequest {
  treeId: Bytes;
  client: Bytes;
  /** Names the operation within its client: 1, 2, 3... */
  opSeq: number;
  /** The client will never ask again for this one or any before it. */
  ackedThrough: number;
  operation: Bytes;
  /** The client has forgotten all it was answered under a lease up to this count. */
  generation: number;
  /** Chunks the operation newly names, with the garbage generation they were put in. */
  chunks: { address: Bytes; generation: number }[];
  /** The lock session it relies on. */
  guard: LockGuard | undefined;
}
const operationRequest: Codec<OperationRequest> = struct({
  treeId,
  client,
  opSeq: u64,
  ackedThrough: u64,
  operation: attachment(limits.operationBytesMax),
  generation: u64,
  chunks: list(struct({ address, generation: u32 }), limits.operationChunksMax),
  guard: optional(struct({ client, session: u64 })),
});

/** How an operation or a query ended. `expired`: the leader has forgotten this client; nothing was executed now. */
export const outcome = union({
  done: struct({ reply: attachment(limits.answerBytesMax), sequence: u64 }),
  failed,
  moved,
  expired: struct({}),
});
export type Outcome = CodecType<typeof outcome>;

const effect: Codec<Effect> = union({
  put: struct({ key, value: bytes(limits.operationBytesMax) }),
  delete: struct({ key }),
  deleteRange: struct({ from: key, to: key }),
});

/** What one acknowledged operation changed. */
export interface Change {
  sequence: number;
  effects: Effect[];
  /** Changes up to this one were missed: what is cached must be read again. */
  missed?: boolean;
}

const changes = union({
  /** In order, without a hole after the number asked for; `through` is the last one considered. */
  changed: struct({ through: u64, changes: list(struct({ sequence: u64, effects: list(effect, 65_536) }), 4096) }),
  /** Some changes after the number asked for are no longer known; `through` is the newest acknowledged. */
  gap: struct({ through: u64 }),
  moved,
});
export type Changes = CodecType<typeof changes>;

export const treeDo: Method<OperationRequest, Outcome> = {
  name: 'tree.do',
  request: operationRequest,
  response: outcome,
  right: 'write',
};

export interface QueryRequest {
  treeId: Bytes;
  query: Bytes;
  /** How often the client has forgotten what it was answered. */
  generation: number;
}
/** For how long the client may repeat the answer, counted from before it asked, unless it is told to forget; 0: not at all. */
export interface QueryAnswer {
  outcome: Outcome;
  leaseMs: number;
}
export const treeQuery: Method<QueryRequest, QueryAnswer> = {
  name: 'tree.query',
  request: struct({ treeId, query: attachment(limits.operationBytesMax), generation: u64 }),
  response: struct({ outcome, leaseMs: u32 }),
  right: 'member',
};

/** To a follower: nothing it was answered is true any more. Whoever says so for no reason only makes it ask again. */
export const treeInvalidate: Method<{ treeId: Bytes }, Record<string, never>> = {
  name: 'tree.invalidate',
  request: struct({ treeId }),
  response: empty,
  right: 'member',
};

/** Whether the asked process leads, and in which epoch. */
export interface AttachReply {
  role: Role;
  epoch: number;
  sequence: number;
}
export const treeAttach: Method<{ treeId: Bytes; client: Bytes }, AttachReply> = {
  name: 'tree.attach',
  request: struct({ treeId, client }),
  response: struct({ role, epoch: u64, sequence: u64 }),
  right: 'member',
};

/** Changes after a sequence; waits for the first one up to `waitMs`. */
export interface WatchRequest {
  treeId: Bytes;
  after: number;
  waitMs: number;
}
export const treeWatch: Method<WatchRequest, Changes> = {
  name: 'tree.watch',
  request: struct({ treeId, after: u64, waitMs: u32 }),
  response: changes,
  right: 'member',
};

/** How the garbage collection of a tree stands, at its leader. */
export interface CollectionStatus {
  state: 'idle' | 'tidying' | 'marking' | 'waiting' | 'sweeping';
  /** Of the cycle that runs, or the last one. */
  generation: number;
  /** How long readers of what is gone still have. */
  waitMs: number;
  /** A cycle was asked for and has not begun. */
  asked: boolean;
  /** The last cycle that ended well: nodes that swept and nodes left out, copies that went. */
  last:
    | { generation: number; endedMs: number; nodes: number; missed: number; blocks: number; bytes: number }
    | undefined;
  lastError: string | undefined;
}
const collectionStatus: Codec<CollectionStatus> = struct({
  state: oneOf(['idle', 'tidying', 'marking', 'waiting', 'sweeping']),
  generation: u32,
  waitMs: u48,
  asked: bool,
  last: optional(struct({ generation: u32, endedMs: u64, nodes: u32, missed: u32, blocks: u48, bytes: u64 })),
  lastError: optional(text(2048)),
});

/** From the tree's owner, who leads next: the asked process commits, resigns and lets others be first for a while. */
export const treeYield: Method<{ treeId: Bytes }, Record<string, never>> = {
  name: 'tree.yield',
  request: struct({ treeId }),
  response: empty,
  right: 'write',
};

/** Asks the leader for a garbage cycle (with how long readers have; absent: only how it stands). */
export interface CollectRequest {
  treeId: Bytes;
  begin: { graceMs: number | undefined } | undefined;
}
export const treeCollect: Method<CollectRequest, { status: CollectionStatus | undefined }> = {
  name: 'tree.collect',
  request: struct({ treeId, begin: optional(struct({ graceMs: optional(u48) })) }),
  /** Absent: the asked process does not lead. */
  response: struct({ status: optional(collectionStatus) }),
  right: 'write',
};

/** An error as an outcome, and back. Facts that are too long to travel stay behind. */
export function failedOutcome(error: unknown): Outcome & { type: 'failed' } {
  const { kind, message, hint, data } = asError(error);
  const facts = data && JSON.stringify(data);
  return {
    type: 'failed',
    kind,
    message: message.slice(0, 512),
    hint: hint?.slice(0, 512),
    data: facts && facts.length <= errorDataCharsMax ? facts : undefined,
  };
}
export function errorOf(outcome: Outcome & { type: 'failed' }): InfinitError {
  const { kind, message, hint, data } = outcome;
  return new InfinitError(kind, message, {
    ...(hint !== undefined && { hint }),
    ...(data !== undefined && { data: factsOf(data) }),
  });
}

/** Facts from another machine: an object, or nothing. */
function factsOf(text: string): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === 'object' && value !== null && !Array.isArray(value)) return { ...value };
  } catch {
    // What is no JSON says nothing.
  }
  return {};
}
