// A field of acceptors and proposers without network or disk: the pure steps, driven in any order a seeded choice gives, with
// loss, repetition, crashes and emptied stores. Whatever happens, what was chosen is known from outside and can be judged.

import { toHex } from '../../../src/core/base/bytes.ts';
import { type Member, memberName } from '../../../src/core/block/address.ts';
import type { RegisterConfig, RegisterState } from '../../../src/core/block/register.ts';
import type { StateImage } from '../../../src/core/block/register-validity.ts';
import { type AcceptorRecord, acceptorStep, retired } from '../../../src/core/consensus/register/acceptor.ts';
import { type Ballot, compareBallots, higherBallot, zeroBallot } from '../../../src/core/consensus/register/ballot.ts';
import type { Entry, Message, Reply } from '../../../src/core/consensus/register/messages.ts';
import {
  type Attempt,
  beginAccept,
  beginPrepare,
  followingBallot,
  isSettled,
  onReply,
  onSilence,
  type ProposerStep,
  propose,
} from '../../../src/core/consensus/register/proposer.ts';
import { baseOf, enterJoint, hasMember, isQuorum, leaveJoint } from '../../../src/core/consensus/register/quorum.ts';
import { agreedEntry, newestEntry, type Report, reportedNodes } from '../../../src/core/consensus/register/reader.ts';

export type Planted =
  | 'accept-new-only'
  | 'trust-leave'
  | 'blank-votes'
  | 'unpersisted-promise'
  | 'read-newest'
  | 'old-name'
  | undefined;

let serial = 0;
const fill = (length: number, value: number) => {
  const out = Buffer.alloc(length);
  out.writeUInt32BE(value, length - 4);
  return out;
};

export function memberOf(node: number, store = node): Member {
  return { node: fill(32, node), store: fill(8, store) };
}

function imageWith(config: RegisterConfig, version: number, lineage: Buffer[], valueHash: Buffer): StateImage {
  const value = { version, lineage: lineage.slice(0, 16), deleted: false };
  const state = { config, value, access: { version: 1 }, genesis: {} } as unknown as RegisterState;
  return { address: fill(32, 0), state, bytes: Buffer.alloc(0), hash: fill(32, ++serial), valueHash };
}

interface Running {
  attempt: Attempt;
  operation: 'write' | 'settle' | 'change';
  target: Member[];
}
interface Reading {
  reports: Report[];
  asked: Set<string>;
  /** Highest state chosen when it began. */
  floor: StateImage | undefined;
}

export class Field {
  readonly nodes = [1, 2, 3, 4, 5].map((node) => memberOf(node));
  /** The store each node has now. */
  private readonly stores = new Map(this.nodes.map((m) => [toHex(m.node), m]));
  private readonly records = new Map<string, AcceptorRecord>();
  private readonly durable = new Map<string, AcceptorRecord>();
  private readonly floors = new Map<string, Ballot>();
  /** Records given up for stubs, and stubs for the floor. */
  readonly counts = { retired: 0, forgotten: 0 };
  private readonly running: Running[] = [];
  private readonly readings: Reading[] = [];
  private readonly questions: { to: Buffer; message: Message; ask: number; reading: boolean }[] = [];
  private readonly answers: { from: Member; kind: Message['type']; reply: Reply; ask: number; reading: boolean }[] = [];
  private readonly proposals = new Map<string, { entry: Entry; accepted: Set<string> }>();
  private readonly parents = new Map<string, string>();
  private readonly choose: (limit: number) => number;
  private readonly planted: Planted;
  private readonly forgets: boolean;
  private readonly attemptsMax: number;
  private round = 0;
  private losses = 0;
  lastRead: StateImage | undefined;
  violation: string | undefined;

  /** `forgets`: stores that a register has left forget it, first for a stub, then for their floor. */
  constructor(choose: (limit: number) => number, planted: Planted, forgets = false) {
    this.choose = choose;
    this.forgets = forgets;
    this.attemptsMax = forgets ? 40 : 8;
    this.planted = planted;
    const members = this.nodes.slice(0, 3);
    const config = { generation: 0, current: members, previous: undefined };
    const image = imageWith(config, 1, [], fill(32, ++serial));
    const entry = { ballot: { round: 0, proposer: fill(8, 1) }, image, from: config };
    for (const member of members) this.save(member, { promised: entry.ballot, accepted: entry, committed: undefined });
    this.proposals.set(name(entry.ballot), { entry, accepted: new Set(members.map(memberName)) });
  }

  step(): void {
    let dice = this.choose(100);
    // Whole changes of members are to come about: fewer attempts at once, that are left alone more often.
    if (this.forgets && dice >= 80 && this.choose(8) > 0) dice = this.choose(80);
    if (this.forgets && dice < 8) this.retire();
    else if (dice < 40) this.deliverQuestion();
    else if (dice < 80) this.deliverAnswer();
    else if (dice < 86) this.begin();
    else if (dice < 90) this.read();
    else if (dice < 94) this.silence();
    else if (dice < 97) this.drop();
    else if (dice < 99) this.crash();
    else this.loseDisk();
  }

  /** Every ballot chosen so far, ascending. */
  chosen(): Entry[] {
    const out: Entry[] = [];
    for (const { entry, accepted } of this.proposals.values()) {
      const has = (member: Member) => accepted.has(memberName(member));
      if (isQuorum(entry.from, has) && isQuorum(entry.image.state.config, has)) out.push(entry);
    }
    return out.sort((a, b) => compareBallots(a.ballot, b.ballot));
  }

  private save(member: Member, record: AcceptorRecord): void {
    this.records.set(memberName(member), record);
    this.durable.set(memberName(member), record);
  }

  private begin(): void {
    if (this.running.length >= this.attemptsMax) return;
    const ballot = { round: ++this.round * 2, proposer: fill(8, this.running.length + 1) };
    const operation = (['write', 'settle', 'change'] as const)[this.choose(3)] ?? 'write';
    const sets = [
      [1, 2, 3],
      [3, 4, 5],
      [1, 2, 4],
      [1, 2, 3, 4, 5],
    ][this.choose(4)] as number[];
    const target = sets.map((node) => this.stores.get(toHex(fill(32, node))) as Member);
    // A part of the nodes only: the rest has to be learned from the promises.
    const nodes = this.nodes.map((m) => m.node).filter(() => this.choose(4) > 0);
    this.running.push({ attempt: undefined as unknown as Attempt, operation, target });
    this.apply(this.running.length - 1, beginPrepare(ballot, nodes, undefined));
  }

  private apply(index: number, step: ProposerStep): void {
    const running = this.running[index] as Running;
    const before = running.attempt?.phase;
    running.attempt = step.attempt;
    for (const { node, message } of step.send)
      this.questions.push({ to: node as Buffer, message, ask: index, reading: false });
    const { attempt } = running;
    if (attempt.phase === before) return;
    if (attempt.phase === 'ready' && attempt.top) this.proposeOn(index, attempt.top);
    if (attempt.phase === 'chosen' && attempt.proposal && this.choose(2) === 0) {
      const { image } = attempt.proposal;
      for (const { node } of image.state.config.current)
        this.questions.push({
          to: node as Buffer,
          message: { type: 'commit', ballot: attempt.ballot, hash: image.hash },
          ask: index,
          reading: false,
        });
      // One round trip more, without prepare: only while the configuration is simple.
      if (!image.state.config.previous && this.running.length < this.attemptsMax && running.operation === 'write') {
        this.running.push({ ...running, attempt: undefined as unknown as Attempt });
        const next = this.built(running, image, true);
        const ballotNext = followingBallot(attempt.ballot);
        this.note(ballotNext, next, image.state.config);
        this.apply(this.running.length - 1, beginAccept(ballotNext, next, image.state.config));
      }
    }
  }

  private built({ operation, target }: Running, top: StateImage, settled: boolean): StateImage {
    const { config, value } = top.state;
    if (operation === 'change' && !config.previous && settled)
      return imageWith(enterJoint(config, target), value.version, value.lineage as Buffer[], top.valueHash as Buffer);
    const after = leaveJoint(config);
    if (operation !== 'write')
      return imageWith(after, value.version, value.lineage as Buffer[], top.valueHash as Buffer);
    const valueHash = fill(32, ++serial);
    this.parents.set(toHex(valueHash), toHex(top.valueHash));
    return imageWith(after, value.version + 1, [top.valueHash, ...value.lineage] as Buffer[], valueHash);
  }

  private proposeOn(index: number, top: Entry): void {
    const running = this.running[index] as Running;
    const settled = isSettled(running.attempt);
    const image = this.built(running, top.image, settled);
    const { ballot } = running.attempt;
    const next = followingBallot(ballot);
    const known = baseOf(top.image.state.config, top.from, settled);
    const from = this.planted === 'accept-new-only' ? image.state.config : known;
    this.note(ballot, image, from);
    const step =
      this.planted === 'accept-new-only'
        ? beginAccept(ballot, image, from, next)
        : propose(running.attempt, image, next);
    this.apply(index, step);
  }

  private note(ballot: Ballot, image: StateImage, from: RegisterConfig): void {
    const known = this.proposals.get(name(ballot));
    if (known && known.entry.image !== image) this.violation = 'two proposals at one ballot';
    this.proposals.set(name(ballot), { entry: { ballot, image, from }, accepted: new Set() });
  }

  private deliverQuestion(): void {
    if (this.questions.length === 0) return;
    const at = this.choose(this.questions.length);
    const question = this.questions[at] as (typeof this.questions)[number];
    if (this.choose(6) > 0) this.questions.splice(at, 1);
    const self = this.stores.get(toHex(question.to)) as Member;
    const own = memberName(self);
    const record = this.records.get(own);
    const refuse = (image: StateImage, held: Entry | undefined) =>
      held && image.state.value.version < 1 ? { reason: 'never', passing: false } : undefined;
    const context = { self, now: 1, floor: this.floors.get(own) ?? zeroBallot, refuse };
    const { message } = question;
    let step = acceptorStep(record, message, context);
    if (this.planted === 'blank-votes' && message.type === 'prepare' && !record?.accepted)
      if (compareBallots(message.ballot, record?.promised ?? zeroBallot) > 0)
        step = {
          record: { promised: message.ballot, accepted: undefined, committed: undefined },
          persist: true,
          reply: { type: 'promise', entry: undefined, committed: false },
        };
    if (step.record) this.records.set(own, step.record);
    if (step.persist && step.record) this.durable.set(own, step.record);
    if (message.type === 'accept' && step.reply.type === 'accepted') {
      this.proposals.get(name(message.ballot))?.accepted.add(own);
      this.judge();
    }
    if (step.reply.type === 'promise' && !record?.accepted && !(message.type === 'prepare' && message.evidence))
      if (this.planted === undefined) this.violation = 'G7: a blank store promised without evidence';
    this.answers.push({ ...question, from: self, kind: message.type, reply: step.reply });
  }

  private deliverAnswer(): void {
    if (this.answers.length === 0) return;
    const at = this.choose(this.answers.length);
    const [{ from, kind, reply, ask, reading }] = this.answers.splice(at, 1) as [(typeof this.answers)[number]];
    if (reading) {
      this.heard(this.readings[ask] as Reading, from, reply, ask);
      return;
    }
    const running = this.running[ask] as Running;
    const trusted =
      this.planted === 'trust-leave' && reply.type === 'promise' && reply.entry
        ? { ...reply, entry: { ...reply.entry, from: reply.entry.image.state.config } }
        : reply;
    this.apply(ask, onReply(running.attempt, from, kind, trusted));
  }

  private read(): void {
    if (this.readings.length >= 6) return;
    this.readings.push({ reports: [], asked: new Set(), floor: this.chosen().at(-1)?.image });
    this.askReaders(
      this.readings.length - 1,
      this.nodes.map((m) => m.node as Buffer).filter(() => this.choose(3) > 0),
    );
  }

  private askReaders(ask: number, nodes: readonly Buffer[]): void {
    const reading = this.readings[ask] as Reading;
    for (const to of nodes) {
      if (reading.asked.has(toHex(to))) continue;
      reading.asked.add(toHex(to));
      this.questions.push({ to, message: { type: 'read', known: undefined }, ask, reading: true });
    }
  }

  private heard(reading: Reading, member: Member, reply: Reply, ask: number): void {
    if (reply.type !== 'entry') return;
    if (reading.reports.some((report) => memberName(report.member) === memberName(member))) return;
    reading.reports.push({ member, entry: reply.entry, committed: reply.committed });
    this.askReaders(ask, reportedNodes(reading.reports) as Buffer[]);
    const newest = reading.reports.length >= 3 ? newestEntry(reading.reports) : undefined;
    const entry = this.planted === 'read-newest' ? newest : agreedEntry(reading.reports);
    if (!entry) return;
    reading.reports = [];
    if (!this.chosen().some((other) => other.image === entry.image) && this.planted === undefined)
      this.violation = 'a read returned what was never chosen';
    if (reading.floor && !this.descends(entry.image, reading.floor))
      this.violation = 'G3: a read missed what was chosen before it began';
  }

  private silence(): void {
    const ask = this.choose(Math.max(1, this.running.length));
    const running = this.running[ask];
    if (!running) return;
    const node = this.nodes[this.choose(this.nodes.length)]?.node as Buffer;
    const kind = running.attempt.phase === 'preparing' ? 'prepare' : 'accept';
    if (running.attempt.asked.has(toHex(node)) && !running.attempt.answers.has(toHex(node)))
      this.apply(ask, onSilence(running.attempt, node, kind));
  }

  private drop(): void {
    const list = this.choose(2) === 0 ? this.questions : this.answers;
    if (list.length > 0) list.splice(this.choose(list.length), 1);
  }

  /** Rule 2.3.4, by what is known from outside; or the stub of it goes too. */
  private retire(): void {
    const chosen = this.chosen();
    const first = this.choose(this.nodes.length);
    const stores = [...this.stores.values()];
    for (const self of [...stores.slice(first), ...stores.slice(0, first)]) if (this.retireAt(self, chosen)) return;
  }

  private retireAt(self: Member, chosen: readonly Entry[]): boolean {
    const own = memberName(self);
    const record = this.durable.get(own);
    if (record?.stub && this.choose(3) === 0) {
      this.counts.forgotten++;
      const floor = higherBallot(this.floors.get(own) ?? zeroBallot, record.promised);
      this.floors.set(own, floor);
      this.records.delete(own);
      this.durable.delete(own);
      return true;
    }
    const held = record?.accepted;
    const moved = held && chosen.findLast(({ image, from }) => this.leaves(self, held, image.state.config, from));
    if (!moved || !record) return false;
    this.counts.retired++;
    const { generation, current } = moved.image.state.config;
    this.save(self, retired(record, { generation, current, since: 0 }));
    return true;
  }

  private leaves(self: Member, held: Entry, config: RegisterConfig, from: RegisterConfig): boolean {
    if (config.previous || from.generation !== config.generation || hasMember(config.current, self)) return false;
    if (config.generation < held.image.state.config.generation) return false;
    const knows = (member: Member) => {
      const other = this.durable.get(memberName(member));
      return (other?.accepted?.image.state.config.generation ?? other?.stub?.generation ?? -1) >= config.generation;
    };
    return isQuorum(held.from, knows);
  }

  /** What was not made durable is gone. */
  private crash(): void {
    const self = [...this.stores.values()][this.choose(this.nodes.length)] as Member;
    const durable = this.durable.get(memberName(self));
    if (!durable) this.records.delete(memberName(self));
    else if (this.planted === 'unpersisted-promise' && durable.accepted)
      this.save(self, { ...durable, promised: durable.accepted.ballot });
    else this.records.set(memberName(self), durable);
  }

  private loseDisk(): void {
    if (this.losses >= 1) return;
    this.losses++;
    const { node } = this.nodes[this.choose(this.nodes.length)] as Member;
    const old = this.stores.get(toHex(node)) as Member;
    this.records.delete(memberName(old));
    this.durable.delete(memberName(old));
    if (this.planted === 'blank-votes') return;
    if (this.planted !== 'old-name') this.stores.set(toHex(node), { node, store: fill(8, 100 + this.losses) });
    else {
      // An emptied store under its old name, that thinks it is the one that agreed to nothing yet.
      const first = this.proposals.get(name({ round: 0, proposer: fill(8, 1) }))?.entry as Entry;
      this.save(old, { promised: first.ballot, accepted: first, committed: undefined });
    }
  }

  private descends(later: StateImage, earlier: StateImage): boolean {
    for (let at: string | undefined = toHex(later.valueHash); at; at = this.parents.get(at))
      if (at === toHex(earlier.valueHash)) return true;
    return false;
  }

  private judge(): void {
    const chosen = this.chosen();
    for (const [i, entry] of chosen.entries()) {
      const before = chosen[i - 1];
      if (!before) continue;
      if (!this.descends(entry.image, before.image)) this.violation ??= 'G1: chosen states do not form a chain';
      if (entry.image.state.config.generation < before.image.state.config.generation)
        this.violation ??= 'G2: a configuration went back';
    }
  }
}

function name({ round, proposer }: Ballot): string {
  return `${round}/${toHex(proposer)}`;
}
