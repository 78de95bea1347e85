// What a hub is told and tells of the nodes of a network: where they are, how full.

import { usage } from '../bodies.ts';
import type { Usage } from '../hub.ts';
import type { HubClient } from './client.ts';
import { networkPath } from './paths.ts';

/** Summed over the nodes that told it lately. Bytes. */
export async function usageOf(client: HubClient, network: string): Promise<Usage> {
  const answer = await client.ask('GET', networkPath(network, 'stat'), { what: `fetching network "${network}"` });
  return usage(answer, '');
}
