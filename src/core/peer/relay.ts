// Connections by way of a third node, seen from all three places: a storage node carries streams between two that are connected to it and
// cannot reach each other; an end asks for one, or takes one that is offered. Nobody is carried over a connection that is carried itself.

import { equalBytes, toHex } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { NodeId } from '../block/address.ts';
import type { Carrier, Endpoint, Transport, TransportIdentity } from '../runtime/runtime.ts';
import type { CallContext, Peer, Peers } from './peer.ts';
import { RelayCarrier } from './relay-carrier.ts';
import { type Piece, relayEnd, relayOffer, relayOpen, relayPiece, relayReach, tellable } from './relay-messages.ts';
import { isRelayed, relayedEndpoint } from './relayed-endpoint.ts';

export interface RelayingParts {
  peers: Peers;
  transport: Transport;
  identity: TransportIdentity;
  /** Where this node may be dialled. */
  endpoints: () => readonly Endpoint[];
  /** Somebody wants to speak over that carrier, and says where he may be dialled. Throws `full`. */
  accept: (carrier: Carrier, relay: NodeId, endpoints: readonly Endpoint[]) => void;
}

/** A stream carried here: its ends, and the pieces on their way towards each. */
interface Carried {
  readonly stream: number;
  readonly ends: readonly [NodeId, NodeId];
  readonly pieces: [number, number];
}

export class Relaying {
  private readonly parts: RelayingParts;
  private readonly carried = new Map<number, Carried>();
  /** Streams this node is an end of, by relay and number. */
  private readonly own = new Map<string, RelayCarrier>();
  private streams = 0;
  private readonly probed = new Set<string>();

  constructor(parts: RelayingParts) {
    this.parts = parts;
    const { peers } = parts;
    peers.serve(relayOpen, (request, context) => this.open(request.to, request.endpoints, context));
    peers.serve(relayOffer, ({ stream, endpoints }, { peer }) => this.offered(peer, stream, endpoints));
    peers.serve(relayPiece, (piece, context) =>
      piece.down ? this.arrived(piece, context) : this.pass(piece, context),
    );
    peers.serve(relayEnd, ({ stream, down, broken }, { from }) => {
      if (down) this.own.get(nameOf(from.id, stream))?.ended(broken);
      else this.end(this.carriedFor(stream, from.id), from.id, broken);
      return {};
    });
    peers.serve(relayReach, ({ endpoints }, context) => this.reach(endpoints, context));
    peers.events.on('disconnected', (peer) => this.lost(peer));
  }

  /** A carrier to that node through the relay. Throws what the relay says: `unavailable`, `full`, `denied`. */
  async through(relay: Peer, node: NodeId, signal: AbortSignal): Promise<Carrier> {
    const request = { to: node, endpoints: tellable(this.parts.endpoints().filter((one) => !isRelayed(one))) };
    const { stream } = await relay.call(relayOpen, request, { signal, timeoutMs: limits.dialTimeoutMs });
    return this.carrier(relay, stream, node);
  }

  private carrier(relay: Peer, stream: number, node: NodeId): RelayCarrier {
    const name = nameOf(relay.id, stream);
    const remote = relayedEndpoint({ node, relay: relay.id, at: relay.remote });
    const carrier = new RelayCarrier(relay, stream, remote, () => this.own.delete(name));
    this.own.set(name, carrier);
    return carrier;
  }

  // As an end.

  private offered(relay: Peer, stream: number, endpoints: readonly Endpoint[]): Record<string, never> {
    const prefix = nameOf(relay.id, '');
    const held = [...this.own.keys()].filter((name) => name.startsWith(prefix)).length;
    if (held >= limits.relayStreamsPerNodeMax || this.own.has(nameOf(relay.id, stream)))
      throw new InfinitError('full', 'too many connections by way of one relay');
    const carrier = this.carrier(relay, stream, this.parts.peers.self.id);
    try {
      this.parts.accept(
        carrier,
        relay.id,
        endpoints.filter((one) => !isRelayed(one)),
      );
    } catch (error) {
      carrier.close();
      throw error;
    }
    return {};
  }

  private async arrived({ stream, sequence, data }: Piece, { from }: CallContext): Promise<Record<string, never>> {
    const carrier = this.own.get(nameOf(from.id, stream));
    if (carrier === undefined) throw new InfinitError('unavailable', 'no such relayed connection');
    await carrier.arrived(sequence, Buffer.from(data));
    return {};
  }

  // As the relay.

  private async open(to: NodeId, endpoints: Endpoint[], { from, signal }: CallContext): Promise<{ stream: number }> {
    const { peers } = this.parts;
    if (peers.self.kind !== 'storage') throw new InfinitError('denied', 'clients carry nothing for others');
    if (equalBytes(to, from.id) || equalBytes(to, peers.self.id))
      throw new InfinitError('usage', 'a connection is carried between two others');
    const [asker, target] = [this.direct(from.id), this.direct(to)];
    if (!asker || !target) throw new InfinitError('unavailable', 'this node is not connected to the one wanted');
    for (const id of [from.id, to])
      if (this.countOf(id) >= limits.relayStreamsPerNodeMax)
        throw new InfinitError('full', 'this node carries too many connections of one node');
    if (this.carried.size >= limits.relayStreamsMax && !this.makeRoom(from.id))
      throw new InfinitError('full', 'this node carries too many connections');
    const stream = ++this.streams;
    this.carried.set(stream, { stream, ends: [from.id, to], pieces: [0, 0] });
    try {
      await target.call(relayOffer, { stream, endpoints }, { signal, timeoutMs: limits.dialTimeoutMs });
    } catch (error) {
      this.carried.delete(stream);
      throw error;
    }
    return { stream };
  }

  private direct(id: NodeId): Peer | undefined {
    const peer = this.parts.peers.get(id);
    return peer?.open && peer.relay === undefined ? peer : undefined;
  }

  private countOf(id: NodeId): number {
    let count = 0;
    for (const { ends } of this.carried.values()) if (ends.some((end) => equalBytes(end, id))) count++;
    return count;
  }

  /** The oldest stream of the node that asked for most goes, unless that is the newcomer: nobody keeps others out with many. */
  private makeRoom(newcomer: NodeId): boolean {
    const byAsker = new Map<string, Carried[]>();
    for (const one of this.carried.values()) {
      const asker = toHex(one.ends[0]);
      const streams = byAsker.get(asker);
      if (streams) streams.push(one);
      else byAsker.set(asker, [one]);
    }
    const [most] = [...byAsker.values()].sort((a, b) => b.length - a.length);
    const own = byAsker.get(toHex(newcomer))?.length ?? 0;
    if (most?.[0] === undefined || own + 1 >= most.length) return false;
    this.end(most[0], undefined, true);
    return true;
  }

  private carriedFor(stream: number, caller: NodeId): Carried | undefined {
    const carried = this.carried.get(stream);
    return carried?.ends.some((end) => equalBytes(end, caller)) ? carried : undefined;
  }

  private async pass({ stream, sequence, data }: Piece, { from, signal }: CallContext): Promise<Record<string, never>> {
    const carried = this.carriedFor(stream, from.id);
    const towards = carried && equalBytes(carried.ends[0], from.id) ? 1 : 0;
    const other = carried && this.direct(carried.ends[towards]);
    if (carried === undefined || other === undefined) {
      this.end(carried, from.id, true);
      throw new InfinitError('unavailable', 'the relayed connection is over');
    }
    // A piece that was given up may still be on its way to the other end.
    if (carried.pieces[towards] >= 2 * limits.relayPiecesMax) {
      this.end(carried, undefined, true);
      throw new InfinitError('full', 'more pieces of a relayed connection than may be on their way');
    }
    carried.pieces[towards]++;
    try {
      const timeoutMs = limits.relayPieceTimeoutMs;
      await other.call(relayPiece, { stream, down: true, sequence, data }, { signal, timeoutMs });
    } finally {
      carried.pieces[towards]--;
    }
    return {};
  }

  /** Tells the ends, but for the one that said it. */
  private end(carried: Carried | undefined, told: NodeId | undefined, broken: boolean): void {
    if (carried === undefined || !this.carried.delete(carried.stream)) return;
    for (const id of carried.ends) {
      if (told && equalBytes(told, id)) continue;
      const end = { stream: carried.stream, down: true, broken };
      this.direct(id)
        ?.call(relayEnd, end)
        .catch(() => {}); // it is going itself
    }
  }

  private lost({ id }: Peer): void {
    for (const carried of [...this.carried.values()])
      if (carried.ends.some((end) => equalBytes(end, id))) this.end(carried, id, true);
    const prefix = nameOf(id, '');
    for (const [name, carrier] of [...this.own]) if (name.startsWith(prefix)) carrier.ended(true);
  }

  // Whether others can be dialled.

  private async reach(endpoints: readonly Endpoint[], { from, signal }: CallContext): Promise<{ reached: boolean }> {
    const name = toHex(from.id);
    if (this.probed.size >= limits.reachProbesMax || this.probed.has(name))
      throw new InfinitError('full', 'this node tries to reach others just now');
    this.probed.add(name);
    const { transport, identity } = this.parts;
    const options = { expectedKey: from.nodeKey, timeoutMs: limits.reachTimeoutMs, signal };
    const dials = endpoints
      .filter((one) => !isRelayed(one))
      .map(async (endpoint) => {
        (await transport.dial(endpoint, identity, options)).close();
        return true;
      });
    try {
      return { reached: await Promise.any(dials).catch(() => false) };
    } finally {
      this.probed.delete(name);
    }
  }
}

function nameOf(relay: NodeId, stream: number | ''): string {
  return `${toHex(relay)} ${stream}`;
}
