// Where a node says it can be dialled, with a port of its router and without.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { limits } from '../../../src/core/base/limits.ts';
import type { Announcement } from '../../../src/core/node/announcement.ts';
import { Place, type PlaceParts } from '../../../src/core/node/place.ts';
import { formatEndpoint } from '../../../src/core/runtime/endpoint.ts';
import type { Endpoint } from '../../../src/core/runtime/runtime.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const external = { host: '203.0.113.9', port: 5000 };

async function placed(listen: string, announce: Announcement = {}, addresses = ['192.168.1.7']) {
  const { runtime } = createWorld({ seed: 1 }).host('a');
  let changes = 0;
  const peers = {
    self: { id: Buffer.alloc(32) },
    events: { on: () => () => {} },
    connected: () => [],
    listen: async ({ host }: Endpoint) => ({ host, port: 4242 }),
  };
  const state = { setting: async () => undefined, set: async () => {} };
  const place = new Place({
    runtime: { ...runtime, transport: { ...runtime.transport, localAddresses: () => addresses } },
    overlay: { record: () => undefined },
    changed: () => changes++,
    isStorage: true,
    announce,
    ...{ peers, state },
  } as unknown as PlaceParts);
  await place.listen({ host: listen, port: 0 });
  return { place, dialled: () => place.dialled().map(formatEndpoint), changes: () => changes };
}

test('a forwarded port is told besides this machine’s own, until it is gone', async () => {
  const { place, dialled, changes } = await placed('0.0.0.0');
  place.forward(external);
  assert.deepEqual(dialled(), ['192.168.1.7:4242', '203.0.113.9:5000']);
  place.forward(undefined);
  assert.deepEqual(dialled(), ['192.168.1.7:4242']);
  assert.equal(changes(), 2);
});

test('it has room among many addresses, and is left out where it is not to be told', async () => {
  const many = Array.from({ length: 20 }, (_, i) => `192.168.1.${i}`);
  const crowded = await placed('::', {}, many);
  crowded.place.forward(external);
  assert.equal(crowded.dialled().length, limits.recordEndpointsMax);
  assert.equal(crowded.dialled().at(-1), '203.0.113.9:5000');
  const hidden = await placed('::', { noPublic: true });
  hidden.place.forward(external);
  assert.deepEqual(hidden.dialled(), ['192.168.1.7:4242']);
  hidden.place.forward({ host: '10.0.0.3', port: 5000 });
  assert.deepEqual(hidden.dialled(), ['192.168.1.7:4242', '10.0.0.3:5000']);
});

test('a port is asked for only where this node listens', async () => {
  const { place } = await placed('192.168.1.7');
  assert.equal(place.portAt('192.168.1.7'), 4242);
  assert.equal(place.portAt('192.168.2.7'), undefined);
  assert.equal((await placed('::')).place.portAt('192.168.2.7'), 4242);
});
