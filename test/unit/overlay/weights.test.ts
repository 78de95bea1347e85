// Bytes per capacity, and how much moves (protocols 1.1): placement over many random addresses, and exact shares of the circle.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../src/core/base/bytes.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { Circle } from '../../../src/core/overlay/circle.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import { circleOf, pointOf, replicas } from '../../../src/core/overlay/ring.ts';
import {
  chordScale,
  fairShare,
  kouncilScale,
  positionsByCapacity,
  type Scale,
  weigh,
} from '../../../src/core/overlay/weights.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';

const copies = 3;
const gigabyte = 1e9;

interface Weighed {
  name: string;
  capacityBytes: number;
  positions: number | undefined;
}

/** Nodes that know each other: each weighed when it joins, and all now and then. */
class Network {
  readonly nodes: Weighed[] = [];
  readonly circle = new Circle();
  changed = 0;
  private readonly label: string;
  private readonly scale: Scale;

  constructor(label: string, scale = kouncilScale) {
    this.label = label;
    this.scale = scale;
  }

  join(capacityBytes: number): Weighed {
    const name = toHex(hash(Buffer.from(`${this.label} ${this.nodes.length}`)));
    const node: Weighed = { name, capacityBytes, positions: undefined };
    this.nodes.push(node);
    this.weigh(node);
    return node;
  }

  /** Whether anybody changed. */
  round(): boolean {
    return this.nodes.map((node) => this.weigh(node)).some(Boolean);
  }

  /** Of all nodes: bytes per capacity against the mean, less one. */
  deviations(): number[] {
    const fair = this.nodes.map((node) => fairShare(node.capacityBytes, this.othersOf(node), copies));
    return this.nodes.map((node, i) => {
      return this.circle.share(node.name, node.positions ?? 0, copies) / (fair[i] as number) - 1;
    });
  }

  records(): NodeRecord[] {
    return this.nodes.map(({ name, positions }) => recordOf(name, positions ?? 0));
  }

  private weigh(node: Weighed): boolean {
    const share = (positions: number) => this.circle.share(node.name, positions, copies);
    const { positions, capacityBytes } = node;
    node.positions = weigh({ positions, capacityBytes, others: this.othersOf(node), copies, share }, this.scale);
    this.circle.set(node.name, node.positions);
    if (positions === node.positions) return false;
    if (positions !== undefined) this.changed += Math.abs(node.positions - positions);
    return true;
  }

  private othersOf(node: Weighed): number[] {
    return this.nodes.filter((other) => other !== node).map(({ capacityBytes }) => capacityBytes);
  }
}

const recordOf = (name: string, positions: number, zone?: string) =>
  ({ id: Buffer.from(name, 'hex'), positions, zone, closed: false, leaving: false }) as unknown as NodeRecord;

test('a share is the part of random addresses placed on the node', () => {
  fc.assert(
    fc.property(
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 7 }),
      fc.integer({ min: 1, max: 4 }),
      (counts, wanted) => {
        const records = counts.map((count, i) => recordOf(toHex(hash(Buffer.from(`share ${i}`))), count));
        const circle = new Circle();
        for (const record of records) circle.set(toHex(record.id), record.positions);
        const byName = new Map(records.map((record) => [toHex(record.id), record]));
        const hits = new Map<string, number>();
        const samples = 2000;
        for (let i = 0; i < samples; i++) {
          const walk = circle.walk(pointOf(hash(Buffer.from(`at ${i}`))));
          for (const { id } of replicas(walk, wanted, (name) => byName.get(name)))
            hits.set(toHex(id), (hits.get(toHex(id)) ?? 0) + 1);
        }
        for (const [name, { positions }] of byName) {
          const share = circle.share(name, positions, wanted);
          assert.ok(Math.abs(share - (hits.get(name) ?? 0) / samples) < 0.06, `${share} and ${hits.get(name)}`);
          const without = new Circle();
          for (const other of records) if (toHex(other.id) !== name) without.set(toHex(other.id), other.positions);
          assert.ok(Math.abs(without.share(name, positions, wanted) - share) < 1e-9, 'whether it stands there or not');
        }
      },
    ),
    { numRuns: 25 },
  );
});

test('what is fair adds up to the copies, and nobody keeps two of one block', () => {
  const capacity = fc.integer({ min: 1, max: 1000 });
  fc.assert(
    fc.property(fc.array(capacity, { minLength: 1, maxLength: 20 }), fc.integer({ min: 1, max: 5 }), (all, wanted) => {
      const shares = all.map((own, i) => fairShare(own, all.toSpliced(i, 1), wanted));
      const sum = shares.reduce((total, each) => total + each, 0);
      assert.ok(Math.abs(sum - Math.min(wanted, all.length)) < 1e-9, `${sum}`);
      for (const [i, share] of shares.entries()) {
        assert.ok(share > 0 && share <= 1);
        for (const [j, other] of shares.entries())
          if ((all[i] as number) >= (all[j] as number)) assert.ok(share >= other - 1e-12);
      }
    }),
  );
});

test('positions are 256 (32 under Chord) by capacity against the mean, from 16 (4) to 1,024 (128); one node cannot shift the mean by its claims', () => {
  assert.equal(positionsByCapacity(5, [], kouncilScale), 256);
  assert.equal(positionsByCapacity(5, [5, 5], kouncilScale), 256);
  assert.equal(positionsByCapacity(1, [1, 1, 1, 16], kouncilScale), 64);
  assert.equal(positionsByCapacity(1, [1000, 1000, 1000, 1000], kouncilScale), 16);
  assert.equal(positionsByCapacity(1000, Array(20).fill(1), kouncilScale), 1024);
  assert.equal(positionsByCapacity(5, [5, 5], chordScale), 32);
  assert.equal(positionsByCapacity(1, [1000, 1000, 1000, 1000], chordScale), 4);
  assert.equal(positionsByCapacity(1000, Array(20).fill(1), chordScale), 128);
  const honest = Array(20).fill(gigabyte);
  assert.ok(positionsByCapacity(gigabyte, [...honest, 2 ** 52], kouncilScale) > 140);
});

const equal = () => gigabyte;
const oneToFour = (random: SeededRandom) => gigabyte * (1 + 3 * random.fraction());

for (const [name, scale, capacities, bound] of [
  ['Kouncil, equal capacities', kouncilScale, equal, 0.1],
  ['Kouncil, capacities from one to four', kouncilScale, oneToFour, 0.15],
  ['Chord, equal capacities', chordScale, equal, 0.25],
  ['Chord, capacities from one to four', chordScale, oneToFour, 0.25],
] as const) {
  test(`${name}: bytes per capacity within ${bound * 100} % of the mean from 5 to 100 nodes`, (t) => {
    for (const seed of [1, 2]) {
      const random = new SeededRandom(`${name} ${seed}`);
      const network = new Network(`${name} ${seed}`, scale);
      for (let count = 1; count <= 100; count++) {
        network.join(capacities(random));
        if (![5, 10, 20, 30, 50, 100].includes(count)) continue;
        for (let rounds = 0; network.round(); rounds++) assert.ok(rounds < 10, 'positions come to rest');
        const worst = Math.max(...network.deviations().map(Math.abs));
        const { changed, nodes } = network;
        const most = Math.max(...nodes.map(({ positions }) => positions ?? 0));
        t.diagnostic(
          `seed ${seed}, ${count} nodes: ${(worst * 100).toFixed(1)} %, ${changed} positions changed, most ${most}`,
        );
        assert.ok(worst <= bound, `${worst} with ${count} nodes, seed ${seed}`);
        network.changed = 0;
      }
    }
  });
}

test('a node that comes, grows or goes changes nobody else for good: positions come to rest, near what capacity asks for', () => {
  const network = new Network('steady');
  for (let i = 0; i < 20; i++) network.join(gigabyte);
  while (network.round());
  const before = network.nodes.map(({ positions }) => positions);
  network.join(gigabyte);
  assert.deepEqual(
    network.nodes.slice(0, 20).map(({ positions }) => positions),
    before,
    'a join alone changes nobody',
  );
  for (let i = 0; i < 20; i++) network.join(4 * gigabyte);
  for (let rounds = 0; network.round(); rounds++) assert.ok(rounds < 10);
  for (const node of network.nodes) {
    const wanted = positionsByCapacity(
      node.capacityBytes,
      network.nodes.filter((other) => other !== node).map((other) => other.capacityBytes),
      kouncilScale,
    );
    assert.ok((node.positions ?? 0) >= wanted / 2 - 1 && (node.positions ?? 0) <= wanted * 2 + 1);
  }
  assert.ok(Math.max(...network.deviations().map(Math.abs)) <= 0.1);
});

/** Copies placed elsewhere by a change of the nodes, and those that had to be: what the node that came or went keeps. */
function moved(
  before: readonly NodeRecord[],
  after: readonly NodeRecord[],
  who: NodeRecord,
  samples = 4000,
): [number, number] {
  const [old, fresh] = [before, after].map((records) => {
    const circle = new Circle();
    for (const { id, positions } of records) circle.set(toHex(id), positions);
    const byName = new Map(records.map((record) => [toHex(record.id), record]));
    return (point: string) =>
      replicas(circle.walk(point), copies, (name) => byName.get(name)).map(({ id }) => toHex(id));
  }) as [(point: string) => string[], (point: string) => string[]];
  const name = toHex(who.id);
  let [moves, least] = [0, 0];
  for (let i = 0; i < samples; i++) {
    const point = pointOf(hash(Buffer.from(`block ${i}`)));
    const [was, is] = [old(point), fresh(point)];
    moves += is.filter((node) => !was.includes(node)).length;
    if (was.includes(name) || is.includes(name)) least++;
  }
  return [moves, least];
}

test('a join or a leave moves at most 1.05 times the least', (t) => {
  for (const [zones, bound] of [
    [0, 1],
    [4, 1.05],
  ] as const) {
    let [moves, least] = [0, 0];
    for (const count of [4, 8, 20, 60]) {
      const network = new Network(`moves ${count} ${zones}`);
      for (let i = 0; i < count; i++) network.join(gigabyte);
      const records = network.nodes.map(({ name, positions }, i) =>
        recordOf(name, positions ?? 0, zones ? `zone ${i % zones}` : undefined),
      );
      for (const who of [records.at(-1), records[1]] as NodeRecord[]) {
        const without = records.filter((record) => record !== who);
        for (const [before, after] of [
          [without, records],
          [records, without],
        ] as const) {
          const [some, needed] = moved(before, after, who);
          moves += some;
          least += needed;
        }
      }
    }
    t.diagnostic(`${zones} zones: ${moves} copies moved, ${least} had to: ${(moves / least).toFixed(3)}`);
    assert.ok(moves <= bound * least, `${moves} of ${least} with ${zones} zones`);
  }
});

test('Chord: a network that grows moves little more than the least, nodes weighed anew included', (t) => {
  for (const [name, capacities] of [
    ['equal', equal],
    ['one to four', oneToFour],
  ] as const) {
    const random = new SeededRandom(`grows ${name}`);
    const network = new Network(`grows ${name}`, chordScale);
    let [moves, least] = [0, 0];
    for (let count = 1; count <= 40; count++) {
      const before = network.records();
      const { name: joined } = network.join(capacities(random));
      while (network.round());
      if (count <= 8 || count % 4 > 0) continue;
      const after = network.records();
      const who = after.find(({ id }) => toHex(id) === joined) as NodeRecord;
      const [some, needed] = moved(before, after, who, 1000);
      moves += some;
      least += needed;
    }
    t.diagnostic(`${name}: ${moves} copies moved, ${least} had to: ${(moves / least).toFixed(3)}`);
    assert.ok(moves <= 1.05 * least, `${moves} of ${least}`);
  }
});

test('who knows but a part of the network goes by capacity, and keeps what is within a factor of three of it', () => {
  const others = Array(300).fill(gigabyte) as number[];
  const part = { capacityBytes: gigabyte, others, copies, share: undefined };
  assert.equal(weigh({ ...part, positions: undefined }, chordScale), 32);
  for (const kept of [11, 40, 96]) assert.equal(weigh({ ...part, positions: kept }, chordScale), kept);
  for (const off of [4, 10, 97, 128]) assert.equal(weigh({ ...part, positions: off }, chordScale), 32);
});

test('the circle of the records is the one of Kouncil', () => {
  const records = ['a', 'b'].map((label) => recordOf(toHex(hash(Buffer.from(label))), 300));
  const circle = new Circle();
  for (const { id, positions } of records) circle.set(toHex(id), positions);
  assert.equal(circle.size, circleOf(records).length);
});
