// Members of a register against proposers with the right to write: neither what they say is chosen, nor what they name as the
// ancestors of a value, is more than their word.

import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type Bytes, equalBytes } from '../../../src/core/base/bytes.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { type AccessList, accessInClear, type RegisterConfig } from '../../../src/core/block/register.ts';
import { signBatch } from '../../../src/core/block/register-batch.ts';
import type { AuthorCheck, StateImage } from '../../../src/core/block/register-validity.ts';
import { imageOf, readImage, registerValueHash } from '../../../src/core/block/register-validity.ts';
import type { Ballot } from '../../../src/core/consensus/register/ballot.ts';
import { registerBatch, type WireMessage, type WireReply } from '../../../src/core/consensus/register/messages.ts';
import { enterJoint, leaveJoint } from '../../../src/core/consensus/register/quorum.ts';
import { hash } from '../../../src/core/crypto/hash.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { Cluster, idOf, networkId, port, user } from '../../simulator/consensus-cluster.ts';
import { createWorld } from '../../simulator/runtime/world.ts';

const words = (image: StateImage) => Buffer.from(image.state.value.payload).toString().split(' ');
/** No word that stood in the payload may go. */
const keepsWords: Partial<AuthorCheck> = {
  losses: (image, held) =>
    words(held)
      .filter((word) => !words(image).includes(word))
      .map((word) => ({ reason: `${word} was dropped`, standsIn: (other) => words(other).includes(word) })),
};

/** A register of three members that says `a`, and a proposer who sends what he likes to whom he likes. */
async function field(rules?: Partial<AuthorCheck>) {
  const world = createWorld({ seed: 1 });
  const cluster = new Cluster(world, 5, 2, rules);
  const names = ['n0', 'n1', 'n2'];
  const { registers, peers } = cluster.client('c0');
  const access = accessInClear(user.publicKey, true);
  const members = names.map((name) => cluster.member(name));
  const payload = Buffer.from('a');
  const { address, proof } = await world.settle(
    registers.create({ owner: user, salt: hash(Buffer.from('salt')), members, access, payload }),
  );
  await world.runFor(100);
  const first = readImage(networkId, proof);
  const ask = async (name: string, message: WireMessage): Promise<WireReply> => {
    const answer = async () => {
      const peer = await peers.connect({ id: idOf(name), endpoints: [{ host: name, port }] });
      return peer.call(registerBatch, { calls: [{ address, message }] });
    };
    const [reply] = (await world.settle(answer())).replies;
    assert.ok(reply);
    return reply;
  };
  let round = world.host('c0').runtime.clock.now() + 1000;
  return {
    world,
    cluster,
    registers,
    address,
    first,
    ask,
    nextBallot: (): Ballot => ({ round: (round += 10_000), proposer: Buffer.alloc(8, 1) }),
    /** Signed by a writer, whatever its version and ancestors. */
    image: (text: string, version: number, parents: readonly Bytes[]): StateImage => {
      const lineage = Array.from({ length: Math.min(version - 1, 16) }, (_, i) => parents[i] ?? Buffer.alloc(32, 7));
      const value = { ...first.state.value, version, lineage, payload: Buffer.from(text) };
      const [signature] = signBatch(user, [registerValueHash(networkId, address, value)]);
      assert.ok(signature);
      return imageOf(networkId, address, { ...first.state, value: { ...value, signature } });
    },
    accept: (name: string, ballot: Ballot, image: StateImage) =>
      ask(name, { type: 'accept', ballot, state: image.bytes, from: undefined, next: undefined }),
    commit: (name: string, ballot: Ballot, image: StateImage) =>
      ask(name, { type: 'commit', ballot, hash: image.hash }),
    isMarked: async (name: string) => {
      const reply = await ask(name, { type: 'read', known: undefined });
      return reply.type === 'entry' && reply.committed;
    },
  };
}

test('a hint that something is chosen is believed only when a quorum holds it', async () => {
  const { world, first, image, accept, commit, isMarked, nextBallot } = await field();
  const planted = image('planted', 50, []);
  const ballot = nextBallot();
  assert.equal((await accept('n0', ballot, planted)).type, 'accepted');
  await commit('n0', ballot, planted);
  await world.runFor(2 * limits.commitClaimDelayMs);
  assert.equal(await isMarked('n0'), false);
  const honest = image('b', 2, [first.valueHash]);
  const later = nextBallot();
  for (const name of ['n0', 'n1', 'n2']) assert.equal((await accept(name, later, honest)).type, 'accepted', name);
  await commit('n0', later, honest);
  await world.runFor(2 * limits.commitClaimDelayMs);
  assert.equal(await isMarked('n0'), true);
});

test('what was never chosen is not read because somebody says it is', async () => {
  const { world, registers, address, first, ask, image, accept, commit, nextBallot } = await field();
  const planted = image('planted', 2, [first.valueHash]);
  const ballot = nextBallot();
  await accept('n0', ballot, planted);
  await commit('n0', ballot, planted);
  // Told from a quorum of others, or agreed on by this very read: never from the one member that was talked to.
  const { valueHash } = await world.settle(registers.read(address));
  const holders: string[] = [];
  for (const name of ['n0', 'n1', 'n2']) {
    const reply = await ask(name, { type: 'read', known: undefined });
    const state = reply.type === 'entry' ? reply.entry.state : undefined;
    if (state && equalBytes(readImage(networkId, state).valueHash, valueHash)) holders.push(name);
  }
  assert.ok(holders.length >= 2, holders.join());
});

test('an older value is refused as soon as a later one is said to be chosen, and a false hint does not last', async () => {
  const { world, first, image, accept, commit, nextBallot } = await field();
  const second = image('b', 2, [first.valueHash]);
  const ballot = nextBallot();
  for (const name of ['n0', 'n1']) await accept(name, ballot, second);
  await commit('n0', ballot, second);
  const replayed = await accept('n0', nextBallot(), first);
  assert.deepEqual(replayed.type === 'denied' && replayed.reason, 'a later version is said to be chosen');
  await world.runFor(100);
  const again = await accept('n0', nextBallot(), first);
  assert.match((again.type === 'denied' && again.reason) || '', /known to be chosen/);
  // n2 alone holds this one: it is asked about once, whatever is said again.
  const planted = image('planted', 9, []);
  const other = nextBallot();
  await accept('n2', other, planted);
  await commit('n2', other, planted);
  assert.equal((await accept('n2', nextBallot(), second)).type, 'denied');
  await world.runFor(100);
  await commit('n2', other, planted);
  assert.equal((await accept('n2', nextBallot(), second)).type, 'accepted');
});

test('what is agreed on is not taken away by a value that names other ancestors', async () => {
  const { world, first, image, accept, nextBallot } = await field(keepsWords);
  const both = image('a b', 2, [first.valueHash]);
  const ballot = nextBallot();
  for (const name of ['n0', 'n1']) assert.equal((await accept(name, ballot, both)).type, 'accepted');
  const false1 = image('a c', 9, []);
  for (let tries = 0; tries < 3; tries++) {
    for (const name of ['n0', 'n1']) {
      const reply = await accept(name, nextBallot(), false1);
      assert.equal(reply.type === 'denied' && reply.reason, 'b was dropped', name);
    }
    await world.runFor(2 * limits.settlementPeriodMs);
  }
});

test('what no quorum can have agreed on may go: nobody blocks a register with values of his own', async () => {
  const { world, registers, address, first, image, accept, nextBallot } = await field(keepsWords);
  // Three values, each at one member; none can be chosen any more once the others have promised.
  for (const [i, name] of ['n0', 'n1', 'n2'].entries()) {
    const planted = image(`a planted${i}`, 2, [first.valueHash]);
    assert.equal((await accept(name, nextBallot(), planted)).type, 'accepted');
  }
  const { payload } = await world.settle(registers.write(address, user, () => Buffer.from('a b')));
  assert.equal(Buffer.from(payload).toString(), 'a b');
  const dropped = await accept(
    'n0',
    { ...nextBallot(), round: world.host('c0').runtime.clock.now() + 600_000 },
    image('b', 4, []),
  );
  assert.equal(dropped.type === 'denied' && dropped.reason, 'a was dropped');
});

test('a writer who was left out does not come back under the list that named him, at any member', async () => {
  const { world, cluster, registers, address, first, ask, accept } = await field();
  const mallory = keyPairFromSeed(hash(Buffer.from('mallory')));
  const by = (author: KeyPair, access: AccessList, version: number, parents: readonly Bytes[]): StateImage => {
    const lineage = Array.from({ length: Math.min(version - 1, 16) }, (_, i) => parents[i] ?? Buffer.alloc(32, 7));
    const head = { ...first.state.value, version, lineage, aclVersion: access.version, author: author.publicKey };
    const [signature] = signBatch(author, [registerValueHash(networkId, address, head, access)]);
    assert.ok(signature);
    return imageOf(networkId, address, { ...first.state, access, value: { ...head, signature } });
  };
  // Everybody with a passport could write under the first list, nobody but the owner under the second.
  world.host('n2').crash();
  const shared = await world.settle(
    registers.share(address, user, ({ access, payload }) => ({ payload, access: { ...access, worldWrite: false } })),
  );
  await world.runFor(2 * limits.commitClaimDelayMs);
  cluster.restart('n2');
  await ask('n2', { type: 'read', known: undefined }).catch(() => {}); // by the connection that is gone
  const late = by(mallory, first.state.access, 90, []);
  const under = by(mallory, shared.access, 91, []);
  const at = { round: world.host('c0').runtime.clock.now() + 600_000, proposer: Buffer.alloc(8, 1) };
  for (const name of ['n0', 'n1']) {
    const reply = await accept(name, at, late);
    assert.match((reply.type === 'denied' && reply.reason) || '', /later access list/, name);
    const other = await accept(name, at, under);
    assert.match((other.type === 'denied' && other.reason) || '', /not in the access list/, name);
  }
  // Where the later list has not arrived he may put what he likes: nobody takes it for agreed, and it blocks nobody.
  assert.equal((await accept('n2', at, late)).type, 'accepted');
  for (const client of ['c0', 'c1']) {
    const { registers: theirs } = cluster.client(client);
    assert.equal((await world.settle(theirs.read(address))).access.version, 2);
    const written = await world.settle(theirs.write(address, user, () => Buffer.from(client)));
    assert.deepEqual([Buffer.from(written.payload).toString(), written.access.version], [client, 2]);
  }
});

test('a member that never heard that the list is agreed on keeps to it all the same', async () => {
  const { world, address, registers, first, accept, nextBallot } = await field();
  const shared = await world.settle(
    registers.share(address, user, ({ access, payload }) => ({ payload, access: { ...access, worldWrite: false } })),
  );
  const older = imageOf(networkId, address, first.state);
  const higher = { ...nextBallot(), round: world.host('c0').runtime.clock.now() + 600_000 };
  for (const name of ['n0', 'n1', 'n2']) assert.equal((await accept(name, higher, older)).type, 'denied', name);
  assert.equal(shared.access.version, 2);
});

const stranger = keyPairFromSeed(hash(Buffer.from('stranger')));
const sameNode = (name: string, id: Uint8Array) => equalBytes(idOf(name), id);

/** A register of n0, n1, n2 whose list names its owner alone. Nodes and c1 are a stranger's; only n0 to n3 are near. */
async function strangers() {
  const world = createWorld({ seed: 1 });
  const near = ['n0', 'n1', 'n2', 'n3'];
  const cluster = new Cluster(world, 5, 2, { mayStore: (node) => near.some((name) => sameNode(name, node)) }, (id) => {
    if (sameNode('c0', id)) return {};
    const isClient = sameNode('c1', id);
    return { userKey: stranger.publicKey, rights: { write: isClient, storage: !isClient, sign: false } };
  });
  const { registers } = cluster.client('c0');
  const access = accessInClear(user.publicKey);
  const members = ['n0', 'n1', 'n2'].map((name) => cluster.member(name));
  const salt = hash(Buffer.from('salt'));
  const created = await world.settle(
    registers.create({ owner: user, salt, members, access, payload: Buffer.from('a') }),
  );
  await world.runFor(100);
  const first = readImage(networkId, created.proof);
  const { address } = created;
  let round = world.host('c0').runtime.clock.now() + 1000;
  const tell = async (by: string, to: string, message: WireMessage): Promise<string> => {
    const answer = async () => {
      const peer = await cluster.client(by).peers.connect({ id: idOf(to), endpoints: [{ host: to, port }] });
      return peer.call(registerBatch, { calls: [{ address, message }] });
    };
    const [reply] = (await world.settle(answer())).replies;
    assert.ok(reply);
    return reply.type === 'denied' ? `denied: ${reply.reason}` : reply.type;
  };
  const ballot = () => ({ round: (round += 10_000), proposer: Buffer.alloc(8, 1) });
  return {
    world,
    registers,
    address,
    config: first.state.config,
    members: (...names: string[]) => names.map((name) => cluster.member(name)),
    /** `to` is asked by `by` to agree on the same value in another configuration. */
    propose: (by: string, to: string, config: RegisterConfig, from: RegisterConfig) =>
      tell(by, to, {
        ...{ type: 'accept', ballot: ballot(), from, next: undefined },
        state: imageOf(networkId, address, { ...first.state, config }).bytes,
      }),
    show: (by: string, to: string, config: RegisterConfig, from: RegisterConfig) => {
      const evidence = { ballot: ballot(), state: imageOf(networkId, address, { ...first.state, config }).bytes, from };
      return tell(by, to, { type: 'prepare', ballot: ballot(), known: undefined, evidence });
    },
  };
}

const refused = /^denied: who proposes these members is neither a writer nor one of them/;

test('members are changed by writers, members and storage nodes near the register, and by nobody else', async () => {
  const { config, members, propose, show } = await strangers();
  const joint = enterJoint(config, members('n0', 'n1', 'n3'));
  for (const by of ['c1', 'n4'])
    for (const to of ['n0', 'n1', 'n2']) assert.match(await propose(by, to, joint, config), refused, `${by} to ${to}`);
  for (const by of ['c1', 'n4']) assert.match(await show(by, 'n3', joint, config), refused, `${by} to a blank one`);
  for (const by of ['c0', 'n3', 'n2']) assert.equal(await propose(by, 'n0', joint, config), 'accepted', by);
});

test('no invented past lets a stranger choose members', async () => {
  const { registers, world, address, config, members, propose } = await strangers();
  const own = members('n0', 'n3', 'n4');
  const joint = enterJoint(config, own);
  const invented = [
    // Straight to the end of a change nobody agreed on.
    [leaveJoint(joint), joint],
    // A configuration of the same age as the one that is held.
    [
      { ...config, previous: config.current, current: own },
      { ...config, previous: config.current, current: own },
    ],
    [
      { ...config, generation: 7, current: members('n0') },
      { ...config, generation: 7, current: members('n0') },
    ],
  ] as const;
  for (const [to, from] of invented)
    for (const by of ['c1', 'n4'])
      assert.match(await propose(by, 'n0', to, from), /^denied/, `${by}: ${JSON.stringify(to.generation)}`);
  // Who may change members may not bring in whom he likes.
  const far = enterJoint(config, members('n0', 'n1', 'n4'));
  assert.match(await propose('n1', 'n0', far, config), /^denied: a new member is not known here/);
  const { members: agreed } = await world.settle(registers.read(address));
  assert.deepEqual(agreed, config.current);
});

test('a change that members have begun is finished by whoever comes', async () => {
  const { config, members, propose } = await strangers();
  const joint = enterJoint(config, members('n0', 'n1', 'n3'));
  assert.equal(await propose('n1', 'n0', joint, config), 'accepted');
  assert.equal(await propose('c1', 'n0', leaveJoint(joint), joint), 'accepted');
  assert.match(await propose('c1', 'n2', leaveJoint(joint), joint), refused, 'n2 has not heard of it');
});
