// A program of a member who floods: `node --import tsx flooder.ts FACTS`, JSON of `FloodFacts`. It joins as a client and calls every
// node one after another at many places at once, with whatever costs them work, until its input ends; then it tells its counts.

import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { blockAddress } from '../../src/core/block/address.ts';
import { encodeImmutable, treeTagBytes } from '../../src/core/block/immutable.ts';
import { registerBatch } from '../../src/core/consensus/register/messages.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import type { Home } from '../../src/core/descriptor/descriptor.ts';
import { openLinkedNode } from '../../src/core/node/link.ts';
import type { Peer } from '../../src/core/peer/peer.ts';
import { parseEndpoint } from '../../src/core/runtime/endpoint.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { blockGet, blockPut } from '../../src/core/store/messages.ts';
import { eventually, sleep } from './device.ts';

export interface FloodFacts {
  folders: Home;
  as: string;
  network: string;
  endpoint: string;
  nodes: number;
}

export interface FloodCounts {
  answered: number;
  refused: number;
}

const callsInFlight = 2000;
const counts: FloodCounts = { answered: 0, refused: 0 };
let over = false;

/** What the calls of one turn ask: reads of what nobody has, many at once too, blocks that are worth nothing, blocks that are not. */
const kinds: ((peer: Peer) => Promise<unknown>)[] = [
  (peer) => peer.call(blockGet, { address: randomBytes(32) }),
  (peer) => peer.call(blockPut, { address: randomBytes(32), generation: 0, block: randomBytes(4096) }),
  (peer) => {
    const block = encodeImmutable(Buffer.alloc(treeTagBytes), 'clear', [randomBytes(1024)]);
    return peer.call(blockPut, { address: blockAddress(block), generation: 0, block });
  },
  (peer) => {
    const address = randomBytes(32);
    const read = { address, message: { type: 'read' as const, known: undefined } };
    return peer.call(registerBatch, { calls: Array.from({ length: 64 }, () => read) });
  },
];

async function flood(peers: readonly Peer[], index: number): Promise<void> {
  for (let turn = index; !over; turn++) {
    const peer = peers[turn % peers.length] as Peer;
    try {
      await kinds[Math.floor(turn / peers.length) % kinds.length]?.(peer);
      counts.answered++;
    } catch {
      counts.refused++;
      if (!peer.open) await sleep(20);
    }
  }
}

const { folders, as, network, endpoint, nodes } = JSON.parse(process.argv[2] ?? '') as FloodFacts;
const runtime = systemRuntime({ log: { level: 'error' } });
const linked = await openLinkedNode({
  context: { ...descriptorContext(runtime, folders), runtime },
  as,
  network,
  role: 'client',
});
await linked.node.start([parseEndpoint(endpoint)]);
const { overlay } = linked.node;
const ids = await eventually('all nodes are known', 30_000, async () => {
  const known = overlay.nodes().map(({ id }) => id);
  return known.length >= nodes && known;
});
const peers = await Promise.all(ids.map((id) => overlay.peer(id)));
const workers = Array.from({ length: callsInFlight }, (_, index) => flood(peers, index));
process.stdout.write('flooding\n');
process.stdin.resume();
await once(process.stdin, 'end');
over = true;
process.stdout.write(`${JSON.stringify(counts)}\n`);
await Promise.all(workers);
await linked.close();
process.exit(0);
