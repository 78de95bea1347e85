// Nodes behind translating routers that forward ports when they are asked, each in another way: one in front dials them directly.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { inspect, network, silo } from './cluster.ts';
import { type Device, eventually, Lab, type Running } from './device.ts';
import { Lan, needsLan } from './lan.ts';
import { findsPublic, type Language, languages, Miniupnpd, needsMiniupnpd } from './miniupnpd.ts';
import { Router } from './router.ts';

const patienceMs = 120_000;
/** A router that has begun anew is noticed within a minute. */
const noticeMs = 300_000;
const skip = needsLan().skip || needsMiniupnpd().skip;

interface Status {
  node: string;
  reached: boolean | null;
  endpoints: string[];
}

interface KnownPeer {
  id: string;
  connected: boolean;
  relay?: string;
}

interface Behind {
  language: Language;
  device: Device;
  daemon: Miniupnpd;
  node?: Running;
}

describe('nodes behind routers that forward ports', { timeout: 900_000, skip }, () => {
  const lab = new Lab();
  const routers: Router[] = [];
  const behind: Behind[] = [];
  let lan: Lan;
  let front: Device;

  const statusOf = (device: Device) => inspect<Status>(device, 'status');
  /** Where others dial it, by way of its router. */
  const forwarded = ({ device, daemon }: Behind) =>
    eventually(`${device.name} is forwarded a port`, patienceMs, async () => {
      const { endpoints } = await statusOf(device);
      return endpoints.find((endpoint) => endpoint.startsWith(`${daemon.external}:`));
    });
  const start = async (one: Behind) => {
    one.node = await one.device.startNode(network, ['--port-mapping']);
  };

  before(async () => {
    lan = await Lan.open();
    const place = await lan.host();
    await findsPublic(place);
    front = lab.device('front', 'alice', place);
    await front.run(['user', 'create', 'alice']);
    const identity = await front.run(['user', 'export', 'alice', '--full']);
    await front.run(['silo', 'create', 'filesystem', silo]);
    await front.run(['network', 'create', 'cluster', '--silo', silo, '--replication-factor', '3']);
    const descriptor = await front.run(['network', 'export', 'cluster']);
    await front.run(['volume', 'create', 'shared', '--network', 'cluster', '--port-mapping']);
    const volume = await front.run(['volume', 'export', 'shared']);
    for (const language of languages) {
      const router = await Router.open(lan);
      routers.push(router);
      const device = lab.device(language, 'alice', await router.host());
      behind.push({ language, device, daemon: await Miniupnpd.open(router, language) });
      await device.run(['user', 'import'], identity);
      await device.run(['silo', 'create', 'filesystem', silo]);
      await device.run(['network', 'import'], descriptor);
      await device.run(['network', 'link', network, '--silo', silo]);
      await device.run(['volume', 'import'], volume);
    }
    for (const one of behind) await start(one);
  });
  after(async () => {
    await lab.close();
    for (const { daemon } of behind) await daemon.close();
    for (const router of routers) await router.close();
    await lan?.close();
  });

  test('one in front dials them, whom nobody has dialled', async () => {
    const peers: string[] = [];
    for (const one of behind) peers.push('--peer', await forwarded(one));
    await front.startNode(network, peers);
    for (const { device } of behind) {
      const { node } = await statusOf(device);
      await eventually(`${device.name} is dialled`, patienceMs, async () => {
        const known = await inspect<{ peers: KnownPeer[] }>(front, 'peers');
        const peer = known.peers.find(({ id }) => id === node);
        return peer?.connected && peer.relay === undefined;
      });
      await eventually(`${device.name} hears that it is reached`, patienceMs, async () => {
        const { reached, endpoints } = await statusOf(device);
        return reached === true && endpoints.every((endpoint) => !endpoint.includes('@'));
      });
    }
  });

  test('they dial each other', async () => {
    for (const from of behind)
      for (const to of behind.filter((one) => one !== from)) {
        const { node } = await statusOf(to.device);
        await eventually(`${from.device.name} dials ${to.device.name}`, patienceMs, async () => {
          const { peers } = await inspect<{ peers: KnownPeer[] }>(from.device, 'peers');
          return peers.some(({ id, connected, relay }) => id === node && connected && relay === undefined);
        });
      }
  });

  test('the doctor tells which of them a router speaks', async () => {
    for (const { device, language, daemon } of behind) {
      const words = ['doctor', 'connectivity', '--upnp-tcp-port', '5000'];
      const { stdout } = await device.attempt([...words, '--script']);
      const [answer, port] = JSON.parse(stdout.toString()).port_mapping;
      assert.equal(answer.name, language);
      assert.equal(answer.reason?.includes(daemon.external), language !== 'PCP', answer.reason);
      assert.equal(port.warning, language !== 'UPnP', port.reason);
      if (language === 'UPnP') assert.match(port.reason, new RegExp(`forwards it from ${daemon.external}:5000`));
      assert.equal((await daemon.forwarded()).length, 1);
    }
  });

  test('a node that is killed and started again, as that of a volume which says so, has its port again', async () => {
    for (const one of behind) {
      const before = await forwarded(one);
      await one.node?.kill();
      one.node = await one.device.start(['volume', 'run', 'alice/shared'], /^Running volume/m);
      assert.equal(await forwarded(one), before);
      assert.equal((await one.daemon.forwarded()).length, 1);
    }
  });

  test('a router that begins anew is asked again', async () => {
    for (const { daemon } of behind) await daemon.restart();
    for (const { device, daemon } of behind)
      await eventually(`${device.name} is forwarded a port again`, noticeMs, async () => {
        return (await daemon.forwarded()).length === 1;
      });
  });

  test('nothing is forwarded to one that has stopped', async () => {
    for (const { node, daemon } of behind) {
      assert.equal((await daemon.forwarded()).length, 1);
      await node?.stop();
      assert.deepEqual(await daemon.forwarded(), []);
    }
  });
});
