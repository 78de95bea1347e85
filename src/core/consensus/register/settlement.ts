// What a store holds may never have been chosen. Where a value would take away what the network protects (docs/protocols.md 2.10),
// the store refuses it until the other members have promised and said what they hold: what no quorum can have agreed on any more
// need not be kept. That promise is a `prepare` like any other.

import { toHex } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type Address, type Member, memberName, sameMember } from '../../block/address.ts';
import type { StateImage, StateVerifier } from '../../block/register-validity.ts';
import { type Ballot, compareBallots, proposerBytes } from './ballot.ts';
import { type InquiryParts, inquire } from './inquiry.ts';
import type { Entry, Reply } from './messages.ts';
import { isMajority } from './quorum.ts';
import { replyFromWire } from './wire.ts';

/** Members of members (a change of configuration on top of a change), and members that promised somebody else. */
const wavesMax = 6;

/** What was heard about one entry held here. */
interface Finding {
  readonly held: Entry;
  askedAt: number;
  /** By member, what it holds below its promise; absent: it did not promise. */
  answers: ReadonlyMap<string, StateImage | undefined>;
  /** Every set of members whose majority may have been enough. */
  sets: readonly (readonly Member[])[];
}

export class Settlements {
  private readonly parts: InquiryParts;
  private readonly verifier: StateVerifier;
  private readonly findings = new Map<string, Finding>();

  constructor(parts: InquiryParts, verifier: StateVerifier) {
    this.parts = parts;
    this.verifier = verifier;
  }

  /** Whether what the entry held here says in one point may be agreed on, as far as was heard; asks when it may. */
  mayStand(address: Address, held: Entry, promised: Ballot, standsIn: (image: StateImage) => boolean): boolean {
    const finding = this.findings.get(toHex(address));
    const isOfThis = finding !== undefined && compareBallots(finding.held.ballot, held.ballot) === 0;
    if (isOfThis && !mayHaveQuorum(finding, this.parts.member(), standsIn)) return false;
    this.look(address, held, promised, isOfThis ? finding : undefined);
    return true;
  }

  private look(address: Address, held: Entry, promised: Ballot, before: Finding | undefined): void {
    const now = this.parts.runtime.clock.monotonic();
    if (before && now - before.askedAt < limits.settlementPeriodMs) return;
    const finding: Finding = before ?? { held, askedAt: now, answers: new Map(), sets: setsOf(held) };
    finding.askedAt = now;
    const name = toHex(address);
    this.findings.delete(name);
    this.findings.set(name, finding);
    const oldest = this.findings.keys().next();
    if (this.findings.size > limits.settlementsMax && !oldest.done) this.findings.delete(oldest.value);
    void this.ask(address, finding, promised);
  }

  private async ask(address: Address, finding: Finding, promised: Ballot): Promise<void> {
    const { runtime, member } = this.parts;
    const { held } = finding;
    let round = Math.max(runtime.clock.now(), promised.round + 1);
    const answers = new Map<string, StateImage | undefined>();
    const sets = setsOf(held);
    const asked = new Map<string, number>([[memberName(member()), Number.POSITIVE_INFINITY]]);
    for (let wave = 0; wave < wavesMax; wave++) {
      const next = sets.flat().filter((other) => (asked.get(memberName(other)) ?? 0) < round);
      if (next.length === 0) break;
      const voters = new Map(next.map((other) => [memberName(other), other]));
      const ballot = { round, proposer: runtime.random.bytes(proposerBytes) };
      const replies = [...voters].map(async ([name, voter]) => {
        const reply = await this.promise(address, voter, ballot, held);
        // Somebody else proposes meanwhile: once more, above him.
        asked.set(name, reply?.type === 'refused' ? ballot.round : Number.POSITIVE_INFINITY);
        if (reply?.type === 'refused') round = Math.max(round, reply.promised.round + 1, ballot.round + 1);
        if (reply?.type !== 'promise') return;
        answers.set(name, reply.entry?.image);
        if (reply.entry) sets.push(...setsOf(reply.entry));
      });
      await Promise.all(replies);
    }
    finding.answers = answers;
    finding.sets = sets;
  }

  private async promise(address: Address, member: Member, ballot: Ballot, held: Entry): Promise<Reply | undefined> {
    const message = { type: 'prepare' as const, ballot, known: held.image.hash, evidence: undefined };
    const [reply] = await inquire(this.parts, member, [{ address, message }]);
    try {
      return reply && replyFromWire(address, reply, held.image, (bytes) => this.verifier.read(bytes));
    } catch (error) {
      if (!isError(error)) throw error;
      return undefined; // shows what does not verify: as good as silent
    }
  }
}

/** Who is silent may hold it. Who promised and does not hold it never agreed to it at a lower ballot, and never will. */
function mayHaveQuorum({ answers, sets }: Finding, self: Member, standsIn: (image: StateImage) => boolean): boolean {
  const mayHold = (member: Member) => {
    const name = memberName(member);
    if (sameMember(member, self) || !answers.has(name)) return true;
    const image = answers.get(name);
    return image !== undefined && standsIn(image);
  };
  return sets.some((set) => isMajority(set, mayHold));
}

function setsOf({ image, from }: Entry): (readonly Member[])[] {
  const configs = [image.state.config, from];
  return configs.flatMap(({ current, previous }) => (previous ? [current, previous] : [current]));
}
