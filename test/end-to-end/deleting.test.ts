// Volumes and stores deleted with their content, on real processes: nodes give back the space, one that was away when it returns;
// who has one open is a reason to refuse, or, when one insists, is told and ends.

import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, inspect, network, startDoor, store } from './cluster.ts';
import { type Device, eventually, Lab } from './device.ts';
import { cannotMount, createVolume, type Mounts, mountOn, volume } from './volume.ts';

const MiB = 1024 * 1024;
const why = cannotMount();

interface Facts {
  type: string;
  name: string;
  nodes: number;
  missed: number;
  bytes: number;
}

describe('deleting with all content', { timeout: 600_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let mounts: Mounts;
  before(async () => {
    mounts = await createVolume(lab);
  });
  after(() => lab.close());

  const usedBy = async (device: Device) =>
    (await inspect<{ silo: { usedBytes: number } }>(device, 'status')).silo.usedBytes;

  test('a volume: refused while it is mounted; the space of every node comes back', async () => {
    const { one, two, three } = mounts.devices;
    const devices = [one, two, three];
    const before = await Promise.all(devices.map(usedBy));
    const mount = await mountOn(one);
    for (let i = 0; i < 8; i++)
      writeFileSync(join(mount.mountpoint, `file${i}`), randomBytes(i % 2 ? 30_000 : 10 * MiB));
    execFileSync('sync', ['-f', mount.mountpoint]);
    await eventually('copies on all nodes', 120_000, async () => {
      const now = await Promise.all(devices.map(usedBy));
      return now.every((used, i) => used > (before[i] as number) + 38 * MiB);
    });
    const words = ['volume', 'delete', volume, '--clear-content', '--script'];
    for (const [device, reason] of [
      [one, /is running on this device/],
      [two, /is in use by client/],
    ] as const) {
      const refused = await device.attempt(words);
      assert.equal(refused.code, 1);
      assert.match(refused.stderr, reason);
    }
    const others = await three.attempt(words);
    assert.equal(others.code, 1);
    assert.match(others.stderr, /only its owner/);
    await mount.stop();
    await mounts.nodes.three.stop();
    const [facts] = JSON.parse(await two.run(words)) as [Facts];
    assert.deepEqual([facts.type, facts.name, facts.nodes], ['volume', volume, 2], JSON.stringify(facts));
    assert.ok(facts.bytes > 76 * MiB, JSON.stringify(facts));
    mounts.nodes.three = await three.startNode(network, ['--peer', mounts.nodes.one.endpoint]);
    await eventually('the space of all nodes', 120_000, async () => {
      const now = await Promise.all(devices.map(usedBy));
      return now.every((used, i) => used <= (before[i] as number) * 1.05 + 64 * 1024);
    });
    const again = await one.attempt(['volume', 'mount', volume, '--mountpoint', join(one.home, 'again')]);
    assert.equal(again.code, 1);
    assert.match(again.stderr, /its owner has deleted volume "alice\/shared" with all its data/);
    assert.match((await two.attempt(['volume', 'export', volume])).stderr, /does not exist/);
    assert.match(await one.run(['volume', 'delete', volume, '--clear-content', '--force']), /Its data is gone/);
  });

  test('a store that somebody has open: he is told, and his process ends', async () => {
    const { one, two } = mounts.devices;
    const door = await startDoor(two);
    const { keys, close } = await connect(two);
    for (let i = 0; i < 4; i++) await keys.put(Buffer.from(`key${i}`), randomBytes(500_000));
    const words = ['key-value-store', 'delete', store, '--clear-content', '--script'];
    const refused = await one.attempt(words);
    assert.match(refused.stderr, /is in use by client/);
    const [facts] = JSON.parse(await one.run([...words, '--force'])) as [Facts];
    assert.equal(facts.nodes, 3, JSON.stringify(facts));
    await eventually('the door to end', 30_000, async () => door.ended);
    assert.equal(await door.stop(), 1);
    assert.match(door.output, /its owner has deleted key-value store "alice\/notes" with all its data/);
    await close();
  });
});
