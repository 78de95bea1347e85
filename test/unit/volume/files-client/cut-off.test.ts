// Clients that lose their network: they answer from memory while they may, wait, and then say so; they show nothing that others have
// changed, and what they could not send is told once (docs/protocols.md 4.2, 4.6, 4.7).

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { isError } from '../../../../src/core/base/errors.ts';
import { limits } from '../../../../src/core/base/limits.ts';
import { lockEnd } from '../../../../src/core/tree/tree.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { type FilesClient, FilesWorld } from '../../../fakes/files-world.ts';

const minute = 60_000;
const lockLost = (error: unknown) => isError(error, 'lost') && error.data?.reason === 'lock-lost';
const unavailable = (error: unknown) => isError(error, 'unavailable');

async function two() {
  const w = new FilesWorld({ delayMs: [2, 5] });
  await w.found();
  const a = await w.open('a');
  const b = await w.open('b');
  const { world } = w.trees;
  const until = <T>(task: Promise<T>) => world.until(task);
  const node = { type: 'file', mode: 0o644, uid: 0, gid: 0 } as const;
  const { inode } = await until(a.files.make(rootInode, Buffer.from('file'), node));
  for (const { files } of [a, b]) files.open(inode);
  const write = async ({ files }: FilesClient, text: string) => {
    await files.write(inode, 0, Buffer.from(text));
    await files.sync(inode);
  };
  const read = async ({ files }: FilesClient) => Buffer.concat(await files.read(inode, 0, 100)).toString();
  const names = ['a', 'b', ...w.trees.cluster.storages.map(({ name }) => name)];
  const cut = (name: string, others = names) => {
    for (const other of others) if (other !== name) world.cut(name, other);
  };
  await until(write(a, 'one'));
  return { w, world, a, b, until, inode, write, read, cut };
}

describe('a follower that is cut off', () => {
  test('shows nothing old, waits, and then says so; with its network it goes on', async () => {
    const { world, a, b, until, write, read, cut } = await two();
    assert.equal(await until(read(b)), 'one');
    cut('b');
    const asked = world.now;
    // Its lease is waited for, and nothing of before is answered after the change.
    await until(write(a, 'two'));
    assert.ok(world.now - asked < limits.readLeaseMs + 500);
    const began = world.now;
    await assert.rejects(until(read(b)), unavailable);
    await assert.rejects(until(b.files.lookup(rootInode, Buffer.from('file'))), unavailable);
    const waitedMs = world.now - began;
    assert.ok(
      waitedMs >= 1.8 * limits.operationDeadlineMs && waitedMs < 2.5 * limits.operationDeadlineMs,
      `${waitedMs} ms`,
    );
    world.heal();
    assert.equal(await until(read(b)), 'two');
  });

  test('gives up sooner when its caller does', async () => {
    const { world, b, until, inode, cut } = await two();
    cut('b');
    const giveUp = new AbortController();
    world.at(3000, () => giveUp.abort());
    const began = world.now;
    await assert.rejects(until(b.files.attributes(inode, { signal: giveUp.signal })), (error) =>
      isError(error, 'cancelled'),
    );
    assert.equal(world.now - began, 3000);
  });

  test('keeps what was written until it can be sent: a sync says that it is not safe, a later one that it is', async () => {
    const { world, a, b, until, inode, write, read, cut } = await two();
    await until(write(b, 'ours'));
    cut('b');
    await assert.rejects(until(write(b, 'mine')), unavailable);
    await assert.rejects(until(b.files.sync(inode)), unavailable);
    world.heal();
    await until(b.files.sync(inode));
    assert.equal(await until(read(a)), 'mine');
  });

  test('gives up what it could not send for long, and says so once', async () => {
    const { world, a, b, until, inode, write, read, cut } = await two();
    await until(write(b, 'ours'));
    cut('b');
    await until(b.files.write(inode, 0, Buffer.from('lost')));
    await assert.rejects(until(b.files.flush(inode)), unavailable);
    await world.run(10 * minute);
    assert.equal(b.files.dirtyBytes(), 0);
    world.heal();
    await assert.rejects(until(b.files.sync(inode)), unavailable);
    await until(b.files.sync(inode));
    assert.deepEqual([await until(read(a)), await until(read(b))], ['ours', 'ours']);
  });
});

describe('a lock', () => {
  test('that is lost while data is on its way: nothing read under it is shown, not even that', async () => {
    const { world, a, b, until, inode, write, read, cut } = await two();
    const all = { from: 0n, to: lockEnd };
    const by = { space: 'whole', owner: 1n } as const;
    await until(b.files.lock(inode, by, { ...all, mode: 'shared', pid: 1 }, { wait: true }));
    assert.equal(await until(read(b)), 'one');
    cut('b');
    await world.run(limits.readLeaseMs);
    const reading = read(b);
    const seeking = b.files.seek(inode, 0, 'data');
    for (const asked of [reading, seeking]) asked.catch(() => {});
    await world.run(limits.lockLeaseMs + 5000);
    // Another has the lock meanwhile, and is in the middle of a change.
    await until(a.files.lock(inode, by, { ...all, mode: 'exclusive', pid: 1 }, { wait: true }));
    await until(write(a, 'two'));
    world.heal();
    await assert.rejects(until(reading), lockLost);
    await assert.rejects(until(seeking), lockLost);
    await until(b.files.unlock(inode, by, all));
    assert.equal(await until(read(b)), 'two');
  });
});

describe('a leader that is cut off', () => {
  test('with a minority of the journal stops answering when its lease ends, and so does its kernel', async () => {
    const { world, a, b, until, write, read, cut } = await two();
    cut('a', ['b', 's2', 's3']);
    const fresh = a.files.freshForMs(rootInode);
    assert.ok(fresh > 0 && fresh <= limits.grantMs);
    assert.equal(await until(read(a)), 'one');
    await until(write(b, 'two'));
    assert.equal(a.files.freshForMs(rootInode), 0);
    const seen: string[] = [];
    const reading = read(a).then((text) => seen.push(text));
    await world.run(20_000);
    assert.deepEqual(seen, []);
    world.heal();
    await until(reading);
    assert.deepEqual(seen, ['two']);
  });

  test('paused for longer than its lease it repeats nothing, whatever its clock', async () => {
    for (const rate of [0.99, 1, 1.01]) {
      const { a, b, until, write, read } = await two();
      a.opened.process.clockRate = rate;
      b.opened.process.clockRate = 2 - rate;
      assert.equal(await until(read(a)), 'one');
      a.opened.process.pause();
      const early = read(a);
      await until(write(b, 'two'));
      a.opened.process.resume();
      assert.equal(await until(read(a)), 'two');
      await early;
    }
  });
});
