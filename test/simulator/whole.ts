// Whole nodes in the simulated world: every device has a home, links, silos and the very node that `infinit network run` runs.

import { toHex } from '../../src/core/base/bytes.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import type {
  Home,
  KeyValueStoreDescriptor,
  NetworkDescriptor,
  UserDescriptor,
} from '../../src/core/descriptor/descriptor.ts';
import { createKeyValueStore } from '../../src/core/descriptor/key-value-stores.ts';
import { linkNetwork } from '../../src/core/descriptor/links.ts';
import { createNetwork, importNetwork } from '../../src/core/descriptor/networks.ts';
import { createFilesystemSilo } from '../../src/core/descriptor/silos.ts';
import { createUser } from '../../src/core/descriptor/users.ts';
import { foundNetwork } from '../../src/core/node/found.ts';
import { type Context, type LinkedNode, type OpenOptions, openLinkedNode } from '../../src/core/node/link.ts';
import { type OpenStore, openKeyValueStore } from '../../src/core/node/trees.ts';
import type { Endpoint } from '../../src/core/runtime/runtime.ts';
import type { Host } from './runtime/host.ts';
import type { World } from './runtime/world.ts';

const home: Home = {
  data: '/home/data',
  cache: '/home/cache',
  state: '/home/state',
  config: '/home/config',
  runtime: '/home/run',
};
const as = 'alice';
const networkName = 'cluster';
const port = 4000;

/** One simulated machine with a home. */
export class Device {
  readonly host: Host;
  linked: LinkedNode | undefined;
  /** Told of every node made here before it starts. */
  onOpened: (linked: LinkedNode, device: Device) => void = () => {};

  constructor(host: Host) {
    this.host = host;
  }

  /** Of the process that runs now. */
  get context(): Context {
    const { runtime } = this.host;
    return { ...descriptorContext(runtime, home), runtime };
  }

  get endpoint(): Endpoint {
    return { host: this.host.name, port };
  }

  async startNode(seeds: readonly Endpoint[], options: Pick<OpenOptions, 'rebalancing'> = {}): Promise<LinkedNode> {
    const listen = this.endpoint;
    const opening = { context: this.context, as, network: networkName, role: 'storage', listen } as const;
    const linked = await openLinkedNode({ ...opening, ...options });
    return this.run(linked, seeds);
  }

  async startClient(seeds: readonly Endpoint[]): Promise<LinkedNode> {
    const listen = this.endpoint;
    const linked = await openLinkedNode({ context: this.context, as, network: networkName, role: 'client', listen });
    return this.run(linked, seeds);
  }

  private async run(linked: LinkedNode, seeds: readonly Endpoint[]): Promise<LinkedNode> {
    this.linked = linked;
    this.onOpened(linked, this);
    await linked.node.start(seeds);
    return linked;
  }

  crash(power = true): void {
    this.linked = undefined;
    this.host.crash({ power });
  }
}

export interface Cluster {
  devices: Device[];
  network: NetworkDescriptor;
  store: KeyValueStoreDescriptor;
  user: UserDescriptor;
}

export interface ClusterOptions {
  nodes: number;
  clients: number;
  replicationFactor?: number;
  overlay?: 'chord' | 'kouncil' | 'kalimero';
  capacity?: number;
  /** Of the storage nodes, in turn. */
  zones?: readonly string[];
  evictionDelayMs?: number;
}

/** Homes with one user everywhere, a founded network linked on every device, silos on the storage nodes; nothing runs yet. */
export async function makeCluster(world: World, options: ClusterOptions): Promise<Cluster> {
  const names = Array.from({ length: options.nodes + options.clients }, (_, i) =>
    i < options.nodes ? `node${i}` : `client${i}`,
  );
  const devices = names.map((name) => new Device(world.host(name)));
  const [first, ...others] = devices as [Device, ...Device[]];
  const user = await world.settle(createUser(first.context, { name: as }));
  for (const device of others) await world.settle(device.context.repository.put('user', as, user));
  for (const device of devices.slice(0, options.nodes)) {
    const { context } = device;
    await world.settle(createFilesystemSilo(context, { name: 'disk', capacity: options.capacity ?? 256 << 20 }));
  }
  const found =
    (device: Device) => (link: Parameters<typeof foundNetwork>[2], seal: Parameters<typeof foundNetwork>[3]) =>
      foundNetwork(device.context, as, link, seal);
  const { network } = await world.settle(
    createNetwork(first.context, {
      as,
      name: networkName,
      silos: ['disk'],
      zone: options.zones?.[0],
      replicationFactor: options.replicationFactor ?? 3,
      overlay: options.overlay ?? 'chord',
      evictionDelayMs: options.evictionDelayMs,
      found: found(first),
    }),
  );
  const store = await world.settle(createKeyValueStore(first.context, { as, name: 'notes', network: networkName }));
  for (const device of others) {
    const { context } = device;
    await world.settle(importNetwork(context, network));
    const silos = context && devices.indexOf(device) < options.nodes ? ['disk'] : [];
    await world.settle(
      linkNetwork(context, { as, name: networkName, silos, zone: options.zones?.[devices.indexOf(device)] }),
    );
    await world.settle(context.repository.put('key-value-store', store.name, store));
  }
  return { devices, network, store, user };
}

/** The first alone, then all others at once, who are told of it. */
export async function startNodes(world: World, [first, ...others]: readonly Device[]): Promise<void> {
  if (first === undefined) throw new Error('no node to begin with');
  await world.settle(first.startNode([]));
  await world.settle(Promise.all(others.map((device) => device.startNode([first.endpoint]))));
}

export function openStore(device: Device, cluster: Cluster, door: boolean): Promise<OpenStore> {
  if (device.linked === undefined) throw new Error(`${device.host.name} does not run`);
  return openKeyValueStore(device.linked, cluster.store, { door });
}

export function nodeName(device: Device): string {
  return device.linked === undefined ? '' : toHex(device.linked.node.peers.self.id).slice(0, 8);
}
