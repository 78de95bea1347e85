// A mount that hears nobody: what it answers with `timeout=S` and without, what becomes of what was written, and of locks.

import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { after, before, describe, test } from 'node:test';
import { limits } from '../../src/core/base/limits.ts';
import { Lab, type Running, run, shell, sleep } from './device.ts';
import { needs } from './needs.ts';
import { cannotMount, createVolume, type Mount, type Mounts, mountOn } from './volume.ts';

const why = cannotMount();
const timeoutS = 5;

/** Asks once and prints the number of the error; 0 for none. */
const program = `
import os, sys
what, path = sys.argv[1:3]
try:
    if what == 'stat': os.stat(path)
    elif what == 'list': os.listdir(path)
    elif what == 'read': open(path).read()
    elif what == 'make': open(path, 'x').close()
    print(0)
except OSError as error: print(error.errno)`;
const asks = async (what: string, path: string) =>
  (await run('python3', ['-c', program, what, path])).toString().trim();

describe('a mount that is cut off', { timeout: 600_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let mounts: Mounts;
  let leader: Mount;
  let follower: Mount;
  let others: Running[];

  const frozen = async (task: () => Promise<void>) => {
    for (const { pid } of others) process.kill(pid, 'SIGSTOP');
    try {
      await task();
    } finally {
      for (const { pid } of others) process.kill(pid, 'SIGCONT');
    }
  };

  before(async () => {
    mounts = await createVolume(lab);
    leader = await mountOn(mounts.devices.one);
    follower = await mountOn(mounts.devices.two, ['--fuse-option', `timeout=${timeoutS}`]);
    others = [leader, mounts.nodes.one, mounts.nodes.two, mounts.nodes.three];
    await shell(`mkdir ${leader.mountpoint}/d; echo content > ${leader.mountpoint}/d/f; sync ${leader.mountpoint}/d/f`);
  });
  after(async () => {
    await lab.close();
  });

  test('answers errors when its timeout is over, and goes on with the others', needs('python3'), async () => {
    const at = (path: string) => `${follower.mountpoint}/${path}`;
    assert.equal((await shell(`cat ${at('d/f')}`)).toString(), 'content\n');
    await frozen(async () => {
      // What it was answered before may be repeated while its lease lasts: nothing can have changed.
      await sleep(limits.readLeaseMs + 500);
      const began = Date.now();
      const answers = [
        asks('stat', at('d/none')),
        asks('list', at('d')),
        asks('read', at('d/f')),
        asks('make', at('d/new')),
      ];
      assert.deepEqual(await Promise.all(answers), ['5', '5', '5', '5']);
      assert.ok(Date.now() - began >= (timeoutS - 1) * 1000, 'given up at once');
    });
    assert.equal(await asks('read', at('d/f')), '0');
    await shell(`echo more > ${at('d/more')}; sync ${at('d/more')}; test "$(cat ${leader.mountpoint}/d/more)" = more`);
  });

  test('says that a sync was not possible, keeps the data, and syncs it later', needs('python3'), async () => {
    const path = `${follower.mountpoint}/d/kept`;
    await shell(`echo ....... > ${path}; sync ${path}`);
    const script = `
import os, sys
file = os.open(sys.argv[1], os.O_RDWR)
os.pwrite(file, b'written', 0)
print('ready', flush=True); sys.stdin.readline()
os.pwrite(file, b'later!!', 0)
try: os.fsync(file); print('synced', flush=True)
except OSError as error: print(error.errno, flush=True)
sys.stdin.readline()
os.fsync(file); print('synced', flush=True)
os.close(file)`;
    const child = spawn('python3', ['-c', script, path], { stdio: ['pipe', 'pipe', 'inherit'] });
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async () => String((await lines.next()).value);
    try {
      assert.equal(await line(), 'ready');
      await frozen(async () => {
        child.stdin.write('\n');
        assert.equal(await line(), '5');
      });
      child.stdin.write('\n');
      assert.equal(await line(), 'synced');
      assert.equal((await run('head', ['-c', '7', `${leader.mountpoint}/d/kept`])).toString(), 'later!!');
    } finally {
      child.kill('SIGKILL');
    }
  });
});
