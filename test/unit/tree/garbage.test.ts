// The parts of garbage collection: marks in bounded memory, the order of a capture, packing of what sparse chunks hold.

import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { describe, test } from 'node:test';
import { utf8 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { Mutex } from '../../../src/core/base/lifecycle.ts';
import { FuseFilter } from '../../../src/core/store/fuse-filter.ts';
import type { Arc } from '../../../src/core/store/sweep-messages.ts';
import { collectedTree } from '../../../src/core/tree/collected.ts';
import { checkGeneration } from '../../../src/core/tree/committer.ts';
import type { Garbage, GarbageOptions } from '../../../src/core/tree/garbage/garbage.ts';
import { Marks } from '../../../src/core/tree/garbage/marks.ts';
import { openKeyStore } from '../../../src/core/volume/key-store.ts';
import { keyView } from '../../../src/core/volume/key-view.ts';
import { type Opened, TreeWorld } from '../../fakes/fake-tree.ts';

/** All arcs of the ring, in as many windows as it takes. */
function arcsOf(addresses: readonly Buffer[], most: number): { arcs: Arc[]; windows: number } {
  const arcs: Arc[] = [];
  let windows = 0;
  for (let first = 0; first < 2 ** 32; windows++) {
    const marks = new Marks(first, most);
    for (const address of addresses) marks.add(address);
    assert.ok(marks.count <= most);
    arcs.push(...marks.arcs(Buffer.from('salt')));
    first = marks.last + 1;
  }
  return { arcs, windows };
}

function isMarked(arcs: readonly Arc[], address: Buffer): boolean {
  const word = address.readUInt32BE(0);
  const arc = arcs.find(({ first, last }) => first <= word && word <= last);
  assert.ok(arc, 'the arcs cover the ring');
  return new FuseFilter(arc.filter).has(address);
}

describe('marks', () => {
  const addresses = Array.from({ length: 3000 }, () => randomBytes(32));
  const others = Array.from({ length: 3000 }, () => randomBytes(32));

  test('of a tree that fits are one arc, and nothing else is taken for marked', () => {
    const { arcs, windows } = arcsOf(addresses, 10_000);
    assert.equal(windows, 1);
    assert.deepEqual([arcs.length, arcs[0]?.first, arcs[0]?.last], [1, 0, 2 ** 32 - 1]);
    for (const address of addresses) assert.ok(isMarked(arcs, address));
    assert.equal(others.filter((address) => isMarked(arcs, address)).length, 0);
  });

  test('that do not fit are taken in several walks: windows follow each other, nothing is forgotten', () => {
    const { arcs, windows } = arcsOf(addresses, 1024);
    assert.ok(windows >= 3 && windows < 16, `${windows}`);
    for (const [i, arc] of arcs.entries()) assert.equal(arc.first, i === 0 ? 0 : (arcs[i - 1] as Arc).last + 1);
    assert.equal(arcs.at(-1)?.last, 2 ** 32 - 1);
    for (const address of addresses) assert.ok(isMarked(arcs, address));
    assert.ok(others.filter((address) => isMarked(arcs, address)).length < 60);
  });

  test('of many blocks are cut into arcs that are built in short turns', () => {
    const marks = new Marks(0);
    const many = Array.from({ length: 60_000 }, () => randomBytes(32));
    for (const address of many) marks.add(address);
    const arcs = [...marks.arcs(Buffer.from('salt'))];
    assert.equal(arcs.length, 4);
    for (const address of many.slice(0, 5000)) assert.ok(isMarked(arcs, address));
  });

  test('of an empty tree leave nothing', () => {
    const { arcs } = arcsOf([], 1024);
    assert.ok(!others.some((address) => isMarked(arcs, address)));
  });

  test('all at one place are too many, and said to be', () => {
    const marks = new Marks(0, 1024);
    const same = () => Buffer.concat([Buffer.alloc(8), randomBytes(24)]);
    assert.throws(
      () => {
        for (let i = 0; i < 2000; i++) marks.add(same());
      },
      (error) => isError(error, 'full'),
    );
  });
});

describe('a capture', () => {
  const parts = (steps: string[], acknowledged: Promise<void>) => ({
    epoch: 3,
    committer: {
      raiseGeneration: async () => {
        steps.push('generation');
        return { header: { gcGeneration: 9 }, body: 'body' };
      },
      reader: () => ({ snapshot: () => steps.push('roots') && 'view' }),
    },
    batcher: {
      issued: 17,
      wait: (through: number) => {
        steps.push(`wait for ${through}`);
        return acknowledged;
      },
    },
    executor: new Mutex(),
  });

  test('takes the roots after the generation is chosen, and is done when all they show is acknowledged', async () => {
    const steps: string[] = [];
    let acknowledge = () => {};
    const acknowledged = new Promise<void>((resolve) => {
      acknowledge = resolve;
    });
    const tree = collectedTree(
      parts(steps, acknowledged) as never,
      async () => {},
      () => {},
    );
    const capture = tree.capture().then((taken) => steps.push('done') && taken);
    for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(steps, ['generation', 'roots', 'wait for 17']);
    acknowledge();
    assert.deepEqual(await capture, { generation: 9, body: 'body', view: 'view' });
  });

  test('comes to nothing when the leadership ends before that', async () => {
    const ended = Promise.reject(new Error('deposed'));
    ended.catch(() => {});
    const tree = collectedTree(
      parts([], ended) as never,
      async () => {},
      () => {},
    );
    await assert.rejects(tree.capture(), /deposed/);
  });

  test('names of older puts are not recorded under it', () => {
    const header = { gcGeneration: 5 } as Parameters<typeof checkGeneration>[0];
    checkGeneration(header, 5);
    assert.throws(
      () => checkGeneration(header, 4),
      (error) => isError(error, 'unavailable'),
    );
  });
});

function cycle(w: TreeWorld, opened: Opened): Promise<void> {
  return w.world.until(cycleBeside(opened));
}

/** The same for one who is within the world already. */
async function cycleBeside({ tree }: Opened): Promise<void> {
  await tree.collect({ graceMs: 0 });
  do await tree.garbage.step(new AbortController().signal);
  while ((await tree.collect()).state !== 'idle');
}

describe('an operation asked for again', () => {
  test('is answered as it was, although its chunks are garbage again by then', async () => {
    const w = new TreeWorld({ view: keyView, delayMs: [1, 1] });
    await w.found();
    const a = await w.open('a');
    const b = await w.open('b');
    const [keys, others] = [openKeyStore(a.tree), openKeyStore(b.tree)];
    await w.world.until(keys.put(utf8('other'), utf8('x')));
    await w.world.until(others.get(utf8('other')));
    const appended = w.cluster.counts.append;
    const put = others.put(utf8('key'), randomBytes(100_000));
    put.catch(() => {});
    while (w.cluster.counts.append === appended) await w.world.run(0.25);
    w.world.cut('a', 'b', false); // the answer is lost
    await w.world.run(500);
    assert.equal((await w.world.until(keys.get(utf8('key')))).value.length, 100_000);
    await w.world.until(keys.delete(utf8('key')));
    await cycle(w, a);
    const { swept } = w.cluster.storages[0] ?? assert.fail();
    assert.ok(swept.bytes > 100_000, 'the chunks went');
    w.world.heal();
    const version = await w.world.until(put);
    await assert.rejects(w.world.until(keys.get(utf8('key'))), (error) => isError(error, 'not-found'));
    const next = await w.world.until(keys.put(utf8('key'), utf8('y')));
    assert.ok(next > version + 1, 'the deletion came between');
  });

  test('and chunks swept before it was ever executed are written again', async () => {
    const w = new TreeWorld({ view: keyView, delayMs: [1, 1] });
    await w.found();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(openKeyStore(a.tree).put(utf8('other'), utf8('x')));
    const value = randomBytes(150_000);
    let writes = 0;
    const late = Object.assign(Object.create(b.tree) as typeof b.tree, {
      writeChunks: async (...given: Parameters<typeof b.tree.writeChunks>) => {
        const written = await b.tree.writeChunks(...given);
        if (writes++ === 0) for (let i = 0; i < 2; i++) await cycleBeside(a);
        return written;
      },
    });
    await w.world.until(openKeyStore(late).put(utf8('key'), value));
    assert.equal(writes, 2);
    assert.ok(value.equals((await w.world.until(openKeyStore(a.tree).get(utf8('key')))).value));
  });
});

describe('packing', () => {
  test('moves what a sparse pack still holds, gives back the pack, and is no change to watchers', async () => {
    const w = new TreeWorld({ view: keyView });
    await w.found();
    const opened = await w.open('a');
    const keys = openKeyStore(opened.tree);
    const values = Array.from({ length: 30 }, () => randomBytes(10_000));
    for (const [i, value] of values.entries()) await w.world.until(keys.put(utf8(`key${i}`), value));
    await w.world.until(opened.tree.commit());
    const versions = await w.world.until(keys.list());
    for (let i = 0; i < 24; i++) await w.world.until(keys.delete(utf8(`key${i}`)));
    const told: string[] = [];
    const watching = new AbortController();
    const watched = (async () => {
      for await (const { key } of keys.watch(utf8('key'), { signal: watching.signal })) told.push(String(key));
    })();
    await cycle(w, opened);
    assert.equal(opened.tree.garbage.counters.packedBytes, 60_000);
    const stored = () => w.cluster.storages.map(({ blocks }) => [...blocks.values()].reduce((n, b) => n + b.length, 0));
    for (const bytes of stored()) assert.ok(bytes < 90_000, `${bytes} bytes are stored`);
    const b = await w.open('b');
    for (let i = 24; i < 30; i++) {
      const { value, version } = await w.world.until(openKeyStore(b.tree).get(utf8(`key${i}`)));
      assert.ok(values[i]?.equals(value));
      assert.equal(version, versions.entries.find(({ key }) => Buffer.from(key).toString() === `key${i}`)?.version);
    }
    watching.abort();
    await w.world.until(watched);
    assert.deepEqual(told, []);
    // Nothing is left to do for the next one.
    await cycle(w, opened);
    assert.equal(opened.tree.garbage.counters.packedBytes, 60_000);
  });

  test('a follower asks the leader for a cycle; who may not write is refused', async () => {
    const w = new TreeWorld({ view: keyView });
    await w.found();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(openKeyStore(a.tree).put(utf8('key'), utf8('x')));
    await w.world.until(b.tree.collect({ graceMs: 60_000 }));
    assert.equal((await w.world.until(a.tree.collect())).asked, true);
    do await w.world.until(a.tree.garbage.step(new AbortController().signal));
    while ((await w.world.until(b.tree.collect())).state !== 'waiting');
    assert.ok((await w.world.until(b.tree.collect())).waitMs > 50_000);
    // Asked again with less patience it does not wait on.
    await w.world.until(b.tree.collect({ graceMs: 0 }));
    while ((await w.world.until(b.tree.collect())).state !== 'idle')
      await w.world.until(a.tree.garbage.step(new AbortController().signal));
    assert.equal((await w.world.until(b.tree.collect())).last?.generation, 2);
    const reader = await w.open('c', { readOnly: true });
    await assert.rejects(w.world.until(reader.tree.collect({ graceMs: 0 })), (error) => isError(error, 'denied'));
  });
});

describe('a cycle whose leader is gone', () => {
  const count = 60;
  const of = ({ tree }: Opened) => tree.garbage as unknown as Garbage;

  async function half(garbage: Partial<GarbageOptions> = {}) {
    const w = new TreeWorld({ view: keyView, delayMs: [0.1, 0.1] });
    await w.found();
    const settings = { checkpointMarksMax: 10, graceMs: 0, ...garbage };
    const a = await w.open('a', { garbage: settings });
    const keys = openKeyStore(a.tree);
    const values = Array.from({ length: count }, () => randomBytes(70_000));
    for (const [i, value] of values.entries()) await w.world.until(keys.put(utf8(`key${i}`), value));
    for (let i = 0; i < count; i += 4) await w.world.until(keys.delete(utf8(`key${i}`)));
    await w.world.until(a.tree.commit());
    const stored = () => w.cluster.storages.map(({ blocks }) => [...blocks.values()].reduce((n, b) => n + b.length, 0));
    const open = () => w.open('b', { garbage: settings });
    /** Every second, as a worker does. */
    const step = ({ tree }: Opened) => w.world.until(tree.garbage.step(new AbortController().signal));
    const whole = async ({ tree }: Opened) => {
      const store = openKeyStore(tree);
      for (const [i, value] of values.entries()) {
        if (i % 4 === 0) continue;
        assert.ok(value.equals((await w.world.until(store.get(utf8(`key${i}`)))).value));
      }
    };
    return { w, a, stored, open, step, whole };
  }

  const live = count - count / 4;

  test('in the middle of marking is gone on with by the next: it looks at what is left only, and sweeps the same', async () => {
    const { w, a, stored, open, step, whole } = await half();
    for (const bytes of stored()) assert.ok(bytes > count * 70_000);
    await w.world.until(a.tree.collect({ graceMs: 0 }));
    while (of(a).counters.looked < 30) await step(a);
    assert.equal(of(a).status().state, 'marking');
    const { generation } = of(a).status();
    a.process.crash();
    const b = await open();
    const garbage = of(b);
    await w.world.until(openKeyStore(b.tree).put(utf8('new'), randomBytes(70_000)));
    assert.equal(b.tree.status().role, 'leader');
    await step(b);
    assert.equal(garbage.status().state, 'idle', 'a new leader has other things to do first');
    await w.world.run(61_000);
    do await step(b);
    while (garbage.status().state !== 'idle');
    const { resumed, cycles, looked } = garbage.counters;
    assert.deepEqual([resumed, cycles], [1, 1]);
    // 30 were marked and kept; the new one came besides.
    assert.ok(looked <= live - 30 + 1 + 10 && looked > 0, `${looked} chunks were looked at once more`);
    assert.equal(garbage.status().last?.generation, generation, 'of the same generation');
    for (const bytes of stored()) assert.ok(bytes < (live + 1) * 70_000 + 40_000, `${bytes} bytes are stored`);
    await whole(b);
    // Nothing of it is left for the next cycle, which begins anew.
    await cycle(w, b);
    assert.equal(garbage.counters.resumed, 1);
    assert.equal(garbage.status().last?.generation, generation + 1);
    await whole(b);
  });

  test('while it waits for readers: they have what was left of their time, not all of it again', async () => {
    const { w, a, open, step, whole } = await half({ graceMs: 30 * 60_000 });
    await w.world.until(a.tree.collect({ graceMs: 30 * 60_000 }));
    while (of(a).status().state !== 'waiting') await step(a);
    await w.world.run(20 * 60_000);
    a.process.crash();
    const b = await open();
    await w.world.until(openKeyStore(b.tree).put(utf8('new'), utf8('x')));
    await step(b);
    await w.world.run(61_000);
    while (of(b).status().state !== 'waiting') await step(b);
    const { waitMs } = of(b).status();
    assert.ok(waitMs > 8 * 60_000 && waitMs < 10 * 60_000, `${waitMs} ms are left`);
    await w.world.run(waitMs);
    do await step(b);
    while (of(b).status().state !== 'idle');
    assert.ok((of(b).status().last?.blocks ?? 0) > 0);
    await whole(b);
  });

  test('and whose marks are gone is begun anew', async () => {
    const { w, a, open, step, whole } = await half();
    await w.world.until(a.tree.collect({ graceMs: 0 }));
    const known = new Set(w.cluster.storages.flatMap(({ blocks }) => [...blocks.keys()]));
    while (of(a).counters.looked < 30) await step(a);
    a.process.crash();
    // What was put since the chunks were: nodes of the commit and marks; the nodes are there again after the takeover.
    const marks = [...(w.cluster.storages[0]?.blocks.keys() ?? [])].filter((name) => !known.has(name));
    const b = await open();
    await w.world.until(openKeyStore(b.tree).put(utf8('new'), utf8('x')));
    await step(b);
    await w.world.run(61_000);
    const sizes = marks.filter((name) => (w.cluster.storages[0]?.blocks.get(name)?.length ?? 0) < 400);
    assert.ok(sizes.length > 0, 'a chunk of ten marks is small');
    for (const { blocks } of w.cluster.storages) for (const name of sizes) blocks.delete(name);
    await assert.rejects(
      async () => {
        for (;;) await step(b);
      },
      (error) => isError(error, 'lost'),
    );
    do await step(b);
    while (of(b).status().state !== 'idle');
    assert.equal(of(b).counters.resumed, 1);
    assert.ok((of(b).status().last?.blocks ?? 0) > 0);
    await whole(b);
  });
});

describe('a cycle before its time', () => {
  test('is due once much of what was written is of no use any more', async () => {
    const w = new TreeWorld({ view: keyView });
    await w.found();
    const a = await w.open('a', { garbage: { graceMs: 0, deadBytesDue: 300_000 } });
    const [keys, garbage] = [openKeyStore(a.tree), a.tree.garbage as unknown as Garbage];
    const step = () => w.world.until(garbage.step(new AbortController().signal));
    for (let i = 0; i < 4; i++) await w.world.until(keys.put(utf8('key'), randomBytes(90_000)));
    await step();
    await w.world.run(61_000);
    await step();
    assert.equal(garbage.counters.cycles, 0, 'three values written over are 270,000 bytes');
    await w.world.until(keys.put(utf8('key'), randomBytes(90_000)));
    do await step();
    while (garbage.status().state !== 'idle');
    assert.equal(garbage.counters.cycles, 1);
    assert.ok((garbage.status().last?.bytes ?? 0) > 360_000);
    await w.world.run(61_000);
    await step();
    assert.equal(garbage.counters.cycles, 1, 'it is seen to');
  });
});
