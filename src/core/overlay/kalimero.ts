// Kalimero: a network of exactly one storage node, which owns everything. Clients ask the first storage node they meet.

import { toHex } from '../base/bytes.ts';
import { Events } from '../base/events.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import type { Address, NodeId } from '../block/address.ts';
import type { Peer } from '../peer/peer.ts';
import type { Cancel, Endpoint } from '../runtime/runtime.ts';
import { Directory } from './directory.ts';
import type { Liveness, NodeRecord, Overlay, OverlayContext, OverlayKind } from './overlay.ts';
import { entryOf, isAmongFirst, type NodeName, replicas } from './ring.ts';

export const kalimero: OverlayKind = { name: 'kalimero', open: (context) => new Kalimero(context) };

const refreshMs = 2000;

class Kalimero implements Overlay {
  readonly events = new Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>();
  private readonly context: OverlayContext;
  private readonly directory: Directory;
  private readonly offs: (() => void)[] = [];
  private seeds: readonly Endpoint[] = [];
  private remembered: NodeName[] = [];
  private node: NodeName | undefined;
  private timer: Cancel | undefined;
  private stopped = true;

  constructor(context: OverlayContext) {
    this.context = context;
    const standing = () => ({ nodes: this.node === undefined ? [] : [this.node], whole: true });
    this.directory = new Directory(context, { liveness: (node) => this.livenessOf(node), standing });
    this.directory.onChange = () => this.events.emit('changed', undefined);
  }

  async start(): Promise<void> {
    this.stopped = false;
    const { peers } = this.context;
    if (this.context.self()) {
      this.node = this.directory.self;
      this.directory.serve();
      return;
    }
    const changed = (kind: 'connected' | 'disconnected') => (peer: Peer) => {
      if (toHex(peer.id) !== this.node) return;
      const record = this.directory.get(this.node);
      if (kind === 'disconnected') this.events.emit('left', peer.id);
      else if (record) this.events.emit('joined', record);
      this.events.emit('changed', undefined);
      if (kind === 'disconnected') void this.look().catch(() => undefined);
    };
    this.offs.push(peers.events.on('connected', changed('connected')));
    this.offs.push(peers.events.on('disconnected', changed('disconnected')));
  }

  async stop(): Promise<void> {
    if (this.stopped) return;
    this.stopped = true;
    this.timer?.();
    for (const off of this.offs.splice(0)) off();
    await this.directory.stop(this.node === undefined ? [] : [this.node]);
  }

  async join(seeds: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    if (this.context.self()) return;
    this.seeds = seeds;
    this.remembered = await this.directory.loadContacts();
    this.node ??= this.remembered[0];
    await this.look(options.signal);
    checkSignal(options.signal);
  }

  async meet(places: readonly Endpoint[], options: Abortable = {}): Promise<void> {
    if (this.context.self()) return;
    await this.met(await this.directory.meetAt(places, options.signal));
  }

  async leave(): Promise<void> {}

  async owners(_address: Address, count: number, options: Abortable & { all?: boolean } = {}): Promise<NodeRecord[]> {
    checkSignal(options.signal);
    if (this.node === undefined) return [];
    return replicas([entryOf(this.node, 0)], count, (node) => this.directory.get(node), options.all);
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
    const record = this.node === undefined ? undefined : this.directory.get(this.node);
    return record && this.livenessOf(toHex(record.id)) === 'alive' ? [record] : [];
  }

  async peer(id: NodeId, options: Abortable = {}): Promise<Peer> {
    return await this.directory.peer(toHex(id), options);
  }

  inspect(): Record<string, unknown> {
    const nodes = this.node === undefined ? [] : [{ id: this.node, liveness: this.livenessOf(this.node) }];
    return { overlay: 'kalimero', whole: true, nodes };
  }

  private livenessOf(node: NodeName): Liveness {
    if (node === this.directory.self && this.context.self()) return 'alive';
    if (node !== this.node) return 'unknown';
    const connected = this.context.peers.connected().some((peer) => toHex(peer.id) === node && peer.open);
    return connected ? 'alive' : 'suspect';
  }

  /** Finds the node, and hears every little while what has become of it. */
  private async look(signal?: AbortSignal): Promise<void> {
    this.timer?.();
    try {
      const peer = await this.directory.meet(this.seeds, this.remembered, signal);
      if (peer) await this.met(peer);
    } finally {
      if (!this.stopped) {
        const again = () => void this.look().catch(() => undefined);
        this.timer = this.context.runtime.clock.after(refreshMs, again);
      }
    }
  }

  private async met(peer: Peer): Promise<void> {
    const node = toHex(peer.id);
    await this.directory.fetch([node], peer);
    if (this.node === node && !this.seeds.length) return;
    this.node = node;
    this.seeds = [];
    this.remembered = [node];
    this.events.emit('changed', undefined);
    this.directory.saveSoon(() => [node]);
  }
}
