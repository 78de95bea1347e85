// What a node, a mount, the daemon and a hub tell Prometheus: in its format, under the names that scripts, the dashboard and the alerts use.

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { askMonitor } from '../../src/core/node/monitor.ts';
import { monitorSocket } from '../../src/core/node/sockets.ts';
import { type Device, Lab, run, shell } from './device.ts';
import { needs } from './needs.ts';
import { cannotMount } from './volume.ts';

const folder = fileURLToPath(new URL('../../monitoring', import.meta.url));
const file = (name: string) => readFileSync(join(folder, name), 'utf8');
const anyPort = ['--prometheus', '127.0.0.1:0'];

/** Names the original had. */
const original = [
  ...['overlay_peers', 'storage_blocks', 'storage_bytes', 'blocks', 'reachable_blocks', 'reachable_mutable_blocks'],
  ...['reachable_immutable_blocks', 'underreplicated_immutable_blocks', 'overreplicated_immutable_blocks'],
  ...['underreplicated_mutable_blocks', 'under_quorum_mutable_blocks'],
].map((name) => `infinit_${name}`);

async function scrape(endpoint: string): Promise<string> {
  return (await fetch(`http://${endpoint}/metrics`)).text();
}

async function metricsOf(device: Device, role: 'network' | 'volume', name: string): Promise<string> {
  const socket = monitorSocket(device.folders, role, 'alice', name);
  const { endpoint } = (await askMonitor(socket, 'metrics')) as { endpoint: string };
  return scrape(endpoint);
}

/** Of a hub that somebody signed up at, and somebody else was looked for. */
async function hubMetrics(device: Device): Promise<string> {
  const running = await device.start(['hub', 'run', '--port', '0', '--script', ...anyPort], /"metrics":/);
  const { url, metrics } = JSON.parse(running.output) as { url: string; metrics: string };
  device.environment = { INFINIT_BEYOND: url };
  await device.run(['user', 'push', 'alice']);
  await device.attempt(['user', 'fetch', 'bob']);
  const text = await scrape(metrics);
  assert.equal(await running.stop(), 0, running.output);
  return text;
}

describe('metrics', { timeout: 180_000, skip: cannotMount() ?? false }, () => {
  const lab = new Lab();
  let node = '';
  let mount = '';
  let daemon = '';
  let hub = '';
  let second: { status: string; metrics: string | null } | undefined;
  before(async () => {
    const device = lab.device('one', 'alice');
    await device.run(['user', 'create', 'alice']);
    await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
    await device.run(['volume', 'create', 'shared', '--network', 'cluster']);
    await device.startNode('cluster', anyPort);
    await device.run(['daemon', 'start', ...anyPort]);
    const mountpoint = join(device.home, 'mnt');
    await device.run(['volume', 'start', 'shared', '-m', mountpoint, '--listen', '127.0.0.1', ...anyPort]);
    await shell(
      `head -c 300000 /dev/urandom >'${mountpoint}/file'; sync '${mountpoint}/file'; cat '${mountpoint}/file'`,
    );
    node = await metricsOf(device, 'network', 'alice/cluster');
    mount = await metricsOf(device, 'volume', 'alice/shared');
    const { metrics } = JSON.parse(await device.run(['daemon', 'status', '--script'])) as { metrics: string };
    daemon = await scrape(metrics);
    hub = await hubMetrics(device);
    await device.run(['daemon', 'stop', '--keep']);
    const socket = monitorSocket(device.folders, 'network', 'alice', 'alice/cluster');
    const { endpoint } = (await askMonitor(socket, 'metrics')) as { endpoint: string };
    await device.run(['daemon', 'start', '--prometheus', endpoint]);
    second = JSON.parse(await device.run(['daemon', 'status', '--script']));
  });
  after(() => lab.close());

  test('a second process at the same place serves all the same, and tells none', () => {
    assert.deepEqual([second?.status, second?.metrics], ['Running', null]);
  });

  test('a node tells what the original told, with the labels', () => {
    for (const name of original)
      assert.match(node, new RegExp(`^${name}\\{network="alice/cluster",id="[^"]{44}"`, 'm'));
    assert.match(
      node,
      /^infinit_storage_blocks\{network="alice\/cluster",id="[^"]+",silo="disk",type="filesystem"\} [1-9]/m,
    );
    assert.match(node, /^infinit_peer_served_seconds_bucket\{[^}]*method="block\.put",le="\+Inf"\} [1-9]/m);
    const written = Number(/^infinit_silo_bytes_total\{[^}]*direction="written"\} (\d+)$/m.exec(node)?.[1]);
    assert.ok(written > 300_000, `${written} bytes written`);
  });

  test('a mount tells the times of file operations and the bytes', () => {
    for (const operation of ['write', 'create', 'fsync'])
      assert.match(
        mount,
        new RegExp(`^infinit_fuse_request_seconds_count\\{[^}]*operation="${operation}"\\} [1-9]`, 'm'),
      );
    const written = Number(/^infinit_fuse_bytes_total\{[^}]*direction="written"\} (\d+)$/m.exec(mount)?.[1]);
    assert.ok(written >= 300_000 && written < 400_000, `${written} bytes written`);
    assert.match(mount, /^infinit_tree_leader\{network="alice\/cluster",tree="alice\/shared"\} 1$/m);
    assert.match(mount, /^infinit_peer_call_seconds_count\{[^}]*method="block\.put"\} [1-9]/m);
  });

  test('the daemon tells of what it keeps', () => {
    assert.match(daemon, /^infinit_unit_up\{role="volume",user="alice",name="alice\/shared"\} 1$/m);
    assert.match(daemon, /^infinit_unit_restarts_total\{[^}]*name="alice\/shared"\} 0$/m);
  });

  test('a hub tells of requests by route and code, refusals, its database and what it keeps', () => {
    const told = (sample: string) => assert.ok(hub.includes(`\n${sample}`), `${sample}\n${hub}`);
    told('infinit_hub_requests_total{route="PUT /users/:user",code="201"} 1\n');
    told('infinit_hub_requests_total{route="GET /users/:user",code="404"} 1\n');
    told('infinit_hub_request_seconds_bucket{route="PUT /users/:user",le="+Inf"} 1\n');
    told('infinit_hub_refusals_total{reason="user/not_found"} 1\n');
    told('infinit_hub_database_seconds_count{operation="transaction"} ');
    told('infinit_hub_bytes_total{direction="received"} ');
    told('infinit_hub_descriptors{kind="user"} 2\n'); // alice, and the hub itself
    assert.ok(Number(/^infinit_hub_database_bytes (\d+)$/m.exec(hub)?.[1]) > 4096);
  });

  test('every metric of the dashboard and the alerts is told', () => {
    const told = new Set(
      [...`${node}${mount}${daemon}${hub}`.matchAll(/^([a-z_]+)(?:\{| )/gm)].map(([, name]) => name),
    );
    const used = new Set(`${file('dashboard.json')}${file('alerts.yml')}`.match(/\b(?:infinit|process)_[a-z_]+\b/g));
    used.delete('infinit_worker_backlog'); // told by workers that can count what waits
    assert.deepEqual(
      [...used].filter((name) => !told.has(name)),
      [],
    );
    assert.ok(used.size > 15);
  });

  test('Prometheus takes it', needs('promtool'), async () => {
    for (const text of [node, mount, daemon, hub]) await run('promtool', ['check', 'metrics'], text);
  });
});

describe('alerts', { timeout: 60_000 }, () => {
  test('are rules that fire when they should', needs('promtool'), async () => {
    await run('promtool', ['check', 'rules', join(folder, 'alerts.yml')]);
    await run('promtool', ['test', 'rules', join(folder, 'alerts.test.yml')]);
  });
});
