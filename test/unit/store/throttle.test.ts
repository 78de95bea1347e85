// Background work beside callers, measured in virtual time on a device that does one thing after another.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Mutex } from '../../../src/core/base/lifecycle.ts';
import type { Peers } from '../../../src/core/peer/peer.ts';
import { Throttle } from '../../../src/core/store/throttle.ts';
import { Worker } from '../../../src/core/store/worker.ts';
import { Process, World } from '../../fakes/world.ts';

const runMs = 20_000;
const operationMs = 1;

/** How much callers and workers got done on one device within the time. */
async function shares(options: { callers: boolean; workers: number; bytesPerSecond?: number; pauseMs?: number }) {
  const world = new World({ seed: 3 });
  const { runtime } = new Process(world, 'node');
  const { clock } = runtime;
  const device = new Mutex();
  const operate = () => device.run(() => clock.sleep(operationMs));
  const throttle = new Throttle({ clock, bytesPerSecond: options.bytesPerSecond });
  const done = { called: 0, worked: 0 };
  const piece = async () => {
    await throttle.bytes(8 * 1000);
    await Promise.all(Array.from({ length: 8 }, operate));
    done.worked += 8;
    return true;
  };
  const workers = Array.from(
    { length: options.workers },
    (_, i) => new Worker({ name: `w${i}`, counters: {}, step: piece }, runtime, 1000, throttle),
  );
  let over = false;
  const caller = async () => {
    while (!over) {
      await throttle.call(operate);
      done.called++;
      if (options.pauseMs) await clock.sleep(options.pauseMs);
    }
  };
  for (const worker of workers) await worker.start();
  if (options.callers) void caller();
  await world.run(runMs);
  over = true;
  for (const worker of workers) void worker.stop();
  return done;
}

test('callers keep at least half of their speed, however many workers there are', async () => {
  const alone = await shares({ callers: true, workers: 0 });
  assert.ok(alone.called > 0.9 * (runMs / operationMs));
  for (const workers of [1, 3, 6]) {
    const together = await shares({ callers: true, workers });
    assert.ok(together.called >= alone.called / 2, `${together.called} of ${alone.called} with ${workers} workers`);
    assert.ok(together.worked > 1000, 'the work goes on');
  }
});

test('while nobody calls, work takes the device; callers who pause now and then are still callers', async () => {
  const quiet = await shares({ callers: false, workers: 3 });
  assert.ok(quiet.worked > 0.9 * (runMs / operationMs), `${quiet.worked}`);
  const alone = await shares({ callers: true, workers: 0, pauseMs: 10 });
  const together = await shares({ callers: true, workers: 3, pauseMs: 10 });
  assert.ok(together.called >= alone.called / 2);
});

test('a limit of bytes a second holds for all workers together', async () => {
  const { worked } = await shares({ callers: false, workers: 3, bytesPerSecond: 100_000 });
  const bytes = worked * 1000;
  const limit = (100_000 * runMs) / 1000;
  assert.ok(bytes <= limit * 1.05 && bytes >= limit * 0.9, `${bytes} of ${limit}`);
});

test('whoever calls what is served to callers counts; what background work of others asks does not', async () => {
  const world = new World();
  const { clock } = new Process(world, 'node').runtime;
  const throttle = new Throttle({ clock });
  let handler: () => Promise<unknown> = async () => {};
  const peers = { serve: (_: unknown, given: typeof handler) => (handler = given) } as unknown as Peers;
  throttle.watching(peers).serve({} as never, () => clock.sleep(100) as never);
  await world.until(throttle.serve(() => clock.sleep(100)));
  assert.equal(throttle.busy, false);
  const called = handler();
  assert.equal(throttle.busy, true);
  await world.until(called);
  assert.equal(throttle.busy, true, 'a moment ago');
  await world.run(500);
  assert.equal(throttle.busy, false);
});
