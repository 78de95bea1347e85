import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../src/core/base/bytes.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { Circle } from '../../../src/core/overlay/circle.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import { circleOf, walkFrom } from '../../../src/core/overlay/ring.ts';

const names = Array.from({ length: 8 }, (_, i) => toHex(hash(Buffer.from(`node ${i}`))));

test('a circle changed node by node is the one made of all records at once', () => {
  const change = fc.record({
    node: fc.nat(names.length - 1),
    positions: fc.integer({ min: 0, max: 20 }),
    ask: fc.boolean(),
  });
  fc.assert(
    fc.property(
      fc.array(change, { maxLength: 30 }),
      fc.array(fc.uint8Array({ minLength: 32, maxLength: 32 })),
      (changes, keys) => {
        const circle = new Circle();
        const positions = new Map<string, number>();
        for (const { node, positions: wanted, ask } of changes) {
          circle.set(names[node] as string, wanted);
          positions.set(names[node] as string, wanted);
          if (ask)
            assert.equal(
              circle.size,
              [...positions.values()].reduce((sum, each) => sum + each, 0),
            );
        }
        const records = [...positions].map(([name, count]) => ({ id: Buffer.from(name, 'hex'), positions: count }));
        const sorted = circleOf(records as unknown as NodeRecord[]);
        for (const key of [...keys.map(toHex), ...sorted.map(({ point }) => point)]) {
          const walk = [...circle.walk(key)].map(({ node }) => node);
          assert.deepEqual(
            walk,
            walkFrom(sorted, key).map(({ node }) => node),
          );
        }
      },
    ),
    { numRuns: 200 },
  );
});

test('what changes nothing of a large circle costs no pass over it', () => {
  const circle = new Circle();
  for (const node of names) circle.set(node, 20);
  assert.equal(circle.size, 160);
  const held = Reflect.get(circle, 'places');
  // A record changes whenever a node has less room than before.
  for (const node of names) circle.set(node, 20);
  assert.equal(circle.size, 160);
  assert.equal(Reflect.get(circle, 'places'), held);
  circle.set(names[0] as string, 19);
  circle.set(names[1] as string, 0);
  circle.set(names[1] as string, 20);
  assert.equal(circle.size, 159);
  assert.notEqual(Reflect.get(circle, 'places'), held);
});

test('of nodes that went nothing is left', () => {
  const circle = new Circle();
  for (let i = 0; i < 50; i++) {
    const name = toHex(hash(Buffer.from(`passing ${i}`)));
    circle.set(name, 3);
    assert.equal(circle.size, 3);
    circle.set(name, 0);
    assert.equal(circle.size, 0);
  }
  const left = (field: string) => Reflect.get(circle, field);
  assert.deepEqual([left('numbers').size, left('counts').size, left('names').length], [0, 0, 1]);
});
