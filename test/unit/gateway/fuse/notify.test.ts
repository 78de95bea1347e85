import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { limits } from '../../../../src/core/base/limits.ts';
import { Notifier } from '../../../../src/core/gateway/fuse/notify.ts';
import { readU64 } from '../../../../src/core/gateway/fuse/wire.ts';
import type { ForeignChange } from '../../../../src/core/volume/files/files.ts';
import { MemoryFiles } from '../../../fakes/memory-files.ts';
import { FakeKernel, longs, named, settled, words } from './kernel.ts';

/** Files of a leader, which others change by `tell`. */
class Led extends MemoryFiles {
  tell: (change: ForeignChange) => Promise<void> = async () => {};
  override freshForMs(): number {
    return 4000;
  }
  override onForeign(listener = this.tell): () => void {
    this.tell = listener;
    return () => {};
  }
}

function startOn<F extends MemoryFiles>(files: F) {
  const kernel = new FakeKernel(files);
  new Notifier(kernel.serving, kernel.transport).start();
  const look = async (text: string, directory = 1) =>
    (await kernel.ask('LOOKUP', directory, named(Buffer.alloc(0), text))).body;
  const make = async (text: string) => {
    const { body } = await kernel.ask('CREATE', 1, named(words(2, 0o644, 0, 0), text));
    return readU64(body, 0);
  };
  /** What the kernel was told, answered. */
  const told = async () => {
    const seen: string[] = [];
    for (let sent = kernel.transport.notified.splice(0); sent.length > 0; sent = kernel.transport.notified.splice(0)) {
      for (const { message, done } of sent) {
        assert.equal(message.readUInt32LE(0), message.length);
        assert.equal(readU64(message, 8), 0);
        const code = message.readInt32LE(4);
        const text = message.subarray(32, 32 + (code === 3 ? message.readUInt32LE(24) : 0)).toString();
        seen.push(code === 3 ? `${readU64(message, 16)}/${text}` : `${readU64(message, 16)}`);
        done('ENOENT');
      }
      await settled();
    }
    return seen;
  };
  return { files, kernel, look, make, told };
}

const start = () => startOn(new Led());

const entry = (directory: number, text: string) => ({ directory, name: Buffer.from(text) });

/** Files of a follower: it hears of nothing, and its kernel may cache nothing. */
class Following extends MemoryFiles {
  override freshForMs(): number {
    return 0;
  }
}

describe('a directory that somebody else moved', () => {
  const begin = async () => {
    const { kernel, look, told } = startOn(new Following());
    const make = async (directory: number, text: string) =>
      readU64((await kernel.ask('MKDIR', directory, named(words(0o755, 0), text))).body, 0);
    const [from, to] = [await make(1, 'from'), await make(1, 'to')];
    await make(from, 'd');
    await kernel.serving.files.rename(entry(from, 'd'), entry(to, 'e'), 'replace');
    const lookAway = () => kernel.send('LOOKUP', to, named(Buffer.alloc(0), 'e'));
    const isAnswered = (unique: number) => kernel.answersTo(unique).length > 0;
    return { kernel, look, told, from, to, lookAway, isAnswered };
  };

  test('is found when the kernel has left the place it knew', async () => {
    const { look, told, from, to, lookAway, isAnswered } = await begin();
    const unique = lookAway();
    await settled();
    assert.equal(isAnswered(unique), false);
    assert.deepEqual(await told(), [`${from}/d`]);
    assert.equal(isAnswered(unique), true);
    await look('e', to);
    await look('from');
    assert.deepEqual(await told(), [], 'once is enough');
  });

  test('is found though the kernel cannot leave the place while it waits', async () => {
    const { kernel, told, from, lookAway, isAnswered } = await begin();
    for (let tries = 0; tries < 2; tries++) {
      const unique = lookAway();
      await settled();
      assert.equal(isAnswered(unique), false);
      await kernel.clock.pass(limits.fuseMovedTimeoutMs);
      assert.equal(isAnswered(unique), true);
    }
    const again = kernel.send('LOOKUP', 1, named(Buffer.alloc(0), 'from'));
    await settled();
    assert.equal(isAnswered(again), false, 'before it tries once more');
    assert.deepEqual(await told(), [`${from}/d`]);
    assert.equal(isAnswered(again), true);
    const unique = lookAway();
    await settled();
    assert.equal(isAnswered(unique), true);
  });

  test('is looked for at the place it was moved to by the kernel itself', async () => {
    const { kernel, look, told, from, to, lookAway } = await begin();
    lookAway();
    await settled();
    await told();
    await kernel.ask('RENAME', to, named(longs(from), 'e', 'f'));
    await look('f', from);
    assert.deepEqual(await told(), []);
  });
});

describe('changes of other clients', () => {
  test('are told of what the kernel may know, and nothing else', async () => {
    const { files, make, told } = start();
    const inode = await make('f');
    const change = { inodes: [inode, 999], entries: [entry(1, 'new'), entry(999, 'x')] };
    const done = files.tell(change);
    assert.deepEqual(await told(), ['1/new', `${inode}`]);
    await done;
  });

  test('names that went are told by the inodes they stood for', async () => {
    const { files, kernel, make, told } = start();
    const inode = await make('old');
    await kernel.ask('RENAME', 1, named(longs(1), 'old', 'moved'));
    await kernel.ask('LINK', 1, named(longs(inode), 'link'));
    await kernel.ask('UNLINK', 1, named(Buffer.alloc(0), 'link'));
    const done = files.tell({ inodes: [inode, 1], entries: [], directories: [1] });
    assert.deepEqual(await told(), ['1/moved', `${inode}`, '1']);
    await done;
    kernel.send('FORGET', inode, longs(2));
    await files.tell({ inodes: [inode], entries: [], directories: [1] });
  });

  test('leave two at a time', async () => {
    const { files, kernel, make } = start();
    const inodes = [await make('a'), await make('b'), await make('c')];
    void files.tell({ inodes, entries: [] });
    assert.equal(kernel.transport.notified.length, 2);
    kernel.transport.notified[0]?.done();
    await settled();
    assert.equal(kernel.transport.notified.length, 3);
  });

  test('make answers begun before them hold for no time', async () => {
    const { files, kernel, look, make, told } = start();
    const inode = await make('f');
    assert.equal(readU64(await look('f'), 16), 4);
    const unique = kernel.send('LOOKUP', 1, named(Buffer.alloc(0), 'f'));
    const done = files.tell({ inodes: [inode], entries: [] });
    await settled();
    assert.equal(readU64(kernel.answersTo(unique)[0]?.body ?? Buffer.alloc(40), 16), 0);
    assert.equal(readU64(await look('f'), 16), 0, 'while the kernel is told');
    await told();
    await done;
    assert.equal(readU64(await look('f'), 16), 4);
  });

  test('wait for a kernel that does not listen only so long, and then nothing is cached for a while', async () => {
    const { files, kernel, look, make } = start();
    const inode = await make('f');
    let isDone = false;
    const done = files.tell({ inodes: [inode], entries: [] }).then(() => (isDone = true));
    await kernel.clock.pass(limits.fuseNotifyTimeoutMs - 1);
    assert.equal(isDone, false);
    await kernel.clock.pass(1);
    await done;
    assert.equal(readU64(await look('f'), 16), 0);
    await kernel.clock.pass(limits.grantMs);
    assert.equal(readU64(await look('f'), 16), 4);
    assert.deepEqual(
      kernel.lines.map(({ level }) => level),
      ['warn'],
    );
  });
});
