// Space comes back on real processes: values and files are deleted, `collect` is asked for, and the silos of all three devices use
// what they did before; what was kept is whole. One node is away for one of the cycles.

import assert from 'node:assert/strict';
import { execFileSync, spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect, inspect, network, startDoor } from './cluster.ts';
import { eventually, Lab } from './device.ts';
import { cannotMount, createVolume, type Mounts, mountOn, volume } from './volume.ts';

const MiB = 1024 * 1024;
const why = cannotMount();

describe('collecting garbage', { timeout: 900_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let mounts: Mounts;
  before(async () => {
    mounts = await createVolume(lab);
  });
  after(() => lab.close());

  const usage = async () => {
    const { one, two, three } = mounts.devices;
    let used = 0;
    for (const device of [one, two, three])
      used += (await inspect<{ silo: { usedBytes: number } }>(device, 'status')).silo.usedBytes;
    return used;
  };

  test('of a key-value store, whose values are written over and deleted', async () => {
    const { one, two } = mounts.devices;
    const door = await startDoor(two);
    const { keys, close } = await connect(two);
    const kept = randomBytes(400_000);
    await keys.put(Buffer.from('kept'), kept);
    const before = await usage();
    for (let round = 0; round < 3; round++)
      for (let i = 0; i < 8; i++) await keys.put(Buffer.from(`key${i}`), randomBytes(500_000));
    for (let i = 0; i < 8; i++) await keys.delete(Buffer.from(`key${i}`));
    assert.ok((await usage()) > before + 30 * MiB, 'values take room');
    const words = ['key-value-store', 'collect', 'alice/notes', '--grace', '0', '--wait', '--script'];
    const facts = JSON.parse(await two.run(words)) as { last: { bytes: number; nodes: number; missed: number } };
    assert.deepEqual([facts.last.nodes, facts.last.missed], [3, 0]);
    assert.ok(facts.last.bytes > 30 * MiB, `${facts.last.bytes} bytes went`);
    const left = await usage();
    assert.ok(left < before + 200_000, `${left} bytes are used, ${before} before`);
    assert.ok(kept.equals((await keys.get(Buffer.from('kept'))).value));
    // Who serves no store here is told so.
    const elsewhere = await one.attempt(['key-value-store', 'collect', 'alice/notes']);
    assert.equal(elsewhere.code, 1);
    assert.match(elsewhere.stderr, /not running on this device/);
    await close();
    await door.stop();
  });

  test('of a volume: df falls after rm and a cycle; a node that was away gives back later', async () => {
    const { one, three } = mounts.devices;
    const mount = await mountOn(one);
    const available = () =>
      Number(
        execFileSync('df', ['--output=avail', '-B1', mount.mountpoint], { encoding: 'utf8' }).trim().split('\n').at(-1),
      );
    const folder = join(mount.mountpoint, 'folder');
    const keptFile = join(mount.mountpoint, 'kept');
    const kept = randomBytes(2 * MiB + 77);
    writeFileSync(keptFile, kept);
    mkdirSync(folder);
    execFileSync('sync', ['-f', keptFile]);
    const before = await usage();
    const empty = available();
    for (let i = 0; i < 12; i++) writeFileSync(join(folder, `file${i}`), randomBytes(i % 3 === 0 ? 20_000 : 8 * MiB));
    for (let i = 0; i < 12; i++) execFileSync('sync', [join(folder, `file${i}`)]);
    // Nodes tell of their room in steps.
    await eventually('df to fall', 60_000, async () => available() < empty - 40 * MiB);
    rmSync(folder, { recursive: true });
    await mounts.nodes.three.stop();
    const collect = async () => {
      const words = ['volume', 'collect', volume, '--grace', '0', '--wait', '--script'];
      return (JSON.parse(await one.run(words)) as { last: { nodes: number; missed: number } }).last;
    };
    const first = await collect();
    assert.ok(first.nodes >= 2, JSON.stringify(first));
    await three.startNode(network, ['--peer', mounts.nodes.one.endpoint]);
    // What was closed a moment ago is freed within half a minute.
    await eventually('the space to come back', 180_000, async () => {
      const { nodes, missed } = await collect();
      return nodes === 3 && missed === 0 && (await usage()) < before + 500_000;
    });
    assert.ok(kept.equals(readFileSync(keptFile)));
    await eventually('df to show it', 60_000, async () => available() > empty - 20 * MiB);
    await mount.stop();
    spawnSync('umount', ['-l', mount.mountpoint]);
  });
});
