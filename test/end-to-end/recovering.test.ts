// The disks of most nodes of a network are destroyed (docs/protocols.md 2.11): doctor says that nothing can be agreed on, the owner
// goes on with what the last node kept, all of that is readable, and nodes with new disks make it whole again.

import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { type Cluster, connect, createCluster, fullRedundancy, inspect, network, silo, startDoor } from './cluster.ts';
import { eventually, Lab } from './device.ts';
import { contents, Ledger } from './ledger.ts';

const healMs = 180_000;

describe('a network of which most nodes are lost for good', { timeout: 900_000 }, () => {
  const lab = new Lab();
  const ledger = new Ledger();
  let devices: Cluster;
  let endpoint: string;

  const doctor = async () => {
    const { stdout, stderr } = await devices.one.attempt(['doctor', 'redundancy']);
    return `${stdout}${stderr}`;
  };
  const recover = () => devices.one.attempt(['network', 'recover', network, '--force', '--peer', endpoint]);
  const verify = async (more: string) => {
    const client = await connect(devices.one);
    await ledger.verify(client.keys);
    await ledger.put(client.keys, more, Buffer.from('x'));
    await client.close();
  };

  before(async () => {
    devices = await createCluster(lab);
    const one = await devices.one.startNode(network);
    const others = [devices.two, devices.three];
    ({ endpoint } = one);
    const nodes = await Promise.all(others.map((device) => device.startNode(network, ['--peer', endpoint])));
    const door = await startDoor(devices.one);
    await fullRedundancy(devices.one, healMs);
    const client = await connect(devices.one);
    for (let at = 0; at < 50; at++) await ledger.put(client.keys, `small/${at}`, contents(`small/${at}`, 300));
    for (let at = 0; at < 3; at++) await ledger.put(client.keys, `large/${at}`, contents(`large/${at}`, 2_000_000));
    await client.close();
    assert.equal(await door.stop(), 0);
    await eventually('three copies of all', healMs, async () => {
      const found = await inspect<{ under_replicated_blocks?: number; blocks?: number }>(devices.one, 'redundancy');
      return (found.blocks ?? 0) > 6 && found.under_replicated_blocks === 0;
    });
    assert.deepEqual((await recover()).code, 0);
    for (const node of nodes) await node.kill();
    for (const device of others) rmSync(device.siloFolder(silo), { recursive: true });
  });
  after(async () => {
    await lab.close();
  });

  test('doctor says so, and what its owner can do', async () => {
    await eventually('the finding', healMs, async () => /nothing can be agreed on/.test(await doctor()));
    assert.match(await doctor(), /infinit network recover alice\/cluster/);
  });

  test('its owner is told what is lost, and goes on with what is left: all of it is readable', async () => {
    const { stdout, stderr, code } = await recover();
    assert.equal(code, 0, stderr);
    assert.match(stderr, /^The network register: 1 of 3 members left, missing [0-9a-f]{12}, [0-9a-f]{12}$/m);
    assert.match(stderr, /^The root of "alice\/notes": 1 of 3 members left/m);
    assert.match(stdout.toString(), /^Recovered 2 of 2 registers of network "alice\/cluster"\.$/m);
    await startDoor(devices.one);
    await verify('after');
    assert.ok(!/nothing can be agreed on/.test(await doctor()));
  });

  test('nothing is lost any more; nodes with new disks make it whole', async () => {
    assert.match((await recover()).stdout.toString(), /^Nothing is lost: all 2 registers/m);
    for (const device of [devices.two, devices.three]) await device.startNode(network, ['--peer', endpoint]);
    await fullRedundancy(devices.one, healMs);
    await verify('whole');
  });
});
