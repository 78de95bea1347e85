// Kouncil for clients: a copy of the table of a storage node, compared with it every few seconds, and who of it is not alive.

import { fromHex, toHex } from '../../base/bytes.ts';
import { Events } from '../../base/events.ts';
import { type Abortable, checkSignal } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address, NodeId } from '../../block/address.ts';
import type { Peer } from '../../peer/peer.ts';
import type { Endpoint } from '../../runtime/runtime.ts';
import { Asking } from '../asking.ts';
import { Directory } from '../directory.ts';
import type { Liveness, NodeRecord, Overlay, OverlayContext } from '../overlay.ts';
import type { NodeName } from '../ring.ts';
import { ringAbsent } from './messages.ts';
import { Table } from './table.ts';

const askTimeoutMs = 2000;

export class KouncilClient implements Overlay {
  readonly events = new Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>();
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private readonly table: Table;
  private readonly asking: Asking;
  private readonly offs: (() => void)[] = [];
  /** What is believed of the nodes in the table. */
  private view = new Map<NodeName, Liveness>();
  /** As the storage node asked last put it. */
  private absent: { by: NodeName | undefined; digest: string; nodes: ReadonlyMap<NodeName, Liveness> };
  private remembered: NodeName[] = [];
  private stopped = true;

  constructor(context: OverlayContext) {
    this.context = context;
    this.absent = { by: undefined, digest: '', nodes: new Map() };
    const liveness = (node: NodeName) => this.view.get(node) ?? 'unknown';
    const standing = () => ({ nodes: [...this.view.keys()], whole: false });
    this.directory = new Directory(context, { liveness, standing }, { positionsMax: limits.kouncilPositionsMax });
    this.table = new Table(context, this.directory, liveness);
    this.directory.onChange = (record) => {
      this.table.enter(record);
      this.events.emit('changed', undefined);
    };
    this.asking = new Asking({
      context,
      directory: this.directory,
      ask: (peer) => this.ask(peer),
      candidates: () => [...new Set([...this.members(), ...this.directory.all(), ...this.remembered])],
    });
  }

  async start(): Promise<void> {
    this.stopped = false;
    this.offs.push(
      this.context.peers.events.on('disconnected', (peer) => {
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
    await this.directory.stop(this.contacts());
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
    return this.view.get(toHex(id)) ?? 'unknown';
  }

  nodes(): readonly NodeRecord[] {
    return this.table.members();
  }

  async peer(id: NodeId, options: Abortable = {}): Promise<Peer> {
    return await this.directory.peer(toHex(id), options);
  }

  inspect(): Record<string, unknown> {
    const nodes = [...this.view].map(([id, liveness]) => ({ id, liveness }));
    return { overlay: 'kouncil', client: true, whole: true, digest: this.table.tree.digest(''), nodes };
  }

  private members(): NodeName[] {
    return [...this.view.keys()].filter((node) => this.table.isMember(node));
  }

  private contacts(): NodeName[] {
    return [...new Set([...this.members(), ...this.directory.all()])];
  }

  /** Makes the table that of the storage node, and believes what it believes. */
  private async ask(peer: Peer): Promise<void> {
    const { theirs, alone } = await this.table.differences(peer);
    await this.table.take(theirs, peer);
    const by = toHex(peer.id);
    const held = this.absent.by === by ? this.absent.digest : '';
    const { digest, absent } = await peer.call(ringAbsent, { held }, { timeoutMs: askTimeoutMs });
    const nodes =
      absent === undefined ? this.absent.nodes : new Map(absent.map(({ node, liveness }) => [node, liveness]));
    this.absent = { by, digest, nodes };
    const livenessOf = (node: NodeName): Liveness => (alone.has(node) ? 'unknown' : (nodes.get(node) ?? 'alive'));
    this.believe(new Map(this.directory.all().map((node) => [node, livenessOf(node)])));
  }

  private believe(view: Map<NodeName, Liveness>): void {
    const before = this.view;
    this.view = view;
    let changed = before.size !== view.size;
    const there = (liveness: Liveness | undefined) => liveness === 'alive' || liveness === 'suspect';
    for (const [node, liveness] of view) {
      const was = before.get(node);
      changed ||= was !== liveness;
      const record = this.directory.get(node);
      if (record && there(liveness) && !there(was)) this.events.emit('joined', record);
      else if (there(was) && !there(liveness)) this.events.emit('left', fromHex(node));
    }
    if (!changed) return;
    this.events.emit('changed', undefined);
    this.directory.saveSoon(() => this.contacts());
  }
}
