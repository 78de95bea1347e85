// The event loop stays free: what a silo does between two of its turns is bounded, in records and bytes. Counted, not timed.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, it } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import type { Clock, Runtime } from '../../../src/core/runtime/runtime.ts';
import { Fifo } from '../../../src/core/silo/fifo.ts';
import { loadCheckpoint, writeCheckpoint } from '../../../src/core/silo/filesystem/checkpoint.ts';
import { openFilesystemSilo } from '../../../src/core/silo/filesystem/filesystem.ts';
import { applyFlush, endAtom, newFlush, stageChange } from '../../../src/core/silo/filesystem/flush.ts';
import type { Segments } from '../../../src/core/silo/filesystem/segments.ts';
import { SiloState } from '../../../src/core/silo/filesystem/state.ts';
import type { Superblock } from '../../../src/core/silo/filesystem/superblock.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { Turns, turnCosts } from '../../../src/core/silo/turns.ts';
import { keyOf } from '../../conformance/silo.ts';
import { siloRuntime } from './runtime.ts';

const { siloTurnRecordsMax: recordsMax, siloTurnBytesMax: bytesMax } = limits;
const root = await fs.mkdtemp(join(tmpdir(), 'infinit-turns-'));
after(() => fs.rm(root, { recursive: true, force: true }));

/** A clock whose turns come when they are called for. */
function stoppedClock(): { clock: Clock; turn(): Promise<void> } {
  const tasks: (() => void)[] = [];
  const later = (timeMs: number, task: () => void) => {
    assert.equal(timeMs, 0);
    tasks.push(task);
    return () => {};
  };
  return {
    clock: { now: () => 0, monotonic: () => 0, sleep: async () => {}, after: later },
    turn: async () => {
      for (const task of tasks.splice(0)) task();
      for (let i = 0; i < 10; i++) await Promise.resolve();
    },
  };
}

/** Turns that have come to give all they may. */
async function warmTurns() {
  const { clock, turn } = stoppedClock();
  const turns = new Turns(clock);
  for (let i = 0; i < 3; i++) {
    turns.take(recordsMax);
    await turn();
  }
  return { turns, turn };
}

/** A runtime that counts the turns a silo asked for, and in each what the test counts. Its other timers never end. */
function countingRuntime() {
  const runtime = siloRuntime();
  const seen = { turns: 0, now: 0, most: 0 };
  const count = () => {
    seen.most = Math.max(seen.most, ++seen.now);
  };
  const later: Clock['after'] = (timeMs, task) => {
    if (timeMs > 0) return () => {};
    return runtime.clock.after(0, () => {
      seen.turns++;
      seen.now = 0;
      task();
    });
  };
  const counting: Runtime = { ...runtime, clock: { ...runtime.clock, after: later } };
  return { runtime: counting, seen, count };
}

/** What a silo of one segment knows, without its files. */
function stateOf({ clock }: Runtime): SiloState {
  const segment = { id: 1, path: '', serial: 1, bytes: 0, liveBytes: 0, liveRecords: 0, damaged: false };
  const segments = { all: new Map([[1, segment]]) } as unknown as Segments;
  const superblock = { seed: [1, 2], salt: 3, openings: 1 } as unknown as Superblock;
  return Object.assign(new SiloState(superblock, segments, new Turns(clock)), { active: segment });
}

function open(name: string, runtime: Runtime): Promise<Silo> {
  return openFilesystemSilo({ type: 'filesystem', path: join(root, name) }, runtime);
}

describe('turns of a silo', () => {
  it('gives a turn so many records and bytes, and whoever waits the next, in order', async () => {
    const { turns, turn } = await warmTurns();
    const done: string[] = [];
    const ask = (name: string, records: number, bytes = 0) =>
      void Promise.resolve(turns.take(records, bytes)).then(() => done.push(name));
    ask('a', recordsMax - 1, bytesMax);
    ask('b', 1);
    ask('c', 0, 1);
    ask('d', 1);
    ask('e', recordsMax);
    await Promise.resolve();
    assert.equal(done.join(''), 'ab');
    await turn();
    assert.equal(done.join(''), 'abcd');
    ask('f', 1);
    await turn();
    assert.equal(done.join(''), 'abcde');
    await turn();
    assert.equal(done.join(''), 'abcdef');
  });

  it('begins with little, for what runs the first time runs slowly', async () => {
    const { clock, turn } = stoppedClock();
    const turns = new Turns(clock);
    let waiting = 0;
    for (const share of [1 / 8, 1 / 4, 1 / 2, 1, 1]) {
      assert.equal(turns.take(share * recordsMax - waiting), undefined);
      const more = turns.take(1);
      assert.ok(more !== undefined);
      await turn();
      await more;
      waiting = 1;
    }
  });

  it('gives a turn of its own to what no turn has room for', async () => {
    const { clock, turn } = stoppedClock();
    const turns = new Turns(clock);
    assert.equal(turns.take(1), undefined);
    let done = 0;
    for (const bytes of [2 * bytesMax, 1, 3 * bytesMax]) void turns.take(1, bytes)?.then(() => done++);
    for (const expected of [1, 2, 3]) {
      await turn();
      assert.equal(done, expected);
    }
  });

  it('forgets what was done in turns that have passed', async () => {
    const { turns, turn } = await warmTurns();
    for (let i = 0; i < 10; i++) {
      assert.equal(turns.take(recordsMax - 1, bytesMax), undefined);
      await turn();
    }
  });

  it('keeps a long queue in order', () => {
    const queue = new Fifo<number>();
    let [put, taken] = [0, 0];
    for (let i = 0; i < 30_000; i++) {
      queue.push(put++);
      if (i % 3 !== 0) assert.equal(queue.shift(), taken++);
    }
    assert.equal(queue.length, put - taken);
    assert.equal(queue.first, taken);
    assert.deepEqual(
      queue.takeAll(),
      Array.from({ length: put - taken }, (_, i) => taken + i),
    );
    assert.equal(queue.shift(), undefined);
    assert.equal(queue.length, 0);
  });
});

describe('silo between two turns of the event loop', () => {
  const puts = 4 * limits.siloBatchRecordsMax;

  it('lays out, answers and replays no more than so many changes', async () => {
    const { runtime, seen, count } = countingRuntime();
    const silo = await open('answers', runtime);
    const order: number[] = [];
    Object.assign(seen, { turns: 0, now: 0, most: 0 });
    const all = Array.from({ length: puts }, (_, i) =>
      silo.put('block', keyOf(i), Buffer.from(`value ${i}`)).then(() => {
        order.push(i);
        count();
      }),
    );
    await Promise.all(all);
    assert.deepEqual(
      order,
      Array.from({ length: puts }, (_, i) => i),
    );
    assert.ok(seen.most <= recordsMax, `${seen.most} were answered in one turn`);
    // Laying out has turns of its own; showing and answering share others.
    const least = (puts * (1 + turnCosts.staged + turnCosts.applied)) / recordsMax - 2;
    assert.ok(seen.turns >= least, `${seen.turns} turns, not ${least}`);
    const copy = join(root, 'replayed');
    await fs.cp(join(root, 'answers'), copy, { recursive: true, filter: (path) => !/\/lock/.test(path) });
    await silo.close();
    const replaying = countingRuntime();
    const again = await open('replayed', replaying.runtime);
    assert.ok(replaying.seen.turns >= puts / recordsMax - 1, `replayed in ${replaying.seen.turns} turns`);
    assert.equal(again.usage().entries, puts);
    await again.close();
  });

  it('reads no more bytes of values than so many', async () => {
    const { runtime, seen, count } = countingRuntime();
    const silo = await open('reads', runtime);
    const bytes = bytesMax / 2;
    const names = [0, 1, 2, 3, 4, 5, 6, 7];
    await Promise.all(names.map((n) => silo.put('block', keyOf(n), Buffer.alloc(bytes, n))));
    await new Promise((resolve) => setImmediate(resolve));
    Object.assign(seen, { turns: 0, now: 0, most: 0 });
    await Promise.all(names.map((n) => silo.get('block', keyOf(n)).then(count)));
    assert.ok(seen.most <= bytesMax / bytes, `${seen.most} values in one turn`);
    await silo.close();
  });

  it('restores and counts no more of the index than so many slots', async () => {
    const { runtime, seen } = countingRuntime();
    const entries = 40_000;
    const filled = stateOf(runtime);
    for (let i = 0; i < entries; i++) filled.index.set(0, keyOf(i), 1, i, 1);
    const folder = join(root, 'index');
    await fs.mkdir(folder);
    await writeCheckpoint(runtime.files, folder, filled, 1);
    const state = stateOf(runtime);
    const least = (entries * turnCosts.slot) / recordsMax - 1;
    for (const task of [() => loadCheckpoint(runtime.files, folder, state), () => state.recount()]) {
      seen.turns = 0;
      await task();
      assert.ok(seen.turns >= least, `${seen.turns} turns, not ${least}`);
    }
    assert.equal(state.entries, entries);
  });

  it('moves the end of the log when all of a flush shows, not before', async () => {
    const { clock, turn } = stoppedClock();
    const state = stateOf(siloRuntime());
    const flush = newFlush(state, [Buffer.alloc(4096 * 100)], undefined);
    const changes = Array.from({ length: 4096 }, (_, i) => ({ space: 0, key: keyOf(i), value: Buffer.alloc(1) }));
    for (const change of changes) {
      stageChange(state, change, true, flush);
      endAtom(state, flush);
    }
    const before = state.position();
    const applied = applyFlush(state, flush, new Turns(clock));
    while (state.entries < changes.length) {
      assert.deepEqual(state.position(), before);
      await turn();
    }
    await applied;
    const { offset, sequence } = state.position();
    assert.deepEqual({ offset, sequence }, { offset: flush.length, sequence: changes.length });
  });

  it('shows a batch that is larger than a turn whole or not at all', async () => {
    const silo = await open('whole', siloRuntime());
    const keys = Array.from({ length: 12 * recordsMax }, (_, i) => keyOf(i));
    const change = (version: number) =>
      silo.batch(keys.map((key) => ({ space: 'register', key, value: Buffer.alloc(version) })));
    await change(1);
    let version = 1;
    let looks = 0;
    const others = Array.from({ length: 2000 }, (_, i) => silo.put('block', keyOf(i), Buffer.alloc(10)));
    const changed = change(2)
      .then(() => change(3))
      .then(() => (version = 3));
    while (version !== 3 || looks === 0) {
      // `size` looks at once when it is called.
      const sizes = await Promise.all(keys.map((key) => silo.size('register', key)));
      assert.equal(new Set(sizes).size, 1, 'half a batch shows');
      looks++;
      await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all([changed, ...others]);
    await silo.close();
  });
});
