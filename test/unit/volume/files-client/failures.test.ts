// What becomes of dirty data when the tree refuses or cannot be had: told once, to those it concerns; kept while it may still
// arrive.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { encode } from '../../../../src/core/base/codec.ts';
import { InfinitError } from '../../../../src/core/base/errors.ts';
import { rootInode } from '../../../../src/core/volume/files/files.ts';
import { type FileOperation, fileOperation } from '../../../../src/core/volume/files/messages.ts';
import { type FilesClient, FilesWorld, name, pattern } from './world.ts';

const minute = 60_000;

function refusing(a: FilesClient, inode: number, error: InfinitError) {
  a.hooked.onDo = (operation) => {
    if (operation.type === 'write' && operation.files.some((file) => file.inode === inode)) throw error;
  };
}

function piecesOf(operation: FileOperation): number {
  if (operation.type !== 'write') return 0;
  return operation.files.reduce((sum, { pieces }) => sum + pieces.length, 0);
}

describe('dirty data that cannot arrive', () => {
  test('is told of once, by the next flush, and logged; other files do not suffer', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [bad, good] = [await w.file(a, 'bad'), await w.file(a, 'good')];
    refusing(a, bad, new InfinitError('full', 'no room'));
    for (const inode of [bad, good]) await w.run(a.files.write(inode, 0, pattern(3000)));
    await w.world.run(5000);
    assert.ok(a.process.logged.some((line) => /error files: data of inode \d+ is given up: no room/.test(line)));
    assert.deepEqual(await w.content(a, good), pattern(3000));
    await w.run(a.files.flush(good));
    await assert.rejects(w.run(a.files.flush(bad)), { kind: 'full' });
    await w.run(a.files.flush(bad));
    assert.equal((await w.run(a.files.attributes(bad))).size, 0);
    const b = await w.client('b');
    assert.deepEqual(await w.content(b, good), pattern(3000));
  });

  test('is told by a sync of everything when nobody else asked, also of closed files', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    refusing(a, inode, new InfinitError('denied', 'not you'));
    await w.run(a.files.write(inode, 0, pattern(10)));
    await w.run(a.files.close(inode));
    await w.world.run(5000);
    await assert.rejects(w.run(a.files.syncAll()), { kind: 'denied' });
    await w.run(a.files.syncAll());
  });

  test('small flushes that ride together fail alone', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inodes = [await w.file(a, 'a'), await w.file(a, 'b'), await w.file(a, 'c')];
    const bad = inodes[1] as number;
    refusing(a, bad, new InfinitError('full', 'no room'));
    for (const inode of inodes) await w.run(a.files.write(inode, 0, pattern(100)));
    const flushed = await w.run(Promise.allSettled(inodes.map((inode) => a.files.flush(inode))));
    assert.deepEqual(
      flushed.map(({ status }) => status),
      ['fulfilled', 'rejected', 'fulfilled'],
    );
  });

  test('is kept, shown and sent again while no leader can be had', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    let down = true;
    a.hooked.onDo = () => {
      if (down) throw new InfinitError('unavailable', 'nobody leads');
    };
    await w.run(a.files.write(inode, 0, pattern(500)));
    await assert.rejects(w.run(a.files.sync(inode)), { kind: 'unavailable' });
    await assert.rejects(w.run(a.files.flush(inode)), { kind: 'unavailable' });
    await w.run(a.files.write(inode, 400, pattern(500, 1)));
    const expected = Buffer.concat([pattern(400), pattern(500, 1)]);
    assert.deepEqual(await w.content(a, inode), expected);
    await w.world.run(2 * minute);
    down = false;
    await w.world.run(20_000);
    const b = await w.client('b');
    assert.deepEqual(await w.content(b, inode), expected);
    await w.run(a.files.sync(inode));
  });

  test('is given up when none can be had for too long, and told of once', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a', { retryMs: 30_000, dirtyBytesMax: 1000 });
    const inode = await w.file(a, 'f');
    a.hooked.onWriteChunks = () => {
      throw new InfinitError('unavailable', 'nobody stores');
    };
    await w.run(a.files.write(inode, 0, pattern(500)));
    await w.world.run(20_000);
    assert.equal((await w.run(a.files.attributes(inode))).size, 500);
    await w.world.run(30_000);
    assert.equal((await w.run(a.files.attributes(inode))).size, 0);
    await assert.rejects(w.run(a.files.flush(inode)), { kind: 'unavailable' });
    await w.run(a.files.flush(inode));
    // Its room is free again.
    await w.run(a.files.write(inode, 0, pattern(1000)));
  });

  test('one file that waits does not keep another from being flushed later', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [stuck, free] = [await w.file(a, 'stuck'), await w.file(a, 'free')];
    refusing(a, stuck, new InfinitError('unavailable', 'not this one'));
    await w.run(a.files.write(stuck, 0, pattern(100)));
    await assert.rejects(w.run(a.files.flush(stuck)), { kind: 'unavailable' });
    await w.run(a.files.write(free, 0, pattern(100)));
    await w.run(a.files.flush(free));
    const b = await w.client('b');
    assert.deepEqual(await w.content(b, free), pattern(100));
  });

  test('for a moment is nothing a flush tells; a failure of one file is nothing another hears', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [stuck, brief, slow] = [await w.file(a, 'stuck'), await w.file(a, 'brief'), await w.file(a, 'slow')];
    let failures = 5;
    a.hooked.onDo = async (operation) => {
      if (operation.type !== 'write') return;
      for (const { inode } of operation.files) {
        if (inode === stuck || (inode === brief && failures-- > 0)) throw new InfinitError('unavailable', 'not now');
        if (inode === slow) await a.process.runtime.clock.sleep(2 * minute);
      }
    };
    for (const inode of [stuck, brief, slow]) await w.run(a.files.write(inode, 0, pattern(100_000)));
    const flushes = [stuck, brief, slow].map((inode) => a.files.flush(inode));
    const results = await w.run(Promise.allSettled(flushes));
    assert.deepEqual(
      results.map(({ status }) => status),
      ['rejected', 'fulfilled', 'fulfilled'],
    );
  });

  test('is sealed anew when its chunks are gone before they were named', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    let lost = 2;
    let puts = 0;
    a.hooked.onWriteChunks = () => {
      puts++;
    };
    a.hooked.onDo = (operation) => {
      if (operation.type === 'write' && lost-- > 0) throw new InfinitError('lost', 'a chunk is gone');
    };
    await w.run(a.files.write(inode, 0, pattern(200_000)));
    await w.world.run(20_000);
    assert.equal(puts, 3);
    await w.run(a.files.flush(inode));
    assert.ok((await w.content(a, inode)).equals(pattern(200_000)));
  });

  test('is told in parts when it is too much for one operation', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    a.hooked.onDo = (operation) => {
      if (piecesOf(operation) > 10)
        throw new InfinitError('full', 'too much for one operation', { data: { split: true } });
    };
    for (let i = 0; i < 300; i++) await w.run(a.files.write(inode, i * 2000, pattern(700, i)));
    await w.run(a.files.flush(inode));
    assert.ok(a.hooked.writes().length >= 30);
    const content = await w.content(a, inode);
    for (let i = 0; i < 300; i++)
      assert.ok(content.subarray(i * 2000, i * 2000 + 700).equals(pattern(700, i)), `piece ${i}`);
  });

  test('of a file that is gone while open is told of; of a closed one it is nobody’s', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const b = await w.client('b');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 0, pattern(100)));
    // Somebody who does not respect that it is open.
    const now = { seconds: 1_800_000_000, nanoseconds: 0 };
    const client = Buffer.alloc(16);
    const closing = {
      type: 'unlink',
      directory: rootInode,
      name: name('f'),
      now,
      free: true,
      client,
      held: false,
    } as const;
    await w.run(b.tree.do(encode(fileOperation, closing)));
    await assert.rejects(w.run(a.files.flush(inode)), { data: { reason: 'stale' } });
    await w.run(a.files.flush(inode));
    await w.run(a.files.write(inode, 0, pattern(100)));
    await w.run(a.files.close(inode));
    await w.world.run(5000);
    await w.run(a.files.syncAll());
  });
});

describe('leaderships that end', () => {
  test('what may be lost with one is told by the next sync of each file, once', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [f, g] = [await w.file(a, 'f'), await w.file(a, 'g')];
    for (const inode of [f, g]) {
      await w.run(a.files.write(inode, 0, pattern(10)));
      await w.run(a.files.flush(inode));
    }
    a.hooked.extraLosses++;
    await assert.rejects(w.run(a.files.sync(f)), { kind: 'lost' });
    await w.run(a.files.sync(f));
    await assert.rejects(w.run(a.files.sync(g)), { kind: 'lost' });
    await w.run(a.files.sync(g));
    await assert.rejects(w.run(a.files.syncAll()), { kind: 'lost' });
    await w.run(a.files.syncAll());
  });

  test('long ago concern who has changed something since the last sync only', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const [clean, changed] = [await w.file(a, 'f'), await w.file(a, 'g')];
    await w.run(a.files.sync(clean));
    await w.run(a.files.write(changed, 0, pattern(10)));
    await w.run(a.files.flush(changed));
    a.hooked.extraLosses++;
    await w.world.run(3 * minute);
    await w.run(a.files.sync(clean));
    await assert.rejects(w.run(a.files.sync(changed)), { kind: 'lost' });
  });
});

describe('stopping', () => {
  test('sends and syncs everything; no timer is left', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 0, pattern(100_000)));
    await w.run(a.files.stop());
    const before = a.hooked.queries.length + a.hooked.operations.length;
    await w.world.run(minute);
    assert.equal(a.hooked.queries.length + a.hooked.operations.length, before);
    await assert.rejects(w.run(a.files.write(inode, 0, pattern(1))), { kind: 'unavailable' });
    const b = await w.client('b');
    assert.ok((await w.content(b, inode)).equals(pattern(100_000)));
  });

  test('says what could not be sent', async () => {
    const w = await FilesWorld.found();
    const a = await w.client('a');
    const inode = await w.file(a, 'f');
    await w.run(a.files.write(inode, 0, pattern(100)));
    a.hooked.onDo = () => {
      throw new InfinitError('unavailable', 'nobody leads');
    };
    await assert.rejects(w.run(a.files.stop()), { kind: 'unavailable' });
    await w.world.run(minute);
    assert.ok(a.process.logged.some((line) => line.includes('is given up')));
  });
});
