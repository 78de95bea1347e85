// How many questions a lookup asks on a quiet ring, against what base-16 fingers promise.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { expectedHops, measureHops } from './ring-ideal.ts';

test('lookups among 1,000 nodes take no more hops than base-16 fingers promise', async (t) => {
  for (const [nodes, positions] of [
    [1000, 1],
    [250, 4],
  ] as const) {
    const { mean, max, percentile99 } = await measureHops(nodes, positions, 1000);
    const expected = expectedHops(nodes * positions);
    const figures = `mean ${mean.toFixed(2)} (expected ${expected.toFixed(2)}), 99 % ${percentile99}, most ${max}`;
    t.diagnostic(`${nodes} nodes of ${positions} positions: ${figures}`);
    assert.ok(mean <= expected, figures);
    assert.ok(max <= 6, figures);
  }
});
