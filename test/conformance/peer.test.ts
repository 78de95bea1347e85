// The peer suite over the simulated runtime.

import { createWorld } from '../simulator/runtime/world.ts';
import { type PeerHarness, peerSuite } from './peer.ts';

function simulated(seed: number): PeerHarness {
  const world = createWorld({ seed });
  return {
    runtime: (index) => world.host(`h${index}`).runtime,
    hostName: (index) => `h${index}`,
    settle: (promise) => world.settle(promise),
    until: (condition) => world.run(condition),
  };
}

for (const seed of [1, 2, 3]) peerSuite(`simulated, seed ${seed}`, () => simulated(seed));
