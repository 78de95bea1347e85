// Followers answer from memory under a lease of the leader (docs/protocols.md 4.6); nobody is shown what was before a change that
// somebody has seen.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { Peer } from '../../../src/core/peer/peer.ts';
import { ReadLeases } from '../../../src/core/tree/read-leases.ts';
import { add, get, TreeWorld } from '../../fakes/fake-tree.ts';
import { Process, World } from '../../fakes/world.ts';

const hopMs = 10;

async function pair() {
  const w = new TreeWorld({ delayMs: [hopMs, hopMs] });
  await w.found();
  const a = await w.open('a');
  const b = await w.open('b');
  await w.world.until(add(a.tree, 'x'));
  const timed = async <T>(task: Promise<T>) => {
    const start = w.world.now;
    const value = await w.world.until(task);
    return { value, ms: w.world.now - start };
  };
  return { w, a, b, timed };
}

describe('read leases', () => {
  test('an answer is repeated without asking while the lease lasts, and asked for again after it', async () => {
    const { w, b, timed } = await pair();
    assert.equal((await timed(get(b.tree, 'x'))).value, 1);
    assert.deepEqual(await timed(get(b.tree, 'x')), { value: 1, ms: 0 });
    await w.world.run(limits.readLeaseMs);
    const again = await timed(get(b.tree, 'x'));
    assert.ok(again.value === 1 && again.ms >= 2 * hopMs, `${again.ms} ms`);
  });

  test('a change by the leader, by the follower, by a third one: the next answer has it', async () => {
    const { w, a, b, timed } = await pair();
    const c = await w.open('c');
    for (let round = 0; round < 3; round++)
      for (const { tree } of [a, b, c]) {
        const before = (await timed(get(b.tree, 'x'))).value;
        assert.equal((await timed(get(b.tree, 'x'))).ms, 0);
        assert.equal(await w.world.until(add(tree, 'x')), before + 1);
        assert.equal((await timed(get(b.tree, 'x'))).value, before + 1);
      }
  });

  test('what nobody was answered changes without a word; a change of what was costs one round trip', async () => {
    const { b, a, timed } = await pair();
    await timed(get(b.tree, 'x'));
    assert.equal((await timed(add(a.tree, 'y', { durable: false }))).ms, 0);
    assert.equal((await timed(get(b.tree, 'x'))).ms, 0);
    assert.equal((await timed(add(a.tree, 'x', { durable: false }))).ms, 2 * hopMs);
    assert.equal((await timed(add(a.tree, 'x', { durable: false }))).ms, 0);
    assert.equal((await timed(get(b.tree, 'x'))).value, 3);
  });

  test('absence is an answer too', async () => {
    const { w, a, b, timed } = await pair();
    assert.equal((await timed(get(b.tree, 'new'))).value, 0);
    assert.equal((await timed(get(b.tree, 'new'))).ms, 0);
    await w.world.until(add(a.tree, 'new'));
    assert.equal((await timed(get(b.tree, 'new'))).value, 1);
  });

  test('a follower that cannot be told is waited for until its lease ends, and answers nothing older then', async () => {
    const { a, b, timed } = await pair();
    await timed(get(b.tree, 'x'));
    b.process.pause();
    const { ms } = await timed(add(a.tree, 'x', { durable: false }));
    assert.ok(ms > limits.readLeaseMs / 2 && ms <= limits.readLeaseMs, `${ms} ms`);
    assert.ok((await timed(add(a.tree, 'x', { durable: false }))).ms <= 2 * hopMs);
    b.process.resume();
    assert.equal((await timed(get(b.tree, 'x'))).value, 3);
  });

  test('a leader that resigns has no lease left behind', async () => {
    const { w, a, b, timed } = await pair();
    const c = await w.open('c');
    await timed(get(b.tree, 'x'));
    await w.world.until(a.tree.stop());
    assert.equal(await w.world.until(add(c.tree, 'x')), 2);
    assert.equal((await timed(get(b.tree, 'x'))).value, 2);
  });

  test("a dead leader's leases have ended when the next one answers", async () => {
    const { w, a, b, timed } = await pair();
    const c = await w.open('c');
    await timed(get(b.tree, 'x'));
    a.process.crash();
    const changed = add(c.tree, 'x');
    let last = 1;
    const reads = (async () => {
      for (;;) {
        last = await get(b.tree, 'x');
        await b.process.runtime.clock.sleep(50);
      }
    })();
    reads.catch(() => {});
    assert.equal(await w.world.until(changed), 2);
    assert.equal((await timed(get(b.tree, 'x'))).value, 2);
    assert.ok(last === 1 || last === 2);
  });

  test('several ask and change at once: what is read never goes back', async () => {
    for (let seed = 1; seed <= 8; seed++) {
      const w = new TreeWorld({ seed, delayMs: [1, 30], loss: 0.02 });
      await w.found();
      const opened = [await w.open('a'), await w.open('b'), await w.open('c')];
      const ends: Promise<void>[] = [];
      let done = 0;
      for (const [i, { tree, process }] of opened.entries()) {
        const writer = async () => {
          for (let n = 0; n < 25; n++) {
            const floor = done;
            const value = await add(tree, 'x', { durable: n % 2 === 0 });
            assert.ok(value > floor, `seed ${seed}: ${i} made ${value} after ${floor}`);
            done = Math.max(done, value);
            await process.runtime.clock.sleep(process.runtime.random.below(40));
          }
        };
        const reader = async () => {
          for (let n = 0; n < 60; n++) {
            const floor = done;
            const value = await get(tree, 'x');
            assert.ok(value >= floor, `seed ${seed}: ${i} read ${value} after ${floor}`);
            done = Math.max(done, value);
            await process.runtime.clock.sleep(process.runtime.random.below(20));
          }
        };
        ends.push(writer(), reader(), reader());
      }
      await w.world.until(Promise.all(ends));
      assert.equal(await w.world.until(get((opened[2] as (typeof opened)[0]).tree, 'x')), 75);
    }
  });

  test('who asks for a change is told too when he may have been answered since he forgot', async () => {
    const told: string[] = [];
    const peer = (name: string) =>
      ({ id: Buffer.from(name), call: async () => void told.push(name) }) as unknown as Peer;
    const world = new World();
    const { clock } = new Process(world, 'leader').runtime;
    const key = Buffer.from('k');
    const effects = [{ type: 'put', key, value: key }] as const;
    for (const [granted, forgot, expected] of [
      [5, 5, []],
      [5, 4, ['a']],
    ] as const) {
      const leases = new ReadLeases({ clock, treeId: Buffer.alloc(16), leaseMs: () => 4000 });
      const query = leases.begin();
      query.addKey(key);
      assert.equal(leases.grant(query, peer('a'), granted), limits.readLeaseMs);
      leases.end(query);
      await leases.revoke(effects, { id: Buffer.from('a'), generation: forgot });
      assert.deepEqual(told.splice(0), expected);
    }
  });

  test('a query whose view is older than a change, applied or coming, gets no lease', async () => {
    const { clock } = new Process(new World(), 'leader').runtime;
    const leases = new ReadLeases({ clock, treeId: Buffer.alloc(16), leaseMs: () => 4000 });
    const peer = { id: Buffer.from('a') } as unknown as Peer;
    const key = Buffer.from('k');
    const ask = (read: (query: ReturnType<typeof leases.begin>) => void) => {
      const query = leases.begin();
      read(query);
      return query;
    };
    const before = ask((query) => query.addKey(key));
    assert.equal(leases.revoke([{ type: 'put', key, value: key }]), undefined);
    const during = ask((query) => query.addRange(Buffer.from('a'), Buffer.from('z')));
    const other = ask((query) => query.addKey(Buffer.from('other')));
    assert.deepEqual(
      [before, during, other].map((query) => leases.grant(query, peer, 0)),
      [0, 0, limits.readLeaseMs],
    );
    leases.applied();
    assert.equal(leases.grant(before, peer, 0), 0);
    assert.equal(
      leases.grant(
        ask((query) => query.addKey(key)),
        peer,
        0,
      ),
      limits.readLeaseMs,
    );
  });

  test('what is denied is not remembered', async () => {
    const { w, b } = await pair();
    await w.world.until(get(b.tree, 'x'));
    await assert.rejects(w.world.until(b.tree.query(Buffer.alloc(3))), (error) => isError(error, 'corrupt', 'usage'));
  });
});
