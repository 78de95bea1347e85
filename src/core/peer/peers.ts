// All peers of a node: who is connected, who is being dialled, who may come in. At most one connection a pair stays: of two
// made at the same time the one dialled by the smaller id, otherwise the newer.

import { compareBytes, equalBytes, toHex } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { Events } from '../base/events.ts';
import { type Abortable, cancelled, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { NodeId } from '../block/address.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Carrier, Connection, Endpoint, Listener, Runtime, TransportIdentity } from '../runtime/runtime.ts';
import { Dialling } from './dialling.ts';
import { type Greeted, greet, type Side } from './greeting.ts';
import { Meter } from './meter.ts';
import { LoopbackPeer, NodePeer } from './node-peer.ts';
import type { Admission, Contact, Handler, Method, Peer, PeerIdentity, Peers } from './peer.ts';
import { Relaying } from './relay.ts';
import { Services } from './services.ts';
import { Session } from './session.ts';
import { Turns } from './turns.ts';

export interface PeersParts {
  runtime: Runtime;
  identity: TransportIdentity;
  admission: Admission;
  /** Where this node may be dialled, as it tells others. */
  endpoints?: () => readonly Endpoint[];
}

export function createPeers(parts: PeersParts): Peers {
  return new NodePeers(parts);
}

/** Ends connections to whom admission would not admit now. */
export function closeRefused(peers: Peers, admission: Admission): void {
  for (const peer of peers.connected()) {
    try {
      admission.check(peer.identity);
    } catch (error) {
      if (!isError(error, 'denied')) throw error;
      peer.close();
    }
  }
}

const stopWaitMs = 2000;

class NodePeers implements Peers {
  readonly events = new Events<{ connected: Peer; disconnected: Peer }>();
  private readonly runtime: Runtime;
  private readonly identity: TransportIdentity;
  private readonly admission: Admission;
  private readonly meter: Meter | undefined;
  private readonly services: Services;
  private readonly turns: Turns;
  private readonly loopback: LoopbackPeer;
  private readonly peers = new Map<string, NodePeer>();
  /** Open sessions and when they began; replaced ones included. */
  private readonly sessions = new Map<Session, number>();
  private readonly dialling: Dialling;
  private readonly listeners = new Set<Listener>();
  private greetings = 0;
  private stopping = new AbortController();

  constructor(parts: PeersParts) {
    this.runtime = parts.runtime;
    this.identity = parts.identity;
    this.admission = parts.admission;
    const { clock, log, metrics } = parts.runtime;
    this.meter = metrics && new Meter(clock, metrics);
    this.services = new Services(parts.admission, log, this.meter);
    this.turns = new Turns(parts.runtime.clock);
    this.loopback = new LoopbackPeer(parts.admission.self, this.services, parts.runtime.clock);
    const { runtime, identity, admission, endpoints = () => [] } = parts;
    const relaying = new Relaying({
      ...{ peers: this, transport: runtime.transport, identity, endpoints },
      accept: (carrier, relay, places) => this.acceptCarried(carrier, relay, places),
    });
    this.dialling = new Dialling({
      ...{ runtime, identity, admission, peers: this, relaying },
      stopping: () => this.stopping.signal,
      establish: (connection, greeted, relay) => this.establish(connection, greeted, 'dialler', relay),
    });
  }

  get self(): PeerIdentity {
    return this.admission.self;
  }

  async start(): Promise<void> {
    if (this.stopping.signal.aborted) this.stopping = new AbortController();
  }

  async stop(): Promise<void> {
    this.stopping.abort(new InfinitError('unavailable', 'this node is stopping'));
    const { clock } = this.runtime;
    const listeners = [...this.listeners];
    this.listeners.clear();
    const sessions = [...this.sessions.keys()];
    for (const session of sessions) session.close();
    const waited = new AbortController();
    const enough = clock.sleep(stopWaitMs, { signal: waited.signal }).catch(() => {});
    await Promise.race([Promise.all(sessions.map((session) => session.finished())), enough]);
    waited.abort();
    await Promise.all(listeners.map((listener) => listener.close()));
  }

  serve<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void {
    this.services.serve(method, handler);
  }

  async listen(at: Endpoint): Promise<Endpoint> {
    const listener = await this.runtime.transport.listen(at, this.identity, (connection) => this.accept(connection));
    this.listeners.add(listener);
    return listener.endpoint;
  }

  get(id: NodeId): Peer | undefined {
    if (equalBytes(id, this.self.id)) return this.loopback;
    return this.peers.get(toHex(id));
  }

  connected(): readonly Peer[] {
    return [...this.peers.values()];
  }

  async connect(contact: Contact, options: Abortable = {}): Promise<Peer> {
    checkSignal(options.signal);
    checkSignal(this.stopping.signal);
    const known = contact.id && this.get(contact.id);
    if (known) return known;
    return this.dialling.connect(contact, options);
  }

  private accept(connection: Connection): void {
    if (this.greetings >= limits.greetingsMax || this.stopping.signal.aborted) {
      connection.close(new InfinitError('unavailable', 'too many peers introduce themselves'));
      return;
    }
    void this.admit(async () => connection, formatEndpoint(connection.remote), {});
  }

  /** Throws `full`. */
  private acceptCarried(carrier: Carrier, relay: NodeId, endpoints: readonly Endpoint[]): void {
    if (this.greetings >= limits.greetingsMax || this.stopping.signal.aborted)
      throw new InfinitError('full', 'too many peers introduce themselves');
    const { signal } = this.stopping;
    const secured = () => this.runtime.transport.secure(carrier, 'listener', this.identity, { signal });
    void this.admit(secured, formatEndpoint(carrier.remote), { relay, endpoints });
  }

  private async admit(
    connected: () => Promise<Connection>,
    from: string,
    { relay, endpoints = [] }: { relay?: NodeId; endpoints?: readonly Endpoint[] },
  ): Promise<void> {
    this.greetings++;
    try {
      const connection = await connected();
      const greeted = await greet(connection, 'listener', this.admission, this.runtime.clock, this.stopping.signal);
      const peer = this.establish(connection, greeted, 'listener', relay);
      if (relay !== undefined) this.dialling.preferDirect(peer.id, endpoints);
    } catch (error) {
      const { kind, message } = asError(error);
      const level = kind === 'internal' ? 'error' : 'debug';
      this.runtime.log.write(level, 'peer', `refused a peer: ${message}`, { kind, from });
    } finally {
      this.greetings--;
    }
  }

  private establish(connection: Connection, greeted: Greeted, side: Side, relay?: NodeId): Peer {
    const { identity } = greeted;
    if (this.stopping.signal.aborted) {
      connection.close();
      throw cancelled(this.stopping.signal);
    }
    if (equalBytes(identity.id, this.self.id)) {
      connection.close();
      return this.loopback;
    }
    if (this.sessions.size >= limits.sessionsOpenMax && !this.makeRoom(identity)) {
      const full = new InfinitError('full', 'too many peers are connected');
      connection.close(full);
      throw full;
    }
    const name = toHex(identity.id);
    const known = this.peers.get(name);
    const session: Session = new Session({
      connection: this.meter?.watch(connection) ?? connection,
      greeted,
      side,
      relay,
      services: this.services,
      turns: this.turns,
      clock: this.runtime.clock,
      peer: () => peer,
      closed: (closed, error) => this.sessionClosed(name, peer, closed, error),
    });
    const peer: NodePeer = known ?? new NodePeer(session, this.meter);
    this.sessions.set(session, this.runtime.clock.monotonic());
    if (!known) {
      this.peers.set(name, peer);
      this.events.emit('connected', peer);
    } else if (this.replaces(session, known.current)) {
      known.current.retire();
      known.use(session);
    } else session.retire();
    this.closeSurplus(peer, session);
    session.start(greeted);
    if (!peer.open) throw new InfinitError('unavailable', 'connection closed at once');
    return peer;
  }

  /** The oldest connection of the user who has most goes, unless that is the newcomer's: nobody keeps others out with many. */
  private makeRoom(newcomer: PeerIdentity): boolean {
    const byUser = new Map<string, Session[]>();
    for (const session of this.sessions.keys()) {
      const user = toHex(session.identity.userKey);
      const sessions = byUser.get(user);
      if (sessions) sessions.push(session);
      else byUser.set(user, [session]);
    }
    const [most] = [...byUser.values()].sort((a, b) => b.length - a.length);
    const own = byUser.get(toHex(newcomer.userKey))?.length ?? 0;
    if (most === undefined || own + 1 >= most.length) return false;
    most[0]?.close(new InfinitError('unavailable', 'too many connections of one user'));
    return true;
  }

  /** A direct one is preferred to one that is carried. Both sides decide alike: they know who dialled, and both sessions are young only when they dialled at once. */
  private replaces(fresh: Session, old: Session): boolean {
    if ((fresh.relay === undefined) !== (old.relay === undefined)) return fresh.relay === undefined;
    if (fresh.side === old.side) return true;
    const ageMs = this.runtime.clock.monotonic() - (this.sessions.get(old) ?? 0);
    if (ageMs > limits.dialTimeoutMs) return true;
    const weAreSmaller = compareBytes(this.self.id, fresh.identity.id) < 0;
    return (fresh.side === 'dialler') === weAreSmaller;
  }

  /** Replaced sessions end when their calls have; whoever keeps calls open for ever loses the oldest. */
  private closeSurplus(peer: NodePeer, fresh: Session): void {
    const open = [...this.sessions.keys()].filter(({ identity }) => equalBytes(identity.id, peer.id));
    if (open.length <= limits.sessionsPerPeerMax) return;
    const oldest = open.find((session) => session !== fresh && session !== peer.current);
    oldest?.close(new InfinitError('unavailable', 'too many connections of one node'));
  }

  private sessionClosed(name: string, peer: NodePeer, session: Session, error: InfinitError | undefined): void {
    this.sessions.delete(session);
    if (error && error.kind !== 'unavailable')
      this.runtime.log.write('warn', 'peer', `connection ended: ${error.message}`, { kind: error.kind, peer: name });
    if (peer.current !== session) return;
    const other = [...this.sessions.keys()].find((open) => equalBytes(open.identity.id, peer.id));
    if (other) {
      peer.use(other);
      return;
    }
    if (this.peers.get(name) !== peer) return;
    this.peers.delete(name);
    this.events.emit('disconnected', peer);
  }
}
