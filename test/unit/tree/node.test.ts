// Nodes of the base tree: what is encoded is found again in place; anything malformed is refused when loaded.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { shortestSeparator } from '../../../src/core/tree/base/key-order.ts';
import { encodeNode, encodeNodeRef, Node } from '../../../src/core/tree/base/node.ts';

const isCorrupt = (error: unknown) => isError(error, 'corrupt');

const prefixes = [Buffer.alloc(0), utf8('k'), Buffer.alloc(200, 1), Buffer.alloc(1100, 2)];
const key = fc
  .tuple(fc.constantFrom(...prefixes), fc.uint8Array({ minLength: 1, maxLength: 20 }))
  .map(([prefix, rest]) => Buffer.concat([prefix, rest]));
const entries = fc
  .array(fc.tuple(key, fc.integer({ min: 0, max: 700 })), { minLength: 1, maxLength: 40 })
  .map((list) => {
    const sorted = new Map(list.map(([each, length]) => [each.toString('latin1'), Buffer.alloc(length, 9)]));
    return [...sorted.keys()]
      .sort()
      .map((name) => ({ key: Buffer.from(name, 'latin1'), value: sorted.get(name) as Buffer }));
  });

function leaf(list: { key: Buffer; value: Buffer }[]): Buffer {
  return encodeNode(
    0,
    list.map((entry) => entry.key),
    list.map((entry) => entry.value),
  );
}

test('entries and their neighbours are found in place', () => {
  fc.assert(
    fc.property(entries, fc.array(key), (list, probes) => {
      const node = new Node(leaf(list));
      assert.equal(node.count, list.length);
      list.forEach((entry, i) => {
        assert.deepEqual(node.keyAt(i), entry.key);
        assert.deepEqual(node.valueAt(i), entry.value);
        assert.equal(node.search(entry.key), i);
        assert.deepEqual(node.find(entry.key), entry.value);
      });
      for (const probe of [...probes, ...list.map((entry) => Buffer.concat([entry.key, utf8('!')]))]) {
        const expected = list.findIndex((entry) => Buffer.compare(entry.key, probe) >= 0);
        assert.equal(node.search(probe), expected < 0 ? list.length : expected);
        assert.deepEqual(node.find(probe), list.find((entry) => entry.key.equals(probe))?.value);
      }
    }),
    { numRuns: 300 },
  );
});

test('inner nodes lead to the child that holds a key', () => {
  const ref = (n: number) => ({ address: Buffer.alloc(32, n), key: Buffer.alloc(32, n + 100), stored: n * 1000 });
  const bounds = ['', 'b', 'bcd', 'x'].map(utf8);
  const node = new Node(
    encodeNode(
      2,
      bounds,
      bounds.map((_, i) => encodeNodeRef(ref(i))),
    ),
  );
  const where = ['a', 'b', 'bc', 'bcd', 'bce', 'w', 'x', 'zz'].map((name) => node.childFor(utf8(name)));
  assert.deepEqual(where, [0, 1, 1, 2, 2, 2, 3, 3]);
  assert.deepEqual(node.refAt(3), ref(3));
  assert.equal(node.childName(2), Buffer.alloc(32, 2).toString('latin1'));
});

test('hostile nodes are refused', () => {
  const list = Array.from({ length: 40 }, (_, i) => ({ key: utf8(`key-${100 + i}`), value: Buffer.alloc(i) }));
  const good = leaf(list);
  const changed = (change: (bytes: Buffer) => void): Buffer => {
    const bytes = Buffer.from(good);
    change(bytes);
    return bytes;
  };
  const hostile: [string, Buffer][] = [
    ['empty', Buffer.alloc(0)],
    ['no entry', encodeNode(0, [], [])],
    ['format', changed((bytes) => bytes.writeUInt8(2, 0))],
    ['level', changed((bytes) => bytes.writeUInt8(16, 1))],
    ['leaf as inner node', changed((bytes) => bytes.writeUInt8(1, 1))],
    ['restart interval', changed((bytes) => bytes.writeUInt8(0, 4))],
    ['count', changed((bytes) => bytes.writeUInt16BE(65_535, 2))],
    ['fewer entries', changed((bytes) => bytes.writeUInt16BE(39, 2))],
    ['offset', changed((bytes) => bytes.writeUInt16BE(60_000, 5 + 2 * 7))],
    ['same offset twice', changed((bytes) => bytes.writeUInt16BE(0, 5 + 2))],
    ['shared at a restart', changed((bytes) => bytes.writeUInt8(1, 85))],
    ['truncated', good.subarray(0, -1)],
    ['trailing', Buffer.concat([good, Buffer.alloc(1)])],
    ['order', leaf([list[1], list[0]] as typeof list)],
    ['twice the same key', leaf([list[0], list[0]] as typeof list)],
    ['empty key', leaf([{ key: Buffer.alloc(0), value: Buffer.alloc(0) }])],
    ['long key', leaf([{ key: Buffer.alloc(1201), value: Buffer.alloc(0) }])],
    ['large', Buffer.concat([good, Buffer.alloc(1 << 20)])],
  ];
  for (const [what, bytes] of hostile) assert.throws(() => new Node(bytes), isCorrupt, what);
});

test('a node with any byte changed is refused or stays safe to read', () => {
  const list = Array.from({ length: 33 }, (_, i) => ({ key: utf8(`k${1000 + i * 7}`), value: Buffer.alloc(i * 20) }));
  const good = leaf(list);
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, end) => {
      const bytes = Buffer.from(good.subarray(0, end % 3 === 0 ? end : good.length));
      if (at < bytes.length) bytes[at] = byte;
      try {
        const node = new Node(bytes);
        for (let i = 0; i < node.count; i++) {
          assert.ok(node.keyAt(i).length + node.valueAt(i).length <= bytes.length + node.keyAt(0).length);
          assert.equal(node.search(node.keyAt(i)), i);
        }
      } catch (error) {
        assert.ok(isCorrupt(error), String(error));
      }
    }),
    { numRuns: 3000 },
  );
});

test('a separator lies between its neighbours and is short', () => {
  fc.assert(
    fc.property(key, key, (a, b) => {
      const order = Buffer.compare(a, b);
      if (order === 0) return;
      const [left, right] = order < 0 ? [a, b] : [b, a];
      const separator = shortestSeparator(left, right);
      assert.ok(Buffer.compare(left, separator) < 0 && Buffer.compare(separator, right) <= 0);
      assert.ok(Buffer.compare(left, separator.subarray(0, -1)) >= 0);
    }),
  );
});
