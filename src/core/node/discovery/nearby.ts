// The local network, searched and told by a node that was asked to (`--mdns`).

import { limits } from '../../base/limits.ts';
import type { Endpoint } from '../../runtime/runtime.ts';
import type { LinkedNode } from '../link.ts';
import { Mdns } from './mdns.ts';

/** Who is there answers within this time, unless a message was lost. */
const searchMs = 1000;

/** Where others of the network are, as far as they answer soon. */
export async function seedsNearby({ node }: LinkedNode): Promise<Endpoint[]> {
  const { runtime, networkId, peers } = node;
  const found: Endpoint[] = [];
  const parts = { runtime, networkId, nodeId: peers.self.id, port: () => undefined };
  const mdns = new Mdns({ ...parts, found: (place) => found.push(place) });
  await mdns.start();
  await runtime.clock.sleep(searchMs);
  mdns.stop();
  return found;
}

/** Announces a storage node and goes on looking for others, until what it gives is called. */
export function keepNearby({ node, isStorage }: LinkedNode): () => Promise<void> {
  const { runtime, networkId, peers, overlay } = node;
  let meeting = 0;
  const isKnown = ({ host, port }: Endpoint) =>
    overlay.nodes().some(({ endpoints }) => endpoints.some((one) => one.host === host && one.port === port));
  const mdns = new Mdns({
    ...{ runtime, networkId, nodeId: peers.self.id },
    port: () => (isStorage ? node.place.dialled()[0]?.port : undefined),
    found: (place) => {
      if (isKnown(place) || meeting >= limits.nearbyMeetingsMax) return;
      meeting++;
      overlay
        .meet([place])
        .catch(() => {}) // it is away, or nobody of the network
        .finally(() => meeting--);
    },
  });
  const started = mdns.start();
  started.catch(() => {}); // told at the end
  return async () => {
    await started;
    mdns.stop();
  };
}
