// Reading through a client: cells side by side and ahead, extents remembered while they are true, zeros without memory.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../../src/core/base/limits.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { type FilesClient, FilesWorld, pattern } from './world.ts';

const MiB = 1024 * 1024;
const KiB = 1024;

async function stored(w: FilesWorld, a: FilesClient, length: number): Promise<number> {
  const inode = await w.file(a, 'f');
  for (let at = 0; at < length; at += MiB)
    await w.run(a.files.write(inode, at, pattern(Math.min(MiB, length - at), at / MiB)));
  await w.run(a.files.sync(inode));
  return inode;
}

async function read({ files }: FilesClient, w: FilesWorld, inode: number, offset: number, length: number) {
  return Buffer.concat(await w.run(files.read(inode, offset, length)));
}

describe('reading', () => {
  test('on and on fetches ahead; here and there does not', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await stored(w, a, 8 * MiB);
    let reads = 0;
    for (const at of [6 * MiB, 2 * MiB, 5 * MiB, 1 * MiB]) {
      await read(a, w, inode, at, 4 * KiB);
      await w.world.run(100);
      reads++;
    }
    assert.equal(a.hooked.cellReads, reads);
    a.hooked.cellReads = 0;
    for (let at = 0; at < MiB; at += 128 * KiB) {
      const part = await read(a, w, inode, at, 128 * KiB);
      assert.ok(part.equals(pattern(MiB).subarray(at, at + 128 * KiB)));
    }
    await w.world.run(100);
    const cells = MiB / limits.cellBytesMax;
    assert.ok(a.hooked.cellReads > 2 * cells, `${a.hooked.cellReads} cells asked for`);
    assert.ok(a.hooked.cellReads <= 8 * cells, `${a.hooked.cellReads} cells asked for`);
  });

  test('cells of a chunk are read at once, chunks side by side', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await stored(w, a, 4 * MiB);
    let at = 0;
    let most = 0;
    let reads = 0;
    a.hooked.onReadCell = async () => {
      reads++;
      most = Math.max(most, ++at);
      await a.process.runtime.clock.sleep(10);
      at--;
    };
    const all = await read(a, w, inode, 0, 4 * MiB);
    assert.ok(all.equals(Buffer.concat([0, 1, 2, 3].map((i) => pattern(MiB, i)))));
    assert.deepEqual([reads, most, a.hooked.cellReads], [4, 4, 64]);
  });

  test('remembers extents while it leads, until the file changes by anybody', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await stored(w, a, 2 * MiB);
    b.files.open(inode);
    const asked = async (client: FilesClient, task: () => Promise<unknown>) => {
      const before = client.hooked.queries.length;
      await task();
      return client.hooked.queries.slice(before).filter((type) => type === 'extents').length;
    };
    const once = () => read(a, w, inode, 0, 1000);
    assert.equal(await asked(a, once), 1);
    assert.equal(await asked(a, once), 0);
    await w.run(a.files.write(inode, 10, Buffer.from('own')));
    await w.run(a.files.flush(inode));
    assert.equal((await once()).subarray(10, 13).toString(), 'own');
    await w.run(b.files.write(inode, 20, Buffer.from('other')));
    await w.run(b.files.flush(inode));
    assert.equal((await once()).subarray(20, 25).toString(), 'other');
    assert.equal(await asked(a, once), 0);
    await w.run(b.files.change(inode, { size: 22 }));
    assert.equal((await once()).length, 22);

    // A follower asks each time.
    assert.equal(await asked(b, () => read(b, w, inode, 0, 1000)), 1);
    assert.equal(await asked(b, () => read(b, w, inode, 0, 1000)), 1);
  });

  test('what another wrote is seen by who led before and follows now', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await stored(w, a, 1000);
    await read(a, w, inode, 0, 1000);
    const b = await w.client('b');
    a.process.pause();
    b.files.open(inode);
    await w.run(b.files.write(inode, 0, Buffer.from('of the new leader')));
    await w.run(b.files.sync(inode));
    a.process.resume();
    assert.equal((await read(a, w, inode, 0, 17)).toString(), 'of the new leader');
  });

  test('and by who leads again', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await stored(w, a, 1000);
    await read(a, w, inode, 0, 1000);
    const b = await w.client('b');
    a.process.pause();
    b.files.open(inode);
    await w.run(b.files.write(inode, 0, Buffer.from('in between')));
    await w.run(b.files.stop());
    await w.run(b.tree.stop());
    a.process.resume();
    await w.run(a.files.attributes(inode));
    assert.ok(a.files.freshForMs(rootInode) > 0, 'it leads again');
    assert.equal((await read(a, w, inode, 0, 10)).toString(), 'in between');
  });

  test('holes cost no memory and ends are right', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.change(inode, { size: 5 * 2 ** 30 }));
    const parts = await w.run(a.files.read(inode, 2 ** 30, 4 * MiB));
    assert.equal(new Set(parts.map(({ buffer }) => buffer)).size, 1);
    assert.equal(
      Buffer.concat(parts).findIndex((byte) => byte !== 0),
      -1,
    );
    assert.equal((await read(a, w, inode, 5 * 2 ** 30 - 10, 100)).length, 10);
    assert.equal((await read(a, w, inode, 5 * 2 ** 30, 100)).length, 0);
    assert.equal((await read(a, w, inode, 5 * 2 ** 30 + 1, 100)).length, 0);
    await w.run(a.files.write(inode, 6 * 2 ** 30, Buffer.from('x')));
    assert.deepEqual(await read(a, w, inode, 6 * 2 ** 30 - 2, 100), Buffer.from('\0\0x'));
    assert.deepEqual(await read(a, w, inode, 5.5 * 2 ** 30, 3), Buffer.alloc(3));
  });

  test('a cell that cannot be read is told, and only to its reader', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await stored(w, a, 2 * MiB);
    a.hooked.onReadCell = () => {
      throw new Error('broken');
    };
    await assert.rejects(read(a, w, inode, 0, MiB), /broken/);
    await assert.rejects(read(a, w, inode, MiB, 10), /broken/);
    a.hooked.onReadCell = () => {};
    assert.ok((await read(a, w, inode, 0, MiB)).equals(pattern(MiB)));
  });
});
