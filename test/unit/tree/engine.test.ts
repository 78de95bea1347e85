// The tree engine over exact fakes: leading, following, taking over, committing (docs/protocols.md 4).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { add, fail, get, TreeWorld } from '../../fakes/fake-tree.ts';

async function founded(options: ConstructorParameters<typeof TreeWorld>[0] = {}): Promise<TreeWorld> {
  const world = new TreeWorld(options);
  await world.found();
  return world;
}

describe('tree engine', () => {
  test('a client leads when nobody does, and reads what it wrote', async () => {
    const w = await founded();
    const { tree } = await w.open('a');
    assert.equal(await w.world.until(add(tree, 'x')), 1);
    assert.equal(await w.world.until(add(tree, 'x')), 2);
    assert.equal(await w.world.until(get(tree, 'x')), 2);
    assert.equal(tree.status().role, 'leader');
    assert.equal(w.root.state, 'active');
    assert.equal(w.root.applied, 0);
    await w.world.until(tree.stop());
    assert.equal(w.root.state, 'idle');
    assert.deepEqual(w.root.segments, []);
  });

  test('a follower forwards, its operations are executed once, both see the same', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    assert.equal(await w.world.until(add(a.tree, 'x')), 1);
    assert.equal(await w.world.until(add(b.tree, 'x')), 2);
    assert.equal(await w.world.until(get(b.tree, 'x')), 2);
    assert.equal(b.tree.status().role, 'follower');
    const both = [a, b].flatMap(({ tree }) => Array.from({ length: 50 }, () => add(tree, 'x')));
    const numbers = await w.world.until(Promise.all(both));
    assert.deepEqual(
      [...numbers].sort((x, y) => x - y),
      Array.from({ length: 100 }, (_, i) => i + 3),
    );
  });

  test('what a view throws reaches the caller and changes nothing', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(add(a.tree, 'x'));
    for (const { tree } of [a, b]) {
      await assert.rejects(
        w.world.until(fail(tree)),
        (error) => isError(error, 'conflict') && error.message === 'as asked',
      );
      assert.equal(await w.world.until(get(tree, '-failed')), 0);
    }
    await w.world.until(a.tree.commit());
    assert.equal(w.root.applied, 1);
  });

  test('operations that wait together share one append, one round trip', async () => {
    const w = await founded({ delayMs: [1, 1] });
    const { tree } = await w.open('a');
    await w.world.until(add(tree, 'x'));
    const before = w.cluster.counts.append;
    const start = w.world.now;
    await w.world.until(add(tree, 'x'));
    assert.equal(w.cluster.counts.append - before, 1);
    assert.equal(w.world.now - start, 2);
    await w.world.until(Promise.all(Array.from({ length: 64 }, () => add(tree, 'y'))));
    assert.equal(w.cluster.counts.append - before, 2);
  });

  test('reads at the leader cost no round trip under its grants, and one after they ended', async () => {
    const w = await founded({ delayMs: [1, 1] });
    const { tree } = await w.open('a');
    await w.world.until(add(tree, 'x'));
    let start = w.world.now;
    assert.equal(await w.world.until(get(tree, 'x')), 1);
    assert.equal(w.world.now - start, 0);
    await w.world.run(5000);
    start = w.world.now;
    const { hold } = w.cluster.counts;
    assert.equal(await w.world.until(get(tree, 'x')), 1);
    assert.equal(w.cluster.counts.hold, hold + 1);
    assert.equal(w.world.now - start, 2);
  });

  test('a read does not show a durable change before it is acknowledged (L8)', async () => {
    const w = await founded({ delayMs: [10, 10] });
    const { tree } = await w.open('a');
    await w.world.until(add(tree, 'x'));
    const start = w.world.now;
    const times: { [name: string]: number } = {};
    const write = add(tree, 'x').then(() => (times.write = w.world.now - start));
    await w.world.run(1);
    const read = get(tree, 'x').then((value) => (times[`read ${value}`] = w.world.now - start));
    const other = get(tree, 'other').then(() => (times.other = w.world.now - start));
    await w.world.until(Promise.all([write, read, other]));
    assert.deepEqual(times, { other: 1, 'read 2': 20, write: 20 });
  });

  test('a volatile change is seen at once here, and by others only when durable', async () => {
    const w = await founded({ delayMs: [10, 10] });
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(get(a.tree, 'x'));
    const { append } = w.cluster.counts;
    const start = w.world.now;
    assert.equal(await w.world.until(add(a.tree, 'x', { durable: false })), 1);
    assert.equal(await w.world.until(get(a.tree, 'x')), 1);
    assert.equal(w.world.now, start);
    assert.equal(w.cluster.counts.append, append);
    assert.equal(await w.world.until(get(b.tree, 'x')), 1);
    assert.equal(w.cluster.counts.append, append + 1);
    await w.world.until(add(a.tree, 'x', { durable: false }));
    await w.world.run(1100);
    assert.equal(w.cluster.counts.append, append + 2);
  });

  test('sync makes what was volatile durable; a leadership that ends before may have lost it, and that is counted', async () => {
    const w = await founded({ delayMs: [10, 10] });
    const a = await w.open('a');
    const b = await w.open('b', { door: true });
    await w.world.until(add(a.tree, 'x'));
    await w.world.until(add(a.tree, 'x', { durable: false }));
    await w.world.until(a.tree.sync());
    assert.equal(await w.world.until(get(b.tree, 'x')), 2);
    assert.equal(a.tree.losses, 0);
    await w.world.until(add(a.tree, 'x', { durable: false }));
    a.process.pause();
    await w.world.run(20_000);
    assert.equal(await w.world.until(get(b.tree, 'x')), 2);
    a.process.resume();
    await assert.rejects(w.world.until(a.tree.sync()), (error) => isError(error, 'lost'));
    assert.equal(a.tree.losses, 1);
    assert.equal(await w.world.until(get(a.tree, 'x')), 2);
    await w.world.until(a.tree.sync());
  });

  test('local answers of a leader stay true while its lease runs, those of a follower never', async () => {
    const w = await founded({ delayMs: [10, 10] });
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(add(a.tree, 'x'));
    await w.world.until(get(b.tree, 'x'));
    const lease = a.tree.leaseMs();
    assert.ok(lease > 3000 && lease <= 4000, `${lease}`);
    assert.equal(b.tree.leaseMs(), 0);
    await w.world.run(lease + 1);
    assert.equal(a.tree.leaseMs(), 0);
    await w.world.until(a.tree.stop());
    assert.equal(a.tree.leaseMs(), 0);
  });

  test('a leader is told of changes of other clients before they are answered, and knows when it is alone', async () => {
    const w = await founded();
    const told: number[] = [];
    let open!: () => void;
    const gate = new Promise<void>((resolve) => {
      open = resolve;
    });
    const onForwarded = async (effects: readonly unknown[]) => {
      told.push(effects.length);
      await gate;
    };
    const a = await w.open('a', { onForwarded });
    const b = await w.open('b', { onForwarded: () => assert.fail('b does not lead') });
    await w.world.until(add(a.tree, 'x'));
    assert.deepEqual(told, []);
    await w.world.run(31_000);
    assert.ok(a.tree.alone());
    let answered = false;
    const asked = add(b.tree, 'x').then((value) => {
      answered = true;
      return value;
    });
    await w.world.run(1000);
    assert.equal(told.length, 1);
    assert.equal(answered, false);
    open();
    assert.equal(await w.world.until(asked), 2);
    assert.ok(!a.tree.alone() && !b.tree.alone());
  });

  test('facts of an error cross to a follower', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(add(a.tree, 'x'));
    for (const { tree } of [a, b])
      await assert.rejects(
        w.world.until(fail(tree)),
        (error) => isError(error, 'conflict') && error.data?.reason === 'asked',
      );
  });

  test('a segment that nothing was appended to is replaced when the members change again', async () => {
    const w = await founded({ storages: ['s1', 's2', 's3', 's4', 's5'] });
    const a = await w.open('a');
    const registers = w.cluster.store(a.process).registers;
    await w.world.until(add(a.tree, 'x'));
    for (const members of [w.cluster.members.slice(1, 4), w.cluster.members.slice(2)]) {
      await w.world.until(registers.reconfigure(w.rootAddress, members));
      await w.world.run(11_000);
    }
    const names = (members: readonly { node: Uint8Array }[]) =>
      members.map((one) => Buffer.from(one.node).toString('hex')).sort();
    assert.deepEqual(names(w.root.segments.at(-1)?.members ?? []), names(w.cluster.members.slice(2)));
    assert.equal(await w.world.until(add(a.tree, 'x')), 2);
    const b = await w.open('b');
    a.process.crash();
    assert.equal(await w.world.until(add(b.tree, 'x')), 3);
  });

  test('chunks are as large as asked', async () => {
    const w = await founded();
    const cells = Array.from({ length: 32 }, (_, i) => Buffer.alloc(limits.cellBytesMax, i));
    for (const [chunkBytesMax, chunks] of [
      [512 * 1024, 4],
      [limits.blockBytesMax - limits.cellBytesMax, 1],
    ] as const) {
      const { tree } = await w.open(`writer of ${chunkBytesMax}`, { chunkBytesMax });
      const written = await w.world.until(tree.writeChunks(cells));
      assert.deepEqual(
        written.map((chunk) => chunk.cells.length),
        Array(chunks).fill(32 / chunks),
      );
      const last = written.at(-1);
      assert.ok(last);
      assert.deepEqual(await w.world.until(tree.readCells(last, last.cells.length - 2, 2)), cells.slice(30));
    }
  });

  test('a crashed leader: the next one has all that was acknowledged, nothing twice (L1, L3)', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    for (let i = 1; i <= 5; i++) assert.equal(await w.world.until(add(i % 2 ? a.tree : b.tree, 'x')), i);
    const pending = add(b.tree, 'x');
    await w.world.run(2);
    a.process.crash();
    const start = w.world.now;
    assert.equal(await w.world.until(pending), 6);
    assert.ok(w.world.now - start < 15_000, `took over after ${w.world.now - start} ms`);
    assert.equal(b.tree.status().role, 'leader');
    assert.equal(await w.world.until(get(b.tree, 'x')), 6);
    assert.equal(w.root.epoch, 2);
  });

  test('resignation hands over without waiting', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(add(a.tree, 'x'));
    await w.world.until(a.tree.stop());
    const start = w.world.now;
    assert.equal(await w.world.until(add(b.tree, 'x')), 2);
    assert.ok(w.world.now - start < 100, `${w.world.now - start} ms`);
    await assert.rejects(w.world.until(add(a.tree, 'x')), (error) => isError(error, 'unavailable'));
  });

  test('a paused leader that comes back answers nothing stale and gives its callers to the next (4.7)', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b', { door: true });
    await w.world.until(add(a.tree, 'x'));
    await w.world.run(2000);
    const own = add(a.tree, 'x');
    a.process.pause();
    await w.world.run(20_000);
    assert.equal(b.tree.status().role, 'leader');
    const seen = await w.world.until(get(b.tree, 'x'));
    assert.ok(seen === 1 || seen === 2);
    await w.world.until(add(b.tree, 'y'));
    a.process.resume();
    assert.equal(await w.world.until(get(a.tree, 'y')), 1);
    assert.equal(await w.world.until(own), 2);
    assert.equal(await w.world.until(get(b.tree, 'x')), 2);
    assert.equal(a.tree.status().role, 'follower');
  });

  test('commits run beside appends; a new process reads from the base', async () => {
    const w = await founded();
    const a = await w.open('a');
    const writes: Promise<number>[] = [];
    for (let i = 0; i < 200; i++) writes.push(add(a.tree, `k${i % 50}`));
    const commit = a.tree.commit();
    for (let i = 0; i < 200; i++) writes.push(add(a.tree, `k${i % 50}`));
    await w.world.until(Promise.all([...writes, commit]));
    await w.world.until(a.tree.commit());
    assert.equal(w.root.applied, 400);
    assert.ok(a.tree.status().height > 0);
    assert.equal(a.tree.status().memtableBytes, 0);
    await w.world.until(a.tree.stop());
    const b = await w.open('b');
    for (let i = 0; i < 50; i++) assert.equal(await w.world.until(get(b.tree, `k${i}`)), 8);
  });

  test('commits by itself after half a minute of rest', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    await w.world.run(29_000);
    assert.equal(w.root.applied, 0);
    await w.world.run(5_000);
    assert.equal(w.root.applied, 1);
  });

  test('the ensemble follows the members of the root register', async () => {
    const w = await founded({ storages: ['s1', 's2', 's3', 's4'] });
    const a = await w.open('a');
    const registers = w.cluster.store(a.process).registers;
    await w.world.until(registers.reconfigure(w.rootAddress, w.cluster.members.slice(0, 3)));
    assert.equal(await w.world.until(add(a.tree, 'x')), 1);
    await w.world.until(registers.reconfigure(w.rootAddress, w.cluster.members.slice(1)));
    const listed = new Set<string>();
    const writes = (async () => {
      for (let i = 2; i <= 500; i++) {
        assert.equal(await add(a.tree, 'x'), i);
        listed.add(w.root.segments.map((segment) => `${segment.id}: ${segment.members.length}`).join(', '));
        await a.process.runtime.clock.sleep(50);
      }
    })();
    await w.world.until(writes);
    // A commit follows the change at once: nothing stays on the members that were left.
    assert.deepEqual([...listed], ['1: 3', '1: 3, 2: 3', '2: 3']);
    const b = await w.open('b');
    a.process.crash();
    assert.equal(await w.world.until(add(b.tree, 'x')), 501);
  });

  test('a reader without rights to lead shows the last commit, and says so once', async () => {
    const w = await founded();
    const a = await w.open('a');
    await w.world.until(add(a.tree, 'x'));
    await w.world.until(a.tree.stop());
    const b = await w.open('b', { readOnly: true });
    assert.equal(await w.world.until(get(b.tree, 'x')), 1);
    assert.equal(await w.world.until(get(b.tree, 'x')), 1);
    assert.equal(b.process.logged.filter((line) => line.includes('showing the last commit')).length, 1);
    await assert.rejects(w.world.until(add(b.tree, 'x')), (error) => isError(error, 'denied'));
  });

  test('changes reach listeners here and elsewhere, in order', async () => {
    const w = await founded();
    const a = await w.open('a');
    const b = await w.open('b');
    await w.world.until(add(a.tree, 'x'));
    const seen: { [name: string]: number[] } = { a: [], b: [] };
    a.tree.onChange(({ sequence }) => seen.a?.push(sequence));
    const off = b.tree.onChange(({ sequence }) => seen.b?.push(sequence));
    await w.world.run(1000);
    for (let i = 0; i < 5; i++) await w.world.until(add(i % 2 ? a.tree : b.tree, 'x'));
    await w.world.run(1000);
    assert.deepEqual(seen, { a: [2, 3, 4, 5, 6], b: [2, 3, 4, 5, 6] });
    off();
  });
});
