// Sharing a tree (docs/protocols.md 4.11): who reads, who writes, who does no more; what a reader who was left out could read takes
// new keys, and the old blocks go.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bytes, equalBytes, toHex } from '../../../src/core/base/bytes.ts';
import { decode } from '../../../src/core/base/codec.ts';
import { isError } from '../../../src/core/base/errors.ts';
import { rootHeader } from '../../../src/core/consensus/consensus.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import { leavesOut, openSecret, type Shares } from '../../../src/core/tree/access.ts';
import { createTreeRoot, deriveTreeKeys, openRootBody } from '../../../src/core/tree/root.ts';
import { openKeyStore } from '../../../src/core/volume/key-store.ts';
import { keyView } from '../../../src/core/volume/key-view.ts';
import { add, get, type Opened, TreeWorld } from '../../fakes/fake-tree.ts';

const user = (name: string): KeyPair => keyPairFromSeed(Buffer.alloc(32, name));
const [bob, carol] = [user('bob'), user('carol')];
const denied = (error: unknown) => isError(error, 'denied');

const sharedWith =
  (...users: (readonly [KeyPair, boolean])[]) =>
  (): Shares => ({ users: users.map(([{ publicKey: key }, write]) => ({ key, write })), world: 'none' });

async function founded(options: ConstructorParameters<typeof TreeWorld>[0] = {}) {
  const tree = new TreeWorld({ seed: 7, ...options });
  await tree.found();
  return tree;
}

/** The root as it is agreed, and its access list. */
function agreed(tree: TreeWorld) {
  const snapshot = tree.cluster.registers.get(toHex(tree.rootAddress))?.snapshot;
  assert.ok(snapshot);
  return { access: snapshot.access, header: decode(rootHeader, snapshot.payload) };
}

describe('the owner shares', () => {
  test('a reader reads and does not write; a writer writes; a stranger does neither', async () => {
    const tree = await founded();
    const { world } = tree;
    const owner = await tree.open('owner');
    await world.until(add(owner.tree, 'a'));
    await world.until(owner.tree.share(sharedWith([bob, false])));
    const reader = await tree.open('bob', { user: bob });
    assert.equal(await world.until(get(reader.tree, 'a')), 1);
    await assert.rejects(world.until(add(reader.tree, 'a')), denied);
    await assert.rejects(tree.open('carol', { user: carol }), denied);
    await world.until(owner.tree.share(sharedWith([bob, true])));
    assert.equal(await world.until(add(reader.tree, 'a')), 2);
    assert.equal(await world.until(add(owner.tree, 'a')), 3);
    const facts = await world.until(reader.tree.access());
    assert.deepEqual([facts.users.length, facts.world, facts.resealing], [1, 'none', 'done']);
  });

  test('only he: a writer is denied', async () => {
    const tree = await founded();
    const { world } = tree;
    const owner = await tree.open('owner');
    await world.until(owner.tree.share(sharedWith([bob, true])));
    const writer = await tree.open('bob', { user: bob });
    await assert.rejects(world.until(writer.tree.share(sharedWith([carol, true]))), denied);
    await world.until(owner.tree.stop());
    await assert.rejects(world.until(writer.tree.share(sharedWith([carol, true]))), denied);
  });

  test('while another leads, who hands over; left out, he neither writes nor reads, and loses nothing he did before', async () => {
    const tree = await founded();
    const { world } = tree;
    const owner = await tree.open('owner');
    await world.until(owner.tree.share(sharedWith([bob, true])));
    await world.until(owner.tree.stop());
    const writer = await tree.open('bob', { user: bob });
    for (let i = 0; i < 5; i++) await world.until(add(writer.tree, 'a', { durable: false }));
    assert.equal(writer.tree.status().role, 'leader');
    const again = await tree.open('owner-again');
    await world.until(again.tree.share(sharedWith()));
    assert.deepEqual([again.tree.status().role, writer.tree.losses], ['leader', 0]);
    assert.equal(await world.until(add(again.tree, 'a')), 6);
    await assert.rejects(world.until(add(writer.tree, 'a')), denied);
    await assert.rejects(world.until(get(writer.tree, 'a')), denied);
    assert.ok(!openSecretOf(tree, bob));
  });

  test('while another leads who does not answer: he is deposed', async () => {
    const tree = await founded();
    const { world } = tree;
    const owner = await tree.open('owner');
    await world.until(owner.tree.share(sharedWith([bob, true])));
    await world.until(owner.tree.stop());
    const writer = await tree.open('bob', { user: bob });
    assert.equal(await world.until(add(writer.tree, 'a')), 1);
    const again = await tree.open('owner-again');
    world.cut('bob', 'owner-again');
    await world.until(again.tree.share(sharedWith()));
    assert.equal(await world.until(add(again.tree, 'a')), 2);
  });

  test('another leader after a crash opens what was journaled under either secret', async () => {
    const tree = await founded();
    const { world } = tree;
    const owner = await tree.open('owner');
    await world.until(owner.tree.share(sharedWith([bob, true], [carol, false])));
    assert.equal(await world.until(add(owner.tree, 'a')), 1);
    await world.until(owner.tree.share(sharedWith([bob, true])));
    assert.equal(await world.until(add(owner.tree, 'a')), 2);
    owner.process.crash();
    const next = await tree.open('bob', { user: bob });
    assert.equal(await world.until(add(next.tree, 'a')), 3);
  });

  test('two devices of the owner at once: both lists are agreed on, one after the other', async () => {
    const tree = await founded();
    const { world } = tree;
    const [one, two] = [await tree.open('one'), await tree.open('two')];
    const more = (key: Bytes) => (now: Shares) => ({ ...now, users: [...now.users, { key, write: false }] });
    await world.until(Promise.all([one.tree.share(more(bob.publicKey)), two.tree.share(more(carol.publicKey))]));
    assert.equal((await world.until(one.tree.access())).users.length, 2);
  });
});

function openSecretOf(tree: TreeWorld, as: KeyPair): Bytes | undefined {
  try {
    return openSecret(agreed(tree).access, as);
  } catch (error) {
    if (isError(error, 'denied')) return undefined;
    throw error;
  }
}

test('who is left out: those listed no more, and everybody when the world reads no more', () => {
  const owner = user('owner');
  const users = [{ key: bob.publicKey, write: false }];
  const members = { worldReader: Buffer.from(user('x').publicKey) };
  const random = { bytes: (count: number) => Buffer.alloc(count, 3), below: () => 0 } as never;
  const closed = createTreeRoot({ owner, treeId: Buffer.alloc(16), users }, random).access;
  const world = createTreeRoot({ owner, treeId: Buffer.alloc(16), users, ...members }, random).access;
  assert.equal(leavesOut(closed, { users, world: 'none' }), false);
  assert.equal(leavesOut(closed, { users: [], world: 'none' }), true);
  assert.equal(leavesOut(closed, { users: [], world: 'read' }), false);
  assert.equal(leavesOut(world, { users: [], world: 'read' }), false);
  assert.equal(leavesOut(world, { users, world: 'none' }), true);
});

describe('what somebody left out could read', () => {
  const values = (round: number) =>
    Array.from({ length: 30 }, (_, i) => [`key ${i}`, Buffer.alloc(20_000 + i, round + i)] as const);

  async function filled() {
    const tree = await founded({ view: keyView });
    const { world } = tree;
    const owner = await tree.open('owner', { garbage: { graceMs: 0 } });
    await world.until(owner.tree.share(sharedWith([bob, false])));
    const store = openKeyStore(owner.tree);
    for (const [key, value] of values(1)) await world.until(store.put(Buffer.from(key), value));
    await world.until(owner.tree.commit());
    return { tree, world, owner, store, secret: openSecretOf(tree, bob) as Bytes };
  }

  const blocksOf = (tree: TreeWorld) => new Set(tree.cluster.storages.flatMap((storage) => [...storage.blocks.keys()]));

  async function work(world: TreeWorld['world'], { tree }: Opened, name: 'resealing' | 'garbage', steps = 2000) {
    for (let i = 0; i < steps; i++) {
      if (!(await world.until(tree[name].step(new AbortController().signal)))) return;
    }
    assert.fail(`${name} does not come to an end`);
  }

  async function sealAnew({ world }: TreeWorld, opened: Opened) {
    const state = async () => (await world.until(opened.tree.access())).resealing;
    await work(world, opened, 'resealing');
    assert.equal(await state(), 'sweeping');
    for (let i = 0; i < 20; i++) {
      await work(world, opened, 'garbage');
      await world.run(1000);
    }
    await work(world, opened, 'resealing');
    assert.equal(await state(), 'done');
  }

  test('is sealed anew, and its blocks are swept; the root does not open to him, and everything is still there', async () => {
    const { tree, world, owner, store, secret } = await filled();
    const before = blocksOf(tree);
    await world.until(owner.tree.share(sharedWith()));
    assert.equal((await world.until(owner.tree.access())).resealing, 'sealing');
    const { header } = agreed(tree);
    assert.throws(
      () => openRootBody(deriveTreeKeys(secret), header),
      (error) => isError(error, 'corrupt'),
    );
    await sealAnew(tree, owner);
    for (const name of blocksOf(tree)) assert.ok(!before.has(name), 'an old block is still there');
    for (const [key, value] of values(1)) {
      const found = await world.until(store.get(Buffer.from(key)));
      assert.ok(found && equalBytes(found.value, value));
    }
  });

  test('the next leader goes on where the one before crashed', async () => {
    const { tree, world, owner } = await filled();
    const before = blocksOf(tree);
    await world.until(owner.tree.share(sharedWith([carol, true])));
    await world.until(owner.tree.resealing.step(new AbortController().signal));
    owner.process.crash();
    const next = await tree.open('carol', { user: carol, garbage: { graceMs: 0 } });
    const store = openKeyStore(next.tree);
    await world.until(store.put(Buffer.from('new'), Buffer.from('value')));
    await sealAnew(tree, next);
    for (const name of blocksOf(tree)) assert.ok(!before.has(name), 'an old block is still there');
    assert.ok(await world.until(store.get(Buffer.from('key 3'))));
  });

  test('somebody added costs nothing of that: the secret stays, and so do the seals of others', async () => {
    const { tree, world, owner, secret } = await filled();
    const sealed = agreed(tree).access.readers.map((reader) => toHex(reader.sealed));
    await world.until(owner.tree.share(sharedWith([bob, true], [carol, false])));
    const { access } = agreed(tree);
    assert.equal((await world.until(owner.tree.access())).resealing, 'done');
    assert.deepEqual(
      access.readers.slice(0, 2).map((reader) => toHex(reader.sealed)),
      sealed,
    );
    assert.ok(equalBytes(openSecretOf(tree, carol) as Bytes, secret));
  });
});
