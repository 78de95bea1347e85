// Devices on one local network that are told of nobody: nodes and mounts find each other by multicast DNS.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { connect, inspect, network, silo, startDoor } from './cluster.ts';
import { type Device, eventually, Lab } from './device.ts';
import { Lan, needsLan } from './lan.ts';

const patienceMs = 120_000;

describe('devices on one local network', { timeout: 600_000, ...needsLan() }, () => {
  const lab = new Lab();
  let lan: Lan;
  let one: Device;
  let two: Device;
  let client: Device;

  before(async () => {
    lan = await Lan.open();
    one = lab.device('one', 'alice', await lan.host());
    two = lab.device('two', 'alice', await lan.host());
    client = lab.device('client', 'alice', await lan.host());
    await one.run(['user', 'create', 'alice']);
    const identity = await one.run(['user', 'export', 'alice', '--full']);
    for (const device of [two, client]) await device.run(['user', 'import'], identity);
    for (const device of [one, two]) await device.run(['silo', 'create', 'filesystem', silo]);
    await one.run(['network', 'create', 'cluster', '--silo', silo]);
    await one.run(['key-value-store', 'create', 'notes', '--network', 'cluster']);
    for (const device of [two, client]) {
      await device.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
      await device.run(['key-value-store', 'import'], await one.run(['key-value-store', 'export', 'notes']));
    }
    await two.run(['network', 'link', network, '--silo', silo]);
    await client.run(['network', 'link', network]);
  });
  after(async () => {
    await lab.close();
    await lan?.close();
  });

  test('nodes meet, whoever begins, and a client finds them', async () => {
    await one.startNode(network, ['--mdns']);
    await two.startNode(network, ['--mdns']);
    for (const device of [one, two])
      await eventually(`${device.name} knows both`, patienceMs, async () => {
        const { peers } = await inspect<{ peers: { connected: boolean }[] }>(device, 'peers');
        return peers.length === 2 && peers.every(({ connected }) => connected);
      });
    const door = await startDoor(client, ['--mdns']);
    const { keys, close } = await connect(client);
    await keys.put(Buffer.from('colour'), Buffer.from('blue'));
    assert.equal(Buffer.from((await keys.get(Buffer.from('colour'))).value).toString(), 'blue');
    await close();
    assert.equal(await door.stop(), 0);
  });

  test('a mount of a volume that keeps the option finds them too, on a device that has met nobody', async () => {
    await one.run(['volume', 'create', 'shared', '--network', 'cluster']);
    const late = lab.device('late', 'alice', await lan.host());
    await late.run(['user', 'import'], await one.run(['user', 'export', 'alice', '--full']));
    await late.run(['network', 'import'], await one.run(['network', 'export', 'cluster']));
    await late.run(['network', 'link', network]);
    await late.run(['volume', 'import'], await one.run(['volume', 'export', 'shared']));
    const request = '{"operation":"mkdir","path":"/made"}\n';
    const alone = await late.attempt(['volume', 'run', 'shared', '--script'], request);
    assert.equal(alone.code, 1, alone.stdout.toString());
    await late.run(['volume', 'update', 'shared', '--mdns']);
    const answer = await late.run(['volume', 'run', 'shared', '--script'], request);
    assert.equal(JSON.parse(answer).success, true, answer);
  });
});
