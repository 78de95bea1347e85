// One attempt of a proposer at one ballot: a pure state machine (docs/protocols.md 2.4). Begin with `beginPrepare`, feed every
// answer and every silence, and when the phase is `ready` call `propose` with a state built on `top`. `beginAccept` skips the
// first half: for a ballot already promised (fast path), and for a genesis.

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { type Member, sameMember } from '../../block/address.ts';
import type { RegisterConfig } from '../../block/register.ts';
import { recoveredAt, type StateImage } from '../../block/register-validity.ts';
import { type Ballot, compareBallots, higherBallot } from './ballot.ts';
import type { Entry, Message, Refusal, Reply } from './messages.ts';
import { baseOf, hasMember, isJoining, isQuorum, nodesOf, sameConfig, votersOf } from './quorum.ts';

/** The last word of a node; `store` is the one it spoke for. Silence has none. */
interface Answer {
  readonly node: Bytes;
  readonly store: Bytes | undefined;
  readonly positive: boolean;
  /** Blank: worth asking again with evidence. */
  readonly unknown: boolean;
  /** It has promised a higher ballot: it never agrees at this one. */
  readonly refused: boolean;
  /** The entry it promised with, and whether it knows it to be chosen. */
  readonly entry: Entry | undefined;
  readonly committed: boolean;
}

export type Phase = 'preparing' | 'ready' | 'accepting' | 'chosen' | 'failed';

export interface Attempt {
  readonly ballot: Ballot;
  readonly phase: Phase;
  /** Highest entry promised with, if any. */
  readonly top: Entry | undefined;
  /** Somebody knows `top` to be chosen. */
  readonly topCommitted: boolean;
  /** A state the proposer knows to have been chosen. */
  readonly known: StateImage | undefined;
  /** What is proposed, once it is: from here on a failure leaves the outcome unknown. */
  readonly proposal: { readonly image: StateImage; readonly from: RegisterConfig } | undefined;
  /** Highest ballot heard of: the next attempt starts above it. */
  readonly highest: Ballot;
  /** Somebody knew the register, or refused in a way that shows it. */
  readonly heard: boolean;
  /** The first refusal on other grounds than ballots, one for good before one that passes. */
  readonly denied: Refusal | undefined;
  /** Answers `moved` that were followed: no chain of them is followed for ever. */
  readonly moves: number;
  /** Nodes asked in this phase; true: with evidence. */
  readonly asked: ReadonlyMap<string, boolean>;
  readonly answers: ReadonlyMap<string, Answer>;
}

export interface Send {
  node: Bytes;
  message: Message;
}

export interface ProposerStep {
  readonly attempt: Attempt;
  readonly send: Send[];
}

const nothingHeld = { entry: undefined, committed: false };

const fresh = {
  top: undefined,
  topCommitted: false,
  known: undefined,
  proposal: undefined,
  heard: false,
  denied: undefined,
  moves: 0,
  asked: new Map<string, boolean>(),
  answers: new Map<string, Answer>(),
};

/** Asks the nodes for a promise; more are asked as their configurations become known. */
export function beginPrepare(ballot: Ballot, nodes: readonly Bytes[], known: StateImage | undefined): ProposerStep {
  const phase = nodes.length > 0 ? 'preparing' : 'failed';
  const attempt: Attempt = { ...fresh, ballot, phase, highest: ballot, known };
  return ask(attempt, nodes, known?.hash);
}

/** Proposes at once at a ballot that a quorum of `from` has promised to this proposer, or a genesis at its first ballot. */
export function beginAccept(ballot: Ballot, image: StateImage, from: RegisterConfig, next?: Ballot): ProposerStep {
  const attempt: Attempt = { ...fresh, ballot, phase: 'ready', highest: ballot };
  return accepting(attempt, image, from, next);
}

/** Proposes a state built on `top`, when the phase is `ready`. */
export function propose(attempt: Attempt, image: StateImage, next?: Ballot): ProposerStep {
  if (attempt.phase !== 'ready' || !attempt.top) return { attempt, send: [] };
  return accepting(attempt, image, baseOfTop(attempt, attempt.top), next);
}

function accepting(attempt: Attempt, image: StateImage, from: RegisterConfig, next: Ballot | undefined): ProposerStep {
  const nodes = nodesOf(votersOf(image.state.config, from));
  const message: Message = { type: 'accept', ballot: attempt.ballot, image, from, next };
  return {
    attempt: {
      ...attempt,
      phase: 'accepting',
      proposal: { image, from },
      asked: new Map(nodes.map((node) => [toHex(node), false])),
      answers: new Map(),
    },
    send: nodes.map((node) => ({ node, message })),
  };
}

/** What a node answered in the name of one of its stores. */
export function onReply(attempt: Attempt, member: Member, message: Message['type'], reply: Reply): ProposerStep {
  if (!expects(attempt, message)) return { attempt, send: [] };
  const answer = (positive: boolean, unknown = false): Answer => ({
    ...member,
    positive,
    unknown,
    refused: reply.type === 'refused',
    ...nothingHeld,
  });
  const heard = { ...attempt, heard: true };
  switch (reply.type) {
    case 'promise': {
      return advance(withTop(withAnswer(heard, { ...answer(true), entry: reply.entry, committed: reply.committed })));
    }
    case 'accepted':
      return advance(withAnswer(heard, answer(true)));
    case 'refused':
      return advance(withAnswer({ ...heard, highest: higherBallot(attempt.highest, reply.promised) }, answer(false)));
    case 'denied':
      return advance(withAnswer({ ...heard, denied: firstForGood(attempt.denied, reply) }, answer(false)));
    case 'unknown':
      return advance(withAnswer(attempt, answer(false, true)));
    case 'moved': {
      // It may be new in a joint state that is not chosen yet: then it promises when shown that, as a blank one does.
      const told = withAnswer(heard, answer(false, true));
      if (told.phase !== 'preparing' || told.moves >= limits.movesFollowedMax) return advance(told);
      const further = ask({ ...told, moves: told.moves + 1 }, nodesOf(reply.current), told.top?.image.hash);
      const after = advance(further.attempt);
      return { attempt: after.attempt, send: [...further.send, ...after.send] };
    }
    default:
      return advance(withAnswer(attempt, answer(false)));
  }
}

/** A node that did not answer, or not in a way that can be believed. */
export function onSilence(attempt: Attempt, node: Bytes, message: Message['type']): ProposerStep {
  if (!expects(attempt, message)) return { attempt, send: [] };
  const silent = { node, store: undefined, positive: false, unknown: false, refused: false, ...nothingHeld };
  return advance(withAnswer(attempt, silent));
}

function expects(attempt: Attempt, message: Message['type']): boolean {
  return (
    (attempt.phase === 'preparing' && message === 'prepare') || (attempt.phase === 'accepting' && message === 'accept')
  );
}

function withAnswer(attempt: Attempt, answer: Answer): Attempt {
  return { ...attempt, answers: new Map(attempt.answers).set(toHex(answer.node), answer) };
}

/**
 * The highest entry promised with, since the owner last recovered the register. One under an earlier access list than one known to
 * be chosen since then cannot be: whoever accepted the later list refuses it. So a writer who was left out blocks nothing by what he
 * put where the later list had not arrived.
 */
function withTop(attempt: Attempt): Attempt {
  const told = [...attempt.answers.values()].flatMap(({ entry, committed }) => (entry ? [{ entry, committed }] : []));
  const chosen = told.filter(({ committed }) => committed).map(({ entry }) => entry.image.state);
  if (attempt.known) chosen.push(attempt.known.state);
  const recovered = Math.max(...[...told.map(({ entry }) => entry.image.state), ...chosen].map(recoveredAt), 0);
  const standing = chosen.filter((state) => recoveredAt(state) === recovered);
  const least = Math.max(...standing.map(({ access }) => access.version), 0);
  let top: Entry | undefined;
  let topCommitted = false;
  for (const { entry, committed } of told) {
    const { state } = entry.image;
    if (state.access.version < least || recoveredAt(state) < recovered) continue;
    const order = top ? compareBallots(entry.ballot, top.ballot) : 1;
    if (order >= 0) [top, topCommitted] = [entry, committed || (order === 0 && topCommitted)];
  }
  return { ...attempt, top, topCommitted };
}

/** Whether so many of those a first state names have promised higher ballots that it can never be chosen at this one. */
export function isBarred(attempt: Attempt, { config }: StateImage['state']): boolean {
  const has = (member: Member) => !(answerOf(attempt, member)?.refused ?? false);
  return !isQuorum(config, has);
}

/** Whether `top` is known to be chosen: then it is what the register says at the moment of the promises. */
export function isChosen(attempt: Attempt): boolean {
  const { top, known } = attempt;
  if (!top) return false;
  if (attempt.topCommitted || (known && equalBytes(known.hash, top.image.hash))) return true;
  const has = (member: Member) => {
    const entry = saysYes(attempt, member) ? answerOf(attempt, member)?.entry : undefined;
    return entry !== undefined && compareBallots(entry.ballot, top.ballot) === 0;
  };
  return isQuorum(top.image.state.config, has) && isQuorum(top.from, has);
}

/** Whether the configuration of `top` is known to be agreed on, and not only proposed. */
export function isSettled(attempt: Attempt): boolean {
  const { top, known } = attempt;
  if (!top) return false;
  const { config } = top.image.state;
  if (config.generation === top.from.generation || (known && sameConfig(known.state.config, config))) return true;
  return isChosen(attempt);
}

function baseOfTop(attempt: Attempt, top: Entry): RegisterConfig {
  return baseOf(top.image.state.config, top.from, isSettled(attempt));
}

function ask(attempt: Attempt, nodes: readonly Bytes[], known: Bytes | undefined): ProposerStep {
  const fresh = nodes.filter((node) => !attempt.asked.has(toHex(node)));
  const asked = new Map(attempt.asked);
  for (const node of fresh) asked.set(toHex(node), false);
  const message: Message = { type: 'prepare', ballot: attempt.ballot, known, evidence: undefined };
  return { attempt: { ...attempt, asked }, send: fresh.map((node) => ({ node, message })) };
}

function advance(attempt: Attempt): ProposerStep {
  if (attempt.phase === 'accepting') return advanceAccept(attempt);
  const { top } = attempt;
  if (!top) {
    const silent = attempt.answers.size === attempt.asked.size;
    return { attempt: silent ? { ...attempt, phase: 'failed' } : attempt, send: [] };
  }
  const { config } = top.image.state;
  // Always of the highest entry's configuration, both sets: the new set alone forks the register. And as long as a step out of
  // the joint state is not known to be chosen, of that joint state: the old set may not have heard of it.
  const base = baseOfTop(attempt, top);
  const enough = (has: (member: Member) => boolean) => isQuorum(config, has) && isQuorum(base, has);
  if (enough((member) => saysYes(attempt, member))) return { attempt: { ...attempt, phase: 'ready' }, send: [] };
  const wider = ask(attempt, nodesOf(votersOf(config, top.from)), top.image.hash);
  const proved = showEvidence(wider.attempt, top);
  const send = [...wider.send, ...proved.send];
  if (enough((member) => maySayYes(proved.attempt, member))) return { attempt: proved.attempt, send };
  return { attempt: { ...proved.attempt, phase: 'failed' }, send: [] };
}

/** Members are blank until an accept reaches them: they promise when shown the entry that names them. */
function showEvidence(attempt: Attempt, top: Entry): ProposerStep {
  const asked = new Map(attempt.asked);
  const answers = new Map(attempt.answers);
  const send: Send[] = [];
  for (const [name, answer] of attempt.answers) {
    const { node, store, unknown } = answer;
    if (!unknown || !store || asked.get(name)) continue;
    const { config } = top.image.state;
    const member = { node, store };
    if (!hasMember(config.current, member) && !isJoining(top.from, member)) continue;
    asked.set(name, true);
    answers.delete(name);
    const { ballot } = attempt;
    send.push({ node, message: { type: 'prepare', ballot, known: top.image.hash, evidence: top } });
  }
  return { attempt: { ...attempt, asked, answers }, send };
}

function advanceAccept(attempt: Attempt): ProposerStep {
  const { proposal } = attempt;
  if (!proposal) return { attempt, send: [] };
  const both = (has: (member: Member) => boolean) =>
    isQuorum(proposal.from, has) && isQuorum(proposal.image.state.config, has);
  if (both((member) => saysYes(attempt, member))) return { attempt: { ...attempt, phase: 'chosen' }, send: [] };
  if (both((member) => maySayYes(attempt, member))) return { attempt, send: [] };
  return { attempt: { ...attempt, phase: 'failed' }, send: [] };
}

function answerOf(attempt: Attempt, member: Member): Answer | undefined {
  return attempt.answers.get(toHex(member.node));
}

function saysYes(attempt: Attempt, member: Member): boolean {
  const answer = answerOf(attempt, member);
  return (
    answer?.store !== undefined && answer.positive && sameMember({ node: answer.node, store: answer.store }, member)
  );
}

function maySayYes(attempt: Attempt, member: Member): boolean {
  return answerOf(attempt, member) === undefined || saysYes(attempt, member);
}

/** The ballot after this one that the same proposer may use at once, when this attempt is chosen. */
export function followingBallot({ round, proposer }: Ballot): Ballot {
  return { round: round + 1, proposer };
}

function firstForGood(first: Refusal | undefined, { reason, passing }: Refusal): Refusal {
  return first && (passing || !first.passing) ? first : { reason, passing };
}
