// `network drain` where the node of a device is in the process of something else: a mount, whose open files are waited for, and a
// script.

import assert from 'node:assert/strict';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fullRedundancy, inspect, network } from './cluster.ts';
import { eventually, Lab } from './device.ts';
import { cannotMount, createVolume, type Mount, type Mounts, mountOn } from './volume.ts';

const healMs = 120_000;
const bytes = Buffer.alloc(3_000_000, 'kept');
const why = cannotMount();

describe('leaving with a mount', { timeout: 420_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let all: Mounts;
  let mount: Mount;

  const membersOf = async () =>
    (await inspect<{ network_register_members: number }>(all.devices.one, 'redundancy')).network_register_members;

  before(async () => {
    all = await createVolume(lab);
  });
  after(() => lab.close());

  test('a node that is a mount hands over what it holds, and ends when the files of its mount are closed', async () => {
    const { one, two } = all.devices;
    const reader = await mountOn(one);
    await all.nodes.two.stop();
    mount = await mountOn(two, ['--peer', all.nodes.one.endpoint]);
    await fullRedundancy(one, healMs);
    writeFileSync(join(mount.mountpoint, 'file'), bytes);
    const open = openSync(join(mount.mountpoint, 'open'), 'w');
    const drained = two.attempt(['network', 'drain', network]);
    await mount.waitFor(/in use: it is unmounted when its files are closed/, healMs);
    writeSync(open, 'written after it left');
    closeSync(open);
    const { code, stdout, stderr } = await drained;
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /Drained network "alice\/cluster": 2 other nodes hold each block\./);
    await eventually('the end of the mount', 30_000, async () => mount.ended);
    assert.equal(await mount.stop(), 0);
    await eventually('two members', healMs, async () => (await membersOf()) === 2);
    assert.ok(readFileSync(join(reader.mountpoint, 'file')).equals(bytes));
    assert.equal(readFileSync(join(reader.mountpoint, 'open'), 'utf8'), 'written after it left');
    await reader.stop();
  });

  test('a node that serves a script is asked, drained and ended like any other', async () => {
    const { one, three } = all.devices;
    await all.nodes.three.stop();
    const script = three.begin(['network', 'run', network, '--script', '--peer', all.nodes.one.endpoint]);
    const workers = () => three.attempt(['network', 'workers', network, '--script']);
    await eventually('an answer of the node', healMs, async () => (await workers()).code === 0);
    await eventually('two members', healMs, async () => (await membersOf()) === 2);
    const { code, stderr } = await three.attempt(['network', 'drain', network]);
    assert.equal(code, 0, stderr);
    await eventually('the end of the script', 30_000, async () => script.ended);
    assert.equal(await script.stop(), 0);
    await eventually('one member', healMs, async () => (await membersOf()) === 1);
    assert.match(await one.run(['network', 'inspect', network, '--status']), /\S/);
  });
});
