// What a process tells of the trees open in it: to readers of the tree, and to others no more than of a tree it does not know.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { treeAttach, treeQuery, treeWatch } from '../../../src/core/tree/messages.ts';
import { FakePeers } from '../../fakes/fake-peers.ts';
import { add, TreeWorld } from '../../fakes/fake-tree.ts';
import { Process } from '../../fakes/world.ts';
import { keyOf } from '../../fuzz/subjects.ts';

test('who may not read a tree does not learn who leads it, nor whether it is open', async () => {
  const w = new TreeWorld();
  await w.found();
  const a = await w.open('a');
  const b = await w.open('b');
  await w.world.until(add(a.tree, 'x'));
  await w.world.until(add(b.tree, 'x'));
  const mallory = { userKey: keyOf('mallory').publicKey, write: false };
  const stranger = new FakePeers(w.network, new Process(w.world, 'stranger'), mallory);
  const at = async (peers: FakePeers) => w.world.until(stranger.connect({ endpoints: [peers.endpoint] }));
  const request = { treeId: w.treeId, client: Buffer.alloc(16, 1) };
  const query = { treeId: w.treeId, query: Buffer.alloc(0), generation: 0 };
  const watch = { treeId: w.treeId, after: 0, waitMs: 1 };
  const follower = await at(b.peers);
  const nothing = { role: 'none', epoch: 0, sequence: 0 };
  assert.deepEqual(await w.world.until(follower.call(treeAttach, request)), nothing);
  const moved = { type: 'moved', epoch: 0, role: 'none' };
  assert.deepEqual(await w.world.until(follower.call(treeQuery, query)), { outcome: moved, leaseMs: 0 });
  assert.deepEqual(await w.world.until(follower.call(treeWatch, watch)), moved);
  const leader = await at(a.peers);
  await assert.rejects(w.world.until(leader.call(treeAttach, request)), (error) => isError(error, 'denied'));
  const own = await w.world.until(b.peers.connect({ endpoints: [a.peers.endpoint] }));
  const told = await w.world.until(own.call(treeAttach, request));
  assert.equal(told.role, 'leading');
});
