// Rounds of the production steps over a large ring, a second each: live nodes stabilise and unify when the timers of `machine.ts`
// would have them do so, in an order by chance, with a detector that knows which neighbours are dead; a round trip takes 50 ms, and
// a dead node's silence until the call times out. Nodes unify through remembered members, some of them dead too.

import { type Answers, type Call, callTimeoutMs, gather, type Item } from '../../src/core/overlay/chord/calls.ts';
import { stabiliseMaxMs, unifyContacts, unifyPeriodMs, unifyWant } from '../../src/core/overlay/chord/machine.ts';
import { type RingEvent, step } from '../../src/core/overlay/chord/steps.ts';
import { listEntries, type ScaleRing } from './ring-scale.ts';
import { bytesOf } from './ring-scale-upkeep.ts';
import type { SeededRandom } from './runtime/random.ts';

export interface Round {
  /** Live nodes whose list and predecessor are what the ideal ring has (R6), after the round. */
  exact: number;
  /** Nodes that found nobody to ask, or whom nobody has at the head of his list. */
  lost: number;
  calls: number;
  /** Of calls and answers. */
  bytes: number;
}

interface Message {
  readonly from: number;
  readonly to: number;
  readonly call: Call;
  readonly items: readonly Item[];
  /** How many such calls it stands for. */
  readonly weight: number;
}

const roundsMax = 600;
const unifySeconds = unifyPeriodMs / 1000;
/** A round trip. */
const slotMs = 50;
const slotsPerSecond = 1000 / slotMs;
const slotsKept = callTimeoutMs / slotMs + 1;
/** Calls whose bytes are counted. */
const sampleEvery = 16;
/** Of stabilisations and unifications that find everything exact one in so many is made, and counted for all. */
const idleEvery = 16;

export class Healing {
  private readonly ring: ScaleRing;
  private readonly random: SeededRandom;
  /** Calls that are answered or given up in a slot to come. */
  private readonly slots: Message[][] = Array.from({ length: slotsKept }, () => []);
  private slot = 0;
  private lost = new Set<number>();
  private readonly periods: Uint8Array;
  private readonly due: Int32Array;
  /** Whether a list or predecessor has changed since the node stabilised last. */
  private readonly changed: Uint8Array;
  private now = 0;
  private calls = 0;
  private bytes = 0;
  private settled = 0;
  private idleTurns = 0;

  /** Timers begin at once, as the detector just confirmed the dead. */
  constructor(ring: ScaleRing) {
    this.ring = ring;
    this.random = ring.random.fork('heal');
    this.periods = new Uint8Array(ring.size).fill(1);
    this.due = new Int32Array(ring.size);
    this.changed = new Uint8Array(ring.size).fill(1);
  }

  /** Rounds until R6 holds. Throws when that takes too many. */
  run(onRound: (round: Round) => void = () => {}): Round[] {
    const live = this.ring.live.length;
    const rounds: Round[] = [];
    while (rounds.length < roundsMax) {
      const round = this.round();
      onRound(round);
      rounds.push(round);
      if (round.exact === live) return rounds;
    }
    throw new Error(`not healed after ${roundsMax} rounds: ${JSON.stringify(rounds.at(-1))}`);
  }

  /** A second. */
  round(): Round {
    const before = this.lost;
    this.lost = new Set();
    [this.calls, this.bytes] = [0, 0];
    const ranks = this.shuffled();
    for (let part = 0; part < slotsPerSecond; part++) {
      const first = Math.floor((ranks.length * part) / slotsPerSecond);
      const last = Math.floor((ranks.length * (part + 1)) / slotsPerSecond);
      for (const rank of ranks.subarray(first, last)) {
        if (before.has(rank) || (this.now + rank) % unifySeconds === 0) this.unify(rank);
        if ((this.due[rank] as number) <= this.now) this.stabilise(rank);
      }
      const slot = this.slots[++this.slot % slotsKept] as Message[];
      for (const message of slot.splice(0)) this.settle(message);
    }
    this.now++;
    const exact = this.ring.live.reduce((sum, rank) => sum + (this.ring.isExact(rank) ? 1 : 0), 0);
    return { exact, lost: this.lost.size, calls: this.calls, bytes: this.bytes };
  }

  private stabilise(rank: number): void {
    const period = this.changed[rank] ? 1 : Math.min(stabiliseMaxMs / 1000, (this.periods[rank] as number) * 2);
    this.changed[rank] = 0;
    this.periods[rank] = period;
    this.due[rank] = this.now + period;
    const idle = this.isIdle(rank) && this.ring.isExact(this.ring.lists[rank * listEntries] as number);
    if (this.isMade(idle)) this.apply(rank, { type: 'stabilise' }, undefined, idle ? idleEvery : 1);
  }

  private unify(rank: number): void {
    const idle = this.isIdle(rank);
    if (!this.isMade(idle)) return;
    const contacts = Array.from(
      { length: unifyContacts },
      () => this.ring.entry(this.random.below(this.ring.size)).node,
    );
    this.apply(rank, { type: 'unify', contacts }, undefined, idle ? idleEvery : 1);
  }

  private isIdle(rank: number): boolean {
    return this.ring.isExact(rank) && !this.ring.isWaiting(rank);
  }

  private isMade(idle: boolean): boolean {
    return !idle || this.idleTurns++ % idleEvery === 0;
  }

  private shuffled(): Int32Array {
    const ranks = this.ring.live.slice();
    for (let i = ranks.length - 1; i > 0; i--) {
      const j = this.random.below(i + 1);
      [ranks[i], ranks[j]] = [ranks[j] as number, ranks[i] as number];
    }
    return ranks;
  }

  private apply(rank: number, event: RingEvent, heard?: number, weight = 1): void {
    const { ring } = this;
    const loaded = ring.load(rank);
    const done = step(loaded, event, ring.livenessAt(rank, heard));
    ring.store(rank, loaded, done.ring);
    if (done.ring.version > 0) this.changed[rank] = 1;
    if (done.ring.version > 0 && event.type === 'state' && weight > 1) throw new Error(`not idle: ${rank}`);
    for (const send of done.sends) if (send.type === 'lost') this.lost.add(rank);
    for (const { to, call, items } of gather(done.sends, unifyWant))
      this.send({ from: rank, to: ring.rankOf(to), call, items, weight });
  }

  private send(message: Message): void {
    const wait = this.ring.up[message.to] ? 1 : callTimeoutMs / slotMs;
    (this.slots[(this.slot + wait) % slotsKept] as Message[]).push(message);
  }

  private settle({ from, to, call, items, weight }: Message): void {
    const { ring } = this;
    const heard = ring.up[to] ? to : undefined;
    const answer = ring.up[to] ? this.answer(from, to, call) : undefined;
    this.calls += weight;
    if (this.settled++ % sampleEvery === 0) this.bytes += sampleEvery * weight * bytesOf(call, answer);
    if (call.method === 'state') {
      const answers = (answer as Answers['state'] | undefined)?.items;
      for (const [i, { position, nonce }] of items.entries())
        this.apply(from, { type: 'state', position, nonce, answer: answers?.[i] }, heard, weight);
    } else if (call.method === 'find') {
      const answers = (answer as Answers['find'] | undefined)?.answers;
      for (const [i, { position, nonce }] of items.entries())
        this.apply(from, { type: 'found', position, nonce, answer: answers?.[i] }, heard, weight);
    }
  }

  private answer(from: number, to: number, call: Call): Answers[Call['method']] {
    const { ring } = this;
    if (call.method === 'state') return ring.state(to, call.request);
    if (call.method === 'find') return { answers: call.request.keys.map((key) => ring.find(to, key, true, unifyWant)) };
    if (call.method !== 'notify') throw new Error(`nobody sends ${call.method} here`);
    for (const item of call.request.items)
      this.apply(to, { type: 'notified', position: item.target, who: ring.entry(from), changed: item.changed }, from);
    return {};
  }
}
