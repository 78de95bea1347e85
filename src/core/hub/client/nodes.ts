// What a hub is told and tells of the nodes of a network: where they are, how full.

import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Endpoint } from '../../runtime/runtime.ts';
import { isNodeId, nodeEndpoints, usage } from '../bodies.ts';
import type { NodeEndpoints, Usage } from '../hub.ts';
import type { HubClient } from './client.ts';
import { networkPath } from './paths.ts';

/** Summed over the nodes that told it lately. Bytes. */
export async function usageOf(client: HubClient, network: string): Promise<Usage> {
  const answer = await client.ask('GET', networkPath(network, 'stat'), { what: `fetching network "${network}"` });
  return usage(answer, '');
}

/** Says where a node of the person's is. */
export async function putEndpoints(
  client: HubClient,
  network: string,
  node: string,
  endpoints: readonly Endpoint[],
): Promise<void> {
  const port = endpoints[0]?.port;
  if (port === undefined) return;
  const addresses = endpoints.filter((one) => one.port === port).map(({ host }) => host);
  const body: NodeEndpoints = { addresses: addresses.slice(0, limits.hubAddressesMax), port };
  await client.ask('PUT', placeOf(client, network, 'endpoints', node), { body, what: telling(network) });
}

/** It is there no more. */
export async function deleteEndpoints(client: HubClient, network: string, node: string): Promise<void> {
  await client.ask('DELETE', placeOf(client, network, 'endpoints', node), { what: telling(network) });
}

/** Says how full a node of the person's is. Bytes. */
export async function putUsage(client: HubClient, network: string, node: string, body: Usage): Promise<void> {
  await client.ask('PUT', placeOf(client, network, 'stat', node), { body, what: telling(network) });
}

/** By node id (base64) where each was last. Whoever answers there still has to prove who he is. */
export async function endpointsOf(client: HubClient, network: string): Promise<Map<string, Endpoint[]>> {
  const what = `fetching endpoints of network "${network}"`;
  const answer = await client.ask('GET', networkPath(network, 'endpoints'), { what });
  const found = new Map<string, Endpoint[]>();
  for (const [user, nodes] of Object.entries(asObject(answer)))
    for (const [node, said] of Object.entries(asObject(nodes))) {
      if (found.size >= limits.hubListMax || !isNodeId(node)) break;
      const { addresses, port } = nodeEndpoints(said, `${user}.${node}`);
      found.set(
        node,
        addresses.map((host) => ({ host, port })),
      );
    }
  return found;
}

function placeOf(client: HubClient, network: string, part: string, node: string): string {
  return networkPath(network, part, client.person?.name ?? '', node);
}

function telling(network: string): string {
  return `telling the hub of network "${network}"`;
}

function asObject(value: unknown): object {
  if (typeof value === 'object' && value !== null) return value;
  throw new InfinitError('corrupt', 'the hub gives endpoints that are none');
}
