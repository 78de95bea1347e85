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

function start() {
  const files = new Led();
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

const entry = (directory: number, text: string) => ({ directory, name: Buffer.from(text) });

describe('a directory that somebody else moved', () => {
  const begin = async () => {
    const { files, kernel, look, told } = start();
    const make = async (directory: number, text: string) =>
      readU64((await kernel.ask('MKDIR', directory, named(words(0o755, 0), text))).body, 0);
    const [from, to] = [await make(1, 'from'), await make(1, 'to')];
    const inode = await make(from, 'd');
    await kernel.serving.files.rename(entry(from, 'd'), entry(to, 'e'), 'replace');
    const found = await look('e', to);
    return { files, kernel, look, make, told, from, to, inode, node: readU64(found, 0), found };
  };

  test('is another node with the same inode number, and both are served', async () => {
    const { kernel, look, make, told, inode, node, found } = await begin();
    assert.notEqual(node, inode);
    assert.equal(readU64(found, 40), inode);
    const inner = await make(node, 'inner');
    await told();
    assert.equal(readU64(await look('inner', node), 0), inner);
    const again = readU64(await look('inner', inode), 0);
    assert.notEqual(again, inner);
    assert.equal(readU64(await look('inner', inode), 40), inner);
    for (const one of [inode, node]) {
      const { body } = await kernel.ask('GETATTR', one, words(0, 0, 0, 0));
      assert.equal(readU64(body, 16), inode);
      const listing = await kernel.ask('READDIRPLUS', one, Buffer.concat([longs(0, 0), words(4096, 0), longs(0, 0)]));
      assert.equal(readU64(listing.body, 2 * (128 + 32)), one === node ? inner : again);
    }
    assert.equal((await kernel.ask('RENAME', inode, named(longs(node), 'inner', 'renamed'))).error, 0);
    assert.equal(readU64(await look('renamed', node), 0), again);
    assert.equal((await kernel.ask('RMDIR', node, named(Buffer.alloc(0), 'renamed'))).error, 0);
    await told();
  });

  test('is believed for no time while the kernel knows it by both', async () => {
    const { kernel, look, make, told, to, inode, node, found } = await begin();
    assert.deepEqual([readU64(found, 16), readU64(found, 24)], [0, 0]);
    await make(node, 'f');
    await told();
    assert.equal(readU64(await look('f', inode), 16), 0);
    const valid = async (directory: number) => {
      const { body } = await kernel.ask('GETATTR', directory, words(0, 0, 0, 0));
      return readU64(body, 0);
    };
    assert.deepEqual([await valid(inode), await valid(node), await valid(to)], [0, 0, 4]);
    kernel.send('FORGET', inode, longs(1));
    assert.equal(await valid(node), 4);
    assert.equal(readU64(await look('e', to), 16), 4);
  });

  test('the kernel hears by one node what it did by the other', async () => {
    const { kernel, make, told, to, inode, node } = await begin();
    assert.deepEqual(await told(), []);
    await make(node, 'a');
    assert.deepEqual(await told(), [`${inode}/a`, `${inode}`]);
    await kernel.ask('CREATE', inode, named(words(2, 0o644, 0, 0), 'f'));
    assert.deepEqual(await told(), [`${node}/f`, `${node}`]);
    await kernel.ask('RENAME', node, named(longs(inode), 'f', 'g'));
    assert.deepEqual(await told(), [`${inode}/f`, `${inode}`, `${node}/g`, `${node}`]);
    await kernel.ask('RENAME', node, named(longs(to), 'g', 'h'));
    assert.deepEqual(await told(), [`${inode}/g`, `${inode}`]);
    await kernel.ask('UNLINK', to, named(Buffer.alloc(0), 'h'));
    assert.deepEqual(await told(), []);
    await kernel.ask('RMDIR', inode, named(Buffer.alloc(0), 'a'));
    assert.deepEqual(await told(), [`${node}/a`, `${node}`]);
    await kernel.ask('SETATTR', node, Buffer.concat([words(1, 0), Buffer.alloc(60), words(0o700, 0, 0, 0, 0)]));
    assert.deepEqual(await told(), [`${inode}`]);
  });

  test('others change by both nodes', async () => {
    const { files, make, told, to, inode, node } = await begin();
    const inner = await make(node, 'f');
    await told();
    const done = files.tell({ inodes: [inode, inner], entries: [entry(inode, 'g')], directories: [inode] });
    assert.deepEqual(await told(), [`${inode}/g`, `${node}/g`, `${node}/f`, `${inode}`, `${node}`, `${inner}`]);
    await done;
    const moved = files.tell({ inodes: [inode], entries: [], directories: [to] });
    assert.deepEqual(await told(), [`${to}/e`, `${inode}`, `${node}`]);
    await moved;
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
