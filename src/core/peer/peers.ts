// All peers of a node: who is connected, who is being dialled, who may come in. At most one connection a pair stays: of two
// made at the same time the one dialled by the smaller id, otherwise the newer.

import { compareBytes, equalBytes, toHex } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { Events } from '../base/events.ts';
import { type Abortable, cancelled, checkSignal, Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type NodeId, nodeIdOf } from '../block/address.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Connection, Endpoint, Listener, Runtime, TransportIdentity } from '../runtime/runtime.ts';
import { type Greeted, greet, type Side } from './greeting.ts';
import { Meter } from './meter.ts';
import { LoopbackPeer, NodePeer } from './node-peer.ts';
import type { Admission, Contact, Handler, Method, Peer, PeerIdentity, Peers } from './peer.ts';
import { Services } from './services.ts';
import { Session } from './session.ts';
import { Turns } from './turns.ts';

export interface PeersParts {
  runtime: Runtime;
  identity: TransportIdentity;
  admission: Admission;
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
  private readonly dials = new Map<string, Promise<Peer>>();
  private readonly failures = new Map<string, { untilMs: number; error: InfinitError }>();
  private readonly dialSlots = new Semaphore(limits.dialsMax);
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
    const where = contact.endpoints.map(formatEndpoint).join(' ');
    const name = contact.id ? toHex(contact.id) : where;
    let dial = this.dials.get(name);
    if (!dial) {
      const failure = this.failures.get(`${name} ${where}`);
      if (failure && failure.untilMs > this.runtime.clock.monotonic()) throw failure.error;
      dial = this.dialSlots.run(() => this.dial(contact, `${name} ${where}`)).finally(() => this.dials.delete(name));
      this.dials.set(name, dial);
    }
    return abortable(dial, options.signal);
  }

  private async dial(contact: Contact, failureName: string): Promise<Peer> {
    const errors: InfinitError[] = [];
    for (const endpoint of contact.endpoints.slice(0, limits.dialEndpointsMax)) {
      try {
        return await this.dialOne(endpoint, contact.id);
      } catch (error) {
        errors.push(asError(error));
        // It may have dialled us meanwhile.
        const known = contact.id && this.get(contact.id);
        if (known) return known;
        checkSignal(this.stopping.signal);
      }
    }
    const error =
      errors.find((candidate) => candidate.kind !== 'unavailable') ??
      (errors.length === 1 ? errors[0] : undefined) ??
      new InfinitError(
        'unavailable',
        `no answer from ${contact.endpoints.map(formatEndpoint).join(', ') || 'a node without address'}`,
      );
    this.remember(failureName, error);
    throw error;
  }

  private async dialOne(endpoint: Endpoint, id: NodeId | undefined): Promise<Peer> {
    const { transport, clock } = this.runtime;
    const { signal } = this.stopping;
    const connection = await transport.dial(endpoint, this.identity, { timeoutMs: limits.dialTimeoutMs, signal });
    // Before a stranger is told who we are.
    if (id && !equalBytes(nodeIdOf(connection.remoteKey), id)) {
      connection.close();
      throw new InfinitError('denied', `another node answers at ${formatEndpoint(endpoint)}`);
    }
    const greeted = await greet(connection, 'dialler', this.admission, clock, signal);
    return this.establish(connection, greeted, 'dialler');
  }

  private accept(connection: Connection): void {
    if (this.greetings >= limits.greetingsMax || this.stopping.signal.aborted) {
      connection.close(new InfinitError('unavailable', 'too many peers introduce themselves'));
      return;
    }
    this.greetings++;
    greet(connection, 'listener', this.admission, this.runtime.clock, this.stopping.signal)
      .then((greeted) => this.establish(connection, greeted, 'listener'))
      .catch((error: unknown) => {
        const { kind, message } = asError(error);
        const facts = { kind, from: formatEndpoint(connection.remote) };
        this.runtime.log.write(kind === 'internal' ? 'error' : 'debug', 'peer', `refused a peer: ${message}`, facts);
      })
      .finally(() => this.greetings--);
  }

  private establish(connection: Connection, greeted: Greeted, side: Side): Peer {
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

  /** Both sides decide alike: they know who dialled, and both sessions are young only when they dialled at once. */
  private replaces(fresh: Session, old: Session): boolean {
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

  private remember(name: string, error: InfinitError): void {
    this.failures.delete(name);
    if (this.failures.size >= limits.dialFailuresMax) {
      const oldest = this.failures.keys().next();
      if (!oldest.done) this.failures.delete(oldest.value);
    }
    this.failures.set(name, { untilMs: this.runtime.clock.monotonic() + limits.dialRetryMs, error });
  }
}

/** The promise, or the error of the signal; the work behind the promise goes on for those who share it. */
function abortable<T>(promise: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
  if (!signal) return promise;
  return new Promise<T>((resolve, reject) => {
    const abort = () => reject(cancelled(signal));
    signal.addEventListener('abort', abort, { once: true });
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', abort));
  });
}
