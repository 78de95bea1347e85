// Authenticated typed calls between two nodes. A connection is between two proved keys (transport); before any other byte is
// processed both sides exchange and verify credentials (admission); then many calls run over it at once.

import type { Bytes } from '../base/bytes.ts';
import type { Codec } from '../base/codec.ts';
import type { Events } from '../base/events.ts';
import type { Abortable, Startable } from '../base/lifecycle.ts';
import type { NodeId } from '../block/address.ts';
import type { Endpoint } from '../runtime/runtime.ts';

/** What a caller's passport must allow. `member`: any valid passport. */
export type Right = 'member' | 'write' | 'storage';

/** A message type is a value, declared by the layer that owns it (`<layer>/messages.ts`); peer/ knows none of them. */
export interface Method<Q, R> {
  /** Unique, e.g. `ring.state`. */
  readonly name: string;
  readonly request: Codec<Q>;
  readonly response: Codec<R>;
  /** Checked against the caller's passport before the handler runs; refused with `denied`. */
  readonly right: Right;
}

/** Who is at the other end, as verified. */
export interface PeerIdentity {
  readonly id: NodeId;
  readonly nodeKey: Bytes;
  readonly userKey: Bytes;
  /** `storage` nodes have places on the ring; `client` sessions have none. */
  readonly kind: 'storage' | 'client';
  readonly rights: { readonly write: boolean; readonly storage: boolean; readonly sign: boolean };
  /** Hash of the passport presented; the network owner's is the hash of his own. */
  readonly passportHash: Bytes;
}

/**
 * Credentials: what this node presents, and how it judges what others present. `presented` is opaque to peer/.
 */
export interface Admission {
  readonly self: PeerIdentity;
  /** At most 16 KiB; asked anew for every connection. */
  present(): Bytes;
  /** Throws `denied` (with what failed), `conflict` (the other founded the network separately), `corrupt`. */
  admit(presented: Bytes, remoteKey: Bytes): PeerIdentity;
  /** Called for calls on long connections: throws `denied` once the passport expired or was revoked. */
  check(identity: PeerIdentity): void;
}

export interface CallOptions extends Abortable {
  /** Default `limits.callTimeoutMs`. */
  timeoutMs?: number | undefined;
}

/** A node met and verified. The local node is a peer too: calls to it run its handlers without a network. */
export interface Peer {
  readonly identity: PeerIdentity;
  readonly id: NodeId;
  readonly remote: Endpoint;
  /** The node that carries the connection, which sees ciphertext only; undefined for a direct one. */
  readonly relay: NodeId | undefined;
  /** Smoothed round trip of calls, milliseconds; undefined before the first. */
  readonly roundTripMs: number | undefined;
  readonly open: boolean;
  /**
   * Throws what the handler threw (same kind and message), `unavailable` when the deadline passes or the connection
   * closes (the call may have taken effect), `cancelled`, `unsupported` when the other side does not serve the method.
   */
  call<Q, R>(method: Method<Q, R>, request: Q, options?: CallOptions): Promise<R>;
  close(): void;
}

export interface CallContext {
  readonly from: PeerIdentity;
  readonly peer: Peer;
  /** Fires when the caller cancels or its connection closes. */
  readonly signal: AbortSignal;
}

export type Handler<Q, R> = (request: Q, context: CallContext) => Promise<R> | R;

/** How to reach a node: its id when known, and where it may be. */
export interface Contact {
  id?: NodeId | undefined;
  endpoints: readonly Endpoint[];
}

export interface Peers extends Startable {
  readonly self: PeerIdentity;
  /** Registers the handler of a method; twice is a bug. */
  serve<Q, R>(method: Method<Q, R>, handler: Handler<Q, R>): void;
  /** Listens; the endpoint tells the port got. */
  listen(at: Endpoint): Promise<Endpoint>;
  /**
   * The open connection to that node, or a new one: endpoints are tried in order, one dial a node at a time; before long by way of
   * a third node as well, when the id is known or an endpoint names it. A direct connection takes over when one can be had.
   * Throws `unavailable` when none answers, `denied` when admission fails on either side or the id is another's.
   */
  connect(contact: Contact, options?: Abortable): Promise<Peer>;
  /** The open connection to a node, if any; the local node included. */
  get(id: NodeId): Peer | undefined;
  connected(): readonly Peer[];
  readonly events: Events<{ connected: Peer; disconnected: Peer }>;
}
