// When a store may give up its record of a register (docs/protocols.md 2.3 rule 4, 2.7). Somebody's word is only the occasion to
// ask: members of the later configuration must show that it is chosen by itself, and a quorum of the configuration held here must
// know of it, so that a few nodes that lie about an unknown configuration make nobody forget. In doubt the record stays.

import { isError } from '../../base/errors.ts';
import { type Address, type Member, memberName, sameMember } from '../../block/address.ts';
import { isRecovered, type StateVerifier } from '../../block/register-validity.ts';
import { type InquiryParts, inquire } from './inquiry.ts';
import type { Entry, Moved, Reply } from './messages.ts';
import { hasMember, isQuorum, votersOf } from './quorum.ts';
import { agreedEntry, type Report } from './reader.ts';
import { replyFromWire } from './wire.ts';

/** Configurations of configurations: whoever is named by an answer is asked too. */
const wavesMax = 4;
const askedMax = 64;

interface Heard {
  readonly reports: Report[];
  /** Generations of stubs, by member. */
  readonly moved: Map<string, number>;
  /** Members that hold nothing. */
  readonly blank: Set<string>;
}

export class Retirement {
  private readonly parts: InquiryParts;
  private readonly verifier: StateVerifier;

  constructor(parts: InquiryParts, verifier: StateVerifier) {
    this.parts = parts;
    this.verifier = verifier;
  }

  /** The chosen configuration that does without this store, if there is one behind the entry held here. */
  async successor(address: Address, held: Entry, hint: readonly Member[]): Promise<Moved | undefined> {
    const self = this.parts.member();
    const heard = await this.ask(address, [...votersOf(held.image.state.config, held.from), ...hint]);
    const agreed = agreedEntry(heard.reports);
    if (!agreed) return undefined;
    const { config } = agreed.image.state;
    const { generation, current } = config;
    // Chosen from the new set alone: a step out of the joint state is not enough (2.4 rule 2, 2.5).
    if (config.previous || agreed.from.generation !== generation || hasMember(current, self)) return undefined;
    if (generation < held.image.state.config.generation) return undefined;
    // Its owner has vouched for the members it has now.
    if (isRecovered(held.image, agreed.image)) return { generation, current };
    const knows = (member: Member) => {
      if (sameMember(member, self)) return held.image.state.config.generation >= generation;
      const report = heard.reports.find((other) => sameMember(other.member, member));
      const known = report?.entry.image.state.config.generation ?? heard.moved.get(memberName(member)) ?? -1;
      return known >= generation;
    };
    return isQuorum(held.from, knows) ? { generation, current } : undefined;
  }

  /** Whether all members of a deleted register's simple configuration hold it so, or have dropped it already (2.7). */
  async isDeletedEverywhere(address: Address, held: Entry): Promise<boolean> {
    const { config, value } = held.image.state;
    if (!value.deleted || config.previous || held.from.generation !== config.generation) return false;
    const heard = await this.ask(address, config.current);
    return config.current.every((member) => {
      if (sameMember(member, this.parts.member()) || heard.blank.has(memberName(member))) return true;
      const report = heard.reports.find((other) => sameMember(other.member, member));
      return report?.entry.image.state.value.deleted === true;
    });
  }

  private async ask(address: Address, first: readonly Member[]): Promise<Heard> {
    const heard: Heard = { reports: [], moved: new Map(), blank: new Set() };
    const self = memberName(this.parts.member());
    const asked = new Set([self]);
    let next = [...first];
    for (let wave = 0; wave < wavesMax && next.length > 0; wave++) {
      const now = new Map(next.map((member) => [memberName(member), member]));
      for (const name of asked) now.delete(name);
      for (const name of [...now.keys()].slice(askedMax - asked.size)) now.delete(name);
      for (const name of now.keys()) asked.add(name);
      next = [];
      await Promise.all(
        [...now].map(async ([name, member]) => {
          const reply = await this.reply(address, member);
          if (reply?.type === 'unknown') heard.blank.add(name);
          if (reply?.type === 'moved') {
            heard.moved.set(name, reply.generation);
            next.push(...reply.current);
          }
          if (reply?.type !== 'entry') return;
          heard.reports.push({ member, entry: reply.entry, committed: reply.committed });
          next.push(...votersOf(reply.entry.image.state.config, reply.entry.from));
        }),
      );
    }
    return heard;
  }

  private async reply(address: Address, member: Member): Promise<Reply | undefined> {
    const [reply] = await inquire(this.parts, member, [{ address, message: { type: 'read', known: undefined } }]);
    try {
      return reply && replyFromWire(address, reply, undefined, (bytes) => this.verifier.read(bytes));
    } catch (error) {
      if (!isError(error)) throw error;
      return undefined; // shows what does not verify: as good as silent
    }
  }
}
