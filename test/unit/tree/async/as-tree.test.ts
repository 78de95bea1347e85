// A tree with a journal of its own as views use it: what comes late is done here, what does not in the network behind all that waits;
// locks are those of its users, but for those of the whole.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { asTree } from '../../../../src/core/tree/async/as-tree.ts';
import type { AsyncTree } from '../../../../src/core/tree/async/async-tree.ts';
import type { LockGuard, Tree } from '../../../../src/core/tree/tree.ts';

const late = Buffer.from('late');
const now = Buffer.from('now');
const everything = { from: 0n, to: 100n, mode: 'exclusive', pid: 1 } as const;
const at = (resource: number, owner: bigint) => ({ space: 'whole', resource, owner }) as const;

function scene() {
  const done: string[] = [];
  const guard = { client: Buffer.alloc(16), session: 1 } as LockGuard;
  const doneAt = (place: string) => async (operation: Buffer) => {
    done.push(`${place} ${operation}`);
    return operation;
  };
  const remote = {
    do: doneAt('network'),
    locks: {
      lock: async ({ resource }: { resource: number }) => void done.push(`network locks ${resource}`),
      guardOf: () => guard,
    },
  } as unknown as Tree;
  const own = {
    comesLate: (operation: Buffer) => operation.equals(late),
    do: doneAt('here'),
    reached: () => remote,
    known: { age: () => done.push('aged') },
  } as unknown as AsyncTree;
  const sender = { drain: async () => void done.push('drained') };
  return { done, guard, tree: asTree(own, sender, Buffer.alloc(16)) };
}

test('what may come late is done here, the rest in the network behind what waits', async () => {
  const { done, guard, tree } = scene();
  await tree.do(late);
  await tree.do(now);
  assert.deepEqual(done, ['here late', 'drained', 'network now', 'aged']);
  done.length = 0;
  await tree.do(late, { guard });
  assert.deepEqual(done, ['drained', 'network late', 'aged'], 'a guard is of a lock in the network');
});

test('locks hold among the users of the mount; those of the whole are the network’s', async () => {
  const { done, guard, tree } = scene();
  await tree.locks.lock(at(17, 1n), everything, { wait: false });
  await assert.rejects(tree.locks.lock(at(17, 2n), everything, { wait: false }), (error) => isError(error, 'conflict'));
  const waiting = tree.locks.lock(at(17, 2n), everything, { wait: true });
  assert.equal(tree.locks.holds(at(17, 2n)), false);
  await tree.locks.unlock(at(17, 1n), everything);
  await waiting;
  assert.equal(tree.locks.holds(at(17, 2n)), true);
  assert.equal(tree.locks.guardOf(17), undefined);
  assert.deepEqual(done, []);
  await tree.locks.lock(at(0, 0n), everything, { wait: false });
  assert.deepEqual(done, ['network locks 0']);
  assert.equal(tree.locks.guardOf(0), guard);
});
