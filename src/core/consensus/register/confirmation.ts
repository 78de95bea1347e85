// Commit hints. "That is chosen" is its sender's word: a store marks an entry only when a quorum of members says that it has
// accepted it too (docs/protocols.md 2.3 rule 3). It asks them together about all entries hinted at within a second, so that a
// register written again and again costs nothing; at once where something depends on the answer.

import { toHex } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { type Address, type Member, memberName, sameMember } from '../../block/address.ts';
import type { RegisterConfig } from '../../block/register.ts';
import type { Cancel } from '../../runtime/runtime.ts';
import { type Ballot, compareBallots } from './ballot.ts';
import { type InquiryParts, inquire } from './inquiry.ts';
import type { CommitHint, Entry, RegisterCall, WireReply } from './messages.ts';
import { isQuorum, votersOf } from './quorum.ts';

interface Claim extends CommitHint {
  readonly address: Address;
  readonly config: RegisterConfig;
  readonly from: RegisterConfig;
  /** Names of the members that say the same, this store's included. */
  readonly confirmedBy: Set<string>;
  /** Still to be asked about. */
  due: boolean;
  /** Asked about once, and not proved. */
  doubted: boolean;
}

export class Confirmations {
  private readonly parts: InquiryParts;
  private readonly confirmed: (address: Address, hint: CommitHint) => void;
  private readonly claims = new Map<string, Claim>();
  private timer: Cancel | undefined;
  private stopped = false;

  /** `confirmed` is told what is proved to be chosen. */
  constructor(parts: InquiryParts, confirmed: (address: Address, hint: CommitHint) => void) {
    this.parts = parts;
    this.confirmed = confirmed;
  }

  /** Notes that the entry held here is said to be chosen. Returns true when this store alone decides: then it is. */
  claim(address: Address, { ballot, image, from }: Entry): boolean {
    const self = this.parts.member();
    const { config } = image.state;
    if (isQuorum(config, (member) => sameMember(member, self)) && isQuorum(from, (member) => sameMember(member, self)))
      return true;
    const name = toHex(address);
    const known = this.claims.get(name);
    if (this.stopped) return false;
    if (known && compareBallots(known.ballot, ballot) === 0) known.due = true;
    else {
      const confirmedBy = new Set([memberName(self)]);
      const claim = { address, ballot, hash: image.hash, config, from, confirmedBy, due: true, doubted: false };
      this.claims.delete(name);
      this.claims.set(name, claim);
    }
    const oldest = this.claims.keys().next();
    if (this.claims.size > limits.commitClaimsMax && !oldest.done) this.claims.delete(oldest.value);
    this.later();
    return false;
  }

  /**
   * Whether that entry is said to be chosen and the others have not been heard about it; asks them now. Once doubted, nothing
   * waits for it any more: else a false hint, said again and again, would block the register.
   */
  isOpen(address: Address, ballot: Ballot): boolean {
    const claim = this.claims.get(toHex(address));
    if (!claim || claim.doubted || compareBallots(claim.ballot, ballot) !== 0) return false;
    if (claim.due) void this.ask([claim]);
    return true;
  }

  stop(): void {
    this.stopped = true;
    this.timer?.();
    this.claims.clear();
  }

  private later(): void {
    this.timer ??= this.parts.runtime.clock.after(limits.commitClaimDelayMs, () => {
      this.timer = undefined;
      const due = [...this.claims.values()].filter((claim) => claim.due).slice(0, limits.registerBatchMax);
      if (due.length === 0) return;
      void this.ask(due).then(() => {
        if (!this.stopped) this.later();
      });
    });
  }

  private async ask(claims: readonly Claim[]): Promise<void> {
    const lines = new Map<string, { member: Member; claims: Claim[] }>();
    for (const claim of claims) {
      claim.due = false;
      for (const member of votersOf(claim.config, claim.from)) {
        const line = lines.get(memberName(member)) ?? { member, claims: [] };
        if (!claim.confirmedBy.has(memberName(member))) line.claims.push(claim);
        lines.set(memberName(member), line);
      }
    }
    await Promise.all([...lines.values()].map(({ member, claims: asked }) => this.askMember(member, asked)));
    for (const claim of claims) {
      if (this.claims.get(toHex(claim.address)) !== claim) continue;
      claim.doubted = true;
      if (isProved(claim)) this.claims.delete(toHex(claim.address));
    }
  }

  private async askMember(member: Member, claims: readonly Claim[]): Promise<void> {
    if (claims.length === 0) return;
    const calls: RegisterCall[] = claims.map(({ address, hash }) => ({
      address,
      message: { type: 'read', known: hash },
    }));
    const replies = await inquire(this.parts, member, calls);
    for (const [i, reply] of replies.entries()) {
      const claim = claims[i];
      if (!claim || !says(reply, claim) || isProved(claim)) continue;
      claim.confirmedBy.add(memberName(member));
      if (isProved(claim) && !this.stopped) this.confirmed(claim.address, claim);
    }
  }
}

/** One ballot is one proposal's alone: who holds its state has accepted it. */
function says(reply: WireReply, { ballot, hash }: Claim): boolean {
  if (reply.type !== 'entry') return false;
  const { entry } = reply;
  return compareBallots(entry.ballot, ballot) === 0 && toHex(entry.hash) === toHex(hash);
}

function isProved({ config, from, confirmedBy }: Claim): boolean {
  const has = (member: Member) => confirmedBy.has(memberName(member));
  return isQuorum(config, has) && isQuorum(from, has);
}
