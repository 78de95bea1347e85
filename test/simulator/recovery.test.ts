// A network of three whole nodes of which two are lost for good goes on with what the third holds, once its owner says so
// (docs/protocols.md 2.11): registers, the journal of a tree, and with new nodes its copies.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { RecoveryFacts } from '../../src/core/cli/running.ts';
import { recover } from '../../src/core/node/recovering.ts';
import { Scene } from './membership-scene.ts';
import { type Device, openStore } from './whole.ts';

const names = new Map<string, string>();

async function recovered(scene: Scene, { linked }: Device): Promise<RecoveryFacts> {
  if (linked === undefined) throw new Error('the device does not run');
  return scene.world.settle(recover(linked, { names, confirm: async () => {} }), { limitMs: 120_000 });
}

test('three nodes, two lost for good: the owner goes on with what the last one holds, and two new ones make it whole', {
  timeout: 300_000,
}, async () => {
  const scene = await Scene.begin(31, 5);
  const { world, nodes, client } = scene;
  const [one, two, three, four, five] = nodes as [Device, Device, Device, Device, Device];
  scene.note();
  // Two of the five leave, and come back when others are gone.
  for (const device of [four, five]) {
    await world.settle(device.linked?.close() ?? Promise.resolve());
    await world.runFor(120_000);
  }
  for (const members of await scene.members()) assert.ok(members.every((member) => member < 3));
  await scene.put('in the journal', 'kept');
  const before = await recovered(scene, client);
  assert.deepEqual(before.lost, [], 'nothing is lost as long as all are there');
  for (const device of [two, three]) device.crash();
  client.crash();
  await world.runFor(60_000);
  client.host.restart();
  await world.settle(client.startClient([one.endpoint]));
  await assert.rejects(world.settle(openStore(client, scene.cluster, true), { limitMs: 120_000 }));
  const facts = await recovered(scene, client);
  assert.deepEqual(
    facts.lost.map(({ what, copies, members, owned }) => [what, copies, members, owned]),
    [
      ['network', 1, 3, true],
      ['tree', 1, 3, true],
    ],
  );
  scene.keys = (await world.settle(openStore(client, scene.cluster, true), { limitMs: 120_000 })).keys;
  for (let i = 0; i < 10; i++) assert.equal(await scene.get(`k${i}`), `v${i}`);
  assert.equal(await scene.get('in the journal'), 'kept');
  await scene.put('after', 'goes on');
  await world.settle(Promise.all([four, five].map((device) => device.startNode([one.endpoint]))));
  await world.runFor(200_000);
  for (const members of await scene.members()) assert.deepEqual([...members].sort(), [0, 3, 4]);
  await scene.put('with the new ones', 'whole');
  // The lost ones come back after all: nobody minds them.
  for (const device of [two, three]) {
    device.host.restart();
    await world.settle(device.startNode([one.endpoint]));
  }
  await world.runFor(120_000);
  assert.equal(await scene.get('after'), 'goes on');
  assert.equal(await scene.get('with the new ones'), 'whole');
  await scene.put('with them', 'again');
  assert.deepEqual((await recovered(scene, client)).lost, []);
  for (const { node } of scene.running())
    assert.equal((await world.settle(node.networkRegister?.read() ?? Promise.reject())).trees.length, 1);
});
