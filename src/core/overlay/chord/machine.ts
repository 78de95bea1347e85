// One node of the ring as a machine without I/O: ring steps, failure detector, remembered members and their timers together.
// It is told of answers, requests and the time, and leaves the calls to make in an outbox; `overlay.ts` makes them over real
// peers and the ring simulator over a simulated wire, so both run this same code.

import { limits } from '../../base/limits.ts';
import type { Random } from '../../runtime/runtime.ts';
import { Detector, type DetectorEffect, type News } from '../detector.ts';
import { type Entry, entryOf, type NodeName } from '../ring.ts';
import { findFrom, stateOf } from './answers.ts';
import { type Answers, type Call, gather, type Item, type MethodName, type Outgoing, type Requests } from './calls.ts';
import { Contacts } from './contacts.ts';
import { Outbox } from './outbox.ts';
import { neighboursOf, newRing, type Ring, withPositions } from './state.ts';
import { type RingEvent, type Send, step } from './steps.ts';

export type LivenessChange = Extract<DetectorEffect, { type: 'changed' }>;

export interface MachineOptions {
  self: NodeName;
  positions: number;
  /** Higher than in any earlier life, as far as known; the wall clock does. */
  incarnation: number;
  random: Random;
  step?: typeof step;
}

const stabiliseMinMs = 1000;
/** While nothing changes; longer for more positions than that many, so that upkeep does not grow with capacity. */
export const stabiliseMaxMs = 15_000;
const stabilisePositions = 16;
const joinTriesMax = 4;
const joinAgainMs = 150;
export const unifyPeriodMs = 30_000;
/** Positions that unify in one period; when a lost node comes back, all do at once. */
const unifyPositions = 4;
/** Some may be dead without anybody's knowing; the next is asked when one keeps silent. */
export const unifyContacts = 3;
/** Nodes wanted in a walk's answer: itself and the next; a joiner wants the whole list. */
export const unifyWant = 2;
const reconnectPeriodMs = 5000;

export class Machine {
  readonly detector: Detector;
  readonly contacts: Contacts;
  ring: Ring;
  /** Serial of this node's record, told with every gossip. */
  serial = 0;
  leaving = false;
  private readonly options: MachineOptions;
  private readonly step: typeof step;
  private readonly outbox = new Outbox();
  private changes: LivenessChange[] = [];
  private sends: Send[] = [];
  private now = 0;
  private started = false;
  private stabilisePeriodMs = stabiliseMinMs;
  private stabilisedVersion = -1;
  private unifyTurn = 0;
  private joinTries = 0;
  private joinAgainAt = 0;
  private readonly due = { stabilise: 0, probe: 0, unify: 0, reconnect: 0 };

  constructor(options: MachineOptions) {
    this.options = options;
    this.step = options.step ?? step;
    this.ring = newRing(options.self, options.positions);
    this.detector = new Detector(options.self, options.incarnation, options.random);
    this.contacts = new Contacts(options.random);
  }

  get self(): NodeName {
    return this.options.self;
  }

  get joined(): boolean {
    return this.ring.positions[0]?.joined ?? false;
  }

  /** When `wake` wants to be called next. */
  get nextWake(): number {
    return this.started ? Math.min(...Object.values(this.due)) : Number.POSITIVE_INFINITY;
  }

  takeOutbox(): Outgoing[] {
    return this.outbox.drain();
  }

  takeChanges(): LivenessChange[] {
    const out = this.changes;
    this.changes = [];
    return out;
  }

  /** Takes its places on the ring through the contacts; alone when none of them is on it. */
  join(contacts: readonly NodeName[], now: number): void {
    this.turn(now, () => {
      for (const node of contacts) this.remember(node, false);
      this.started = true;
      for (const timer of ['stabilise', 'probe', 'unify', 'reconnect'] as const)
        this.due[timer] = now + this.jitter(1000);
      this.joinAgainAt = now + this.jitter(joinAgainMs);
      this.apply({ type: 'join', position: 0, contacts });
      this.joinOn();
    });
  }

  /** Says goodbye to everybody who points here, `drained` for good; positions answer `leaving` from now on. */
  leave(now: number, drained = false): void {
    this.turn(now, () => {
      this.leaving = true;
      const positions = this.ring.positions
        .filter(({ joined }) => joined)
        .map(({ self, list, pred }) => ({ self, list, pred }));
      for (const node of this.neighbours()) this.call(node, { method: 'leave', request: { positions, drained } }, []);
    });
  }

  /** This node holds so many positions from now on; its record says so already, and neighbours are told to look at it. */
  resize(positions: number, now: number): void {
    this.turn(now, () => {
      const neighbours = this.neighbours();
      this.ring = withPositions(this.ring, positions);
      this.apply({ type: 'withdrawn', node: this.self, positions });
      if (!this.started) return;
      for (const node of neighbours) this.gossip(node, undefined);
      this.joinOn();
    });
  }

  /** The record of another node declares fewer positions than before. */
  withdrawn(node: NodeName, positions: number, now: number): void {
    this.turn(now, () => this.apply({ type: 'withdrawn', node, positions }));
  }

  wake(now: number): void {
    this.turn(now, () => {
      if (now >= this.due.probe) this.probeRound();
      if (now >= this.due.stabilise) this.stabiliseRound();
      if (now >= this.due.unify) this.unifyRound();
      if (now >= this.due.reconnect) this.reconnectRound();
    });
  }

  answered<M extends MethodName>(id: number, answer: Answers[M], now: number): void {
    this.turn(now, () => {
      const open = this.outbox.end(id);
      if (open === undefined) return;
      const { to, call, items } = open;
      this.remember(to, true);
      if (call.method === 'gossip') return this.gossipAnswered(to, call.request.about, answer as Answers['gossip']);
      const state = call.method === 'state' ? (answer as Answers['state']) : undefined;
      if (state?.leaving) this.detector.left(to, now);
      else this.detector.reached(to, 0, now);
      if (state) {
        for (const node of state.known) this.remember(node, false);
        for (const [i, item] of items.entries()) this.apply({ type: 'state', ...item, answer: state.items[i] });
      } else if (call.method === 'find') {
        const { answers } = answer as Answers['find'];
        for (const [i, item] of items.entries()) this.apply({ type: 'found', ...item, answer: answers[i] });
        this.joinOn();
      }
    });
  }

  failed(id: number, now: number): void {
    this.turn(now, () => {
      const open = this.outbox.end(id);
      if (open === undefined) return;
      const { to, call, items } = open;
      if (call.method === 'gossip') {
        if (call.request.about === undefined) this.detector.pingFailed(to, now);
        else this.detector.helperAnswered(call.request.about, undefined, now);
        return;
      }
      this.detector.probe(to);
      const type = call.method === 'find' ? 'found' : 'state';
      for (const item of items) this.apply({ type, ...item, answer: undefined });
      this.joinOn();
    });
  }

  /** A message from a node of the ring. `gossip` about another node is answered by `overlay.ts`, which makes the probe. */
  requested<M extends MethodName>(from: NodeName, method: M, request: Requests[M], now: number): Answers[M] {
    let answer: unknown;
    this.turn(now, () => {
      this.remember(from, true);
      this.detector.seen(from, method === 'gossip' ? (request as Requests['gossip']).incarnation : 0, now);
      answer = this.respond(from, { method, request } as Call);
    });
    return answer as Answers[M];
  }

  /** From clients too: no trace is kept of who asks. */
  find(request: Requests['find'], hints: Iterable<Entry> = []): Answers['find'] {
    const options = { strict: request.strict, want: request.want, hints };
    return { answers: request.keys.map((key) => findFrom(this.ring, key, this.detector.liveness, options)) };
  }

  /** The node's connection closed, or a caller found it silent. */
  doubt(node: NodeName, now: number): void {
    this.turn(now, () => this.detector.probe(node));
  }

  /** Somebody new was met. */
  met(node: NodeName, now: number): void {
    this.turn(now, () => {
      this.remember(node, true);
      if (this.detector.liveness(node) !== 'alive') this.detector.probe(node);
    });
  }

  /** Grows with whatever `neighbours`, `tiny`, the contacts or their liveness may depend on. */
  get version(): number {
    return this.ring.version + this.detector.version + this.contacts.version;
  }

  neighbours(): NodeName[] {
    return neighboursOf(this.ring);
  }

  /** Fewer other nodes than a list holds: then lists are the whole membership (protocols 1.6). */
  get tiny(): boolean {
    return this.neighbours().filter((node) => this.detector.liveness(node) !== 'dead').length < limits.successorNodes;
  }

  /** Runs one input: effects of the detector are worked off, and what is to be sent leaves in as few messages as possible. */
  private turn(now: number, task: () => void): void {
    this.now = now;
    task();
    while (this.detector.effects.length > 0) {
      const effects = this.detector.effects;
      this.detector.effects = [];
      for (const effect of effects) this.detected(effect);
    }
    this.flush();
  }

  private detected(effect: DetectorEffect): void {
    if (effect.type === 'ping') this.gossip(effect.to, undefined);
    else if (effect.type === 'ping-via') this.gossip(effect.via, effect.about);
    else this.livenessChanged(effect);
  }

  private gossip(to: NodeName, about: NodeName | undefined): void {
    const { incarnation } = this.detector;
    const request = { about, incarnation, serial: this.serial, news: this.detector.takeNews(to) };
    this.call(to, { method: 'gossip', request }, []);
  }

  private livenessChanged(effect: LivenessChange): void {
    this.changes.push(effect);
    this.remember(effect.node, effect.to === 'alive');
    if (!this.started || effect.to === 'suspect') return;
    this.stabilisePeriodMs = stabiliseMinMs;
    this.due.stabilise = Math.min(this.due.stabilise, this.now + (effect.to === 'dead' ? 0 : this.jitter(100)));
    if (effect.to === 'alive' && effect.from !== 'suspect' && this.joined && (effect.from === 'dead' || this.tiny))
      this.apply({ type: 'unify', contacts: [effect.node] });
  }

  private probeRound(): void {
    this.due.probe = this.now + this.jitter(this.detector.periodMs);
    const watched = new Set(this.neighbours());
    if (this.contacts.size <= 2 * limits.successorNodes) for (const node of this.contacts.all()) watched.add(node);
    this.detector.tick(this.now, [...watched]);
  }

  private stabiliseRound(): void {
    const quiet = this.ring.version === this.stabilisedVersion;
    this.stabilisedVersion = this.ring.version;
    const longestMs = stabiliseMaxMs * Math.max(1, this.ring.positions.length / stabilisePositions);
    this.stabilisePeriodMs = quiet ? Math.min(longestMs, this.stabilisePeriodMs * 2) : stabiliseMinMs;
    this.due.stabilise = this.now + this.jitter(this.stabilisePeriodMs);
    this.joinOn();
    this.apply({ type: 'stabilise' });
    if (!this.tiny || !this.joined) return;
    const neighbours = new Set(this.neighbours());
    const strangers = this.contacts.all().filter((node) => !neighbours.has(node));
    for (const node of strangers.filter((each) => this.detector.liveness(each) === 'unknown').slice(0, 8))
      this.detector.probe(node);
    const alive = strangers.filter((node) => this.detector.liveness(node) === 'alive');
    if (alive.length > 0) this.apply({ type: 'unify', contacts: alive.slice(0, 8) });
  }

  private unifyRound(): void {
    this.due.unify = this.now + this.jitter(unifyPeriodMs);
    this.detector.keep(new Set([...this.contacts.all(), ...this.neighbours()]));
    const believed = this.contacts.some(unifyContacts, (node) => this.detector.liveness(node) !== 'dead');
    const contacts = believed.length > 0 ? believed : this.contacts.some(1, () => true);
    const positions = Array.from({ length: unifyPositions }, () => this.unifyTurn++ % this.ring.positions.length);
    if (contacts.length > 0 && this.joined) this.apply({ type: 'unify', contacts, positions });
  }

  private reconnectRound(): void {
    this.due.reconnect = this.now + this.jitter(reconnectPeriodMs);
    const contact = this.contacts.next((node) => this.detector.liveness(node) === 'dead');
    if (contact !== undefined) this.detector.probe(contact);
  }

  /** One position after another takes its place; the first one alone when nobody answered. */
  private joinOn(): void {
    if (this.leaving) return;
    for (const { self, joined, walk } of this.ring.positions) {
      if (walk?.purpose === 'join') return;
      if (joined) continue;
      if (self.index === 0) this.joinAgainOrAlone();
      else this.apply({ type: 'join', position: self.index, contacts: [this.self] });
      if (!this.ring.positions[self.index]?.joined) return;
    }
  }

  /** Somebody may be there who is just taking his own place, or lost his way; nobody waits for long. */
  private joinAgainOrAlone(): void {
    const alive = this.contacts.all().filter((node) => this.detector.liveness(node) === 'alive');
    if (alive.length === 0 || this.joinTries >= joinTriesMax) this.apply({ type: 'alone', position: 0 });
    else if (this.now >= this.joinAgainAt) {
      this.joinTries++;
      this.joinAgainAt = this.now + this.jitter(joinAgainMs);
      this.due.stabilise = Math.min(this.due.stabilise, this.joinAgainAt);
      this.apply({ type: 'join', position: 0, contacts: alive.slice(0, 16) });
    }
  }

  private apply(event: RingEvent): void {
    const { ring, sends } = this.step(this.ring, event, this.detector.liveness);
    this.ring = ring;
    for (const send of sends) {
      if (send.type === 'probe') this.detector.probe(send.node);
      else if (send.type === 'lost') this.due.unify = Math.min(this.due.unify, this.now + this.jitter(1000));
      else if (send.type !== 'joined') this.sends.push(send);
    }
  }

  private flush(): void {
    const sends = this.sends;
    this.sends = [];
    const joined = this.ring.positions.every((position) => position.joined);
    for (const { to, call, items } of gather(sends, joined ? unifyWant : limits.successorNodes))
      this.call(to, call, items);
  }

  private call(to: NodeName, call: Call, sends: readonly Item[]): void {
    this.outbox.add(to, call, sends, this.detector.pingTimeoutMs);
  }

  private gossipAnswered(to: NodeName, about: NodeName | undefined, answer: Answers['gossip']): void {
    this.detector.reached(to, answer.incarnation, this.now);
    if (about !== undefined) this.detector.helperAnswered(about, answer.reached, this.now);
    for (const news of answer.news) this.hear(news);
  }

  private hear(news: News): void {
    this.detector.heard(news, this.now);
    if (news.state === 'alive' && news.node !== this.self) this.remember(news.node, false);
  }

  private respond(from: NodeName, call: Call): unknown {
    switch (call.method) {
      case 'state': {
        const items = call.request.items.map(({ target, held }) => stateOf(this.ring, target, held));
        return { items, known: this.contacts.sample(2), leaving: this.leaving } satisfies Answers['state'];
      }
      case 'notify':
        for (const item of call.request.items) {
          const who = entryOf(from, item.from);
          this.apply({ type: 'notified', position: item.target, who, changed: item.changed });
        }
        return {};
      case 'find':
        return this.find(call.request);
      case 'leave':
        this.detector.left(from, this.now);
        this.apply({ type: 'left', node: from, positions: call.request.positions });
        return {};
      case 'gossip': {
        for (const news of call.request.news) this.hear(news);
        const { incarnation } = this.detector;
        const news = this.detector.takeNews(from);
        return { reached: true, incarnation, serial: this.serial, news } satisfies Answers['gossip'];
      }
    }
  }

  private remember(node: NodeName, alive: boolean): void {
    if (node === this.self) return;
    this.contacts.remember(node, this.now, alive);
  }

  private jitter(periodMs: number): number {
    return Math.round(periodMs * (0.8 + 0.4 * this.options.random.fraction()));
  }
}
