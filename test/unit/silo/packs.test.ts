import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import fc from 'fast-check';
import { equalBytes } from '../../../src/core/base/bytes.ts';
import { type InfinitError, isError } from '../../../src/core/base/errors.ts';
import { deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { PackIndex, type Place } from '../../../src/core/silo/objects/index.ts';
import { clearPackedSilo, openPackedSilo } from '../../../src/core/silo/objects/opening.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { fails, keyOf, keysOf } from '../../conformance/silo.ts';
import { MemoryObjects } from '../../fakes/memory-objects.ts';
import { type SiloRuntime, siloRuntime } from './runtime.ts';

function open(store: MemoryObjects, runtime: SiloRuntime = siloRuntime(), capacity?: number): Promise<Silo> {
  return openPackedSilo({ store, runtime, capacity, addedBytes: 0, folder: undefined });
}

/** The store as somebody else finds it now. */
function copyOf(store: MemoryObjects): MemoryObjects {
  const copy = new MemoryObjects();
  for (const [name, content] of store.objects) copy.objects.set(name, content);
  return copy;
}

const packsOf = (store: MemoryObjects) => [...store.objects.keys()].filter((name) => name.startsWith('pack-')).sort();
const checkpointsOf = (store: MemoryObjects) => [...store.objects.keys()].filter((name) => name.startsWith('check'));
const text = (n: number | string) => Buffer.from(`value ${n} ${'.'.repeat(60)}`);

describe('packs', () => {
  it('hold everything that waits at one moment, and listing asks the store for nothing', async () => {
    const store = new MemoryObjects();
    const silo = await open(store);
    store.counts.put = store.counts.get = 0;
    await Promise.all(Array.from({ length: 900 }, (_, i) => silo.put('block', keyOf(i), text(i))));
    assert.ok(store.counts.put <= 3, `${store.counts.put} objects for 900 values`);
    assert.equal((await keysOf(silo, 'block')).length, 900);
    for await (const { start } of silo.scan('block', 40)) assert.equal(start.length, 40);
    assert.equal(store.counts.get, 0);
    await silo.close();
  });

  it('that are small are put together, and empty ones go', async () => {
    const store = new MemoryObjects();
    const silo = await open(store);
    for (let i = 0; i < 700; i++) await silo.put('register', keyOf(i % 200), text(i));
    await silo.close();
    assert.ok(packsOf(store).length < 2 * limits.packsSmallMax, `${packsOf(store).length} packs of 700`);
    const again = await open(store);
    for (let i = 500; i < 700; i++) assert.ok(text(i).equals(await again.get('register', keyOf(i % 200))));
    await again.close();
  });

  it('are all gone when the silo is cleared, and what is not ours stays', async () => {
    const store = new MemoryObjects();
    await (await open(store)).close();
    store.objects.set('readme.txt', Buffer.of(1));
    await clearPackedSilo({ store, runtime: siloRuntime(), capacity: undefined, addedBytes: 0, folder: undefined });
    assert.deepEqual([...store.objects.keys()], ['readme.txt']);
  });
});

describe('a crash', () => {
  it('keeps what was acknowledged and no half of anything, whichever packs arrived', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(60), fc.array(fc.boolean(), { minLength: 8, maxLength: 8 }), async (puts, arrives) => {
        const store = new MemoryObjects();
        const silo = await open(store);
        let left = puts;
        const stuck: (() => void)[] = [];
        store.beforePut = async (name, bytes) => {
          if (left-- > 0 || !name.startsWith('pack-')) return turn();
          stuck.push(() => store.objects.set(name, bytes));
          await new Promise(() => {});
        };
        const acknowledged = new Map<number, number>();
        const filler = Buffer.alloc(700_000);
        for (let i = 0; i < 150; i++) {
          const name = i % 40;
          const entries = ['a', 'b'].map((half) => ({
            space: 'register' as const,
            key: keyOf(half + name),
            value: text(i),
          }));
          const extra = i % 5 === 0 ? [{ space: 'block' as const, key: keyOf(`f${i}`), value: filler }] : [];
          silo.batch([...entries, ...extra]).then(
            () => acknowledged.set(name, i),
            () => {},
          );
          if (i % 7 === 0) await turn();
        }
        for (let i = 0; i < 20; i++) await turn();
        // Of the packs on their way some arrive after all.
        for (const [i, arrive] of stuck.entries()) if (arrives[i % 8]) arrive();
        const again = await open(copyOf(store));
        assert.ok(equalBytes(silo.storeId, again.storeId), 'nothing acknowledged is missing');
        for (let name = 0; name < 40; name++) {
          const halves = await Promise.all(
            ['a', 'b'].map((half) => again.get('register', keyOf(half + name)).catch(() => undefined)),
          );
          assert.deepEqual(halves[0], halves[1]);
          const [, found = '-1'] = /^value (\d+)/.exec(halves[0]?.toString() ?? '') ?? [];
          assert.ok(Number(found) >= (acknowledged.get(name) ?? -1), `${name}: ${found}, ${acknowledged.get(name)}`);
        }
        await again.put('meta', keyOf('goes on'), text('on'));
        await again.close();
      }),
      { numRuns: 25 },
    );
  });

  it('in the middle of a checkpoint or of putting packs together loses nothing', async () => {
    const store = new MemoryObjects();
    const silo = await open(store);
    const states: MemoryObjects[] = [];
    store.beforePut = () => void (states.length < 400 && states.push(copyOf(store)));
    for (let i = 0; i < 260; i++) await silo.put('register', keyOf(i % 100), text(i));
    await silo.close();
    for (const state of states.filter((_, i) => i % 13 === 0)) {
      const again = await open(state);
      assert.ok(equalBytes(silo.storeId, again.storeId));
      const [newest] = (
        await Promise.all(Array.from({ length: 100 }, (_, i) => again.get('register', keyOf(i)).catch(() => text(-1))))
      )
        .map((value) => Number(/^value (-?\d+)/.exec(value.toString())?.[1]))
        .sort((a, b) => b - a);
      assert.equal(newest, again.sequence() - 1);
      await again.close();
    }
  });
});

describe('what is missing', () => {
  async function filled(): Promise<{ store: MemoryObjects; storeId: Buffer }> {
    const store = new MemoryObjects();
    const silo = await open(store);
    for (let i = 0; i < 30; i++) await silo.put('block', keyOf(i), text(i));
    const storeId = Buffer.from(silo.storeId);
    const copy = copyOf(store);
    await silo.close();
    return { store: copy, storeId };
  }

  it('and was acknowledged makes the silo another one; the rest is there', async () => {
    const { store, storeId } = await filled();
    store.objects.delete(packsOf(store)[12] as string);
    const runtime = siloRuntime();
    const silo = await open(store, runtime);
    assert.ok(!storeId.equals(silo.storeId));
    assert.ok(runtime.lines.some((line) => /acknowledged data is missing/.test(line)));
    const found = await Promise.all(
      Array.from({ length: 30 }, (_, i) => silo.get('block', keyOf(i)).catch(() => undefined)),
    );
    assert.equal(found.filter((value) => value === undefined).length, 1);
    const now = Buffer.from(silo.storeId);
    await silo.close();
    const again = await open(store);
    assert.ok(now.equals(again.storeId), 'once');
    await again.close();
  });

  it('a checkpoint, too', async () => {
    const store = new MemoryObjects();
    const silo = await open(store);
    for (let i = 0; i < 30; i++) await silo.put('block', keyOf(i), text(i));
    await silo.close();
    const second = await open(store);
    await second.put('block', keyOf(30), text(30));
    await second.close();
    assert.ok(checkpointsOf(store).length > 0);
    const copy = copyOf(store);
    for (const name of checkpointsOf(copy)) copy.objects.delete(name);
    const again = await open(copy);
    assert.ok(!equalBytes(silo.storeId, again.storeId));
    for (let i = 0; i <= 30; i++) assert.ok(text(i).equals(await again.get('block', keyOf(i))));
    await again.close();
  });

  it('or rotten is told when it is read', async () => {
    const { store } = await filled();
    const name = packsOf(store)[12] as string;
    const content = store.objects.get(name) as Buffer;
    content[content.length - 5] = (content[content.length - 5] as number) ^ 1;
    const silo = await open(store);
    const results = await Promise.allSettled(Array.from({ length: 30 }, (_, i) => silo.verify('block', keyOf(i))));
    const rejected = results.filter((one) => one.status === 'rejected');
    assert.equal(rejected.length, 1);
    assert.ok(rejected.every((one) => isError((one as PromiseRejectedResult).reason, 'corrupt')));
    await silo.close();
  });
});

describe('two processes', () => {
  it('cannot both write: the one that opened first is refused, and nothing it said is lost', async () => {
    const store = new MemoryObjects();
    const first = await open(store);
    await first.put('meta', keyOf('a'), text('first'));
    const second = await open(store);
    await assert.rejects(first.put('meta', keyOf('a'), text('late')), (error: InfinitError) => {
      assert.equal(error.kind, 'unavailable');
      assert.match(error.message, /was opened by another process/);
      return true;
    });
    assert.ok(text('first').equals(await second.get('meta', keyOf('a'))));
    await second.put('meta', keyOf('a'), text('second'));
    await first.close();
    await second.close();
    const third = await open(store);
    assert.ok(text('second').equals(await third.get('meta', keyOf('a'))));
    await third.close();
  });

  it('cannot spoil each other by packs that arrive late', async () => {
    const store = new MemoryObjects();
    const first = await open(store);
    await first.put('meta', keyOf('a'), text('first'));
    const held = deferred();
    const { beforePut } = store;
    store.beforePut = () => held.promise;
    const late = Promise.allSettled([
      ...Array.from({ length: 4 }, (_, i) => first.put('block', keyOf(`big${i}`), Buffer.alloc(4 << 20))),
      first.put('meta', keyOf('a'), text('late')),
    ]);
    await turn();
    store.beforePut = beforePut;
    const second = await open(store);
    await second.put('meta', keyOf('a'), text('second'));
    held.resolve();
    assert.ok((await late).every(({ status }) => status === 'rejected'));
    for (let i = 0; i < 10; i++) await second.put('meta', keyOf(`more${i}`), text(i));
    await second.close();
    const third = await open(store);
    assert.ok(equalBytes(second.storeId, third.storeId));
    assert.ok(text('second').equals(await third.get('meta', keyOf('a'))));
    await third.close();
  });

  it('find out by looking where the store cannot refuse', async () => {
    const store = Object.assign(new MemoryObjects(), { exclusive: false });
    let now = 0;
    const runtime = siloRuntime();
    const first = await open(store, { ...runtime, clock: { ...runtime.clock, monotonic: () => now } });
    await first.put('meta', keyOf('a'), text('first'));
    await (await open(store)).close();
    now += limits.objectOwnerLookMs + 1;
    await first.put('meta', keyOf('a'), text('noticed'));
    for (let i = 0; i < 5; i++) await turn();
    await fails('unavailable', first.put('meta', keyOf('a'), text('late')));
    await first.close();
  });
});

it('the index agrees with a map over random changes', () => {
  const place = (sequence: number): Place => ({
    pack: 1,
    offset: 0,
    length: 0,
    checksum: 0,
    sequence,
    start: Buffer.alloc(0),
  });
  fc.assert(
    fc.property(fc.array(fc.tuple(fc.nat(300), fc.boolean()), { maxLength: 800 }), fc.nat(), (changes, seed) => {
      const index = new PackIndex(1, seed);
      const model = new Map<number, number>();
      // Keys that share their first byte, and all that the hash looks at in half of the cases.
      const keyFor = (n: number) => Buffer.concat([Buffer.alloc(n % 2 ? 4 : 12), keyOf(n)]).subarray(0, 32);
      for (const [i, [n, isSet]] of changes.entries()) {
        const old = isSet ? index.set(0, keyFor(n), place(i)) : index.delete(0, keyFor(n));
        assert.equal(old?.sequence, model.get(n));
        if (isSet) model.set(n, i);
        else model.delete(n);
      }
      assert.equal(index.count(0), model.size);
      for (const [n, i] of model) assert.equal(index.get(0, keyFor(n))?.sequence, i);
    }),
    { numRuns: 50 },
  );
});
