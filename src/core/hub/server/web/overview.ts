// What a person sees of his own: networks he is in with their nodes, volumes, key-value stores and drives.

import { limits } from '../../../base/limits.ts';
import type { DriveDescriptor, NetworkDescriptor } from '../../../descriptor/descriptor.ts';
import type { NodeUsage } from '../../hub.ts';
import type { Call } from '../call.ts';
import { drivesWith } from '../drives.ts';
import { networksWith, treesWith } from '../users.ts';

export interface Overview {
  networks: { network: NetworkDescriptor; nodes: NodeUsage[] }[];
  /** Networks that are not among them, for there are too many. */
  more: number;
  trees: { kind: 'volume' | 'key-value store'; name: string; network: string; description: string }[];
  drives: DriveDescriptor[];
}

export async function overviewOf(call: Call): Promise<Overview> {
  const user = call.caller.name;
  const all = await networksWith(call, user);
  const networks: Overview['networks'] = [];
  for (const network of all.slice(0, limits.hubPageItemsMax))
    networks.push({ network, nodes: await call.store.nodes(network.name, call.nowMs - limits.hubNodeMemoryMs) });
  const volumes = await treesWith(call, user, 'volume');
  const stores = await treesWith(call, user, 'key-value-store');
  const trees = [
    ...volumes.map((tree) => ({ kind: 'volume' as const, ...tree })),
    ...stores.map((tree) => ({ kind: 'key-value store' as const, ...tree })),
  ].slice(0, limits.hubPageItemsMax);
  return {
    networks,
    more: all.length - networks.length,
    trees: trees.map(({ kind, name, network, description = '' }) => ({ kind, name, network, description })),
    drives: (await drivesWith(call, user)).slice(0, limits.hubPageItemsMax),
  };
}
