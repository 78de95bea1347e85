// Groups: who makes, changes and ends them, groups within groups, names that several have.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, equalBytes, toBase64, toHex } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Node } from '../../../src/core/node/node.ts';
import { Groups } from '../../../src/core/node/sharing/groups.ts';
import type { TreeEntry } from '../../../src/core/store/tree-entries.ts';
import { Cluster } from '../../fakes/fake-store.ts';
import { Process, World } from '../../fakes/world.ts';

const [alice, bob, carol] = ['alice', 'bob', 'carol'].map((name) => keyPairFromSeed(Buffer.alloc(32, name))) as [
  KeyPair,
  KeyPair,
  KeyPair,
];
const person = (name: string, { publicKey }: { publicKey: Bytes }) => ({ name, key: toBase64(publicKey) });
const user = (name: string, key: { publicKey: Bytes }) => ({ type: 'user', person: person(name, key) }) as const;
const denied = (error: unknown) => isError(error, 'denied');
const usage = (error: unknown) => isError(error, 'usage');

/** Registers that last, names that anybody may add to. */
function network() {
  const world = new World();
  const cluster = new Cluster(world);
  const entries: TreeEntry[] = [];
  const nodeOf = (name: string) => {
    const process = new Process(world, name);
    const networkRegister = {
      named: async (treeId: Bytes) => entries.filter((entry) => equalBytes(entry.treeId, treeId)),
      addTree: async ({ publicKey: owner }: KeyPair, treeId: Bytes, root: Bytes) =>
        void entries.push({ treeId, root, owner, signature: Buffer.alloc(64) }),
    };
    const owners = async () => cluster.members.map(({ node: id, store }) => ({ id, stores: [store] }));
    const { registers } = cluster.store(process);
    const known = { name: 'n', consensus: { 'replication-factor': 3 } };
    return { runtime: process.runtime, registers, networkRegister, overlay: { owners }, network: () => known };
  };
  const as = (name: string, key: KeyPair) => new Groups(nodeOf(name) as unknown as Node, key);
  const until = <T>(task: Promise<T>): Promise<T> => world.until(task);
  return { as, until };
}

test('who makes a group is in it and owns it; admins change who is in it, and nothing else; others change nothing', async () => {
  const { as, until } = network();
  const [hers, his] = [as('a', alice), as('b', bob)];
  await until(hers.create('staff', person('alice', alice)));
  const staff = await until(his.find('staff'));
  await assert.rejects(until(his.add(staff, user('bob', bob))), denied);
  await assert.rejects(until(his.setAdmin(staff, person('bob', bob), true)), denied);
  await until(hers.setAdmin(staff, person('bob', bob), true));
  await until(his.add(staff, user('carol', carol)));
  await until(his.describe(staff, 'who works here'));
  assert.deepEqual(await until(hers.show(staff)), {
    admins: ['bob'],
    members: ['alice', 'carol'],
    description: 'who works here',
  });
  await assert.rejects(until(his.setAdmin(staff, person('carol', carol), true)), denied);
  await assert.rejects(until(his.delete(staff)), denied);
  await until(hers.setAdmin(staff, person('bob', bob), false));
  await assert.rejects(until(his.remove(staff, user('carol', carol))), denied);
  assert.ok(equalBytes(await until(his.owner(staff)), alice.publicKey));
});

test('groups within groups count with all of theirs; none is in itself, and circles end', async () => {
  const { as, until } = network();
  const groups = as('a', alice);
  for (const name of ['outer', 'inner', 'third']) await until(groups.create(name, person('alice', alice)));
  const [outer, inner, third] = (await Promise.all(
    ['outer', 'inner', 'third'].map((name) => until(groups.find(name))),
  )) as [Awaited<ReturnType<Groups['find']>>, Awaited<ReturnType<Groups['find']>>, Awaited<ReturnType<Groups['find']>>];
  await until(groups.add(outer, { type: 'group', group: inner }));
  await until(groups.add(inner, user('bob', bob)));
  await until(groups.add(inner, { type: 'group', group: third }));
  await until(groups.add(third, user('carol', carol)));
  const keys = async () => (await until(groups.members(outer))).map((key) => toHex(key)).sort();
  assert.deepEqual(await keys(), [alice, bob, carol].map(({ publicKey }) => toHex(publicKey)).sort());
  for (const group of [outer, inner, third])
    await assert.rejects(until(groups.add(third, { type: 'group', group })), usage, group.name);
  await until(groups.remove(inner, { type: 'group', group: third }));
  assert.deepEqual(await keys(), [alice, bob].map(({ publicKey }) => toHex(publicKey)).sort());
  await until(groups.delete(inner));
  assert.deepEqual(await keys(), [toHex(alice.publicKey)]);
});

test("a name is its first maker's, after its end too; of several one's own is meant", async () => {
  const { as, until } = network();
  const [hers, his] = [as('a', alice), as('b', bob)];
  await assert.rejects(until(hers.find('staff')), usage);
  await assert.rejects(until(hers.create('No Name', person('alice', alice))), usage);
  await until(hers.create('staff', person('alice', alice)));
  for (const one of [hers, his])
    await assert.rejects(until(one.create('staff', person('x', bob))), (error) => isError(error, 'exists'));
  const staff = await until(hers.find('staff'));
  await until(hers.delete(staff));
  await assert.rejects(until(hers.show(staff)), usage);
  await assert.rejects(until(hers.add(staff, user('bob', bob))), usage);
  await assert.rejects(until(his.create('staff', person('bob', bob))), (error) => isError(error, 'exists'));
  await until(hers.create('staff', person('alice', alice)));
  assert.deepEqual((await until(hers.show(staff))).members, ['alice']);
});

test('keys that nothing can be sealed to do not count, and there is an end to members', async (t) => {
  const adjustable = limits as { groupMembersMax: number };
  const { groupMembersMax } = limits;
  adjustable.groupMembersMax = 3;
  t.after(() => (adjustable.groupMembersMax = groupMembersMax));
  const { as, until } = network();
  const groups = as('a', alice);
  await until(groups.create('staff', person('alice', alice)));
  const staff = await until(groups.find('staff'));
  await until(groups.add(staff, user('weak', { publicKey: Buffer.alloc(32) })));
  assert.deepEqual((await until(groups.members(staff))).map(toHex), [toHex(alice.publicKey)]);
  await until(groups.add(staff, user('bob', bob)));
  await assert.rejects(until(groups.add(staff, user('carol', carol))), (error) => isError(error, 'full'));
});
