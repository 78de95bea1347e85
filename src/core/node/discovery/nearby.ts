// The local network, searched and told by a node that was asked to (`--mdns`).

import { limits } from '../../base/limits.ts';
import type { Endpoint } from '../../runtime/runtime.ts';
import type { LinkedNode } from '../link.ts';
import { Mdns } from './mdns.ts';

/** Who is there answers within this time, unless a message was lost or the machine is busy. */
const searchMs = 1000;
/** A client can do nothing without others: it is asked again meanwhile. */
const clientSearchMs = 15_000;
const lookMs = 100;

/** Where others of the network are, as far as they answer soon. */
export async function seedsNearby({ node, isStorage }: Pick<LinkedNode, 'node' | 'isStorage'>): Promise<Endpoint[]> {
  const { runtime, networkId, peers } = node;
  const found: Endpoint[] = [];
  const parts = { runtime, networkId, nodeId: peers.self.id, port: () => undefined };
  const mdns = new Mdns({ ...parts, found: (place) => found.push(place) });
  await mdns.start();
  const { clock } = runtime;
  const until = clock.monotonic() + clientSearchMs;
  await clock.sleep(searchMs);
  while (!isStorage && found.length === 0 && clock.monotonic() < until) await clock.sleep(lookMs);
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
