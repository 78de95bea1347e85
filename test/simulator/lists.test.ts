// Access lists of single directories and files on whole nodes, with two users: what has a list of its own is in a tree of its own,
// and who is not in that list sees that it is there, and nothing else.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { isError } from '../../src/core/base/errors.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { People } from '../../src/core/node/sharing/people.ts';
import { type OpenVolume, openVolume } from '../../src/core/node/volumes.ts';
import { type Attributes, type Files, reasonOf, rootInode } from '../../src/core/volume/files/files.ts';
import { network, type TwoUsers, twoUsers } from './two-users.ts';

const directory = { type: 'directory', mode: 0o755, uid: 1, gid: 1 } as const;
const file = { type: 'file', mode: 0o644, uid: 1, gid: 1 } as const;

/** A user's files, by paths. */
class User {
  readonly opened: OpenVolume;
  private readonly world: TwoUsers['world'];

  constructor(world: TwoUsers['world'], opened: OpenVolume) {
    this.world = world;
    this.opened = opened;
  }

  get files(): Files {
    return this.opened.files;
  }
  do<T>(task: Promise<T>): Promise<T> {
    return this.world.settle(task, { limitMs: 600_000 });
  }
  async at(path: string): Promise<Attributes> {
    let found = await this.do(this.files.attributes(rootInode));
    for (const name of path.split('/').filter((part) => part !== ''))
      found = await this.do(this.files.lookup(found.inode, utf8(name)));
    return found;
  }
  async make(path: string, node: typeof directory | typeof file): Promise<Attributes> {
    const [parent, name] = split(path);
    return this.do(this.files.make((await this.at(parent)).inode, utf8(name), node));
  }
  async write(path: string, text: string): Promise<void> {
    const { inode } = await this.at(path).catch(() => this.make(path, file));
    await this.do(this.files.write(inode, 0, utf8(text)));
    await this.do(this.files.sync(inode));
  }
  async read(path: string): Promise<string> {
    const { inode, size } = await this.at(path);
    return Buffer.concat(await this.do(this.files.read(inode, 0, Math.max(size, 1)))).toString();
  }
  async names(path: string): Promise<string[]> {
    const { entries } = await this.do(this.files.list((await this.at(path)).inode, 2n));
    return entries.map(({ name }) => Buffer.from(name).toString()).sort();
  }
  async set(path: string, name: string, value: string): Promise<void> {
    await this.do(this.files.setExtended((await this.at(path)).inode, utf8(`infinit.${name}`), utf8(value)));
  }
  async get(path: string, name: string): Promise<string> {
    const value = await this.do(this.files.getExtended((await this.at(path)).inode, utf8(`infinit.${name}`)));
    return Buffer.from(value).toString();
  }
  async unlink(path: string): Promise<void> {
    const [parent, name] = split(path);
    await this.do(this.files.unlink((await this.at(parent)).inode, utf8(name)));
  }
  async rmdir(path: string): Promise<void> {
    const [parent, name] = split(path);
    await this.do(this.files.removeDirectory((await this.at(parent)).inode, utf8(name)));
  }
  async rename(from: string, to: string): Promise<void> {
    const [[fromParent, name], [toParent, toName]] = [split(from), split(to)];
    const places = [
      { directory: (await this.at(fromParent)).inode, name: utf8(name) },
      { directory: (await this.at(toParent)).inode, name: utf8(toName) },
    ] as const;
    await this.do(this.files.rename(...places, 'replace'));
  }
  async settled(path: string): Promise<void> {
    for (let tries = 0; (await this.get(path, 'auth.resealing')) === 'moving'; tries++) {
      assert.ok(tries < 100, 'it is moved some time');
      await this.world.runFor(1000);
    }
  }
  stop(): Promise<void> {
    return this.do(this.opened.close());
  }
}

function split(path: string): [string, string] {
  const at = path.lastIndexOf('/');
  return [path.slice(0, at), path.slice(at + 1)];
}

const denied = (error: unknown) => isError(error, 'denied');
const reason = (wanted: string) => (error: Error) => isError(error) && reasonOf(error) === wanted;

async function scene(t: TestContext) {
  const all = await twoUsers(t);
  const { world, owner, bobs } = all;
  const volume = await world.settle(createVolume(owner.context, { as: 'alice', name: 'v', network }));
  const openFor = async (who: 'alice' | 'bob') => {
    const context = who === 'alice' ? owner.context : bobs.context;
    const people = new People(context);
    return new User(world, await world.settle(openVolume(all[who], volume, { door: true, people })));
  };
  const alice = await openFor('alice');
  await alice.set('/', 'auth.setrw', 'bob');
  const bob = await openFor('bob');
  return { ...all, users: { alice, bob }, openFor };
}

test('a directory with its own list: who is left out sees that it is there; who is in it reads and writes', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  await alice.make('/private', directory);
  await alice.make('/private/sub', directory);
  await alice.write('/private/sub/file', 'secret');
  await alice.write('/private/small', 'small');
  await alice.write('/open', 'open');
  await alice.set('/private', 'auth.clear', 'bob');
  await alice.settled('/private');

  assert.deepEqual(await alice.names('/'), ['open', 'private']);
  assert.deepEqual(await alice.names('/private'), ['small', 'sub']);
  assert.equal(await alice.read('/private/sub/file'), 'secret');
  assert.equal((await alice.at('/private')).mode, 0o755);
  assert.deepEqual(
    (JSON.parse(await alice.get('/private/sub', 'auth')) as { name: string }[]).map(({ name }) => name),
    ['alice'],
  );

  assert.deepEqual(await bob.names('/'), ['open', 'private']);
  const shown = await bob.at('/private');
  assert.deepEqual([shown.type, shown.mode, shown.size], ['directory', 0, 0]);
  for (const attempt of [
    () => bob.names('/private'),
    () => bob.at('/private/small'),
    () => bob.make('/private/new', file),
    () => bob.get('/private', 'auth'),
    () => bob.rmdir('/private'),
  ])
    await assert.rejects(attempt(), denied);
  assert.equal(await bob.read('/open'), 'open');

  await alice.set('/private', 'auth.setr', 'bob');
  await world.runFor(3000);
  assert.equal(await bob.read('/private/sub/file'), 'secret');
  await assert.rejects(bob.write('/private/small', 'his'), denied);
  await alice.stop();
  await bob.stop();
});

test('borders: names go, move and are replaced there as anywhere; two lists are two devices', async (t) => {
  const { users, world, openFor } = await scene(t);
  const { alice, bob } = users;
  for (const path of ['/a', '/a/in', '/b']) await alice.make(path, directory);
  await alice.write('/a/in/deep', 'deep');
  await alice.write('/single', 'one');
  await alice.write('/other', 'two');
  await alice.set('/a', 'auth.clear', 'bob');
  await alice.set('/single', 'auth.clear', 'bob');
  await alice.settled('/a');
  await alice.settled('/single');
  // One list, one tree.
  const trees = () => alice.opened.files.table.all.length;
  assert.equal(trees(), 2);
  await assert.rejects(bob.read('/single'), denied);
  assert.equal((await bob.at('/single')).type, 'file');
  const { inode } = await alice.at('/a/in/deep');
  assert.ok(inode > 2 ** 37);

  await assert.rejects(alice.rename('/a/in/deep', '/deep'), reason('cross-device'));
  const single = await alice.at('/single');
  const link = alice.files.link(single.inode, rootInode, utf8('linked'));
  await assert.rejects(alice.do(link), reason('cross-device'));
  await alice.rename('/a', '/b/moved');
  assert.equal(await alice.read('/b/moved/in/deep'), 'deep');
  assert.deepEqual(await alice.names('/b'), ['moved']);
  assert.equal((await alice.at('/b')).links, 3);
  await assert.rejects(alice.rmdir('/b/moved'), reason('not-empty'));
  await assert.rejects(alice.unlink('/b/moved'), reason('is-directory'));
  await alice.rename('/other', '/single');
  assert.equal(await bob.read('/single'), 'two', 'the new file has the list of its directory');

  await alice.unlink('/b/moved/in/deep');
  await alice.rmdir('/b/moved/in');
  await alice.make('/empty', directory);
  await alice.rename('/empty', '/b/moved');
  await alice.rmdir('/b/moved');
  await alice.rmdir('/b');
  await world.runFor(30_000);
  assert.deepEqual(await alice.names('/'), ['single']);
  const [, lists] = alice.opened.files.table.all;
  const left = await alice.do((lists?.now?.files ?? assert.fail()).list(rootInode, 2n));
  assert.deepEqual(left.entries, [], 'nothing is left in the tree of the list');
  await alice.stop();
  const again = await openFor('alice');
  assert.deepEqual(await again.names('/'), ['single']);
  await bob.stop();
  await again.stop();
});

test('who has a file open while it gets another list is told that it is gone: nothing he wrote is lost in silence', async (t) => {
  const { users } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/file', 'before');
  const { inode } = await bob.at('/file');
  await bob.do(bob.files.write(inode, 0, utf8('synced')));
  await bob.do(bob.files.sync(inode));
  await bob.do(bob.files.write(inode, 0, utf8('later!')));
  await alice.set('/file', 'auth.setr', 'bob');
  await alice.settled('/file');
  const stale = (error: Error) => ['stale', 'no-such-file'].includes(reasonOf(error as never) ?? '');
  await assert.rejects(bob.do(bob.files.sync(inode)), stale);
  await assert.rejects(bob.do(bob.files.write(inode, 0, utf8('latest')).then(() => bob.files.sync(inode))), stale);
  assert.equal(await alice.read('/file'), 'synced');
  assert.equal(await bob.read('/file'), 'synced');
  await alice.stop();
  await bob.stop();
});
