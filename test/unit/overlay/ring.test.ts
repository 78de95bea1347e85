import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { toHex } from '../../../src/core/base/bytes.ts';
import type { NodeRecord } from '../../../src/core/overlay/overlay.ts';
import {
  advance,
  between,
  circleOf,
  distance,
  type Entry,
  entryOf,
  fingerStart,
  isAmongFirst,
  type Point,
  pointOf,
  positionPoint,
  replicas,
  walkFrom,
  within,
} from '../../../src/core/overlay/ring.ts';

const whole = 2n ** 256n;
const hex = (value: bigint): Point => value.toString(16).padStart(64, '0');
const modulo = (value: bigint) => ((value % whole) + whole) % whole;
/** Few different values, so that points coincide, and all of the circle. */
const place = fc.oneof(fc.bigInt(0n, 5n), fc.bigInt(whole - 3n, whole - 1n), fc.bigInt(0n, whole - 1n));

test('between and within agree with arithmetic modulo 2^256', () => {
  fc.assert(
    fc.property(place, place, place, (from, x, to) => {
      const arc = from === to ? whole : modulo(to - from);
      const away = modulo(x - from);
      assert.equal(between(hex(from), hex(x), hex(to)), away > 0n && away < arc);
      assert.equal(within(hex(from), hex(x), hex(to)), from === to || (away > 0n && away <= arc));
    }),
    { numRuns: 1000 },
  );
});

test('distance, advance and finger starts agree with arithmetic modulo 2^256', () => {
  fc.assert(
    fc.property(place, place, fc.nat(63), fc.integer({ min: 1, max: 15 }), (from, to, level, digit) => {
      assert.equal(distance(hex(from), hex(to)), modulo(to - from));
      assert.equal(advance(hex(from), to), hex(modulo(from + to)));
      assert.equal(advance(hex(from), -to), hex(modulo(from - to)));
      assert.equal(fingerStart(hex(from), level, digit), hex(modulo(from + BigInt(digit) * 16n ** BigInt(level))));
    }),
  );
});

test('the place of a position is fixed by the node id: changing it would move every block', () => {
  const node = 'ab'.repeat(32);
  assert.equal(positionPoint(node, 0), '9e1ca94a6ec5f7287775b58e649fa49d6d29a5903ade532211a061947e404ae7');
  assert.equal(positionPoint(node, 63), 'a4c36ff7c90a01ef67a66acc29eee46209797089cbc2b508ac0e42a702c39327');
});

interface Sketch {
  positions: number;
  zone: string | undefined;
  closed: boolean;
  leaving: boolean;
}

const sketch: fc.Arbitrary<Sketch> = fc.record({
  positions: fc.integer({ min: 1, max: 12 }),
  zone: fc.constantFrom(undefined, 'a', 'b', 'c'),
  closed: fc.boolean(),
  leaving: fc.constantFrom(false, false, false, true),
});

function recordOf(each: Sketch, number: number): NodeRecord {
  const id = Buffer.alloc(32, number + 1);
  const zero = Buffer.alloc(32);
  const rest = { endpoints: [], capacityBytes: 0, freeBytes: 0, stores: [], serial: 1, signature: Buffer.alloc(64) };
  return { id, publicKey: zero, userKey: zero, credentials: Buffer.alloc(0), ...each, ...rest };
}

test('a walk starts at the owner and goes around once, clockwise', () => {
  fc.assert(
    fc.property(fc.array(sketch, { maxLength: 8 }), place, (sketches, key) => {
      const circle = circleOf(sketches.map(recordOf));
      const walk = walkFrom(circle, hex(key));
      const away = (entry: Entry) => modulo(BigInt(`0x${entry.point}`) - key);
      assert.deepEqual(
        walk,
        [...circle].sort((a, b) => (away(a) < away(b) ? -1 : 1)),
      );
    }),
  );
});

/** Protocols 1.8, word by word and slowly. */
function slowReplicas(walk: readonly NodeRecord[], count: number, all: boolean): NodeRecord[] {
  const eligible = (record: NodeRecord) => all || (!record.closed && !record.leaving);
  const zone = (record: NodeRecord) => record.zone ?? toHex(record.id);
  const taken: NodeRecord[] = [];
  const first = [...new Set(walk)].slice(0, 8);
  const near = walk.slice(0, 8 * count).filter((record) => first.includes(record) && eligible(record));
  for (const record of near) {
    if (taken.length === count || taken.includes(record)) continue;
    const used = taken.map(zone);
    const zonesLeft = new Set(near.map(zone).filter((each) => !used.includes(each))).size;
    if (!used.includes(zone(record)) || zonesLeft < count - taken.length) taken.push(record);
  }
  for (const record of walk)
    if (taken.length < count && eligible(record) && !taken.includes(record)) taken.push(record);
  return taken.sort((a, b) => walk.indexOf(a) - walk.indexOf(b));
}

test('placement agrees with a slow second implementation, and keeps its promises', () => {
  fc.assert(
    fc.property(
      fc.array(sketch, { maxLength: 12 }),
      place,
      fc.integer({ min: 1, max: 9 }),
      fc.boolean(),
      (sketches, key, count, all) => {
        const records = sketches.map(recordOf);
        const byNode = new Map(records.map((record) => [toHex(record.id), record]));
        const walk = walkFrom(circleOf(records), hex(key));
        const got = replicas(walk, count, (node) => byNode.get(node), all);
        const asRecords = walk.map((entry) => byNode.get(entry.node) as NodeRecord);
        assert.deepEqual(got, slowReplicas(asRecords, count, all));
        const eligible = records.filter((record) => all || (!record.closed && !record.leaving));
        assert.equal(got.length, Math.min(count, eligible.length), 'as many nodes as there are');
        assert.equal(
          got[0],
          asRecords.find((record) => eligible.includes(record)),
          'the owner comes first',
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('three zones of which one has a single node still get one copy each', () => {
  const zones = ['a', 'a', 'a', 'b', 'b', 'c'];
  const records = zones.map((zone, i) => recordOf({ positions: 4, zone, closed: false, leaving: false }, i));
  const byNode = new Map(records.map((record) => [toHex(record.id), record]));
  const circle = circleOf(records);
  for (let key = 0; key < 256; key++) {
    const got = replicas(walkFrom(circle, toHex(Buffer.alloc(32, key))), 3, (node) => byNode.get(node));
    assert.deepEqual(got.map((record) => record.zone).sort(), ['a', 'b', 'c']);
  }
});

test('whoever sees only a successor list places as those who see everybody, zones included', () => {
  fc.assert(
    fc.property(
      fc.array(
        fc.record({ zone: fc.constantFrom(undefined, 'a', 'b', 'c', 'd'), positions: fc.integer({ min: 1, max: 12 }) }),
        {
          minLength: 1,
          maxLength: 30,
        },
      ),
      place,
      fc.integer({ min: 1, max: 5 }),
      (sketches, key, count) => {
        const records = sketches.map((each, i) => recordOf({ ...each, closed: false, leaving: false }, i));
        const byNode = new Map(records.map((record) => [toHex(record.id), record]));
        const walk = walkFrom(circleOf(records), hex(key));
        // Of the owner's list: R other nodes, 64 positions; and the owner itself.
        const seen: Entry[] = [];
        const nodes = new Set<string>();
        for (const entry of walk) {
          nodes.add(entry.node);
          if (nodes.size > 9 || seen.length > 64) break;
          seen.push(entry);
        }
        const placed = (entries: readonly Entry[]) => replicas(entries, count, (node) => byNode.get(node));
        const whole = placed(walk);
        assert.deepEqual(placed(seen), whole);
        const near = [...new Set(walk.slice(0, 8 * count).map(({ node }) => node))].slice(0, 8);
        const zones = new Set(near.map((node) => byNode.get(node)?.zone ?? node));
        const used = whole.map(({ id, zone }) => zone ?? toHex(id));
        assert.equal(new Set(used).size >= Math.min(count, zones.size), true, 'as many zones as there are');
      },
    ),
    { numRuns: 500 },
  );
});

test('a node nobody has a record of is passed over', () => {
  const record = recordOf({ positions: 1, zone: undefined, closed: false, leaving: false }, 1);
  const node = toHex(record.id);
  const walk = [entryOf('00'.repeat(32), 0), entryOf(node, 0)];
  assert.deepEqual(
    replicas(walk, 2, (each) => (each === node ? record : undefined)),
    [record],
  );
});

test('the first nodes from an address are those a dumb count finds', () => {
  const records = Array.from({ length: 20 }, (_, i) => {
    const id = Buffer.alloc(32, i + 1);
    return { id, positions: 4, closed: i % 3 === 0, leaving: false, zone: undefined } as unknown as NodeRecord;
  });
  for (const address of [Buffer.alloc(32, 0), Buffer.alloc(32, 0x7f), Buffer.alloc(32, 0xff)]) {
    const order = [...new Set(walkFrom(circleOf(records), pointOf(address)).map(({ node }) => node))];
    for (const { id } of records) {
      const place = order.indexOf(toHex(id));
      for (const count of [1, 12, 20]) assert.equal(isAmongFirst(records, address, id, count), place < count);
    }
    assert.equal(isAmongFirst(records, address, Buffer.alloc(32, 99), 20), false);
  }
});
