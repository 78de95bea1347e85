// Chord at a storage node: the machine's calls made over peers, its timers over the clock, and owners from local knowledge
// where that is enough. Protocols 1.3 to 1.6.

import { asBuffer, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { Events } from '../../base/events.ts';
import { type Abortable, checkSignal, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address, NodeId } from '../../block/address.ts';
import type { CallContext, Handler, Method, Peer } from '../../peer/peer.ts';
import type { Cancel, Endpoint } from '../../runtime/runtime.ts';
import { Directory } from '../directory.ts';
import { ringGossip, ringRecords } from '../messages.ts';
import type { Liveness, NodeRecord, Overlay, OverlayContext } from '../overlay.ts';
import { type Entry, entryOf, isAmongFirst, type NodeName, positionPoint } from '../ring.ts';
import type { Answers, MethodName, Outgoing, Requests } from './calls.ts';
import { Departed } from './departed.ts';
import { Fingers } from './fingers.ts';
import { Machine } from './machine.ts';
import { ringFind, ringLeave, ringNotify, ringState } from './messages.ts';
import { Owners } from './owners.ts';
import { checkedAnswer, checkedRequest, outdates, unknownIn } from './trust.ts';
import { Weigher } from './weigher.ts';

const methods: { [M in MethodName]: Method<Requests[M], Answers[M]> } = {
  state: ringState,
  notify: ringNotify,
  find: ringFind,
  leave: ringLeave,
  gossip: ringGossip,
};

export const fingerPeriodMs = 10_000;
const fingerFillPeriodMs = 500;
const fingerFillPerPosition = 45;
const seedRetryMinMs = 1000;
const seedRetryMaxMs = 15_000;
const joinWaitMs = 15_000;
const introduceMax = 2 * limits.successorNodes;

interface Membership {
  readonly version: number;
  /** Of this node's own record. */
  readonly serial: number;
  readonly alive: ReadonlySet<NodeName>;
  readonly whole: boolean;
}

/** Positions that have fingers: a lookup goes on from the nearest of all. */
const fingerPositions = 4;

export class ChordStorage implements Overlay {
  readonly events = new Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>();
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private readonly machine: Machine;
  private readonly fingers: Fingers;
  private readonly owner: Owners;
  private readonly departed: Departed;
  private readonly weigher: Weigher;
  private readonly offs: (() => void)[] = [];
  private readonly timers = new Map<string, Cancel>();
  private stopped = true;
  private wakeAt = Number.POSITIVE_INFINITY;
  private whenJoined = deferred();
  private fingerTurns = 0;
  private members: Membership | undefined;

  constructor(context: OverlayContext, self: NodeRecord) {
    this.context = context;
    const { clock, random } = context.runtime;
    const name = toHex(self.id);
    this.machine = new Machine({ self: name, positions: self.positions, incarnation: Math.floor(clock.now()), random });
    this.machine.serial = self.serial;
    const origins = Array.from({ length: Math.min(fingerPositions, self.positions) }, (_, i) => positionPoint(name, i));
    this.fingers = new Fingers(origins);
    this.directory = new Directory(context, {
      liveness: this.machine.detector.liveness,
      standing: () => ({ nodes: [...this.alive()], whole: this.whole }),
    });
    this.directory.onChange = (record, before) => {
      this.recordChanged(record, before);
      this.events.emit('changed', undefined);
    };
    this.weigher = new Weigher({
      context,
      directory: this.directory,
      alive: () => [...this.alive()].filter((node) => node !== name),
      introduce: (peer) => this.introduce(peer),
      onChange: () => this.resized(),
    });
    this.owner = new Owners({
      clock,
      directory: this.directory,
      liveness: this.machine.detector.liveness,
      members: () => (this.whole ? this.alive() : undefined),
      local: (key) => this.machine.find({ keys: [key], strict: false, want: 255 }, this.hints()).answers[0],
      heard: (entries) => this.hear(entries),
      slow: (node) => this.input(() => this.machine.doubt(node, this.now)),
    });
    this.departed = new Departed({
      ...{ clock, directory: this.directory, liveness: this.machine.detector.liveness },
      locate: (key) => this.owner.locate(key),
    });
  }

  async start(): Promise<void> {
    const { peers } = this.context;
    this.stopped = false;
    this.directory.serve();
    peers.serve(ringFind, async (request) => this.machine.find(request, this.hints()));
    this.serve('state');
    this.serve('notify');
    this.serve('leave');
    peers.serve(ringGossip, (request, context) => this.gossip(request, context));
    this.offs.push(peers.events.on('connected', (peer) => void this.met(peer)));
    this.offs.push(
      peers.events.on('disconnected', (peer) => {
        if (peer.identity.kind === 'storage') this.input(() => this.machine.doubt(toHex(peer.id), this.now));
      }),
    );
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.weigher.stop();
    this.departed.stop();
    for (const off of this.offs.splice(0)) off();
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
    await this.directory.stop(this.machine.contacts.all());
  }

  async join(seeds: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    const remembered = await this.directory.loadContacts();
    const met = await this.directory.meet(seeds, remembered, options.signal);
    if (met) await this.introduce(met);
    else if (seeds.length > 0) this.retrySeeds(seeds, seedRetryMinMs);
    checkSignal(options.signal);
    this.weigher.weigh();
    const contacts = met ? [toHex(met.id), ...remembered.filter((node) => node !== toHex(met.id))] : [];
    this.input(() => this.machine.join(contacts, this.now));
    if (!met) for (const node of remembered) this.machine.contacts.remember(node, this.now, false);
    this.timer('finger', fingerFillPeriodMs, () => this.refreshFinger());
    this.weigher.begin();
    await this.directory.within(joinWaitMs, options.signal, (signal) => {
      const { promise, reject } = deferred();
      signal.addEventListener('abort', () => reject(signal.reason));
      return Promise.race([this.whenJoined.promise, promise]);
    });
    if (this.directory.all().length <= introduceMax)
      for (const node of this.directory.all()) this.input(() => this.machine.doubt(node, this.now));
  }

  async meet(places: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    await this.introduce(await this.directory.meetAt(places, options.signal));
  }

  async leave(): Promise<void> {
    const open: Promise<void>[] = [];
    this.machine.leave(this.now, this.context.self()?.leaving === true);
    for (const outgoing of this.machine.takeOutbox()) open.push(this.perform(outgoing));
    await Promise.all(open);
  }

  async owners(address: Address, count: number, options: Abortable & { all?: boolean } = {}): Promise<NodeRecord[]> {
    return await this.owner.of(address, count, options);
  }

  isNear(address: Address, node: NodeId, count: number): boolean {
    return isAmongFirst(this.nodes(), address, node, count);
  }

  record(id: NodeId): NodeRecord | undefined {
    return this.directory.get(toHex(id));
  }

  liveness(id: NodeId): Liveness {
    return this.machine.detector.liveness(toHex(id));
  }

  nodes(): readonly NodeRecord[] {
    return [...this.alive()].flatMap((node) => this.directory.get(node) ?? []);
  }

  async peer(id: NodeId, options: Abortable = {}): Promise<Peer> {
    return await this.directory.peer(toHex(id), options);
  }

  inspect(): Record<string, unknown> {
    const short = (entry: Entry | undefined) => entry && `${entry.node.slice(0, 16)}/${entry.index}`;
    return {
      overlay: 'chord',
      whole: this.whole,
      contacts: this.machine.contacts.size,
      fingers: this.fingers.size,
      locations: this.owner.cached,
      nodes: [...this.alive()].map((node) => ({ id: node, liveness: this.machine.detector.liveness(node) })),
      positions: this.machine.ring.positions.map(({ self, joined, list, pred }) => ({
        point: self.point,
        joined,
        predecessor: short(pred) ?? null,
        successors: list.map(short),
      })),
    };
  }

  private get now(): number {
    return this.context.runtime.clock.monotonic();
  }

  /** This node, and all others met and not confirmed dead. */
  private alive(): ReadonlySet<NodeName> {
    return this.membership().alive;
  }

  /** Whether the nodes known alive are the whole network (protocols 1.6: lists are full membership up to R others). */
  private get whole(): boolean {
    return this.membership().whole;
  }

  /** Computed anew only when something it depends on has changed: every request for owners asks it. */
  private membership(): Membership {
    const serial = this.context.self()?.serial ?? 0;
    const version = this.machine.version + this.directory.version;
    if (this.members?.version === version && this.members.serial === serial) return this.members;
    const { liveness } = this.machine.detector;
    const others = this.machine.contacts.all().filter((node) => ['alive', 'suspect'].includes(liveness(node)));
    const alive = new Set([this.machine.self, ...others.filter((node) => this.directory.get(node))]);
    this.members = { version, serial, alive, whole: this.machine.tiny && alive.size <= limits.successorNodes };
    return this.members;
  }

  private hints(): Entry[] {
    const { liveness } = this.machine.detector;
    const contacts = this.machine.contacts.all().filter((node) => liveness(node) === 'alive');
    return [...this.fingers.entries(), ...contacts.map((node) => entryOf(node, 0))];
  }

  private hear(entries: readonly Entry[]): void {
    for (const entry of entries) if (entry.node !== this.machine.self) this.fingers.heard(entry);
  }

  /** Gives the machine an input, then does what it wants done. */
  private input(task: () => void): void {
    if (this.stopped) return;
    this.machine.serial = this.context.self()?.serial ?? this.machine.serial;
    task();
    for (const { node, from, to } of this.machine.takeChanges()) this.livenessChanged(node, from, to);
    for (const outgoing of this.machine.takeOutbox()) void this.perform(outgoing);
    if (this.machine.joined) this.whenJoined.resolve();
    const wake = this.machine.nextWake;
    if (wake === this.wakeAt || !Number.isFinite(wake)) return;
    this.wakeAt = wake;
    this.timer('wake', wake - this.now, () => {
      this.wakeAt = Number.POSITIVE_INFINITY;
      this.input(() => this.machine.wake(this.now));
    });
  }

  private timer(name: string, delayMs: number, task: () => void): void {
    this.timers.get(name)?.();
    if (!this.stopped) this.timers.set(name, this.context.runtime.clock.after(Math.max(0, delayMs), task));
  }

  private async perform(outgoing: Outgoing): Promise<void> {
    const { id, to, call, timeoutMs } = outgoing;
    const began = this.now;
    try {
      const answer = await this.directory.within(timeoutMs, undefined, async (signal) => {
        const peer = await this.directory.peer(to, { signal });
        const method = methods[call.method] as Method<Requests[MethodName], Answers[MethodName]>;
        const heard = await peer.call(method, call.request, { signal, timeoutMs });
        await this.directory.fetch(
          unknownIn(call.method, heard, (node) => this.directory.get(node)),
          peer,
        );
        if (call.method === 'gossip') this.directory.compareSerial(peer, (heard as Answers['gossip']).serial);
        return checkedAnswer(call, heard, (node) => this.directory.get(node));
      });
      this.input(() => this.machine.answered(id, answer, this.now));
    } catch {
      await this.directory.failing(began);
      this.input(() => this.machine.failed(id, this.now));
    }
  }

  private serve<M extends 'state' | 'notify' | 'leave'>(name: M): void {
    const handler: Handler<Requests[M], Answers[M]> = async (request, { from, peer }) => {
      const node = await this.directory.caller(from.kind, peer);
      if (outdates(name, request, this.directory.get(node))) await this.directory.fetch([node], peer);
      const checked = checkedRequest(node, name, request, (each) => this.directory.get(each));
      let answer: Answers[M] | undefined;
      this.input(() => {
        answer = this.machine.requested(node, name, checked, this.now);
      });
      if (answer === undefined) throw new InfinitError('unavailable', 'the node stops');
      return answer;
    };
    this.context.peers.serve(methods[name] as unknown as Method<Requests[M], Answers[M]>, handler);
  }

  private async gossip(request: Requests['gossip'], { from, peer, signal }: CallContext): Promise<Answers['gossip']> {
    const node = await this.directory.caller(from.kind, peer);
    this.directory.compareSerial(peer, request.serial);
    let answer: Answers['gossip'] | undefined;
    this.input(() => {
      answer = this.machine.requested(node, 'gossip', request, this.now);
    });
    await this.directory.fetchMissing(
      request.news.map((news) => news.node),
      peer,
    );
    if (answer === undefined) throw new InfinitError('unavailable', 'the node stops');
    return request.about === undefined ? answer : { ...answer, reached: await this.reaches(request.about, signal) };
  }

  /** A probe on behalf of somebody else. */
  private async reaches(node: NodeName, signal: AbortSignal): Promise<boolean> {
    const { detector, serial } = this.machine;
    const request = { about: undefined, incarnation: detector.incarnation, serial, news: [] };
    const timeoutMs = detector.pingTimeoutMs;
    try {
      await this.directory.within(timeoutMs, signal, async (inner) => {
        const peer = await this.directory.peer(node, { signal: inner });
        await peer.call(ringGossip, request, { signal: inner, timeoutMs });
      });
      return true;
    } catch {
      return false;
    }
  }

  private async met(peer: Peer): Promise<void> {
    if (peer.identity.kind !== 'storage') return;
    const node = toHex(peer.id);
    await this.directory.fetch([node], peer);
    if (this.directory.get(node)) this.input(() => this.machine.met(node, this.now));
  }

  /** Learns whom the other knows. */
  private async introduce(peer: Peer): Promise<void> {
    await this.met(peer);
    const { known } = await peer.call(ringRecords, { ids: [], held: '' }).catch(() => ({ known: undefined }));
    this.directory.learn((known ?? []).map((each) => each.record));
  }

  private retrySeeds(seeds: readonly Endpoint[], delayMs: number): void {
    this.timer('seeds', delayMs, async () => {
      const met = await this.directory.meet(seeds, []).catch(() => undefined);
      if (met) await this.introduce(met);
      else this.retrySeeds(seeds, Math.min(seedRetryMaxMs, delayMs * 2));
    });
  }

  /** One finger a period; at first faster, until each of a few levels had its turn. */
  private refreshFinger(): void {
    const { positions } = this.machine.ring;
    const filling = this.fingerTurns++ < fingerPositions * fingerFillPerPosition;
    this.timer('finger', filling && !this.whole ? fingerFillPeriodMs : fingerPeriodMs, () => this.refreshFinger());
    if (this.whole) return;
    this.hear(positions[this.fingerTurns % positions.length]?.list ?? []);
    const start = this.fingers.next(positions.map((position) => position.list.at(-1)?.point));
    void this.owner.locate(start).then(
      ({ entries: [owner] }) => owner && owner.node !== this.machine.self && this.fingers.found(start, owner),
      () => undefined,
    );
  }

  private resized(): void {
    this.input(() => this.machine.resize(this.context.self()?.positions ?? 1, this.now));
    this.events.emit('changed', undefined);
  }

  private recordChanged(record: NodeRecord, before: NodeRecord | undefined): void {
    const node = toHex(record.id);
    this.owner.refute(node, before);
    if (before === undefined || record.positions >= before.positions) return;
    this.fingers.forget(node, record.positions);
    this.input(() => this.machine.withdrawn(node, record.positions, this.now));
  }

  private livenessChanged(node: NodeName, from: Liveness, to: Liveness): void {
    const record = this.directory.get(node);
    if (to !== 'suspect') this.owner.refute(node);
    if (to === 'dead') {
      this.fingers.forget(node);
      this.departed.wonder([node]);
      if (from !== 'unknown') this.events.emit('left', asBuffer(Buffer.from(node, 'hex')));
    } else if (to === 'alive' && from !== 'suspect') {
      this.departed.wonder(this.machine.contacts.all());
      if (record) this.events.emit('joined', record);
    }
    this.events.emit('changed', undefined);
    this.directory.saveSoon(() => this.machine.contacts.all());
  }
}
