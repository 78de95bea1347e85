// The daemon on real processes: what it keeps goes on when it is killed, and is taken up by the next one; what is killed is started
// again; storage is withdrawn when whoever asked for it is gone.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { ManagedVolume, UnitStatus } from '../../src/core/cli/supervising.ts';
import { controlSocket } from '../../src/core/daemon/control.ts';
import { LineClient } from '../../src/core/node/line-socket.ts';
import { inspect } from './cluster.ts';
import { type Device, eventually, isAlive, Lab, run, shell } from './device.ts';
import { needs } from './needs.ts';
import { Terminal } from './terminal.ts';
import { cannotMount } from './volume.ts';

const skip = cannotMount() ?? false;
const serveMs = 30_000;

async function oneDevice(lab: Lab): Promise<Device> {
  const device = lab.device('one', 'alice');
  await device.run(['user', 'create', 'alice']);
  await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
  await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
  for (const name of ['shared', 'photos']) await device.run(['volume', 'create', name, '--network', 'cluster']);
  return device;
}

async function unitOf(device: Device, name: string): Promise<UnitStatus | undefined> {
  const { units } = JSON.parse(await device.run(['daemon', 'status', '--script'])) as { units?: UnitStatus[] };
  return units?.find((unit) => unit.name === name);
}

/** Once it runs. */
function running(device: Device, name: string, than?: number): Promise<UnitStatus> {
  return eventually(`${name} runs`, serveMs, async () => {
    const unit = await unitOf(device, name);
    return unit?.state === 'running' && unit.pid !== than && unit;
  });
}

async function killDaemon(device: Device): Promise<void> {
  const pid = device.daemonPid ?? 0;
  assert.ok(isAlive(pid));
  process.kill(pid, 'SIGKILL');
  await eventually('the daemon is dead', 5000, async () => !isAlive(pid));
}

describe('a daemon', { timeout: 300_000, skip }, () => {
  const lab = new Lab();
  let device: Device;
  let mountpoint: string;
  before(async () => {
    device = await oneDevice(lab);
    mountpoint = join(device.home, 'mnt');
  });
  after(() => lab.close());

  test('is one for a home, and its socket is for its user only', async () => {
    assert.equal(await device.run(['daemon', 'status']), 'Stopped');
    assert.equal(await device.run(['daemon', 'start']), 'daemon started');
    assert.equal(await device.run(['daemon', 'status']), 'Running');
    const again = await device.attempt(['daemon', 'start']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, new RegExp(`already running \\(pid ${device.daemonPid}\\)`));
    const socket = controlSocket(device.folders);
    assert.equal(statSync(socket).mode & 0o777, 0o600);
    if (process.getuid?.() !== 0) return;
    const script = `require('net').connect(${JSON.stringify(socket)}).on('error', (e) => { console.log(e.code); process.exit(0) }).on('connect', () => { console.log('in'); process.exit(0) })`;
    const stranger = `require('child_process').spawnSync(process.execPath, ['-e', ${JSON.stringify(script)}], { uid: 65534, gid: 65534, stdio: 'inherit' })`;
    // Folders above would hide it: they are opened for this look.
    for (let folder = device.runtime; folder.startsWith(lab.folder); folder = join(folder, '..'))
      await run('chmod', ['0711', folder]);
    assert.equal((await run(process.execPath, ['-e', stranger])).toString().trim(), 'EACCES');
  });

  test('speaks the documented lines on it', async () => {
    const client = await LineClient.open(controlSocket(device.folders), 'the daemon');
    const ask = async (line: string) => JSON.parse(await client.ask(line, 5000)) as Record<string, unknown>;
    try {
      const status = await ask('{"operation":"status"}');
      assert.deepEqual([status.operation, status.status, status.result], ['status', 'Running', 'Ok']);
      assert.deepEqual((await ask('{"operation":"volume-list"}')).volumes, []);
      for (const line of ['{"operation":"fly"}', '7', 'nonsense', '{"operation":"volume-start","volume":7}']) {
        const { result, error } = await ask(line);
        assert.equal(result, 'Error', line);
        assert.equal(typeof error, 'string');
      }
      const { error } = await ask('{"operation":"volume-start","volume":"nothing"}');
      assert.match(String(error), /"alice\/nothing" does not exist/);
    } finally {
      client.close();
    }
  });

  test('keeps what `volume start` starts; killed while the mount is in use, the mount stays and the next daemon takes it up', async () => {
    await device.run(['volume', 'start', 'shared', '--mountpoint', mountpoint, '--listen', '127.0.0.1']);
    const before = await running(device, 'alice/shared');
    assert.equal(before.adopted, false);
    const terminal = new Terminal(mountpoint);
    try {
      await terminal.does('exec 5>open; echo one >&5');
      await terminal.does('(while echo line; do sleep 0.05; done) >ticks & echo $! >../ticker');
      await killDaemon(device);
      assert.equal(await device.run(['daemon', 'status']), 'Stopped');
      await terminal.does('echo two >&5; sync open');
      assert.equal(await terminal.does('cat open'), 'one\ntwo\n');
      const { status, pid } = JSON.parse(await device.run(['volume', 'status', 'shared', '--script'])) as ManagedVolume;
      assert.deepEqual([status, pid], ['running', before.pid]);

      await device.run(['daemon', 'start']);
      const after = await running(device, 'alice/shared');
      assert.deepEqual([after.pid, after.adopted, after.restarts], [before.pid, true, 0]);
      await terminal.does('echo three >&5; sync open');
      const used = await device.attempt(['volume', 'stop', 'shared']);
      assert.equal(used.code, 1);
      assert.match(used.stderr, /in use/);
      assert.equal((await running(device, 'alice/shared')).pid, before.pid);
      await terminal.does('kill $(cat ../ticker); wait; exec 5>&-');
      const ticks = (await terminal.does('cat ticks')).split('\n').filter((line) => line !== '');
      assert.ok(ticks.length > 10 && ticks.every((line) => line === 'line'), `${ticks.length} lines`);
    } finally {
      await terminal.close();
    }
  });

  test('starts a mount again that was killed, adopted or not, with all that was synced', async () => {
    const { pid = 0 } = await running(device, 'alice/shared');
    process.kill(pid, 'SIGKILL');
    const after = await running(device, 'alice/shared', pid);
    assert.deepEqual([after.adopted, after.restarts], [false, 1]);
    assert.equal(await shell(`cat '${mountpoint}/open'`), 'one\ntwo\nthree\n');
    process.kill(after.pid ?? 0, 'SIGKILL');
    await running(device, 'alice/shared', after.pid);
    assert.equal(await shell(`cat '${mountpoint}/open'`), 'one\ntwo\nthree\n');
  });

  test('`daemon stop --keep` leaves mounts as they are', async () => {
    const { pid } = await running(device, 'alice/shared');
    assert.equal(await device.run(['daemon', 'stop', '--keep']), 'daemon stopped');
    assert.ok(existsSync(join(mountpoint, 'open')));
    await device.run(['daemon', 'start', '--mount', 'photos', '--mount-root', join(device.home, 'all')]);
    assert.equal((await running(device, 'alice/shared')).pid, pid);
    await running(device, 'alice/photos');
    await shell(`echo hello >'${join(device.home, 'all/alice/photos/file')}'`);
    const list = await device.run(['daemon', 'manage-volumes', '--list']);
    assert.match(list, new RegExp(`^alice/photos: running on ${join(device.home, 'all/alice/photos')}$`, 'm'));
    assert.match(list, new RegExp(`^alice/shared: running on ${mountpoint}$`, 'm'));
  });

  test('`volume stop` is for good; a volume that cannot be mounted is told of and not kept', async () => {
    await device.run(['volume', 'stop', 'shared']);
    assert.deepEqual(lab.mountpoints(), [join(device.home, 'all/alice/photos')]);
    assert.equal(await unitOf(device, 'alice/shared'), undefined);
    await shell(`mkdir -p '${mountpoint}' && touch '${mountpoint}/occupied'`);
    const bad = await device.attempt(['volume', 'start', 'shared', '--mountpoint', mountpoint]);
    assert.equal(bad.code, 1);
    assert.match(bad.stderr, /is not empty/);
    assert.equal(await unitOf(device, 'alice/shared'), undefined);
  });

  test('what is stopped while no daemon runs is not started again by the next', async () => {
    await device.run(['daemon', 'stop', '--keep']);
    await device.run(['volume', 'stop', 'photos']);
    await device.run(['daemon', 'start']);
    assert.equal(await unitOf(device, 'alice/photos'), undefined);
  });

  test('`daemon stop` ends all it keeps, and the next one starts it again', async () => {
    await shell(`rm '${mountpoint}/occupied'`);
    await device.run(['volume', 'start', 'shared', '--mountpoint', mountpoint]);
    assert.equal(await device.run(['daemon', 'stop']), 'daemon stopped');
    assert.deepEqual([lab.mountpoints(), device.served(), device.daemonPid], [[], {}, undefined]);
    await device.run(['daemon', 'start']);
    await running(device, 'alice/shared');
    assert.equal(await shell(`cat '${mountpoint}/open'`), 'one\ntwo\nthree\n');
    process.kill(device.daemonPid ?? 0, 'SIGTERM');
    await eventually('all has ended', 30_000, async () => lab.mountpoints().length === 0 && !device.daemonPid);
    const log = readFileSync(join(device.folders.cache, 'logs/daemon.log'), 'utf8');
    assert.match(log, /taken up.*alice\/shared/);
  });
});

describe('storage', { timeout: 300_000, skip }, () => {
  const lab = new Lab();
  after(() => lab.close());

  test('is enabled while somebody holds it, and taken over by others before it is withdrawn', async () => {
    const one = await oneDevice(lab);
    const two = lab.device('two', 'alice');
    await two.run(['user', 'import'], await one.run(['user', 'export', 'alice', '--full']));
    await two.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
    await two.run(['network', 'link', 'cluster']);
    await two.run(['volume', 'import'], await one.run(['volume', 'export', 'shared']));
    const { endpoint } = await one.startNode('cluster');
    await two.run(['daemon', 'start']);
    const mountpoint = join(two.home, 'mnt');
    const options = ['--mountpoint', mountpoint, '--listen', '127.0.0.1', '--peer', endpoint];
    await two.run(['volume', 'update', 'shared', '--mountpoint', mountpoint]);
    await two.run(['volume', 'start', 'shared', ...options]);
    await shell(`echo before >'${mountpoint}/file'`);
    assert.equal((await peers(one)).length, 1);

    const holding = await two.start(['daemon', 'enable-storage', 'shared', '--hold'], /Enabled storage/);
    await eventually('two nodes', 30_000, async () => (await peers(one)).length === 2);
    assert.match(await two.run(['network', 'list-silos', 'cluster']), /alice\.cluster/);
    await shell(`echo within >>'${mountpoint}/file'`);
    await holding.kill();
    await eventually('withdrawn', 120_000, async () => (await two.run(['network', 'list-silos', 'cluster'])) === '');
    await running(two, 'alice/shared');
    assert.equal(await shell(`cat '${mountpoint}/file'`), 'before\nwithin\n');
    await two.run(['daemon', 'stop']);
  });
});

function peers(device: Device): Promise<unknown[]> {
  return inspect<{ peers: { liveness: string }[] }>(device, 'peers').then(({ peers }) =>
    peers.filter(({ liveness }) => liveness === 'alive'),
  );
}

describe('units', { timeout: 60_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());

  test('systemd takes them', needs('systemd-analyze'), async () => {
    const device = lab.device('one', 'alice');
    const folder = join(lab.folder, 'units');
    const odd = join(lab.folder, 'odd $name 100%');
    await device.run(['daemon', 'install-units', '--mount', 'shared', '--mount-root', odd, '--folder', folder]);
    const file = join(folder, 'infinit-daemon.service');
    const text = readFileSync(file, 'utf8');
    assert.match(text, /ExecStart=.* daemon run --mount shared --mount-root "/);
    assert.match(text, /KillMode=process/);
    const words = ['verify', '--recursive-errors=no', ...(process.getuid?.() === 0 ? [] : ['--user']), file];
    await run('systemd-analyze', words);
  });
});
