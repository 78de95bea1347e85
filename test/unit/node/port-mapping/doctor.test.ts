// What the doctor tells of the router of this machine.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { portMapping } from '../../../../src/core/node/doctor/port-mapping.ts';
import type { Context } from '../../../../src/core/node/link.ts';
import { createWorld } from '../../../simulator/runtime/world.ts';
import { FakeRouter, type Language } from './fake-router.ts';

async function findings(speaks: Language[], upnpTcpPort?: number, prepare: (router: FakeRouter) => void = () => {}) {
  const world = createWorld({ seed: 1 });
  const router = new FakeRouter(world, '192.168.1.1', ...speaks);
  await router.start();
  prepare(router);
  const context = { runtime: router.client('192.168.1.7') } as unknown as Context;
  const surroundings = { context, as: 'alice', variables: [], ignoreNonLinked: false, upnpTcpPort };
  const found = await world.settle(portMapping(surroundings));
  const lines = found.map(({ name, reason, warning }) => `${warning ? 'warning ' : ''}${name}: ${reason}`);
  return { lines, router };
}

test('what the router speaks, without changing anything', async () => {
  const { lines, router } = await findings(['PCP', 'NAT-PMP', 'UPnP']);
  assert.deepEqual(lines, [
    'PCP: the router speaks it',
    'NAT-PMP: the router says that others see 203.0.113.9',
    'UPnP: the router says that others see 203.0.113.9',
  ]);
  assert.ok(!router.asked.some((what) => /map \d|UPnP Add/.test(what)), router.asked.join());
  assert.deepEqual((await findings(['NAT-PMP'])).lines, ['NAT-PMP: the router says that others see 203.0.113.9']);
});

test('a router that speaks nothing of it, or nonsense', async () => {
  assert.deepEqual((await findings([])).lines, ['192.168.1.1: this router forwards no ports when it is asked']);
  const { lines } = await findings(['UPnP'], undefined, (router) => (router.external = '127.0.0.1'));
  assert.deepEqual(lines, ["warning UPnP: the router's answer makes no sense: an external address that is none"]);
});

test('a port is forwarded for a moment when it is asked for', async () => {
  const { lines, router } = await findings(['UPnP'], 4242);
  assert.equal(lines[1], 'TCP port 4242: the router forwards it from 203.0.113.9:4242');
  assert.equal(router.forwarded.size, 0);
  const own = { client: '192.168.1.7', port: 4242, leaseSeconds: 1200 };
  const kept = await findings(['UPnP'], 4242, (one) => one.forwarded.set(4242, own));
  assert.equal(kept.lines[1], 'TCP port 4242: it is forwarded to this machine already');
  assert.deepEqual([...kept.router.forwarded.values()], [own]);
  const [, without] = (await findings([], 4242)).lines;
  assert.equal(without, 'warning TCP port 4242: it cannot be forwarded by UPnP: the router does not answer');
});
