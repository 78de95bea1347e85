// What the README says mounts of one volume see of each other, and what they do not: each sentence on two real mounts, one that
// leads and one that follows.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Cluster } from './cluster.ts';
import { type Device, eventually, Lab, run, shell, sleep } from './device.ts';
import { needs } from './needs.ts';
import { Terminal } from './terminal.ts';
import { cannotMount, createVolume, type Mount, mountOn, volume } from './volume.ts';

const why = cannotMount();
const stableFiles = 5000;
/** Orphans nobody says he holds are freed after 30 seconds. */
const orphanWaitMs = 45_000;
const heldBytes = 3_000_000;

const python = async (program: string, ...words: string[]) =>
  (await run('python3', ['-c', program, ...words])).toString();

async function roleOf(device: Device): Promise<string | undefined> {
  return (JSON.parse(await device.run(['volume', 'status', volume, '--script'])) as { role?: string }).role;
}

describe('two mounts of one volume', { timeout: 600_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let devices: Cluster;
  let leader: Mount;
  let follower: Mount;
  let pairs: [from: Mount, to: Mount][];
  let onLeader: Terminal;
  let onFollower: Terminal;
  let orphanedAt = 0;

  before(async () => {
    ({ devices } = await createVolume(lab));
    leader = await mountOn(devices.one);
    follower = await mountOn(devices.two);
    pairs = [
      [leader, follower],
      [follower, leader],
    ];
    onLeader = new Terminal(leader.mountpoint);
    onFollower = new Terminal(follower.mountpoint);
  });
  after(async () => {
    await onLeader?.close();
    await onFollower?.close();
    await lab.close();
  });

  test('the first leads, the second follows', async () => {
    assert.deepEqual([await roleOf(devices.one), await roleOf(devices.two)], ['leader', 'follower']);
  });

  test('files open on one and unlinked on the other stay readable and writable', async () => {
    await shell(`head -c ${heldBytes} /dev/urandom > ${lab.folder}/bytes`);
    for (const [index, [from, to]] of pairs.entries()) {
      const holder = to === leader ? onLeader : onFollower;
      await shell(`cp ${lab.folder}/bytes ${from.mountpoint}/held${index}`);
      await holder.does(`exec {held}<>held${index}`);
      await shell(`rm ${from.mountpoint}/held${index}`);
      await holder.does(`! test -e held${index} && test $(stat -L -c %h /proc/self/fd/$held) = 0`);
      await holder.does(`head -c 100000 <&$held | cmp -n 100000 - ${lab.folder}/bytes`);
    }
    orphanedAt = Date.now();
  });

  test('every operation on names and attributes is seen by the other at once', async () => {
    // `seen WANTED COMMAND`: on the other mount, which has just looked and found something else.
    const steps = `
      from=$1 to=$2
      fail() { echo "$*: here $got, wanted $wanted" >&2; exit 1; }
      seen() { wanted=$1; shift; got=$("$@" 2>/dev/null) || got=none; test "$got" = "$wanted" || fail "$@"; }
      for i in $(seq 10); do
        seen none stat -c %F $to/f
        touch $from/f
        seen 'regular empty file' stat -c %F $to/f
        chmod 640 $from/f; seen 640 stat -c %a $to/f
        chown 7:8 $from/f; seen 7:8 stat -c %u:%g $to/f
        truncate -s 12345 $from/f; seen 12345 stat -c %s $to/f
        touch -d @1000000000.5 $from/f; seen 1000000000 stat -c %Y $to/f
        ln $from/f $from/g; seen 2 stat -c %h $to/f; seen "$(stat -c %i $from/f)" stat -c %i $to/g
        mv $from/f $from/h; seen none stat -c %h $to/f; seen 640 stat -c %a $to/h
        rm $from/g; seen 1 stat -c %h $to/h; seen none stat $to/g
        mkdir $from/d; seen directory stat -c %F $to/d
        mv $from/h $from/d/h; seen h ls $to/d; seen none stat $to/h
        ln -s d $from/s; seen h ls $to/s/; rm $from/s; ln -s d/h $from/s; seen d/h readlink $to/s
        rm $from/s $from/d/h; seen '' ls $to/d
        rmdir $from/d; seen none stat $to/d
        mkfifo $from/f; seen fifo stat -c %F $to/f; rm $from/f
      done`;
    for (const [from, to] of pairs) await run('bash', ['-eu', '-c', steps, 'steps', from.mountpoint, to.mountpoint]);
  });

  test(
    'a directory the other has moved is renamed by its new name, without a look at it before',
    needs('python3'),
    async () => {
      // Back to where it was known, too: then the kernel has the lock of that place.
      const program = `
import os, sys
here, there = sys.argv[1:]
for place in 'to', 'from':
    for folder in 'from/d', 'to': os.makedirs(f'{there}/moves/{folder}')
    os.listdir(f'{here}/moves/from/d')
    os.listdir(f'{here}/moves/to')
    os.rename(f'{there}/moves/from/d', f'{there}/moves/d')
    os.rename(f'{here}/moves/d', f'{here}/moves/{place}/e')
    assert os.listdir(f'{there}/moves/{place}') == os.listdir(f'{here}/moves/{place}') == ['e']
    os.removedirs(f'{there}/moves/{place}/e')
    os.removedirs(f'{there}/moves/' + ('from' if place == 'to' else 'to'))
# Also in use here: what was open, and who is in it, goes on.
for folder in 'from/d/below', 'to': os.makedirs(f'{there}/moves/{folder}')
used = open(f'{here}/moves/from/d/file', 'w')
within = os.open(f'{here}/moves/from/d', os.O_DIRECTORY)
below = os.open(f'{here}/moves/from/d/below', os.O_DIRECTORY)
os.rename(f'{there}/moves/from/d', f'{there}/moves/d')
os.rename(f'{here}/moves/d', f'{here}/moves/to/e')
os.rename(f'{here}/moves/to/e/below', f'{here}/moves/to/below')
used.write('written')
used.close()
for at in within, below: os.close(os.open('new', os.O_CREAT | os.O_WRONLY, dir_fd=at))
assert sorted(os.listdir(within)) == sorted(os.listdir(f'{here}/moves/to/e')) == ['file', 'new']
os.rename('new', 'old', src_dir_fd=within, dst_dir_fd=below)
os.mkdir(f'{here}/moves/to/below/made')
assert sorted(os.listdir(below)) == sorted(os.listdir(f'{there}/moves/to/below')) == ['made', 'new', 'old'], os.listdir(below)
assert os.fstat(within).st_ino == os.stat(f'{here}/moves/to/e').st_ino == os.stat(f'{there}/moves/to/e').st_ino
# What is done by one way is seen by the other at once.
for i in range(100):
    os.mkdir('x', dir_fd=within)
    os.rename(f'{here}/moves/to/e/x', f'{here}/moves/to/e/y')
    assert os.listdir(within) == os.listdir(f'{here}/moves/to/e')
    os.rmdir(f'{here}/moves/to/e/y')
assert open(f'{there}/moves/to/e/file').read() == 'written'`;
      for (const [there, here] of pairs) {
        await python(program, here.mountpoint, there.mountpoint);
        await shell(`rm -r ${there.mountpoint}/moves`);
      }
    },
  );

  test('extended attributes are seen at once', needs('setfattr'), async () => {
    for (const [from, to] of pairs)
      await shell(`
        touch ${from.mountpoint}/x
        for i in $(seq 10); do
          setfattr -n user.a -v "$i" ${from.mountpoint}/x
          test "$(getfattr --only-values --absolute-names -n user.a ${to.mountpoint}/x)" = "$i"
        done
        setfattr -x user.a ${from.mountpoint}/x
        test -z "$(getfattr --absolute-names ${to.mountpoint}/x)"
        rm ${from.mountpoint}/x`);
  });

  test('data is seen by the other when its writer closes the file', async () => {
    for (const [from, to] of pairs)
      await shell(`
        for i in $(seq 100); do
          echo "$((1000 + i))" > ${from.mountpoint}/closed
          test "$(cat ${to.mountpoint}/closed)" = "$((1000 + i))"
        done
        cp ${lab.folder}/bytes ${from.mountpoint}/closed
        cmp ${lab.folder}/bytes ${to.mountpoint}/closed
        rm ${from.mountpoint}/closed
        for i in $(seq 50); do
          echo "line $i" >> ${from.mountpoint}/closed
          echo "line $i too" >> ${to.mountpoint}/closed
        done
        for on in ${from.mountpoint} ${to.mountpoint}; do
          tail -n 100 $on/closed | cmp - <(for i in $(seq 50); do echo "line $i"; echo "line $i too"; done)
        done`);
  });

  test('data rewritten in place, of the same size, is seen by the other, again and again', async () => {
    for (const [from, to] of pairs)
      await shell(`
        head -c 200000 /dev/zero | tr '\\0' a > ${from.mountpoint}/same
        for letter in b c d e f g h i j k; do
          head -c 200000 /dev/zero | tr '\\0' $letter | dd of=${from.mountpoint}/same conv=notrunc bs=50000 status=none
          test "$(tr -d $letter < ${to.mountpoint}/same | wc -c)" = 0
          test "$(wc -c < ${to.mountpoint}/same)" = 200000
        done`);
  });

  /** A process that keeps the file open, closes nothing, and writes what it is given; it has written when this resolves. */
  const feed = async (writer: Terminal, file: string, line: string) => {
    await writer.does(`test -v feed || exec {feed}> >(exec cat > ${file}); size=$(stat -c %s ${file} || echo 0)`);
    await writer.does(`echo ${line} >&$feed; until test "$(stat -c %s ${file})" != "$size"; do sleep 0.01; done`);
  };
  const endFeed = (writer: Terminal) => writer.does('exec {feed}>&-; unset feed');

  test('data is seen by the other after fsync, with the file still open', async () => {
    for (const [from, to] of pairs) {
      const writer = from === leader ? onLeader : onFollower;
      for (const line of ['first', 'second', 'third']) {
        await feed(writer, 'synced', line);
        await writer.does('sync synced');
        assert.equal(await shell(`tail -n 1 ${to.mountpoint}/synced`), `${line}\n`);
      }
      await endFeed(writer);
      await shell(`rm ${from.mountpoint}/synced`);
    }
  });

  test('data neither closed nor synced is written within about a second', async (context) => {
    for (const [from, to] of pairs) {
      const writer = from === leader ? onLeader : onFollower;
      await feed(writer, 'lazy', 'written');
      const started = Date.now();
      await eventually(
        'the other sees it',
        10_000,
        async () => (await shell(`cat ${to.mountpoint}/lazy`)) === 'written\n',
      );
      const seenMs = Date.now() - started;
      context.diagnostic(`seen ${seenMs} ms after the write`);
      assert.ok(seenMs < 4000, `${seenMs} ms`);
      await endFeed(writer);
      await shell(`rm ${from.mountpoint}/lazy`);
    }
  });

  test('numeric ids decide who may, whichever mount is asked', needs('setpriv'), async () => {
    // Only from within: the folders above are closed to others.
    const as = (id: number, { mountpoint }: Mount, command: string) =>
      shell(`cd ${mountpoint} && setpriv --reuid ${id} --regid ${id} --clear-groups sh -c '${command}'`);
    await shell(`chmod 777 ${leader.mountpoint}; umask 077; echo secret > ${leader.mountpoint}/private`);
    await as(7, follower, 'umask 077; echo mine > ./mine');
    for (const mount of [leader, follower]) {
      assert.equal(await shell(`stat -c '%u %g %a' ${mount.mountpoint}/mine`), '7 7 600\n');
      assert.equal(await as(7, mount, 'cat ./mine'), 'mine\n');
      await assert.rejects(as(7, mount, 'cat ./private'), /Permission denied/);
      await assert.rejects(as(8, mount, 'cat ./mine'), /Permission denied/);
    }
    await shell(`chmod 755 ${follower.mountpoint}`);
    await assert.rejects(as(7, leader, 'touch ./new'), /Permission denied/);
  });

  test(`${stableFiles} files are listed once each while the other mount makes and removes others`, async (context) => {
    for (const [from, to] of pairs) {
      const folder = `many-${from === leader ? 'leader' : 'follower'}`;
      await shell(
        `mkdir ${leader.mountpoint}/${folder} && cd ${leader.mountpoint}/${folder} && seq -f stable-%g ${stableFiles} | xargs touch`,
      );
      let changes = 0;
      let enough = false;
      const changing = (async () => {
        for (; !enough; changes += 100)
          await shell(`cd ${from.mountpoint}/${folder} && touch other-{1..50} && mv other-1 moved && rm other-* moved`);
      })();
      const listings: string[] = [];
      try {
        for (let i = 0; i < 8; i++) listings.push(await shell(`ls -U ${to.mountpoint}/${folder}`));
      } finally {
        enough = true;
        await changing;
      }
      for (const listing of listings) {
        const names = listing.trim().split('\n');
        assert.equal(new Set(names).size, names.length, 'a name is listed twice');
        assert.equal(names.filter((name) => name.startsWith('stable-')).length, stableFiles);
      }
      const others = listings.filter((listing) => /other-|moved/.test(listing)).length;
      context.diagnostic(`${changes} changes, ${others} of ${listings.length} listings show some of the others`);
      assert.ok(changes > 0);
    }
  });

  test('df tells the same of both: what the network has room for, and how many files there are', async () => {
    const asked = async ({ mountpoint }: Mount) => {
      const [, line = ''] = (await shell(`df -B1 --output=size,used,avail,iused ${mountpoint}`)).trim().split('\n');
      const [size = 0, used = 0, available = 0, inodes = 0] = line.trim().split(/\s+/).map(Number);
      return { size, used, available, inodes };
    };
    const bytes = 20_000_000;
    // What was removed before is freed.
    await sleep(35_000);
    const before = await asked(follower);
    // Three silos of 4 GB hold three copies of each byte.
    assert.ok(before.size > 3.9e9 && before.size <= 4e9, `${before.size}`);
    assert.equal(before.used + before.available, before.size);
    assert.ok(before.available > 0.5 * before.size, `${before.available}`);
    await shell(`head -c ${bytes} /dev/urandom > ${leader.mountpoint}/room && sync ${leader.mountpoint}/room`);
    for (const mount of [leader, follower]) {
      assert.equal((await asked(mount)).inodes, before.inodes + 1);
      const later = await eventually('it is used', 60_000, async () => {
        const now = await asked(mount);
        return now.used >= before.used + 0.7 * bytes && now;
      });
      assert.equal(later.size, before.size);
      assert.ok(later.used < before.used + 3 * bytes, `${before.used} to ${later.used}`);
    }
    await shell(`rm ${follower.mountpoint}/room`);
    // What others may have open is freed when nobody has said so for a while.
    for (const mount of [leader, follower])
      await eventually('it is freed', 60_000, async () => (await asked(mount)).inodes === before.inodes);
  });

  test('what was unlinked while open is whole long after, and goes when it is closed', async () => {
    await sleep(Math.max(0, orphanedAt + orphanWaitMs - Date.now()));
    const inodes = async () => Number(await shell(`df --output=iused ${leader.mountpoint} | tail -n 1`));
    for (const holder of [onFollower, onLeader]) {
      await holder.does(`cat /proc/self/fd/$held | cmp - ${lab.folder}/bytes`);
      await holder.does('printf changed | dd of=/proc/self/fd/$held conv=notrunc,fsync status=none');
      await holder.does(
        `cmp -i 7 /proc/self/fd/$held ${lab.folder}/bytes && head -c 7 /proc/self/fd/$held | grep -q changed`,
      );
    }
    const before = await inodes();
    for (const holder of [onFollower, onLeader]) await holder.does('exec {held}>&-');
    await eventually('both are freed', 30_000, async () => (await inodes()) === before - 2);
  });

  test('when the leader is unmounted the other leads at once, when it dies after some seconds', async (context) => {
    const write = async () => {
      const started = Date.now();
      await shell(`echo x > ${follower.mountpoint}/after && sync ${follower.mountpoint}/after`);
      return Date.now() - started;
    };
    await write();
    for (const terminal of [onLeader, onFollower]) await terminal.close();
    assert.equal(await leader.stop('SIGINT'), 0, leader.output);
    const unmountedMs = await write();
    assert.equal(await roleOf(devices.two), 'leader');
    leader = follower;
    follower = await mountOn(devices.one);
    await write();
    await leader.kill();
    const killedMs = await write();
    context.diagnostic(`first durable write: ${unmountedMs} ms after an unmount, ${killedMs} ms after a kill`);
    // A lease lasts 4 s.
    assert.ok(unmountedMs < 3000, `${unmountedMs} ms`);
    assert.ok(killedMs > 2000 && killedMs < 20_000, `${killedMs} ms`);
    assert.equal(await follower.stop('SIGINT'), 0, follower.output);
  });
});
