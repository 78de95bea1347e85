// Who is alive, after SWIM with Lifeguard's corrections (protocols 1.3): direct probe, indirect probes by three, suspicion that
// gets shorter with each who confirms it, refutation by incarnation; a node that may be the slow one itself is patient. Overlays
// share it. No I/O: it is told what happened and when, and leaves what to do in `effects`.

import { limits } from '../base/limits.ts';
import type { Random } from '../runtime/runtime.ts';
import type { Liveness } from './overlay.ts';
import type { NodeName } from './ring.ts';

export const newsStates = ['alive', 'suspect', 'dead', 'left'] as const;
type State = (typeof newsStates)[number];

/** What is told about a node. For one incarnation a later state of the list wins; a higher incarnation wins over all. */
export interface News {
  readonly node: NodeName;
  readonly state: State;
  readonly incarnation: number;
  /** Of a suspicion: who had no answer from the node. */
  readonly by: NodeName | undefined;
}

export type DetectorEffect =
  | { type: 'ping'; to: NodeName }
  | { type: 'ping-via'; via: NodeName; about: NodeName }
  | { type: 'changed'; node: NodeName; from: Liveness; to: Liveness };

interface Member {
  state: State;
  incarnation: number;
  /** Of a suspect: since when, and by whom. */
  since: number;
  by: Set<NodeName>;
}

export const probePeriodMs = 1000;
const pingTimeoutMs = 500;
const helpersMax = 3;
const healthMax = 8;
const newsPerMessage = 8;
/** Times log10 of the members: how long a suspicion lasts that was confirmed, and how much longer one that nobody shares. */
const suspicionPeriods = 4;
const suspicionStretch = 6;
const confirmationsMax = 3;
/** Ticks this many periods apart: the process stood still. What timed out meanwhile, and shortly after, says nothing of others. */
const stallPeriods = 2.5;
const stallGraceMs = 500;

export class Detector {
  readonly self: NodeName;
  incarnation: number;
  /** Grows with every change of what is believed. */
  version = 0;
  effects: DetectorEffect[] = [];
  private readonly random: Random;
  private readonly members = new Map<NodeName, Member>();
  private readonly probing = new Set<NodeName>();
  /** Open indirect probes of a node. */
  private readonly indirect = new Map<NodeName, number>();
  private readonly news = new Map<NodeName, { news: News; sent: number }>();
  private round: NodeName[] = [];
  /** Signs that this node itself may be the slow one: 0, none, to 8. */
  private health = 0;
  private ticked: { at: number; periodMs: number } | undefined;
  private graceUntil = Number.NEGATIVE_INFINITY;
  /** False in measurements of what the corrections are good for. */
  private readonly corrected: boolean;

  constructor(self: NodeName, incarnation: number, random: Random, { corrected = true } = {}) {
    this.self = self;
    this.incarnation = incarnation;
    this.random = random;
    this.corrected = corrected;
  }

  readonly liveness = (node: NodeName): Liveness => {
    if (node === this.self) return 'alive';
    const state = this.members.get(node)?.state;
    return state === undefined ? 'unknown' : state === 'left' ? 'dead' : state;
  };

  get pingTimeoutMs(): number {
    return pingTimeoutMs * (1 + this.health);
  }

  /** Between two ticks: longer while this node may be the slow one. */
  get periodMs(): number {
    return probePeriodMs * (1 + this.health);
  }

  /** Once a period: confirms suspects whose time is over, and probes the next of the targets, in random order. */
  tick(now: number, targets: readonly NodeName[]): void {
    this.noticeStall(now);
    for (const [node, member] of this.members)
      if (member.state === 'suspect' && member.since + this.patience(member) <= now)
        this.set(node, 'dead', member.incarnation, now);
    const wanted = new Set(targets);
    for (;;) {
      const next = this.round.pop();
      if (next === undefined) break;
      if (wanted.has(next) && this.liveness(next) !== 'dead') {
        this.probe(next);
        return;
      }
    }
    this.round = this.shuffle(targets.filter((node) => this.liveness(node) !== 'dead'));
    const first = this.round.pop();
    if (first !== undefined) this.probe(first);
  }

  probe(node: NodeName): void {
    if (node === this.self || this.probing.has(node) || this.probing.size >= limits.knownContactsMax) return;
    this.probing.add(node);
    this.effects.push({ type: 'ping', to: node });
  }

  pingFailed(node: NodeName, now: number): void {
    if (!this.probing.has(node)) return;
    if (this.stalled(now)) {
      this.effects.push({ type: 'ping', to: node });
      return;
    }
    const alive = [...this.members].filter(([other, member]) => other !== node && member.state === 'alive');
    const helpers =
      this.liveness(node) === 'dead' ? [] : this.shuffle(alive.map(([other]) => other)).slice(0, helpersMax);
    if (helpers.length === 0) this.unreachable(node, now, true);
    else this.indirect.set(node, helpers.length);
    for (const via of helpers) this.effects.push({ type: 'ping-via', via, about: node });
  }

  /** A helper's answer: whether it reached the node; undefined when the helper itself was silent. */
  helperAnswered(node: NodeName, reached: boolean | undefined, now: number): void {
    const open = this.indirect.get(node);
    if (open === undefined) return;
    if (this.stalled(now) && !reached) {
      this.indirect.delete(node);
      this.effects.push({ type: 'ping', to: node });
      return;
    }
    if (reached === undefined) this.worse();
    if (reached) this.reached(node, 0, now);
    else if (open > 1) this.indirect.set(node, open - 1);
    else this.unreachable(node, now);
  }

  /** A round trip with the node, its own or a helper's. */
  reached(node: NodeName, incarnation: number, now: number): void {
    this.probing.delete(node);
    this.indirect.delete(node);
    this.health = Math.max(0, this.health - 1);
    const member = this.members.get(node);
    if (node === this.self || (member?.state === 'left' && incarnation <= member.incarnation)) return;
    this.set(node, 'alive', Math.max(incarnation, member?.incarnation ?? 0), now);
  }

  /** A message came in from the node: it lives, but whether it can be reached only a probe tells. */
  seen(node: NodeName, incarnation: number, now: number): void {
    if (node === this.self) return;
    const member = this.members.get(node);
    if (member === undefined || incarnation > member.incarnation) this.set(node, 'alive', incarnation, now);
    else if (member.state !== 'alive') this.probe(node);
  }

  left(node: NodeName, now: number): void {
    if (node !== this.self) this.set(node, 'left', this.members.get(node)?.incarnation ?? 0, now);
  }

  heard(news: News, now: number): void {
    if (news.node === this.self) {
      if (news.state === 'alive' || news.incarnation < this.incarnation) return;
      this.worse();
      this.incarnation = news.incarnation + 1;
      this.spread({ node: this.self, state: 'alive', incarnation: this.incarnation, by: undefined });
      return;
    }
    const member = this.members.get(news.node);
    if (member === undefined && news.state !== 'alive') return;
    const rank = (state: State) => newsStates.indexOf(state);
    const newer =
      member === undefined ||
      news.incarnation > member.incarnation ||
      (news.incarnation === member.incarnation && rank(news.state) > rank(member.state));
    if (newer) this.set(news.node, news.state, news.incarnation, now, news.by);
    else if (news.state === 'suspect') this.confirm(news.node, news.incarnation, news.by);
  }

  /** News for one message to the node: first what concerns the receiver itself, so that it can refute. */
  takeNews(receiver: NodeName): News[] {
    const out: News[] = [];
    const member = this.members.get(receiver);
    if (member && member.state !== 'alive')
      out.push({ node: receiver, state: member.state, incarnation: member.incarnation, by: [...member.by][0] });
    const waiting = [...this.news.values()].sort((a, b) => a.sent - b.sent);
    for (const item of waiting) {
      if (out.length >= newsPerMessage) break;
      if (item.news.node === receiver) continue;
      out.push(item.news);
      if (++item.sent >= 3 * Math.ceil(Math.log2(this.members.size + 2))) this.news.delete(item.news.node);
    }
    return out;
  }

  /** Forgets all other nodes. */
  keep(nodes: ReadonlySet<NodeName>): void {
    for (const node of this.members.keys()) if (!nodes.has(node) && this.members.delete(node)) this.version++;
  }

  private unreachable(node: NodeName, now: number, alone = false): void {
    this.probing.delete(node);
    this.indirect.delete(node);
    const member = this.members.get(node);
    // Without helpers it is one word against the other's.
    if (alone && member?.state === 'alive') this.worse();
    if (member === undefined || member.state === 'alive')
      this.set(node, 'suspect', member?.incarnation ?? 0, now, this.self);
    else if (member.state === 'suspect') this.confirm(node, member.incarnation, this.self);
  }

  private set(node: NodeName, state: State, incarnation: number, now: number, by?: NodeName): void {
    const from = this.liveness(node);
    const old = this.members.get(node);
    if (old?.state === state && old.incarnation === incarnation) return;
    this.version++;
    const suspects = new Set(state === 'suspect' && by !== undefined ? [by] : []);
    this.members.set(node, { state, incarnation, since: now, by: suspects });
    this.spread({ node, state, incarnation, by: state === 'suspect' ? by : undefined });
    const to = this.liveness(node);
    if (from !== to) this.effects.push({ type: 'changed', node, from, to });
  }

  /** One more has no answer from a suspect; only members count, and the first few are told on. */
  private confirm(node: NodeName, incarnation: number, by: NodeName | undefined): void {
    const member = this.members.get(node);
    if (!this.corrected || by === undefined || member?.state !== 'suspect' || member.incarnation !== incarnation)
      return;
    if (member.by.has(by) || member.by.size > confirmationsMax || by === node) return;
    if (by !== this.self && this.liveness(by) !== 'alive') return;
    member.by.add(by);
    this.spread({ node, state: 'suspect', incarnation, by });
  }

  /** How long the suspicion lasts, from the first. */
  private patience(member: Member): number {
    let living = 1;
    for (const { state } of this.members.values()) if (state === 'alive' || state === 'suspect') living++;
    const least = suspicionPeriods * probePeriodMs * Math.max(1, Math.log10(this.members.size + 1));
    const wanted = Math.min(confirmationsMax, living - 2);
    if (!this.corrected || wanted < 1) return least;
    const confirmed = Math.min(wanted, Math.max(0, member.by.size - 1));
    return least * (suspicionStretch - (suspicionStretch - 1) * (Math.log(confirmed + 1) / Math.log(wanted + 1)));
  }

  /** Whether this process has just stood still. */
  private stalled(now: number): boolean {
    if (!this.corrected || this.ticked === undefined) return false;
    return now < this.graceUntil || now - this.ticked.at > stallPeriods * this.ticked.periodMs;
  }

  /** Suspects had no chance to refute while nobody listened here. */
  private noticeStall(now: number): void {
    if (this.stalled(now) && now >= this.graceUntil) {
      const stalledMs = now - (this.ticked?.at ?? now);
      for (const member of this.members.values()) if (member.state === 'suspect') member.since += stalledMs;
      this.graceUntil = now + stallGraceMs;
      this.worse();
    }
    this.ticked = { at: now, periodMs: this.periodMs };
  }

  private worse(): void {
    if (this.corrected) this.health = Math.min(healthMax, this.health + 1);
  }

  private spread(news: News): void {
    if (this.news.size >= limits.knownContactsMax) this.news.delete(this.news.keys().next().value as NodeName);
    this.news.delete(news.node);
    this.news.set(news.node, { news, sent: 0 });
  }

  private shuffle(nodes: readonly NodeName[]): NodeName[] {
    const out = [...nodes];
    for (let i = out.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1);
      [out[i], out[j]] = [out[j] as NodeName, out[i] as NodeName];
    }
    return out;
  }
}
