// Conformance of the files view: locks, of one client's owners and of two clients.

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { InfinitError } from '../../src/core/base/errors.ts';
import { type LockMode, type LockRange, lockEnd } from '../../src/core/tree/tree.ts';
import type { LockOwner } from '../../src/core/volume/files/files.ts';
import { bytesOf, fails, pattern, type Trial, type Using } from './files-support.ts';

const by = (owner: number, space: LockOwner['space'] = 'range'): LockOwner => ({ space, owner: BigInt(owner) });
const range = (from: number, to: number | bigint, mode: LockMode = 'exclusive'): LockRange => ({
  ...{ from: BigInt(from), to: BigInt(to), mode, pid: 17 },
});
const whole = (mode: LockMode = 'exclusive') => range(0, lockEnd, mode);
const [now, wait] = [{ wait: false }, { wait: true }];

export function locks(using: Using): void {
  it(
    'grants ranges that do not meet, shared ones together, and tells who is in the way',
    using(async (t) => {
      const inode = await t.file('file', 'content');
      await t.files.lock(inode, by(1), range(0, 10), now);
      await t.other.lock(inode, by(2), range(10, 20), now);
      await t.other.lock(inode, by(2), range(100, lockEnd, 'shared'), now);
      await t.files.lock(inode, by(1), range(100, 200, 'shared'), now);
      await fails('conflict', t.other.lock(inode, by(2), range(9, 10, 'shared'), now));
      await fails('conflict', t.files.lock(inode, by(1), range(100, 101), now));
      assert.deepEqual(await t.other.testLock(inode, by(2), range(0, 100)), { mine: !t.two, range: range(0, 10) });
      const shared = await t.files.testLock(inode, by(1), range(150, 160));
      assert.deepEqual(shared, { mine: !t.two, range: range(100, lockEnd, 'shared') });
      assert.equal(await t.files.testLock(inode, by(1), range(20, 100)), undefined);
      assert.equal(await t.files.testLock(inode, by(1), range(0, 10)), undefined);
      // Another file, and the other kind of locks, have nothing to do with it.
      await t.other.lock(await t.file('another'), by(2), whole(), now);
      await t.other.lock(inode, by(2, 'whole'), whole(), now);
      await t.files.unlock(inode, by(1), range(2, 4));
      await t.other.lock(inode, by(2), range(2, 4), now);
      await fails('conflict', t.other.lock(inode, by(2), range(4, 5), now));
    }),
  );

  it(
    'wakes who waits when the lock is let go of, with what was written under it',
    using(async (t) => {
      const inode = await t.file('file');
      t.files.open(inode);
      t.other.open(inode);
      let content = bytesOf('');
      for (let round = 0; round < 6; round++) {
        const [first, second] = round % 2 === 0 ? [t.files, t.other] : [t.other, t.files];
        await first.lock(inode, by(1), whole(), now);
        const waiting = second.lock(inode, by(2), whole(), wait);
        content = pattern(70_000, round);
        await first.write(inode, 0, content);
        await first.unlock(inode, by(1), whole());
        await waiting;
        await t.holds(inode, content, second);
        await second.unlock(inode, by(2), whole());
      }
      await t.files.close(inode);
      await t.other.close(inode);
    }),
  );

  it(
    'refuses a wait without end, and lets go of one that is given up',
    using(async (t) => {
      const inode = await t.file('file');
      await t.files.lock(inode, by(1), range(0, 1), now);
      await t.other.lock(inode, by(2), range(1, 2), now);
      const giveUp = new AbortController();
      const waiting = t.files.lock(inode, by(1), range(1, 2), { wait: true, signal: giveUp.signal });
      waiting.catch(() => {});
      await t.pass(1000);
      await fails('deadlock', t.other.lock(inode, by(2), range(0, 1), wait));
      giveUp.abort(new InfinitError('cancelled', 'interrupted'));
      await fails('cancelled', waiting);
      await t.files.unlock(inode, by(1), whole());
      await t.other.lock(inode, by(2), range(0, 1), now);
    }),
  );

  it(
    'changes the kind of a lock as fcntl and as flock do',
    using(async (t) => {
      const inode = await t.file('file');
      await t.files.lock(inode, by(1), whole('shared'), now);
      await t.other.lock(inode, by(2), whole('shared'), now);
      await fails('conflict', t.files.lock(inode, by(1), whole(), now));
      await fails('conflict', t.other.lock(inode, by(2), whole(), now));
      await t.other.unlock(inode, by(2), whole());
      await t.files.lock(inode, by(1), whole(), now);
      await fails('conflict', t.other.lock(inode, by(2), whole('shared'), now));
      await t.files.lock(inode, by(1), whole('shared'), now);
      await t.other.lock(inode, by(2), whole('shared'), now);
      await t.files.lock(inode, by(1, 'whole'), whole('shared'), now);
      await t.other.lock(inode, by(2, 'whole'), whole('shared'), now);
      // It is let go of before it is asked for anew.
      await fails('conflict', t.files.lock(inode, by(1, 'whole'), whole(), now));
      await t.other.lock(inode, by(2, 'whole'), whole(), now);
    }),
  );

  it(
    'serves in the order of asking',
    using(async (t) => {
      const inode = await t.file('file');
      await t.files.lock(inode, by(1), whole(), now);
      const order: number[] = [];
      const turn = async (owner: number) => {
        const files = owner % 2 === 0 ? t.other : t.files;
        await files.lock(inode, by(owner), whole(), wait);
        order.push(owner);
        await files.unlock(inode, by(owner), whole());
      };
      const turns: Promise<void>[] = [];
      for (let owner = 2; owner < 12; owner++) {
        turns.push(turn(owner));
        await t.pass(500);
      }
      await t.files.unlock(inode, by(1), whole());
      await Promise.all(turns);
      assert.deepEqual(order, [2, 3, 4, 5, 6, 7, 8, 9, 10, 11]);
    }),
  );

  it('counts under a lock without losing one', using(counting));
}

async function counting(t: Trial): Promise<void> {
  const inode = await t.file('file', Buffer.alloc(4));
  for (const files of [t.files, t.other]) files.open(inode);
  const count = async (owner: number) => {
    const files = owner % 2 === 0 ? t.other : t.files;
    for (let i = 0; i < 10; i++) {
      await files.lock(inode, by(owner), whole(), wait);
      const value = (await t.content(inode, files)).readUInt32LE();
      const next = Buffer.alloc(4);
      next.writeUInt32LE(value + 1);
      await files.write(inode, 0, next);
      await files.unlock(inode, by(owner), whole());
    }
  };
  await Promise.all([1, 2, 3, 4].map(count));
  assert.equal((await t.content(inode)).readUInt32LE(), 40);
  for (const files of [t.files, t.other]) await files.close(inode);
}
