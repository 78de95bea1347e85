// The peer suite over the simulated runtime and the real one.

import type { Runtime } from '../../src/core/runtime/runtime.ts';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { createWorld } from '../simulator/runtime/world.ts';
import { type PeerHarness, peerSuite } from './peer.ts';
import { relaySuite } from './peer-relays.ts';

function simulated(seed: number): PeerHarness {
  const world = createWorld({ seed });
  return {
    runtime: (index) => world.host(`h${index}`).runtime,
    hostName: (index) => `h${index}`,
    patienceMs: 10_000,
    settle: (promise) => world.settle(promise),
    until: (condition) => world.run(condition),
  };
}

for (const suite of [peerSuite, relaySuite])
  for (const seed of [1, 2, 3]) suite(`simulated, seed ${seed}`, () => simulated(seed));

const real: Runtime = { ...systemRuntime(), log: { write: () => {} } };
for (const suite of [peerSuite, relaySuite])
  suite('real', () => ({
    runtime: () => real,
    hostName: () => '127.0.0.1',
    patienceMs: 100,
    settle: (promise) => promise,
    until: async (condition) => {
      for (let i = 0; !condition(); i++) {
        if (i > 2000) throw new Error('condition still false');
        await real.clock.sleep(5);
      }
    },
  }));
