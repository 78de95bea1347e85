// The simulated network: who hears what, and when. Links have latency, loss, repetition, reordering and a rate; pairs of hosts
// can be cut off in one direction or both. A cut link swallows everything silently, as real ones do.

import { type Bytes, equalBytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Abortable, cancelled } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type {
  Connection,
  Endpoint,
  Listener,
  Router,
  Transport,
  TransportIdentity,
} from '../../../src/core/runtime/runtime.ts';
import { secureCarried } from './carried.ts';
import { connectionPair, type VirtualConnection } from './connection.ts';
import type { Host, Life } from './host.ts';
import type { SeededRandom } from './random.ts';
import type { World } from './world.ts';

export interface LinkOptions {
  /** One way, drawn evenly. */
  latencyMs: { min: number; max: number };
  /** Of single frames, 0..1. */
  loss: number;
  duplication: number;
  /** Of a frame overtaken by later ones. */
  reordering: number;
  bytesPerMs: number;
}

const defaultLink: LinkOptions = {
  latencyMs: { min: 0.2, max: 1 },
  loss: 0,
  duplication: 0,
  reordering: 0,
  bytesPerMs: Number.POSITIVE_INFINITY,
};

const loopbackNames = new Set(['127.0.0.1', '::1', 'localhost', '0.0.0.0', '::']);

interface Listening {
  life: Life;
  identity: TransportIdentity;
  accept: (connection: Connection) => void;
}

export class Network {
  readonly world: World;
  readonly random: SeededRandom;
  private readonly base: LinkOptions;
  private readonly links = new Map<string, LinkOptions>();
  private readonly cuts = new Map<string, number>();
  private readonly routers = new Map<string, string>();
  private readonly listening = new Map<string, Listening>();
  private readonly connections = new Set<VirtualConnection>();
  private nextPort = 40_000;
  /** Told of the length of every frame sent. */
  onCarried: (bytes: number) => void = () => {};
  /** What hosts find to be their way out, where there is one. */
  readonly ways = new Map<string, Router>();

  constructor(world: World, base: Partial<LinkOptions>) {
    this.world = world;
    this.random = world.random.fork('network');
    this.base = { ...defaultLink, ...base };
  }

  /** Changes how frames travel from one host to another, or between all when none is named. */
  setLink(options: Partial<LinkOptions>, from?: string, to?: string): void {
    if (from === undefined || to === undefined) Object.assign(this.base, options);
    else this.links.set(`${from}>${to}`, { ...this.link(from, to), ...options });
  }

  link(from: string, to: string): LinkOptions {
    return this.links.get(`${from}>${to}`) ?? this.base;
  }

  /** Cuts what is sent from the first group to the second (one way), or both ways; returns what mends it. */
  partition(left: readonly string[], right: readonly string[], options: { oneWay?: boolean } = {}): () => void {
    const pairs = left.flatMap((a) =>
      right.flatMap((b) => (options.oneWay ? [`${a}>${b}`] : [`${a}>${b}`, `${b}>${a}`])),
    );
    for (const pair of pairs) this.cuts.set(pair, (this.cuts.get(pair) ?? 0) + 1);
    this.world.note(`cut ${pairs.join(' ')}\n`);
    let mended = false;
    return () => {
      if (mended) return;
      mended = true;
      for (const pair of pairs) this.cuts.set(pair, Math.max(0, (this.cuts.get(pair) ?? 0) - 1));
    };
  }

  /**
   * Hosts behind one translating router: whoever is not behind it as well gets no answer when he dials one of them; what they dial
   * themselves works both ways.
   */
  behindRouter(router: string, ...hosts: readonly string[]): void {
    for (const host of hosts) this.routers.set(host, router);
  }

  /** Whether the second is behind a router and the first is not behind the same. */
  isHidden(from: string, to: string): boolean {
    const router = this.routers.get(to);
    return from !== to && router !== undefined && this.routers.get(from) !== router;
  }

  /** Mends every cut. */
  heal(): void {
    this.cuts.clear();
  }

  isCut(from: string, to: string): boolean {
    return (this.cuts.get(`${from}>${to}`) ?? 0) > 0;
  }

  /** Ends all connections between two hosts, as a middlebox that forgot them. */
  reset(a: string, b: string): void {
    for (const connection of [...this.connections])
      if (connection.life.host.name === a && connection.far.life.host.name === b) {
        connection.fail(new InfinitError('unavailable', 'connection reset'));
        connection.far.fail(new InfinitError('unavailable', 'connection reset'));
      }
  }

  /** How many connections a host has open to another. */
  connectionCount(a: string, b: string): number {
    return [...this.connections].filter((one) => one.life.host.name === a && one.far.life.host.name === b).length;
  }

  latencyUs(from: string, to: string): number {
    const { min, max } = this.link(from, to).latencyMs;
    return 1000 * (from === to ? 0.02 : this.random.between(min, max));
  }

  /** Something crosses from one host to another unless the link is cut; what must not be lost is not lost otherwise. */
  carry(from: Host, to: Host, label: string, arrive: () => void, delayUs = this.latencyUs(from.name, to.name)): void {
    if (this.isCut(from.name, to.name)) return;
    to.schedule(delayUs, `${label} ${from.name}>${to.name}`, arrive);
  }

  register(connection: VirtualConnection): void {
    this.connections.add(connection);
  }
  forget(connection: VirtualConnection): void {
    this.connections.delete(connection);
  }

  /** The process is gone; with `noticed`, its kernel still tells the others. */
  hostCrashed(life: Life, noticed: boolean): void {
    for (const [name, listener] of this.listening) if (listener.life === life) this.listening.delete(name);
    for (const connection of [...this.connections])
      if (connection.life === life) {
        this.forget(connection);
        if (noticed) connection.tellFar(new InfinitError('unavailable', 'connection reset'));
      }
  }

  listen(life: Life, at: Endpoint, identity: TransportIdentity, accept: (connection: Connection) => void): Listener {
    const port = at.port === 0 ? this.nextPort++ : at.port;
    const name = `${life.host.name}:${port}`;
    if (this.listening.has(name)) throw new InfinitError('exists', `port ${port} is taken`);
    const entry: Listening = { life, identity, accept };
    this.listening.set(name, entry);
    const close = async () => {
      if (this.listening.get(name) === entry) this.listening.delete(name);
    };
    return { endpoint: { host: at.host, port }, close };
  }

  /** The steps of a dial: a request that may find nobody, an answer with the proved key, then both ends exist. */
  dial(life: Life, endpoint: Endpoint, identity: TransportIdentity, options: DialOptions): Promise<Connection> {
    return new Promise((resolve, reject) => {
      if (!life.alive) return;
      const from = life.host;
      const where = `${endpoint.host}:${endpoint.port}`;
      const target = loopbackNames.has(endpoint.host) ? from : this.world.findHost(endpoint.host);
      let open = true;
      const end = (error?: Error) => {
        if (!open) return;
        open = false;
        stop();
        options.signal?.removeEventListener('abort', give);
        if (error) reject(error);
      };
      const give = () => end(cancelled(options.signal));
      const silence = () => end(new InfinitError('unavailable', `no answer from ${where}`));
      const stop = life.clock.after(options.timeoutMs ?? limits.handshakeTimeoutMs, silence);
      options.signal?.addEventListener('abort', give, { once: true });
      if (options.signal?.aborted) return give();
      if (target === undefined) return end(new InfinitError('unavailable', `no host ${endpoint.host}`));
      const back = (label: string, arrive: () => void) => this.carry(target, from, label, () => life.alive && arrive());
      if (this.isHidden(from.name, target.name)) return; // nobody answers
      this.carry(from, target, 'dial', () => {
        const listener = this.listening.get(`${target.name}:${endpoint.port}`);
        if (!listener) return back('refuse', () => end(new InfinitError('unavailable', `${where} refused`)));
        back('answer', () => {
          if (!open) return;
          if (options.expectedKey && !equalBytes(options.expectedKey, listener.identity.publicKey))
            return end(new InfinitError('denied', `another key answers at ${where}`));
          if (!listener.life.alive) return end(new InfinitError('unavailable', `${where} hung up`));
          end();
          resolve(this.join(life, listener, endpoint, identity));
        });
      });
    });
  }

  private join(life: Life, listener: Listening, endpoint: Endpoint, identity: TransportIdentity): Connection {
    const source = { host: life.host.name, port: this.nextPort++ };
    const [near, far] = connectionPair(
      this,
      { life, remoteKey: listener.identity.publicKey, remote: endpoint },
      { life: listener.life, remoteKey: identity.publicKey, remote: source },
    );
    // Nothing the dialler sends may overtake the acceptance.
    const delayUs = this.latencyUs(life.host.name, listener.life.host.name);
    near.holdUntil(this.world.timeUs + delayUs);
    this.carry(life.host, listener.life.host, 'accept', () => listener.life.alive && listener.accept(far), delayUs);
    return near;
  }
}

type DialOptions = Abortable & { expectedKey?: Bytes | undefined; timeoutMs?: number | undefined };

export class VirtualTransport implements Transport {
  private readonly life: Life;

  constructor(life: Life) {
    this.life = life;
  }

  private get network(): Network {
    return this.life.host.world.network;
  }

  dial(endpoint: Endpoint, identity: TransportIdentity, options: DialOptions = {}): Promise<Connection> {
    return this.network.dial(this.life, endpoint, identity, options);
  }

  listen(at: Endpoint, identity: TransportIdentity, accept: (connection: Connection) => void): Promise<Listener> {
    return this.life.later(10, 'listen', () => this.network.listen(this.life, at, identity, accept));
  }

  secure(...words: Parameters<Transport['secure']>): Promise<Connection> {
    return secureCarried(this.life, ...words);
  }

  localAddresses(): string[] {
    return [this.life.host.name];
  }

  resolve(host: string): Promise<string[]> {
    const known = loopbackNames.has(host) || this.life.host.world.findHost(host) !== undefined;
    return this.life.later(100, 'resolve', () => (known ? [host] : []));
  }
}
