// Services: descriptors that owners keep in the network; what others put there is not believed, and all go with their tree.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, equalBytes, fromBase64, toBase64 } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { networkIdOf } from '../../../src/core/block/address.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { boxKeyPair, sealTo } from '../../../src/core/crypto/sealed-box.ts';
import type { VolumeDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { keyToJson } from '../../../src/core/descriptor/keys.ts';
import { signKeyValueStore, signVolume } from '../../../src/core/descriptor/signing.ts';
import type { LinkedNode } from '../../../src/core/node/link.ts';
import { registeredServices, registerService, type Service } from '../../../src/core/node/services.ts';
import { entryName, signTreeEntry, type TreeEntry } from '../../../src/core/store/tree-entries.ts';
import { Cluster } from '../../fakes/fake-store.ts';
import { Process, World } from '../../fakes/world.ts';

const [alice, bob] = ['alice', 'bob'].map((name) => keyPairFromSeed(Buffer.alloc(32, name))) as [KeyPair, KeyPair];
const memberSecret = Buffer.alloc(32, 7);
const networkId = networkIdOf(alice.publicKey, 'alice/cluster');

/** Registers that last; the network register as a list that keeps its rules of naming. */
function network() {
  const world = new World();
  const cluster = new Cluster(world);
  const trees: TreeEntry[] = [];
  const find = (name: string) => trees.find((entry) => entryName(entry) === name);
  const networkRegister = {
    read: async () => ({ trees: [...trees] }),
    findTree: async (treeId: Bytes, owner: Bytes) => find(entryName({ treeId, owner }))?.root,
    addTree: async (owner: KeyPair, treeId: Bytes, root: Bytes) => {
      trees.push(signTreeEntry(networkId, owner, treeId, root));
      return root;
    },
  };
  const as = (name: string, user: KeyPair): LinkedNode => {
    const process = new Process(world, name);
    const owners = async () => cluster.members.map(({ node: id, store }) => ({ id, stores: [store] }));
    const { registers } = cluster.store(process);
    const members_key = toBase64(boxKeyPair(memberSecret).publicKey);
    const known = { name: 'alice/cluster', members_key, consensus: { 'replication-factor': 3 } };
    const node = { runtime: process.runtime, registers, networkRegister, overlay: { owners }, network: () => known };
    const passport = { members_key: toBase64(sealTo(user.publicKey, memberSecret, world.bytes(32))) };
    return { node: { ...node, networkId }, user, link: { passport } } as unknown as LinkedNode;
  };
  const until = <T>(task: Promise<T>): Promise<T> => world.until(task);
  return { as, until, trees };
}

const fields = (owner: KeyPair, name: string) => ({
  name,
  network: 'alice/cluster',
  owner: keyToJson(owner.publicKey),
  tree_id: toBase64(Buffer.alloc(16, name)),
  serial: 1,
});

function volume(owner: KeyPair, name: string, changes: Partial<VolumeDescriptor> = {}): Service & { kind: 'volume' } {
  const rest = { block_size: 1 << 20, default_permissions: '' as const, mount_options: {} };
  return { kind: 'volume', descriptor: signVolume(owner, { ...fields(owner, name), ...rest, ...changes }) };
}

const idOf = ({ descriptor }: Service) => fromBase64(descriptor.tree_id);
const names = (services: readonly Service[]) => services.map(({ kind, descriptor }) => `${kind} ${descriptor.name}`);
const refuseNothing = (reason: string) => assert.fail(reason);

test('what an owner registers others find, without its mountpoint; a newer descriptor takes the place of the older', async () => {
  const { as, until, trees } = network();
  const [hers, his] = [as('a', alice), as('b', bob)];
  const shared = volume(alice, 'alice/shared', { mount_options: { mountpoint: '/mnt/alice', readonly: true } });
  const store: Service = { kind: 'key-value-store', descriptor: signKeyValueStore(bob, fields(bob, 'bob/settings')) };
  await assert.rejects(until(registerService(hers, shared)), (error) => isError(error, 'not-found'));
  await until(hers.node.networkRegister?.addTree(alice, idOf(shared), Buffer.alloc(32, 1)) as Promise<Bytes>);
  await until(his.node.networkRegister?.addTree(bob, idOf(store), Buffer.alloc(32, 2)) as Promise<Bytes>);
  assert.deepEqual(await until(registeredServices(his, refuseNothing)), []);
  await assert.rejects(until(registerService(his, shared)), (error) => isError(error, 'denied'));
  await until(registerService(hers, shared));
  await until(registerService(his, store));
  const found = await until(registeredServices(his, refuseNothing));
  assert.deepEqual(names(found), ['volume alice/shared', 'key-value-store bob/settings']);
  assert.deepEqual((found[0] as typeof shared).descriptor.mount_options, { readonly: true });
  const count = trees.length;
  await until(registerService(hers, shared));
  await until(registerService(hers, volume(alice, 'alice/shared', { serial: 2, description: 'ours' })));
  assert.equal(trees.length, count);
  const [renewed] = await until(registeredServices(his, refuseNothing));
  assert.equal(renewed?.descriptor.description, 'ours');
});

test('storage nodes do not read what is registered', async () => {
  const { as, until, trees } = network();
  const hers = as('a', alice);
  const shared = volume(alice, 'alice/secret-plans');
  await until(hers.node.networkRegister?.addTree(alice, idOf(shared), Buffer.alloc(32, 1)) as Promise<Bytes>);
  await until(registerService(hers, shared));
  const { payload } = await until(hers.node.registers.read(trees[1]?.root as Bytes));
  assert.ok(!Buffer.from(payload).includes('secret-plans'));
});

test('a descriptor of another tree, of another owner, or without a true signature is told and left out', async () => {
  const { as, until, trees } = network();
  const [hers, his] = [as('a', alice), as('b', bob)];
  const [good, mine] = [volume(alice, 'alice/good'), volume(bob, 'bob/mine')];
  for (const [linked, one] of [
    [hers, good],
    [his, mine],
  ] as const) {
    await until(linked.node.networkRegister?.addTree(linked.user, idOf(one), Buffer.alloc(32, 1)) as Promise<Bytes>);
    await until(registerService(linked, one));
  }
  // Bob's register says now what only alice may say.
  const at = trees.find(({ owner, treeId }) => equalBytes(owner, bob.publicKey) && !equalBytes(treeId, idOf(mine)));
  const stolen = trees.find(
    ({ owner, treeId }) => equalBytes(owner, alice.publicKey) && !equalBytes(treeId, idOf(good)),
  );
  const { payload } = await until(his.node.registers.read(stolen?.root as Bytes));
  await until(his.node.registers.write(at?.root as Bytes, bob, () => payload));
  const refused: string[] = [];
  assert.deepEqual(names(await until(registeredServices(hers, (reason) => refused.push(reason)))), [
    'volume alice/good',
  ]);
  assert.match(refused.join(), /descriptor of something else/);
  await until(his.node.registers.write(at?.root as Bytes, bob, () => Buffer.from('rubbish')));
  assert.equal((await until(registeredServices(hers, (reason) => refused.push(reason)))).length, 1);
  assert.equal(refused.length, 2);
  // An entry in alice's name that she did not sign.
  const forged = trees.find((entry) => entry === stolen) as TreeEntry;
  forged.signature = Buffer.alloc(64);
  assert.deepEqual(await until(registeredServices(his, (reason) => refused.push(reason))), []);
  assert.match(refused.join(), /lacks its owner's signature/);
});

test('a descriptor above the limit is refused', async () => {
  const { as, until } = network();
  const hers = as('a', alice);
  const fuse_options = Array.from({ length: 64 }, (_, at) => `${at}${'x'.repeat(400)}`);
  const large = volume(alice, 'alice/shared', { mount_options: { fuse_options } });
  await until(hers.node.networkRegister?.addTree(alice, idOf(large), Buffer.alloc(32, 1)) as Promise<Bytes>);
  await assert.rejects(until(registerService(hers, large)), (error) => isError(error, 'full'));
});
