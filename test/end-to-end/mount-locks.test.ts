// Locks across mounts: flock, fcntl and locks of open files on three real mounts of a volume, programs that rely on them, and
// mounts that are killed while they hold one.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Device, Lab, run, shell } from './device.ts';
import { needs } from './needs.ts';
import { Terminal } from './terminal.ts';
import { cannotMount, createVolume, type Mount, type Mounts, mountOn } from './volume.ts';

const why = cannotMount();
const python = async (program: string, ...words: string[]) =>
  (await run('python3', ['-c', program, ...words])).toString();

/** Another device of alice, with her identity and without a disk. */
async function anotherDevice(lab: Lab, one: Device): Promise<Device> {
  const device = lab.device('four', 'alice');
  await device.run(['user', 'import'], await one.run(['user', 'export', 'alice', '--full']));
  await device.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
  await device.run(['network', 'link', 'cluster']);
  await device.run(['volume', 'import'], await one.run(['volume', 'export', 'shared']));
  return device;
}

describe('locks across mounts', { timeout: 900_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let devices: Mounts['devices'];
  let nodes: Mounts['nodes'];
  let four: Device;
  let leader: Mount;
  let follower: Mount;
  let third: Mount;
  let pairs: [here: Mount, there: Mount][];

  before(async () => {
    ({ devices, nodes } = await createVolume(lab));
    four = await anotherDevice(lab, devices.one);
    leader = await mountOn(devices.one);
    follower = await mountOn(devices.two);
    third = await mountOn(four, ['--peer', nodes.two.endpoint]);
    pairs = [
      [leader, follower],
      [follower, leader],
      [follower, third],
    ];
  });
  after(async () => {
    await lab.close();
  });

  test('flock excludes within one mount and across mounts, and goes with its process', needs('flock'), async () => {
    for (const [here, there] of pairs) {
      const holder = new Terminal(here.mountpoint);
      await holder.does('exec {lock}> lock && flock --shared $lock');
      for (const mount of [here, there]) {
        await run('flock', ['--shared', '--nonblock', `${mount.mountpoint}/lock`, 'true']);
        await assert.rejects(run('flock', ['--nonblock', `${mount.mountpoint}/lock`, 'true']), /exit 1/);
      }
      await holder.does('flock --exclusive $lock && echo before > told');
      const waits = run('flock', [`${there.mountpoint}/lock`, 'cat', `${there.mountpoint}/told`]);
      await holder.does('sleep 1; echo after > told');
      await holder.close();
      assert.equal((await waits).toString(), 'after\n');
    }
  });

  test(
    'fcntl locks exclude ranges, tell who is in the way, are interrupted, and refuse what would never end',
    needs('python3'),
    async () => {
      const program = `
import errno, fcntl, os, signal, struct, sys
here, there = (open(os.path.join(folder, 'ranges'), 'a+b') for folder in sys.argv[1:])
def is_refused(file, *how):
    try: fcntl.lockf(file, *how)
    except OSError as error: return error.errno
    return 0
NOW = fcntl.LOCK_EX | fcntl.LOCK_NB
def other(task):
    child = os.fork()
    if child == 0:
        try: os._exit(task() or 0)
        except BaseException as error: sys.stderr.write(repr(error)); os._exit(99)
    return lambda: os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
fcntl.lockf(here, NOW, 10, 5)
assert other(lambda: is_refused(there, NOW, 10, 14))() == errno.EAGAIN
assert other(lambda: is_refused(there, NOW, 10, 15))() == 0
assert other(lambda: is_refused(here, fcntl.LOCK_SH | fcntl.LOCK_NB, 1, 5))() == errno.EAGAIN
def asked():
    found = fcntl.fcntl(there, fcntl.F_GETLK, struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0))
    kind, whence, start, length, pid = struct.unpack('hhqqi4x', found)
    assert (kind, start, length, pid) == (fcntl.F_WRLCK, 5, 10, 0), (kind, start, length, pid)
assert other(asked)() == 0
def interrupted():
    signal.signal(signal.SIGALRM, lambda *_: os._exit(7))
    signal.alarm(1)
    fcntl.lockf(there, fcntl.LOCK_EX, 1, 5)
assert other(interrupted)() == 7
# The other process waits for this one; then this one must not wait for it.
mine, ready = os.pipe()
def waits():
    fcntl.lockf(there, NOW, 1, 100)
    os.write(ready, b'x')
    fcntl.lockf(there, fcntl.LOCK_EX, 1, 5)
waiting = other(waits)
os.read(mine, 1)
import time; time.sleep(1)
assert is_refused(here, fcntl.LOCK_EX, 1, 100) == errno.EDEADLK
fcntl.lockf(here, fcntl.LOCK_UN)
assert waiting() == 0
# Closing any descriptor of the file lets go of it.
fcntl.lockf(here, NOW)
open(here.name, 'rb').close()
assert other(lambda: is_refused(there, NOW))() == 0`;
      for (const [here, there] of pairs) await python(program, here.mountpoint, there.mountpoint);
    },
  );

  test(
    'locks of open files exclude each other in one process, and go with the last descriptor',
    needs('python3'),
    async () => {
      const program = `
import errno, fcntl, os, struct, sys, time
SETLK = 37 # F_OFD_SETLK
here, again, there = (open(os.path.join(folder, 'open'), 'a+b') for folder in (sys.argv[1], *sys.argv[1:]))
lock = struct.pack('hhqqi4x', fcntl.F_WRLCK, 0, 0, 0, 0)
def is_refused(file):
    try: fcntl.fcntl(file, SETLK, lock)
    except OSError as error: return error.errno
    return 0
assert is_refused(here) == 0
assert is_refused(again) == is_refused(there) == errno.EAGAIN
copy = os.dup(here.fileno())
here.close()
assert is_refused(there) == errno.EAGAIN
os.close(copy)
for _ in range(100): # the kernel tells of it when it has time
    if is_refused(there) == 0: break
    time.sleep(0.1)
else: raise SystemExit('still locked')`;
      for (const [here, there] of pairs) await python(program, here.mountpoint, there.mountpoint);
    },
  );

  test('a SQLite database written from all mounts at once keeps every row', needs('sqlite3', 'python3'), async () => {
    await shell(`sqlite3 ${leader.mountpoint}/base.db 'create table t (who text, n integer)'`);
    const program = `
import sqlite3, sys
base = sqlite3.connect(sys.argv[1] + '/base.db', timeout=240, isolation_level=None)
for n in range(25):
    base.execute('begin immediate')
    before, = base.execute('select count(*) from t').fetchone()
    base.execute('insert into t values (?, ?)', (sys.argv[2], before))
    base.execute('commit')`;
    const mounts = [leader, follower, third];
    await Promise.all(mounts.map(({ mountpoint }, i) => python(program, mountpoint, `${i}`)));
    for (const { mountpoint } of mounts) {
      const check = `sqlite3 ${mountpoint}/base.db 'pragma integrity_check; select count(*), count(distinct n), max(n) from t'`;
      assert.equal((await run('bash', ['-c', check])).toString(), 'ok\n75|75|74\n');
    }
  });

  test('commits from several mounts into one repository all stay', needs('git', 'flock'), async () => {
    await shell(`git init -q ${leader.mountpoint}/repository`);
    const commits = `
      cd "$1/repository"
      for n in $(seq 8); do
        exec {lock}> ../repository.lock; flock $lock
        echo "$n" > "$2-$n"; git add "$2-$n"; git -c user.name=a -c user.email=a@b commit -qm "$2 $n"
        exec {lock}>&-
      done`;
    const mounts = [leader, follower, third];
    await Promise.all(
      mounts.map(({ mountpoint }, i) => run('bash', ['-euc', commits, 'commits', mountpoint, `m${i}`])),
    );
    const found = await run('bash', [
      '-euc',
      `cd ${third.mountpoint}/repository; git fsck --strict 2>&1; git log --oneline | wc -l; git status --short | wc -l`,
    ]);
    assert.deepEqual(found.toString().trim().split('\n').slice(-2), ['24', '0']);
  });

  test('a mount that is killed lets go when its lease has ended, and not before', needs('flock'), async () => {
    const holder = new Terminal(third.mountpoint);
    await holder.does('exec {lock}> killed && flock $lock');
    const began = Date.now();
    await third.kill();
    await assert.rejects(run('flock', ['--nonblock', `${follower.mountpoint}/killed`, 'true']), /exit 1/);
    await run('flock', [`${follower.mountpoint}/killed`, 'true']);
    assert.ok(Date.now() - began > 15_000, 'granted while the mount could still have believed in it');
    await holder.close();
    await shell(`umount --lazy ${third.mountpoint}`);
  });

  test('when the leader is killed a lock held elsewhere stays, and is handed on', needs('flock'), async () => {
    third = await mountOn(four, ['--peer', nodes.two.endpoint]);
    const holder = new Terminal(follower.mountpoint);
    await holder.does('exec {lock}> stays && flock $lock && echo first > told');
    const waits = run('flock', [`${third.mountpoint}/stays`, 'cat', `${third.mountpoint}/told`]);
    let isGranted = false;
    waits.then(
      () => {
        isGranted = true;
      },
      () => {},
    );
    const ofLeader = new Terminal(leader.mountpoint);
    await ofLeader.does('exec {lock}> gone && flock $lock');
    await leader.kill();
    // What the leader had locked goes with it; for that another leads, and has heard of those who hold locks.
    await run('flock', [`${third.mountpoint}/gone`, 'true']);
    await assert.rejects(run('flock', ['--nonblock', `${third.mountpoint}/stays`, 'true']), /exit 1/);
    assert.equal(isGranted, false);
    await holder.does('echo second > told && sync told && flock --unlock $lock');
    assert.equal((await waits).toString(), 'second\n');
    await holder.close();
    await ofLeader.close();
  });
});
