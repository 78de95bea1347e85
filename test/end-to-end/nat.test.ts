// Two devices behind translating routers of their own and two that everybody can dial: files written behind one router are read behind the
// other, by way of a node in front, and of the other one when that is killed.

import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { inspect, type Node, network, silo } from './cluster.ts';
import { type Device, eventually, Lab, run, shell } from './device.ts';
import { Lan, needsLan } from './lan.ts';
import { needs } from './needs.ts';
import { Router } from './router.ts';
import { cannotMount, type Mount, mountOn } from './volume.ts';

const patienceMs = 120_000;
const skip = cannotMount() ?? (needsLan().skip || needs('sysctl').skip);

interface Front {
  device: Device;
  node?: Node;
}

interface KnownPeer {
  id: string;
  self: boolean;
  connected: boolean;
  endpoints: string[];
  relay?: string;
}

describe('devices behind translating routers', { timeout: 900_000, skip }, () => {
  const lab = new Lab();
  const routers: Router[] = [];
  const fronts: Front[] = [];
  let lan: Lan;
  let left: Device;
  let right: Device;
  let leftMount: Mount;
  let rightMount: Mount;

  const idOf = async (device: Device) => (await inspect<{ node: string }>(device, 'status')).node;
  const peersOf = async (device: Device) => (await inspect<{ peers: KnownPeer[] }>(device, 'peers')).peers;
  /** Who carries what `from` says to `to`. */
  const relayBetween = async (from: Device, to: Device): Promise<string | undefined> => {
    const id = await idOf(to);
    return (await peersOf(from)).find((peer) => peer.id === id && peer.connected)?.relay;
  };

  before(async () => {
    lan = await Lan.open();
    for (const name of ['front', 'back']) fronts.push({ device: lab.device(name, 'alice', await lan.host()) });
    for (let i = 0; i < 2; i++) routers.push(await Router.open(lan));
    left = lab.device('left', 'alice', await routers[0]?.host());
    right = lab.device('right', 'alice', await routers[1]?.host());
    const [first, ...others] = [...fronts.map(({ device }) => device), left, right];
    assert.ok(first);
    await first.run(['user', 'create', 'alice']);
    const identity = await first.run(['user', 'export', 'alice', '--full']);
    for (const device of others) await device.run(['user', 'import'], identity);
    for (const device of [first, ...others]) await device.run(['silo', 'create', 'filesystem', silo]);
    await first.run(['network', 'create', 'cluster', '--silo', silo, '--replication-factor', '3']);
    const descriptor = await first.run(['network', 'export', 'cluster']);
    for (const device of others) {
      await device.run(['network', 'import'], descriptor);
      await device.run(['network', 'link', network, '--silo', silo]);
    }
    await first.run(['volume', 'create', 'shared', '--network', 'cluster']);
    const shared = await first.run(['volume', 'export', 'shared']);
    for (const device of others) await device.run(['volume', 'import'], shared);
    for (const front of fronts) {
      const peer = fronts[0]?.node?.endpoint;
      front.node = await front.device.startNode(network, peer === undefined ? [] : ['--peer', peer]);
    }
    const peers = fronts.flatMap(({ node }) => (node ? ['--peer', node.endpoint] : []));
    leftMount = await mountOn(left, peers);
    rightMount = await mountOn(right, peers);
  });
  after(async () => {
    await lab.close();
    for (const router of routers) await router.close();
    await lan?.close();
  });

  test('a node behind a router names those in front as relays', async () => {
    for (const device of [left, right]) {
      const relayed = () => inspect<{ reached: boolean; endpoints: string[] }>(device, 'status');
      await eventually('relays are named', patienceMs, async () => {
        const { reached, endpoints } = await relayed();
        return reached === false && endpoints.filter((endpoint) => endpoint.includes('@')).length === 2;
      });
    }
    const [front] = fronts;
    assert.ok(front);
    assert.equal((await inspect<{ reached: boolean }>(front.device, 'status')).reached, true);
  });

  test('what is written behind one router is read behind the other', async () => {
    await eventually('a connection by way of a relay', patienceMs, () => relayBetween(left, right));
    await exchange('first');
  });

  test('when the relay is killed another one carries', async () => {
    const relay = await eventually('a relay', patienceMs, () => relayBetween(left, right));
    for (const { device, node } of fronts) if ((await idOf(device)) === relay) await node?.kill();
    await eventually('another relay', patienceMs, async () => {
      const now = await relayBetween(left, right);
      return now !== undefined && now !== relay;
    });
    await exchange('second');
  });

  /** Both ways. */
  async function exchange(name: string): Promise<void> {
    for (const [from, to] of [
      [leftMount, rightMount],
      [rightMount, leftMount],
    ] as const) {
      const content = createHash('sha512').update(`${name} ${from.mountpoint}`).digest('hex').repeat(4096);
      const file = `${name}-${from === leftMount ? 'left' : 'right'}`;
      await run('dd', [`of=${join(from.mountpoint, file)}`, 'conv=fsync', 'bs=64k', 'status=none'], content);
      const wanted = createHash('sha256').update(content).digest('hex');
      await eventually(`${file} on the other side`, patienceMs, async () =>
        (await shell(`sha256sum < ${join(to.mountpoint, file)}`)).startsWith(wanted),
      );
    }
  }
});
