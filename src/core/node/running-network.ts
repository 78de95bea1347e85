// Which process of this home runs a network's node, and what it says: `network run`, or a volume or key-value store that is open.

import { InfinitError, isError } from '../base/errors.ts';
import type { Context } from './link.ts';
import { askMonitor } from './monitor.ts';
import { monitorSocket } from './sockets.ts';

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
  const paths = [monitorSocket(context.home, 'network', as, network)];
  for (const kind of ['volume', 'key-value-store'] as const)
    for (const { name, descriptor } of await context.repository.list(kind))
      if (descriptor.network === network) paths.push(monitorSocket(context.home, kind, as, name));
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
