// How much the network has room for, by what its storage nodes say of themselves: every byte is kept as often as the replication
// factor says, or once on each node where there are fewer.

import type { NodeRecord } from '../overlay/overlay.ts';

export interface NetworkCapacity {
  totalBytes: number;
  freeBytes: number;
}

/** Nodes that leave keep nothing for long; closed ones hold data but take none. */
export function networkCapacity(
  nodes: readonly Pick<NodeRecord, 'capacityBytes' | 'freeBytes' | 'closed' | 'leaving'>[],
  replicationFactor: number,
): NetworkCapacity {
  const staying = nodes.filter((node) => !node.leaving);
  const copies = Math.max(1, Math.min(replicationFactor, staying.length));
  let [totalBytes, freeBytes] = [0, 0];
  for (const { capacityBytes, freeBytes: free, closed } of staying) {
    totalBytes += capacityBytes;
    freeBytes += closed ? 0 : Math.min(free, capacityBytes);
  }
  return { totalBytes: Math.floor(totalBytes / copies), freeBytes: Math.floor(freeBytes / copies) };
}
