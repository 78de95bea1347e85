// Which process of this home runs a network's node, and what it says: `network run`, or a volume or key-value store that is open.

import { InfinitError, isError } from '../base/errors.ts';
import type { Context } from './link.ts';
import { askMonitor } from './monitor.ts';
import { monitorSocket } from './sockets.ts';

/** Who stands in looks again after a while: whoever it gave way for may be late. */
const triesMax = 3;
/** It ends a node, which says goodbye. */
const giveWayTimeoutMs = 60_000;

/**
 * Asks the storage node when one runs, else a client of the network. Throws `not-found` when no process of this home and user
 * has the network open.
 */
export async function askNetwork(
  { context, as }: { context: Context; as: string },
  network: string,
  query: string,
  fields: Readonly<Record<string, unknown>> = {},
): Promise<unknown> {
  const paths = [monitorSocket(context.home, 'network', as, network), ...(await treeSockets(context, as, network))];
  let client: string | undefined;
  for (const path of paths) {
    try {
      const { kind } = (await askMonitor(path, 'status')) as { kind: string };
      if (kind === 'storage') return await askMonitor(path, query, { fields });
      client ??= path;
    } catch (error) {
      if (!isError(error, 'not-found')) throw error;
    }
  }
  if (client !== undefined) return askMonitor(client, query, { fields });
  throw new InfinitError('not-found', `network "${network}" is not running on this device`);
}

/**
 * Does what the storage node of this device stands in the way of, once processes that only stand in for it have given way. Throws
 * `exists` when it is none of those, or one that cannot be asked.
 */
export async function insteadOfStandIns<T>(
  { context }: { context: Context },
  network: string,
  task: () => Promise<T>,
): Promise<T> {
  for (let triesLeft = triesMax; ; triesLeft--) {
    try {
      return await task();
    } catch (error) {
      if (!isError(error, 'exists') || triesLeft === 0) throw error;
      await haveThemGiveWay(context, network);
    }
  }
}

/** Of any user of this home: they share the place. */
async function haveThemGiveWay(context: Context, network: string): Promise<void> {
  for (const { descriptor } of await context.repository.list('linked-network')) {
    if (descriptor.name !== network) continue;
    for (const path of await treeSockets(context, descriptor.user, network))
      await askMonitor(path, 'give-way', { timeoutMs: giveWayTimeoutMs }).catch((error: unknown) => {
        // None runs there, or it is an older program, or it ends just now.
        if (!isError(error, 'not-found', 'unsupported', 'unavailable')) throw error;
      });
  }
}

/** Where processes that have a volume or store of the network open are asked, if there are any. */
async function treeSockets(context: Context, as: string, network: string): Promise<string[]> {
  const paths: string[] = [];
  for (const kind of ['volume', 'key-value-store'] as const)
    for (const { name, descriptor } of await context.repository.list(kind))
      if (descriptor.network === network) paths.push(monitorSocket(context.home, kind, as, name));
  return paths;
}
