// A volume on three nodes, mounted twice: a real tree copied while a node dies, the leader's mount killed right after an fsync,
// everything stopped and started again. Every byte is read back through the other mount and compared by hash.

import assert from 'node:assert/strict';
import { readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fullRedundancy, network } from './cluster.ts';
import { eventually, Lab, mountsBelow, run, shell, sleep } from './device.ts';
import { cannotMount, createVolume, type Mount, type Mounts, mountOn } from './volume.ts';

const filesMin = 20_000;
const bytesMin = 300 * 1024 ** 2;
const healMs = 120_000;
const fileBytesMax = 8 * 1024 ** 2;
const why = cannotMount();

/** Files of this system, relative to `/`, until there are enough. */
function realTree(): { paths: string[]; bytes: number } {
  const paths: string[] = [];
  let bytes = 0;
  for (const folder of ['usr/include', 'usr/share', 'usr/lib']) {
    for (const entry of readdirSync(`/${folder}`, { recursive: true, withFileTypes: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const { size } = statSync(path);
      if (size > fileBytesMax) continue;
      paths.push(path.slice(1));
      bytes += size;
      if (paths.length >= filesMin && bytes >= bytesMin) return { paths, bytes };
    }
  }
  return { paths, bytes };
}

describe('a volume mounted twice', { timeout: 900_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let all: Mounts;
  let first: Mount;
  let second: Mount;
  /** Null-separated names of the real tree, below `/`. */
  const names = join(lab.folder, 'names');
  let sums: string;

  const sumsBelow = async (folder: string) =>
    shell(`cd ${folder} && xargs -0 -n 500 sha256sum --zero < ${names} | sha256sum`);

  before(async () => {
    all = await createVolume(lab);
    first = await mountOn(all.devices.one);
    second = await mountOn(all.devices.two);
  });
  after(() => lab.close());

  test('a file written on one mount is read on the other', async () => {
    await shell(`echo hello > ${first.mountpoint}/greeting && mkdir ${first.mountpoint}/folder`);
    assert.equal(await shell(`cat ${second.mountpoint}/greeting`), 'hello\n');
    await shell(
      `echo again >> ${second.mountpoint}/greeting && mv ${second.mountpoint}/greeting ${second.mountpoint}/folder`,
    );
    assert.equal(await shell(`cat ${first.mountpoint}/folder/greeting`), 'hello\nagain\n');
    assert.equal(await shell(`ls ${first.mountpoint}`), 'folder\n');
  });

  test('a real tree of 20,000 files and 300 MB is copied while a node is killed and comes back', async (context) => {
    const { paths, bytes } = realTree();
    const files = paths.length;
    assert.ok(files >= filesMin && bytes >= bytesMin, `this system has ${files} files of ${bytes} bytes`);
    writeFileSync(names, paths.map((path) => `${path}\0`).join(''));
    sums = await sumsBelow('/');
    const started = Date.now();
    const copied = shell(
      `mkdir ${first.mountpoint}/tree && tar -C / --null --files-from=${names} -cf - | tar -C ${first.mountpoint}/tree -xf -`,
    );
    await sleep(3000);
    await all.nodes.three.kill();
    await sleep(3000);
    all.nodes.three = await all.devices.three.startNode(network, ['--peer', all.nodes.one.endpoint]);
    await copied;
    await run('sync', [first.mountpoint]);
    context.diagnostic(`copied ${files} files, ${bytes} bytes in ${Date.now() - started} ms`);
    assert.equal(await sumsBelow(join(second.mountpoint, 'tree')), sums);
    context.diagnostic(`copied and read back in ${Date.now() - started} ms`);
  });

  test('the leader is killed right after an fsync: the other mount has every byte, and goes on', async (context) => {
    const status = JSON.parse(await all.devices.one.run(['volume', 'status', 'alice/shared', '--script'])) as {
      role: string;
    };
    assert.equal(status.role, 'leader');
    await shell(`head -c 3000000 /dev/urandom > ${lab.folder}/bytes`);
    await shell(`dd if=${lab.folder}/bytes of=${first.mountpoint}/bytes bs=64k conv=fsync status=none`);
    await first.kill();
    const killed = Date.now();
    await shell(`cmp ${lab.folder}/bytes ${second.mountpoint}/bytes`);
    context.diagnostic(`first read ${Date.now() - killed} ms after the kill`);
    await shell(`echo more > ${second.mountpoint}/after && sync ${second.mountpoint}/after`);
    context.diagnostic(`first durable write ${Date.now() - killed} ms after the kill`);
    first = await mountOn(all.devices.one);
    assert.equal(await shell(`cat ${first.mountpoint}/after`), 'more\n');
  });

  test('everything is stopped and started again, and nothing is missing', async () => {
    for (const mount of [first, second]) assert.equal(await mount.stop('SIGINT'), 0);
    assert.deepEqual(mountsBelow(lab.folder), []);
    for (const node of Object.values(all.nodes)) assert.equal(await node.stop('SIGINT'), 0);
    const [one, two, three] = await Promise.all(
      [all.devices.one, all.devices.two, all.devices.three].map((device) => device.startNode(network)),
    );
    assert.ok(one && two && three);
    all.nodes = { one, two, three };
    await fullRedundancy(all.devices.one, healMs, 1);
    second = await mountOn(all.devices.two);
    assert.equal(await sumsBelow(join(second.mountpoint, 'tree')), sums);
    await shell(`cmp ${lab.folder}/bytes ${second.mountpoint}/bytes`);
    await shell(
      `rm -rf ${second.mountpoint}/tree && rmdir ${second.mountpoint}/folder 2>/dev/null || rm -r ${second.mountpoint}/folder`,
    );
    assert.equal(await shell(`ls ${second.mountpoint}`), 'after\nbytes\n');
  });

  test('a mountpoint left by a killed mount is taken again', async () => {
    await run('sync', [second.mountpoint]);
    await second.kill();
    await assert.rejects(shell(`ls ${second.mountpoint}`));
    second = await mountOn(all.devices.two);
    await eventually(
      'the mount serves',
      healMs,
      async () => (await shell(`ls ${second.mountpoint}`)) === 'after\nbytes\n',
    );
    assert.equal(await second.stop('SIGTERM'), 0);
    rmSync(names, { force: true });
  });
});
