// The acceptor of one register at one store: a pure step (docs/protocols.md 2.3). The caller makes the returned record durable
// before it sends the reply whenever `persist` says so (G6).

import { equalBytes } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import type { Member } from '../../block/address.ts';
import { isRecovered, type StateImage } from '../../block/register-validity.ts';
import { type Ballot, compareBallots, higherBallot, zeroBallot } from './ballot.ts';
import type { CommitHint, Entry, Evidence, Message, Refusal, Reply } from './messages.ts';
import { hasMember, isJoining, mayFollow, votersOf } from './quorum.ts';

/** What a store keeps of one register. No record: the store is *blank*, and a blank store never votes unasked (G7). */
export interface AcceptorRecord {
  readonly promised: Ballot;
  /** Absent after a promise given on evidence: still blank in every other respect. */
  readonly accepted: Entry | undefined;
  /** The last entry known to be chosen. It may be forgotten in a crash: it only helps reads and refuses old values. */
  readonly committed: Committed | undefined;
  /** Instead of an accepted entry: the register has moved on without this store (rule 4). */
  readonly stub?: Stub | undefined;
}

/** What is left of a register whose chosen configuration does not name this store: where it went. */
export interface Stub {
  /** Of that configuration, which is simple. */
  readonly generation: number;
  readonly current: readonly Member[];
  /** Wall clock; after `limits.registerStubMs` only the store's floor is left. */
  readonly since: number;
}

export interface Committed {
  readonly ballot: Ballot;
  readonly version: number;
  readonly aclVersion: number;
  readonly deleted: boolean;
}

export interface AcceptorContext {
  /** Node and store this acceptor speaks for, and for no other (G5). */
  readonly self: Member;
  /** Wall clock: bounds how far ballots may run ahead, nothing else. */
  readonly now: number;
  /** Promised for all registers this store has forgotten. */
  readonly floor: Ballot;
  /** Why a state may not be accepted (signatures, rights, new members), given what is held; undefined: it may. */
  refuse(image: StateImage, held: Entry | undefined): Refusal | undefined;
}

export interface AcceptorStep {
  readonly record: AcceptorRecord | undefined;
  readonly persist: boolean;
  readonly reply: Reply;
}

export function acceptorStep(
  record: AcceptorRecord | undefined,
  message: Message,
  context: AcceptorContext,
): AcceptorStep {
  const unchanged = (reply: Reply): AcceptorStep => ({ record, persist: false, reply });
  switch (message.type) {
    case 'read':
      if (record?.stub) return unchanged(movedBy(record.stub));
      if (!record?.accepted) return unchanged({ type: 'unknown' });
      return unchanged({ type: 'entry', entry: record.accepted, committed: isCommitted(record) });
    case 'prepare':
      return prepare(record, message, context);
    case 'accept':
      return accept(record, message, context);
    case 'commit':
      return { record: record && withCommit(record, message), persist: false, reply: { type: 'noted' } };
    // A word that starts an inquiry (`retirement.ts`); the step is `retired`.
    case 'retire':
      return unchanged({ type: 'noted' });
  }
}

/** Rule 4, once it is verified that the stub's configuration is chosen by itself. What was promised stays promised. */
export function retired(record: AcceptorRecord, stub: Stub): AcceptorRecord {
  return { promised: record.promised, accepted: undefined, committed: undefined, stub };
}

/** Rule 5. */
function movedBy({ generation, current }: Stub): Reply {
  return { type: 'moved', generation, current: [...current] };
}

/** A store that moved out is let in again by a configuration later than the one it gave way to, and by no other. */
function isBehind(stub: Stub | undefined, { state }: StateImage): stub is Stub {
  return stub !== undefined && state.config.generation <= stub.generation;
}

function prepare(
  record: AcceptorRecord | undefined,
  message: Message & { type: 'prepare' },
  context: AcceptorContext,
): AcceptorStep {
  const unchanged = (reply: Reply): AcceptorStep => ({ record, persist: false, reply });
  const { ballot, evidence } = message;
  const accepted = record?.accepted;
  if (!accepted) {
    const stub = record?.stub;
    if (stub && (!evidence || isBehind(stub, evidence.image))) return unchanged(movedBy(stub));
    // Rule 1: without evidence that it is a member, and votes for no set it has left, a blank store counts towards no quorum.
    if (!evidence || !(namesAsNew(evidence, context.self) || (!stub && namesSinceFloor(evidence, context))))
      return unchanged({ type: 'unknown' });
    if (compareBallots(ballot, context.floor) <= 0) return unchanged({ type: 'refused', promised: context.floor });
    const refusal = context.refuse(evidence.image, undefined);
    if (refusal) return unchanged({ type: 'denied', ...refusal });
  }
  if (beyondHorizon(ballot, context)) return unchanged(tooFarAhead);
  const promised = record?.promised ?? zeroBallot;
  if (compareBallots(ballot, promised) <= 0) return unchanged({ type: 'refused', promised });
  const next: AcceptorRecord = { promised: ballot, accepted, committed: record?.committed, stub: record?.stub };
  return { record: next, persist: true, reply: { type: 'promise', entry: accepted, committed: isCommitted(next) } };
}

function namesAsNew({ image, from }: Evidence, self: Member): boolean {
  return isJoining(image.state.config, self) || (isJoining(from, self) && mayFollow(from, image.state.config));
}

/** What it may have forgotten is not above the floor, so it has voted for nothing since that entry was proposed. */
function namesSinceFloor({ ballot, image }: Evidence, { self, floor }: AcceptorContext): boolean {
  return hasMember(image.state.config.current, self) && compareBallots(ballot, floor) > 0;
}

function accept(
  record: AcceptorRecord | undefined,
  message: Message & { type: 'accept' },
  context: AcceptorContext,
): AcceptorStep {
  const unchanged = (reply: Reply): AcceptorStep => ({ record, persist: false, reply });
  const { ballot, image, from, next } = message;
  const held = record?.accepted;
  // Said again after its reply was lost: the ballot is one proposal's alone, so the answer is still true.
  if (held && compareBallots(held.ballot, ballot) === 0 && equalBytes(held.image.hash, image.hash))
    return unchanged({ type: 'accepted' });
  if (isBehind(record?.stub, image)) return unchanged(movedBy(record.stub));
  if (!hasMember(votersOf(image.state.config, from), context.self)) return unchanged({ type: 'not-member' });
  const promised = record?.promised ?? context.floor;
  if (compareBallots(ballot, promised) < 0) return unchanged({ type: 'refused', promised });
  if (!held && compareBallots(ballot, context.floor) <= 0)
    return unchanged({ type: 'refused', promised: context.floor });
  if (beyondHorizon(next ?? ballot, context)) return unchanged(tooFarAhead);
  // Below what was *accepted* is fine: that may never have been chosen. Below what was chosen is not (G8).
  // What its owner recovered begins anew, from less perhaps.
  const committed = held && isRecovered(held.image, image) ? undefined : record?.committed;
  const refusal = forGood(outdated(committed, image) ?? unsound(message)) ?? context.refuse(image, held);
  if (refusal) return unchanged({ type: 'denied', ...refusal });
  return {
    record: {
      promised: higherBallot(ballot, next ?? ballot),
      accepted: { ballot, image, from },
      committed,
    },
    persist: true,
    reply: { type: 'accepted' },
  };
}

/** Why a state is behind what is chosen; undefined: it is not. */
export function outdated(committed: Committed | undefined, image: StateImage): string | undefined {
  if (!committed) return undefined;
  const { value, access } = image.state;
  if (value.version < committed.version) return 'a later version is known to be chosen';
  if (access.version < committed.aclVersion) return 'a later access list is known to be chosen';
  if (committed.deleted && !value.deleted) return 'the register is deleted';
  return undefined;
}

function unsound({ ballot, image, from, next }: Message & { type: 'accept' }): string | undefined {
  if (!mayFollow(from, image.state.config)) return 'the configuration does not follow the one it starts from';
  if (next && compareBallots(next, ballot) <= 0) return 'the next ballot is not above this one';
  return undefined;
}

function withCommit(record: AcceptorRecord, { ballot, hash }: CommitHint): AcceptorRecord {
  const entry = record.accepted;
  if (!entry || compareBallots(entry.ballot, ballot) !== 0 || !equalBytes(entry.image.hash, hash)) return record;
  return { ...record, committed: committedBy(entry) };
}

/** What is known once that entry is known to be chosen. */
export function committedBy({ ballot, image }: Entry): Committed {
  const { value, access } = image.state;
  return { ballot, version: value.version, aclVersion: access.version, deleted: value.deleted };
}

/** Whether the accepted entry is known to be chosen. */
export function isCommitted({ accepted, committed }: AcceptorRecord): boolean {
  return accepted !== undefined && committed !== undefined && compareBallots(accepted.ballot, committed.ballot) === 0;
}

const tooFarAhead: Reply = { type: 'denied', ...forGood('the ballot is too far ahead of this clock') };

export function forGood(reason: string): Refusal;
export function forGood(reason: string | undefined): Refusal | undefined;
export function forGood(reason: string | undefined): Refusal | undefined {
  return reason === undefined ? undefined : { reason: reason.slice(0, 80), passing: false };
}

function beyondHorizon(ballot: Ballot, { now }: AcceptorContext): boolean {
  return ballot.round > now + limits.ballotHorizonMs;
}
