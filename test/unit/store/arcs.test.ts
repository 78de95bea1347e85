// The arcs a node is to hold, of many nodes with many positions: the same as address by address, and the event loop goes on.

import assert from 'node:assert/strict';
import { createHash, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import { circleOf, ownerIndex, pointOf } from '../../../src/core/overlay/ring.ts';
import { ownArcs } from '../../../src/core/store/arcs.ts';

const nodeCount = 120;
const positions = 256;
const copies = 3;

const nodes = Array.from({ length: nodeCount }, (_, i) => {
  const id = createHash('sha256').update(`node ${i}`).digest();
  return { id, positions, serial: 1 } as unknown as NodeRecord;
});

function world(known: readonly NodeRecord[]) {
  const circle = circleOf(nodes);
  const named = new Map(nodes.map((node) => [toHex(node.id), node]));
  const holders = async (address: Uint8Array, count: number) => {
    const found = new Set<string>();
    for (let i = ownerIndex(circle, pointOf(address)); found.size < count; i = (i + 1) % circle.length)
      found.add(circle[i]?.node as string);
    return [...found].map((name) => named.get(name) as NodeRecord);
  };
  let turns = 0;
  /** Positions of nodes that were put in order for an answer since the last turn, and the most there were. */
  const placed = { now: 0, most: 0 };
  const sleep = async () => {
    turns++;
    placed.now = 0;
  };
  const counted: typeof holders = async (address, count) => {
    if (count === limits.successorNodes) placed.most = Math.max(placed.most, (placed.now += count * positions));
    return holders(address, count);
  };
  const parts = {
    clock: { sleep },
    self: nodes[0]?.id,
    overlay: { nodes: () => known },
    absence: { holders: counted, away: () => [] },
  };
  const arcs = () => ownArcs({ ...parts, replicationFactor: copies } as unknown as Parameters<typeof ownArcs>[0]);
  return { arcs, holders, turns: () => turns, placed };
}

for (const [what, known] of [
  ['everybody is known', nodes],
  ['the nearest are known, others are found on the way', nodes.slice(0, 40)],
] as const)
  test(`of each address the arcs say what placement says: ${what}`, async () => {
    const { arcs, holders, turns, placed } = world(known);
    const found = await arcs();
    const self = toHex(nodes[0]?.id as Uint8Array);
    let own = 0;
    for (let i = 0; i < 4000; i++) {
      const address = randomBytes(32);
      const point = pointOf(address);
      const within = found.filter(({ ranges }) =>
        ranges.some(({ from, to }) => pointOf(from) <= point && point <= pointOf(to)),
      );
      const wanted = (await holders(address, copies)).map(({ id }) => toHex(id));
      if (!wanted.includes(self)) assert.deepEqual(within, []);
      else {
        own++;
        assert.deepEqual(
          within.map((arc) => arc.holders.map(({ id }) => toHex(id))),
          [wanted],
        );
      }
    }
    assert.ok(own > 40, `only ${own} addresses are its own`);
    assert.ok(placed.most > 0 && placed.most <= 3000, `${placed.most} positions in one turn`);
    assert.ok(turns() > (known.length * positions) / 250, `${turns()} turns`);
  });
