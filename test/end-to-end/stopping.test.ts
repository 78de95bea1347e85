// Stopping a mount whose network cannot be reached: who waits is told what for, and nothing is lost once it can be reached again.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import type { Node } from './cluster.ts';
import { type Device, Lab, shell } from './device.ts';
import { cannotMount, mountOn } from './volume.ts';

const skip = cannotMount() ?? false;
const waits =
  /volume "alice\/shared" waits for the network: not all that was written is there yet; kill -9 \d+ ends it/;

describe('stopping while the network is away', { timeout: 300_000, skip }, () => {
  const lab = new Lab();
  let node: Node;
  let two: Device;
  let mountpoint: string;

  before(async () => {
    const one = lab.device('one', 'alice');
    two = lab.device('two', 'alice');
    await one.run(['user', 'create', 'alice']);
    await one.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    await one.run(['network', 'create', 'cluster', '--silo', 'disk']);
    await one.run(['volume', 'create', 'shared', '--network', 'cluster']);
    await two.run(['user', 'import'], await one.run(['user', 'export', 'alice', '--full']));
    await two.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
    await two.run(['network', 'link', 'cluster']);
    await two.run(['volume', 'import'], await one.run(['volume', 'export', 'shared']));
    node = await one.startNode('cluster');
  });
  after(() => lab.close());

  /** Something is made that cannot leave, and the volume is told to stop. */
  async function stopWithout(folder: string): Promise<void> {
    node.pause();
    const making = shell(`mkdir '${join(mountpoint, folder)}'`);
    const stop = two.begin(['volume', 'stop', 'shared']);
    await stop.waitFor(waits, 60_000);
    node.goOn();
    const code = await stop.stop('SIGCONT');
    await making;
    if (code === 0) return;
    // Whoever made the folder was on the mount a moment longer than what he made.
    assert.match(stop.output, /in use/);
    await two.run(['volume', 'stop', 'shared']);
  }

  test('`volume stop` says what it waits for', async () => {
    const mount = await mountOn(two, ['--peer', node.endpoint]);
    mountpoint = mount.mountpoint;
    await shell(`mkdir '${mountpoint}/before' && sync '${mountpoint}/before'`);
    await stopWithout('one');
    assert.equal(await mount.stop(), 0);
    assert.match(mount.output, /waits for the network/);
  });

  test('so it does when a daemon keeps the volume', async () => {
    await two.run(['daemon', 'start']);
    const options = ['--mountpoint', mountpoint, '--listen', '127.0.0.1', '--peer', node.endpoint];
    await two.run(['volume', 'start', 'shared', ...options]);
    await stopWithout('two');
    await two.run(['volume', 'start', 'shared', ...options]);
    assert.equal(await shell(`ls '${mountpoint}'`), 'before\none\ntwo\n');
    await two.run(['daemon', 'stop']);
  });
});
