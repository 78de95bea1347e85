// Volumes as people run them: in the background and stopped again, with files in use, by scripts, and by a second user where the
// default permissions let him.

import assert from 'node:assert/strict';
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type Device, eventually, Lab } from './device.ts';

const network = 'alice/cluster';
const why = !existsSync('/dev/fuse') || process.getuid?.() !== 0 ? 'only root mounts here, by /dev/fuse' : false;
const loopback = ['--listen', '127.0.0.1'];

interface Status {
  status: string;
  mountpoint?: string;
  role?: string;
  pid?: number;
  dirty_bytes?: number;
  readonly?: boolean;
}

async function statusOf(device: Device, name: string): Promise<Status> {
  return JSON.parse(await device.run(['volume', 'status', name, '--script'])) as Status;
}

async function oneDevice(lab: Lab): Promise<Device> {
  const device = lab.device('one', 'alice');
  await device.run(['user', 'create']);
  await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
  await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
  return device;
}

function mountpoints(): string[] {
  const lines = readFileSync('/proc/self/mounts', 'utf8').split('\n');
  return lines.map((line) => line.split(' ')[1] ?? '');
}

function isMounted(path: string): boolean {
  return mountpoints().includes(path);
}

/** What a killed process may leave behind. */
function unmountAll(lab: Lab): void {
  for (const path of mountpoints().filter((mount) => mount.startsWith(`${lab.folder}/`)))
    spawnSync('umount', ['-l', path]);
}

describe('a volume on one device', { timeout: 180_000, skip: why }, () => {
  const lab = new Lab();
  let device: Device;
  let mountpoint: string;
  before(async () => {
    device = await oneDevice(lab);
    mountpoint = join(lab.folder, 'mnt', 'shared');
    await device.run(['volume', 'create', 'shared', '-N', 'cluster', '--mountpoint', mountpoint, ...loopback]);
  });
  after(async () => {
    unmountAll(lab);
    await lab.close();
  });

  test('start mounts it where its options say, stop unmounts it and leaves nothing', async () => {
    assert.deepEqual(await statusOf(device, 'shared'), { name: 'alice/shared', status: 'stopped' });
    assert.equal(await device.run(['volume', 'start', 'shared']), 'Running volume "alice/shared".');
    writeFileSync(join(mountpoint, 'file'), 'kept');
    const status = await statusOf(device, 'shared');
    assert.deepEqual([status.status, status.mountpoint, status.role], ['running', mountpoint, 'leader']);
    assert.deepEqual([status.readonly, status.pid], [false, device.served()['volume-alice-alice-shared']]);
    const again = await device.attempt(['volume', 'start', 'shared']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /already|in use|running/);
    assert.equal(await device.run(['volume', 'stop', 'shared']), 'Stopped volume "alice/shared".');
    assert.deepEqual(device.served(), {});
    assert.equal(existsSync(mountpoint), false, 'the mountpoint it made is gone');
    const { code, stderr } = await device.attempt(['volume', 'stop', 'shared']);
    assert.equal(code, 1);
    assert.match(stderr, /volume "alice\/shared" is not running on this device/);
  });

  test('a mount beside a running node is a client; both stop cleanly', async () => {
    const node = await device.startNode('cluster');
    const mount = await device.start(['volume', 'mount', 'shared'], /^Running volume "alice\/shared"\.$/m);
    assert.equal(readFileSync(join(mountpoint, 'file'), 'utf8'), 'kept');
    assert.equal(await mount.stop('SIGTERM'), 0, mount.output);
    assert.equal(await node.stop(), 0, node.output);
  });

  test('without a running node the mount is the node: nobody else can be', async () => {
    const mount = await device.start(['volume', 'mount', 'shared', ...loopback], /^Running volume/m);
    const { code, stderr } = await device.attempt(['network', 'run', 'cluster', ...loopback]);
    assert.equal(code, 1);
    assert.match(stderr, /already running on this device/);
    assert.equal(await mount.stop('SIGINT'), 0, mount.output);
  });

  test('files in use: stop is refused, a signal waits, a second one does not', async () => {
    const mount = await device.start(['volume', 'mount', 'shared'], /^Running volume/m);
    const user = spawn('sleep', ['60'], { cwd: mountpoint, stdio: 'ignore' });
    await once(user, 'spawn');
    const refused = await device.attempt(['volume', 'stop', 'shared']);
    assert.equal(refused.code, 1);
    assert.match(refused.stderr, /in use/);
    assert.equal((await statusOf(device, 'shared')).status, 'running');
    const stopped = mount.stop('SIGINT');
    await mount.waitFor(/volume "alice\/shared" is in use: it is unmounted when its files are closed/, 20_000);
    assert.equal(mount.ended, false);
    process.kill(mount.pid, 'SIGINT');
    await eventually('it is out of sight', 10_000, async () => !isMounted(mountpoint));
    assert.equal(mount.ended, false, 'it serves who still uses it');
    user.kill('SIGKILL');
    await once(user, 'exit');
    assert.equal(await stopped, 0, mount.output);
  });

  test('an unmount by others ends the process, with everything kept', async () => {
    const mount = await device.start(['volume', 'mount', 'shared'], /^Running volume/m);
    writeFileSync(join(mountpoint, 'late'), 'kept too');
    assert.equal(spawnSync('umount', [mountpoint]).status, 0);
    await eventually('it ends', 20_000, async () => mount.ended);
    assert.equal(await mount.stop(), 0, mount.output);
    const read = await device.run(
      ['volume', 'run', 'shared', '-s', '-m', mountpoint],
      '{"operation":"read_file","path":"late"}\n',
    );
    assert.match(read, /"content":"kept too"/);
  });

  test('options of this time replace those kept: read-only, another place', async () => {
    const other = join(lab.folder, 'other');
    mkdirSync(other);
    const words = ['volume', 'mount', 'shared', '--mountpoint', other, '--readonly', '--mount-name', 'ours'];
    const mount = await device.start(words, /^Running volume/m);
    assert.deepEqual(readdirSync(other).sort(), ['file', 'late']);
    assert.throws(() => writeFileSync(join(other, 'new'), ''), /EROFS/);
    assert.match(readFileSync('/proc/self/mounts', 'utf8'), new RegExp(`^ours ${other} fuse\\.infinit ro,`, 'm'));
    assert.equal(await mount.stop('SIGINT'), 0, mount.output);
    assert.ok(existsSync(other), 'it was there before');
  });

  test('syscall reads and sets extended attributes of a mounted file', async () => {
    await device.run(['volume', 'start', 'shared']);
    const file = join(mountpoint, 'file');
    await device.run(['volume', 'syscall', 'setxattr', file, 'user.origin', 'camera']);
    assert.equal(await device.run(['volume', 'syscall', 'getxattr', file, 'user.origin']), 'camera');
    const elsewhere = await device.attempt(['volume', 'syscall', 'getxattr', lab.folder, 'user.origin']);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.stderr, /is on no volume that user "alice" has mounted on this device/);
    await device.run(['volume', 'stop', 'shared']);
  });
});

describe('volume run --script', { timeout: 120_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());

  test('operations are answered in order, and kept for the next run', async () => {
    const device = await oneDevice(lab);
    await device.run(['volume', 'create', 'plain', '-N', 'cluster', '--create-root', ...loopback]);
    const ask = async (...requests: object[]): Promise<Record<string, unknown>[]> => {
      const input = requests.map((request) => `${JSON.stringify(request)}\n`).join('');
      const output = await device.run(['volume', 'run', 'plain', '--script'], input);
      return output.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const first = await ask(
      { operation: 'mkdir', path: '/d' },
      { operation: 'write_file', path: '/d/f', content: 'hello' },
      { operation: 'stat', path: '/none' },
    );
    assert.deepEqual(
      first.map(({ success, code }) => [success, code]),
      [
        [true, undefined],
        [true, undefined],
        [false, 2],
      ],
    );
    const [read, listed] = await ask(
      { operation: 'read_file', path: '/d/f' },
      { operation: 'list_directory', path: '/' },
    );
    assert.deepEqual([read?.content, listed?.entries], ['hello', ['d']]);
  });
});

describe('a second user', { timeout: 180_000 }, () => {
  const lab = new Lab();
  let alice: Device;
  let bob: Device;
  let endpoint: string;
  after(() => lab.close());

  const script = async (device: Device, name: string, request: object): Promise<Record<string, unknown>> => {
    const words = ['volume', 'run', name, '--script', ...loopback];
    return JSON.parse(await device.run(words, `${JSON.stringify(request)}\n`)) as Record<string, unknown>;
  };

  before(async () => {
    alice = await oneDevice(lab);
    bob = lab.device('two', 'bob');
    await bob.run(['user', 'create']);
    await alice.run(['user', 'import'], await bob.run(['user', 'export']));
    await bob.run(['user', 'import'], await alice.run(['user', 'export']));
    await bob.run(['network', 'import'], await alice.run(['network', 'export', 'cluster']));
    await alice.run(['passport', 'create', '-N', 'cluster', '-u', 'bob', '--deny-storage']);
    await bob.run(['passport', 'import'], await alice.run(['passport', 'export', '-N', 'cluster', '-u', 'bob']));
    await bob.run(['network', 'link', network]);
    ({ endpoint } = await alice.startNode('cluster'));
    for (const [name, ...options] of [['own'], ['readable', '-d', 'r'], ['open', '-d', 'rw']] as const) {
      const words = ['volume', 'create', name, '-N', 'cluster', '-R', '--peer', endpoint, ...options];
      await alice.run(words);
      await bob.run(['volume', 'import'], await alice.run(['volume', 'export', name]));
      await script(alice, name, { operation: 'write_file', path: '/hers', content: 'hello bob' });
    }
  });

  test('the network keeps what is registered, for those with a passport to fetch, until it is destroyed', async () => {
    const list = async (device: Device) =>
      JSON.parse(await device.run(['network', 'list-services', network, '--peer', endpoint, '--script'])) as Record<
        string,
        unknown
      >;
    assert.deepEqual(await list(alice), { volumes: null, kvs: null });
    await alice.run(['volume', 'create', 'known', '-N', 'cluster', '-d', 'rw', '--register-service', ...loopback]);
    await alice.run(['key-value-store', 'create', 'settings', '-N', 'cluster', '--register-service']);
    const refused = await bob.attempt(['volume', 'update', 'alice/open', '--register-service']);
    assert.match(refused.stderr, /only its owner registers volume "alice\/open"/);
    assert.deepEqual(await list(bob), { volumes: ['alice/known'], kvs: ['alice/settings'] });
    const fetched = await bob.run(['volume', 'fetch', '--service']);
    assert.equal(fetched, 'Locally fetched volume descriptor "alice/known".');
    const stores = await bob.run(['key-value-store', 'fetch', 'alice/settings', '--service', '-N', network]);
    assert.equal(stores, 'Locally fetched key-value store descriptor "alice/settings".');
    const missing = await bob.attempt(['volume', 'fetch', 'alice/own', '--service']);
    assert.match(missing.stderr, /volume "alice\/own" is not registered in network "alice\/cluster"/);
    const written = await script(bob, 'alice/known', {
      operation: 'write_file',
      path: '/found',
      content: 'by service',
    });
    assert.equal(written.success, true, JSON.stringify(written));
    await alice.run(['volume', 'update', 'known', '--description', 'ours', '--register-service']);
    await bob.run(['volume', 'fetch', 'alice/known', '--service']);
    const renewed = JSON.parse(await bob.run(['volume', 'export', 'alice/known'])) as { description: string };
    assert.equal(renewed.description, 'ours');
    await alice.run(['volume', 'delete', 'known', '--clear-content', '--force']);
    await alice.run(['key-value-store', 'delete', 'settings', '--clear-content', '--force']);
    assert.deepEqual(await list(bob), { volumes: null, kvs: null });
  });

  test('is refused where nothing is shared', async () => {
    const { code, stderr } = await bob.attempt(['volume', 'run', 'alice/own', '--script', ...loopback]);
    assert.equal(code, 1);
    assert.match(stderr, /fatal error: volume "alice\/own" is not shared with you/);
  });

  test('reads, and only that, with r', async () => {
    const read = await script(bob, 'alice/readable', { operation: 'read_file', path: '/hers' });
    assert.equal(read.content, 'hello bob');
    const write = await script(bob, 'alice/readable', { operation: 'write_file', path: '/his', content: '' });
    assert.deepEqual([write.success, write.code], [false, 13]);
    assert.equal(write.message, 'Access denied');
  });

  test('reads and writes with rw, and makes files that others may change', async () => {
    const written = await script(bob, 'alice/open', { operation: 'write_file', path: '/his', content: 'hello alice' });
    assert.equal(written.success, true, JSON.stringify(written));
    const read = await script(alice, 'open', { operation: 'read_file', path: '/his' });
    assert.equal(read.content, 'hello alice');
    const made = await script(alice, 'open', { operation: 'mkdir', path: '/d', mode: 0o700 });
    assert.equal(made.success, true);
    const stat = await script(alice, 'open', { operation: 'stat', path: '/d' });
    assert.equal((stat.st_mode as number) & 0o777, 0o777);
  });
});
