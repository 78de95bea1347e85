// A large ring in its ideal state, built at once: for measuring lookups without growing it.

import { type FindAnswer, findFrom } from '../../src/core/overlay/chord/answers.ts';
import { Fingers } from '../../src/core/overlay/chord/fingers.ts';
import { lookup } from '../../src/core/overlay/chord/lookup.ts';
import { cut, newRing, type Ring } from '../../src/core/overlay/chord/state.ts';
import {
  byPoint,
  distance,
  type Entry,
  entryOf,
  fingerStart,
  type NodeName,
  ownerIndex,
  type Point,
} from '../../src/core/overlay/ring.ts';
import { SeededRandom } from './runtime/random.ts';

interface IdealNode {
  ring: Ring;
  fingers: Fingers;
}

export interface Hops {
  mean: number;
  max: number;
  /** Of 100 lookups, 99 took at most so many. */
  percentile99: number;
  fingersMean: number;
}

/** Mean hops base-16 fingers promise without a cache, the question to the last node included (protocols 1.6, 1.9). */
export function expectedHops(positions: number): number {
  return (15 / 16) * (Math.log2(positions) / 4) + 1;
}

export async function measureHops(nodes: number, positions: number, lookups: number): Promise<Hops> {
  const random = new SeededRandom(`ideal ${nodes}/${positions}`);
  const names = Array.from({ length: nodes }, () => random.bytes(32).toString('hex'));
  const { byName, sorted } = build(names, positions);
  const hops: number[] = [];
  for (let i = 0; i < lookups; i++) {
    const key = random.bytes(32).toString('hex');
    const from = byName.get(names[random.below(nodes)] as NodeName) as IdealNode;
    hops.push(await hopsOf(byName, from, key, ownerOf(sorted, key)));
  }
  hops.sort((a, b) => a - b);
  const fingers = [...byName.values()].reduce((sum, node) => sum + node.fingers.size, 0);
  return {
    mean: hops.reduce((sum, each) => sum + each, 0) / lookups,
    max: hops.at(-1) ?? 0,
    percentile99: hops[Math.floor(lookups * 0.99)] ?? 0,
    fingersMean: fingers / nodes,
  };
}

async function hopsOf(nodes: Map<NodeName, IdealNode>, from: IdealNode, key: Point, owner: Entry): Promise<number> {
  const answer = (node: IdealNode | undefined): FindAnswer | undefined =>
    node && findFrom(node.ring, key, () => 'alive', { hints: node.fingers.entries() });
  const own = answer(from);
  if (own?.type === 'owners') return check(own.entries[0], owner, 0);
  const parts = {
    clock: { after: () => () => {} },
    hedgeAfterMs: () => 1,
    slow: () => {},
    ask: async (node: NodeName) => answer(nodes.get(node)),
  };
  const found = await lookup(parts, key, own ?? { entries: [], behind: [] });
  return check(found.entries[0], owner, found.hops);
}

function check(found: Entry | undefined, owner: Entry, hops: number): number {
  if (found?.point !== owner.point) throw new Error(`found ${found?.point}, not the owner ${owner.point}`);
  return hops;
}

function build(names: readonly NodeName[], positions: number): { byName: Map<NodeName, IdealNode>; sorted: Entry[] } {
  const sorted = names
    .flatMap((node) => Array.from({ length: positions }, (_, index) => entryOf(node, index)))
    .sort(byPoint);
  const byName = new Map<NodeName, IdealNode>();
  for (const node of names) byName.set(node, idealNode(node, positions));
  const around = [...sorted, ...sorted.slice(0, 65)];
  for (const [i, self] of sorted.entries()) {
    const node = byName.get(self.node) as IdealNode;
    const list = cut(self, around.slice(i + 1, i + 65));
    const pred = sorted[(i + sorted.length - 1) % sorted.length];
    const patched = node.ring.positions.map((each) =>
      each.self.index === self.index ? { ...each, joined: true, list, pred } : each,
    );
    node.ring = { ...node.ring, positions: patched };
    learnFingers(node.fingers, self, list, sorted);
  }
  return { byName, sorted };
}

function idealNode(node: NodeName, positions: number): IdealNode {
  const ring = newRing(node, positions);
  return { ring, fingers: new Fingers(ring.positions.map(({ self }) => self.point)) };
}

function learnFingers(fingers: Fingers, self: Entry, list: readonly Entry[], sorted: readonly Entry[]): void {
  const span = distance(self.point, (list.at(-1) ?? self).point);
  for (let level = 63; level >= span.toString(16).length - 1; level--)
    for (let digit = 1; digit < 16; digit++) fingers.heard(ownerOf(sorted, fingerStart(self.point, level, digit)));
}

function ownerOf(sorted: readonly Entry[], key: Point): Entry {
  return sorted[ownerIndex(sorted, key)] as Entry;
}
