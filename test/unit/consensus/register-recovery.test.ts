// First states that are not simply written: of registers created by who has a slow clock, and of registers whose owner begins anew
// because a majority of their members is lost for good (docs/protocols.md 2.6, 2.11).

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { registerAddress } from '../../../src/core/block/address.ts';
import { accessInClear } from '../../../src/core/block/register.ts';
import { imageOf, readImage, signRecovery } from '../../../src/core/block/register-validity.ts';
import type { NewAccess } from '../../../src/core/consensus/consensus.ts';
import { Floor } from '../../../src/core/consensus/register/floor.ts';
import { registerBatch } from '../../../src/core/consensus/register/messages.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { Silo } from '../../../src/core/silo/silo.ts';
import { Cluster, idOf, networkId, port, user } from '../../simulator/consensus-cluster.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const salt = hash(Buffer.from('salt'));
const address = registerAddress(user.publicKey, salt);
const hourMs = 60 * 60_000;
const access = accessInClear(user.publicKey);

function setUp() {
  const world = createWorld({ seed: 1 });
  const cluster = new Cluster(world, 5, 3);
  const of = (...names: string[]) => names.map((name) => cluster.member(name));
  const create = () => {
    const members = of('n0', 'n1', 'n2');
    return cluster.client('c0').registers.create({ owner: user, salt, members, access, payload: Buffer.from('0') });
  };
  const write = (client: string, text: string) =>
    world.settle(cluster.client(client).registers.write(address, user, () => Buffer.from(text)));
  const read = async (client: string) => {
    const snapshot = await world.settle(
      cluster.client(client).registers.read(address, { members: of('n0', 'n1', 'n2') }),
    );
    return Buffer.from(snapshot.payload).toString();
  };
  return { world, cluster, of, create, write, read };
}

test('who has a slow clock creates registers at stores that have forgotten later ones', async () => {
  const { world, cluster, create, read, write } = setUp();
  for (const [i, name] of ['n0', 'n1', 'n2'].entries()) {
    const round = world.host(name).runtime.clock.now() + (1 + 5 * i) * hourMs;
    const { space, key, value } = new Floor(undefined as unknown as Silo).raise({ round, proposer: Buffer.alloc(8) });
    cluster.disk(name).values.set(`${space}/${toHex(key)}`, Buffer.from(value as Uint8Array));
  }
  const { version } = await world.settle(create());
  assert.equal(version, 1);
  assert.equal(await read('c1'), '0');
  await write('c2', '1');
  assert.equal(await read('c1'), '1');
});

/** n0 has what was written first; n1 and n2, who have the rest too, are lost. */
async function lost(change: Partial<NewAccess> = {}) {
  const field = setUp();
  const { world, cluster, create, write, read } = field;
  await world.settle(create());
  await write('c0', 'early');
  await world.runFor(1000);
  world.host('n0').crash();
  const late = { payload: Buffer.from('late'), access: { ...access, ...change } };
  if (Object.keys(change).length === 0) await write('c0', 'late');
  else await world.settle(cluster.client('c0').registers.share(address, user, () => late));
  assert.equal(await read('c1'), 'late');
  for (const name of ['n1', 'n2']) world.host(name).crash();
  cluster.restart('n0');
  await world.runFor(1000);
  const recover = async (owner: KeyPair, client = 'c0', change = (payload: Uint8Array) => payload) => {
    const { registers } = cluster.client(client);
    const survey = await world.settle(registers.survey(address));
    return { survey, snapshot: await world.settle(registers.recover(survey, owner, change)) };
  };
  return { ...field, recover };
}

test('a register whose majority is lost is blocked, until its owner begins anew with what is left', async () => {
  const { world, cluster, of, write, read, recover } = await lost();
  const { registers } = cluster.client('c2');
  await assert.rejects(world.settle(registers.read(address, { timeoutMs: 5000 })), { kind: 'unavailable' });
  const { survey, snapshot } = await recover(user);
  assert.deepEqual(survey.holders, of('n0'));
  assert.deepEqual(survey.missing, of('n1', 'n2'));
  assert.equal(Buffer.from(snapshot.payload).toString(), 'early');
  assert.deepEqual([snapshot.generation, snapshot.members], [1000, of('n0')]);
  // Everybody reads it, who saw what is lost too; and it goes on, and grows.
  for (const client of ['c0', 'c1', 'c2']) assert.equal(await read(client), 'early', client);
  await write('c1', 'after');
  await world.settle(cluster.client('n0').registers.reconfigure(address, of('n0', 'n3', 'n4')));
  await write('c2', 'grown');
  assert.equal(await read('c0'), 'grown');
});

test('those who come back after all have no say any more, and give up what they hold', async () => {
  const { world, cluster, of, write, read, recover } = await lost();
  await recover(user);
  await write('c1', 'after');
  for (const name of ['n1', 'n2']) cluster.restart(name);
  await world.runFor(1000);
  // Who has seen the recovery is not shown the older history; who has not, not once they have looked, as their workers do.
  for (const client of ['c0', 'c1'])
    await world
      .settle(cluster.client(client).registers.read(address))
      .catch((error) => assert.match(error.message, /rollback/));
  for (const name of ['n1', 'n2']) await read(name);
  await world.runFor(1000);
  for (const client of ['c0', 'c1', 'c2', 'n1', 'n2']) assert.equal(await read(client), 'after', client);
  await write('c2', 'on');
  await world.settle(cluster.client('n0').registers.reconfigure(address, of('n0', 'n1', 'n2')));
  await write('c0', 'with them');
  world.host('n0').crash();
  assert.equal(await read('c2'), 'with them');
  const { proof } = await world.settle(cluster.client('c1').registers.read(address));
  assert.equal(readImage(networkId, proof).state.genesis.recovery?.generation, 1000);
});

test('who has seen an access list that is lost goes on from the one that stands', async () => {
  const { cluster, write, read, recover } = await lost({ worldWrite: true });
  const { snapshot } = await recover(user, 'c2');
  assert.equal(snapshot.access.version, 1);
  await write('c1', 'after');
  for (const name of ['n1', 'n2']) cluster.restart(name);
  await write('c0', 'and on');
  assert.equal(await read('c2'), 'and on');
});

test('nobody but the owner recovers a register, and not while a majority is there', async () => {
  const { world, cluster, of, recover } = await lost();
  const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
  await assert.rejects(recover(stranger), { kind: 'denied' });
  const survey = await world.settle(cluster.client('c0').registers.survey(address));
  assert.ok(survey.newest);
  const { state, valueHash } = survey.newest.image;
  // Past the client: the store refuses what the owner has not signed, and another value than he signed.
  const propose = async (by: KeyPair, signed: Uint8Array) => {
    const forged = signRecovery(by, networkId, salt, of('n0'), { generation: 1000, valueHash: signed, lost: [] });
    const config = { generation: 1000, current: of('n0'), previous: undefined };
    const image = imageOf(networkId, address, { ...state, config, genesis: { ...forged, salt } });
    const ballot = { round: world.host('c0').runtime.clock.now() + hourMs, proposer: Buffer.alloc(8, 1) };
    const message = { type: 'accept' as const, ballot, state: image.bytes, from: undefined, next: undefined };
    const peer = await cluster.client('c0').peers.connect({ id: idOf('n0'), endpoints: [{ host: 'n0', port }] });
    const [reply] = (await peer.call(registerBatch, { calls: [{ address, message }] })).replies;
    return reply?.type === 'denied' ? reply.reason : reply?.type;
  };
  assert.match((await world.settle(propose(stranger, valueHash))) ?? '', /not signed by the owner/);
  for (const name of ['n1', 'n2']) cluster.restart(name);
  await world.runFor(1000);
  await assert.rejects(recover(user), { kind: 'conflict' });
});

test('what goes on may differ from the copy: the owner signs it', async () => {
  const { recover, read, write } = await lost();
  const { snapshot } = await recover(user, 'c1', (payload) => Buffer.concat([payload, Buffer.from(', and less')]));
  assert.equal(Buffer.from(snapshot.payload).toString(), 'early, and less');
  await write('c2', 'on');
  assert.equal(await read('c0'), 'on');
});
