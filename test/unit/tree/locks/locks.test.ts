// Locks of several clients of one tree (docs/protocols.md 4.10): who gets them, who loses them, and that nobody works under a lock
// that somebody else has.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encode, u64 } from '../../../../src/core/base/codec.ts';
import { InfinitError, isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { type LockMode, type LockPlace, type LockRange, lockEnd } from '../../../../src/core/tree/tree.ts';
import { add, get, type Opened, set, TreeWorld } from '../../../fakes/fake-tree.ts';
import type { WorldOptions } from '../../../fakes/world.ts';

const place = (owner: number, resource = 7): LockPlace => ({ space: 'range', resource, owner: BigInt(owner) });
const whole = (mode: LockMode = 'exclusive'): LockRange => ({ from: 0n, to: lockEnd, mode, pid: 1 });
const all = { from: 0n, to: lockEnd };
const now = { wait: false };
const wait = { wait: true };
const lost = (error: unknown) => isError(error, 'lost') && error.data?.reason === 'lock-lost';

async function several(options: WorldOptions = {}, names = ['a', 'b', 'c']) {
  const w = new TreeWorld(options);
  await w.found();
  const opened: Opened[] = [];
  for (const name of names) opened.push(await w.open(name));
  const [a, b, c] = opened as [Opened, Opened, Opened];
  await w.world.until(add(a.tree, 'x'));
  const until = <T>(task: Promise<T>) => w.world.until(task);
  return { w, a, b, c, until };
}

/** What has become of a promise so far. */
function watch<T>(promise: Promise<T>) {
  const seen: { done: boolean; error: unknown } = { done: false, error: undefined };
  promise.then(
    () => {
      seen.done = true;
    },
    (error: unknown) => {
      seen.error = error;
    },
  );
  return seen;
}

describe('locks of several clients', () => {
  test('one holds, others are refused or wait, and get it when it is let go of', async () => {
    const { a, b, c, w, until } = await several();
    for (const [holder, other] of [
      [a, b],
      [b, a],
      [b, c],
    ] as const) {
      await until(holder.tree.locks.lock(place(1), whole(), now));
      await assert.rejects(until(other.tree.locks.lock(place(1), whole('shared'), now)), (e) => isError(e, 'conflict'));
      const found = await until(other.tree.locks.test(place(1), whole('shared')));
      assert.deepEqual(found, { mine: false, range: whole() });
      assert.equal(await until(holder.tree.locks.test(place(1), whole())), undefined);
      assert.equal((await until(holder.tree.locks.test(place(2), whole())))?.mine, true);
      const waiting = other.tree.locks.lock(place(1), whole(), wait);
      const seen = watch(waiting);
      await w.world.run(60_000);
      assert.ok(!seen.done, 'granted though somebody else has it');
      await until(holder.tree.locks.unlock(place(1), all));
      await until(waiting);
      await until(other.tree.locks.unlock(place(1), all));
    }
  });

  test('readers share; who waits in vain gives up, and is not waited for', async () => {
    const { a, b, c, w, until } = await several();
    await until(a.tree.locks.lock(place(1), whole('shared'), now));
    await until(b.tree.locks.lock(place(1), whole('shared'), now));
    const giveUp = new AbortController();
    const waiting = b.tree.locks.lock(place(2), whole(), { wait: true, signal: giveUp.signal });
    const behind = c.tree.locks.lock(place(1), whole('shared'), wait);
    waiting.catch(() => {});
    const seen = watch(behind);
    await w.world.run(5000);
    assert.ok(!seen.done, 'it passes one who asked before');
    giveUp.abort(new InfinitError('cancelled', 'interrupted'));
    await assert.rejects(until(waiting), (error) => isError(error, 'cancelled'));
    await until(behind);
  });

  test('a wait without end is refused, over clients', async () => {
    const { a, b, w, until } = await several();
    await until(a.tree.locks.lock(place(1, 1), whole(), now));
    await until(b.tree.locks.lock(place(1, 2), whole(), now));
    const waiting = a.tree.locks.lock(place(1, 2), whole(), wait);
    await w.world.run(100);
    await assert.rejects(until(b.tree.locks.lock(place(1, 1), whole(), wait)), (error) => {
      return isError(error, 'conflict') && error.data?.reason === 'deadlock';
    });
    await until(b.tree.locks.unlock(place(1, 2), all));
    await until(waiting);
  });

  test('a client that dies loses its locks when its lease has ended, not before', async () => {
    const { b, c, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    await w.world.run(3000);
    b.process.crash();
    const died = w.world.now;
    await until(c.tree.locks.lock(place(1), whole(), wait));
    const tookMs = w.world.now - died;
    assert.ok(
      tookMs > limits.lockLeaseMs - limits.lockPollMs - 1000 && tookMs < limits.lockLeaseMs + 5000,
      `${tookMs} ms`,
    );
  });

  test('a client that is cut off knows that its lock is lost before anybody else has it, and no guarded work is done', async () => {
    const { a, b, c, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    const guard = b.tree.locks.guardOf(7);
    assert.ok(guard !== undefined && b.tree.locks.guardOf(8) === undefined);
    await until(add(b.tree, 'y', { guard }));
    const told: number[] = [];
    b.tree.locks.onLost((resources) => told.push(...resources));
    for (const other of ['a', 'c', ...w.cluster.members.map((_, i) => `s${i + 1}`)]) w.world.cut('b', other);
    const late = add(b.tree, 'y', { guard });
    late.catch(() => {});
    const taken = c.tree.locks.lock(place(1), whole(), wait).then(() => b.tree.locks.isLost(7));
    assert.equal(await until(taken), true, 'two believe that they have it');
    assert.deepEqual(told, [7]);
    w.world.heal();
    await assert.rejects(until(late), lost);
    await assert.rejects(until(b.tree.locks.lock(place(1), whole(), now)), lost);
    assert.equal(b.tree.locks.guardOf(7), undefined);
    // Others of the same client, and the same one once it has let go, ask like anybody.
    await assert.rejects(until(b.tree.locks.lock(place(2), whole(), now)), (error) => isError(error, 'conflict'));
    await until(b.tree.locks.unlock(place(1), all));
    assert.equal(b.tree.locks.isLost(7), false);
    await until(c.tree.locks.unlock(place(1), all));
    await until(b.tree.locks.lock(place(1), whole(), now));
    assert.equal(await until(get(a.tree, 'y')), 1);
  });

  test('the leader dies: who holds locks takes them up with the next one, others wait for them', async () => {
    const { a, b, c, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    await until(a.tree.locks.lock(place(1, 9), whole(), now));
    const waiting = c.tree.locks.lock(place(1), whole(), wait);
    const seen = watch(waiting);
    await w.world.run(1000);
    a.process.crash();
    await w.world.run(60_000);
    assert.ok(!seen.done && seen.error === undefined, 'the lock was not taken up');
    assert.ok(!b.tree.locks.isLost(7));
    await until(add(b.tree, 'z', { guard: b.tree.locks.guardOf(7) }));
    // What the leader had locked itself went with it.
    await until(c.tree.locks.lock(place(1, 9), whole(), now));
    await until(b.tree.locks.unlock(place(1), all));
    await until(waiting);
  });

  test('nothing is granted while somebody may still come; then it is', async () => {
    const { a, b, c, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    b.process.crash();
    a.process.crash();
    const died = w.world.now;
    await until(c.tree.locks.lock(place(1, 5), whole(), now));
    const tookMs = w.world.now - died;
    assert.ok(tookMs > limits.lockLeaseMs && tookMs < 2 * limits.lockLeaseMs, `${tookMs} ms`);
  });

  test('a leader that resigns hands over without delay', async () => {
    const { a, b, c, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    await until(a.tree.stop());
    const began = w.world.now;
    await until(c.tree.locks.lock(place(1, 5), whole(), now));
    assert.ok(w.world.now - began < 6000, `${w.world.now - began} ms`);
    await assert.rejects(until(c.tree.locks.lock(place(1), whole(), now)), (error) => isError(error, 'conflict'));
    assert.ok(!b.tree.locks.isLost(7));
  });

  test('a paused leader has lost what it had locked, and does nothing under it', async () => {
    const { a, b, w, until } = await several();
    await until(a.tree.locks.lock(place(1), whole(), now));
    const guard = a.tree.locks.guardOf(7);
    a.process.pause();
    await until(b.tree.locks.lock(place(1), whole(), now));
    await until(add(b.tree, 'x', { guard: b.tree.locks.guardOf(7) }));
    a.process.resume();
    await assert.rejects(until(add(a.tree, 'x', { guard })), lost);
    assert.ok(a.tree.locks.isLost(7));
    assert.equal(await until(get(w ? b.tree : a.tree, 'x')), 2);
  });

  test('a client without locks has no session after a while, and what is stopped holds nothing', async () => {
    const { a, b, w, until } = await several();
    await until(b.tree.locks.lock(place(1), whole(), now));
    await until(b.tree.stop());
    await until(a.tree.locks.lock(place(1), whole(), now));
    await until(a.tree.locks.unlock(place(1), all));
    await w.world.run(limits.lockIdleMs + limits.lockLeaseMs);
    a.process.crash();
    // The next leader waits for nobody.
    const c = await w.open('d');
    await until(add(c.tree, 'x'));
    const began = w.world.now;
    await until(c.tree.locks.lock(place(1), whole(), now));
    assert.ok(w.world.now - began < 1000, `${w.world.now - began} ms`);
  });

  test('limits are clear errors', async () => {
    const { b, until } = await several();
    const some = (from: number): LockRange => ({ from: BigInt(from), to: BigInt(from + 1), mode: 'exclusive', pid: 1 });
    const taken: Promise<void>[] = [];
    for (let i = 0; i < limits.lockRangesPerPlaceMax - 1; i++)
      taken.push(b.tree.locks.lock(place(1), some(2 * i), now));
    await until(Promise.all(taken));
    const full = (error: unknown) => isError(error, 'full') && error.data?.reason === 'no-locks';
    await assert.rejects(until(b.tree.locks.lock(place(1), some(5000), now)), full);
    await until(b.tree.locks.lock(place(2), some(5000), now));
    for (const bad of [some(-1), { ...some(0), to: 0n }, { ...some(0), to: lockEnd + 1n }])
      await assert.rejects(until(b.tree.locks.lock(place(3), bad, now)), (error) => isError(error));
  });
});

describe('locks under faults', () => {
  test('what is counted under a lock is never counted over', async () => {
    for (let seed = 1; seed <= 12; seed++) await counted(seed, true);
  });

  test('and it would be, if the leader did not ask for the lock at each work', async () => {
    let caught = 0;
    for (let seed = 1; seed <= 12 && caught === 0; seed++) await counted(seed, false).catch(() => caught++);
    assert.ok(caught > 0);
  });
});

/** Clients count by reading, waiting a little, and writing under a lock, while everything happens to them. */
async function counted(seed: number, guarded: boolean): Promise<void> {
  const w = new TreeWorld({ seed, delayMs: [1, 40] });
  await w.found();
  const { world } = w;
  const opened = [await w.open('a'), await w.open('b'), await w.open('c'), await w.open('d')];
  for (const { process } of opened) process.clockRate = 0.99 + 0.02 * world.fraction();
  world.loss = seed % 2 === 0 ? 0.02 : 0;
  let done = 0;
  let tried = 0;
  let ends = 0;
  const work = async ({ tree, process }: Opened, owner: number) => {
    const { clock, random } = process.runtime;
    for (let round = 0; round < 12; round++) {
      try {
        await tree.locks.lock(place(owner), whole(), wait);
        const guard = tree.locks.guardOf(7);
        if (guard === undefined && guarded) continue;
        const value = await get(tree, 'n');
        await clock.sleep(random.below(random.below(8) === 0 ? 25_000 : 300));
        if (guarded && tree.locks.isLost(7)) continue;
        tried++;
        await set(tree, 'n', encode(u64, value + 1), guarded ? { guard } : {});
        done++;
      } catch (error) {
        assert.ok(isError(error, 'lost', 'unavailable'), String(error));
      } finally {
        await tree.locks.unlock(place(owner), all).catch(() => {});
      }
      await clock.sleep(random.below(200));
    }
    ends++;
  };
  const workers = opened.flatMap((one) => [work(one, 1), work(one, 2)]);
  const failed = Promise.race(workers.map((one) => one.then(() => new Promise<never>(() => {}))));
  failed.catch(() => {});
  const alive = new Set(opened);
  const working = () => ends < 2 * alive.size;
  for (let step = 0; step < 80 && working(); step++) {
    await world.run(world.below(12_000));
    const one = opened[world.below(opened.length)] as Opened;
    const dice = world.fraction();
    if (dice < 0.4) {
      for (const other of opened)
        if (other !== one && world.fraction() < 0.7) world.cut(one.process.name, other.process.name);
      await world.run(world.below(30_000));
      world.heal();
    } else if (dice < 0.7) {
      one.process.pause();
      await world.run(world.below(30_000));
      one.process.resume();
    } else if (dice < 0.75 && alive.size > 2 && alive.delete(one)) one.process.crash();
  }
  const left = [...alive] as [Opened, ...Opened[]];
  await world.until(
    Promise.race([
      failed,
      (async () => {
        while (working()) await left[0].process.runtime.clock.sleep(500);
      })(),
    ]),
    3_600_000,
  );
  const value = await world.until(get(left[0].tree, 'n'));
  assert.ok(done > 20, `seed ${seed}: only ${done} of ${tried} were done`);
  assert.ok(value >= done && value <= tried, `seed ${seed}: ${value} is counted, ${done} of ${tried} were done`);
}
