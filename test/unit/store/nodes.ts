// A handful of storage nodes in one process for tests of the store: memory silos, real block services, calls that may be made
// to fail, and an overlay that knows everybody.

import { randomBytes, randomInt } from 'node:crypto';
import { toHex } from '../../../src/core/base/bytes.ts';
import { decode, encode } from '../../../src/core/base/codec.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { Events } from '../../../src/core/base/events.ts';
import { type Address, type NodeId, nodeIdOf } from '../../../src/core/block/address.ts';
import type { NodeRecord, Overlay } from '../../../src/core/overlay/overlay.ts';
import { circleOf, pointOf, replicas, walkFrom } from '../../../src/core/overlay/ring.ts';
import type { Handler, Method, Peer, Peers } from '../../../src/core/peer/peer.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { openSilo } from '../../../src/core/silo/registry.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import type { Absence } from '../../../src/core/store/absence.ts';
import { BlockService } from '../../../src/core/store/block-service.ts';
import { Census } from '../../../src/core/store/census.ts';
import { HeldBlocks } from '../../../src/core/store/held-blocks.ts';
import { Inventory } from '../../../src/core/store/inventory.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';

export const testRuntime: Runtime = {
  clock: {
    now: () => Date.now(),
    monotonic: () => performance.now(),
    sleep: (timeMs) => new Promise((resolve) => setTimeout(resolve, timeMs)),
    after: (timeMs, task) => {
      const timer = setTimeout(task, timeMs);
      return () => clearTimeout(timer);
    },
  },
  random: { bytes: (count) => randomBytes(count), below: (limit) => randomInt(limit), fraction: () => Math.random() },
  log: { write: () => {} },
} as Partial<Runtime> as Runtime;

export interface TestNode {
  record: NodeRecord;
  silo: Silo;
  held: HeldBlocks;
  inventory: Inventory;
  handlers: Map<string, Handler<unknown, unknown>>;
  up: boolean;
  /** Calls answered, by method. */
  calls: Map<string, number>;
}

export class TestNetwork {
  readonly nodes: TestNode[] = [];
  readonly overlay: Overlay;
  /** Nodes away for longer than the eviction delay; others that are down still count as holders. */
  readonly evicted = new Set<TestNode>();
  readonly absence: Pick<Absence, 'holders' | 'away'>;

  constructor() {
    this.overlay = {
      events: new Events(),
      owners: async (address: Address, count: number, { all = false }: { all?: boolean } = {}) =>
        replicas(this.walk(address), count, (id) => this.find(id)?.record, all),
      record: (id: NodeId) => this.find(toHex(id))?.record,
      liveness: (id: NodeId) => (this.find(toHex(id))?.up ? 'alive' : 'dead'),
      nodes: () => this.nodes.filter((node) => node.up).map((node) => node.record),
      peer: async (id: NodeId) => this.peer(this.find(toHex(id)) as TestNode),
    } as Partial<Overlay> as Overlay;
    this.absence = {
      holders: async (address, count, options = {}) => {
        const counted = this.nodes.filter((node) => !this.evicted.has(node)).map(({ record }) => record);
        const recordOf = (id: string) => counted.find((record) => toHex(record.id) === id);
        const kept = (id: string) => (options.closed && recordOf(id)?.leaving ? undefined : recordOf(id));
        return replicas(this.walk(address), count, kept, options.all || options.closed);
      },
      away: () => this.nodes.filter((node) => !node.up && !this.evicted.has(node)).map(({ record }) => record),
    };
  }

  async add(): Promise<TestNode> {
    const publicKey = randomBytes(32);
    const silo = await openSilo({ type: 'memory' }, testRuntime);
    const handlers = new Map<string, Handler<unknown, unknown>>();
    const record: NodeRecord = {
      id: nodeIdOf(publicKey),
      publicKey,
      userKey: publicKey,
      endpoints: [],
      positions: 4,
      zone: undefined,
      capacityBytes: 1e12,
      freeBytes: 1e12,
      stores: [silo.storeId],
      closed: false,
      leaving: false,
      credentials: Buffer.alloc(0),
      serial: 1,
      signature: Buffer.alloc(64),
    };
    const peers = {
      serve: (method: Method<unknown, unknown>, handler: Handler<unknown, unknown>) =>
        handlers.set(method.name, handler),
    } as Partial<Peers> as Peers;
    const held = new HeldBlocks(silo);
    const throttle = new Throttle({ clock: testRuntime.clock });
    const inventory = new Inventory();
    await new Census(held, inventory, () => {}).step();
    const unwanted = () => false;
    new BlockService({ held, inventory, peers, throttle, unwanted }).serve();
    const node: TestNode = { record, silo, held, inventory, handlers, up: true, calls: new Map() };
    this.nodes.push(node);
    return node;
  }

  private find(id: string): TestNode | undefined {
    return this.nodes.find((node) => toHex(node.record.id) === id);
  }

  private walk(address: Address) {
    return walkFrom(circleOf(this.nodes.map((node) => node.record)), pointOf(address));
  }

  private peer(node: TestNode): Peer {
    const call = async (method: Method<unknown, unknown>, request: unknown) => {
      await new Promise((resolve) => setImmediate(resolve));
      if (!node.up) throw new InfinitError('unavailable', 'node is down');
      node.calls.set(method.name, (node.calls.get(method.name) ?? 0) + 1);
      const handler = node.handlers.get(method.name) as Handler<unknown, unknown>;
      const asked = decode(method.request, encode(method.request, request));
      const answer = await handler(asked, {} as never);
      return decode(method.response, encode(method.response, answer));
    };
    return { id: node.record.id, call } as Partial<Peer> as Peer;
  }
}
