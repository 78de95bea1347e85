// Registers judged from outside: G1 and G2 over everything that becomes durable at the acceptors, G5 to G8 over what they
// answer. An entry is chosen here when quorums of its configuration and of the one it started from hold it.

import { type Bytes, toHex } from '../../../src/core/base/bytes.ts';
import { asError } from '../../../src/core/base/errors.ts';
import { type Member, memberName } from '../../../src/core/block/address.ts';
import type { RegisterConfig } from '../../../src/core/block/register.ts';
import { readImage } from '../../../src/core/block/register-validity.ts';
import { type Ballot, compareBallots, zeroBallot } from '../../../src/core/consensus/register/ballot.ts';
import type { Entry, RegisterCall, WireReply } from '../../../src/core/consensus/register/messages.ts';
import { decodeRecord } from '../../../src/core/consensus/register/record.ts';
import type { Life } from '../runtime/host.ts';
import type { Coverage } from './coverage.ts';
import { isNewIn, isQuorum, standsIn } from './quorums.ts';
import type { Report } from './rules.ts';

interface Proposal {
  entry: Entry;
  by: Set<string>;
  chosen: boolean;
}

interface Acceptor {
  promised: Ballot;
  accepted: { ballot: Ballot; version: number; state: string } | undefined;
  /** Of the process that runs. */
  life: Life | undefined;
  committedVersion: number;
}

interface ShownEntry {
  ballot: Ballot;
  state: Bytes;
  from: RegisterConfig | undefined;
}

interface Register {
  proposals: Map<string, Proposal>;
  /** In the order of ballots. */
  chosen: Entry[];
}

/** Proposals below the newest that are still looked at: members refuse older ones by now. */
const proposalsKept = 64;

export interface RegisterCheckerOptions {
  networkId: () => Bytes | undefined;
  report: Report;
  coverage: Coverage;
  /** A new entry of the chain, with its neighbours by ballot. */
  onChosen: (address: string, entry: Entry, before: Entry | undefined, after: Entry | undefined) => void;
}

export class RegisterChecker {
  private readonly options: RegisterCheckerOptions;
  private readonly registers = new Map<string, Register>();
  private readonly acceptors = new Map<string, Acceptor>();
  /** The highest promise each store has forgotten, of any register. */
  private readonly forgotten = new Map<string, Ballot>();
  /** Ballots somebody asked a promise for, by register. */
  private readonly prepared = new Set<string>();

  constructor(options: RegisterCheckerOptions) {
    this.options = options;
  }

  /** Addresses of all registers seen. */
  get addresses(): string[] {
    return [...this.registers.keys()];
  }

  /** The newest chosen entry. */
  latest(address: string): Entry | undefined {
    return this.registers.get(address)?.chosen.at(-1);
  }

  /** Members of the newest chosen entry that hold neither it nor anything later. */
  lagging(address: string): Member[] {
    const newest = this.latest(address);
    if (newest === undefined) return [];
    return newest.image.state.config.current.filter((member) => {
      const accepted = this.acceptors.get(`${memberName(member)} ${address}`)?.accepted;
      if (accepted === undefined) return true;
      // The same may have been agreed on more than once.
      return compareBallots(accepted.ballot, newest.ballot) < 0 && accepted.state !== toHex(newest.image.hash);
    });
  }

  /** Configurations that count, or may come to count: of the newest chosen entry and of what was proposed since. */
  configurations(address: string): RegisterConfig[] {
    const register = this.registers.get(address);
    const newest = register?.chosen.at(-1);
    if (!register || !newest) return [];
    const later = [...register.proposals.values()].filter(
      ({ entry }) => compareBallots(entry.ballot, newest.ballot) >= 0,
    );
    return [
      newest.image.state.config,
      newest.from,
      ...later.flatMap(({ entry }) => [entry.image.state.config, entry.from]),
    ];
  }

  /** A record is durable, or gone. */
  written(node: Bytes, store: Bytes, address: string, value: Bytes | undefined): void {
    const networkId = this.options.networkId();
    if (networkId === undefined) throw new Error('the network is not known yet');
    const member = { node, store };
    const at = `${memberName(member)} ${address}`;
    if (value === undefined) {
      this.options.coverage.reach('register/record forgotten');
      const promised = this.acceptors.get(at)?.promised ?? zeroBallot;
      const before = this.forgotten.get(memberName(member)) ?? zeroBallot;
      if (compareBallots(promised, before) > 0) this.forgotten.set(memberName(member), promised);
      this.acceptors.delete(at);
      return;
    }
    try {
      this.record(at, member, address, value, networkId);
    } catch (error) {
      // What is no acceptor's record, such as a stub, holds no vote.
      this.options.coverage.reach(`register/other record (${asError(error).kind})`);
    }
  }

  private record(at: string, member: Member, address: string, value: Bytes, networkId: Bytes): void {
    const { report } = this.options;
    const record = decodeRecord(networkId, value);
    const acceptor = this.acceptors.get(at) ?? {
      promised: zeroBallot,
      accepted: undefined,
      life: undefined,
      committedVersion: 0,
    };
    this.acceptors.set(at, acceptor);
    if (compareBallots(record.promised, acceptor.promised) < 0) report('G6', `a promise went back at ${at}`);
    acceptor.promised = record.promised;
    if (!record.accepted) {
      // What is kept of a register that has moved away holds no vote.
      if (acceptor.accepted) this.options.coverage.reach('register/stub kept');
      acceptor.accepted = undefined;
      return;
    }
    const { ballot, image } = record.accepted;
    const version = image.state.value.version;
    if (acceptor.accepted && compareBallots(ballot, acceptor.accepted.ballot) < 0)
      report('G6', `an accepted entry went back at ${at}`);
    acceptor.accepted = { ballot, version, state: toHex(image.hash) };
    this.proposal(address, record.accepted).by.add(memberName(member));
    this.settle(address, record.accepted);
  }

  private proposal(address: string, entry: Entry): Proposal {
    const register = this.registers.get(address) ?? { proposals: new Map(), chosen: [] };
    this.registers.set(address, register);
    const name = ballotName(entry.ballot);
    const known = register.proposals.get(name);
    if (known) {
      if (toHex(known.entry.image.hash) !== toHex(entry.image.hash))
        this.options.report('G1', `two states at ballot ${name} of ${address}`);
      return known;
    }
    const made = { entry, by: new Set<string>(), chosen: false };
    register.proposals.set(name, made);
    if (register.proposals.size > proposalsKept)
      register.proposals.delete(register.proposals.keys().next().value as string);
    return made;
  }

  private settle(address: string, { ballot }: Entry): void {
    const register = this.registers.get(address) as Register;
    const proposal = register.proposals.get(ballotName(ballot)) as Proposal;
    if (proposal.chosen) return;
    const { entry, by } = proposal;
    if (!isQuorum(entry.from, by) || !isQuorum(entry.image.state.config, by)) return;
    proposal.chosen = true;
    const { chosen } = register;
    let at = chosen.length;
    while (at > 0 && compareBallots((chosen[at - 1] as Entry).ballot, entry.ballot) > 0) at--;
    chosen.splice(at, 0, entry);
    const [before, after] = [chosen[at - 1], chosen[at + 1]];
    if (before) this.compare(address, before, entry);
    if (after) this.compare(address, entry, after);
    this.cover(entry, chosen, at);
    this.options.onChosen(address, entry, before, after);
  }

  private compare(address: string, before: Entry, after: Entry): void {
    if (!isBuiltOn(after, before))
      this.options.report('G1', `chosen states of ${address} do not form a chain at ${ballotName(after.ballot)}`);
    const [was, is] = [before.image.state.config, after.image.state.config];
    if (is.generation < was.generation)
      this.options.report('G2', `the configuration of ${address} went from ${was.generation} to ${is.generation}`);
  }

  private cover({ image, from }: Entry, chosen: readonly Entry[], at: number): void {
    const { coverage } = this.options;
    const { config, value } = image.state;
    const reach = (what: string) => coverage.reach(`register/${what}`);
    reach(config.previous ? 'joint chosen' : 'simple chosen');
    if (from.previous && !config.previous) reach('step out of joint');
    if (value.deleted) reach('deleted');
    const before = chosen[at - 1]?.image;
    // Nothing is changed by it: how a read that finds no agreement makes one.
    if (
      before &&
      before.state.config.generation === config.generation &&
      toHex(before.valueHash) === toHex(image.valueHash)
    )
      reach('read by writing');
    if (config.previous && before?.state.config.previous && toHex(before.valueHash) !== toHex(image.valueHash))
      reach('value while joint');
    if (!config.previous) return;
    const names = config.current.map(memberName);
    if (!config.previous.some((member) => names.includes(memberName(member)))) reach('change to disjoint members');
    if (config.current.length < config.previous.length) reach('members shrink');
    const earlier = chosen.slice(0, at).map((entry) => entry.image.state.config);
    const gone = (name: string) => earlier.some((one) => one.current.some((member) => memberName(member) === name));
    const previous = config.previous.map(memberName);
    if (names.some((name) => !previous.includes(name) && gone(name))) reach('back to old members');
  }

  /** What a node says for its store, call by call. */
  replied(life: Life, node: Bytes, store: Bytes, calls: readonly RegisterCall[], replies: readonly WireReply[]): void {
    for (const [i, reply] of replies.entries()) {
      const call = calls[i];
      if (call) this.reply(life, { node, store }, call, reply);
    }
  }

  private reply(life: Life, member: Member, { address, message }: RegisterCall, reply: WireReply): void {
    const { coverage, report } = this.options;
    coverage.reach(`answer/reg ${reply.type}`);
    coverage.reach(`register/${message.type}`);
    const at = `${memberName(member)} ${toHex(address)}`;
    const acceptor = this.acceptors.get(at);
    const ballot = 'ballot' in message ? `${toHex(address)} ${ballotName(message.ballot)}` : '';
    if (message.type === 'prepare') this.prepared.add(ballot);
    if (message.type === 'prepare' && message.evidence) coverage.reach('register/prepare with evidence');
    if (reply.type === 'promise' && message.type === 'prepare') {
      if (!acceptor || compareBallots(acceptor.promised, message.ballot) < 0)
        report('G6', `${at} promised ${ballotName(message.ballot)} before it was durable`);
      if (!acceptor?.accepted) {
        coverage.reach('register/promise from a blank new member');
        if (!message.evidence || !this.mayVote(message.evidence, member)) report('G7', `${at} is blank and promised`);
      }
    }
    if (reply.type === 'accepted' && message.type === 'accept') {
      if (!acceptor?.accepted || compareBallots(acceptor.accepted.ballot, message.ballot) < 0)
        report('G6', `${at} accepted ${ballotName(message.ballot)} before it was durable`);
      if (!this.prepared.has(ballot) && (acceptor?.accepted?.version ?? 0) > 1) coverage.reach('register/fast write');
      if (message.next) coverage.reach('register/accept that promises the next');
    }
    if (acceptor) this.committed(life, at, acceptor, message, reply);
  }

  /** Commit marks are in memory: they hold for one process. */
  private committed(
    life: Life,
    at: string,
    acceptor: Acceptor,
    message: RegisterCall['message'],
    reply: WireReply,
  ): void {
    if (acceptor.life !== life) Object.assign(acceptor, { life, committedVersion: 0 });
    const shown = reply.type === 'entry' || reply.type === 'promise' ? reply : undefined;
    const version = acceptor.accepted?.version ?? 0;
    if (shown?.committed) {
      this.options.coverage.reach('register/commit marked');
      if (version < acceptor.committedVersion)
        this.options.report('G8', `${at} showed version ${version} as committed after ${acceptor.committedVersion}`);
      acceptor.committedVersion = version;
    }
    if (reply.type === 'accepted' && message.type === 'accept' && version < acceptor.committedVersion)
      this.options.report('G8', `${at} accepted version ${version} though ${acceptor.committedVersion} is committed`);
  }

  /** It is new in a joint state, or named by what was proposed after all it has forgotten. */
  private mayVote({ ballot, state, from }: ShownEntry, member: Member): boolean {
    const networkId = this.options.networkId();
    if (networkId === undefined) return true;
    const { config } = readImage(networkId, state).state;
    const forgotten = this.forgotten.get(memberName(member)) ?? zeroBallot;
    if (standsIn(config.current, member) && compareBallots(ballot, forgotten) > 0) return true;
    return isNewIn(config, member) || (from !== undefined && isNewIn(from, member));
  }
}

export function ballotName({ round, proposer }: Ballot): string {
  return `${round}/${toHex(proposer)}`;
}

/** As far back as lineages reach. */
function isBuiltOn(later: Entry, earlier: Entry): boolean {
  const steps = later.image.state.value.version - earlier.image.state.value.version;
  if (steps < 0) return false;
  const there = steps === 0 ? later.image.valueHash : later.image.state.value.lineage[steps - 1];
  return there === undefined || toHex(there) === toHex(earlier.image.valueHash);
}
