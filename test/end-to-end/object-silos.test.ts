// Nodes whose silos are buckets of a real S3 server: a volume on them lives through kill -9 of its node, the bucket holds
// nothing readable, and what is wrong with an account says what to type next.

import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { type S3Server, startS3Server } from '../fakes/s3-server.ts';
import { type Device, eventually, Lab, type Running, shell } from './device.ts';

const why = !existsSync('/dev/fuse') || process.getuid?.() !== 0 ? 'only root mounts here, by /dev/fuse' : false;
const keys = 'S3RVER\nS3RVER\n';
const mountWords = (mnt: string) => ['volume', 'mount', 'shared', '--mountpoint', mnt, '--listen', '127.0.0.1'];

describe('a network in a bucket', { timeout: 300_000, skip: why }, () => {
  const lab = new Lab();
  let server: S3Server;
  let device: Device;
  let node: Running & { endpoint: string };
  let mount: Running;
  const mnt = join(lab.folder, 'mnt');

  before(async () => {
    server = await startS3Server();
    device = lab.device('one', 'alice');
    await device.run(['user', 'create']);
    await device.run(['credentials', 'add', 'trial', '--s3'], keys);
    await createS3(device, 'cloud', server);
    await device.run(['network', 'create', 'cluster', '--silo', 'cloud']);
    await device.run(['volume', 'create', 'shared', '-N', 'cluster']);
    node = await device.startNode('cluster');
    mount = await device.start(mountWords(mnt), /^Running volume/m);
  });
  after(async () => {
    await lab.close();
    await server.close();
  });

  test('files are what they were after the node was killed, and again after all was stopped', async () => {
    await shell(
      `cd ${mnt}; for i in $(seq 40); do echo "secret words $i" > small-$i; done; head -c 3000000 /dev/urandom > large; sync -f .`,
    );
    const sums = await shell(`cd ${mnt}; sha256sum *`);
    await node.kill();
    node = await device.startNode('cluster');
    assert.equal(await shell(`cd ${mnt}; sha256sum *`), sums);
    await shell(`cd ${mnt}; rm small-1; echo more > more; sync -f .`);
    const after = await shell(`cd ${mnt}; sha256sum *`);
    assert.equal(await mount.stop(), 0);
    assert.equal(await node.stop(), 0);
    node = await device.startNode('cluster');
    mount = await device.start(mountWords(mnt), /^Running volume/m);
    assert.equal(await shell(`cd ${mnt}; sha256sum *`), after);
  });

  test('nothing in the bucket can be read', async () => {
    assert.equal(await shell(`grep -rlaE "secret words|small-[0-9]" ${server.folder} || true`), '');
    assert.match(await shell(`ls ${server.folder}/${server.bucket}/cloud_blocks | head -100`), /pack-\d{13}/);
  });

  test('a second process on the silo is refused, and told who has it', async () => {
    const { code, stderr } = await device.attempt(['silo', 'delete', 'cloud', '--clear-content', '--purge']);
    assert.equal(code, 1);
    assert.match(stderr, /is running on this device \(pid \d+\)/);
  });

  test('wrong credentials are told with the next command, and a right key mends it', async () => {
    await mount.stop();
    await node.stop();
    await device.run(['credentials', 'add', 'trial', '--s3', '--replace'], 'NOBODY\nwrong\n');
    const { code, stderr } = await device.attempt(['network', 'run', 'cluster', '--listen', '127.0.0.1']);
    assert.equal(code, 1);
    assert.match(
      stderr,
      /refuses AWS credentials "trial" \(InvalidAccessKeyId\)\ninfinit credentials add --aws trial --replace/,
    );
    assert.ok(!stderr.includes('wrong'));
    await device.run(['credentials', 'add', 'trial', '--s3', '--replace'], keys);
    node = await device.startNode('cluster');
    await node.stop();
  });

  test('a silo that is cleared leaves the bucket as it was', async () => {
    await device.run(['silo', 'delete', 'cloud', '--clear-content', '--purge']);
    const left = await shell(`find ${server.folder}/${server.bucket} -type f | wc -l`);
    assert.equal(left.trim(), '0');
  });
});

describe('a disk and a bucket of one node', { timeout: 300_000 }, () => {
  const lab = new Lab();
  let server: S3Server;
  before(async () => {
    server = await startS3Server();
  });
  after(async () => {
    await lab.close();
    await server.close();
  });

  test('what is agreed on stays on the disk, blocks go to the bucket', async () => {
    const device = lab.device('one', 'alice');
    await device.run(['user', 'create']);
    await device.run(['credentials', 'add', 'trial', '--s3'], keys);
    await device.run(['silo', 'create', 'filesystem', 'small', '--capacity', '100MB']);
    await createS3(device, 'cloud', server);
    await device.run(['network', 'create', 'cluster', '--silo', 'small', '--silo', 'cloud']);
    await device.run(['key-value-store', 'create', 'notes', '-N', 'cluster']);
    const node = await device.startNode('cluster');
    const packs = async () =>
      Number(await shell(`ls ${server.folder}/${server.bucket}/cloud_blocks | grep -c ^pack- || true`));
    const before = await packs();
    for (let i = 0; i < 5; i++) await device.run(['key-value-store', 'put', 'notes', `key${i}`], 'x'.repeat(200_000));
    await eventually('blocks in the bucket', 10_000, async () => (await packs()) > before);
    assert.equal((await device.run(['key-value-store', 'get', 'notes', 'key3'])).length, 200_000);
    assert.equal(await node.stop(), 0);
  });
});

async function createS3(device: Device, name: string, { bucket, endpoint }: S3Server): Promise<void> {
  await device.run(['silo', 'create', 's3', name, '--account', 'trial', '--bucket', bucket, '--endpoint', endpoint]);
}
