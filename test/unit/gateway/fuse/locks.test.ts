// Locks as the kernel asks for them: both kinds, owners and handles, what closing lets go of, and interruption of waits.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import { errno } from '../../../../src/core/volume/errno.ts';
import { MemoryFiles } from '../../../fakes/memory-files.ts';
import { FakeKernel, initBody, longs, named, settled, words } from './kernel.ts';

const [read, write, unlock] = [0, 1, 2];

/** Everything as the kernel sends it; the last place counts, and the highest is 2^63 - 1. */
function lockBody(
  owner: number,
  type: number,
  options: { handle?: number; from?: number; last?: bigint; flock?: boolean } = {},
) {
  const { handle = 1, from = 0, last = 2n ** 63n - 1n, flock = false } = options;
  const end = Buffer.alloc(8);
  end.writeBigUInt64LE(last);
  return Buffer.concat([longs(handle, owner, from), end, words(type, 77, flock ? 1 : 0, 0)]);
}
const flushBody = (handle: number, owner: number) => longs(handle, 0, owner);
const releaseBody = (handle: number) => longs(handle, 0, 0);

async function opened() {
  const kernel = new FakeKernel(new MemoryFiles());
  const { body } = await kernel.ask('CREATE', 1, named(words(2, 0o100644, 0, 0), 'file'));
  const inode = readU64(body, 0);
  const first = readU64(body, 128);
  const second = readU64((await kernel.ask('OPEN', inode, words(0, 0))).body, 0);
  assert.notEqual(first, second);
  const ask = async (opcode: 'GETLK' | 'SETLK', body: Buffer) => kernel.ask(opcode, inode, body);
  const set = async (...given: Parameters<typeof lockBody>) => (await ask('SETLK', lockBody(...given))).error;
  return { kernel, inode, first, second, ask, set };
}

describe('locks', () => {
  test('ranges and the owner that is in the way', async () => {
    const { set, ask } = await opened();
    assert.equal(await set(1, write, { from: 10, last: 19n }), 0);
    assert.equal(await set(2, write, { from: 20 }), 0);
    assert.equal(await set(2, read, { from: 19 }), errno.EAGAIN);
    const { body } = await ask('GETLK', lockBody(2, read));
    assert.deepEqual(
      [readU64(body, 0), readU64(body, 8), body.readUInt32LE(16), body.readUInt32LE(20)],
      [10, 19, write, 77],
    );
    const last = (await ask('GETLK', lockBody(1, write, { from: 50 }))).body;
    assert.equal(last.readBigUInt64LE(8), 2n ** 63n - 1n);
    assert.equal((await ask('GETLK', lockBody(1, write, { last: 5n }))).body.readUInt32LE(16), unlock);
    assert.equal(await set(3, write, { flock: true }), 0);
    assert.equal(await set(4, read, { flock: true }), errno.EAGAIN);
    assert.equal(await set(3, unlock, { flock: true }), 0);
    assert.equal(await set(4, read, { flock: true }), 0);
    for (const bad of [
      lockBody(1, 3),
      lockBody(1, write, { from: 5, last: 4n }),
      lockBody(1, write, { last: 2n ** 63n }),
    ])
      assert.equal((await ask('SETLK', bad)).error, errno.EINVAL);
    assert.equal((await ask('SETLK', lockBody(1, write).subarray(0, 40))).error, errno.EINVAL);
  });

  test('a process that closes any descriptor of the file lets go of its ranges, of no others', async () => {
    const { kernel, inode, first, second, set } = await opened();
    assert.equal(await set(1, write, { handle: first, last: 9n }), 0);
    assert.equal(await set(2, write, { handle: first, from: 10 }), 0);
    assert.equal(await set(1, write, { handle: first, flock: true }), 0);
    assert.equal((await kernel.ask('FLUSH', inode, flushBody(second, 1))).error, 0);
    assert.equal(await set(3, write, { last: 9n }), 0);
    assert.equal(await set(3, write, { from: 10 }), errno.EAGAIN);
    assert.equal(await set(3, write, { flock: true }), errno.EAGAIN);
  });

  test('what was locked through a handle goes with it, unless its owner has locked anew through another', async () => {
    const { kernel, inode, first, second, set } = await opened();
    assert.equal(await set(5, write, { handle: first, last: 9n }), 0);
    assert.equal(await set(6, write, { handle: first, flock: true }), 0);
    // Owner 7 closes the first and locks through the second before the kernel tells that the first is gone.
    assert.equal(await set(7, write, { handle: first, from: 10, last: 19n }), 0);
    await kernel.ask('FLUSH', inode, flushBody(first, 7));
    assert.equal(await set(7, write, { handle: second, from: 10, last: 19n }), 0);
    assert.equal((await kernel.ask('RELEASE', inode, releaseBody(first))).error, 0);
    assert.equal(await set(8, write, { last: 9n }), 0);
    assert.equal(await set(8, write, { flock: true }), 0);
    assert.equal(await set(8, write, { from: 10 }), errno.EAGAIN);
  });

  test('one that waits is answered when it may, or interrupted; no timeout ends it', async () => {
    const files = new MemoryFiles();
    const kernel = new FakeKernel(files, { timeoutMs: 1000 });
    const inode = readU64((await kernel.ask('CREATE', 1, named(words(2, 0o100644, 0, 0), 'f'))).body, 0);
    assert.equal((await kernel.ask('SETLK', inode, lockBody(1, write))).error, 0);
    const [granted, given] = [2, 3].map((owner) => kernel.send('SETLKW', inode, lockBody(owner, write))) as [
      number,
      number,
    ];
    await kernel.clock.pass(60_000);
    kernel.send('INTERRUPT', 0, longs(given));
    await settled();
    assert.deepEqual(
      kernel.answersTo(given).map(({ error }) => error),
      [errno.EINTR],
    );
    assert.deepEqual(kernel.answersTo(granted), []);
    await kernel.ask('FLUSH', inode, flushBody(1, 1));
    assert.deepEqual(
      kernel.answersTo(granted).map(({ error }) => error),
      [0],
    );
    const deadlocked = kernel.send('SETLKW', inode, lockBody(4, write));
    await kernel.transport.close();
    await kernel.session.ended;
    await settled();
    assert.deepEqual(
      kernel.answersTo(deadlocked).map(({ error }) => error),
      [errno.EINTR],
    );
    // Whatever the kernel left is let go of.
    await files.lock(
      inode,
      { space: 'range', owner: 9n },
      { from: 0n, to: 1n, mode: 'exclusive', pid: 0 },
      { wait: false },
    );
  });

  test('a read-only mount leaves locks to its kernel', async () => {
    const kernel = new FakeKernel(new MemoryFiles(), { isSilent: true, readOnly: true });
    assert.equal((await kernel.ask('INIT', 0, initBody())).body.readUInt32LE(12) & ((1 << 1) | (1 << 10)), 0);
  });

  test('a wait without end is EDEADLK', async () => {
    const { kernel, inode, set } = await opened();
    assert.equal(await set(1, write, { last: 0n }), 0);
    assert.equal(await set(2, write, { from: 1, last: 1n }), 0);
    kernel.send('SETLKW', inode, lockBody(1, write, { from: 1, last: 1n }));
    assert.equal((await kernel.ask('SETLKW', inode, lockBody(2, write, { last: 0n }))).error, errno.EDEADLK);
  });
});
