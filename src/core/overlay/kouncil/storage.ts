// Kouncil at a storage node (protocols 1.6): probes everybody in turn, tells news of records to a few at once, compares its table
// with somebody's every little while, and keeps on trying those who are away. There is nothing to stabilise.

import { fromHex, toHex, utf8 } from '../../base/bytes.ts';
import { Events } from '../../base/events.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address, NodeId } from '../../block/address.ts';
import { hash } from '../../crypto/hash.ts';
import type { Peer } from '../../peer/peer.ts';
import type { Cancel, Endpoint } from '../../runtime/runtime.ts';
import { Detector } from '../detector.ts';
import { Directory } from '../directory.ts';
import type { Standing } from '../messages.ts';
import type { Liveness, NodeRecord, Overlay, OverlayContext } from '../overlay.ts';
import { type Change, Prober } from '../prober.ts';
import type { NodeName } from '../ring.ts';
import { weighAgainMs } from '../weights.ts';
import { type Absent, ringAbsent, ringCompare, ringTell } from './messages.ts';
import { Table } from './table.ts';

const comparePeriodMs = 5000;
const reconnectPeriodMs = 5000;
const sweepPeriodMs = 10 * 60_000;
const seedRetryMinMs = 1000;
const seedRetryMaxMs = 15_000;
/** Nodes that news of a record is told to by each who hears it first, and how long it gathers. */
const rumourNodes = 5;
const rumourDelayMs = 50;
/** Nodes of unknown fate, or away, that are tried at once. */
const triesAtOnce = 8;
const farewellNodes = 32;

export class KouncilStorage implements Overlay {
  readonly events = new Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>();
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private readonly detector: Detector;
  private readonly prober: Prober;
  private readonly table: Table;
  private readonly offs: (() => void)[] = [];
  private readonly timers = new Map<string, Cancel>();
  /** Records to tell others of. */
  private readonly rumours = new Set<NodeName>();
  private own: NodeRecord;
  private reconnectTurn = 0;
  private stopped = true;

  constructor(context: OverlayContext, self: NodeRecord) {
    this.context = context;
    this.own = self;
    const { clock, random } = context.runtime;
    this.detector = new Detector(toHex(self.id), Math.floor(clock.now()), random);
    const { liveness } = this.detector;
    const standing = () => {
      const nodes = this.nodes().map(({ id }) => toHex(id));
      return { nodes, whole: nodes.length <= limits.knownContactsMax };
    };
    this.directory = new Directory(context, { liveness, standing }, { positionsMax: limits.kouncilPositionsMax });
    this.prober = new Prober(context, this.directory, this.detector);
    this.prober.onChange = (change) => this.livenessChanged(change);
    this.table = new Table(context, this.directory, liveness);
    this.directory.onChange = (record) => {
      this.table.enter(record);
      this.events.emit('changed', undefined);
    };
    this.directory.onHeard = (standings) => this.believe(standings);
  }

  async start(): Promise<void> {
    const { peers } = this.context;
    this.stopped = false;
    this.directory.serve();
    this.prober.serve();
    peers.serve(ringCompare, (request) => this.table.compare(request));
    peers.serve(ringAbsent, ({ held }) => this.absent(held));
    peers.serve(ringTell, async ({ known }, { from, peer }) => {
      this.heardRumours(await this.directory.caller(from.kind, peer), known);
      return {};
    });
    this.offs.push(peers.events.on('connected', (peer) => void this.met(peer)));
    this.offs.push(
      peers.events.on('disconnected', (peer) => {
        if (peer.identity.kind === 'storage') this.prober.probe(toHex(peer.id));
      }),
    );
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.prober.stop();
    for (const off of this.offs.splice(0)) off();
    for (const cancel of this.timers.values()) cancel();
    this.timers.clear();
    await this.directory.stop(this.contacts());
  }

  async join(seeds: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    const remembered = await this.directory.loadContacts();
    this.noteSelf();
    const met = await this.directory.meet(seeds, remembered, options.signal);
    if (met) await this.introduce(met).catch(() => undefined);
    else if (seeds.length > 0) this.retrySeeds(seeds, seedRetryMinMs);
    checkSignal(options.signal);
    this.weigh();
    this.tryUnknown();
    this.every(
      'tick',
      () => this.detector.periodMs,
      () => this.tick(),
    );
    this.every(
      'compare',
      () => comparePeriodMs,
      () => void this.compareWithSomebody(),
    );
    this.every(
      'reconnect',
      () => reconnectPeriodMs,
      () => this.reconnect(1),
    );
    this.every(
      'weigh',
      () => weighAgainMs(this.context),
      () => this.weigh(),
    );
    this.every(
      'sweep',
      () => sweepPeriodMs,
      () => this.sweep(),
    );
  }

  async meet(places: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    await this.introduce(await this.directory.meetAt(places, options.signal));
  }

  async leave(): Promise<void> {
    const others = this.someAlive(farewellNodes);
    await this.prober.farewell(others);
  }

  async owners(address: Address, count: number, options: Abortable & { all?: boolean } = {}): Promise<NodeRecord[]> {
    checkSignal(options.signal);
    return this.table.owners(address, count, options.all);
  }

  isNear(address: Address, node: NodeId, count: number): boolean {
    return this.table.isNear(address, toHex(node), count);
  }

  record(id: NodeId): NodeRecord | undefined {
    return this.directory.get(toHex(id));
  }

  liveness(id: NodeId): Liveness {
    return this.detector.liveness(toHex(id));
  }

  nodes(): readonly NodeRecord[] {
    return this.table.members();
  }

  async peer(id: NodeId, options: Abortable = {}): Promise<Peer> {
    return await this.directory.peer(toHex(id), options);
  }

  inspect(): Record<string, unknown> {
    const nodes = [...this.directory.all(), this.detector.self];
    return {
      overlay: 'kouncil',
      whole: true,
      records: this.table.tree.size,
      digest: this.table.tree.digest(''),
      nodes: nodes.map((node) => ({ id: node, liveness: this.detector.liveness(node) })),
    };
  }

  private tick(): void {
    this.noteSelf();
    this.prober.input((detector, now) => detector.tick(now, this.directory.all()));
    this.tryUnknown();
  }

  /** This node's record has changed: others are told at once when it matters to them. */
  private noteSelf(): void {
    const own = this.table.enterSelf();
    if (own === undefined) return;
    if (matters(this.own, own)) this.rumour(this.detector.self);
    this.own = own;
  }

  private weigh(): void {
    if (this.table.weigh()) this.noteSelf();
  }

  private tryUnknown(): void {
    const unknown = this.directory.all().filter((node) => this.detector.liveness(node) === 'unknown');
    for (const node of unknown.slice(0, triesAtOnce)) this.prober.probe(node);
  }

  /** Nobody is given up as long as the network certifies him: halves of a partition keep trying each other. */
  private reconnect(count: number): void {
    const dead = this.directory.all().filter((node) => this.detector.liveness(node) === 'dead');
    for (let i = 0; i < Math.min(count, dead.length); i++)
      this.prober.probe(dead[this.reconnectTurn++ % dead.length] as NodeName);
  }

  private async compareWithSomebody(): Promise<void> {
    const [node] = this.someAlive(1);
    if (node === undefined) return;
    try {
      await this.compare(await this.directory.peer(node));
    } catch {
      this.prober.probe(node);
    }
  }

  /** Both tables become the same. */
  private async compare(peer: Peer): Promise<void> {
    const { theirs, ours } = await this.table.differences(peer);
    await this.table.take(theirs, peer);
    await this.table.tell(ours, peer);
  }

  /** Records nobody would certify any more: who left for good, or lost the right to store. */
  private sweep(): void {
    for (const node of this.directory.all())
      if (!this.table.isMember(node) && !this.directory.stands(node)) this.directory.forget(node);
    this.prober.input((detector) => detector.keep(new Set(this.directory.all())));
  }

  private async met(peer: Peer): Promise<void> {
    if (peer.identity.kind !== 'storage') return;
    const node = toHex(peer.id);
    const before = this.directory.get(node);
    await this.directory.fetch([node], peer);
    const record = this.directory.get(node);
    if (record === undefined) return;
    if (before === undefined || matters(before, record)) this.rumour(node);
    if (this.detector.liveness(node) !== 'alive') this.prober.probe(node);
  }

  private async introduce(peer: Peer): Promise<void> {
    await this.met(peer);
    await this.compare(peer);
  }

  private retrySeeds(seeds: readonly Endpoint[], delayMs: number): void {
    this.after('seeds', delayMs, async () => {
      const met = await this.directory.meet(seeds, []).catch(() => undefined);
      if (met) await this.introduce(met).catch(() => undefined);
      else this.retrySeeds(seeds, Math.min(seedRetryMaxMs, delayMs * 2));
    });
  }

  private heardRumours(from: NodeName, known: readonly Standing[]): void {
    const before = new Map(known.map(({ record }) => [toHex(record.id), this.directory.get(toHex(record.id))]));
    this.directory.learn(known.map((each) => each.record));
    this.believe(known);
    for (const [node, held] of before) {
      const record = this.directory.get(node);
      if (record && record !== held && (held === undefined || matters(held, record))) this.rumour(node, from);
    }
  }

  /** Who is said to live, and was not heard of, lives until a probe tells otherwise. */
  private believe(standings: readonly Standing[]): void {
    this.prober.input((detector, now) => {
      for (const { record, liveness } of standings) {
        const node = toHex(record.id);
        if (liveness === 'alive' && detector.liveness(node) === 'unknown' && this.directory.get(node))
          detector.heard({ node, state: 'alive', incarnation: 0, by: undefined }, now);
      }
    });
  }

  /** Tells a few, who tell a few; never the one it came from. */
  private rumour(node: NodeName, from?: NodeName): void {
    this.rumours.add(node);
    if (this.timers.has('rumour')) return;
    this.after('rumour', rumourDelayMs, () => {
      this.timers.delete('rumour');
      const told = [...this.rumours];
      this.rumours.clear();
      for (const to of this.someAlive(rumourNodes, from)) {
        const about = told.filter((each) => each !== to);
        void this.directory
          .peer(to)
          .then((peer) => this.table.tell(about, peer))
          .catch(() => this.prober.probe(to));
      }
    });
  }

  /** Random others believed alive. */
  private someAlive(count: number, but?: NodeName): NodeName[] {
    const alive = this.directory.all().filter((node) => node !== but && this.detector.liveness(node) === 'alive');
    const out: NodeName[] = [];
    while (out.length < count && alive.length > 0)
      out.push(...alive.splice(this.context.runtime.random.below(alive.length), 1));
    return out;
  }

  private contacts(): NodeName[] {
    const nodes = this.directory.all();
    return [...new Set([...nodes.filter((node) => this.table.isMember(node)), ...nodes])];
  }

  private absent(held: string) {
    const absent = this.directory
      .all()
      .map((node) => ({ node, liveness: this.detector.liveness(node) }))
      .filter(({ liveness }) => liveness !== 'alive');
    const digest = digestOfAbsent(absent);
    return { digest, absent: digest === held ? undefined : absent };
  }

  private every(name: string, periodMs: () => number, task: () => void): void {
    const jittered = periodMs() * (0.8 + 0.4 * this.context.runtime.random.fraction());
    this.after(name, jittered, () => {
      this.every(name, periodMs, task);
      task();
    });
  }

  private after(name: string, delayMs: number, task: () => void): void {
    this.timers.get(name)?.();
    if (!this.stopped) this.timers.set(name, this.context.runtime.clock.after(delayMs, task));
  }

  private livenessChanged({ node, from, to }: Change): void {
    const record = this.directory.get(node);
    if (to === 'dead' && from !== 'unknown') this.events.emit('left', fromHex(node));
    else if (to === 'alive' && from !== 'suspect' && record) this.events.emit('joined', record);
    if (from === 'dead' && to === 'alive') this.reconnect(triesAtOnce);
    this.events.emit('changed', undefined);
    this.directory.saveSoon(() => this.contacts());
  }
}

/** Names the list, so that one already held need not be sent. */
function digestOfAbsent(absent: readonly Absent[]): string {
  const facts = absent.map(({ node, liveness }) => `${node} ${liveness}`).sort();
  return toHex(hash(utf8(facts.join()))).slice(0, 16);
}

/** Whether others act differently by the new record; how much space is left, they learn in time. */
function matters(before: NodeRecord, after: NodeRecord): boolean {
  const facts = ({ endpoints, positions, zone, stores, closed, leaving }: NodeRecord) =>
    JSON.stringify([endpoints, positions, zone, stores.map(toHex), closed, leaving]);
  return before !== after && facts(before) !== facts(after);
}
