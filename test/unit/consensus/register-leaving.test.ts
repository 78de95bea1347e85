// A store whose register goes on without it (docs/protocols.md 2.3 rules 4 and 5, 2.7): stub, floor, and when neither may be.

import assert from 'node:assert/strict';
import test from 'node:test';
import { toHex } from '../../../src/core/base/bytes.ts';
import { type Address, registerAddress } from '../../../src/core/block/address.ts';
import { accessInClear, type RegisterConfig, type RegisterState } from '../../../src/core/block/register.ts';
import { type StateImage, imageOf as signedImageOf } from '../../../src/core/block/register-validity.ts';
import { type AcceptorRecord, acceptorStep, retired } from '../../../src/core/consensus/register/acceptor.ts';
import { type Ballot, zeroBallot } from '../../../src/core/consensus/register/ballot.ts';
import type { Message } from '../../../src/core/consensus/register/messages.ts';
import { beginPrepare, onReply } from '../../../src/core/consensus/register/proposer.ts';
import { enterJoint, leaveJoint } from '../../../src/core/consensus/register/quorum.ts';
import { decodeRecord, encodeRecord } from '../../../src/core/consensus/register/record.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { Cluster, networkId, user } from '../../simulator/consensus-cluster.ts';
import { createWorld, type World } from '../../simulator/runtime/world.ts';
import { memberOf } from './register-field.ts';

const members = (...nodes: number[]) => nodes.map((node) => memberOf(node));
const old: RegisterConfig = { generation: 0, current: members(1, 2, 3), previous: undefined };
const joint = enterJoint(old, members(3, 4, 5));
const moved = leaveJoint(joint);
const at = (round: number): Ballot => ({ round, proposer: Buffer.alloc(8, 1) });
const imageOf = (config: RegisterConfig, version = 1): StateImage => ({
  address: Buffer.alloc(32),
  state: {
    config,
    value: { version, deleted: false },
    access: { version: 1 },
    genesis: {},
  } as unknown as RegisterState,
  bytes: Buffer.alloc(0),
  hash: hash(Buffer.from(`${config.generation} ${version}`)),
  valueHash: hash(Buffer.from(`${version}`)),
});
const holding = (config: RegisterConfig, round: number): AcceptorRecord => ({
  promised: at(round),
  accepted: { ballot: at(round), image: imageOf(config), from: config },
  committed: undefined,
});
const context = (node: number, floor = zeroBallot) => ({
  self: memberOf(node),
  now: 1000,
  floor,
  refuse: () => undefined,
});
const accept = (round: number, config: RegisterConfig, from = config): Message => ({
  type: 'accept',
  ballot: at(round),
  image: imageOf(config),
  from,
  next: undefined,
});
const stub = retired(holding(old, 7), { generation: 2, current: members(3, 4, 5), since: 50 });

test('a stub answers where the register went, and votes in nothing it gave way to (2.3 rule 5)', () => {
  const answers: Message[] = [
    { type: 'read', known: undefined },
    { type: 'prepare', ballot: at(900), known: undefined, evidence: undefined },
    {
      type: 'prepare',
      ballot: at(900),
      known: undefined,
      evidence: { ballot: at(8), image: imageOf(joint), from: joint },
    },
    accept(900, old),
    accept(900, joint, old),
  ];
  for (const message of answers) {
    const step = acceptorStep(stub, message, context(1));
    assert.deepEqual(step.reply, { type: 'moved', generation: 2, current: members(3, 4, 5) });
    assert.deepEqual([step.persist, step.record], [false, stub]);
  }
});

test('who moved out is asked again with evidence when a joint state not chosen yet names it', () => {
  // 4 and 5 hold the joint state; 1 and 2, which have stubs of the change before, are the majority of the new set with 4.
  const back = enterJoint(moved, members(1, 2, 4));
  const held = { ballot: at(8), image: imageOf(back), from: moved };
  const nodes = members(1, 2, 3, 4, 5).map(({ node }) => node);
  let step = beginPrepare(at(9), nodes, undefined);
  for (const node of [4, 5])
    step = onReply(step.attempt, memberOf(node), 'prepare', { type: 'promise', entry: held, committed: false });
  step = onReply(step.attempt, memberOf(1), 'prepare', { type: 'moved', generation: 2, current: members(3, 4, 5) });
  assert.equal(step.attempt.phase, 'preparing');
  const [again] = step.send;
  assert.ok(again?.message.type === 'prepare' && again.message.evidence?.image === held.image);
  assert.equal(toHex(again.node), toHex(memberOf(1).node));
  step = onReply(step.attempt, memberOf(1), 'prepare', { type: 'promise', entry: undefined, committed: false });
  assert.equal(step.attempt.phase, 'ready');
});

test('a later configuration lets it in again, above what it had promised only', () => {
  const back = enterJoint(moved, members(1, 4, 5));
  const evidence = { ballot: at(8), image: imageOf(back), from: moved };
  const prepare = (round: number): Message => ({ type: 'prepare', ballot: at(round), known: undefined, evidence });
  assert.equal(acceptorStep(stub, prepare(7), context(1)).reply.type, 'refused');
  const promised = acceptorStep(stub, prepare(8), context(1));
  assert.deepEqual(promised.reply, { type: 'promise', entry: undefined, committed: false });
  assert.equal(acceptorStep(promised.record, { type: 'read', known: undefined }, context(1)).reply.type, 'moved');
  assert.equal(acceptorStep(stub, accept(6, back, moved), context(1)).reply.type, 'refused');
  const accepted = acceptorStep(promised.record, accept(8, back, moved), context(1));
  assert.equal(accepted.reply.type, 'accepted');
  assert.equal(accepted.record?.stub, undefined);
});

test('what is forgotten is below the floor: a late accept brings no old set back (X7)', () => {
  // The proposal at ballot 5 was prepared on the old set before it changed; its accepts arrive when two of three have forgotten.
  const late = accept(5, old);
  for (const node of [1, 2]) {
    assert.equal(acceptorStep(undefined, late, context(node)).reply.type, 'accepted', 'without a floor it would be');
    assert.equal(acceptorStep(undefined, late, context(node, stub.promised)).reply.type, 'refused');
    assert.equal(acceptorStep(stub, late, context(node)).reply.type, 'moved');
  }
  const blank = acceptorStep(undefined, { type: 'read', known: undefined }, context(1, stub.promised));
  assert.equal(blank.reply.type, 'unknown');
});

test('a blank member votes when shown an entry above its floor that names it, and no other (2.3 rule 1)', () => {
  const prepare = (evidence: { ballot: Ballot; image: StateImage; from: RegisterConfig }): Message => ({
    type: 'prepare',
    ballot: at(20),
    known: undefined,
    evidence,
  });
  const named = { ballot: at(9), image: imageOf(moved), from: moved };
  const step = acceptorStep(undefined, prepare(named), context(4));
  assert.deepEqual(step.reply, { type: 'promise', entry: undefined, committed: false });
  assert.equal(step.persist, true);
  // What it has forgotten went up to the floor: that entry may be older than its leaving.
  assert.equal(acceptorStep(undefined, prepare(named), context(4, at(9))).reply.type, 'unknown');
  assert.equal(acceptorStep(undefined, prepare(named), context(1)).reply.type, 'unknown', 'it is no member');
  assert.equal(
    acceptorStep(stub, prepare({ ...named, image: imageOf(old), from: old }), context(1)).reply.type,
    'moved',
  );
});

test('a stub is kept on the disk as it is', () => {
  assert.deepEqual(decodeRecord(networkId, encodeRecord(stub)), {
    ...stub,
    stub: { generation: 2, current: members(3, 4, 5), since: 50 },
  });
});

test('a proposer follows where the register went, and no endless chain of such answers', () => {
  let step = beginPrepare(at(9), [memberOf(1).node], undefined);
  const asked: string[] = [];
  for (let i = 1; i < 30; i++) {
    const reply = { type: 'moved' as const, generation: i, current: members(i + 1) };
    step = onReply(step.attempt, memberOf(i), 'prepare', reply);
    asked.push(...step.send.map(({ node }) => toHex(node).slice(-2)));
    if (step.attempt.phase === 'failed') break;
  }
  assert.equal(step.attempt.phase, 'failed');
  assert.equal(asked.length, 8);
});

const access = accessInClear(user.publicKey);

async function setUp(keep?: { stubMs: number; tombstoneMs: number }): Promise<Scene> {
  const world = createWorld({ seed: process.env.INFINIT_SEED ?? 7 });
  const cluster = new Cluster(world, 6, 2);
  cluster.keep = keep;
  for (const name of cluster.storage) cluster.restart(name);
  const salt = hash(Buffer.from('salt'));
  const members = ['n0', 'n1', 'n2'].map((name) => cluster.member(name));
  const { registers } = cluster.client('c0');
  await world.settle(registers.create({ owner: user, salt, members, access, payload: Buffer.from('0') }));
  return new Scene(world, cluster, registerAddress(user.publicKey, salt));
}

class Scene {
  readonly world: World;
  readonly cluster: Cluster;
  readonly address: Address;

  constructor(world: World, cluster: Cluster, address: Address) {
    Object.assign(this, { world, cluster, address });
    this.world = world;
    this.cluster = cluster;
    this.address = address;
  }

  move(...names: string[]) {
    const target = names.map((name) => this.cluster.member(name));
    return this.world.settle(this.cluster.client('c0').registers.reconfigure(this.address, target));
  }

  record(name: string): AcceptorRecord | undefined {
    const stored = this.cluster.disk(name).values.get(`register/${toHex(this.address)}`);
    return stored && decodeRecord(networkId, stored);
  }

  kind(name: string): string {
    const record = this.record(name);
    return record === undefined ? 'blank' : record.stub ? 'stub' : 'record';
  }

  retire(name: string, hint: readonly ReturnType<Cluster['member']>[] = []) {
    return this.world.settle(this.cluster.client(name).service?.retire(this.address, hint) ?? Promise.resolve(false));
  }

  write(text: string, client = 'c0') {
    const { registers } = this.cluster.client(client);
    return this.world.settle(registers.write(this.address, user, () => Buffer.from(text), { timeoutMs: 60_000 }));
  }

  async text(client = 'c1'): Promise<string> {
    const { registers } = this.cluster.client(client);
    return Buffer.from(
      (await this.world.settle(registers.read(this.address, { timeoutMs: 60_000 }))).payload,
    ).toString();
  }
}

test('those a register left are told, keep a stub, and clients with an old address book follow it (2.6)', async () => {
  const scene = await setUp();
  await scene.write('1', 'c1');
  await scene.move('n3', 'n4', 'n5');
  await scene.world.runFor(3000);
  assert.deepEqual(
    ['n0', 'n1', 'n2', 'n3'].map((name) => scene.kind(name)),
    ['stub', 'stub', 'stub', 'record'],
  );
  assert.equal(await scene.text(), '1');
  await scene.write('2', 'c1');
  await scene.move('n0', 'n4', 'n1');
  await scene.world.runFor(3000);
  assert.deepEqual(
    ['n0', 'n3', 'n4'].map((name) => scene.kind(name)),
    ['record', 'stub', 'record'],
  );
  assert.equal(await scene.text(), '2');
});

test('stubs go into the floor when their time is over, and the register stays what it is', async () => {
  const scene = await setUp({ stubMs: 5000, tombstoneMs: 5000 });
  await scene.move('n2', 'n3', 'n4');
  await scene.world.runFor(2000);
  const { service } = scene.cluster.client('n0');
  assert.equal(await scene.world.settle(service?.forget() ?? Promise.resolve(0)), 0);
  await scene.world.runFor(5000);
  assert.equal(await scene.world.settle(service?.forget() ?? Promise.resolve(0)), 1);
  assert.equal(scene.kind('n0'), 'blank');
  assert.ok([...scene.cluster.disk('n0').values.keys()].some((key) => key.startsWith('meta/')));
  scene.cluster.restart('n0');
  await scene.move('n0', 'n3', 'n4');
  await scene.write('back again');
  assert.deepEqual([scene.kind('n0'), await scene.text()], ['record', 'back again']);
});

test('a store that was away finds out by itself; in the middle of a change it gives up nothing (2.5)', async () => {
  const scene = await setUp();
  scene.world.host('n0').crash();
  await scene.move('n1', 'n2', 'n3');
  await scene.write('without n0');
  scene.cluster.restart('n0');
  assert.equal(scene.kind('n0'), 'record');
  assert.equal(await scene.retire('n1'), false);
  assert.equal(await scene.retire('n0'), true);
  assert.equal(scene.kind('n0'), 'stub');
});

test('a quorum of the configuration held must know of the change: strangers are not believed', async () => {
  const scene = await setUp();
  const { address, cluster } = scene;
  const strangers = ['n3', 'n4', 'n5'].map((name) => cluster.member(name));
  const { accepted, promised } = scene.record('n0') as AcceptorRecord;
  assert.ok(accepted);
  const config = { generation: 2, current: strangers, previous: undefined };
  const image = signedImageOf(networkId, address, { ...accepted.image.state, config });
  const lie = encodeRecord({ promised, accepted: { ...accepted, image, from: config }, committed: undefined });
  for (const name of ['n3', 'n4', 'n5']) cluster.disk(name).values.set(`register/${toHex(address)}`, lie);
  assert.equal(await scene.retire('n0', strangers), false);
  for (const name of ['n1', 'n2']) scene.world.host(name).crash();
  assert.equal(await scene.retire('n0', strangers), false);
  assert.equal(scene.kind('n0'), 'record');
});

test('a deleted register goes when all its members have it deleted, and not before (2.7)', async () => {
  const scene = await setUp({ stubMs: 5000, tombstoneMs: 20_000 });
  scene.world.host('n2').crash();
  await scene.world.settle(scene.cluster.client('c0').registers.delete(scene.address, user));
  const forget = (name: string) =>
    scene.world.settle(scene.cluster.client(name).service?.forget() ?? Promise.resolve(0));
  await scene.world.runFor(30_000);
  assert.equal(await forget('n0'), 0, 'one member has not heard of it');
  scene.cluster.restart('n2');
  assert.equal(await forget('n0'), 0);
  const settled = await scene.world.settle(scene.cluster.client('c1').registers.settle(scene.address));
  assert.equal(settled.deleted, true);
  assert.equal(await forget('n0'), 0, 'its last ballot is not old enough');
  await scene.world.runFor(30_000);
  for (const name of ['n0', 'n1', 'n2']) assert.equal(await forget(name), 1);
  assert.deepEqual(
    ['n0', 'n1', 'n2'].map((name) => scene.kind(name)),
    ['blank', 'blank', 'blank'],
  );
});

test('a member the register has not reached yet makes up for one whose disk is lost', async () => {
  const scene = await setUp();
  const { cluster, world } = scene;
  world.host('n3').crash();
  // Chosen by n0 and n1 alone, which is a majority; then n0 loses what it had.
  await scene.move('n0', 'n1', 'n3');
  await scene.write('for two of three');
  // What was sent to it is given up.
  await world.runFor(30_000);
  assert.equal(scene.kind('n3'), 'blank');
  world.host('n0').crash();
  cluster.loseDisk('n0');
  cluster.restart('n0');
  cluster.restart('n3');
  assert.equal(await scene.text(), 'for two of three');
  await scene.write('and on');
  assert.equal(await scene.text(), 'and on');
  await scene.move('n1', 'n3', 'n2');
  assert.equal(await scene.text(), 'and on');
});

test('a member that does not know the new one as a storage node yet is asked again, not believed for good', async () => {
  const scene = await setUp();
  const { cluster, world } = scene;
  const mayStore = cluster.authors.mayStore.bind(cluster.authors);
  cluster.authors.mayStore = () => false;
  world.schedule(5_000_000, 'it is known', () => {
    cluster.authors.mayStore = mayStore;
  });
  await scene.move('n0', 'n1', 'n3');
  assert.equal(await scene.text(), '0');
  assert.equal(scene.kind('n3'), 'record');
});
