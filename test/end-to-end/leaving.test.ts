// Devices that leave a network for good: `network drain`, and `--resign-on-shutdown`. What was acknowledged is on those that stay,
// at once, without waiting for an eviction.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import {
  type Cluster,
  type Connection,
  connect,
  createCluster,
  fullRedundancy,
  inspect,
  type Node,
  network,
  startDoor,
} from './cluster.ts';
import { eventually, Lab } from './device.ts';
import { contents, Ledger } from './ledger.ts';

const healMs = 120_000;

describe('leaving', { timeout: 420_000 }, () => {
  const lab = new Lab();
  const ledger = new Ledger();
  let devices: Cluster;
  let nodes: { one: Node; two: Node; three: Node };
  let client: Connection;

  const membersOf = async () =>
    (await inspect<{ network_register_members: number }>(devices.one, 'redundancy')).network_register_members;

  before(async () => {
    devices = await createCluster(lab);
    const one = await devices.one.startNode(network);
    const two = await devices.two.startNode(network, ['--peer', one.endpoint, '--resign-on-shutdown']);
    const three = await devices.three.startNode(network, ['--peer', one.endpoint]);
    nodes = { one, two, three };
    await startDoor(devices.one);
    await fullRedundancy(devices.one, healMs);
    client = await connect(devices.one);
    for (let at = 0; at < 200; at++) await ledger.put(client.keys, `small/${at}`, contents(`small/${at}`, 300));
    for (let at = 0; at < 4; at++) await ledger.put(client.keys, `large/${at}`, contents(`large/${at}`, 2_000_000));
  });
  after(async () => {
    await client?.close();
    await lab.close();
  });

  test('a drained device hands over everything, its node ends, and it is not missed', async () => {
    const { stdout, stderr, code } = await devices.three.attempt(['network', 'drain', network]);
    assert.equal(code, 0, stderr);
    assert.match(stdout.toString(), /Drained network "alice\/cluster": 2 other nodes hold each block\./);
    assert.match(stderr, /confirmed/);
    await eventually('the end of the node', 30_000, async () => nodes.three.ended);
    await eventually('two members', healMs, async () => (await membersOf()) === 2);
    await ledger.put(client.keys, 'after the drain', Buffer.from('x'));
    await ledger.verify(client.keys);
  });

  test('a node that resigns when it is stopped leaves everything to the other', async () => {
    assert.equal(await nodes.two.stop(), 0);
    assert.match(nodes.two.output, /others hold everything this node held/);
    await eventually('one member', healMs, async () => (await membersOf()) === 1);
    await ledger.put(client.keys, 'alone', Buffer.from('x'));
    await ledger.verify(client.keys);
  });

  test('the last node cannot leave, and goes on', async () => {
    const { stderr, code } = await devices.one.attempt(['network', 'drain', network]);
    assert.equal(code, 1);
    assert.match(stderr, /no other node can take over what this one holds/);
    await ledger.verify(client.keys);
  });

  test('who was drained comes back as any node', async () => {
    await devices.three.startNode(network);
    await eventually('two members', healMs, async () => (await membersOf()) === 2);
    await ledger.verify(client.keys);
  });
});
