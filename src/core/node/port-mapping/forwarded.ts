// A port of the router for a storage node that was asked to have one (`--port-mapping`).

import { fromHex, toHex } from '../../base/bytes.ts';
import type { LinkedNode } from '../link.ts';
import { nonceBytes } from './pcp-message.ts';
import { PortMapper } from './port-mapper.ts';

const nonceName = 'port-mapping-nonce';

/** Until what it gives is called. */
export function keepForwarded({ node }: Pick<LinkedNode, 'node'>): () => Promise<void> {
  const started = start(node);
  started.catch(() => {}); // told at the end
  return async () => (await started).stop();
}

async function start({ runtime, place, options: { state } }: LinkedNode['node']): Promise<PortMapper> {
  const kept = await state.setting(nonceName);
  const nonce = kept === undefined ? runtime.random.bytes(nonceBytes) : fromHex(kept);
  if (kept === undefined) await state.set(nonceName, toHex(nonce));
  const mapper = new PortMapper({
    ...{ runtime, nonce },
    port: (own) => place.portAt(own),
    changed: (external) => place.forward(external),
  });
  mapper.start();
  return mapper;
}
