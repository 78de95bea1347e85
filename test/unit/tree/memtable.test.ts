// The memtable against the plain meaning of its effects.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { u32Bytes, utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { SortedMap } from '../../../src/core/tree/base/sorted-map.ts';
import { Memtable } from '../../../src/core/tree/memtable.ts';
import type { Effect } from '../../../src/core/tree/tree.ts';

const keySpace = 60;
const number = fc.integer({ min: 0, max: keySpace - 1 });
const effect: fc.Arbitrary<Effect> = fc.oneof(
  fc.record({ type: fc.constant('put' as const), key: number.map(u32Bytes), value: number.map(u32Bytes) }),
  fc.record({ type: fc.constant('delete' as const), key: number.map(u32Bytes) }),
  fc.record({ type: fc.constant('deleteRange' as const), from: number.map(u32Bytes), to: number.map(u32Bytes) }),
);

/** What the effects say of each key: a value, deleted, or nothing. */
function meaning(effects: Iterable<Effect>): (number | null | undefined)[] {
  const out: (number | null | undefined)[] = Array(keySpace).fill(undefined);
  for (const each of effects) {
    if (each.type === 'deleteRange')
      for (let i = Buffer.from(each.from).readUInt32BE(); i < Buffer.from(each.to).readUInt32BE(); i++) out[i] = null;
    else
      out[Buffer.from(each.key).readUInt32BE()] = each.type === 'put' ? Buffer.from(each.value).readUInt32BE() : null;
  }
  return out;
}

function shown(table: Memtable): (number | null | undefined)[] {
  return Array.from({ length: keySpace }, (_, i) => {
    const value = table.get(u32Bytes(i));
    return value ? Buffer.from(value).readUInt32BE() : value;
  });
}

test('it shows what its effects come to, and gives effects that mean the same', () => {
  fc.assert(
    fc.property(fc.array(effect, { maxLength: 60 }), fc.array(effect, { maxLength: 20 }), (before, after) => {
      const table = new Memtable();
      table.apply(before);
      assert.deepEqual(shown(table), meaning(before));
      const canonical = [...table.effects()];
      assert.deepEqual(meaning(canonical), meaning(before));
      const starts = canonical.map((each) => (each.type === 'deleteRange' ? each.from : each.key));
      assert.deepEqual(starts, starts.toSorted(Buffer.compare));
      const ranges = canonical.filter((each) => each.type === 'deleteRange');
      ranges.forEach((each, i) => {
        const next = ranges[i + 1];
        assert.ok(next === undefined || Buffer.compare(each.to, next.from) < 0, 'ranges are apart');
      });
      const copy = new Memtable();
      copy.apply(canonical);
      assert.equal(copy.bytes, table.bytes, 'the bytes counted are those held');
      const snapshot = table.snapshot();
      table.apply(after);
      assert.deepEqual(shown(snapshot), meaning(before), 'a snapshot does not move');
      assert.deepEqual(shown(table), meaning([...before, ...after]));
      table.apply([{ type: 'deleteRange', from: u32Bytes(0), to: u32Bytes(keySpace) }]);
      assert.equal([...table.effects()].length, 1);
    }),
    { numRuns: 500 },
  );
});

test('sorted maps with many blocks: order, floor, removal, snapshots', () => {
  const map = new SortedMap<number>();
  const reference = new Map<string, number>();
  let state = 12345;
  const draw = (limit: number): number => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return (state >>> 8) % limit;
  };
  const sorted = () => [...reference].sort(([a], [b]) => (a < b ? -1 : 1));
  const held = (each: SortedMap<number>) => [...each.entries()].map(({ key, value }) => [key.toString(), value]);
  const kept: [SortedMap<number>, ReturnType<typeof sorted>][] = [];
  for (let round = 0; round < 20_000; round++) {
    const key = utf8(String(draw(8_000)).padStart(5, '0'));
    if (draw(4) === 0) assert.equal(map.delete(key), pop(reference, key.toString()));
    else {
      assert.equal(map.set(key, round), reference.get(key.toString()));
      reference.set(key.toString(), round);
    }
    if (round % 1999 === 0) {
      const [from, to] = [String(draw(8_000)).padStart(5, '0'), String(draw(8_000)).padStart(5, '0')];
      let removed = 0;
      map.deleteRange(utf8(from), utf8(to), () => removed++);
      const gone = [...reference.keys()].filter((each) => each >= from && each < to);
      for (const each of gone) reference.delete(each);
      assert.equal(removed, gone.length);
      kept.push([map.snapshot(), sorted()]);
    }
  }
  assert.equal(map.size, reference.size);
  assert.deepEqual(held(map), sorted());
  for (const [snapshot, expected] of kept) assert.deepEqual(held(snapshot), expected);
  const probe = utf8('04000~');
  const below = sorted()
    .filter(([key]) => key <= '04000~')
    .at(-1);
  assert.deepEqual(map.floor(probe)?.value, below?.[1]);
  assert.equal(map.floor(utf8('!')), undefined);
});

function pop(map: Map<string, number>, key: string): number | undefined {
  const value = map.get(key);
  map.delete(key);
  return value;
}

test('it is bounded, all or nothing, and frozen when told', () => {
  const table = new Memtable({ bytesMax: 1000 });
  const put = (n: number): Effect => ({ type: 'put', key: u32Bytes(n), value: Buffer.alloc(200) });
  table.apply([put(1), put(2)]);
  assert.throws(
    () => table.apply([put(3), put(4)]),
    (error) => isError(error, 'full'),
  );
  assert.equal(table.get(u32Bytes(3)), undefined);
  table.apply([{ type: 'deleteRange', from: u32Bytes(0), to: u32Bytes(9) }]);
  assert.ok(table.bytes < 200);
  table.freeze();
  assert.throws(
    () => table.apply([put(1)]),
    (error) => isError(error, 'internal'),
  );
});

test('a small value does not keep a large frame in memory', () => {
  const frame = new Uint8Array(1 << 20);
  const table = new Memtable();
  table.apply([{ type: 'put', key: frame.subarray(0, 4), value: frame.subarray(10, 20) }]);
  assert.ok((table.get(u32Bytes(0)) as Uint8Array).buffer.byteLength < 1 << 16);
});
