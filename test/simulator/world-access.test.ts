// What `--default-permissions` promises, over whole nodes: a second user with a passport reads a tree sealed to the members key
// and, where it is open for writing too, leads it and writes it; nobody else opens anything.

import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { descriptorContext } from '../../src/core/descriptor/context.ts';
import type { DefaultPermissions, Home } from '../../src/core/descriptor/descriptor.ts';
import { linkNetwork } from '../../src/core/descriptor/links.ts';
import { importNetwork } from '../../src/core/descriptor/networks.ts';
import { createPassport, importPassport } from '../../src/core/descriptor/passports.ts';
import { createUser, exportUser, importUser } from '../../src/core/descriptor/users.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import { type LinkedNode, openLinkedNode } from '../../src/core/node/link.ts';
import { openDescribedTree } from '../../src/core/node/trees.ts';
import { worldOf } from '../../src/core/node/volumes.ts';
import { openKeyStore } from '../../src/core/volume/key-store.ts';
import { keyView } from '../../src/core/volume/key-view.ts';
import { createWorld, type World } from './runtime/world.ts';
import { type Device, makeCluster } from './whole.ts';

const bobsHome: Home = {
  data: '/b/data',
  cache: '/b/cache',
  state: '/b/state',
  config: '/b/config',
  runtime: '/b/run',
};
const network = 'alice/cluster';

interface Scene {
  world: World;
  alice: LinkedNode;
  bob: LinkedNode;
  owner: Device;
}

/** Alice's three storage nodes, of which one opens the trees too, and Bob's client. */
async function scene(t: TestContext, passport: { denyWrite?: boolean } = {}): Promise<Scene> {
  const world = createWorld({ seed: t.name });
  const { devices } = await makeCluster(world, { nodes: 3, clients: 0 });
  const [owner, ...others] = devices as [Device, ...Device[]];
  const { runtime } = world.host('bob');
  const bob = { ...descriptorContext(runtime, bobsHome), runtime };
  const settle = <T>(promise: Promise<T>) => world.settle(promise);
  await settle(createUser(bob, { name: 'bob' }));
  await settle(importUser(owner.context, JSON.stringify(await settle(exportUser(bob, 'bob')))));
  await settle(importUser(bob, JSON.stringify(await settle(exportUser(owner.context, 'alice')))));
  await settle(importNetwork(bob, await settle(owner.context.repository.get('network', network))));
  const { passport: paper } = await settle(
    createPassport(owner.context, { as: 'alice', network, user: 'bob', denyStorage: true, ...passport }),
  );
  await settle(importPassport(bob, JSON.stringify(paper)));
  await settle(linkNetwork(bob, { as: 'bob', name: network }));
  const alice = await settle(owner.startNode([]));
  await settle(Promise.all(others.map((device) => device.startNode([owner.endpoint]))));
  await world.runFor(10_000);
  const listen = { host: 'bob', port: 4000 };
  const opened = await settle(openLinkedNode({ context: bob, as: 'bob', network, role: 'client', listen }));
  await settle(opened.node.start([owner.endpoint]));
  return { world, alice, bob: opened, owner };
}

async function volumeOf({ world, owner }: Scene, defaultPermissions: DefaultPermissions) {
  return world.settle(createVolume(owner.context, { as: 'alice', name: 'v', network, defaultPermissions }));
}

function opening(scene: Scene, linked: LinkedNode, descriptor: Awaited<ReturnType<typeof volumeOf>>) {
  const described = { kind: 'volume', descriptor, view: () => keyView, world: worldOf(descriptor) } as const;
  return scene.world.settle(openDescribedTree(linked, described, { door: false }));
}

const denied = (message: RegExp) => (error: unknown) =>
  error instanceof InfinitError && error.kind === 'denied' && message.test(error.message);

test('without default permissions another user is refused', async (t) => {
  const all = await scene(t);
  const volume = await volumeOf(all, '');
  await assert.rejects(opening(all, all.bob, volume), (error: Error) =>
    /^volume "alice\/v" has no root yet: its owner must run it once$/.test(error.message),
  );
  await opening(all, all.alice, volume);
  await assert.rejects(opening(all, all.bob, volume), denied(/^volume "alice\/v" is not shared with you$/));
});

test('with r every passport holder reads, with a leader and without, and writes nothing', async (t) => {
  const all = await scene(t);
  const { world } = all;
  const volume = await volumeOf(all, 'r');
  const owned = await opening(all, all.alice, volume);
  const keys = openKeyStore(owned.tree);
  await world.settle(keys.put(utf8('k'), utf8('v')));
  const shared = await opening(all, all.bob, volume);
  assert.equal(shared.readOnly, true);
  const seen = openKeyStore(shared.tree);
  assert.equal(Buffer.from((await world.settle(seen.get(utf8('k')))).value).toString(), 'v');
  await assert.rejects(world.settle(seen.put(utf8('k'), utf8('w'))), denied(/open for reading only/));
  await world.settle(owned.tree.stop());
  assert.equal(Buffer.from((await world.settle(seen.get(utf8('k')))).value).toString(), 'v');
  assert.equal(shared.tree.status().role, 'none');
});

test('with rw every passport holder writes: forwarded, and as the leader', async (t) => {
  const all = await scene(t);
  const { world } = all;
  const volume = await volumeOf(all, 'rw');
  const owned = await opening(all, all.alice, volume);
  const hers = openKeyStore(owned.tree);
  await world.settle(hers.put(utf8('k'), utf8('hers')));
  const shared = await opening(all, all.bob, volume);
  assert.equal(shared.readOnly, false);
  const his = openKeyStore(shared.tree);
  await world.settle(his.put(utf8('k'), utf8('his')));
  assert.equal(Buffer.from((await world.settle(hers.get(utf8('k')))).value).toString(), 'his');
  await world.settle(owned.tree.stop());
  await world.settle(his.put(utf8('l'), utf8('led by him')));
  assert.equal(shared.tree.status().role, 'leader');
  await world.settle(shared.tree.commit());
  await world.settle(shared.tree.stop());
  const again = openKeyStore((await opening(all, all.alice, volume)).tree);
  assert.equal(Buffer.from((await world.settle(again.get(utf8('l')))).value).toString(), 'led by him');
});

test('a passport that denies writing opens what is open for writing for reading only', async (t) => {
  const all = await scene(t, { denyWrite: true });
  const { world } = all;
  const volume = await volumeOf(all, 'rw');
  const owned = await opening(all, all.alice, volume);
  await world.settle(openKeyStore(owned.tree).put(utf8('k'), utf8('v')));
  const shared = await opening(all, all.bob, volume);
  assert.equal(shared.readOnly, true);
  const seen = openKeyStore(shared.tree);
  assert.equal(Buffer.from((await world.settle(seen.get(utf8('k')))).value).toString(), 'v');
  await assert.rejects(world.settle(seen.put(utf8('k'), utf8('w'))), denied(/open for reading only/));
});
