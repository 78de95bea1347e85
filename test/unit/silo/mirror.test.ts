// What a mirror promises when one of its silos loses values, lets them rot, breaks, is away, or comes back.

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { setTimeout as sleep, setImmediate as turn } from 'node:timers/promises';
import { equalBytes } from '../../../src/core/base/bytes.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import type { Silo, SiloConfig } from '../../../src/core/silo/silo.ts';
import { fails, keyOf } from '../../conformance/silo.ts';
import { SeededRandom } from '../../simulator/runtime/random.ts';
import { Bench } from './mirror-bench.ts';

async function until(holds: () => Promise<boolean> | boolean): Promise<void> {
  while (!(await holds())) await sleep(20);
}

const put = (silo: Silo, name: string | number, value: string, space: 'block' | 'register' = 'register') =>
  silo.put(space, keyOf(name), Buffer.from(value));
const read = async (silo: Silo, name: string | number, space: 'block' | 'register' = 'register') =>
  (await silo.get(space, keyOf(name))).toString();

describe('a mirror', { timeout: 600_000 }, () => {
  it('gives again what one of its silos lost or let rot, at a read and at a scrub', async () => {
    const bench = await Bench.opened();
    const { mirror } = bench;
    for (const name of ['lost', 'rotten', 'scrubbed']) await put(mirror, name, name, 'block');
    await bench.disk(0).silo.delete('block', keyOf('lost'));
    bench.disk(0).rot(keyOf('rotten'));
    assert.equal(await mirror.size('block', keyOf('lost')), 4);
    assert.equal(await read(mirror, 'lost', 'block'), 'lost');
    assert.equal(await read(mirror, 'rotten', 'block'), 'rotten');
    await until(async () => (await bench.disk(0).silo.size('block', keyOf('lost'))) === 4);
    bench.disk(1).rot(keyOf('scrubbed'));
    await mirror.verify('block', keyOf('scrubbed'));
    await mirror.verify('block', keyOf('scrubbed'));
    await mirror.close();
    assert.ok(bench.runtime.lines.filter((line) => /was mended/.test(line)).length >= 2);
  });

  it('says what no silo has whole, and that nobody has what nobody has', async () => {
    const bench = await Bench.opened();
    await put(bench.mirror, 1, 'x', 'block');
    for (const disk of bench.disks) disk.rot(keyOf(1));
    await fails('corrupt', bench.mirror.get('block', keyOf(1)));
    await fails('corrupt', bench.mirror.verify('block', keyOf(1)));
    await fails('not-found', bench.mirror.get('block', keyOf(2)));
    await fails('not-found', bench.mirror.verify('block', keyOf(2)));
    await bench.mirror.close();
  });

  it('goes on without one that breaks, and brings it up to date when it answers again', async () => {
    for (const broken of [0, 1]) {
      const bench = await Bench.opened(3);
      const { mirror } = bench;
      const id = mirror.storeId;
      await put(mirror, 'kept', 'one');
      await put(mirror, 'gone', 'two');
      bench.disk(broken).trouble = 'unavailable';
      await put(mirror, 'kept', 'newer');
      await mirror.delete('register', keyOf('gone'));
      await put(mirror, 'block', 'data', 'block');
      assert.equal(await read(mirror, 'kept'), 'newer');
      await fails('not-found', mirror.get('register', keyOf('gone')));
      assert.equal(mirror.sequence(), 5);
      bench.disk(broken).trouble = undefined;
      await bench.tick();
      await until(() => bench.equal());
      await mirror.close();
      const again = await bench.open();
      assert.deepEqual(again.storeId, id);
      assert.equal(again.sequence(), 5);
      assert.equal(await read(again, 'kept'), 'newer');
      await again.close();
    }
  });

  it('acknowledges nothing when all break, and has what it acknowledged afterwards', async () => {
    const bench = await Bench.opened();
    await put(bench.mirror, 1, 'acknowledged');
    for (const disk of bench.disks) disk.trouble = 'unavailable';
    await fails('unavailable', put(bench.mirror, 1, 'lost'));
    await fails('unavailable', put(bench.mirror, 2, 'lost'));
    await fails('unavailable', bench.mirror.get('register', keyOf(1)));
    await bench.mirror.close();
    for (const disk of bench.disks) disk.trouble = undefined;
    const again = await bench.open();
    assert.equal(await read(again, 1), 'acknowledged');
    await again.close();
  });

  it('opened without one that may have more takes a new identity; the one that comes back gets everything', async () => {
    const bench = await Bench.opened();
    const id = bench.mirror.storeId;
    await put(bench.mirror, 'a', 'old');
    await put(bench.mirror, 'b', 'old');
    await bench.mirror.close();
    bench.disk(0).trouble = 'unavailable';
    const alone = await bench.open();
    assert.notDeepEqual(alone.storeId, id);
    assert.equal(await read(alone, 'a'), 'old');
    await put(alone, 'a', 'new');
    await alone.delete('register', keyOf('b'));
    const next = alone.storeId;
    await alone.close();
    // Away again: this one is known to have everything.
    const same = await bench.open();
    assert.deepEqual(same.storeId, next);
    await same.close();
    bench.disk(0).trouble = undefined;
    const both = await bench.open();
    assert.deepEqual(both.storeId, next);
    assert.equal(await read(both, 'a'), 'new');
    await until(() => bench.equal());
    await fails('not-found', both.get('register', keyOf('b')));
    await both.close();
  });

  it('never gives what one had that was let go under the identity of those that went on', async () => {
    const bench = await Bench.opened();
    await put(bench.mirror, 'vote', 'first');
    bench.disk(1).trouble = 'unavailable';
    await put(bench.mirror, 'vote', 'second');
    const id = bench.mirror.storeId;
    await bench.mirror.close();
    // The one that missed it is all there is.
    bench.disk(0).trouble = 'unavailable';
    bench.disk(1).trouble = undefined;
    const stale = await bench.open();
    assert.equal(await read(stale, 'vote'), 'first');
    assert.notDeepEqual(stale.storeId, id);
    await stale.close();
    // Both are there again: one of the two histories goes on under its own identity, whole.
    bench.disk(0).trouble = undefined;
    const both = await bench.open();
    const vote = await read(both, 'vote');
    assert.equal(vote, equalBytes(both.storeId, id) ? 'second' : 'first');
    await until(() => bench.equal());
    assert.equal(await read(both, 'vote'), vote);
    await both.close();
  });

  it('killed with a change on its way settles on one outcome', async () => {
    const bench = await Bench.opened();
    await put(bench.mirror, 'r', 'acknowledged');
    // The change reached one of them only, and nobody was told that it is done.
    await bench.disk(1).silo.put('register', keyOf('r'), Buffer.from('on its way'));
    await bench.disk(1).silo.put('register', keyOf('new'), Buffer.from('on its way'));
    await bench.crash();
    const again = await bench.open();
    assert.equal(await read(again, 'r'), 'acknowledged');
    await until(() => bench.equal());
    const isThere = (await again.size('register', keyOf('new'))) !== undefined;
    await again.close();
    bench.disk(0).trouble = 'unavailable';
    const second = await bench.open();
    assert.equal(await read(second, 'r'), 'acknowledged');
    assert.equal((await second.size('register', keyOf('new'))) !== undefined, isThere);
    await second.close();
  });

  it('takes over what the first silo holds, and refuses to overwrite anything else', async () => {
    const bench = new Bench(3);
    const filled = await openFilesystemSilo(bench.disk(0).config, bench.runtime);
    await put(filled, 'a', 'kept', 'block');
    const was = filled.storeId;
    await filled.close();
    const pair = bench.disks.slice(0, 2).map(({ config }) => config);
    const mirror = await bench.open(pair);
    // What was agreed by the silo alone was agreed by another than the mirror.
    assert.notDeepEqual(mirror.storeId, was);
    assert.equal(await read(mirror, 'a', 'block'), 'kept');
    await until(() => bench.runtime.lines.some((line) => /silo 2 of a mirror has everything/.test(line)));
    assert.equal(await read(bench.disk(1).silo, 'a', 'block'), 'kept');
    await mirror.close();
    const stranger = await openFilesystemSilo(bench.disk(2).config, bench.runtime);
    await put(stranger, 'b', 'other', 'block');
    await stranger.close();
    await fails('exists', bench.open());
    const other = new Bench(2);
    for (const { config } of other.disks) {
      const silo = await openFilesystemSilo(config, other.runtime);
      await put(silo, 'x', 'y');
      await silo.close();
    }
    await fails('exists', other.open());
  });

  it('needs two silos, no mirror among them, all there at its beginning, and each for itself', async () => {
    const bench = new Bench(2);
    await fails('usage', bench.open([bench.disk(0).config]));
    await fails('usage', bench.open([bench.disk(0).config, { type: 'mirror', backend: [] } as unknown as SiloConfig]));
    bench.disk(1).trouble = 'unavailable';
    await fails('unavailable', bench.open());
    bench.disk(1).trouble = undefined;
    await bench.open();
    const { mirror } = bench;
    await fails('exists', bench.open());
    await mirror.close();
  });

  it('lets go of one that is full when the others are not', async () => {
    const bench = await Bench.opened();
    bench.disk(1).trouble = 'full';
    await put(bench.mirror, 'a', 'taken');
    assert.match(bench.runtime.lines.join('\n'), /silo 2 of a mirror is behind: the disk is full/);
    bench.disk(1).trouble = undefined;
    await bench.tick();
    await until(() => bench.equal());
    for (const disk of bench.disks) disk.trouble = 'full';
    await fails('full', put(bench.mirror, 'a', 'refused'));
    for (const disk of bench.disks) disk.trouble = undefined;
    assert.equal(await read(bench.mirror, 'a'), 'taken');
    await bench.mirror.close();
  });

  it('is the same on all of them after changes beside copies, whichever broke when', async () => {
    for (let seed = 0; seed < 2; seed++) {
      const random = new SeededRandom(`mirror ${seed}`);
      const bench = await Bench.opened();
      const model = new Map<number, string>();
      for (let round = 0; round < 8; round++) {
        const broken = bench.disk(random.below(2));
        broken.trouble = round % 2 === 0 ? 'unavailable' : undefined;
        if (round % 2 === 1) for (const disk of bench.disks) disk.trouble = undefined;
        await bench.tick();
        const changes: Promise<void>[] = [];
        for (let i = 0; i < 60; i++) {
          const name = random.below(40);
          const value = random.chance(0.3) ? undefined : `${round}.${i}`;
          if (value === undefined) model.delete(name);
          else model.set(name, value);
          changes.push(
            value === undefined ? bench.mirror.delete('register', keyOf(name)) : put(bench.mirror, name, value),
          );
          if (random.chance(0.2)) await turn();
        }
        await Promise.all(changes);
        if (round % 2 === 0) continue;
        // Who is being brought up to date cannot go on alone yet.
        const told = (what: RegExp) => bench.runtime.lines.filter((line) => what.test(line)).length;
        await until(async () => {
          await bench.tick();
          return told(/is behind/) === told(/has everything/);
        });
        assert.ok(await bench.equal());
      }
      for (let name = 0; name < 40; name++) {
        const value = model.get(name);
        if (value === undefined) await fails('not-found', bench.mirror.get('register', keyOf(name)));
        else assert.equal(await read(bench.mirror, name), value);
      }
      await bench.mirror.close();
    }
  });
});
