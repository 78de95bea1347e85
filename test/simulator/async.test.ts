// A client with a journal of its own (decision 029): what it writes it reads at once, whatever becomes of the network; what others
// read is the same in the end, once and in order, though it is killed, the machine stops, and the network is cut; where others came
// before, nothing of anybody is lost.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { InfinitError } from '../../src/core/base/errors.ts';
import { asTree } from '../../src/core/tree/async/as-tree.ts';
import { AsyncTree } from '../../src/core/tree/async/async-tree.ts';
import { Sender } from '../../src/core/tree/async/sender.ts';
import { createFileView } from '../../src/core/volume/files/file-view.ts';
import { type Files, rootInode } from '../../src/core/volume/files/files.ts';
import { lateFiles } from '../../src/core/volume/files/late.ts';
import { NameHashes } from '../../src/core/volume/files/names.ts';
import { squashed } from '../../src/core/volume/files/squash.ts';
import { openTreeFiles, type TreeFiles } from '../../src/core/volume/files/tree-files.ts';
import { FilesWorld } from '../fakes/files-world.ts';
import { MemoryDisk } from '../fakes/memory-disk.ts';

const nameKey = Buffer.alloc(32, 7);
const journal = Buffer.alloc(16, 3);
const capacity = async () => ({ totalBytes: 2 ** 40, freeBytes: 2 ** 39 });
const file = { type: 'file', mode: 0o644, uid: 1, gid: 1 } as const;
const folder = { type: 'directory', mode: 0o755, uid: 1, gid: 1 } as const;

interface Mount {
  files: TreeFiles;
  own: AsyncTree;
  sender: Sender;
  told: string[];
  refused: string[];
  /** The process ends at once. */
  kill(): void;
}

class Scene {
  readonly world: FilesWorld;
  readonly disk = new MemoryDisk();
  isCut = false;
  other!: Files;

  constructor(seed: number) {
    this.world = new FilesWorld({ seed });
  }

  until<T>(task: Promise<T>): Promise<T> {
    return this.world.trees.world.until(task, 3_600_000);
  }

  async begin(): Promise<void> {
    await this.world.found();
    this.other = (await this.world.open('other')).files;
  }

  async mount(name: string): Promise<Mount> {
    const { opened, files: remoteFiles } = await this.world.open(name);
    const { runtime } = opened.process;
    const view = createFileView({ nameKey });
    const told: string[] = [];
    const refused: string[] = [];
    const late = lateFiles({
      names: new NameHashes(nameKey),
      clock: runtime.clock,
      label: 'conflict',
      files: () => remoteFiles,
    });
    const own = new AsyncTree({
      runtime: { ...runtime, files: this.disk.files } as never,
      ...{ view, late, folder: '/journal', key: Buffer.alloc(32, 1) },
    });
    const sender = new Sender({
      ...{ runtime, tree: own, late, journal, label: 'conflict' },
      connect: async () => {
        if (this.isCut) throw new InfinitError('unavailable', 'cut');
        return opened.tree;
      },
      tell: (text) => told.push(text),
      refused: async (_, reason) => void refused.push(reason),
    });
    await this.until(own.open());
    sender.start();
    const files = openTreeFiles(asTree(own, sender, opened.tree.treeId), { runtime, capacity });
    await this.until(files.start());
    const kill = () => {
      void sender.stop();
      opened.process.crash();
    };
    return { files, own, sender, told, refused, kill };
  }
}

async function text(scene: Scene, files: Files, directory: number, name: string): Promise<string> {
  const { inode, size } = await scene.until(files.lookup(directory, Buffer.from(name)));
  return Buffer.concat(await scene.until(files.read(inode, 0, size))).toString();
}
async function put(scene: Scene, files: Files, directory: number, name: string, content: string): Promise<number> {
  const { inode } = await scene.until(files.make(directory, Buffer.from(name), file));
  await scene.until(files.write(inode, 0, Buffer.from(content)));
  await scene.until(files.flush(inode));
  return inode;
}
async function names(scene: Scene, files: Files, directory = rootInode): Promise<string[]> {
  const { entries } = await scene.until(files.list(directory, 0n));
  return entries
    .map(({ name }) => Buffer.from(name).toString())
    .filter((name) => !name.startsWith('.'))
    .sort();
}

test('what is written is read here at once, and by others soon', async () => {
  const scene = new Scene(1);
  await scene.begin();
  const mount = await scene.mount('own');
  await scene.world.pass(2000);
  const { inode: sub } = await scene.until(mount.files.make(rootInode, Buffer.from('sub'), folder));
  const large = 'x'.repeat(300_000);
  await put(scene, mount.files, sub, 'large', large);
  await put(scene, mount.files, rootInode, 'small', 'hello');
  assert.equal(await text(scene, mount.files, sub, 'large'), large);
  assert.deepEqual(await names(scene, mount.files), ['small', 'sub']);
  assert.deepEqual(await names(scene, scene.other), []);
  await scene.until(mount.sender.drain());
  assert.deepEqual(mount.own.facts.operations, 0);
  assert.deepEqual(await names(scene, scene.other), ['small', 'sub']);
  const at = await scene.until(scene.other.lookup(rootInode, Buffer.from('sub')));
  assert.equal(at.inode, sub, 'the numbers stay');
  assert.equal(await text(scene, scene.other, sub, 'large'), large);
  assert.equal(await text(scene, mount.files, sub, 'large'), large);
  assert.deepEqual([mount.told, mount.refused], [[], []]);
});

test('without the network what is known is read and written on; after a kill it is there again, and arrives once', async () => {
  for (let seed = 1; seed <= 6; seed++) {
    const scene = new Scene(seed);
    await scene.begin();
    await put(scene, scene.other, rootInode, 'theirs', 'before');
    const mount = await scene.mount('own');
    await scene.world.pass(2000);
    assert.deepEqual(await names(scene, mount.files), ['theirs']);
    scene.isCut = true;
    mount.own.remote = undefined;
    const { inode: sub } = await scene.until(mount.files.make(rootInode, Buffer.from('sub'), folder));
    for (let i = 0; i < 5; i++) await put(scene, mount.files, sub, `f${i}`, `${i}`.repeat(1000 * (i + 1)));
    await scene.until(
      mount.files.rename(
        { directory: sub, name: Buffer.from('f4') },
        { directory: rootInode, name: Buffer.from('moved') },
        'replace',
      ),
    );
    await scene.until(mount.files.syncAll());
    await scene.world.pass(20_000);
    assert.deepEqual(await names(scene, mount.files), ['moved', 'sub', 'theirs']);
    mount.kill();
    // The machine too: what was synced is there.
    scene.disk.crash(0.5);
    scene.isCut = seed % 2 === 0;
    const again = await scene.mount('again');
    if (scene.isCut) {
      assert.deepEqual((await names(scene, again.files, sub)).length, 4);
      assert.equal(await text(scene, again.files, sub, 'f2'), '2'.repeat(3000));
      again.kill();
      scene.isCut = false;
    }
    const last = scene.isCut || seed % 2 === 0 ? await scene.mount('last') : again;
    await scene.until(last.sender.drain());
    assert.deepEqual(await names(scene, scene.other), ['moved', 'sub', 'theirs'], `seed ${seed}`);
    assert.deepEqual(await names(scene, scene.other, sub), ['f0', 'f1', 'f2', 'f3']);
    assert.equal(await text(scene, scene.other, rootInode, 'moved'), '4'.repeat(5000));
    assert.deepEqual([last.told, last.refused], [[], []]);
  }
});

test('what was seen or sent is known after a kill without the network, and data that was sent is written over there', async () => {
  const scene = new Scene(11);
  await scene.begin();
  await put(scene, scene.other, rootInode, 'theirs', 'before');
  const mount = await scene.mount('own');
  await scene.world.pass(2000);
  await put(scene, mount.files, rootInode, 'sent', 's'.repeat(200_000));
  assert.deepEqual(await names(scene, mount.files), ['sent', 'theirs']);
  await scene.until(mount.sender.drain());
  await scene.world.pass(5000);
  assert.equal(mount.own.facts.operations, 0);
  assert.deepEqual(await names(scene, mount.files), ['sent', 'theirs']);
  mount.kill();
  scene.isCut = true;
  const again = await scene.mount('again');
  await scene.world.pass(2000);
  assert.deepEqual(await names(scene, again.files), ['sent', 'theirs']);
  const { inode } = await scene.until(again.files.lookup(rootInode, Buffer.from('sent')));
  await scene.until(again.files.write(inode, 10, Buffer.from('over')));
  await scene.until(again.files.flush(inode));
  await scene.until(again.files.change(inode, { size: 14 }));
  await put(scene, again.files, rootInode, 'new', 'words');
  scene.isCut = false;
  await scene.until(again.sender.drain());
  assert.deepEqual(await names(scene, scene.other), ['new', 'sent', 'theirs']);
  assert.equal(await text(scene, scene.other, rootInode, 'sent'), 'ssssssssssover');
  assert.deepEqual([again.told, again.refused], [[], []]);
});

test('killed while it sends, again and again: everything happens once', async () => {
  const scene = new Scene(7);
  await scene.begin();
  let count = 0;
  for (let round = 0; round < 5; round++) {
    const mount = await scene.mount(`own${round}`);
    await scene.world.pass(1500);
    const log =
      round === 0
        ? await put(scene, mount.files, rootInode, 'log', '')
        : (await scene.until(mount.files.lookup(rootInode, Buffer.from('log')))).inode;
    for (let i = 0; i < 4; i++) {
      const { size } = await scene.until(mount.files.attributes(log));
      await scene.until(mount.files.write(log, size, Buffer.from(`${count++},`), { append: true }));
      await scene.until(mount.files.flush(log));
    }
    void mount.sender.drain().catch(() => {});
    await scene.world.pass(round * 3);
    mount.kill();
    await scene.world.pass(100);
  }
  const mount = await scene.mount('end');
  await scene.until(mount.sender.drain());
  const wanted = Array.from({ length: count }, (_, i) => `${i},`).join('');
  assert.equal(await text(scene, scene.other, rootInode, 'log'), wanted);
  assert.deepEqual([mount.told, mount.refused], [[], []]);
});

test('the machine stops while it sends what was never synced: what is written after that is not taken for sent', async () => {
  for (let step = 0; step < 12; step++) {
    const scene = new Scene(20 + step);
    await scene.begin();
    const mount = await scene.mount('own');
    await scene.world.pass(2000);
    assert.deepEqual(await names(scene, mount.files), []);
    await scene.world.pass(2000);
    await put(scene, mount.files, rootInode, 'before', 'x');
    await scene.until(mount.files.syncAll());
    await put(scene, mount.files, rootInode, 'torn', 'y');
    void mount.sender.drain().catch(() => {});
    await scene.world.pass(2 * step);
    mount.kill();
    scene.disk.crash(0);
    scene.isCut = true;
    const again = await scene.mount('again');
    await put(scene, again.files, rootInode, 'after', 'z');
    scene.isCut = false;
    await scene.until(again.sender.drain());
    const found = await names(scene, scene.other);
    assert.ok(found.includes('before') && found.includes('after'), `step ${step}: ${found.join()}`);
    assert.equal(await text(scene, scene.other, rootInode, 'after'), 'z');
    assert.deepEqual([again.told, again.refused], [[], []], `step ${step}`);
    void again.sender.stop();
  }
});

test('where the log is damaged behind what was sent, what is written after that is not taken for sent either', async () => {
  const scene = new Scene(40);
  await scene.begin();
  const mount = await scene.mount('own');
  await scene.world.pass(2000);
  assert.deepEqual(await names(scene, mount.files), []);
  for (let i = 0; i < 5; i++) await put(scene, mount.files, rootInode, `sent${i}`, 'x');
  await scene.until(mount.sender.drain());
  await scene.until(mount.files.syncAll());
  mount.kill();
  const [, file] = [...scene.disk.kept].find(([name]) => /^.journal.\d+\.log$/.test(name)) as [string, { now: Buffer }];
  const middle = file.now.length >> 1;
  file.now[middle] = (file.now[middle] as number) ^ 1;
  scene.isCut = true;
  const again = await scene.mount('again');
  for (let i = 0; i < 5; i++) await put(scene, again.files, rootInode, `after${i}`, `${i}`);
  scene.isCut = false;
  await scene.until(again.sender.drain());
  assert.equal((await names(scene, scene.other)).length, 10);
  for (let i = 0; i < 5; i++) assert.equal(await text(scene, scene.other, rootInode, `after${i}`), `${i}`);
  assert.deepEqual([again.told, again.refused], [[], []]);
});

test('where others came before, theirs stays and ours too, and it is told', async () => {
  const scene = new Scene(3);
  await scene.begin();
  for (const name of ['edited.txt', 'deleted', 'changed', 'replaced'])
    await put(scene, scene.other, rootInode, name, `old ${name}`);
  const mount = await scene.mount('own');
  await scene.world.pass(2000);
  for (const name of await names(scene, mount.files)) await text(scene, mount.files, rootInode, name);
  scene.isCut = true;
  mount.own.remote = undefined;
  const at = (name: string) => ({ directory: rootInode, name: Buffer.from(name) });
  const inodeOf = async (files: Files, name: string) =>
    (await scene.until(files.lookup(rootInode, Buffer.from(name)))).inode;
  const write = async (files: Files, name: string, content: string) => {
    const inode = await inodeOf(files, name);
    await scene.until(files.write(inode, 0, Buffer.from(content)));
    await scene.until(files.flush(inode));
  };
  await write(mount.files, 'edited.txt', 'ours edited.txt');
  await put(scene, mount.files, rootInode, 'same', 'our same');
  await write(mount.files, 'deleted', 'our late words');
  await scene.until(mount.files.unlink(rootInode, Buffer.from('changed')));
  await put(scene, mount.files, rootInode, 'temporary', 'our replaced');
  await scene.until(mount.files.rename(at('temporary'), at('replaced'), 'replace'));
  await scene.world.pass(10_000);
  await write(scene.other, 'edited.txt', 'theirs edited.txt');
  await put(scene, scene.other, rootInode, 'same', 'their same');
  await scene.until(scene.other.unlink(rootInode, Buffer.from('deleted')));
  await write(scene.other, 'changed', 'theirs changed');
  await write(scene.other, 'replaced', 'theirs replaced');
  scene.isCut = false;
  await scene.until(mount.sender.drain());
  const found = new Map<string, string>();
  for (const name of await names(scene, scene.other)) found.set(name, await text(scene, scene.other, rootInode, name));
  assert.equal(found.get('edited (conflict).txt'), 'theirs edited.txt');
  assert.ok(found.get('edited.txt')?.startsWith('ours edited.txt'));
  assert.deepEqual([found.get('same'), found.get('same (conflict)')], ['their same', 'our same']);
  assert.equal(found.get('changed'), 'theirs changed', 'what others changed is not deleted');
  assert.deepEqual([found.get('replaced'), found.get('replaced (conflict)')], ['our replaced', 'theirs replaced']);
  assert.equal(mount.refused.length, 1, 'what was written to a file that others deleted is kept');
  assert.equal(mount.told.length, 4, mount.told.join());
  assert.equal(mount.own.facts.operations, 0);
});

test('files that come and go and data written over never leave', async () => {
  const scene = new Scene(5);
  await scene.begin();
  const mount = await scene.mount('own');
  await scene.world.pass(2000);
  const stays = await put(scene, mount.files, rootInode, 'stays', 'first');
  await scene.until(mount.sender.drain());
  const before = (await scene.until(scene.other.lookup(rootInode, Buffer.from('stays')))).inode;
  assert.equal(before, stays);
  assert.deepEqual(await names(scene, mount.files), ['stays']);
  assert.equal(await text(scene, mount.files, rootInode, 'stays'), 'first');
  scene.isCut = true;
  mount.own.remote = undefined;
  for (let i = 0; i < 20; i++) {
    await put(scene, mount.files, rootInode, `temporary${i}`, 'x'.repeat(10_000));
    await scene.until(mount.files.unlink(rootInode, Buffer.from(`temporary${i}`)));
    await scene.until(mount.files.write(stays, 0, Buffer.from(`word ${i}`)));
    await scene.until(mount.files.flush(stays));
  }
  const waiting = mount.own.waiting.length;
  assert.ok(waiting >= 80, `${waiting}`);
  assert.ok(squashed(mount.own.waiting).length <= 2, `${squashed(mount.own.waiting).length} of ${waiting}`);
  scene.isCut = false;
  await scene.until(mount.sender.drain());
  assert.deepEqual(await names(scene, scene.other), ['stays']);
  assert.equal(await text(scene, scene.other, rootInode, 'stays'), 'word 19');
  assert.deepEqual([mount.told, mount.refused], [[], []]);
});
