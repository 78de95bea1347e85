import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mdns } from '../../../../src/core/node/discovery/mdns.ts';
import { seedsNearby } from '../../../../src/core/node/discovery/nearby.ts';
import type { LinkedNode } from '../../../../src/core/node/link.ts';
import { formatEndpoint } from '../../../../src/core/runtime/endpoint.ts';
import { createWorld, type World } from '../../../simulator/runtime/world.ts';

const networkId = Buffer.from('net');

function linked(world: World, isStorage: boolean): Pick<LinkedNode, 'node' | 'isStorage'> {
  const { runtime } = world.host('searcher');
  const node = { runtime, networkId, peers: { self: { id: Buffer.from('searcher') } } };
  return { node: node as never, isStorage };
}

/** Somebody who answers from that second on. */
async function neighbour(world: World, fromMs: number): Promise<Mdns> {
  const { runtime } = world.host('neighbour');
  const began = runtime.clock.monotonic();
  const mdns = new Mdns({
    ...{ runtime, networkId, nodeId: Buffer.from('neighbour') },
    port: () => (runtime.clock.monotonic() - began >= fromMs ? 4000 : undefined),
    found: () => {},
  });
  await world.settle(mdns.start());
  return mdns;
}

test('a client goes on asking until somebody answers; a storage node, which may be alone, does not', async () => {
  const world = createWorld({ seed: 1 });
  const mdns = await neighbour(world, 3000);
  assert.deepEqual(await world.settle(seedsNearby(linked(world, true))), []);
  const found = await world.settle(seedsNearby(linked(world, false)));
  assert.deepEqual(found.map(formatEndpoint), ['neighbour:4000']);
  mdns.stop();
});

test('a client gives up where nobody is', async () => {
  const world = createWorld({ seed: 2 });
  const began = world.host('searcher').runtime.clock.monotonic();
  assert.deepEqual(await world.settle(seedsNearby(linked(world, false))), []);
  assert.ok(world.host('searcher').runtime.clock.monotonic() - began <= 20_000);
});
