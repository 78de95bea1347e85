// Whole nodes under mixed faults, with everything watched that docs/protocols.md numbers. `INFINIT_SEEDS=N` runs the first N
// seeds; `npm run simulate -- --seeds 1..2000` is the long run.

import assert from 'node:assert/strict';
import crypto from 'node:crypto';
import { syncBuiltinESMExports } from 'node:module';
import { test } from 'node:test';
import { commandOf, type MixedOptions, standard } from './mixed/options.ts';
import { Simulation } from './mixed/simulation.ts';
import { rememberVerifications } from './runtime/cheap-crypto.ts';
import { createWorld } from './runtime/world.ts';
import { makeCluster } from './whole.ts';

rememberVerifications();
const count = Number(process.env.INFINIT_SEEDS ?? 5);
const run = (options: MixedOptions) => new Simulation(createWorld({ seed: options.seed }), options).run();

for (let seed = 1; seed <= count; seed++) {
  test(`nothing is broken under mixed faults, seed ${seed}`, { timeout: 900_000 }, async (t) => {
    const options: MixedOptions = { ...standard, seed: String(seed) };
    const { violations, operations, virtualMs, events } = await run(options);
    t.diagnostic(`${(virtualMs / 1000).toFixed(0)} virtual seconds, ${events} events, ${JSON.stringify(operations)}`);
    const lines = violations.map(({ rule, atMs, message }) => `${rule} at ${atMs.toFixed(0)} ms: ${message}`);
    assert.deepEqual(lines, [], `${commandOf(options)} --verbose`);
    assert.ok(operations.keys > 20 && operations.registers > 50, 'hardly anything was answered');
  });
}

test('a seed is one course of events', { timeout: 900_000 }, async () => {
  const options: MixedOptions = { ...standard, seed: 'again', minutes: 0.2 };
  assert.equal((await run(options)).trace, (await run(options)).trace);
});

test('keys of users and nodes are made from the seed, and nothing else is', { timeout: 900_000 }, async () => {
  const real = { randomBytes: crypto.randomBytes, randomFillSync: crypto.randomFillSync, randomInt: crypto.randomInt };
  const refuse = () => assert.fail('a simulated world asked the machine for chance');
  Object.assign(crypto, { randomBytes: refuse, randomFillSync: refuse, randomInt: refuse });
  syncBuiltinESMExports();
  try {
    const [first, again, other] = [await keysOf('a'), await keysOf('a'), await keysOf('b')];
    assert.deepEqual(first, again);
    assert.equal(new Set([...first, ...other]).size, first.length + other.length);
  } finally {
    Object.assign(crypto, real);
    syncBuiltinESMExports();
  }
});

async function keysOf(seed: string): Promise<string[]> {
  const world = createWorld({ seed });
  const { devices, user, network } = await makeCluster(world, { nodes: 2, clients: 1 });
  const links = devices.map(({ context }) => context.repository.get('linked-network', `alice/${network.name}`));
  const nodes = await world.settle(Promise.all(links));
  return [JSON.stringify(user.public_key), ...nodes.map(({ node_id }) => node_id)];
}
