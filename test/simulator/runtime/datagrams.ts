// Datagrams of the simulated network: to a host and port, or to all who joined a group and are not behind another router.

import type { Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import type {
  DatagramOptions,
  DatagramSocket,
  Datagrams,
  Endpoint,
  Router,
} from '../../../src/core/runtime/runtime.ts';
import type { Life } from './host.ts';
import type { Network } from './network.ts';

/** Sockets open in a world. */
const sockets = new WeakMap<Network, Set<VirtualSocket>>();

export class VirtualDatagrams implements Datagrams {
  private readonly life: Life;

  constructor(life: Life) {
    this.life = life;
  }

  router(): Promise<Router | undefined> {
    const { name, world } = this.life.host;
    return this.life.later(10, 'router', () => world.network.ways.get(name));
  }

  open(options: DatagramOptions): Promise<DatagramSocket> {
    const { network } = this.life.host.world;
    const open = sockets.get(network) ?? new Set();
    sockets.set(network, open);
    return this.life.later(10, 'datagrams', () => {
      const here = [...open].filter(({ life }) => life === this.life);
      const port = options.port || 50_000 + here.length;
      if (here.some((one) => one.port === port && !(one.group && options.group)))
        throw new InfinitError('exists', `UDP port ${port} is taken`);
      const socket = new VirtualSocket(this.life, port, options.group?.address, open);
      open.add(socket);
      return socket;
    });
  }
}

class VirtualSocket implements DatagramSocket {
  readonly life: Life;
  readonly port: number;
  readonly group: string | undefined;
  private readonly open: Set<VirtualSocket>;
  private receive: (bytes: Buffer, from: Endpoint) => void = () => {};

  constructor(life: Life, port: number, group: string | undefined, open: Set<VirtualSocket>) {
    this.life = life;
    this.port = port;
    this.group = group;
    this.open = open;
  }

  send(bytes: Bytes, to: Endpoint): void {
    const { host } = this.life;
    const { network } = host.world;
    const from = { host: host.name, port: this.port };
    for (const other of this.open) {
      const name = other.life.host.name;
      const isMeant = to.host === other.group || to.host === name;
      if (!isMeant || other.port !== to.port || network.isHidden(host.name, name)) continue;
      if (network.random.chance(network.link(host.name, name).loss)) continue;
      network.carry(host, other.life.host, 'datagram', () => {
        if (other.life.alive) other.receive(Buffer.from(bytes), from);
      });
    }
  }

  onMessage(receive: (bytes: Buffer, from: Endpoint) => void): void {
    this.receive = receive;
  }

  close(): void {
    this.open.delete(this);
  }
}
