// The table of locks against a model that keeps one letter a place: what is granted, what is refused, who is served when.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { LockTable, type LockWaiter } from '../../../../src/core/tree/locks/lock-table.ts';
import type { LockMode, LockPlace, LockRange, LockSpace } from '../../../../src/core/tree/tree.ts';
import { World } from '../../../fakes/world.ts';

const place = (owner: number, resource = 1, space: LockSpace = 'range'): LockPlace => ({
  ...{ space, resource, owner: BigInt(owner) },
});
const range = (from: number, to: number, mode: LockMode = 'exclusive'): LockRange => ({
  ...{ from: BigInt(from), to: BigInt(to), mode, pid: 0 },
});

function fresh() {
  const granted: LockWaiter[] = [];
  const table = new LockTable((waiter) => granted.push(waiter));
  const took = () => granted.splice(0).map(({ client, id }) => `${client}${id}`);
  return { table, took };
}

describe('lock table', () => {
  test('ranges of one owner replace, split and join', () => {
    const { table } = fresh();
    const shown = () => table.rangesOf('a', place(1)).map(({ from, to, mode }) => `${mode[0]}${from}-${to}`);
    table.lock('a', place(1), range(0, 100));
    table.lock('a', place(1), range(40, 60, 'shared'));
    assert.deepEqual(shown(), ['e0-40', 's40-60', 'e60-100']);
    table.unlock('a', place(1), { from: 10n, to: 50n });
    assert.deepEqual(shown(), ['e0-10', 's50-60', 'e60-100']);
    table.lock('a', place(1), range(10, 60));
    assert.deepEqual(shown(), ['e0-100']);
    assert.deepEqual(table.countsOf('a'), { ranges: 1, waiters: 0 });
    table.unlock('a', place(1), { from: 0n, to: 2n ** 63n });
    assert.deepEqual([table.countsOf('a'), table.countsOf()], Array(2).fill({ ranges: 0, waiters: 0 }));
  });

  test('who asked first is served first; shared ones do not pass an exclusive one for ever', () => {
    const { table, took } = fresh();
    assert.equal(table.lock('a', place(1), range(0, 10, 'shared'), 1), 'granted');
    assert.equal(table.lock('b', place(1), range(0, 10), 2), 'waiting');
    assert.equal(table.lock('c', place(1), range(0, 10, 'shared'), 3), 'waiting');
    // Who does not wait is told how things are, and somewhere else nobody is in the way.
    assert.equal(table.lock('d', place(1), range(0, 10, 'shared')), 'granted');
    assert.equal(table.lock('e', place(1), range(10, 20), 4), 'granted');
    table.unlock('d', place(1), range(0, 10));
    table.unlock('a', place(1), range(0, 10));
    assert.deepEqual(took(), ['b2']);
    table.unlock('b', place(1), range(0, 10));
    assert.deepEqual(took(), ['c3']);
  });

  test('one that already holds something does not stand behind those who wait for it', () => {
    const { table, took } = fresh();
    table.lock('a', place(1), range(0, 10, 'shared'));
    assert.equal(table.lock('b', place(1), range(0, 20), 1), 'waiting');
    assert.equal(table.lock('a', place(1), range(10, 20, 'shared'), 2), 'granted');
    table.drop('a');
    assert.deepEqual(took(), ['b1']);
  });

  test('two that wait for each other: the second is refused, and what it holds stays', () => {
    const { table, took } = fresh();
    table.lock('a', place(1), range(0, 1));
    table.lock('b', place(1), range(1, 2));
    assert.equal(table.lock('a', place(1), range(1, 2), 1), 'waiting');
    assert.equal(table.lock('b', place(1), range(0, 1), 2), 'deadlock');
    table.unlock('b', place(1), range(1, 2));
    assert.deepEqual(took(), ['a1']);
    // Over three clients and two files; and of two that both want more than a shared lock.
    table.drop('a');
    table.lock('a', place(1, 1), range(0, 1));
    table.lock('b', place(1, 2), range(0, 1));
    table.lock('c', place(1, 3), range(0, 1));
    assert.equal(table.lock('a', place(1, 2), range(0, 1), 3), 'waiting');
    assert.equal(table.lock('b', place(1, 3), range(0, 1), 4), 'waiting');
    assert.equal(table.lock('c', place(1, 1), range(0, 1), 5), 'deadlock');
    for (const client of ['a', 'b', 'c']) table.drop(client);
    for (const client of ['a', 'b']) table.lock(client, place(1), range(0, 1, 'shared'));
    assert.equal(table.lock('a', place(1), range(0, 1), 6), 'waiting');
    assert.equal(table.lock('b', place(1), range(0, 1), 7), 'deadlock');
  });

  test('a ring that only the order of asking makes is no deadlock', () => {
    const { table, took } = fresh();
    table.lock('c', place(1, 1), range(0, 1, 'shared'));
    table.lock('a', place(1, 2), range(0, 1));
    assert.equal(table.lock('b', place(1, 1), range(0, 1), 1), 'waiting');
    assert.equal(table.lock('a', place(1, 1), range(0, 1, 'shared'), 2), 'waiting');
    // c waits for a, who stands behind b, who waits for c: a passes b.
    assert.equal(table.lock('c', place(1, 2), range(0, 1), 3), 'waiting');
    assert.deepEqual(took(), ['a2']);
    table.drop('a');
    assert.deepEqual(took(), ['c3']);
    table.drop('c');
    assert.deepEqual(took(), ['b1']);
  });

  test('flock lets go before it changes, knows no deadlock, and nothing of fcntl', () => {
    const { table, took } = fresh();
    const whole = (owner: number) => place(owner, 1, 'whole');
    table.lock('a', place(9), range(0, 100));
    table.lock('a', whole(1), range(0, 100, 'shared'));
    table.lock('b', whole(1), range(0, 100, 'shared'));
    assert.equal(table.lock('a', whole(1), range(0, 100)), 'conflict');
    assert.deepEqual(table.rangesOf('a', whole(1)), []);
    assert.equal(table.lock('b', whole(1), range(0, 100)), 'granted');
    table.lock('a', place(1, 2, 'whole'), range(0, 100));
    assert.equal(table.lock('b', place(1, 2, 'whole'), range(0, 100), 1), 'waiting');
    assert.equal(table.lock('a', whole(1), range(0, 100), 2), 'waiting');
    table.drop('b');
    assert.deepEqual(took(), ['a2']);
  });

  test('one that waits no more lets those behind it go on', () => {
    const { table, took } = fresh();
    table.lock('a', place(1), range(0, 10, 'shared'));
    table.lock('b', place(1), range(0, 10), 1);
    table.lock('c', place(1), range(0, 10, 'shared'), 2);
    assert.equal(table.cancel('c', place(1), 1), false);
    assert.equal(table.cancel('b', place(1), 1), true);
    assert.deepEqual(took(), ['c2']);
    assert.deepEqual(table.countsOf('b'), { ranges: 0, waiters: 0 });
  });

  test('any course of locking: as in the model, and nobody is forgotten', () => {
    for (let seed = 1; seed <= 500; seed++) course(seed);
  });
});

interface Wanted {
  client: string;
  owner: number;
  resource: number;
  range: LockRange;
}

/** Random clients, owners and ranges; the model knows for every place who has what. */
function course(seed: number): void {
  const world = new World({ seed });
  const { table, took } = fresh();
  const size = 8;
  const held = new Map<string, LockMode>(); // resource/place/client/owner
  const waiting = new Map<number, Wanted>();
  let serial = 0;
  const key = (resource: number, at: number, client: string, owner: number) => `${resource}/${at}/${client}/${owner}`;
  const each = ({ from, to }: { from: bigint; to: bigint }, task: (at: number) => void) => {
    for (let at = Number(from); at < Number(to); at++) task(at);
  };
  const give = ({ client, owner, resource, range: { from, to, mode } }: Wanted) =>
    each({ from, to }, (at) => held.set(key(resource, at, client, owner), mode));
  const isFree = ({ client, owner, resource, range: wanted }: Wanted) => {
    let free = true;
    each(wanted, (at) => {
      for (const [name, mode] of held) {
        if (!name.startsWith(`${resource}/${at}/`) || name === key(resource, at, client, owner)) continue;
        if (mode === 'exclusive' || wanted.mode === 'exclusive') free = false;
      }
    });
    return free;
  };
  const served = () => {
    for (const name of took()) {
      const wanted = waiting.get(Number(name.slice(1)));
      assert.ok(wanted !== undefined && isFree(wanted), `seed ${seed}: ${name} was granted what is not free`);
      waiting.delete(Number(name.slice(1)));
      give(wanted);
    }
  };
  for (let step = 0; step < 120; step++) {
    const client = 'abc'[world.below(3)] as string;
    const [owner, resource, from] = [world.below(2), world.below(2), world.below(size)];
    const wanted = { client, owner, resource, range: range(from, from + 1 + world.below(size - from)) };
    if (world.fraction() < 0.5) wanted.range.mode = 'shared';
    const what = world.fraction();
    if (what < 0.35) {
      table.unlock(client, place(owner, resource), wanted.range);
      each(wanted.range, (at) => held.delete(key(resource, at, client, owner)));
    } else if (what < 0.6) {
      const locked = table.lock(client, place(owner, resource), wanted.range);
      assert.equal(locked, isFree(wanted) ? 'granted' : 'conflict', `seed ${seed} step ${step}`);
      if (locked === 'granted') give(wanted);
    } else if (what < 0.95) {
      const locked = table.lock(client, place(owner, resource), wanted.range, ++serial);
      if (locked === 'granted') {
        assert.ok(isFree(wanted), `seed ${seed} step ${step}`);
        give(wanted);
      } else if (locked === 'waiting') waiting.set(serial, wanted);
      else assert.equal(locked, 'deadlock');
    } else {
      table.drop(client);
      for (const name of [...held.keys()]) if (name.split('/')[2] === client) held.delete(name);
      for (const [id, one] of waiting) if (one.client === client) waiting.delete(id);
    }
    served();
  }
  // All let go, one owner after another: everybody who waits is served.
  for (let round = 0; round < 400 && waiting.size + held.size > 0; round++) {
    const [name] = held.keys();
    assert.ok(name !== undefined, `seed ${seed}: nobody holds anything, and ${waiting.size} wait`);
    const [resource, , client, owner] = name.split('/') as [string, string, string, string];
    table.unlock(client, place(Number(owner), Number(resource)), range(0, size));
    for (const other of [...held.keys()])
      if (other.startsWith(`${resource}/`) && other.endsWith(`/${client}/${owner}`)) held.delete(other);
    served();
  }
  assert.equal(waiting.size, 0, `seed ${seed}: some wait for ever`);
  assert.deepEqual(table.countsOf(), { ranges: 0, waiters: 0 });
}
