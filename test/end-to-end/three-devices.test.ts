// Three devices of two users keep what was acknowledged: through kill -9 of nodes and of the leader, a stop of everything, and
// the loss of a whole disk.

import assert from 'node:assert/strict';
import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Semaphore } from '../../src/core/base/lifecycle.ts';
import {
  type Cluster,
  type Connection,
  connect,
  createCluster,
  fullRedundancy,
  inspect,
  type Node,
  network,
  silo,
  startDoor,
  store,
} from './cluster.ts';
import { type Device, eventually, Lab, type Running } from './device.ts';
import { contents, Ledger } from './ledger.ts';

const smallKeys = 10_000;
const largeBytes = 200 * 1024 ** 2;
const MiB = 1024 ** 2;
const healMs = 120_000;

interface Status {
  silo: { usedBytes: number };
}

describe('three devices', { timeout: 420_000 }, () => {
  const lab = new Lab();
  const ledger = new Ledger();
  let devices: Cluster;
  let nodes: { one: Node; two: Node; three: Node };
  let door: Running;
  let client: Connection | undefined;

  const openClient = async (device: Device) => {
    await client?.close();
    client = await connect(device);
    return client.keys;
  };
  const keys = () => {
    assert.ok(client !== undefined);
    return client.keys;
  };

  before(async () => {
    devices = await createCluster(lab);
    const one = await devices.one.startNode(network);
    const two = await devices.two.startNode(network, ['--peer', one.endpoint]);
    const three = await devices.three.startNode(network, ['--peer', one.endpoint]);
    nodes = { one, two, three };
  });
  after(async () => {
    await client?.close();
    await lab.close();
  });

  test('a network grows to three members', async () => {
    door = await startDoor(devices.one);
    await fullRedundancy(devices.one, healMs);
    await openClient(devices.one);
  });

  test('a user with a passport for storage keeps the data and cannot read it', async () => {
    await ledger.put(keys(), 'first', Buffer.from('of alice'));
    const { code, stderr } = await devices.three.attempt(['key-value-store', 'get', store, 'first']);
    assert.equal(code, 1);
    assert.match(stderr, /not|denied|reader/i);
    assert.doesNotMatch(stderr, /of alice|bug of infinit/);
  });

  test('small and large values are put while a node dies and comes back', async () => {
    const store = keys();
    const gate = new Semaphore(64);
    const small = Array.from({ length: smallKeys }, (_, at) => {
      const key = `small/${at}`;
      return gate.run(() => ledger.put(store, key, contents(key, 200 + ((at * 7919) % 825))));
    });
    const faults = (async () => {
      await eventually('2,000 puts', 120_000, async () => ledger.size > 2000);
      await nodes.two.kill();
      await eventually('4,000 puts with two nodes', 120_000, async () => ledger.size > 4000);
      nodes.two = await devices.two.startNode(network);
    })();
    await Promise.all([...small, faults]);
    const few = new Semaphore(4);
    const large = sizes().map((size, at) => {
      const key = `large/${at}`;
      return few.run(() => ledger.put(store, key, contents(key, size)));
    });
    await Promise.all(large);
    await ledger.verify(store);
  });

  test('a put acknowledged just before the leader dies is found through a door elsewhere', async () => {
    await ledger.put(keys(), 'last words', contents('last words', 900));
    await door.kill();
    door = await startDoor(devices.two);
    await ledger.verify(await openClient(devices.two));
  });

  test('a stop of everything loses nothing, and nobody has to be named at the start', async () => {
    await client?.close();
    client = undefined;
    const codes = await Promise.all([door, nodes.one, nodes.two, nodes.three].map((process) => process.stop()));
    assert.deepEqual(codes, [0, 0, 0, 0]);
    const [one, two, three] = await Promise.all([
      devices.one.startNode(network),
      devices.two.startNode(network),
      devices.three.startNode(network),
    ]);
    nodes = { one, two, three };
    door = await startDoor(devices.two);
    await ledger.verify(await openClient(devices.two));
  });

  test('an emptied disk is filled again, so that another node may die', async () => {
    await nodes.one.stop();
    const folder = devices.one.siloFolder(silo);
    for (const name of readdirSync(folder)) rmSync(join(folder, name), { recursive: true });
    nodes.one = await devices.one.startNode(network);
    await ledger.put(keys(), 'while one heals', contents('while one heals', 500));
    for (const device of [devices.one, devices.two, devices.three]) await fullRedundancy(device, healMs);
    await eventually('blocks are back', healMs, async () => {
      const status = await inspect<Status>(devices.one, 'status');
      const { missing_blocks } = await inspect<{ missing_blocks: number }>(devices.one, 'redundancy');
      return status.silo.usedBytes >= largeBytes && missing_blocks === 0;
    });
    await nodes.three.kill();
    await ledger.verify(keys());
    await ledger.put(keys(), 'with two nodes', contents('with two nodes', 500));
  });
});

/** 1 to 16 MiB, `largeBytes` in all. */
function sizes(): number[] {
  const found: number[] = [];
  for (let left = largeBytes, at = 0; left > 0; at++) {
    const size = Math.min(left, (1 + ((at * 5) % 16)) * MiB - (at % 3));
    found.push(size);
    left -= size;
  }
  return found;
}
