// Two volumes of one network mounted on one device with one silo: the process that came first is the storage node, and when it
// ends the other one stands in, until `network run` wants the place.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect } from './cluster.ts';
import { type Device, eventually, Lab, shell } from './device.ts';
import { cannotMount, type Mount, mountOn } from './volume.ts';

const skip = cannotMount() ?? false;

describe('a device with one silo and two mounts', { timeout: 300_000, skip }, () => {
  const lab = new Lab();
  let device: Device;
  let shared: Mount;
  let photos: Mount;

  before(async () => {
    device = lab.device('one', 'alice');
    await device.run(['user', 'create', 'alice']);
    await device.run(['silo', 'create', 'filesystem', 'disk', '--capacity', '1GB']);
    await device.run(['network', 'create', 'cluster', '--silo', 'disk']);
    for (const name of ['shared', 'photos']) await device.run(['volume', 'create', name, '--network', 'cluster']);
    shared = await mountOn(device, [], 'alice/shared');
    photos = await mountOn(device, [], 'alice/photos');
  });
  after(() => lab.close());

  test('stopping the mount that is the storage node leaves the other with its data', async () => {
    const storage = await status(device);
    assert.deepEqual([storage.kind, storage.pid], ['storage', shared.pid]);
    await shell(`echo before >'${join(photos.mountpoint, 'before')}'`);
    await device.run(['volume', 'stop', 'shared']);
    // Nothing of this can have left before the storage did.
    await shell(`cd '${photos.mountpoint}' && echo after >after && sync after`);
    await standsIn(device, photos);
    assert.equal((await status(device)).node, storage.node);
    const unlinked = await device.attempt(['network', 'unlink', 'cluster']);
    assert.equal(unlinked.code, 1);
    assert.match(unlinked.stderr, new RegExp(`is running on this device \\(pid ${photos.pid}\\)`));
  });

  test('`network run` has the place of who stands in, and is stood in for in turn', async () => {
    const node = await device.startNode('cluster');
    assert.equal((await status(device)).pid, node.pid);
    await shell(`cd '${photos.mountpoint}' && cat before after && echo within >within && sync within`);
    assert.equal(await node.stop('SIGKILL'), null);
    await shell(`cd '${photos.mountpoint}' && echo last >last`);
    await device.run(['volume', 'stop', 'photos']);
    assert.equal(await photos.stop(), 0);
    const again = await mountOn(device, [], 'alice/photos');
    const held = await shell(`cd '${again.mountpoint}' && cat before after within last`);
    assert.equal(held, 'before\nafter\nwithin\nlast\n');
    await again.stop();
  });
});

interface Status {
  kind: string;
  pid: number;
  node: string;
}

function status(device: Device): Promise<Status> {
  return inspect<Status>(device, 'status');
}

function standsIn(device: Device, mount: Mount): Promise<unknown> {
  return eventually('the mount is the storage node', 60_000, async () => {
    const { kind, pid } = await status(device);
    return kind === 'storage' && pid === mount.pid;
  });
}
