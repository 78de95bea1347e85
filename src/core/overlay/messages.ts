// What every overlay's nodes tell each other and clients: node records, and who is alive. Ids travel as 32 bytes and are hexadecimal names here.

import { fromHex, toHex } from '../base/bytes.ts';
import { bool, type Codec, fixed, list, mapped, oneOf, optional, struct, u64 } from '../base/codec.ts';
import { limits } from '../base/limits.ts';
import { address } from '../block/address.ts';
import type { Method } from '../peer/peer.ts';
import { type News, newsStates } from './detector.ts';
import { type Liveness, type NodeRecord, nodeRecord } from './overlay.ts';
import type { NodeName } from './ring.ts';

export const name: Codec<NodeName> = mapped(address, toHex, fromHex);
export const digest: Codec<string> = mapped(fixed(8), toHex, fromHex);
const none = '00'.repeat(8);
/** A digest, or nothing at all as zeros. */
export const held: Codec<string> = mapped(
  digest,
  (value) => (value === none ? '' : value),
  (value) => (value === '' ? none : value),
);

export const liveness: Codec<Liveness> = oneOf(['alive', 'suspect', 'dead', 'unknown'] as const);

/** A node, and what somebody believes of it. */
export type Standing = { record: NodeRecord; liveness: Liveness };
export const standing: Codec<Standing> = struct({ record: nodeRecord, liveness });

export interface RecordsRequest {
  /** Empty: all that is known. */
  ids: NodeName[];
  /** Of the last answer to the same question; spares an unchanged one. */
  held: string;
}

export interface RecordsAnswer {
  /** Undefined when it is what the asker holds. */
  known: Standing[] | undefined;
  /** The records are all members of the network. */
  whole: boolean;
  digest: string;
}

/** Node records, for those who have to reach nodes: clients too. */
export const ringRecords: Method<RecordsRequest, RecordsAnswer> = {
  name: 'ring.records',
  right: 'member',
  request: struct({ ids: list(name, limits.listPositionsMax * 4), held }),
  response: struct({
    known: optional(list(standing, limits.knownContactsMax + 1)),
    whole: bool,
    digest,
  }) as Codec<RecordsAnswer>,
};

/** A probe of the receiver, or through it of the node `about`, with news on the back. */
export interface GossipRequest {
  about: NodeName | undefined;
  incarnation: number;
  /** Of the sender's node record: an older one held is asked for anew. */
  serial: number;
  news: News[];
}

export interface GossipAnswer {
  reached: boolean;
  incarnation: number;
  serial: number;
  news: News[];
}

const news = list(struct({ node: name, state: oneOf(newsStates), incarnation: u64, by: optional(name) }), 16);

export const ringGossip: Method<GossipRequest, GossipAnswer> = {
  name: 'ring.gossip',
  right: 'storage',
  request: struct({ about: optional(name), incarnation: u64, serial: u64, news }) as Codec<GossipRequest>,
  response: struct({ reached: bool, incarnation: u64, serial: u64, news }) as Codec<GossipAnswer>,
};
