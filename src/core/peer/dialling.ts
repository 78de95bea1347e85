// How a node is reached: its endpoints in order, and before long by way of a third node, at the same time; the first connection serves.
// One that is carried gives way to a direct one, which is tried again later.

import { equalBytes, toHex } from '../base/bytes.ts';
import { asError, InfinitError } from '../base/errors.ts';
import { type Abortable, abortable, checkSignal, Semaphore } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type NodeId, nodeIdOf } from '../block/address.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Connection, Endpoint, Runtime, TransportIdentity } from '../runtime/runtime.ts';
import { type Greeted, greet } from './greeting.ts';
import type { Admission, Contact, Peer, Peers } from './peer.ts';
import type { Relaying } from './relay.ts';
import { isRelayed, parseRelayed, type RelayedEndpoint } from './relayed-endpoint.ts';

export interface DiallingParts {
  runtime: Runtime;
  identity: TransportIdentity;
  admission: Admission;
  peers: Peers;
  relaying: Relaying;
  /** Fires when this node stops. */
  stopping: () => AbortSignal;
  /** A connection greeted by both sides serves from now on. */
  establish: (connection: Connection, greeted: Greeted, relay: NodeId | undefined) => Peer;
}

export class Dialling {
  private readonly parts: DiallingParts;
  private readonly dials = new Map<string, Promise<Peer>>();
  private readonly failures = new Map<string, { untilMs: number; error: InfinitError }>();
  private readonly slots = new Semaphore(limits.dialsMax);
  /** Nodes a direct connection is tried to. */
  private readonly retried = new Set<string>();

  constructor(parts: DiallingParts) {
    this.parts = parts;
  }

  /** `Peers.connect`, for a node that is not connected. */
  connect(contact: Contact, options: Abortable): Promise<Peer> {
    const where = contact.endpoints.map(formatEndpoint).join(' ');
    const name = contact.id ? toHex(contact.id) : where;
    let dial = this.dials.get(name);
    if (!dial) {
      const failure = this.failures.get(`${name} ${where}`);
      if (failure && failure.untilMs > this.parts.runtime.clock.monotonic()) return Promise.reject(failure.error);
      dial = this.slots.run(() => this.dial(contact, `${name} ${where}`)).finally(() => this.dials.delete(name));
      this.dials.set(name, dial);
    }
    return abortable(dial, options);
  }

  /** A node whose connection is carried is tried directly every so often, until it is direct or gone or this node stops. */
  preferDirect(id: NodeId, endpoints: readonly Endpoint[]): void {
    const name = toHex(id);
    const dialled = endpoints.filter((one) => !isRelayed(one));
    if (dialled.length === 0 || this.retried.has(name)) return;
    this.retried.add(name);
    const over = () => this.retried.delete(name);
    this.retry(id, dialled).then(over, over);
  }

  private async retry(id: NodeId, endpoints: readonly Endpoint[]): Promise<void> {
    const { clock } = this.parts.runtime;
    const signal = this.parts.stopping();
    for (let waitMs: number = limits.directRetryMs; ; waitMs = Math.min(2 * waitMs, limits.directRetryMaxMs)) {
      await clock.sleep(waitMs, { signal });
      const peer = this.known(id);
      if (peer === undefined || peer.relay === undefined) return;
      const isDirect = await this.direct(endpoints, id).then(
        () => true,
        () => false,
      );
      if (isDirect) return;
    }
  }

  private async dial(contact: Contact, failureName: string): Promise<Peer> {
    const { id } = contact;
    const endpoints = contact.endpoints.slice(0, limits.dialEndpointsMax);
    const direct = this.direct(
      endpoints.filter((one) => !isRelayed(one)),
      id,
    );
    const relayed = endpoints.filter(isRelayed);
    try {
      const peer = await Promise.any([direct, this.relayed(id, relayed, direct)]);
      if (peer.relay !== undefined) this.preferDirect(peer.id, endpoints);
      return peer;
    } catch (failed) {
      const errors = (failed as AggregateError).errors as [InfinitError, InfinitError];
      const onlyRelayed = relayed.length === endpoints.length && (id !== undefined || relayed.length > 0);
      const error = errors[onlyRelayed ? 1 : 0];
      checkSignal(this.parts.stopping());
      this.remember(failureName, error);
      throw error;
    }
  }

  /** The endpoints one after another. Throws the failure that tells most. */
  private async direct(endpoints: readonly Endpoint[], id: NodeId | undefined): Promise<Peer> {
    const errors: InfinitError[] = [];
    for (const endpoint of endpoints) {
      try {
        return await this.dialOne(endpoint, id);
      } catch (error) {
        errors.push(asError(error));
        // It may have dialled us meanwhile.
        const known = this.known(id);
        if (known && known.relay === undefined) return known;
        checkSignal(this.parts.stopping());
      }
    }
    throw mostTelling(errors, `no answer from ${endpoints.map(formatEndpoint).join(', ') || 'a node without address'}`);
  }

  private known(id: NodeId | undefined): Peer | undefined {
    const peer = id && this.parts.peers.get(id);
    return peer?.open ? peer : undefined;
  }

  private async dialOne(endpoint: Endpoint, id: NodeId | undefined): Promise<Peer> {
    const { runtime, identity, stopping } = this.parts;
    const signal = stopping();
    const connection = await runtime.transport.dial(endpoint, identity, { timeoutMs: limits.dialTimeoutMs, signal });
    return await this.greet(connection, id, undefined);
  }

  private async greet(connection: Connection, id: NodeId | undefined, relay: NodeId | undefined): Promise<Peer> {
    const { admission, runtime, stopping, establish } = this.parts;
    // Before a stranger is told who we are.
    if (id && !equalBytes(nodeIdOf(connection.remoteKey), id)) {
      connection.close();
      throw new InfinitError('denied', `another node answers at ${formatEndpoint(connection.remote)}`);
    }
    const greeted = await greet(connection, 'dialler', admission, runtime.clock, stopping());
    return establish(connection, greeted, relay);
  }

  /** By the relays announced, then by some that are connected here. Begins when the direct way has failed or takes long. */
  private async relayed(
    wanted: NodeId | undefined,
    announced: readonly Endpoint[],
    direct: Promise<Peer>,
  ): Promise<Peer> {
    const places = announced.flatMap((endpoint) => parsed(endpoint) ?? []);
    const id = wanted ?? places[0]?.node;
    if (id === undefined) throw new InfinitError('unavailable', 'a node without id is not asked for');
    await this.failedOrLate(direct);
    const errors: InfinitError[] = [];
    for (const relay of this.relays(id, places)) {
      const known = this.known(id);
      if (known) return known;
      checkSignal(this.parts.stopping());
      try {
        return await this.through(await relay(), id);
      } catch (error) {
        errors.push(asError(error));
      }
    }
    throw mostTelling(errors, 'nobody carries connections to that node');
  }

  private async failedOrLate(direct: Promise<Peer>): Promise<void> {
    const over = new AbortController();
    const late = this.parts.runtime.clock.sleep(limits.relayAfterMs, { signal: over.signal }).catch(() => {});
    await Promise.race([late, direct.catch(() => {})]);
    over.abort();
  }

  private *relays(id: NodeId, announced: readonly RelayedEndpoint[]): Generator<() => Promise<Peer>> {
    const { peers } = this.parts;
    const asked = new Set([toHex(id), toHex(peers.self.id)]);
    for (const { node, relay, at } of announced) {
      if (!equalBytes(node, id) || asked.has(toHex(relay))) continue;
      asked.add(toHex(relay));
      yield async () => this.known(relay) ?? (await this.direct([at], relay));
    }
    const near = peers
      .connected()
      .filter((peer) => peer.open && peer.identity.kind === 'storage' && !asked.has(toHex(peer.id)))
      .sort((a, b) => (a.roundTripMs ?? 0) - (b.roundTripMs ?? 0));
    for (const peer of near.slice(0, limits.relaysAskedMax)) yield async () => peer;
  }

  private async through(relay: Peer, id: NodeId): Promise<Peer> {
    const { relaying, runtime, identity, stopping } = this.parts;
    if (relay.relay !== undefined) throw new InfinitError('unavailable', 'the relay is reached by a relay itself');
    const signal = stopping();
    const carrier = await relaying.through(relay, id, signal);
    const options = { signal, timeoutMs: limits.dialTimeoutMs };
    const connection = await runtime.transport.secure(carrier, 'dialler', identity, options);
    return await this.greet(connection, id, relay.id);
  }

  private remember(name: string, error: InfinitError): void {
    this.failures.delete(name);
    if (this.failures.size >= limits.dialFailuresMax) {
      const oldest = this.failures.keys().next();
      if (!oldest.done) this.failures.delete(oldest.value);
    }
    this.failures.set(name, { untilMs: this.parts.runtime.clock.monotonic() + limits.dialRetryMs, error });
  }
}

/** One that says more than that nobody is there; else the only one; else those words. */
function mostTelling(errors: readonly InfinitError[], otherwise: string): InfinitError {
  const telling = errors.find(({ kind }) => kind !== 'unavailable') ?? (errors.length === 1 ? errors[0] : undefined);
  return telling ?? new InfinitError('unavailable', otherwise);
}

/** What others say of themselves may be nonsense. */
function parsed(endpoint: Endpoint): RelayedEndpoint | undefined {
  try {
    return parseRelayed(endpoint);
  } catch {
    return undefined;
  }
}
