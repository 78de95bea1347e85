import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from '../../../src/core/base/metrics.ts';
import { meteredSilo } from '../../../src/core/silo/metered.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { Process, World } from '../../fakes/world.ts';

test('operations are timed, failures too, and bytes counted', async () => {
  const world = new World();
  const { clock } = new Process(world, 'p').runtime;
  const inner = {
    get: async () => {
      await clock.sleep(40);
      return Buffer.alloc(7);
    },
    put: () => clock.sleep(2),
    batch: () => clock.sleep(2),
    verify: () => Promise.reject(new Error('rotten')),
  } as unknown as Silo;
  const metrics = new Metrics();
  const silo = meteredSilo(inner, clock, metrics);
  const key = Buffer.alloc(32);
  const work = (async () => {
    await silo.get('block', key);
    await silo.put('block', key, Buffer.alloc(100));
    await silo.batch([
      { space: 'block', key, value: Buffer.alloc(10) },
      { space: 'block', key, value: undefined },
    ]);
    await assert.rejects(silo.verify('block', key), /rotten/);
  })();
  await world.run(1000);
  await work;
  const text = await metrics.text();
  assert.match(text, /infinit_silo_seconds_bucket{operation="get",le="0.025"} 0/);
  assert.match(text, /infinit_silo_seconds_bucket{operation="get",le="0.05"} 1/);
  assert.match(text, /infinit_silo_seconds_count{operation="put"} 1/);
  assert.match(text, /infinit_silo_seconds_count{operation="verify"} 1/);
  assert.match(text, /infinit_silo_bytes_total{direction="read"} 7/);
  assert.match(text, /infinit_silo_bytes_total{direction="written"} 110/);
});
