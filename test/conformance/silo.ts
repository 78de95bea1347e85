// What every silo must do, whatever it is made of. `silo.test.ts` runs it over all kinds; wrappers run it over themselves.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import fc from 'fast-check';
import { compareBytes } from '../../src/core/base/bytes.ts';
import { type ErrorKind, isError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import { hash } from '../../src/core/crypto/hash.ts';
import { type Silo, type SiloEntry, type Space, spaces } from '../../src/core/silo/silo.ts';

export interface SiloMaker {
  /** A fresh empty silo. */
  make(capacity?: number): Promise<Silo>;
  /** Closes the silo and opens the same bytes again; absent when closing loses them. */
  reopen?(silo: Silo): Promise<Silo>;
  /** False when the silo is made of several, whose batches and capacities are not one. */
  single: boolean;
}

export function keyOf(name: string | number): Buffer {
  return hash(Buffer.from(String(name)));
}

export async function fails(kind: ErrorKind, promise: Promise<unknown>): Promise<void> {
  await assert.rejects(promise, (error) => {
    assert.ok(isError(error, kind), `expected ${kind}, got ${String(error)}`);
    return true;
  });
}

export async function keysOf(silo: Silo, space: Space, after?: Buffer): Promise<string[]> {
  const out: string[] = [];
  for await (const key of silo.list(space, after)) out.push(Buffer.from(key).toString('hex'));
  return out;
}

export function siloConformance(name: string, maker: SiloMaker): void {
  const using = (capacity: number | undefined, test: (silo: Silo) => Promise<void>) => async () => {
    const silo = await maker.make(capacity);
    try {
      await test(silo);
    } finally {
      await silo.close();
    }
  };
  describe(`silo conformance: ${name}`, () => {
    basics(using);
    refusals(using);
    order(using);
    if (maker.single) atomicity(using);
    accounting(using, maker.single);
    randomRuns(maker);
    const { reopen } = maker;
    if (reopen) persistence(maker, reopen);
  });
}

type Using = (capacity: number | undefined, test: (silo: Silo) => Promise<void>) => () => Promise<void>;

function basics(using: Using): void {
  it(
    'gives back what was put, by space',
    using(undefined, async (silo) => {
      for (const space of spaces) await silo.put(space, keyOf(1), Buffer.from(`value in ${space}`));
      for (const space of spaces) assert.equal((await silo.get(space, keyOf(1))).toString(), `value in ${space}`);
      await fails('not-found', silo.get('block', keyOf(2)));
      assert.equal(silo.storeId.length, 8);
    }),
  );

  it(
    'keeps values of every size',
    using(undefined, async (silo) => {
      const sizes = [0, 1, 71, 72, 4095, 4096, 4097, 65_536, 1_000_003, limits.blockBytesMax, limits.siloValueBytesMax];
      for (const size of sizes) {
        const value = Buffer.alloc(size, `size ${size}.`);
        await silo.put('block', keyOf(size), value);
        assert.equal(await silo.size('block', keyOf(size)), size);
        assert.ok(value.equals(await silo.get('block', keyOf(size))));
        await silo.verify('block', keyOf(size));
      }
    }),
  );

  it(
    'replaces and deletes',
    using(undefined, async (silo) => {
      await silo.put('register', keyOf('r'), Buffer.from('one'));
      await silo.put('register', keyOf('r'), Buffer.from('second'));
      assert.equal((await silo.get('register', keyOf('r'))).toString(), 'second');
      await silo.delete('register', keyOf('r'));
      await silo.delete('register', keyOf('r'));
      await fails('not-found', silo.get('register', keyOf('r')));
      await fails('not-found', silo.getRange('register', keyOf('r'), 0, 1));
      await fails('not-found', silo.verify('register', keyOf('r')));
      assert.equal(await silo.size('register', keyOf('r')), undefined);
      await silo.put('register', keyOf('r'), Buffer.from('third'));
      assert.equal((await silo.get('register', keyOf('r'))).toString(), 'third');
    }),
  );

  it(
    'reads ranges, cut at the end',
    using(undefined, async (silo) => {
      const value = Buffer.from(Array.from({ length: 10_000 }, (_, i) => i % 251));
      await silo.put('block', keyOf('b'), value);
      for (const [offset, length] of [
        [0, 10_000],
        [0, 0],
        [1, 1],
        [4090, 20],
        [9_990, 100],
        [10_000, 5],
        [20_000, 5],
      ] as const) {
        assert.ok(
          value.subarray(offset, offset + length).equals(await silo.getRange('block', keyOf('b'), offset, length)),
        );
      }
      await fails('usage', silo.getRange('block', keyOf('b'), -1, 5));
    }),
  );

  it(
    'owns what it keeps: a returned value may be written to',
    using(undefined, async (silo) => {
      await silo.put('meta', keyOf('m'), Buffer.from('kept'));
      (await silo.get('meta', keyOf('m'))).fill(0);
      assert.equal((await silo.get('meta', keyOf('m'))).toString(), 'kept');
    }),
  );
}

function refusals(using: Using): void {
  it(
    'refuses bad keys, large values, large batches',
    using(undefined, async (silo) => {
      await fails('usage', silo.put('block', Buffer.alloc(31), Buffer.alloc(1)));
      await fails('usage', silo.get('block', Buffer.alloc(33)));
      await fails('usage', silo.put('nothing' as Space, keyOf(1), Buffer.alloc(1)));
      await fails('full', silo.put('block', keyOf(1), Buffer.alloc(limits.siloValueBytesMax + 1)));
      const half = Buffer.alloc(limits.siloBatchBytesMax / 2 + 1);
      await fails('full', silo.batch([1, 2].map((n) => ({ space: 'block', key: keyOf(n), value: half }))));
      assert.equal(silo.usage().entries, 0);
      assert.equal(silo.sequence(), 0);
    }),
  );

  it(
    'gives up when cancelled',
    using(undefined, async (silo) => {
      await silo.put('block', keyOf(1), Buffer.from('x'));
      await fails('cancelled', silo.get('block', keyOf(1), { signal: AbortSignal.abort() }));
    }),
  );

  it(
    'refuses everything after close, which may be repeated',
    using(undefined, async (silo) => {
      await silo.put('block', keyOf(1), Buffer.from('x'));
      await silo.close();
      await silo.close();
      await fails('unavailable', silo.get('block', keyOf(1)));
      await fails('unavailable', silo.put('block', keyOf(1), Buffer.from('x')));
      await fails('unavailable', keysOf(silo, 'block'));
    }),
  );
}

function order(using: Using): void {
  it(
    'applies changes of one key in the order called',
    using(undefined, async (silo) => {
      const changes: Promise<void>[] = [];
      for (let i = 0; i < 1500; i++) {
        const key = keyOf(i % 3);
        changes.push(i % 10 === 1 ? silo.delete('journal', key) : silo.put('journal', key, Buffer.from(`v${i}`)));
      }
      await Promise.all(changes);
      assert.equal((await silo.get('journal', keyOf(0))).toString(), 'v1497');
      assert.equal((await silo.get('journal', keyOf(1))).toString(), 'v1498');
      assert.equal((await silo.get('journal', keyOf(2))).toString(), 'v1499');
    }),
  );

  it(
    'lists keys in byte order, after a key, by space',
    using(undefined, async (silo) => {
      const keys = Array.from({ length: 700 }, (_, i) => keyOf(i));
      await Promise.all(keys.map((key) => silo.put('block', key, Buffer.from(key.subarray(0, 5)))));
      await silo.put('meta', keyOf('other'), Buffer.from('m'));
      await silo.delete('block', keyOf(3));
      const expected = keys.filter((_, i) => i !== 3).sort(compareBytes);
      const hex = expected.map((key) => key.toString('hex'));
      assert.deepEqual(await keysOf(silo, 'block'), hex);
      assert.deepEqual(await keysOf(silo, 'block', expected[300]), hex.slice(301));
      assert.deepEqual(await keysOf(silo, 'block', Buffer.alloc(32, 255)), []);
      assert.deepEqual(await keysOf(silo, 'meta'), [keyOf('other').toString('hex')]);
      assert.deepEqual(await keysOf(silo, 'generation'), []);
    }),
  );

  it(
    'scans keys with the first bytes of their values, as many as there are',
    using(undefined, async (silo) => {
      const keys = Array.from({ length: 300 }, (_, i) => keyOf(i)).sort(compareBytes);
      const values = keys.map((key, i) => Buffer.from(key.subarray(0, i % 32)));
      await Promise.all(keys.map((key, i) => silo.put('block', key, values[i] as Buffer)));
      await silo.put('meta', keyOf('other'), Buffer.from('m'));
      const expected = keys.map((key, i) => ({ key, start: values[i]?.subarray(0, 20) }));
      const scanned = async (after?: Buffer) => {
        const found = [];
        for await (const one of silo.scan('block', 20, after)) found.push(one);
        return found;
      };
      assert.deepEqual(await scanned(), expected);
      assert.deepEqual(await scanned(keys[100]), expected.slice(101));
    }),
  );
}

function atomicity(using: Using): void {
  it(
    'takes a batch whole; the last entry of a key counts',
    using(undefined, async (silo) => {
      await silo.put('meta', keyOf('gone'), Buffer.from('x'));
      const entries: SiloEntry[] = Array.from({ length: 600 }, (_, i) => ({
        space: 'block',
        key: keyOf(i),
        value: Buffer.from(`${i}`),
      }));
      entries.push({ space: 'meta', key: keyOf('gone'), value: undefined });
      entries.push({ space: 'block', key: keyOf(5), value: Buffer.from('again') });
      await silo.batch(entries);
      assert.equal((await silo.get('block', keyOf(5))).toString(), 'again');
      assert.equal((await silo.get('block', keyOf(599))).toString(), '599');
      assert.equal(await silo.size('meta', keyOf('gone')), undefined);
      assert.equal(silo.usage().blocks, 600);
      await silo.batch([]);
    }),
  );

  it(
    'is full at its capacity and changes nothing then; deleting still works',
    using(4 * 1024 * 1024, async (silo) => {
      const value = Buffer.alloc(20_000, 1);
      const kept: number[] = [];
      for (let i = 0; i < 450; i++) {
        try {
          await silo.put('block', keyOf(i), value);
          kept.push(i);
        } catch (error) {
          assert.ok(isError(error, 'full'));
        }
      }
      const taken = (kept.length * 20_000) / (4 * 1024 * 1024);
      assert.ok(taken > 0.65 && taken <= 1, `most of the capacity is usable, and no more: ${taken}`);
      const before = silo.usage();
      await fails(
        'full',
        silo.batch([
          { space: 'block', key: keyOf('small'), value: Buffer.alloc(100_000) },
          { space: 'block', key: keyOf('large'), value: Buffer.alloc(200_000) },
        ]),
      );
      assert.deepEqual(silo.usage(), before);
      assert.equal(await silo.size('block', keyOf('small')), undefined);
      for (const i of kept) await silo.put('block', keyOf(i), value);
      for (const i of kept) await silo.delete('block', keyOf(i));
      assert.equal(silo.usage().usedBytes, 0);
      await silo.put('block', keyOf('large'), Buffer.alloc(200_000));
    }),
  );

  it(
    'allows many replacements within its capacity',
    using(4 * 1024 * 1024, async (silo) => {
      const value = Buffer.alloc(200_000);
      for (let i = 0; i < 60; i++) {
        value[0] = i;
        await silo.put('register', keyOf(i % 4), Buffer.from(value));
      }
      for (let i = 56; i < 60; i++) assert.equal((await silo.get('register', keyOf(i % 4)))[0], i);
    }),
  );
}

function accounting(using: Using, single: boolean): void {
  it(
    'counts entries, bytes and changes',
    using(undefined, async (silo) => {
      assert.equal(silo.usage().usedBytes, 0);
      await silo.put('block', keyOf(1), Buffer.alloc(1000));
      await silo.put('meta', keyOf(1), Buffer.alloc(500));
      const first = silo.usage();
      assert.equal(first.entries, 2);
      assert.equal(first.blocks, 1);
      assert.ok(first.usedBytes >= 1500 && first.usedBytes <= 1500 + 2 * 128);
      await silo.put('block', keyOf(1), Buffer.alloc(10));
      assert.equal(first.usedBytes - silo.usage().usedBytes, 990);
      if (single) assert.equal(silo.sequence(), 3);
      await silo.delete('block', keyOf(1));
      await silo.delete('block', keyOf(1));
      if (single) assert.equal(silo.sequence(), 4, 'deleting nothing changes nothing');
      assert.equal(silo.usage().blocks, 0);
    }),
  );
}

const changes = fc.array(
  fc.record({
    space: fc.constantFrom<Space>('block', 'register', 'generation'),
    name: fc.nat(12),
    bytes: fc.option(fc.oneof(fc.nat(300), fc.nat(20_000)), { nil: undefined }),
  }),
  { maxLength: 60 },
);

function randomRuns(maker: SiloMaker): void {
  it('agrees with a map over random changes', async () => {
    await fc.assert(
      fc.asyncProperty(changes, async (list) => {
        let silo = await maker.make();
        const model = new Map<string, Buffer>();
        for (const [i, { space, name, bytes }] of list.entries()) {
          const key = keyOf(name);
          if (bytes === undefined) await silo.delete(space, key);
          else await silo.put(space, key, Buffer.alloc(bytes, i + 1));
          if (bytes === undefined) model.delete(`${space}/${key.toString('hex')}`);
          else model.set(`${space}/${key.toString('hex')}`, Buffer.alloc(bytes, i + 1));
        }
        if (maker.reopen) silo = await maker.reopen(silo);
        assert.equal(silo.usage().entries, model.size);
        for (const [name, value] of model) {
          const [space, hex] = name.split('/') as [Space, string];
          assert.ok(value.equals(await silo.get(space, Buffer.from(hex, 'hex'))));
        }
        await silo.close();
      }),
      { numRuns: 8 },
    );
  });
}

function persistence(maker: SiloMaker, reopen: (silo: Silo) => Promise<Silo>): void {
  it('is the same silo when opened again', async () => {
    let silo = await maker.make();
    const storeId = Buffer.from(silo.storeId);
    for (let round = 0; round < 4; round++) {
      await Promise.all(
        Array.from({ length: 300 }, (_, i) => silo.put('block', keyOf(`${round}/${i}`), Buffer.alloc(i * 7, round))),
      );
      await silo.delete('block', keyOf(`${round}/299`));
      const [before, sequence] = [silo.usage(), silo.sequence()];
      silo = await reopen(silo);
      assert.ok(storeId.equals(silo.storeId));
      assert.deepEqual([silo.usage().usedBytes, silo.usage().entries], [before.usedBytes, before.entries]);
      assert.equal(silo.sequence(), sequence);
    }
    for (let round = 0; round < 4; round++) {
      for (let i = 0; i < 299; i++)
        assert.ok(Buffer.alloc(i * 7, round).equals(await silo.get('block', keyOf(`${round}/${i}`))));
      await fails('not-found', silo.get('block', keyOf(`${round}/299`)));
    }
    await silo.close();
  });

  it('takes another identity when asked, for good, and keeps its content', async () => {
    let silo = await maker.make();
    const before = Buffer.from(silo.storeId);
    await silo.put('register', keyOf('kept'), Buffer.from('kept'));
    await silo.renew();
    const after = Buffer.from(silo.storeId);
    assert.ok(!after.equals(before));
    silo = await reopen(silo);
    assert.ok(after.equals(silo.storeId));
    assert.equal((await silo.get('register', keyOf('kept'))).toString(), 'kept');
    await silo.close();
  });
}
