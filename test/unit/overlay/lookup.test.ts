import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { isError } from '../../../src/core/base/errors.ts';
import type { FindAnswer } from '../../../src/core/overlay/chord/answers.ts';
import { Contacts } from '../../../src/core/overlay/chord/contacts.ts';
import { Fingers } from '../../../src/core/overlay/chord/fingers.ts';
import { Locations } from '../../../src/core/overlay/chord/locations.ts';
import { lookup } from '../../../src/core/overlay/chord/lookup.ts';
import { byPoint, distance, type Entry, entryOf, fingerStart, within } from '../../../src/core/overlay/ring.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const nodeOf = (i: number) => i.toString(16).padStart(64, '0');
const ring = Array.from({ length: 20 }, (_, i) => entryOf(nodeOf(i), 0)).sort(byPoint);
const at = (i: number) => ring[(i + ring.length) % ring.length] as Entry;

interface Scene {
  answers: (node: string) => FindAnswer | undefined;
  delayMs?: (node: string) => number;
}

function look(scene: Scene, start: Entry[], signal?: AbortSignal, behind: Entry[] = []) {
  const world = createWorld({ seed: 1 });
  const { clock } = world.host('asker').runtime;
  const asked: string[] = [];
  const slow: string[] = [];
  const ask = async (node: string) => {
    asked.push(node);
    await clock.sleep(scene.delayMs?.(node) ?? 1);
    return scene.answers(node);
  };
  const parts = { clock, ask, hedgeAfterMs: () => 50, slow: (node: string) => slow.push(node) };
  const found = lookup(parts, at(10).point, { entries: start, behind }, { signal });
  return { asked, slow, found: world.settle(found) };
}

const owners: FindAnswer = { type: 'owners', after: at(9), entries: [at(10), at(11)] };

test('a lookup goes on from the nearest before the key until the owner is named', async () => {
  const leads = new Map<string, FindAnswer>([
    [at(2).node, { type: 'closer', entries: [at(7), at(5)], behind: [] }],
    [at(7).node, { type: 'closer', entries: [at(9), at(8)], behind: [] }],
    [at(9).node, owners],
  ]);
  const { asked, found } = look({ answers: (node) => leads.get(node) }, [at(15), at(2)]);
  const { hops, entries, by } = await found;
  assert.deepEqual(asked, [at(2).node, at(7).node, at(9).node]);
  assert.deepEqual([hops, entries[0], by], [3, at(10), at(9).node]);
});

test('silent nodes are passed over, and when none is left the lookup says so', async () => {
  const answers = (node: string) => (node === at(3).node ? owners : undefined);
  assert.equal((await look({ answers }, [at(9), at(8), at(3)]).found).hops, 3);
  await assert.rejects(look({ answers: () => undefined }, [at(1)]).found, (error) => isError(error, 'unavailable'));
  await assert.rejects(look({ answers }, []).found, (error) => isError(error, 'unavailable'));
});

test('a slow node is hedged by the next best, three in flight at most', async () => {
  const scene: Scene = {
    answers: () => owners,
    delayMs: (node) => (node === at(9).node || node === at(8).node ? 100_000 : 10),
  };
  const { asked, found } = look(scene, [at(9), at(8), at(7), at(6)]);
  assert.equal((await found).by, at(7).node);
  assert.deepEqual(asked, [at(9).node, at(8).node, at(7).node]);
});

test('when all nodes before the key keep silent, the list of the nearest that answers names the owner', async () => {
  const leads = new Map<string, FindAnswer>([
    [at(2).node, { type: 'closer', entries: [at(6), at(5)], behind: [at(13)] }],
    [at(6).node, { type: 'closer', entries: [at(9), at(8), at(7)], behind: [at(10), at(11)] }],
  ]);
  const silent = [at(9), at(8), at(7)].map(({ node }) => node);
  const scene: Scene = {
    answers: (node) => leads.get(node),
    delayMs: (node) => (silent.includes(node) ? 100_000 : 10),
  };
  const { asked, slow, found } = look(scene, [at(2)]);
  const { after, entries, by, hops } = await found;
  assert.deepEqual([after, entries, by, hops], [at(9), [at(10), at(11)], at(6).node, 5]);
  assert.deepEqual(asked, [at(2).node, at(6).node, ...silent]);
  assert.deepEqual(slow, silent, 'who is slow is told');
});

test('a list known here names the owner when nobody before the key answers; one that answers knows better', async () => {
  const { asked, found } = look({ answers: () => undefined, delayMs: () => 100_000 }, [at(9)], undefined, [at(11)]);
  assert.deepEqual([(await found).entries, (await found).by, asked.length], [[at(11)], undefined, 1]);
  const better = look({ answers: () => owners, delayMs: () => 40 }, [at(9)], undefined, [at(11)]);
  assert.deepEqual([(await better.found).entries[0], (await better.found).by], [at(10), at(9).node]);
});

test('nobody can keep a lookup going for more than 64 questions', async () => {
  let next = 100;
  const closer = (): FindAnswer => ({ type: 'closer', entries: [entryOf(nodeOf(next++), 0)], behind: [] });
  const { asked, found } = look({ answers: closer }, [at(1)]);
  await assert.rejects(found, (error) => isError(error, 'unavailable'));
  assert.equal(asked.length, 64);
});

test('the location cache gives what covers the key, and forgets what is old, dead or refuted', () => {
  const sizes = fc.array(fc.nat(19), { minLength: 1, maxLength: 30 });
  fc.assert(
    fc.property(sizes, fc.nat(19), fc.nat(19), (puts, wanted, gone) => {
      const cache = new Locations();
      for (const i of puts) cache.put({ after: at(i - 1), entries: [at(i), at(i + 1), at(i + 2)] }, 0);
      assert.equal(cache.size, new Set(puts).size);
      const key = at(wanted).point;
      assert.equal(cache.get(key, 0, () => 'alive') !== undefined, puts.includes(wanted));
      cache.refute(at(gone).point);
      const covers = [gone, gone - 1, gone - 2].map((i) => (i + 20) % 20);
      const left = cache.get(key, 0, () => 'alive');
      if (puts.includes(wanted) && !covers.includes(wanted)) assert.ok(left);
      if (wanted === gone) assert.equal(left, undefined);
      assert.equal(
        cache.get(key, 31_000, () => 'alive'),
        undefined,
      );
    }),
  );
  const cache = new Locations();
  cache.put({ after: at(9), entries: [at(10)] }, 0);
  assert.ok(within(at(9).point, at(10).point, at(10).point) && cache.get(at(10).point, 0, () => 'suspect'));
  assert.equal(
    cache.get(at(10).point, 0, () => 'dead'),
    undefined,
  );
  assert.equal(cache.size, 0);
});

test('fingers keep the first known position behind each start', () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 1, max: 400 }), { minLength: 1, maxLength: 60 }), (numbers) => {
      const [origin] = ring as [Entry];
      const fingers = new Fingers([origin.point]);
      const heard = numbers.map((i) => entryOf(nodeOf(i + 1000), 0));
      for (const entry of heard) fingers.heard(entry);
      for (const entry of fingers.entries()) {
        const digits = distance(origin.point, entry.point).toString(16);
        const start = fingerStart(origin.point, digits.length - 1, Number.parseInt(digits[0] as string, 16));
        const behind = heard.map((each) => distance(start, each.point));
        assert.ok(behind.every((each) => distance(start, entry.point) <= each));
      }
    }),
  );
});

test('a finger looked up replaces one that is gone, though it was nearer; other slots stay', () => {
  const origin = '0'.repeat(64);
  const place = (text: string): Entry => ({ node: text.padEnd(64, '0'), index: 0, point: text.padEnd(64, '0') });
  const fingers = new Fingers([origin]);
  for (const text of ['31', '35', '41', '0301']) fingers.heard(place(text));
  const points = () => [...fingers.entries()].map(({ point }) => point.replace(/0*$/, '')).sort();
  assert.deepEqual(points(), ['0301', '31', '41']);
  fingers.found(fingerStart(origin, 63, 3), place('33'));
  assert.deepEqual(points(), ['0301', '33', '41']);
  fingers.found(fingerStart(origin, 63, 3), place('41'));
  assert.deepEqual(points(), ['0301', '41'], 'nobody is left in that arc');
  fingers.found(fingerStart(origin, 63, 4), place('401'));
  assert.deepEqual(points(), ['0301', '401'], 'nearer than the one held');
});

test('fingers to look up next are the levels above the span of the list, the longest first', () => {
  const [origin] = ring as [Entry];
  const fingers = new Fingers([origin.point]);
  const span = fingerStart(origin.point, 62, 3);
  const starts = Array.from({ length: 31 }, () => fingers.next([span]));
  assert.equal(starts[0], fingerStart(origin.point, 63, 1));
  assert.equal(starts[29], fingerStart(origin.point, 62, 15));
  assert.equal(starts[30], starts[0]);
});

test('of too many contacts rather the short-lived ones go', () => {
  const contacts = new Contacts(new SeededRandom('contacts'));
  for (let i = 0; i < 128; i++) contacts.remember(nodeOf(i), 0, true);
  for (let i = 0; i < 128; i++) contacts.remember(nodeOf(i), 3_600_000, true);
  for (let i = 1000; i < 1500; i++) contacts.remember(nodeOf(i), 3_600_000 + i, true);
  assert.equal(contacts.size, 256);
  const old = contacts.all().filter((node) => Number.parseInt(node, 16) < 128).length;
  assert.ok(old > 90, `${old} of 128 long-lived ones are left`);
  const turns = Array.from({ length: 256 }, () => contacts.next(() => true));
  assert.equal(new Set(turns).size, 256, 'everybody gets a turn');
});
