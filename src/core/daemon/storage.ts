// Whether this device keeps data of a network: its link takes a silo on, or lets go of it, while no process uses the link. The node
// stays the same one.

import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { DrainFacts } from '../cli/running.ts';
import type { LinkedNetworkDescriptor } from '../descriptor/descriptor.ts';
import { linkNetwork } from '../descriptor/links.ts';
import { removeLink } from '../descriptor/removal.ts';
import { createFilesystemSilo } from '../descriptor/silos.ts';
import { drainedFacts } from '../node/draining.ts';
import { foundNetwork } from '../node/found.ts';
import type { Context } from '../node/link.ts';
import { askNetwork, insteadOfStandIns } from '../node/running-network.ts';

/** The silo that stands for a network's data when none is named; made when it is not there. */
export async function defaultSilo(context: Context, network: string): Promise<string> {
  const name = network.replaceAll('/', '.').slice(0, limits.nameCharsMax);
  if (!(await context.repository.has('silo', name)))
    await createFilesystemSilo(context, { name, description: `data of network ${network}` });
  return name;
}

/** The link again with other silos, or as it was when that fails. Throws `exists` while a process is its node. */
export async function relink(context: Context, link: LinkedNetworkDescriptor, silos: readonly string[]): Promise<void> {
  const { user: as, name, node_id: nodeId, zone, port } = link;
  const again = (which: readonly string[]) =>
    linkNetwork(context, {
      ...{ as, name, nodeId, zone, port },
      silos: which,
      found: (unfounded, seal) => foundNetwork(context, as, unfounded, seal),
    });
  await insteadOfStandIns({ context }, name, () => removeLink(context, as, name));
  try {
    await again(silos);
  } catch (error) {
    await again(link.silos);
    throw error;
  }
}

/**
 * Has others take over what this device keeps. Throws `unavailable` when the node does not run here, or others cannot take over: then
 * it goes on as before.
 */
export async function drained(context: Context, as: string, network: string, signal: AbortSignal): Promise<void> {
  const drain = async (action: string) =>
    (await askNetwork({ context, as }, network, 'drain', { action })) as DrainFacts;
  try {
    await drainedFacts(await drain('start'), () => drain('status'), { context, signal });
  } catch (error) {
    if (isError(error, 'not-found'))
      throw new InfinitError('unavailable', `network "${network}" does not run here`, { cause: error });
    await drain('cancel').catch(() => {});
    throw error;
  }
}
