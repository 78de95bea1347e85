// Endpoints of nodes that cannot be dialled: the third node that carries connections to one, as an endpoint like any other, so that it
// stands wherever endpoints do. Its host is `NODE@RELAY@HOST`, ids in base64 for URLs; its port is the relay's.

import { InfinitError } from '../base/errors.ts';
import { addressBytes, type NodeId } from '../block/address.ts';
import type { Endpoint } from '../runtime/runtime.ts';

export interface RelayedEndpoint {
  node: NodeId;
  relay: NodeId;
  /** Where the relay is. */
  at: Endpoint;
}

export function relayedEndpoint({ node, relay, at }: RelayedEndpoint): Endpoint {
  return { host: `${idText(node)}@${idText(relay)}@${at.host}`, port: at.port };
}

/** What it says; undefined for one that is dialled. Throws `corrupt`. */
export function parseRelayed({ host, port }: Endpoint): RelayedEndpoint | undefined {
  if (!host.includes('@')) return undefined;
  const [node = '', relay = '', at = '', ...rest] = host.split('@');
  if (rest.length > 0 || at === '') throw new InfinitError('corrupt', 'an endpoint that is none');
  return { node: idOf(node), relay: idOf(relay), at: { host: at, port } };
}

export function isRelayed({ host }: Endpoint): boolean {
  return host.includes('@');
}

/** At most so many of them; those that are relayed are not left out. */
export function fewer(endpoints: readonly Endpoint[], count: number): Endpoint[] {
  const relayed = endpoints.filter(isRelayed).slice(0, count);
  const dialled = endpoints.filter((one) => !isRelayed(one));
  return [...dialled.slice(0, count - relayed.length), ...relayed];
}

function idText(id: NodeId): string {
  return Buffer.from(id).toString('base64url');
}

function idOf(text: string): NodeId {
  const id = Buffer.from(text, 'base64url');
  if (id.length !== addressBytes || idText(id) !== text) throw new InfinitError('corrupt', 'no node id in an endpoint');
  return id;
}
