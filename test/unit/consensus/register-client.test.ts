// The promises of `Registers` where nothing fails: round trips, shared signatures, conflicts, rights, deletion, rollback.

import assert from 'node:assert/strict';
import test from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { type Address, registerAddress } from '../../../src/core/block/address.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import { readImage } from '../../../src/core/block/register-validity.ts';
import { MemorySeenVersions } from '../../../src/core/consensus/register/seen-versions.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { Cluster, networkId, rotten, user } from '../../simulator/consensus-cluster.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';

const latencyMs = 10;

function setUp(rules: ConstructorParameters<typeof Cluster>[3] = {}): {
  world: World;
  cluster: Cluster;
  create(n: number): Promise<Address>;
} {
  const world = createWorld({ seed: 1, link: { latencyMs: { min: latencyMs, max: latencyMs } } });
  const cluster = new Cluster(world, 5, 2, rules);
  const members = cluster.storage.slice(0, 3).map((name) => cluster.member(name));
  const access = accessInClear(user.publicKey);
  const create = async (n: number) => {
    const salt = hash(Buffer.from(`salt ${n}`));
    const { registers } = cluster.client('c0');
    await registers.create({ owner: user, salt, members, access, payload: Buffer.from('0') });
    return registerAddress(user.publicKey, salt);
  };
  return { world, cluster, create };
}

test('a repeated write and an agreed read take one round trip', async () => {
  const { world, cluster, create } = setUp();
  const { registers } = cluster.client('c0');
  const address = await world.settle(create(1));
  for (const operation of [
    () => registers.write(address, user, () => Buffer.from('1')),
    () => registers.write(address, user, () => Buffer.from('2')),
    () => registers.read(address),
  ]) {
    const began = world.nowMs;
    await world.settle(operation());
    assert.ok(world.nowMs - began < 3 * latencyMs, `took ${world.nowMs - began} ms`);
  }
});

test('concurrent writes share signatures', async () => {
  const { world, cluster, create } = setUp();
  const { registers } = cluster.client('c0');
  const addresses = await world.settle(Promise.all(Array.from({ length: 128 }, (_, n) => create(n))));
  const written = await world.settle(
    Promise.all(addresses.map((address) => registers.write(address, user, () => Buffer.from('1')))),
  );
  const signatures = new Set(
    written.map(({ proof }) => toHex(readImage(networkId, proof).state.value.signature.signature)),
  );
  assert.ok(signatures.size <= 4, `${signatures.size} signatures for 128 writes`);
});

test('errors of the change are passed on, and nothing is written then', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const [mine, theirs] = [cluster.client('c0').registers, cluster.client('c1').registers];
  const other = theirs.write(address, user, (current) => Buffer.from(`${Buffer.from(current.payload)}1`));
  assert.equal((await world.settle(other)).version, 2);
  class Mine extends Error {}
  const seen: string[] = [];
  const change = (current: { payload: Uint8Array }) => {
    seen.push(Buffer.from(current.payload).toString());
    throw new Mine();
  };
  await assert.rejects(world.settle(mine.write(address, user, change)), Mine);
  assert.equal(seen.at(-1), '01');
  assert.equal((await world.settle(theirs.read(address))).version, 2);
});

test('a stranger is denied; a deleted register stays deleted', async () => {
  const { world, cluster, create } = setUp();
  const { registers } = cluster.client('c0');
  const address = await world.settle(create(1));
  const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
  await assert.rejects(world.settle(registers.write(address, stranger, () => Buffer.from('x'))), (error) =>
    isError(error, 'denied'),
  );
  await world.settle(registers.delete(address, user));
  assert.ok((await world.settle(registers.read(address))).deleted);
  await assert.rejects(world.settle(registers.write(address, user, () => Buffer.from('x'))), (error) =>
    isError(error, 'not-found'),
  );
});

test('the owner says who writes; who is left out is denied, and nobody else says so', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const writer = keyPairFromSeed(hash(Buffer.from('writer')));
  const [mine, theirs] = [cluster.client('c0').registers, cluster.client('c1').registers];
  const share = (writers: Uint8Array[], text: string, by = user) =>
    (by === user ? mine : theirs).share(address, by, ({ access, payload }) => ({
      payload: Buffer.from(`${Buffer.from(payload)}${text}`),
      access: { ...access, writers },
    }));
  const denied = (error: unknown) => isError(error, 'denied');
  assert.equal((await world.settle(share([writer.publicKey], ' shared'))).access.version, 2);
  const { access } = await world.settle(theirs.write(address, writer, () => Buffer.from('theirs')));
  assert.deepEqual([access.version, access.writers.map(toHex)], [2, [toHex(writer.publicKey)]]);
  await assert.rejects(world.settle(share([], ' seized', writer)), denied);
  const after = await world.settle(share([], ' alone'));
  assert.deepEqual([after.access.version, Buffer.from(after.payload).toString()], [3, 'theirs alone']);
  await assert.rejects(world.settle(theirs.write(address, writer, () => Buffer.from('x'))), denied);
  assert.equal((await world.settle(theirs.read(address))).version, after.version);
});

test('two devices of an owner share at the same time: one after the other', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const keys = ['a', 'b'].map((name) => keyPairFromSeed(hash(Buffer.from(name))).publicKey);
  const both = keys.map((key, i) =>
    cluster.client(`c${i}`).registers.share(address, user, ({ access, payload }) => ({
      payload,
      access: { ...access, writers: [...access.writers, key] },
    })),
  );
  await world.settle(Promise.all(both));
  const { access } = await world.settle(cluster.client('c0').registers.read(address));
  assert.deepEqual([access.version, new Set(access.writers.map(toHex))], [3, new Set(keys.map(toHex))]);
});

test('another set of members takes over, and the old ones may all be gone', async () => {
  const { world, cluster, create } = setUp();
  const { registers } = cluster.client('c0');
  const address = await world.settle(create(1));
  await world.settle(registers.write(address, user, () => Buffer.from('kept')));
  const target = ['n2', 'n3', 'n4'].map((name) => cluster.member(name));
  const moved = await world.settle(registers.reconfigure(address, target));
  assert.deepEqual([moved.joint, moved.generation, moved.members.length], [false, 2, 3]);
  assert.equal((await world.settle(registers.reconfigure(address, target))).generation, 2);
  for (const name of ['n0', 'n1']) world.host(name).crash();
  const read = await world.settle(cluster.client('c1').registers.read(address));
  assert.equal(Buffer.from(read.payload).toString(), 'kept');
  await world.settle(cluster.client('c1').registers.write(address, user, () => Buffer.from('on')));
});

test('members that have not heard of a new one yet are asked again, and that is no denial', async () => {
  let heard = false;
  const { world, cluster, create } = setUp({ mayStore: () => heard });
  const { registers } = cluster.client('c0');
  const address = await world.settle(create(1));
  const target = ['n2', 'n3', 'n4'].map((name) => cluster.member(name));
  const change = registers.reconfigure(address, target);
  await world.runFor(5_000);
  heard = true;
  assert.equal((await world.settle(change)).generation, 2);
  heard = false;
  const back = ['n0', 'n1', 'n2'].map((name) => cluster.member(name));
  const isUnavailable = (error: unknown) => isError(error, 'unavailable');
  await assert.rejects(world.settle(registers.reconfigure(address, back, { timeoutMs: 3_000 })), isUnavailable);
});

test('records that rot on a disk deny nobody: the others answer, and too few of them is a matter of time', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const rot = (name: string) => {
    const { values } = cluster.disk(name);
    for (const key of values.keys()) values.set(key, rotten);
    world.host(name).crash();
    cluster.restart(name);
  };
  rot('n0');
  const { registers } = cluster.client('c1');
  const written = await world.settle(registers.write(address, user, () => Buffer.from('1')));
  assert.equal(written.version, 2);
  assert.equal(Buffer.from((await world.settle(registers.read(address))).payload).toString(), '1');
  rot('n1');
  const soon = { timeoutMs: 3_000 };
  for (const attempt of [
    () => registers.read(address, soon),
    () => registers.write(address, user, () => Buffer.from('2'), soon),
  ])
    await assert.rejects(world.settle(attempt()), (error) => isError(error, 'unavailable'));
});

/** One record of that disk rots, and the process begins anew: nothing of it is in memory. */
function rotRecord(cluster: Cluster, name: string, address: Address): void {
  cluster.disk(name).values.set(`register/${toHex(address)}`, rotten);
  cluster.world.host(name).crash();
  cluster.restart(name);
}

test('a member whose record has rotted has it again from the others, when nothing it can have promised is above', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  rotRecord(cluster, 'n0', address);
  const stored = () =>
    cluster
      .disk('n0')
      .values.get(`register/${toHex(address)}`)
      ?.toString();
  const mend = () => world.settle(cluster.client('n0').service?.mend(address) ?? Promise.reject());
  const { registers } = cluster.client('n0');
  assert.equal(await mend(), 'later');
  await world.settle(cluster.client('c1').registers.write(address, user, () => Buffer.from('1')));
  await world.runFor(1_000);
  assert.equal(stored(), 'rotten', 'it may have promised more than this one asks for');
  await world.runFor(60_000);
  assert.equal(await mend(), 'settle');
  await world.settle(registers.settle(address));
  await world.runFor(1_000);
  assert.notEqual(stored(), 'rotten');
  world.host('n1').crash();
  const written = await world.settle(
    cluster.client('c1').registers.write(address, user, ({ payload }) => Buffer.from(`${Buffer.from(payload)}2`)),
  );
  assert.equal(Buffer.from(written.payload).toString(), '12', 'its vote counts again');
});

test('a record that has rotted under a process that remembers it is written anew; nobody is asked', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const { values } = cluster.disk('n0');
  const name = `register/${toHex(address)}`;
  const sound = values.get(name);
  values.set(name, rotten);
  for (const other of ['n1', 'n2']) world.host(other).crash();
  assert.equal(await world.settle(cluster.client('n0').service?.mend(address) ?? Promise.reject()), 'mended');
  assert.deepEqual(values.get(name), sound);
});

test('what a rotten record promised is kept: nothing below the highest promise of the store is accepted', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  // The proposer's clock is ahead: so are his ballots.
  world.host('n4').wallOffsetMs = 90_000;
  await world.settle(cluster.client('n4').registers.settle(address));
  rotRecord(cluster, 'n0', address);
  const { values } = cluster.disk('n0');
  await world.runFor(62_000);
  assert.equal(await world.settle(cluster.client('n0').service?.mend(address) ?? Promise.reject()), 'later');
  await world.settle(cluster.client('c1').registers.settle(address));
  await world.runFor(1_000);
  assert.equal(values.get(`register/${toHex(address)}`)?.toString(), 'rotten');
  await world.runFor(90_000);
  await world.settle(cluster.client('n0').registers.settle(address));
  await world.runFor(1_000);
  assert.notEqual(values.get(`register/${toHex(address)}`)?.toString(), 'rotten');
});

test('a network that shows an older state is caught', async () => {
  const { world, cluster, create } = setUp();
  const address = await world.settle(create(1));
  const snapshot = await world.settle(cluster.client('c0').registers.write(address, user, () => Buffer.from('1')));
  const seen = new MemorySeenVersions();
  seen.put(address, { version: snapshot.version + 1, hash: Buffer.alloc(32), recovered: 0 });
  seen.put(address, { version: snapshot.version, hash: snapshot.valueHash, recovered: 0 });
  assert.equal((await seen.get(address))?.version, snapshot.version + 1);
  const disks = cluster.storage.map((name) => new Map(cluster.disk(name).values));
  await world.settle(cluster.client('c0').registers.write(address, user, () => Buffer.from('2')));
  for (const [i, name] of cluster.storage.entries()) {
    cluster.disk(name).values.clear();
    for (const [key, value] of disks[i] ?? []) cluster.disk(name).values.set(key, value);
    cluster.restart(name);
  }
  await assert.rejects(
    world.settle(cluster.client('c0').registers.read(address)),
    (error) => isError(error, 'corrupt') && /rollback detected/.test(error.message),
  );
});

test('members that were away when something was agreed on are told of, and have it once it is settled', async () => {
  const { world, cluster, create } = setUp();
  const { registers } = cluster.client('c0');
  const address = await world.settle(create(1));
  const [away = '', ...others] = cluster.storage;
  world.network.partition([away], [...others, 'c0', 'c1']);
  const written = await world.settle(registers.write(address, user, () => Buffer.from('1')));
  const lagging = async () => {
    const { behind, silent } = await world.settle(registers.lagging(written));
    return [behind, silent].map((list) => list.map(({ node }) => toHex(node)));
  };
  const name = toHex(cluster.member(away).node);
  assert.deepEqual(await lagging(), [[], [name]]);
  world.network.heal();
  await world.runFor(10_000);
  assert.deepEqual(await lagging(), [[name], []]);
  await world.settle(registers.settle(address));
  await world.runFor(1_000);
  assert.deepEqual(await lagging(), [[], []]);
});
