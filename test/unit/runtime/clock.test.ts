// The system clock counts suspended time at once, and wall clock steps never.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../../src/core/runtime/system/clock.ts';

function fakeSources() {
  const state = { steady: 5000, wall: 1_900_000_000_000, uptime: 100_000 };
  const clock = systemClock({
    steadyMs: () => state.steady,
    wallMs: () => state.wall,
    uptimeSeconds: () => Math.floor(state.uptime / 10) / 100,
  });
  const run = (ms: number) => {
    state.steady += ms;
    state.wall += ms;
    state.uptime += ms;
  };
  const suspend = (ms: number) => {
    state.wall += ms;
    state.uptime += ms;
  };
  return { state, clock, run, suspend };
}

test('suspended time counts at the first look after waking', () => {
  const { clock, run, suspend } = fakeSources();
  const start = clock.monotonic();
  run(50);
  suspend(10_000);
  const elapsed = clock.monotonic() - start;
  assert.ok(Math.abs(elapsed - 10_050) <= 20, `${elapsed}`);
  suspend(3000);
  run(1);
  assert.ok(clock.monotonic() - start >= 13_000);
});

test('a wall clock that is stepped changes nothing; one stepped back while suspended hides nothing for long', () => {
  const { state, clock, run, suspend } = fakeSources();
  const start = clock.monotonic();
  state.wall -= 3600_000;
  run(10);
  assert.equal(clock.monotonic() - start, 10);
  state.wall += 7200_000;
  run(10);
  assert.equal(clock.monotonic() - start, 20);
  suspend(5000);
  state.wall -= 5000;
  run(100);
  assert.ok(clock.monotonic() - start >= 5100);
});

test('it never goes back, and coarse uptime adds nothing', () => {
  const { clock, run } = fakeSources();
  let last = clock.monotonic();
  for (let i = 0; i < 2000; i++) {
    run((i * 7) % 13);
    const now = clock.monotonic();
    assert.ok(now - last <= 13 && now >= last);
    last = now;
  }
});

test('a timer waits for the clock it is measured with', async () => {
  const clock = systemClock();
  for (let i = 0; i < 20; i++) {
    const start = clock.monotonic();
    await clock.sleep(1.5);
    assert.ok(clock.monotonic() - start >= 1.5);
  }
});
