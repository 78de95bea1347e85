// Set reconciliation: the inventory against a plain map, and how many bytes two nodes exchange to find their differences.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { compareBytes, fromHex, toHex, u32Bytes } from '../../../src/core/base/bytes.ts';
import { encode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { cut, Inventory, type InventoryEntry, type Range } from '../../../src/core/store/inventory.ts';
import { blockIndex } from '../../../src/core/store/messages.ts';
import { answerRanges, Comparison, type Differences } from '../../../src/core/store/reconcile.ts';

const circle: Range = { from: Buffer.alloc(32), to: Buffer.alloc(32, 255) };
const addressOf = (i: number) => hash(u32Bytes(i));

function inventoryOf(entries: Iterable<[string, number]>): Inventory {
  const inventory = new Inventory();
  for (const [address, generation] of entries) inventory.set(fromHex(address), generation);
  inventory.complete = true;
  return inventory;
}

/** Compares to the end; what was found, and the bytes and calls it took. */
function compare(ours: Inventory, theirs: Inventory, ranges: readonly Range[] = [circle]) {
  const comparison = new Comparison(ours, ranges);
  const found: Differences = { missing: [], behind: [], lacking: [] };
  let bytes = 0;
  let calls = 0;
  while (!comparison.over) {
    const question = comparison.question();
    const answers = answerRanges(theirs, question);
    calls++;
    const sent = encode(blockIndex.request, { ranges: question }).length;
    const got = encode(blockIndex.response, { answers }).length;
    assert.ok(sent <= 64 * 1024 && got <= 64 * 1024, `${sent} ${got}`);
    bytes += sent + got;
    const step = comparison.answered(answers);
    for (const kind of ['missing', 'behind', 'lacking'] as const) found[kind].push(...step[kind]);
  }
  return { found, bytes, calls };
}

const named = (entries: readonly InventoryEntry[]) =>
  entries.map(({ address, generation }) => `${toHex(address)} ${generation}`).sort();

test('100,000 blocks of which ten differ: bytes go with the difference', (t) => {
  const all: [string, number][] = Array.from({ length: 100_000 }, (_, i) => [toHex(addressOf(i)), 1]);
  const theirs = inventoryOf(all);
  const same = compare(inventoryOf(all), theirs);
  assert.deepEqual([same.calls, named(same.found.missing)], [1, []]);
  assert.ok(same.bytes < 100, `${same.bytes} bytes for nothing`);
  const costs = [1, 10, 100].map((count) => {
    const lacks = new Set(Array.from({ length: count }, (_, i) => toHex(addressOf(i * 997))));
    const ours = inventoryOf(all.filter(([address]) => !lacks.has(address)));
    const { found, bytes, calls } = compare(ours, theirs);
    assert.deepEqual(found.missing.map(({ address }) => toHex(address)).sort(), [...lacks].sort());
    assert.equal(found.behind.length + found.lacking.length, 0);
    t.diagnostic(`${count} of 100,000 differ: ${bytes} bytes in ${calls} calls`);
    return bytes;
  }) as [number, number, number];
  const index = 100_000 * 36;
  assert.ok(costs[1] < 32 * 1024 && costs[1] < index / 100, `${costs[1]} bytes for ten`);
  assert.ok(costs[1] <= 11 * costs[0] && costs[2] <= 11 * costs[1], `${costs}`);
});

test('one who holds nothing is told everything; differing generations are told as such', () => {
  const all: [string, number][] = Array.from({ length: 5000 }, (_, i) => [toHex(addressOf(i)), i % 7]);
  const whole = compare(inventoryOf([]), inventoryOf(all));
  assert.deepEqual(named(whole.found.missing), all.map(([address, generation]) => `${address} ${generation}`).sort());
  const touched = inventoryOf(all);
  touched.set(addressOf(3), 99);
  touched.set(addressOf(4), 0);
  const { found } = compare(inventoryOf(all), touched);
  assert.deepEqual(named(found.behind), [`${toHex(addressOf(3))} 99`]);
  assert.deepEqual(named(found.lacking), [`${toHex(addressOf(4))} 4`]);
});

// Few leading bytes, so that many addresses share a bucket and borders fall between neighbours.
const addresses = fc
  .tuple(fc.constantFrom(0, 1, 15, 16, 17, 255), fc.constantFrom(0, 15, 16, 255), fc.nat(3))
  .map(([a, b, c]) => Buffer.concat([Buffer.from([a, b]), Buffer.alloc(29), Buffer.from([c])]));

test('an inventory is a map in order: sizes, entries and digests of ranges', () => {
  const change = fc.record({ address: addresses, generation: fc.nat(3), remove: fc.boolean() });
  fc.assert(
    fc.property(fc.array(change, { maxLength: 60 }), addresses, addresses, (changes, a, b) => {
      const inventory = new Inventory();
      const plain = new Map<string, number>();
      for (const { address, generation, remove } of changes) {
        if (remove) inventory.delete(address);
        else inventory.set(address, generation);
        if (remove) plain.delete(toHex(address));
        else plain.set(toHex(address), generation);
      }
      const [from, to] = compareBytes(a, b) <= 0 ? [a, b] : [b, a];
      const inside = [...plain].filter(([name]) => name >= toHex(from) && name <= toHex(to)).sort();
      assert.equal(inventory.size, plain.size);
      assert.equal(inventory.count({ from, to }), inside.length);
      assert.deepEqual(
        inventory.entries({ from, to }).map(({ address, generation }) => [toHex(address), generation]),
        inside,
      );
      for (const [name, generation] of plain) assert.equal(inventory.generation(fromHex(name)), generation);
      // Another that came to hold the same in another way, and more outside of the range.
      const other = inventoryOf([...inside].reverse());
      const outside = addressOf(1);
      if (compareBytes(outside, from) < 0 || compareBytes(outside, to) > 0) other.set(outside, 1);
      assert.deepEqual(other.digest({ from, to }), inventory.digest({ from, to }));
      if (inside.length > 0) {
        other.set(fromHex((inside[0] as [string, number])[0]), 77);
        assert.notDeepEqual(other.digest({ from, to }), inventory.digest({ from, to }));
      }
    }),
  );
});

test('parts of a range touch, do not overlap, and make the whole', () => {
  fc.assert(
    fc.property(
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      fc.uint8Array({ minLength: 32, maxLength: 32 }),
      (a, b) => {
        const [from, to] = compareBytes(a, b) <= 0 ? [a, b] : [b, a];
        const parts = cut({ from, to });
        assert.equal(toHex((parts[0] as Range).from), toHex(from));
        assert.equal(toHex((parts.at(-1) as Range).to), toHex(to));
        const number = (address: Uint8Array) => BigInt(`0x${toHex(address)}`);
        for (const [i, part] of parts.entries()) {
          assert.ok(number(part.from) <= number(part.to));
          if (i > 0) assert.equal(number(part.from), number((parts[i - 1] as Range).to) + 1n);
        }
      },
    ),
  );
  const one = { from: addressOf(1), to: addressOf(1) };
  assert.deepEqual(cut(one), [one]);
});

test('two nodes find exactly how they differ, whatever they hold', () => {
  const content = fc.array(fc.tuple(fc.nat(400), fc.nat(2)), { maxLength: 400 });
  fc.assert(
    fc.property(content, content, (a, b) => {
      const [ours, theirs] = [a, b].map(
        (pairs) => new Map(pairs.map(([i, generation]) => [toHex(addressOf(i)), generation])),
      ) as [Map<string, number>, Map<string, number>];
      const { found } = compare(inventoryOf(ours), inventoryOf(theirs));
      const missing = [...theirs].filter(([address]) => !ours.has(address));
      const behind = [...theirs].filter(([address, generation]) => (ours.get(address) ?? 9) < generation);
      const lacking = [...ours].filter(([address, generation]) => (theirs.get(address) ?? -1) < generation);
      const names = (pairs: [string, number][]) =>
        pairs.map(([address, generation]) => `${address} ${generation}`).sort();
      assert.deepEqual(named(found.missing), names(missing));
      assert.deepEqual(named(found.behind), names(behind));
      assert.deepEqual(named(found.lacking), names(lacking));
    }),
    { numRuns: 60 },
  );
});

test('answers that are none are refused, and nobody is led on for ever', () => {
  const ours = inventoryOf([[toHex(addressOf(1)), 1]]);
  const fresh = () => {
    const comparison = new Comparison(ours, [circle]);
    comparison.question();
    return comparison;
  };
  const corrupt = (error: unknown) => isError(error, 'corrupt');
  assert.throws(() => fresh().answered([]), corrupt);
  assert.throws(() => fresh().answered([{ type: 'parts', digests: [Buffer.alloc(16)] }]), corrupt);
  const [a, b] = [addressOf(5), addressOf(6)].sort(compareBytes) as [Buffer, Buffer];
  const entry = (address: Buffer) => ({ address, generation: 0 });
  assert.throws(() => fresh().answered([{ type: 'entries', entries: [entry(b), entry(a)] }]), corrupt);
  const narrow = new Comparison(ours, [{ from: a, to: a }]);
  narrow.question();
  assert.throws(() => narrow.answered([{ type: 'entries', entries: [entry(b)] }]), corrupt);
  assert.throws(() => answerRanges(ours, [{ from: b, to: a, digest: Buffer.alloc(16) }]), corrupt);
  const counting = new Inventory();
  assert.throws(
    () => answerRanges(counting, []),
    (error: unknown) => isError(error, 'unavailable'),
  );
  // A liar who finds differences everywhere ends at the limit.
  const endless = new Comparison(ours, [circle]);
  assert.throws(
    () => {
      for (let calls = 0; calls < 1_000_000; calls++) {
        const question = endless.question();
        if (question.length === 0) return;
        endless.answered(
          question.map(() => ({ type: 'parts' as const, digests: Array.from({ length: 16 }, () => randomBytes(16)) })),
        );
      }
    },
    (error: unknown) => isError(error, 'full', 'corrupt'),
  );
  assert.ok(limits.rangesWaitingMax <= 65_536);
});
