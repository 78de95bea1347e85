// What gets another access list goes to another tree: whatever else happens, and wherever that is cut off.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import { reasonOf, rootInode } from '../../src/core/volume/files/files.ts';
import { lockMoves, Mover } from '../../src/core/volume/files/mover.ts';
import { denied, directory, file, nothingLeft, reason, scene } from './lists-scene.ts';

test('what was renamed since it was looked up gets its list where it is now; what has its name, none', async (t) => {
  const { users } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/file', 'his');
  const { inode } = await alice.at('/file');
  await alice.rename('/file', '/renamed');
  await alice.write('/other', 'open');
  await alice.rename('/other', '/file');
  await alice.do(alice.files.setExtended(inode, utf8('infinit.auth.clear'), utf8('bob')));
  await alice.settled('/renamed');
  await assert.rejects(bob.read('/renamed'), denied);
  assert.equal(await alice.read('/renamed'), 'his');
  assert.equal(await bob.read('/file'), 'open');
  await alice.stop();
  await bob.stop();
});

test('what gets another list while the directory it is in is moved has that list', async (t) => {
  const { users } = await scene(t);
  const { alice, bob } = users;
  for (const path of ['/d', '/d/own', '/d/sub']) await alice.make(path, directory);
  for (const path of ['/d/a', '/d/own/b', '/d/sub/c']) await alice.write(path, path);
  const [all, own] = [await alice.at('/d'), await alice.at('/d/own')];
  const set = (inode: number, name: string) =>
    alice.files.setExtended(inode, utf8(`infinit.auth.${name}`), utf8('bob'));
  const [, second] = await alice.do(Promise.allSettled([set(all.inode, 'clear'), set(own.inode, 'setr')]));
  // It has been moved, then: who is told so tries again where it is now.
  if (second.status === 'rejected') {
    assert.ok(['stale', 'busy'].includes(reasonOf(second.reason) ?? ''), second.reason);
    await alice.settled('/d');
    await alice.set('/d/own', 'auth.setr', 'bob');
  }
  for (const path of ['/', '/d', '/d/own']) await alice.settled(path);
  const readers = async (path: string) =>
    (JSON.parse(await alice.get(path, 'auth')) as { name: string; write: boolean }[]).map(
      ({ name, write }) => `${name} ${write ? 'rw' : 'r'}`,
    );
  assert.deepEqual(await readers('/d/sub'), ['alice rw']);
  assert.deepEqual(await readers('/d/own/b'), ['alice rw', 'bob r']);
  for (const path of ['/d/a', '/d/own/b', '/d/sub/c']) assert.equal(await alice.read(path), path);
  await alice.stop();
  await bob.stop();
});

test('who is cut off once a name leads away goes on; a file has its list under all its names', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/one', 'text');
  await alice.do(alice.files.link((await alice.at('/one')).inode, rootInode, utf8('two')));
  await alice.write('/three', 'third');
  const { files } = alice.opened;
  const operate = files.operate.bind(files);
  let answersLost = 3;
  files.operate = async (...asked) => {
    const answer = await operate(...asked);
    if (asked[1].type === 'leadAway' && answersLost-- > 0) throw new InfinitError('unavailable', 'the answer is lost');
    return answer;
  };
  for (const path of ['/one', '/three']) {
    await alice.set(path, 'auth.clear', 'bob');
    await world.runFor(60_000);
    await alice.settled(path);
  }
  assert.ok(answersLost <= 0);
  await alice.write('/four', 'fourth');
  await alice.set('/four', 'auth.clear', 'bob');
  await alice.settled('/four');
  for (const [path, text] of [
    ['/one', 'text'],
    ['/two', 'text'],
    ['/three', 'third'],
    ['/four', 'fourth'],
  ] as const)
    assert.equal(await alice.read(path), text, path);
  for (const path of ['/one', '/two', '/three', '/four']) {
    await assert.rejects(bob.read(path), denied, path);
    await alice.unlink(path);
  }
  await world.runFor(30_000);
  await nothingLeft(alice);
  await alice.stop();
  await bob.stop();
});

test('a file that is removed while it is copied leaves no copy', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/gone', 'text');
  const { files } = alice.opened;
  const operate = files.operate.bind(files);
  files.operate = async (...asked) => {
    if (asked[1].type === 'leadAway') await files.unlink(rootInode, utf8('gone'));
    return operate(...asked);
  };
  await alice.set('/gone', 'auth.clear', 'bob');
  files.operate = operate;
  await world.runFor(60_000);
  await nothingLeft(alice);
  await alice.stop();
  await bob.stop();
});

test('who moves from another tree to the same one leaves alone what is not his', async (t) => {
  const { users, alice: linked } = await scene(t);
  const { alice, bob } = users;
  await alice.make('/d', directory);
  for (const path of ['/d/in', '/d/more', '/file']) await alice.write(path, path);
  await alice.set('/d/in', 'auth.clear', 'bob');
  await alice.settled('/d/in');
  await alice.set('/d', 'auth.setr', 'bob');
  await alice.settled('/d');
  const { files } = alice.opened;
  const [, to, from] = files.table.all;
  const { tree } = from?.now ?? assert.fail();
  const guard = (await alice.do(lockMoves(tree))) ?? assert.fail();
  const mover = new Mover(files, linked.node.runtime);
  const lost = { client: guard.client, session: guard.session + 1 };
  if (to === undefined || from === undefined) assert.fail();
  await assert.rejects(alice.do(mover.clean({ from, to, inode: 0, number: 1, guard: lost })), reason('lock-lost'));
  const operate = files.operate.bind(files);
  let cleaned = 0;
  files.operate = async (...asked) => {
    if (asked[1].type === 'leadAway') {
      await mover.clean({ from, to, inode: 0, number: 1, guard });
      cleaned++;
    }
    return operate(...asked);
  };
  await alice.set('/file', 'auth.clear', 'bob');
  await alice.settled('/file');
  assert.equal(cleaned, 1);
  assert.equal(await alice.read('/file'), '/file');
  await alice.stop();
  await bob.stop();
});

test('who is cut off at any step of a move goes on: all is there once, and nothing is left behind', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/first', 'first');
  await alice.set('/first', 'auth.clear', 'bob');
  await alice.settled('/first');
  const { files } = alice.opened;
  const fault = { at: 0, after: false, asked: 0, armed: false };
  for (const domain of files.table.all) {
    const { tree } = domain.now ?? assert.fail();
    const asked = tree.do.bind(tree);
    tree.do = async (...operation) => {
      const fails = fault.armed && ++fault.asked === fault.at;
      const error = () => new InfinitError('unavailable', 'this step fails');
      if (fails && !fault.after) throw error();
      const answer = await asked(...operation);
      if (fails) throw error();
      return answer;
    };
  }
  const operate = files.operate.bind(files);
  files.operate = async (...asked) => {
    const answer = await operate(...asked);
    if (asked[1].type === 'note' && asked[1].chore === 'moving') fault.armed = !asked[1].done;
    return answer;
  };
  let steps = 0;
  for (let at = 1; at === 1 || fault.asked >= fault.at; at++)
    for (const after of [false, true]) {
      const [path, other] = [`/d${at}${after}`, `/other${at}${after}`] as const;
      await alice.make(path, directory);
      await alice.write(`${path}/file`, path);
      await alice.do(alice.files.link((await alice.at(`${path}/file`)).inode, rootInode, utf8(other.slice(1))));
      Object.assign(fault, { at, after, asked: 0 });
      await alice.set(path, 'auth.clear', 'bob');
      await alice.settled(path);
      steps = fault.asked;
      assert.deepEqual(await alice.names(path), ['file']);
      assert.equal(await alice.read(`${path}/file`), path);
      assert.equal(await bob.read(other), path, 'the other name has the list of its directory');
      assert.equal((await bob.at(path)).mode, 0);
      await alice.unlink(`${path}/file`);
      await alice.rmdir(path);
      await alice.unlink(other);
    }
  assert.ok(steps > 10, `${steps} steps`);
  await alice.unlink('/first');
  await world.runFor(30_000);
  await nothingLeft(alice);
  await alice.stop();
  await bob.stop();
});

test('what is acknowledged while a file is copied is in the copy', async (t) => {
  const { users, bob: linked } = await scene(t);
  const { alice, bob } = users;
  await alice.write('/file', '.'.repeat(1000));
  const { inode } = await bob.at('/file');
  let acknowledged = 0;
  const writing = (async () => {
    for (; acknowledged < 900; acknowledged++) {
      await bob.files.write(inode, acknowledged, utf8('x'));
      await bob.files.sync(inode);
      // A file that changes without a pause is copied once it does not.
      if (acknowledged % 5 === 4) await linked.node.runtime.clock.sleep(3000);
    }
  })();
  const told = assert.rejects(writing, reason('stale'));
  await alice.set('/file', 'auth.setr', 'bob');
  await alice.settled('/file');
  await alice.do(told);
  assert.ok(acknowledged > 0);
  assert.match(await alice.read('/file'), new RegExp(`^x{${acknowledged},${acknowledged + 1}}[.]+$`));
  await alice.stop();
  await bob.stop();
});

test('a directory that changes while it is copied is copied again; what has a list of its own in it stays', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  for (const path of ['/d', '/d/own', '/d/sub']) await alice.make(path, directory);
  for (const path of ['/d/own/file', '/d/sub/file']) await alice.write(path, path);
  await alice.set('/d/own', 'auth.setr', 'bob');
  await alice.settled('/d/own');
  const { inode } = await alice.at('/d');
  const { files } = alice.opened;
  const operate = files.operate.bind(files);
  let changes = 0;
  files.operate = async (...asked) => {
    if (asked[1].type === 'leadAway' && asked[1].inode === inode && changes++ < 2)
      await files.change(inode, { mode: 0o750 });
    return operate(...asked);
  };
  await alice.set('/d', 'auth.clear', 'bob');
  await alice.settled('/d');
  assert.equal(changes, 3);
  await world.runFor(60_000);
  for (const path of ['/d/own/file', '/d/sub/file']) assert.equal(await alice.read(path), path);
  assert.equal((await alice.at('/d')).mode, 0o750);
  for (const path of ['/d/own/file', '/d/sub/file']) await alice.unlink(path);
  for (const path of ['/d/own', '/d/sub', '/d']) await alice.rmdir(path);
  await world.runFor(30_000);
  await nothingLeft(alice);
  await alice.stop();
  await bob.stop();
});

test('a file too large to be freed at once goes, and with it all its room', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  const [own] = alice.opened.files.table.all;
  const used = async () => (await alice.do((own?.now ?? assert.fail()).files.usage())).usedBytes;
  const before = await used();
  const { inode } = await alice.make('/big', file);
  const pieces = limits.extentsPerStepMax + 200;
  for (let at = 0; at < pieces; at++) await alice.do(alice.files.write(inode, at * 16_384, utf8(`piece ${at}`)));
  await alice.do(alice.files.sync(inode));
  const { size } = await alice.at('/big');
  assert.ok((await used()) > before);
  await alice.set('/big', 'auth.clear', 'bob');
  await alice.settled('/big');
  await assert.rejects(alice.do(alice.files.read(inode, 0, 1)), reason('stale'));
  assert.equal((await alice.at('/big')).size, size);
  for (const at of [0, pieces >> 1, pieces - 1]) {
    const text = `piece ${at}`;
    const read = await alice.do(alice.files.read((await alice.at('/big')).inode, at * 16_384, text.length));
    assert.equal(Buffer.concat(read).toString(), text);
  }
  await world.runFor(60_000);
  assert.equal(await used(), before);
  await alice.stop();
  await bob.stop();
});

test('lists set at once: of one file, what is taken holds; a file and the directory it is in have one each', async (t) => {
  const { users } = await scene(t);
  const { alice, bob } = users;
  await alice.make('/d', directory);
  for (const path of ['/d/own', '/d/other', '/file']) await alice.write(path, path);
  const set = async (path: string, name: string) => {
    const { inode } = await alice.at(path);
    return () => alice.files.setExtended(inode, utf8(`infinit.auth.${name}`), utf8('bob'));
  };
  const both = await Promise.all([set('/d/own', 'setr'), set('/d', 'clear')]);
  await alice.do(Promise.all(both.map((begin) => begin())));
  for (const path of ['/d', '/d/own']) await alice.settled(path);
  assert.equal(await alice.read('/d/own'), '/d/own');
  assert.equal(await alice.read('/d/other'), '/d/other');
  await assert.rejects(bob.names('/d'), denied);
  const readers = async (path: string) =>
    (JSON.parse(await alice.get(path, 'auth')) as { name: string }[]).map(({ name }) => name);
  assert.deepEqual([await readers('/d/own'), await readers('/d/other')], [['alice', 'bob'], ['alice']]);

  const twice = await Promise.all([set('/file', 'clear'), set('/file', 'setr')]);
  const [clear, setr] = await alice.do(Promise.allSettled(twice.map((begin) => begin())));
  const refused = [clear, setr].filter((one) => one?.status === 'rejected');
  assert.equal(refused.length, 1);
  assert.ok(['busy', 'stale'].includes(reasonOf(refused[0]?.reason) ?? ''), refused[0]?.reason);
  await alice.settled('/file');
  if (clear?.status === 'fulfilled') await assert.rejects(bob.read('/file'), denied);
  else await assert.rejects(bob.write('/file', 'his'), denied);
  await alice.stop();
  await bob.stop();
});

test('what cannot be moved is in the way of nothing else', async (t) => {
  const { users, world } = await scene(t);
  const { alice, bob } = users;
  for (const path of ['/stuck', '/file']) await alice.write(path, path);
  const { inode } = await alice.at('/stuck');
  const { files } = alice.opened;
  const operate = files.operate.bind(files);
  let isStuck = true;
  files.operate = (...asked) => {
    if (isStuck && asked[1].type === 'leadAway' && asked[1].inode === inode)
      throw new InfinitError('full', 'it cannot be moved');
    return operate(...asked);
  };
  await alice.set('/stuck', 'auth.clear', 'bob');
  await world.runFor(10_000);
  await alice.set('/file', 'auth.clear', 'bob');
  await alice.settled('/file');
  assert.equal(await alice.get('/stuck', 'auth.resealing'), 'moving');
  isStuck = false;
  await alice.settled('/stuck');
  for (const path of ['/stuck', '/file']) {
    assert.equal(await alice.read(path), path);
    await assert.rejects(bob.read(path), denied);
  }
  await alice.stop();
  await bob.stop();
});
