// First states of registers: of a new one (docs/protocols.md 2.6), and of one whose owner begins anew because a majority of its
// members is lost for good (2.11). Nobody else can propose anything there meanwhile, so these need no `prepare`.

import { type Bytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Address, type Member, memberName } from '../../block/address.ts';
import type { StateImage, StateVerifier } from '../../block/register-validity.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Runtime } from '../../runtime/runtime.ts';
import type { Agreement, Patience } from './agreement.ts';
import { compareBallots } from './ballot.ts';
import type { Conversation } from './conversation.ts';
import type { Courier } from './courier.ts';
import type { Entry } from './messages.ts';
import type { Place } from './places.ts';
import { beginAccept, isBarred } from './proposer.ts';
import { isQuorum, votersOf } from './quorum.ts';
import { newestEntry, type Report } from './reader.ts';
import { replyFromWire } from './wire.ts';

/** What is left of a register. */
export interface Survey {
  /** The newest copy found; undefined when there is none. */
  readonly newest: Entry | undefined;
  /** Every member that answered, whatever of, by name. */
  readonly present: ReadonlyMap<string, Member>;
  /** Members of the newest copy that hold one, and those that did not answer. */
  readonly holders: readonly Member[];
  readonly missing: readonly Member[];
  /** Too few members answered for anything to be agreed on. */
  readonly isLost: boolean;
}

export interface FoundingParts {
  runtime: Runtime;
  overlay: Pick<Overlay, 'nodes'>;
  conversation: Conversation;
  courier: Courier;
  agreement: Agreement;
  verifier: StateVerifier;
}

/** Who does not answer in so many rounds, so far apart, is taken to be gone. */
const surveyRounds = 3;
const surveyPauseMs = 2000;

export class Founding {
  private readonly parts: FoundingParts;

  constructor(parts: FoundingParts) {
    this.parts = parts;
  }

  /**
   * Proposes the first state until it is chosen. At one ballot, because another would need to look first at what came of it; a
   * higher one when so many have promised away theirs that nothing can have come of it: stores that have forgotten registers
   * refuse ballots below their floor, which a slow clock makes. Returns false when somebody has gone on from there already.
   */
  async found(place: Place, patience: Patience, image: StateImage): Promise<boolean> {
    const { runtime, conversation, agreement } = this.parts;
    const { config } = image.state;
    for (let ballot = place.nextBallot(runtime.clock.now()), isFirst = true; ; ) {
      const first = beginAccept(ballot, image, config, place.reserve(ballot));
      const attempt = await conversation.attempt(place.address, first, undefined);
      if (attempt.phase === 'chosen') {
        agreement.chosen(place, ballot, image);
        return true;
      }
      const isRefused = compareBallots(attempt.highest, ballot) > 0;
      if (isRefused && !(isFirst && isBarred(attempt, image.state))) return false;
      if (!isRefused && attempt.denied !== undefined) throw new InfinitError('denied', attempt.denied.reason);
      await patience.again('unknown', 'too few members of a new register answer');
      isFirst = isRefused;
      if (!isRefused) continue;
      place.raise(attempt.highest);
      ballot = place.nextBallot(runtime.clock.now());
    }
  }

  /** Asks every node that is known, more than once. */
  async survey(address: Address, signal?: AbortSignal): Promise<Survey> {
    const reports = new Map<string, Report>();
    const present = new Map<string, Member>();
    for (let round = 0; round < surveyRounds; round++) {
      if (round > 0) await this.parts.runtime.clock.sleep(surveyPauseMs, { signal });
      const asked = new Set<string>();
      for (let nodes = this.known(reports); nodes.length > 0; nodes = this.known(reports)) {
        const fresh = nodes.filter((node) => !asked.has(toHex(node)));
        if (fresh.length === 0) break;
        for (const node of fresh) asked.add(toHex(node));
        await Promise.all(fresh.map((node) => this.look(address, node, reports, present)));
      }
      const survey = surveyOf([...reports.values()], present);
      if (survey.newest && !survey.isLost) return survey;
    }
    return surveyOf([...reports.values()], present);
  }

  private known(reports: ReadonlyMap<string, Report>): Bytes[] {
    const told = [...reports.values()].flatMap(({ entry }) => votersOf(entry.image.state.config, entry.from));
    return [...this.parts.overlay.nodes().map(({ id }) => id), ...told.map(({ node }) => node)];
  }

  private async look(
    address: Address,
    node: Bytes,
    reports: Map<string, Report>,
    present: Map<string, Member>,
  ): Promise<void> {
    const { courier, verifier } = this.parts;
    try {
      const { store, reply } = await courier.ask(node, address, { type: 'read', known: undefined });
      const member = { node, store };
      present.set(memberName(member), member);
      const read = replyFromWire(address, reply, undefined, (bytes) => verifier.read(bytes));
      if (read.type === 'entry') reports.set(memberName(member), { member, ...read });
    } catch {
      // Silent, or shows what does not verify: as good as lost.
    }
  }
}

function surveyOf(reports: readonly Report[], present: ReadonlyMap<string, Member>): Survey {
  const newest = newestEntry(reports);
  if (newest === undefined) return { newest, present, holders: [], missing: [], isLost: true };
  const { config } = newest.image.state;
  const voters = votersOf(config, newest.from);
  const isThere = (member: Member) => present.has(memberName(member));
  const holds = new Set(reports.map(({ member }) => memberName(member)));
  return {
    newest,
    present,
    holders: voters.filter((member) => holds.has(memberName(member))),
    missing: voters.filter((member) => !isThere(member)),
    isLost: !isQuorum(config, isThere) || !isQuorum(newest.from, isThere),
  };
}
