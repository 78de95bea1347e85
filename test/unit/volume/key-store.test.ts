// The keys view over the tree engine: every method, every size class of values, and what commits do to them.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { decode } from '../../../src/core/base/codec.ts';
import { type ErrorKind, isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { chunkRecord, spaceRange } from '../../../src/core/tree/keys.ts';
import type { MapReader, TreeView } from '../../../src/core/tree/tree.ts';
import { openKeyStore } from '../../../src/core/volume/key-store.ts';
import { keyView } from '../../../src/core/volume/key-view.ts';
import type { KeyStore } from '../../../src/core/volume/keys.ts';
import { TreeWorld } from '../../fakes/fake-tree.ts';

/** The keys view, and a query for the chunk table: the live bytes of each chunk. */
const inspected: TreeView = {
  ...keyView,
  async query(query: Uint8Array, reader: MapReader) {
    if (query.length > 0) return keyView.query(query, reader);
    const live: number[] = [];
    const { from, to } = spaceRange('chunk');
    for await (const { value } of reader.scan(from, to)) live.push(decode(chunkRecord, value).live);
    return utf8(JSON.stringify(live));
  },
};

async function opened() {
  const w = new TreeWorld({ view: inspected });
  await w.found();
  const a = await w.open('a');
  const store = openKeyStore(a.tree);
  const run = <T>(promise: Promise<T>): Promise<T> => w.world.until(promise);
  const live = async () => JSON.parse(Buffer.from(await run(a.tree.query(Buffer.alloc(0)))).toString()) as number[];
  const refused = (promise: Promise<unknown>, kind: ErrorKind) =>
    assert.rejects(run(promise), (error) => isError(error, kind));
  return { w, a, store, run, live, refused };
}

const k = utf8;
const sizes = [0, 1, 256, 257, 4096, limits.cellBytesMax, limits.cellBytesMax + 1, 3 * 1024 * 1024 + 5];

function pattern(size: number, salt = 0): Buffer {
  const out = Buffer.alloc(size);
  for (let i = 0; i < size; i++) out[i] = (i * 31 + (i >> 8) + salt) & 255;
  return out;
}

describe('key-value store', () => {
  test('values of every size, before and after a commit, from another process', async () => {
    const { w, a, store, run } = await opened();
    const versions = new Map<number, number>();
    for (const size of sizes) versions.set(size, await run(store.put(k(`v${size}`), pattern(size))));
    const b = await w.open('b');
    const other = openKeyStore(b.tree);
    const check = async (from: KeyStore) => {
      for (const size of sizes) {
        const got = await run(from.get(k(`v${size}`)));
        assert.ok(pattern(size).equals(got.value), `value of ${size} bytes`);
        assert.equal(got.version, versions.get(size));
      }
    };
    await check(store);
    await check(other);
    await run(a.tree.commit());
    await check(store);
    await check(other);
    await run(a.tree.stop());
    await check(other);
    const { entries } = await run(other.list());
    assert.deepEqual(
      entries.map(({ key, size }) => [Buffer.from(key).toString(), size]),
      sizes.map((size) => [`v${size}`, size]).sort(([x], [y]) => ((x as string) < (y as string) ? -1 : 1)),
    );
  });

  test('a value of up to 64 KiB is durable in one round trip and moves into a pack at the commit', async () => {
    const { w, a, store, run, live } = await opened();
    await run(store.put(k('warm'), k('up')));
    const { put, append } = w.cluster.counts;
    for (let i = 0; i < 20; i++) await run(store.put(k(`p${i}`), pattern(1000, i)));
    assert.equal(w.cluster.counts.put, put);
    assert.equal(w.cluster.counts.append, append + 20);
    await run(a.tree.commit());
    assert.deepEqual(await live(), [20_000]);
    for (let i = 0; i < 20; i++) assert.ok(pattern(1000, i).equals((await run(store.get(k(`p${i}`)))).value));
  });

  test('replaced and deleted values leave the live bytes of their chunks', async () => {
    const { a, store, run, live } = await opened();
    for (let i = 0; i < 10; i++) await run(store.put(k(`p${i}`), pattern(1000)));
    await run(store.put(k('large'), pattern(100_000)));
    await run(a.tree.commit());
    assert.deepEqual(
      (await live()).sort((x, y) => x - y),
      [10_000, 100_000],
    );
    await run(store.put(k('p1'), k('small')));
    await run(store.put(k('p2'), pattern(2000)));
    assert.equal(await run(store.delete(k('p3'))), true);
    await run(store.delete(k('large')));
    assert.deepEqual(
      (await live()).sort((x, y) => x - y),
      [0, 7000],
    );
    await run(a.tree.commit());
    assert.deepEqual(
      (await live()).sort((x, y) => x - y),
      [0, 2000, 7000],
    );
  });

  test('a value replaced while the commit runs is dead in its pack', async () => {
    const { w, a, store, run, live } = await opened();
    for (let i = 0; i < 10; i++) await run(store.put(k(`p${i}`), pattern(1000)));
    const commit = a.tree.commit();
    const puts = [store.put(k('p4'), k('new')), store.delete(k('p5'))];
    await run(Promise.all([commit, ...puts]));
    await w.world.run(2000);
    assert.deepEqual(await live(), [8000]);
    assert.equal(Buffer.from((await run(store.get(k('p4')))).value).toString(), 'new');
    await run(a.tree.commit());
    await run(a.tree.stop());
    const again = openKeyStore((await w.open('b')).tree);
    assert.equal(Buffer.from((await run(again.get(k('p4')))).value).toString(), 'new');
    assert.ok(pattern(1000).equals((await run(again.get(k('p6')))).value));
  });

  test('conditions', async () => {
    const { store, run, refused } = await opened();
    const first = await run(store.put(k('x'), k('1'), { ifAbsent: true }));
    await refused(store.put(k('x'), k('2'), { ifAbsent: true }), 'exists');
    const second = await run(store.put(k('x'), k('2'), { ifVersion: first }));
    assert.ok(second > first);
    await refused(store.put(k('x'), k('3'), { ifVersion: first }), 'conflict');
    await refused(store.put(k('none'), k('3'), { ifVersion: 1 }), 'conflict');
    await refused(store.delete(k('x'), { ifVersion: first }), 'conflict');
    assert.equal(await run(store.delete(k('x'), { ifVersion: second })), true);
    assert.equal(await run(store.delete(k('x'))), false);
    await refused(store.get(k('x')), 'not-found');
  });

  test('keys and values out of bounds', async () => {
    const { store, run, refused } = await opened();
    await refused(store.put(Buffer.alloc(0), k('x')), 'usage');
    await refused(store.get(Buffer.alloc(limits.keyBytesMax + 1)), 'usage');
    await refused(store.put(k('x'), Buffer.alloc(limits.valueBytesMax + 1)), 'usage');
    await refused(store.list({ limit: limits.listKeysMax + 1 }), 'usage');
    const longest = Buffer.alloc(limits.keyBytesMax, 0xff);
    await run(store.put(longest, k('x')));
    assert.equal((await run(store.list({ prefix: Buffer.from([0xff, 0xff]) }))).entries.length, 1);
  });

  test('lists by prefix, in pages, across memtable and base', async () => {
    const { a, store, run } = await opened();
    const names = Array.from({ length: 60 }, (_, i) => `p/${String(i).padStart(3, '0')}`);
    for (const [i, name] of names.entries()) {
      await run(store.put(k(name), k(name)));
      if (i === 30) await run(a.tree.commit());
    }
    await run(store.put(k('other'), k('x')));
    await run(store.delete(k('p/010')));
    await run(store.delete(k('p/050')));
    const found: string[] = [];
    let startAfter: Uint8Array | undefined;
    for (;;) {
      const page = await run(store.list({ prefix: k('p/'), limit: 7, ...(startAfter && { startAfter }) }));
      found.push(...page.entries.map(({ key }) => Buffer.from(key).toString()));
      startAfter = page.entries.at(-1)?.key;
      if (!page.truncated) break;
    }
    assert.deepEqual(
      found,
      names.filter((name) => !['p/010', 'p/050'].includes(name)),
    );
  });

  test('watches see changes under their prefix, here and from a follower', async () => {
    const { w, store, run } = await opened();
    await run(store.put(k('a/0'), k('x')));
    const other = openKeyStore((await w.open('b')).tree);
    const collect = (from: KeyStore, signal: AbortSignal, into: string[]) =>
      (async () => {
        for await (const change of from.watch(k('a/'), { signal }))
          into.push(`${change.type} ${Buffer.from(change.key)} ${change.version}`);
      })();
    const stop = new AbortController();
    const here: string[] = [];
    const there: string[] = [];
    const ends = [collect(store, stop.signal, here), collect(other, stop.signal, there)];
    await w.world.run(1000);
    const one = await run(other.put(k('a/1'), k('x')));
    await run(store.put(k('b/1'), k('x')));
    await run(store.delete(k('a/0')));
    await w.world.run(1000);
    stop.abort();
    await run(Promise.all(ends));
    assert.deepEqual(here, [`put a/1 ${one}`, `delete a/0 ${one + 2}`]);
    assert.deepEqual(there, here);
  });

  test('a watch goes on over a change of leader, and misses nothing', async () => {
    const { w, a, store, run } = await opened();
    await run(store.put(k('warm'), k('x')));
    const b = await w.open('b');
    const c = await w.open('c');
    const seen = new Set<number>();
    void (async () => {
      for await (const { version } of openKeyStore(b.tree).watch(k('a/'))) seen.add(version);
    })();
    await w.world.run(1000);
    const other = openKeyStore(c.tree);
    const versions: number[] = [];
    for (let i = 0; i < 10; i++) {
      if (i === 5) a.process.crash();
      versions.push(await run(other.put(k(`a/${i}`), k('x'))));
    }
    await w.world.run(10_000);
    assert.deepEqual(
      versions.filter((version) => !seen.has(version)),
      [],
    );
  });

  test('a watch that cannot keep up ends with an error', async () => {
    const { store, run, refused } = await opened();
    await run(store.put(k('warm'), k('x')));
    const changes = store.watch(k(''))[Symbol.asyncIterator]();
    const puts = Array.from({ length: limits.changesKeptMax + 1 }, (_, i) => store.put(k(`${i}`), k('')));
    await run(Promise.all(puts));
    for (let i = 0; i < limits.changesKeptMax; i++) assert.equal((await run(changes.next())).done, false);
    await refused(changes.next(), 'full');
    assert.equal((await run(changes.next())).done, true);
  });
});
