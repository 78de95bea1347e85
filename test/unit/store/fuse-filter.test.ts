import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../src/core/base/errors.ts';
import { buildFilter, type FilterBits, FuseFilter, filterWords } from '../../../src/core/store/fuse-filter.ts';

function keysOf(addresses: readonly Uint8Array[]) {
  const words = addresses.map(filterWords);
  return { high: Uint32Array.from(words, ([high]) => high), low: Uint32Array.from(words, ([, low]) => low) };
}

function filterOf(addresses: readonly Uint8Array[], bits: FilterBits = 8, salt = 'salt'): FuseFilter {
  return new FuseFilter(buildFilter(keysOf(addresses), bits, Buffer.from(salt)));
}

function some(count: number): Buffer[] {
  return Array.from({ length: count }, () => randomBytes(32));
}

test('whatever was put in is found, repeated or not, in sets of every size and width', () => {
  const sizes = fc.oneof(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 41, max: 3000 }));
  fc.assert(
    fc.property(sizes, fc.constantFrom<FilterBits>(8, 16, 32), fc.integer(), (size, bits, salt) => {
      const addresses = some(size);
      const filter = filterOf([...addresses, ...addresses.slice(0, size >> 1)], bits, String(salt));
      assert.equal(filter.count, size);
      for (const address of addresses) assert.ok(filter.has(address));
    }),
    { numRuns: 150 },
  );
});

test('keys that are near to each other are told apart', () => {
  const addresses = Array.from({ length: 5000 }, (_, i) => {
    const address = Buffer.alloc(32);
    address.writeUInt32BE(i >> 6, 8);
    address.writeUInt32BE(i & 63, 12);
    return address;
  });
  const filter = filterOf(addresses, 16);
  for (const address of addresses) assert.ok(filter.has(address));
});

test('one in 256 of the others is taken for one of the set, one in 65,536 with wider fingerprints, in few bits each', () => {
  const addresses = some(60_000);
  const others = some(200_000);
  const bytes = buildFilter(keysOf(addresses), 8, Buffer.from('1'));
  assert.ok((bytes.length * 8) / addresses.length < 9.8, `${(bytes.length * 8) / addresses.length} bits an address`);
  const mistakes = (filter: FuseFilter) => others.filter((other) => filter.has(other)).length / others.length;
  const eight = mistakes(new FuseFilter(bytes));
  assert.ok(eight > 0.003 && eight < 0.005, `${eight}`);
  assert.ok(mistakes(filterOf(addresses, 16)) < 0.0002);
  assert.equal(mistakes(filterOf(addresses, 32)), 0);
});

test('another salt makes other mistakes', () => {
  const addresses = some(2000);
  const [one, other] = [filterOf(addresses, 8, '1'), filterOf(addresses, 8, '2')];
  const both = some(100_000).filter((address) => one.has(address) && other.has(address));
  assert.ok(both.length < 20, `${both.length} mistakes are made twice`);
});

test('a filter of nothing has nothing', () => {
  const filter = filterOf([]);
  assert.ok(!some(1000).some((address) => filter.has(address)));
});

test('what is no filter is refused, and no filter reads outside itself', () => {
  const good = buildFilter(keysOf(some(100)), 16, Buffer.from('1'));
  fc.assert(
    fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(good.length), (at, byte, cut) => {
      const changed = Buffer.from(good);
      changed[at] = byte;
      for (const bytes of [changed, changed.subarray(0, cut)]) {
        try {
          const filter = new FuseFilter(bytes);
          for (const address of some(20)) filter.has(address);
        } catch (error) {
          assert.ok(isError(error, 'corrupt', 'unsupported'), String(error));
        }
      }
    }),
  );
});
