// What `--default-permissions` promises, over whole nodes: a second user with a passport reads a tree sealed to the members key
// and, where it is open for writing too, leads it and writes it; nobody else opens anything.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { utf8 } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import type { DefaultPermissions } from '../../src/core/descriptor/descriptor.ts';
import { createVolume } from '../../src/core/descriptor/volumes.ts';
import type { LinkedNode } from '../../src/core/node/link.ts';
import { openDescribedTree } from '../../src/core/node/trees.ts';
import { worldOf } from '../../src/core/node/volumes.ts';
import { openKeyStore } from '../../src/core/volume/key-store.ts';
import { keyView } from '../../src/core/volume/key-view.ts';
import { network, type TwoUsers, twoUsers } from './two-users.ts';

async function volumeOf({ world, owner }: TwoUsers, defaultPermissions: DefaultPermissions) {
  return world.settle(createVolume(owner.context, { as: 'alice', name: 'v', network, defaultPermissions }));
}

function opening(scene: TwoUsers, linked: LinkedNode, descriptor: Awaited<ReturnType<typeof volumeOf>>) {
  const described = { kind: 'volume', descriptor, view: () => keyView, world: worldOf(descriptor) } as const;
  return scene.world.settle(openDescribedTree(linked, described, { door: false }));
}

const denied = (message: RegExp) => (error: unknown) =>
  error instanceof InfinitError && error.kind === 'denied' && message.test(error.message);

test('without default permissions another user is refused', async (t) => {
  const all = await twoUsers(t);
  const volume = await volumeOf(all, '');
  await assert.rejects(opening(all, all.bob, volume), (error: Error) =>
    /^volume "alice\/v" has no root yet: its owner must run it once$/.test(error.message),
  );
  await opening(all, all.alice, volume);
  await assert.rejects(opening(all, all.bob, volume), denied(/^volume "alice\/v" is not shared with you$/));
});

test('with r every passport holder reads, with a leader and without, and writes nothing', async (t) => {
  const all = await twoUsers(t);
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
  const all = await twoUsers(t);
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
  const all = await twoUsers(t, { denyWrite: true });
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
