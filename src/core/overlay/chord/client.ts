// Chord for clients, which have no place on the ring: the view of nodes is asked from a storage node every few seconds, owners
// are computed from it when it is the whole network and looked up otherwise.

import { fromHex, toHex } from '../../base/bytes.ts';
import { Events } from '../../base/events.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import type { Address, NodeId } from '../../block/address.ts';
import type { Peer } from '../../peer/peer.ts';
import type { Endpoint } from '../../runtime/runtime.ts';
import { Asking } from '../asking.ts';
import { Directory } from '../directory.ts';
import { ringRecords } from '../messages.ts';
import type { Liveness, NodeRecord, Overlay, OverlayContext } from '../overlay.ts';
import { entryOf, isAmongFirst, type NodeName, type Point } from '../ring.ts';
import type { FindAnswer } from './answers.ts';
import { Owners } from './owners.ts';

const askTimeoutMs = 2000;

export class ChordClient implements Overlay {
  readonly events = new Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>();
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private readonly owner: Owners;
  private readonly asking: Asking;
  private readonly offs: (() => void)[] = [];
  private view = new Map<NodeName, Liveness>();
  /** Of the view, those not confirmed dead. */
  private members: ReadonlySet<NodeName> = new Set();
  private whole = false;
  private held = '';
  private remembered: NodeName[] = [];
  private stopped = true;

  constructor(context: OverlayContext) {
    this.context = context;
    const liveness = (node: NodeName) => this.livenessOf(node);
    this.directory = new Directory(context, {
      liveness,
      standing: () => ({ nodes: [...this.view.keys()], whole: false }),
    });
    this.directory.onChange = (record, before) => {
      this.owner.refute(toHex(record.id), before);
      this.members = this.living();
    };
    this.owner = new Owners({
      clock: context.runtime.clock,
      directory: this.directory,
      liveness,
      members: () => (this.whole ? this.members : undefined),
      local: (key) => this.nearby(key),
      heard: () => {},
      slow: () => {},
    });
    this.asking = new Asking({
      context,
      directory: this.directory,
      ask: (peer) => this.ask(peer),
      candidates: () => [...new Set([...this.living(), ...this.view.keys(), ...this.remembered])],
    });
  }

  async start(): Promise<void> {
    const { peers } = this.context;
    this.stopped = false;
    this.offs.push(
      peers.events.on('disconnected', (peer) => {
        if (this.view.get(toHex(peer.id)) === 'alive') this.view.set(toHex(peer.id), 'suspect');
        if (peer.identity.kind === 'storage') this.asking.wake();
      }),
    );
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    for (const off of this.offs.splice(0)) off();
    this.asking.stop();
    await this.directory.stop([...this.view.keys()]);
  }

  async join(seeds: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    this.remembered = await this.directory.loadContacts();
    await this.asking.begin(seeds, this.remembered, options.signal);
    checkSignal(options.signal);
  }

  meet(places: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    return this.asking.meet(places, options.signal);
  }

  async leave(): Promise<void> {}

  async owners(address: Address, count: number, options: Abortable & { all?: boolean } = {}): Promise<NodeRecord[]> {
    return this.view.size === 0 ? [] : await this.owner.of(address, count, options);
  }

  isNear(address: Address, node: NodeId, count: number): boolean {
    return isAmongFirst(this.nodes(), address, node, count);
  }

  record(id: NodeId): NodeRecord | undefined {
    return this.directory.get(toHex(id));
  }

  liveness(id: NodeId): Liveness {
    return this.livenessOf(toHex(id));
  }

  nodes(): readonly NodeRecord[] {
    return [...this.living()].flatMap((node) => this.directory.get(node) ?? []);
  }

  async peer(id: NodeId, options: Abortable = {}): Promise<Peer> {
    return await this.directory.peer(toHex(id), options);
  }

  inspect(): Record<string, unknown> {
    const nodes = [...this.view].map(([id, liveness]) => ({ id, liveness }));
    return { overlay: 'chord', client: true, whole: this.whole, locations: this.owner.cached, nodes };
  }

  private livenessOf(node: NodeName): Liveness {
    return this.view.get(node) ?? 'unknown';
  }

  private living(): Set<NodeName> {
    return new Set([...this.view].filter(([, liveness]) => liveness !== 'dead').map(([node]) => node));
  }

  /** Where a lookup starts: all positions of the nodes in view. */
  private nearby(key: Point): FindAnswer {
    const nodes = [...this.living()].filter((node) => this.livenessOf(node) !== 'unknown');
    const entries = nodes.flatMap((node) =>
      Array.from({ length: this.directory.get(node)?.positions ?? 0 }, (_, index) => entryOf(node, index)),
    );
    return { type: 'closer', entries: entries.filter((entry) => entry.point !== key), behind: [] };
  }

  /** Takes over what the storage node knows. */
  private async ask(peer: Peer): Promise<void> {
    const answer = await peer.call(ringRecords, { ids: [], held: this.held }, { timeoutMs: askTimeoutMs });
    this.held = answer.digest;
    this.whole = answer.whole;
    if (answer.known === undefined) return;
    this.directory.learn(answer.known.map((each) => each.record));
    const before = this.view;
    this.view = new Map(answer.known.map(({ record, liveness }) => [toHex(record.id), liveness]));
    for (const [node, liveness] of this.view) if (liveness !== before.get(node)) this.owner.refute(node);
    for (const [node, liveness] of before) {
      const now = this.view.get(node);
      if (liveness !== 'dead' && (now === undefined || now === 'dead')) this.events.emit('left', fromHex(node));
      if (now === undefined && !this.whole) this.view.set(node, 'unknown');
    }
    for (const [node, liveness] of this.view) {
      const record = this.directory.get(node);
      if (liveness === 'alive' && ![`alive`, 'suspect'].includes(before.get(node) ?? 'unknown') && record)
        this.events.emit('joined', record);
    }
    this.members = this.living();
    this.events.emit('changed', undefined);
    this.directory.saveSoon(() => [...this.view.keys()]);
  }
}
