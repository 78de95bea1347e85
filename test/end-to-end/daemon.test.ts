// Long-running commands as people use them: in the background and in the foreground, `network run --script`, forms of earlier
// versions, and keys with and without a running door.

import assert from 'node:assert/strict';
import { existsSync, readFileSync, statSync, symlinkSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { monitorSocket } from '../../src/core/node/sockets.ts';
import { inspect, startDoor } from './cluster.ts';
import { type Device, eventually, isAlive, Lab, type Running } from './device.ts';

const network = 'alice/cluster';
const stopMs = 5000;

async function oneDevice(lab: Lab): Promise<Device> {
  const device = lab.device('one', 'alice');
  await device.run(['user', 'create', 'alice']);
  await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
  await device.run(['network', 'create', 'cluster', '--silo', 'disk', '--replication-factor', '3']);
  await device.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
  return device;
}

/** Sends the signal to a process that is no child, and waits for its end. */
async function end(pid: number, signal: NodeJS.Signals): Promise<number> {
  const began = Date.now();
  process.kill(pid, signal);
  await eventually(`end of ${pid}`, 15_000, async () => !isAlive(pid));
  return Date.now() - began;
}

describe('in the background', { timeout: 120_000 }, () => {
  const lab = new Lab();
  let device: Device;
  before(async () => {
    device = await oneDevice(lab);
  });
  after(() => lab.close());

  test('--daemon returns when it serves; SIGTERM ends it and what it left', async () => {
    const log = join(lab.folder, 'node.log');
    const listen = ['--listen', '127.0.0.1'];
    assert.equal(
      await device.run(['network', 'run', 'cluster', '--daemon', ...listen, '--log', log]),
      `Running network "${network}".`,
    );
    const served = device.served();
    const pid = served['network-alice-alice-cluster'] ?? 0;
    assert.ok(isAlive(pid), 'the pid file names a living process');
    const socket = monitorSocket(device.folders, 'network', 'alice', network);
    assert.ok(statSync(socket).isSocket());
    assert.equal(statSync(socket).mode & 0o077, 0, 'the monitoring socket is for its user only');
    assert.equal(statSync(log).mode & 0o077, 0, 'the log is for its user only');
    const status = await inspect<{ status: boolean; network: string; endpoints: string[] }>(device, 'status');
    assert.equal(status.status, true);
    assert.match(status.endpoints[0] ?? '', /^127\.0\.0\.1:\d+$/);

    const spent = await end(pid, 'SIGTERM');
    assert.ok(spent < stopMs, `stopped in ${spent} ms`);
    assert.deepEqual(device.served(), {});
    const { code, stderr } = await device.attempt(['network', 'inspect', 'cluster']);
    assert.equal(code, 1);
    assert.match(stderr, /not running on this device/);
  });

  test('the log is in the cache folder unless named, and holds no secret', async () => {
    await device.run(['network', 'run', 'cluster', '--daemon', '--listen', '127.0.0.1']);
    const log = join(device.home, '.cache/infinit/filesystem/logs/network-alice-alice-cluster.log');
    assert.ok(existsSync(log));
    const { private_key: secret } = JSON.parse(await device.run(['user', 'export', 'alice', '--full', '--script'])) as {
      private_key: unknown;
    };
    assert.ok(secret !== undefined);
    assert.ok(!readFileSync(log, 'utf8').includes(JSON.stringify(secret)));
    await end(device.served()['network-alice-alice-cluster'] ?? 0, 'SIGTERM');
  });

  test('a daemon that cannot start gives its error and its exit code', async () => {
    const busy = await device.startNode('cluster');
    const port = busy.endpoint.split(':')[1] ?? '';
    const again = await device.attempt(['network', 'run', 'cluster', '--daemon', '--listen', '127.0.0.1']);
    assert.equal(again.code, 1);
    assert.match(again.stderr, new RegExp(`already running on this device \\(pid ${busy.pid}\\)`));
    assert.equal(await busy.stop(), 0);
    assert.ok(port !== '');
    const usage = await device.attempt(['network', 'run', 'cluster', '--daemon', '--peer', 'nowhere:notaport']);
    assert.equal(usage.code, 2, usage.stderr);
    assert.match(usage.stderr, /command line error/);
    const script = await device.attempt(['network', 'run', 'other', '--daemon', '--script']);
    assert.equal(script.code, 1);
    assert.match(script.stdout.toString(), /"kind":"not-found"/);
    assert.deepEqual(device.served(), {});
  });
});

describe('in the foreground', { timeout: 120_000 }, () => {
  const lab = new Lab();
  let device: Device;
  before(async () => {
    device = await oneDevice(lab);
  });
  after(() => lab.close());

  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    test(`${signal} stops node and door cleanly`, async () => {
      const node = await device.startNode('cluster');
      const door = await startDoor(device);
      for (const running of [door, node]) {
        const began = Date.now();
        assert.equal(await running.stop(signal), 0, running.output);
        assert.ok(Date.now() - began < stopMs, `stopped in ${Date.now() - began} ms`);
      }
      assert.deepEqual(device.served(), {});
    });
  }

  test('a node comes back at its port, whoever listened in between', async () => {
    const node = await device.startNode('cluster');
    const { endpoint } = node;
    const door = await startDoor(device);
    await door.stop();
    await node.stop();
    const again = await device.startNode('cluster');
    assert.equal(again.endpoint, endpoint);
    await again.stop();
  });

  test('SIGINT stops a command that waits for a network that is away', async () => {
    const waiting = device.begin(['key-value-store', 'get', 'notes', 'key']);
    await new Promise((resolve) => setTimeout(resolve, 1500));
    const began = Date.now();
    const code = await waiting.stop('SIGINT');
    assert.ok(code === 1 || code === 130, `exit ${code}: ${waiting.output}`);
    assert.ok(Date.now() - began < stopMs, `stopped in ${Date.now() - began} ms`);
    assert.doesNotMatch(waiting.output, /bug of infinit/);
  });

  test('forms of earlier versions work, with one notice', async () => {
    const legacy = await device.attempt(['user', '--create', 'carol', '--script']);
    assert.equal(legacy.code, 0, legacy.stderr);
    assert.match(legacy.stderr, /deprecated, use: infinit user create/);
    const storage = await device.attempt(['storage', '--create', '--filesystem', 'old', '--capacity', '100MB']);
    assert.equal(storage.code, 0, storage.stderr);
    assert.match(storage.stderr, /deprecated/);
    assert.match(await device.run(['silo', 'list']), /old/);
    const called = join(lab.folder, 'infinit-user');
    symlinkSync(fileURLToPath(new URL('../../bin/infinit.js', import.meta.url)), called);
    const byName = await device.attempt(['--list'], '', called);
    assert.equal(byName.code, 0, byName.stderr);
    assert.match(byName.stdout.toString(), /carol/);
    const kvs = await device.attempt(['kvs', 'list']);
    assert.match(kvs.stdout.toString(), /notes/);
    const node = await device.start(['network', '--run', '--name', 'cluster', '--listen', '127.0.0.1'], /^Running/m);
    assert.equal(await node.stop(), 0);
  });
});

describe('network run --script', { timeout: 120_000 }, () => {
  const lab = new Lab();
  after(() => lab.close());

  test('every operation answers as documented', async () => {
    const device = await oneDevice(lab);
    const ask = async (requests: unknown[]): Promise<Record<string, unknown>[]> => {
      const lines = requests.map((request) => `${typeof request === 'string' ? request : JSON.stringify(request)}\n`);
      const words = ['network', 'run', 'cluster', '--script', '--listen', '127.0.0.1'];
      const output = await device.run(words, lines.join(''));
      return output.split('\n').map((line) => JSON.parse(line) as Record<string, unknown>);
    };
    const hello = Buffer.from('hello').toString('base64');
    const bye = Buffer.from('bye').toString('base64');
    const [written, created, named, absent, unknown] = await ask([
      { operation: 'write_immutable', data: hello },
      { operation: 'create_mutable', data: hello },
      { operation: 'resolve_named', name: 'mine', create_if_missing: true },
      { operation: 'resolve_named', name: 'nobody' },
      { operation: 'fly' },
    ]);
    assert.equal(written?.success, true, JSON.stringify(written));
    assert.equal(created?.success, true, JSON.stringify(created));
    assert.equal(created?.data, hello);
    assert.equal(named?.success, true, JSON.stringify(named));
    assert.deepEqual([absent?.success, absent?.kind], [false, 'not-found']);
    assert.deepEqual([unknown?.success, unknown?.kind], [false, 'usage']);

    // In another process: what was written is kept.
    const version = created?.version as number;
    const address = created?.address;
    const [fetched, read, updated, conflict, updatedName, same] = await ask([
      { operation: 'fetch', address: written?.address },
      { operation: 'read', address },
      { operation: 'update_mutable', address, version, data: bye },
      { operation: 'update_mutable', address, version, data: hello },
      { operation: 'update_mutable', address: named?.address, version: 1, data: bye },
      { operation: 'resolve_named', name: 'mine' },
    ]);
    assert.equal(fetched?.data, hello);
    assert.deepEqual([read?.data, read?.version], [hello, version]);
    assert.deepEqual([updated?.data, updated?.version], [bye, version + 1]);
    assert.deepEqual(
      [conflict?.success, conflict?.kind, conflict?.version, conflict?.data],
      [false, 'conflict', version + 1, bye],
    );
    assert.equal(updatedName?.success, true, JSON.stringify(updatedName));
    assert.equal(same?.address, named?.address);

    const [removed, gone, bad, short] = await ask([
      { operation: 'remove', address },
      { operation: 'read', address },
      { operation: 'fetch', address: 17 },
      { operation: 'fetch', address: hello },
    ]);
    assert.equal(removed?.success, true, JSON.stringify(removed));
    assert.deepEqual([gone?.success, gone?.kind], [false, 'not-found']);
    assert.deepEqual([bad?.kind, short?.kind], ['usage', 'usage']);
  });
});

describe('keys as a person types them', { timeout: 180_000 }, () => {
  const lab = new Lab();
  let device: Device;
  let door: Running | undefined;
  before(async () => {
    device = await oneDevice(lab);
    await device.startNode('cluster');
  });
  after(() => lab.close());
  const kvs = (...words: string[]) => ['key-value-store', ...words];

  for (const how of ['without a door', 'with a door']) {
    test(`put, get, list, delete ${how}`, async () => {
      if (how === 'with a door') door = await startDoor(device);
      const key = (name: string) => `${how}/${name}`;
      assert.match(await device.run(kvs('put', 'notes', key('a'), '--value', 'one')), /^$|Saved key/);
      await device.run(kvs('put', 'notes', key('b')), 'from a pipe');
      assert.equal(await device.run(kvs('get', 'notes', key('a'))), 'one');
      assert.equal(await device.run(kvs('get', 'notes', key('b'))), 'from a pipe');
      const { value, version } = JSON.parse(await device.run(kvs('get', 'notes', key('a'), '--script'))) as {
        value: string;
        version: number;
      };
      assert.equal(Buffer.from(value, 'base64').toString(), 'one');
      const taken = await device.attempt(kvs('put', 'notes', key('a'), '--value', 'x', '--if-absent', '--script'));
      assert.equal(taken.code, 1);
      assert.match(taken.stdout.toString(), /"kind":"exists"/);
      await device.run(kvs('put', 'notes', key('a'), '--value', 'two', '--if-version', `${version}`));
      const late = await device.attempt(kvs('put', 'notes', key('a'), '--value', 'x', '--if-version', `${version}`));
      assert.equal(late.code, 1);
      assert.match(late.stderr, /version/);
      assert.equal(await device.run(kvs('list', 'notes', '--prefix', `${how}/`)), `${key('a')}\n${key('b')}`);
      await device.run(kvs('delete', 'notes', key('b')));
      for (const words of [kvs('get', 'notes', key('b')), kvs('delete', 'notes', key('b'))]) {
        const { code, stderr } = await device.attempt(words);
        assert.equal(code, 1);
        assert.match(stderr, /no such key|does not exist/);
      }
      assert.equal(await device.run(kvs('list', 'notes', '--prefix', `${how}/`)), key('a'));
    });
  }

  test('watch prints changes as they happen, and ends at SIGINT', async () => {
    const watching = device.begin(kvs('watch', 'notes', '--prefix', 'watched/'));
    // Changes before it watches are not told: put until one is.
    await eventually('a change is told', 60_000, async () => {
      await device.run(kvs('put', 'notes', 'watched/a', '--value', `${Date.now()}`));
      return /put "watched\/a" \(version \d+\)/.test(watching.output);
    });
    await device.run(kvs('put', 'notes', 'elsewhere', '--value', 'x'));
    await device.run(kvs('delete', 'notes', 'watched/a'));
    await watching.waitFor(/delete "watched\/a"/, 20_000);
    assert.doesNotMatch(watching.output, /elsewhere/);
    assert.equal(await watching.stop('SIGINT'), 0, watching.output);
    assert.equal(await door?.stop(), 0, door?.output);
  });

  test('watch sees changes of other commands when no door runs', async () => {
    const watching = device.begin(kvs('watch', 'notes', '--prefix', 'alone/'));
    await eventually('a change is told', 60_000, async () => {
      await device.run(kvs('put', 'notes', 'alone/a', '--value', `${Date.now()}`));
      return /put "alone\/a" \(version \d+\)/.test(watching.output);
    });
    assert.equal(await watching.stop('SIGINT'), 0, watching.output);
  });

  test('what was put without a door outlives every process', async () => {
    assert.equal(await device.run(kvs('get', 'notes', 'without a door/a')), 'two');
  });
});
