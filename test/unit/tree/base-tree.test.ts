// The base tree and the layers above it against a plain sorted map (docs/tree-schema.md, property tests).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { brotliCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { type Bytes, toHex, u32Bytes, utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { encodeImmutable } from '../../../src/core/block/immutable.ts';
import { seal } from '../../../src/core/crypto/cipher.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { BaseTree } from '../../../src/core/tree/base/base-tree.ts';
import { LayeredReader } from '../../../src/core/tree/base/layered-reader.ts';
import { encodeNode, type Node } from '../../../src/core/tree/base/node.ts';
import { NodeStore } from '../../../src/core/tree/base/node-store.ts';
import { OverlayTransaction } from '../../../src/core/tree/base/overlay-transaction.ts';
import { Memtable } from '../../../src/core/tree/memtable.ts';
import type { Effect, MapReader, NodeRef } from '../../../src/core/tree/tree.ts';
import { MemoryBlocks, memoryRuntime } from './memory-blocks.ts';

const first = Buffer.alloc(0);
const last = Buffer.alloc(40, 0xff);

function openStore(blocks: MemoryBlocks, cacheBytesMax = 1 << 26): NodeStore {
  const putOptions = () => ({ generation: 1, quorum: 2 });
  return new NodeStore({ runtime: memoryRuntime(), blocks, treeTag: Buffer.alloc(16, 7), putOptions, cacheBytesMax });
}

/** The dumb model: hexadecimal keys, sorted when asked. */
class Model {
  readonly map = new Map<string, string>();
  apply(effect: Effect): void {
    if (effect.type === 'put') this.map.set(toHex(effect.key), toHex(effect.value));
    else if (effect.type === 'delete') this.map.delete(toHex(effect.key));
    else
      for (const key of this.map.keys()) if (key >= toHex(effect.from) && key < toHex(effect.to)) this.map.delete(key);
  }
  entries(from: Bytes = first, to: Bytes = last): string[] {
    const keys = [...this.map.keys()].filter((key) => key >= toHex(from) && key < toHex(to)).sort();
    return keys.map((key) => `${key}=${this.map.get(key)}`);
  }
}

async function entries(reader: MapReader, from: Bytes = first, to: Bytes = last): Promise<string[]> {
  const out: string[] = [];
  for await (const { key, value } of reader.scan(from, to)) out.push(`${toHex(key)}=${toHex(value)}`);
  return out;
}

/** Every node is well formed where it is: levels, bounds, sizes; returns the number of nodes a level. */
async function checkShape(tree: BaseTree): Promise<number[]> {
  const counts: number[] = [];
  const visit = async (ref: NodeRef, level: number, low: Bytes, high: Bytes | undefined): Promise<void> => {
    const node: Node = await tree.store.load(ref, level);
    counts[level] = (counts[level] ?? 0) + 1;
    for (let i = 0; i < node.count; i++) {
      const key = node.keyAt(i);
      assert.ok(Buffer.compare(key, low) >= 0 || (level > 0 && i === 0), 'key above the lower bound');
      assert.ok(high === undefined || Buffer.compare(key, high) < 0, 'key below the upper bound');
      const lower = i === 0 ? low : key;
      if (level > 0) await visit(node.refAt(i), level - 1, lower, i + 1 < node.count ? node.keyAt(i + 1) : high);
    }
    assert.ok(node.count === 1 || node.bytes.length <= 25 * 1024, `node of ${node.bytes.length} bytes`);
  };
  if (tree.root) await visit(tree.root, tree.height - 1, first, undefined);
  return counts;
}

const key = fc.oneof(
  fc.integer({ min: 0, max: 3000 }).map((n) => Buffer.concat([utf8('k'), u32Bytes(n)])),
  fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
  fc.integer({ min: 0, max: 3000 }).map((n) => Buffer.concat([Buffer.alloc(900, 1), u32Bytes(n)])),
);
const value = fc.oneof(
  { weight: 8, arbitrary: fc.integer({ min: 0, max: 400 }).map((n) => Buffer.alloc(n, n)) },
  { weight: 1, arbitrary: fc.constant(Buffer.alloc(30_000, 5)) },
);
const effect: fc.Arbitrary<Effect> = fc.oneof(
  { weight: 6, arbitrary: fc.record({ type: fc.constant('put' as const), key, value }) },
  { weight: 3, arbitrary: fc.record({ type: fc.constant('delete' as const), key }) },
  {
    weight: 1,
    arbitrary: fc.tuple(key, key).map(([a, b]): Effect => {
      const [from, to] = Buffer.compare(a, b) < 0 ? [a, b] : [b, a];
      return { type: 'deleteRange', from, to };
    }),
  },
);
/** A batch of many puts, so that trees get several levels. */
const bulk: fc.Arbitrary<Effect[]> = fc
  .tuple(
    fc.constantFrom(utf8('k'), Buffer.alloc(900, 1)),
    fc.integer({ min: 0, max: 3000 }),
    fc.integer({ min: 1, max: 700 }),
    fc.integer({ min: 0, max: 300 }),
  )
  .map(([prefix, start, count, length]) =>
    Array.from({ length: count }, (_, i): Effect => {
      return { type: 'put', key: Buffer.concat([prefix, u32Bytes(start + i)]), value: Buffer.alloc(length, i) };
    }),
  );
const batch = fc.oneof(fc.array(effect, { maxLength: 60 }), bulk);

test('random effects: memtables over a base equal a plain map at every commit, and after reloading', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(batch, { minLength: 1, maxLength: 8 }), key, key, async (batches, from, to) => {
      const blocks = new MemoryBlocks();
      const model = new Model();
      let base = new BaseTree(openStore(blocks));
      for (const [i, effects] of batches.entries()) {
        const half = effects.length >> 1;
        const lower = new Memtable();
        lower.apply(effects.slice(0, half));
        lower.freeze();
        const upper = new Memtable();
        upper.apply(effects.slice(half));
        for (const effect of effects) model.apply(effect);
        const layered = new LayeredReader([upper, lower], base);
        assert.deepEqual(await entries(layered), model.entries());
        assert.deepEqual(await entries(layered, from, to), model.entries(from, to));
        for (const effect of effects.slice(0, 20))
          if (effect.type !== 'deleteRange') {
            const found = await layered.get(effect.key);
            assert.equal(found && toHex(found), model.map.get(toHex(effect.key)));
          }
        for (const table of [lower, upper]) base = new BaseTree(base.store, await base.merge(table.effects()));
        // Every other commit is read by somebody who has nothing in memory.
        if (i % 2 === 1) base = new BaseTree(openStore(blocks), base);
        assert.deepEqual(await entries(base), model.entries());
        assert.deepEqual(await entries(base, from, to), model.entries(from, to));
        await checkShape(base);
      }
    }),
    { numRuns: 25, endOnFailure: true, includeErrorInReport: true },
  );
});

function puts(count: number, from = 0): Effect[] {
  return Array.from({ length: count }, (_, i): Effect => {
    return { type: 'put', key: Buffer.concat([utf8('k'), u32Bytes(from + i)]), value: hash(u32Bytes(from + i)) };
  });
}

function deletion(effect: Effect): Effect {
  return { type: 'delete', key: (effect as { key: Bytes }).key };
}

async function committed(blocks: MemoryBlocks, effects: Effect[]): Promise<BaseTree> {
  const empty = new BaseTree(openStore(blocks));
  return new BaseTree(empty.store, await empty.merge(effects));
}

test('a commit writes changed nodes only, and nothing for changes that change nothing', async () => {
  const base = await committed(new MemoryBlocks(), puts(40_000));
  assert.equal(base.height, 2);
  const [leaves = 0] = await checkShape(base);
  assert.ok(leaves > 100 && leaves < 250, `${leaves} leaves`);
  const same = await base.merge([...puts(10), { type: 'delete', key: utf8('q') }]);
  assert.deepEqual([same.root, same.written.nodes], [base.root, 0]);
  const one = await base.merge([
    { type: 'put', key: Buffer.concat([utf8('k'), u32Bytes(20_000)]), value: utf8('new') },
  ]);
  assert.equal(one.written.nodes, 2);
  const next = new BaseTree(base.store, one);
  assert.deepEqual(await next.get(Buffer.concat([utf8('k'), u32Bytes(20_000)])), utf8('new'));
  assert.deepEqual(await base.get(Buffer.concat([utf8('k'), u32Bytes(20_000)])), hash(u32Bytes(20_000)));
});

test('long keys make a deep tree', async () => {
  const long = puts(9_000).map((effect) => ({
    ...effect,
    key: Buffer.concat([Buffer.alloc(1000, 1), (effect as { key: Bytes }).key]),
  })) as Effect[];
  const base = await committed(new MemoryBlocks(), long);
  assert.ok(base.height >= 4, `height ${base.height}`);
  await checkShape(base);
  const thin = new BaseTree(base.store, await base.merge(long.filter((_, i) => i % 3 > 0).map(deletion)));
  await checkShape(thin);
  assert.equal((await entries(thin)).length, 3_000);
  const again = new BaseTree(thin.store, await thin.merge(long));
  await checkShape(again);
  assert.deepEqual(await entries(again), await entries(base));
});

test('a deleted range drops subtrees unread and shrinks the tree', async () => {
  const blocks = new MemoryBlocks();
  const full = await committed(blocks, puts(40_000));
  const base = new BaseTree(openStore(blocks), full);
  const range: Effect = { type: 'deleteRange', from: utf8('k'), to: Buffer.concat([utf8('k'), u32Bytes(39_990)]) };
  const small = await base.merge([range]);
  assert.ok(base.store.counters.nodesFetched <= 6, `${base.store.counters.nodesFetched} nodes fetched`);
  assert.equal(small.height, 1);
  const rest = new BaseTree(base.store, small);
  assert.equal((await entries(rest)).length, 10);
  const none = await rest.merge([{ type: 'deleteRange', from: utf8('a'), to: utf8('z') }]);
  assert.deepEqual([none.root, none.height], [undefined, 0]);
});

test('repeated deletions and insertions keep leaves filled', async () => {
  let base = await committed(new MemoryBlocks(), puts(20_000));
  for (let round = 0; round < 5; round++) {
    const thin = puts(20_000).filter((_, i) => i % 10 !== round);
    const deletes = thin.map(deletion);
    base = new BaseTree(base.store, await base.merge(deletes));
    const [leaves = 0] = await checkShape(base);
    assert.ok(leaves <= 14, `${leaves} leaves for 2000 entries`);
    base = new BaseTree(base.store, await base.merge(puts(20_000)));
  }
  assert.equal((await entries(base)).length, 20_000);
});

test('a scan reads only what it is asked for, ahead but not far', async () => {
  const blocks = new MemoryBlocks();
  const base = new BaseTree(openStore(blocks), await committed(blocks, puts(40_000)));
  for await (const _ of base.scan(first, last)) break;
  assert.ok(base.store.counters.nodesFetched <= 4, `${base.store.counters.nodesFetched} nodes for one entry`);
  const narrow = new BaseTree(openStore(blocks), base);
  assert.equal((await entries(narrow, Buffer.from('6b00000100', 'hex'), Buffer.from('6b00000110', 'hex'))).length, 16);
  assert.ok(narrow.store.counters.nodesFetched <= 4);
});

test('a small cache changes nothing but the number of reads', async () => {
  const blocks = new MemoryBlocks();
  const full = await committed(blocks, puts(20_000));
  const base = new BaseTree(openStore(blocks, 64 * 1024), full);
  assert.deepEqual(await entries(base), await entries(full));
  assert.ok(base.store.cachedBytes <= 64 * 1024);
  const merged = new BaseTree(base.store, await base.merge(puts(20_000, 10_000)));
  assert.equal((await entries(merged)).length, 30_000);
});

test('a failing put fails the merge and leaves the old tree as it was', async () => {
  const blocks = new MemoryBlocks();
  const base = await committed(blocks, puts(20_000));
  let left = 5;
  blocks.onPut = () => {
    if (left-- <= 0) throw new Error('no quorum');
  };
  await assert.rejects(base.merge(puts(20_000, 5_000)), /no quorum/);
  assert.equal((await entries(base)).length, 20_000);
});

test('a merge yields to others and stops when told', async () => {
  const blocks = new MemoryBlocks();
  const runtime = memoryRuntime();
  let yields = 0;
  const controller = new AbortController();
  const clock = {
    ...runtime.clock,
    sleep: () => {
      yields++;
      return runtime.clock.sleep(0);
    },
  };
  const putOptions = () => ({ generation: 1, quorum: 1 });
  const store = new NodeStore({ runtime: { ...runtime, clock }, blocks, treeTag: Buffer.alloc(16), putOptions });
  await new BaseTree(store).merge(puts(30_000));
  assert.ok(yields >= 50, `${yields} yields`);
  const stopped = new BaseTree(store).merge(puts(30_000), { signal: controller.signal });
  controller.abort();
  await assert.rejects(stopped, (error) => isError(error, 'cancelled'));
});

test('puts of a merge are bounded', async () => {
  const blocks = new MemoryBlocks();
  await committed(blocks, puts(60_000));
  assert.ok(blocks.inFlightMax <= 40, `${blocks.inFlightMax} puts at once`);
});

test('nodes of another tree, of another kind or with changed bytes are refused', async () => {
  const blocks = new MemoryBlocks();
  const base = await committed(blocks, puts(2_000));
  const other = new NodeStore({
    runtime: memoryRuntime(),
    blocks,
    treeTag: Buffer.alloc(16, 8),
    putOptions: () => ({ generation: 1, quorum: 1 }),
  });
  const isCorrupt = (error: unknown) => isError(error, 'corrupt');
  await assert.rejects(new BaseTree(other, base).get(utf8('k')), isCorrupt);
  const { root } = base;
  assert.ok(root);
  await assert.rejects(new BaseTree(openStore(blocks), { root, height: 3 }).get(utf8('k')), isCorrupt);
  await assert.rejects(
    new BaseTree(openStore(blocks), { ...base, root: { ...root, key: Buffer.alloc(32) } }).get(utf8('k')),
    isCorrupt,
  );
  assert.throws(() => new BaseTree(other, { root, height: 99 }), isCorrupt);
});

test('a hostile writer of the tree can at worst make a node unreadable', async () => {
  const blocks = new MemoryBlocks();
  const treeTag = Buffer.alloc(16, 7);
  const key = Buffer.alloc(32, 1);
  const read = async (kind: number, codec: number, body: Buffer): Promise<unknown> => {
    const prefix = Buffer.from([kind, codec]);
    const sealed = seal(key, Buffer.alloc(12), body, Buffer.concat([treeTag, prefix]));
    const address = await blocks.put(encodeImmutable(treeTag, 'aes256gcm', [prefix, sealed]), {
      generation: 1,
      quorum: 1,
    });
    return openStore(blocks).load({ address, key, stored: 1 }, 0);
  };
  const leaf = encodeNode(0, [utf8('a')], [utf8('b')]);
  assert.deepEqual(((await read(1, 0, leaf)) as Node).find(utf8('a')), utf8('b'));
  const isCorrupt = (error: unknown) => isError(error, 'corrupt');
  await assert.rejects(read(2, 0, leaf), isCorrupt);
  await assert.rejects(read(1, 7, leaf), isCorrupt);
  await assert.rejects(read(1, 2, leaf), isCorrupt);
  await assert.rejects(read(1, 0, Buffer.alloc(100)), isCorrupt);
  await assert.rejects(read(1, 0, encodeNode(1, [utf8('a')], [Buffer.alloc(67)])), isCorrupt);
  await assert.rejects(read(1, 2, brotliCompressSync(Buffer.alloc(4 << 20))), isCorrupt);
  await assert.rejects(read(1, 0, Buffer.alloc(0)), isCorrupt);
  const empty = await blocks.put(encodeImmutable(treeTag, 'aes256gcm', []), { generation: 1, quorum: 1 });
  await assert.rejects(openStore(blocks).load({ address: empty, key, stored: 1 }, 0), isCorrupt);
});

test('an aborted read gives up alone', async () => {
  const blocks = new MemoryBlocks();
  const base = new BaseTree(openStore(blocks), await committed(blocks, puts(2_000)));
  const controller = new AbortController();
  const aborted = base.get(utf8('k'), { signal: controller.signal });
  const other = base.get(Buffer.concat([utf8('k'), u32Bytes(7)]));
  controller.abort();
  await assert.rejects(aborted, (error) => isError(error, 'cancelled'));
  assert.deepEqual(await other, hash(u32Bytes(7)));
});

test('a transaction sees its own changes; nobody else does before its effects are applied', async () => {
  const base = await committed(new MemoryBlocks(), puts(100));
  const open = new Memtable();
  open.apply([{ type: 'put', key: utf8('open'), value: utf8('1') }]);
  const reader = new LayeredReader([open], base);
  const transaction = new OverlayTransaction(reader, {
    sequence: 5,
    allocate: async () => 9,
    willAllocate: () => false,
  });
  transaction.deleteRange(utf8('k'), utf8('l'));
  transaction.put(utf8('kz'), utf8('2'));
  transaction.delete(utf8('open'));
  assert.deepEqual(await entries(transaction), ['6b7a=32']);
  assert.equal(await transaction.get(utf8('open')), undefined);
  assert.equal((await entries(reader)).length, 101);
  assert.equal(await transaction.allocate('inode'), 9);
  const before = reader.snapshot();
  open.apply(transaction.effects());
  assert.deepEqual(await entries(reader), ['6b7a=32']);
  assert.equal((await entries(before)).length, 101);
  assert.throws(
    () => transaction.put(Buffer.alloc(1201), utf8('')),
    (error) => isError(error, 'usage'),
  );
  assert.throws(
    () => transaction.put(utf8('a'), Buffer.alloc(600_000)),
    (error) => isError(error, 'full'),
  );
});
