// Takeover step by step (docs/protocols.md 4.5): a candidate that dies at any step, roots whose fate is unknown, candidates that
// race, ends that come at the worst time. The counter shows an operation executed twice or lost.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { rootHeader } from '../../../src/core/consensus/consensus.ts';
import type { TakeoverStep } from '../../../src/core/tree/takeover.ts';
import { add, get, TreeWorld } from '../../fakes/fake-tree.ts';

async function founded(): Promise<TreeWorld> {
  const world = new TreeWorld({ delayMs: [1, 3] });
  await world.found();
  return world;
}

const steps: TakeoverStep[] = ['claim', 'recover', 'write', 'activate', 'open'];

describe('takeover', () => {
  for (const step of steps)
    for (const afterMs of [0, 1.5, 4])
      test(`a candidate dies ${afterMs} ms into step ${step}; the next loses nothing, repeats nothing`, async () => {
        const w = await founded();
        const a = await w.open('a');
        const c = await w.open('c');
        const b = await w.open('b', {
          onTakeoverStep: (at) => {
            if (at === step) w.world.at(afterMs, () => b.process.crash());
          },
        });
        for (let i = 1; i <= 10; i++) assert.equal(await w.world.until(add(a.tree, 'x')), i);
        // In flight when the leader dies: asked once by c, it counts once, whoever answers in the end.
        const pending = Array.from({ length: 5 }, () => add(c.tree, 'x'));
        void add(b.tree, 'y').catch(() => {});
        await w.world.run(3);
        a.process.crash();
        const numbers = await w.world.until(Promise.all(pending));
        assert.deepEqual(
          [...numbers].sort((x, y) => x - y),
          [11, 12, 13, 14, 15],
        );
        assert.equal(await w.world.until(get(c.tree, 'x')), 15);
        assert.ok((await w.world.until(get(c.tree, 'y'))) <= 1);
        assert.equal(await w.world.until(add(c.tree, 'x')), 16);
      });

  for (const nth of [1, 2, 3])
    test(`the answer to root write ${nth} of a takeover is lost`, async () => {
      const w = await founded();
      const a = await w.open('a');
      const b = await w.open('b');
      for (let i = 1; i <= 3; i++) await w.world.until(add(a.tree, 'x'));
      a.process.crash();
      let writes = 0;
      w.cluster.onWrite = () => (++writes === nth ? 'lose' : undefined);
      assert.equal(await w.world.until(add(b.tree, 'x')), 4);
      assert.equal(await w.world.until(get(b.tree, 'x')), 4);
    });

  /** The next root write of a process is answered when the promise resolves, with what the root says then. */
  function answerLate(w: TreeWorld, name: string, until: Promise<void>): void {
    w.cluster.beforeAnswer = (by) => {
      if (by.name !== name) return undefined;
      w.cluster.beforeAnswer = undefined;
      return until;
    };
  }

  test('a claim that learns late that it won does not serve the epoch of its successor (L1, L4)', async () => {
    const w = await founded();
    const b = await w.open('b');
    const overtaken = deferred<void>();
    answerLate(w, 'b', overtaken.promise);
    const asked = add(b.tree, 'x');
    await w.world.run(100);
    assert.equal(w.root.epoch, 1);
    w.world.cut('a', 'b');
    const a = await w.open('a');
    const first = await w.world.until(add(a.tree, 'x'));
    overtaken.resolve();
    await w.world.run(50);
    assert.equal(b.tree.status().role, 'follower');
    w.world.heal();
    assert.deepEqual([first, await w.world.until(asked)], [1, 2]);
    assert.equal(await w.world.until(get(a.tree, 'x')), 2);
  });

  test('a leader whose root write was built on by a successor is deposed and opens none of his segments', async () => {
    const w = await founded();
    const b = await w.open('b');
    await w.world.until(add(b.tree, 'x'));
    const overtaken = deferred<void>();
    answerLate(w, 'b', overtaken.promise);
    const committed = b.tree.commit();
    await w.world.run(100);
    assert.equal(w.root.applied, 1);
    w.world.cut('a', 'b');
    const a = await w.open('a');
    assert.equal(await w.world.until(add(a.tree, 'x')), 2);
    overtaken.resolve();
    await assert.rejects(w.world.until(committed), (error) => isError(error, 'conflict'));
    assert.equal(b.tree.status().role, 'follower');
    w.world.heal();
    assert.equal(await w.world.until(add(b.tree, 'x')), 3);
  });

  test('a leader that resigns answers no reads once its root may be idle: the next one waits for no grants (L4)', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    const c = await w.open('c');
    assert.equal(await w.world.until(get(c.tree, 'x')), 1);
    const written = deferred<void>();
    answerLate(w, 'a', written.promise);
    const stopped = a.tree.stop();
    await w.world.run(100);
    assert.equal(w.root.state, 'idle');
    const b = await w.open('b');
    assert.equal(await w.world.until(add(b.tree, 'x')), 2);
    assert.equal(await w.world.until(get(c.tree, 'x')), 2);
    written.resolve();
    await w.world.until(stopped);
    assert.equal(await w.world.until(add(c.tree, 'x')), 3);
  });

  test('a commit whose answer is lost is found chosen', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    w.cluster.onWrite = () => {
      w.cluster.onWrite = undefined;
      return 'lose';
    };
    await assert.rejects(w.world.until(a.tree.commit()), (error) => isError(error, 'unavailable'));
    assert.equal(w.root.applied, 1);
    assert.equal(await w.world.until(add(a.tree, 'x')), 2);
    await w.world.until(a.tree.commit());
    assert.equal(w.root.applied, 2);
    assert.equal(w.root.epoch, 1);
  });

  test('a leader whose epoch is over finds out at its commit, and its callers are answered by the next', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    const b = await w.open('b', { door: true });
    w.world.cut('a', 'b');
    for (const { name } of w.cluster.storages.slice(0, 2)) w.world.cut('a', name);
    const lost = add(a.tree, 'x');
    await w.world.run(20_000);
    assert.equal(b.tree.status().role, 'leader');
    // A minority had the record: it may survive or not, and counts once.
    const other = await w.world.until(add(b.tree, 'x'));
    w.world.heal();
    const numbers = [other, await w.world.until(lost)];
    assert.deepEqual(numbers.sort(), [2, 3]);
    assert.equal(a.tree.status().role, 'follower');
  });

  test('who was cut off himself does not depose a leader that lives', async () => {
    const w = await founded();
    const b = await w.open('b');
    await w.world.until(add(b.tree, 'x'));
    const a = await w.open('a', { door: true });
    await w.world.run(2000);
    w.world.cut('a', 'b');
    for (const { name } of w.cluster.storages.slice(0, 2)) w.world.cut('a', name);
    const asked = add(a.tree, 'x');
    await w.world.run(20_000);
    w.world.heal();
    assert.equal(await w.world.until(asked), 2);
    assert.equal(b.tree.status().role, 'leader');
    assert.equal(w.root.epoch, 1);
  });

  test('several candidates race; one leads, all are answered', async () => {
    const w = await founded();
    const clients = [];
    for (const name of ['a', 'b', 'c', 'd']) clients.push(await w.open(name));
    const numbers = await w.world.until(Promise.all(clients.map(({ tree }) => add(tree, 'x'))));
    assert.deepEqual(
      [...numbers].sort((x, y) => x - y),
      [1, 2, 3, 4],
    );
    assert.equal(clients.filter(({ tree }) => tree.status().role === 'leader').length, 1);
    clients.find(({ tree }) => tree.status().role === 'leader')?.process.crash();
    const rest = clients.filter(({ process }) => process.state === 'up');
    const more = await w.world.until(Promise.all(rest.map(({ tree }) => add(tree, 'x'))));
    assert.deepEqual(
      [...more].sort((x, y) => x - y),
      [5, 6, 7],
    );
  });

  test('doors take over by themselves', async () => {
    const w = await founded();
    const a = await w.open('a', { door: true });
    const b = await w.open('b', { door: true });
    await w.world.run(3000);
    const [leader, other] = a.tree.status().role === 'leader' ? [a, b] : [b, a];
    assert.equal(leader.tree.status().role, 'leader');
    leader.process.crash();
    await w.world.run(12_000);
    assert.equal(other.tree.status().role, 'leader');
  });

  test('nothing is chosen between claim and activation but the root before (T2, T6)', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    for (let i = 0; i < 20; i++) await w.world.until(add(a.tree, `k${i}`));
    a.process.crash();
    await w.world.until(add(b.tree, 'x'));
    const roots = w.cluster.chosen.map(({ payload }) => decode(rootHeader, payload));
    assert.deepEqual(
      roots.map(({ epoch, state, applied, segments }) => [epoch, state, applied, segments.map(({ id }) => id)]),
      [
        [0, 'idle', 0, []],
        [1, 'active', 0, [1]],
        [2, 'recovering', 0, [1]],
        [2, 'active', 20, [2]],
      ],
    );
  });

  test('no majority of storages: waits, then says so; serves again when they return', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    for (const storage of w.cluster.storages.slice(0, 2)) storage.up = false;
    await assert.rejects(w.world.until(add(a.tree, 'x')), (error) => isError(error, 'unavailable'));
    for (const storage of w.cluster.storages) storage.up = true;
    await w.world.run(3000);
    // The one given up may have happened: it was never taken back.
    assert.equal(await w.world.until(add(a.tree, 'x')), 3);
  });

  test('reads of a leader wait for members that are away, as operations do; they end when it does', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    const away = w.cluster.storages.slice(0, 2);
    const outage = async () => {
      for (const storage of away) storage.up = false;
      await w.world.run(limits.grantMs + 1000);
    };
    await outage();
    const asked = Promise.all([get(a.tree, 'x'), add(a.tree, 'x', { durable: false })]);
    asked.catch(() => {});
    await w.world.run(10_000);
    for (const storage of away) storage.up = true;
    assert.deepEqual(await w.world.until(asked), [1, 2]);
    assert.equal(a.tree.status().epoch, 1);

    await outage();
    const start = w.world.now;
    await assert.rejects(w.world.until(get(a.tree, 'x')), (error) => isError(error, 'unavailable'));
    assert.ok(w.world.now - start >= limits.operationDeadlineMs - 1000, `${w.world.now - start} ms`);
  });
});
