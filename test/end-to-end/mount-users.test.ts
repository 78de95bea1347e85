// What another user than the owner may do on a mount of a volume, by the volume's default permissions.

import assert from 'node:assert/strict';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { network } from './cluster.ts';
import { type Device, Lab, mountsBelow, shell } from './device.ts';
import { cannotMount, createVolume, mountOn } from './volume.ts';

const why = cannotMount();

describe('a second user mounts', { timeout: 300_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let alice: Device;
  let bob: Device;

  before(async () => {
    const { devices, nodes } = await createVolume(lab);
    [alice, bob] = [devices.one, devices.three];
    const root = ['--create-root', '--peer', nodes.one.endpoint];
    for (const [name, ...options] of [['own'], ['readable', '-d', 'r'], ['open', '-d', 'rw']] as const) {
      await alice.run(['volume', 'create', name, '--network', 'cluster', ...root, ...options]);
      await bob.run(['volume', 'import'], await alice.run(['volume', 'export', name]));
    }
  });
  after(() => lab.close());

  test('what is readable, and changes nothing', async () => {
    const hers = await mountOn(alice, [], 'alice/readable');
    await shell(`echo hello > ${hers.mountpoint}/file`);
    const his = await mountOn(bob, [], 'alice/readable');
    assert.equal(await shell(`cat ${his.mountpoint}/file`), 'hello\n');
    for (const command of [
      'touch new',
      'mkdir new',
      'rm file',
      'mv file other',
      'chmod 600 file',
      'echo x > file',
      'echo x >> file',
    ])
      await assert.rejects(
        shell(`cd ${his.mountpoint} && ${command}`),
        /Permission denied|Read-only file system/,
        command,
      );
    assert.equal(
      await shell(`echo bob >> ${hers.mountpoint}/file; cat ${his.mountpoint}/file; ls ${his.mountpoint}`),
      'hello\nbob\nfile\n',
    );
    for (const mount of [his, hers]) assert.equal(await mount.stop('SIGINT'), 0, mount.output);
  });

  test('what is writable, and writes', async () => {
    const his = await mountOn(bob, [], 'alice/open');
    const hers = await mountOn(alice, [], 'alice/open');
    await shell(
      `echo hello > ${his.mountpoint}/his && echo alice >> ${hers.mountpoint}/his && mkdir ${his.mountpoint}/folder`,
    );
    assert.equal(await shell(`cat ${his.mountpoint}/his`), 'hello\nalice\n');
    await shell(
      `echo hers > ${hers.mountpoint}/folder/hers && mv ${his.mountpoint}/folder/hers ${his.mountpoint}/moved`,
    );
    assert.equal(await shell(`cat ${hers.mountpoint}/moved`), 'hers\n');
    for (const mount of [hers, his]) assert.equal(await mount.stop('SIGINT'), 0, mount.output);
  });

  test('not what is shared with nobody', async () => {
    const words = ['volume', 'mount', 'alice/own', '--mountpoint', join(lab.folder, 'none'), '--listen', '127.0.0.1'];
    const { code, stderr } = await bob.attempt(words);
    assert.equal(code, 1);
    assert.match(stderr, /fatal error: volume "alice\/own" is not shared with you/);
    assert.deepEqual(mountsBelow(lab.folder), []);
  });

  test('not without a passport', async () => {
    const carol = lab.device('four', 'carol');
    await carol.run(['user', 'create']);
    await carol.run(['user', 'import'], await alice.run(['user', 'export']));
    await carol.run(['network', 'import'], await alice.run(['network', 'export', 'cluster']));
    await carol.run(['volume', 'import'], await alice.run(['volume', 'export', 'open']));
    const link = await carol.attempt(['network', 'link', network]);
    const mount = await carol.attempt(['volume', 'mount', 'alice/open', '--mountpoint', join(lab.folder, 'none')]);
    assert.deepEqual([link.code, mount.code], [1, 1]);
    assert.match(link.stderr, /passport/);
    assert.match(mount.stderr, /passport|linked/);
    assert.deepEqual(mountsBelow(lab.folder), []);
  });
});
