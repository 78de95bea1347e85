// Ring maintenance of one node with its positions, as a pure step: (ring, event) -> {ring, sends}. Rules: protocols 1.3 and
// 1.5 (Zave's corrected Chord, a liveness check at adoption, a spare list, unification). It knows ids only: how a node is
// reached, when timers fire and how positions share messages is the business of `machine.ts`.

import { limits } from '../../base/limits.ts';
import { between, type Entry, type NodeName, type Point } from '../ring.ts';
import { digestOf, type FindAnswer, findFrom, stateOf } from './answers.ts';
import {
  cut,
  headOf,
  type LivenessOf,
  type Position,
  type Query,
  type Ring,
  type StateAnswer,
  type Walk,
} from './state.ts';

export type RingEvent =
  | { type: 'stabilise'; position?: number }
  | { type: 'join'; position: number; contacts: readonly NodeName[] }
  | { type: 'alone'; position: number }
  | { type: 'unify'; contacts: readonly NodeName[]; positions?: readonly number[] }
  | { type: 'state'; position: number; nonce: number; answer: StateAnswer | undefined }
  | { type: 'found'; position: number; nonce: number; answer: FindAnswer | undefined }
  | { type: 'notified'; position: number; who: Entry; changed: boolean }
  | { type: 'left'; node: NodeName; positions: readonly LeaverPosition[] }
  /** The node holds only so many positions from now on. */
  | { type: 'withdrawn'; node: NodeName; positions: number };

export interface LeaverPosition {
  readonly self: Entry;
  readonly list: readonly Entry[];
  readonly pred: Entry | undefined;
}

export type Send =
  | { type: 'state'; position: number; nonce: number; to: Entry; held: string }
  | { type: 'find'; position: number; nonce: number; to: NodeName; key: Point }
  /** `changed`: the list of `from` is another than when the receiver asked last. */
  | { type: 'notify'; from: Entry; to: Entry; changed: boolean }
  /** The detector should look at once. */
  | { type: 'probe'; node: NodeName }
  /** Nobody of list and spare answers, or nobody has this position at the head of his list: unify at once. */
  | { type: 'lost'; position: number }
  | { type: 'joined'; position: number };

export function step(ring: Ring, event: RingEvent, liveness: LivenessOf): { ring: Ring; sends: Send[] } {
  const turn = new Turn(ring, liveness);
  turn.apply(event);
  return { ring: turn.result(), sends: turn.sends };
}

/** One application of `step`: a draft of the ring and the sends so far. Messages to itself are answered on the spot. */
class Turn {
  readonly sends: Send[] = [];
  private readonly self: NodeName;
  private readonly positions: Position[];
  private readonly liveness: LivenessOf;
  private nonce: number;
  private version: number;

  constructor(ring: Ring, liveness: LivenessOf) {
    this.self = ring.self;
    this.positions = [...ring.positions];
    this.nonce = ring.nonce;
    this.version = ring.version;
    this.liveness = (node) => (node === ring.self ? 'alive' : liveness(node));
  }

  result(): Ring {
    return { self: this.self, positions: this.positions, nonce: this.nonce, version: this.version };
  }

  apply(event: RingEvent): void {
    switch (event.type) {
      case 'stabilise':
        for (const index of event.position === undefined ? this.positions.keys() : [event.position])
          this.stabilise(index);
        return;
      case 'join':
        if (!this.at(event.position).joined) this.walk(event.position, 'join', event.contacts);
        return;
      case 'alone':
        if (this.at(event.position).joined) return;
        this.change(event.position, { joined: true, list: [], pred: undefined });
        this.sends.push({ type: 'joined', position: event.position });
        return;
      case 'unify':
        for (const [index, position] of this.positions.entries())
          if (position.joined && !position.walk && (event.positions?.includes(index) ?? true))
            this.walk(index, 'unify', event.contacts);
        return;
      case 'state':
        this.stateArrived(event.position, event.nonce, event.answer);
        return;
      case 'found':
        this.foundArrived(event.position, event.nonce, event.answer);
        return;
      case 'notified':
        this.notified(event.position, event.who, event.changed);
        return;
      case 'left':
        for (const index of this.positions.keys()) this.left(index, event.node, event.positions);
        return;
      case 'withdrawn':
        for (const index of this.positions.keys())
          this.withdrawn(index, (entry) => entry.node === event.node && entry.index >= event.positions);
        return;
    }
  }

  private at(index: number): Position {
    return this.positions[index] as Position;
  }

  private set(index: number, patch: Partial<Position>): void {
    this.positions[index] = { ...this.at(index), ...patch };
  }

  private change(index: number, patch: Partial<Position>): void {
    this.set(index, patch);
    this.version++;
  }

  private head(index: number): Entry | undefined {
    return headOf(this.at(index), this.liveness);
  }

  private dead(entry: Entry): boolean {
    return this.liveness(entry.node) === 'dead';
  }

  private stabilise(index: number): void {
    const position = this.at(index);
    if (!position.joined || position.query) return;
    if (position.pred && this.dead(position.pred)) this.change(index, { pred: undefined });
    else if (!position.pred && position.list.length > 0) this.sends.push({ type: 'lost', position: index });
    if (position.better) this.ask(index, 'better', position.better, []);
    else this.askNext(index, []);
  }

  /** Asks the first entry of list and spare neither confirmed dead nor silent in this round. */
  private askNext(index: number, silent: readonly Point[]): void {
    const { list, spare } = this.at(index);
    const next = [...list, ...spare].find((entry) => !this.dead(entry) && !silent.includes(entry.point));
    if (next) this.ask(index, 'stabilise', next, silent);
    else this.sends.push({ type: 'lost', position: index });
  }

  private ask(index: number, kind: Query['kind'], to: Entry, silent: readonly Point[]): void {
    const nonce = ++this.nonce;
    const { list, heard } = this.at(index);
    this.set(index, { query: { nonce, kind, to, silent } });
    const held = list[0]?.point === to.point ? heard : '';
    if (to.node === this.self) this.stateArrived(index, nonce, stateOf(this.result(), to.index, held));
    else this.sends.push({ type: 'state', position: index, nonce, to, held });
  }

  private stateArrived(index: number, nonce: number, answer: StateAnswer | undefined): void {
    const position = this.positions[index];
    const query = position?.query;
    if (query?.nonce !== nonce) return;
    this.set(index, { query: undefined });
    if (query.kind === 'better') {
      if (position?.better?.point === query.to.point) this.set(index, { better: undefined });
      if (answer && this.isCloser(index, query.to)) this.adopt(index, query.to, answer);
      else this.notifyHead(index);
    } else if (answer) this.adopt(index, query.to, answer);
    else this.askNext(index, [...query.silent, query.to.point]);
    this.askBetter(index);
  }

  /** The nearest candidate is kept: one that is asked already is not in the way of a nearer one. */
  private propose(index: number, entry: Entry): void {
    const { self, better } = this.at(index);
    if (!better || between(self.point, entry.point, better.point)) this.set(index, { better: entry });
  }

  private askBetter(index: number): void {
    const { better, query } = this.at(index);
    if (better && !query) this.ask(index, 'better', better, []);
  }

  /** A place between the position and the first live entry of its list, or anywhere when it has none. */
  private isCloser(index: number, entry: Entry): boolean {
    const { self } = this.at(index);
    const head = this.head(index);
    if (entry.point === self.point || this.dead(entry)) return false;
    return head === undefined || between(self.point, entry.point, head.point);
  }

  /** Rule Adopt. An answer without a live entry is refused: answers age while they travel. */
  private adopt(index: number, from: Entry, answer: StateAnswer): void {
    const { self, list } = this.at(index);
    if (answer.list === undefined && list[0]?.point !== from.point) return;
    const adopted = cut(self, [from, ...(answer.list ?? list.slice(1))]);
    if (!adopted.some((entry) => ['alive', 'suspect'].includes(this.liveness(entry.node)))) return;
    this.replaceList(index, adopted, answer.list === undefined ? this.at(index).heard : digestOf(answer.list));
    const pred = answer.pred;
    if (pred && between(self.point, pred.point, from.point) && !this.dead(pred)) this.propose(index, pred);
    else if (pred?.point !== self.point) this.notify(from, self, false);
  }

  /** `heard` names the answer the list was made of, if it was one. */
  private replaceList(index: number, list: readonly Entry[], heard = ''): void {
    this.set(index, { heard });
    const position = this.at(index);
    const old = position.list;
    if (list.length === old.length && list.every((entry, i) => entry.point === old[i]?.point)) return;
    this.change(index, { list, spare: old });
    if (position.pred && !this.dead(position.pred)) this.notify(position.pred, position.self, true);
  }

  private notifyHead(index: number): void {
    const head = this.head(index);
    if (head) this.notify(head, this.at(index).self, false);
  }

  private notify(to: Entry, from: Entry, changed: boolean): void {
    if (to.node === this.self) this.notified(to.index, from, changed);
    else this.sends.push({ type: 'notify', from, to, changed });
  }

  /** Rule Rectify; and whoever stands between the position and its head becomes a candidate, to be asked first. */
  private notified(index: number, who: Entry, changed: boolean): void {
    const position = this.positions[index];
    if (!position?.joined || who.point === position.self.point) return;
    if (changed) {
      if (this.head(index)?.point === who.point) this.stabilise(index);
      return;
    }
    const { self, pred } = position;
    if (
      pred === undefined ||
      pred.point === self.point ||
      between(pred.point, who.point, self.point) ||
      this.dead(pred)
    ) {
      if (pred?.point !== who.point) this.change(index, { pred: who });
    } else if (pred.point !== who.point) this.sends.push({ type: 'probe', node: pred.node });
    if (!this.isCloser(index, who)) return;
    this.propose(index, who);
    this.askBetter(index);
  }

  /** A failure announced in advance: the leaver's own list and predecessor stand for it. The detector has it as dead. */
  private left(index: number, node: NodeName, positions: readonly LeaverPosition[]): void {
    const position = this.at(index);
    if (!position.joined) return;
    const leaver = positions.find((each) => each.self.point === position.list[0]?.point);
    if (leaver) {
      const list = cut(
        position.self,
        leaver.list.filter((entry) => entry.node !== node),
      );
      if (list.some((entry) => this.liveness(entry.node) === 'alive')) this.replaceList(index, list);
    }
    const before = positions.find((each) => each.self.point === position.pred?.point);
    if (!before) return;
    const pred = before.pred?.node === node || before.pred?.point === position.self.point ? undefined : before.pred;
    this.change(index, { pred: pred && !this.dead(pred) ? pred : undefined });
  }

  /** Places nobody holds any more are forgotten, as those of a dead node are passed over. */
  private withdrawn(index: number, isGone: (entry: Entry) => boolean): void {
    const { list, spare, pred, better } = this.at(index);
    const kept = { list: list.filter((entry) => !isGone(entry)), spare: spare.filter((entry) => !isGone(entry)) };
    if (better && isGone(better)) this.set(index, { better: undefined });
    if (pred && isGone(pred)) this.change(index, { pred: undefined });
    if (kept.list.length < list.length) this.change(index, { ...kept, heard: '' });
    else this.set(index, kept);
  }

  private walk(index: number, purpose: Walk['purpose'], contacts: readonly NodeName[]): void {
    this.walkOn(index, { purpose, rest: contacts.map((node) => ({ node })), asked: [], at: undefined });
  }

  private walkOn(index: number, walk: Omit<Walk, 'nonce' | 'to'>): void {
    const [to, ...rest] = walk.rest.filter(({ node }) => !walk.asked.includes(node));
    if (to === undefined || walk.asked.length >= limits.lookupHopsMax) {
      this.set(index, { walk: undefined });
      if (walk.purpose === 'unify' && walk.at) this.unify(index, walk.at, []);
      return;
    }
    const nonce = ++this.nonce;
    const key = this.at(index).self.point;
    this.set(index, { walk: { ...walk, nonce, to, rest, asked: [...walk.asked, to.node] } });
    if (to.node !== this.self) this.sends.push({ type: 'find', position: index, nonce, to: to.node, key });
    else this.foundArrived(index, nonce, findFrom(this.result(), key, this.liveness, { strict: true }));
  }

  private foundArrived(index: number, nonce: number, answer: FindAnswer | undefined): void {
    const { self, walk } = this.positions[index] ?? {};
    if (!self || walk?.nonce !== nonce) return;
    if (answer?.type === 'owners') {
      this.set(index, { walk: undefined });
      if (walk.purpose === 'join') this.join(index, answer.after, answer.entries);
      else this.unify(index, answer.after, answer.entries);
      return;
    }
    const isAhead = ({ point }: Entry) => walk.at === undefined || between(walk.at.point, point, self.point);
    const at = answer && 'point' in walk.to && isAhead(walk.to) ? walk.to : walk.at;
    const ahead = (answer?.entries ?? []).filter(
      (entry) => entry.point !== self.point && (entry.node !== this.self || walk.purpose === 'join') && isAhead(entry),
    );
    this.walkOn(index, { ...walk, at, rest: [...ahead, ...walk.rest].slice(0, 16) });
  }

  /** Rule Join: `after` answered for itself that this place is between it and its head. */
  private join(index: number, after: Entry, entries: readonly Entry[]): void {
    const { self } = this.at(index);
    const ahead = entries.filter((entry) => entry.point !== self.point);
    const list = cut(self, ahead.length > 0 ? ahead : [after]);
    if (after.point === self.point || list.every((entry) => this.dead(entry))) return;
    this.change(index, { joined: true, list, heard: '', spare: [], pred: after });
    this.sends.push({ type: 'joined', position: index });
    this.notify(after, self, false);
    this.stabilise(index);
  }

  /**
   * Rule Unify: `entries` follow this place in the eyes of somebody; the first becomes a candidate, and `after` hears of us. When
   * all between keep silent, that is the nearest that answered.
   */
  private unify(index: number, after: Entry, entries: readonly Entry[]): void {
    const { self } = this.at(index);
    const next = entries.find((entry) => entry.point !== self.point);
    if (next && this.isCloser(index, next)) {
      this.propose(index, next);
      this.askBetter(index);
    }
    if (after.point !== self.point && entries[0]?.point !== self.point) this.notify(after, self, false);
  }
}
