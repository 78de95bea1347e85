// What carries a connection by way of a third node: it is asked to open a stream to somebody it is connected to, offers it there, and
// passes pieces on until one end closes. What the pieces hold is sealed between the ends.

import { attachment, bool, empty, list, struct, u32, u48 } from '../base/codec.ts';
import { limits } from '../base/limits.ts';
import { address, type NodeId } from '../block/address.ts';
import { endpoint } from '../runtime/endpoint.ts';
import type { Endpoint } from '../runtime/runtime.ts';
import type { Method } from './peer.ts';

const endpoints = list(endpoint, limits.recordEndpointsMax);

/** Names a stream between an end and the relay, which numbers them. */
export interface StreamName {
  stream: number;
}

/** `endpoints`: where the asker may be dialled, for the other end to try. */
export const relayOpen: Method<{ to: NodeId; endpoints: Endpoint[] }, StreamName> = {
  name: 'relay.open',
  request: struct({ to: address, endpoints }),
  response: struct({ stream: u48 }),
  right: 'member',
};

/** From the relay: somebody wants to speak over that stream. Answered when it is taken. */
export const relayOffer: Method<StreamName & { endpoints: Endpoint[] }, Record<string, never>> = {
  name: 'relay.offer',
  request: struct({ stream: u48, endpoints }),
  response: empty,
  right: 'member',
};

export interface Piece extends StreamName {
  /** From the relay to an end; else from an end to the relay. */
  down: boolean;
  /** Counts the pieces of one direction. */
  sequence: number;
  data: Uint8Array;
}

/** Answered when the other end has taken it. */
export const relayPiece: Method<Piece, Record<string, never>> = {
  name: 'relay.piece',
  request: struct({ stream: u48, down: bool, sequence: u32, data: attachment(limits.relayPieceBytesMax) }),
  response: empty,
  right: 'member',
};

/** The stream ends: all that who says so has sent was taken before, unless it broke. */
export const relayEnd: Method<StreamName & { down: boolean; broken: boolean }, Record<string, never>> = {
  name: 'relay.end',
  request: struct({ stream: u48, down: bool, broken: bool }),
  response: empty,
  right: 'member',
};

/** Asks to be dialled at once: whether any of the endpoints leads to the asker. */
export const relayReach: Method<{ endpoints: Endpoint[] }, { reached: boolean }> = {
  name: 'relay.reach',
  request: struct({ endpoints }),
  response: struct({ reached: bool }),
  right: 'member',
};

/** As many as a request has room for. */
export function tellable(all: readonly Endpoint[]): Endpoint[] {
  return all.slice(0, limits.recordEndpointsMax);
}
