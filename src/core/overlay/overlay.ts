// Who is responsible for an address. The answer is a hint: who votes and who holds data stands in agreed state, so a wrong
// answer delays, and never loses or forks.

import type { Bytes } from '../base/bytes.ts';
import { bool, bytes, type Codec, fixed, list, optional, struct, text, u16, u64 } from '../base/codec.ts';
import type { Events } from '../base/events.ts';
import type { Abortable, Startable } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, address, type NodeId, type StoreId, storeId } from '../block/address.ts';
import type { Peer, Peers } from '../peer/peer.ts';
import { endpoint } from '../runtime/endpoint.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';

/** What a storage node says of itself; signed with its node key (`overlay/node-record.ts`). */
export interface NodeRecord {
  id: NodeId;
  publicKey: Bytes;
  /** The user that owns the node. */
  userKey: Bytes;
  endpoints: Endpoint[];
  /** Virtual positions on the ring; position i = hash(id, i), i < positions. */
  positions: number;
  zone: string | undefined;
  capacityBytes: number;
  freeBytes: number;
  /** Its formatted stores; the first one keeps registers and journals. */
  stores: StoreId[];
  /** Takes no new data: full, read-only or draining. */
  closed: boolean;
  /** Leaves the ring. */
  leaving: boolean;
  /** Grows with every change and every start; a higher one replaces a lower one. */
  serial: number;
  /** What the node presents to peers: that a user whom the network lets store certified it. Opaque here. */
  credentials: Bytes;
  signature: Bytes;
}

export const nodeRecord: Codec<NodeRecord> = struct({
  id: address,
  publicKey: fixed(32),
  userKey: fixed(32),
  endpoints: list(endpoint, limits.recordEndpointsMax),
  positions: u16,
  zone: optional(text(64)),
  capacityBytes: u64,
  freeBytes: u64,
  stores: list(storeId, 16),
  closed: bool,
  leaving: bool,
  serial: u64,
  credentials: bytes(limits.recordCredentialsBytesMax),
  signature: bytes(64),
});

export type Liveness = 'alive' | 'suspect' | 'dead' | 'unknown';

export interface Overlay extends Startable {
  /** Meets the network through any of the endpoints, the remembered contacts, or nobody (a new or lone network). */
  join(seeds: readonly Endpoint[], options?: Abortable): Promise<void>;
  /** While it runs: further places where somebody of the network may be. Throws `unavailable` when nobody is there. */
  meet(places: readonly Endpoint[], options?: Abortable): Promise<void>;
  /** Says goodbye; its arc is taken over without waiting for a detector. */
  leave(): Promise<void>;
  /**
   * Up to `count` distinct live storage nodes responsible for the address, the owner first, in ring order (protocols 1.8);
   * closed and leaving nodes are skipped unless `all` is set. Fewer when fewer are known; empty when none is.
   */
  owners(address: Address, count: number, options?: Abortable & { all?: boolean }): Promise<NodeRecord[]>;
  /** Whether the node is among the first `count` live ones clockwise from the address, whatever their zones and states. */
  isNear(address: Address, node: NodeId, count: number): boolean;
  /** What is known of a node. */
  record(id: NodeId): NodeRecord | undefined;
  liveness(id: NodeId): Liveness;
  /** Storage nodes believed alive, this one included. */
  nodes(): readonly NodeRecord[];
  /** A connection to a node by id: an open one, or dialled by its record. Throws `unavailable`. */
  peer(id: NodeId, options?: Abortable): Promise<Peer>;
  /** JSON for `network inspect`. */
  inspect(): Record<string, unknown>;
  readonly events: Events<{ joined: NodeRecord; left: NodeId; changed: undefined }>;
}

/** Contacts that survive a restart. */
export interface ContactStore {
  load(): Promise<NodeRecord[]>;
  save(records: readonly NodeRecord[]): Promise<void>;
}

export interface OverlayContext {
  runtime: Runtime;
  peers: Peers;
  /** This node's record, re-signed when it changes; undefined for clients, which have no place on the ring. */
  self: () => NodeRecord | undefined;
  contacts: ContactStore;
  /** Throws `denied`, `conflict` or `corrupt` unless the network certifies the node of a record as a storage node of its user. */
  certify: (record: NodeRecord) => void;
  /** For an overlay that finds out how many positions this node should hold: whether it has before, and what to say from now on. */
  positions?: { settled: () => boolean; set: (count: number) => void };
  /** Replicas a block has; placement looks a few further. */
  replicationFactor: number;
}

/** An overlay: one file (or folder) and one line in `registry.ts`. */
export interface OverlayKind {
  readonly name: string;
  open(context: OverlayContext): Overlay;
}
