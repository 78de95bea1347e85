// Access lists of single directories and files on whole nodes, with two users: what has a list of its own is in a tree of its own,
// and who is not in that list sees that it is there, and nothing else.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { reasonOf, rootInode } from '../../src/core/volume/files/files.ts';
import { denied, directory, file, nothingLeft, reason, scene } from './lists-scene.ts';

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
  await nothingLeft(alice);
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
