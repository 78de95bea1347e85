// Power failures on the simulated disk, by seeds: un-synced writes are lost or torn by sectors. What was acknowledged must be
// there, batches are whole or absent, and the silo never takes a torn tail for damage.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import type { Runtime } from '../../../src/core/runtime/runtime.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { LogSilo } from '../../../src/core/silo/filesystem/log-silo.ts';
import type { SiloEntry } from '../../../src/core/silo/silo.ts';
import { keyOf } from '../../conformance/silo.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';
import { check, crashValue, type Possible } from './crash.ts';

const seeds = 8;
const crashesPerSeed = 4;
const capacity = 4 * 1024 * 1024;

async function openIn(runtime: Runtime): Promise<LogSilo> {
  return (await openFilesystemSilo({ type: 'filesystem', path: '/node/silo', capacity }, runtime)) as LogSilo;
}

/** Changes keys for ever, alone or in pairs; `possible` has what is acknowledged and what may have happened. */
async function work(silo: LogSilo, worker: number, possible: Possible, version: { last: number }): Promise<void> {
  for (;;) {
    const n = ++version.last;
    const keys = n % 3 === 0 ? [`${worker}/${n % 9}`, `${worker}/pair`] : [`${worker}/${n % 9}`];
    const deleted = n % 13 === 4;
    for (const key of keys) possible.set(key, [...(possible.get(key) ?? [-1]), deleted ? -1 : n]);
    const value = (key: string) => (deleted ? undefined : crashValue(key, n));
    const entries = keys.map((key): SiloEntry => ({ space: 'register', key: keyOf(key), value: value(key) }));
    await silo.batch(entries);
    for (const key of keys) possible.set(key, [deleted ? -1 : n]);
  }
}

/** Lets the world run until the promise settles. */
async function settled<T>(world: World, promise: Promise<T>): Promise<T> {
  let done = false;
  const end = () => {
    done = true;
  };
  promise.then(end, end);
  await world.run(() => done);
  return promise;
}

async function crashes(seed: number, workers: number): Promise<number> {
  const world = createWorld({ seed });
  const host = world.host('node', { directIo: seed % 3 !== 0 });
  const possible: Possible = new Map();
  const version = { last: 0 };
  for (let crash = 0; crash < crashesPerSeed; crash++) {
    const silo = await settled(world, openIn(host.runtime));
    assert.equal(silo.replacedStoreId, undefined, `seed ${seed}: torn tail taken for damage`);
    await settled(world, check(silo, possible));
    for (let worker = 0; worker < workers; worker++) work(silo, worker, possible, version).catch(() => {});
    const time = host.random.below(crash === 2 ? 1500 : 60) + host.random.fraction();
    await world.run(world.nowMs + time);
    host.restart({ power: host.random.chance(0.8) });
  }
  return version.last;
}

describe('silo under power failures', () => {
  it(`keeps its promises over ${seeds} seeds`, async (context) => {
    let changes = 0;
    for (let seed = 0; seed < seeds; seed++) changes += await crashes(seed, 6);
    assert.ok(changes > seeds * 50);
    context.diagnostic(`${changes} changes, ${seeds * crashesPerSeed} failures`);
  });

  it('keeps them when a flush takes many turns of the event loop', async (context) => {
    let changes = 0;
    for (let seed = 100; seed < 102; seed++) changes += await crashes(seed, 2 * limits.siloTurnRecordsMax);
    assert.ok(changes > 2 * crashesPerSeed * limits.siloTurnRecordsMax);
    context.diagnostic(`${changes} changes`);
  });
});
