// Agreed state. A *register* is one signed value at one address, with the configuration of members that agree on it
// (docs/protocols.md 2). A *journal* is a single-writer sequence of batches, fenced by epoch, on an ensemble named in a
// tree's root register (docs/protocols.md 4.3). The protocol cores are pure steps in `register/` and `journal/`; this file is
// what other layers use.

import type { Bytes } from '../base/bytes.ts';
import { bytes, type Codec, fixed, list, oneOf, optional, struct, u8, u32, u64 } from '../base/codec.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, address, type Member, member } from '../block/address.ts';
import type { AccessList, UnsignedAccess } from '../block/register.ts';
import type { KeyPair } from '../crypto/keys.ts';
import { endpoint } from '../runtime/endpoint.ts';

/** A register as agreed at one moment, verified: its signatures hold and its author may write. */
export interface RegisterSnapshot {
  readonly address: Address;
  /** Generation of the owner's last recovery, 0 before one: what follows it is newer than all before, and may have a lower version. */
  readonly recovered: number;
  /** Counts configurations. */
  readonly generation: number;
  readonly members: readonly Member[];
  /** The configuration is changing: quorums of both sets are needed. */
  readonly joint: boolean;
  readonly access: AccessList;
  /** Decided position of the value, 1 for the first. */
  readonly version: number;
  readonly valueHash: Bytes;
  readonly payload: Bytes;
  readonly author: Bytes;
  readonly deleted: boolean;
  /** The signed state, encoded: whoever holds it can verify it alone (journal members do). */
  readonly proof: Bytes;
}

export interface NewRegister {
  owner: KeyPair;
  /** Random; with the owner's key it gives the address. */
  salt: Bytes;
  members: readonly Member[];
  access: UnsignedAccess;
  payload: Bytes;
}

/** What an owner says in an access list. */
export type NewAccess = Pick<AccessList, 'readers' | 'writers' | 'worldReader' | 'worldWrite'>;

export interface RegisterOptions extends Abortable {
  /** Where the members are thought to be; saves a search. */
  members?: readonly Member[] | undefined;
  timeoutMs?: number | undefined;
}

/**
 * The client side of registers. Reads and writes are linearizable per address; a state older than one this device has seen
 * is refused as `corrupt` ("rollback detected"). Errors: `unavailable` (no quorum answers; after a write: outcome unknown),
 * `denied` (rights), `conflict`.
 */
export interface Registers {
  /** Creates at an address that nobody else can create. */
  create(request: NewRegister, options?: RegisterOptions): Promise<RegisterSnapshot>;
  read(address: Address, options?: RegisterOptions): Promise<RegisterSnapshot>;
  /**
   * Agrees on `change(current)`; called again with a newer state when somebody else was first. When change throws, nothing
   * is written and the error is passed on: so a compare-and-set throws `conflict`. A write whose fate is unknown is settled
   * by reading before this resolves or throws. The answer is this write or something built on it. Writers who make the same
   * payload of the same state have written it once, and each is told so: who must know that it was he says who he is in it.
   */
  write(
    address: Address,
    author: KeyPair,
    change: (current: RegisterSnapshot) => Bytes,
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot>;
  /**
   * Agrees on another access list together with a payload, as `write` does; the version of the list is counted on, and `owner` signs
   * it. Whoever it leaves out is refused by every member from then on.
   */
  share(
    address: Address,
    owner: KeyPair,
    change: (current: RegisterSnapshot) => { payload: Bytes; access: NewAccess },
    options?: RegisterOptions,
  ): Promise<RegisterSnapshot>;
  /** Agrees on another set of members: through a joint configuration to the new simple one. A no-op when it is agreed. */
  reconfigure(address: Address, members: readonly Member[], options?: RegisterOptions): Promise<RegisterSnapshot>;
  /** Agrees once more on what stands, so that members which missed it have it too. */
  settle(address: Address, options?: RegisterOptions): Promise<RegisterSnapshot>;
  /** Which members hold less than what was read, or nothing; and which do not say. Never throws. */
  lagging(read: RegisterSnapshot): Promise<Lagging>;
  /** Marks deleted, for good. */
  delete(address: Address, author: KeyPair, options?: RegisterOptions): Promise<void>;
}

/** Members that missed what was agreed on, as far as they answer. */
export interface Lagging {
  readonly behind: readonly Member[];
  readonly silent: readonly Member[];
}

export interface JournalSegment {
  id: number;
  epoch: number;
  /** Sequence of its first record. */
  start: number;
  members: Member[];
}
export const journalSegment: Codec<JournalSegment> = struct({
  id: u32,
  epoch: u64,
  start: u64,
  members: list(member, limits.membersMax),
});

/** The payload of a tree's root register. All but `sealed` is in the clear: journal members must check it. */
export interface RootHeader {
  format: number;
  treeId: Bytes;
  epoch: number;
  /** `recovering`: fencing; nothing is served. `active`: led. `idle`: no leader, no record outside the root. */
  state: 'recovering' | 'active' | 'idle';
  /** The client that leads: its node id, its session and where followers reach it. */
  leader: { node: Address; session: Bytes; endpoints: { host: string; port: number }[] } | undefined;
  /** Highest journal sequence contained in the root. */
  applied: number;
  segments: JournalSegment[];
  gcGeneration: number;
  /** Root reference and what else only readers may know, sealed under the tree's key. */
  sealed: Bytes;
}
export const rootHeader: Codec<RootHeader> = struct({
  format: u8,
  treeId: fixed(16),
  epoch: u64,
  state: oneOf(['recovering', 'active', 'idle']),
  leader: optional(struct({ node: address, session: fixed(16), endpoints: list(endpoint, 4) })),
  applied: u64,
  segments: list(journalSegment, limits.segmentsMax),
  gcGeneration: u32,
  sealed: bytes(4096 + limits.accessNoteBytesMax),
});

/** One batch of a journal: records first..last under one AEAD, opaque here. */
export interface JournalBatch {
  first: number;
  last: number;
  data: Bytes;
}

/** The client side of journals (docs/protocols.md 4.2 to 4.5). */
export interface Journals {
  /**
   * Opens a segment that the chosen root lists (never before: model run Y7) and returns its writer.
   * Throws `conflict` when a member knows a higher epoch.
   */
  open(root: RegisterSnapshot, segment: JournalSegment, author: KeyPair, options?: Abortable): Promise<JournalWriter>;
  /**
   * Takeover steps T3 and T4: fences every member of every listed segment, waits for running grants, until a majority of
   * each segment is fenced; returns the batches with records above `applied`, in order and without a hole. Signatures and
   * chains are verified. Throws `conflict` (a higher epoch fences), `unavailable`, `corrupt` (a hole or a broken chain: a
   * typed alarm).
   */
  recover(root: RegisterSnapshot, options?: Abortable): Promise<JournalBatch[]>;
}

/** The append side of one segment. */
export interface JournalWriter {
  readonly segment: JournalSegment;
  /**
   * Resolves when a majority of the members holds the batch and all before it. Up to `limits.journalBatchesInFlightMax`
   * at once, in sequence order. Throws `conflict` once fenced (then the writer is dead), `unavailable` when closed.
   */
  append(batch: JournalBatch): Promise<void>;
  /** Monotonic time until which a majority of the members has granted this epoch (protocols 4.2); 0 when it never did. */
  grantedUntil(): number;
  /** Renews the grants without a record: one round trip, no flush. */
  hold(options?: Abortable): Promise<void>;
  /** Ends the grants at once, for a clean hand-over. */
  release(): Promise<void>;
  /** Lets members drop what the given chosen root contains. */
  trim(root: RegisterSnapshot): Promise<void>;
  /** Members that lag or do not answer for longer than 5 s: an ensemble change is due. */
  troubled(): readonly Member[];
  close(): void;
}
