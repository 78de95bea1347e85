import assert from 'node:assert/strict';
import { test } from 'node:test';
import { networkCapacity } from '../../../src/core/store/capacity.ts';

const node = (capacityBytes: number, freeBytes: number, more = {}) => ({
  capacityBytes,
  freeBytes,
  closed: false,
  leaving: false,
  ...more,
});

test('capacities are added up and divided by the copies there are', () => {
  assert.deepEqual(networkCapacity([], 3), { totalBytes: 0, freeBytes: 0 });
  assert.deepEqual(networkCapacity([node(100, 40)], 3), { totalBytes: 100, freeBytes: 40 });
  assert.deepEqual(networkCapacity([node(100, 40), node(300, 300)], 3), { totalBytes: 200, freeBytes: 170 });
  const four = [node(300, 3), node(300, 3), node(300, 3), node(300, 3)];
  assert.deepEqual(networkCapacity(four, 3), { totalBytes: 400, freeBytes: 4 });
});

test('nodes that leave do not count, closed ones take nothing, and nobody has more free than room', () => {
  const nodes = [node(100, 100, { leaving: true }), node(100, 4, { closed: true }), node(100, 500)];
  assert.deepEqual(networkCapacity(nodes, 1), { totalBytes: 200, freeBytes: 100 });
});
