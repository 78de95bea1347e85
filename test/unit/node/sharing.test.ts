// What an owner says of who may read and write: by names, signed for one list; and the attributes that say it.

import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Bytes, fromBase64, toBase64 } from '../../../src/core/base/bytes.ts';
import { InfinitError, isError } from '../../../src/core/base/errors.ts';
import { type KeyPair, keyPairFromSeed } from '../../../src/core/crypto/keys.ts';
import type { DescriptorContext } from '../../../src/core/descriptor/context.ts';
import { keyToJson, userHash } from '../../../src/core/descriptor/keys.ts';
import { People } from '../../../src/core/node/sharing/people.ts';
import { type Statement, signStatement, statementOf } from '../../../src/core/node/sharing/statement.ts';
import { type ListsWithin, VolumeSharing } from '../../../src/core/node/sharing/volume-sharing.ts';
import type { ChangeShares, TreeAccess } from '../../../src/core/tree/access.ts';
import { rootInode } from '../../../src/core/volume/files/files.ts';

const key = (name: string): KeyPair => keyPairFromSeed(Buffer.alloc(32, name));
const [alice, bob, carol] = [key('alice'), key('bob'), key('carol')];
const treeId = Buffer.alloc(16, 5);
const usage = (error: unknown) => isError(error, 'usage');

function knowing(...known: [string, KeyPair][]): People {
  const list = async () =>
    known.map(([name, { publicKey }]) => ({ name, descriptor: { name, public_key: keyToJson(publicKey) } }));
  return new People({ repository: { list } } as unknown as DescriptorContext);
}

/** Shares as a tree would, without anything else of one. */
class FakeTree {
  readonly treeId = treeId;
  now: TreeAccess = {
    owner: alice.publicKey,
    users: [],
    world: 'none',
    version: 1,
    note: undefined,
    resealing: 'done',
  };

  async access(): Promise<TreeAccess> {
    return this.now;
  }
  async share(change: ChangeShares): Promise<void> {
    const { note, ...shares } = change(this.now);
    const version = this.now.version + 1;
    this.now = { ...this.now, ...shares, version, note: note?.(version) };
  }
}

/** The root alone has the list; what else was said of, and what. */
const separated: [number, Statement][] = [];
const lists: ListsWithin = {
  isWhole: async (inode) => inode === rootInode,
  changing: async (_, change) => change(),
  separate: async (inode, list) => void separated.push([inode, list]),
  isMoving: async () => false,
  below: async () => [],
};

const said: Statement = {
  users: [{ name: 'bob', key: toBase64(bob.publicKey), mode: 'rw' }],
  groups: [{ name: 'staff', register: toBase64(Buffer.alloc(32, 9)), mode: 'r' }],
  world: 'none',
};

describe('a statement', () => {
  const access: TreeAccess = {
    ...{ owner: alice.publicKey, world: 'read' as const, version: 4, resealing: 'done' as const },
    users: [{ key: carol.publicKey, write: false }],
    note: undefined,
  };
  const seen = { users: [{ name: userHash(keyToJson(carol.publicKey)), key: toBase64(carol.publicKey), mode: 'r' }] };

  test('is believed when its owner signed it for this list of this tree', () => {
    assert.deepEqual(statementOf(treeId, { ...access, note: signStatement(alice, treeId, 4, said) }), said);
  });

  test('by somebody else, for another list, another tree or damaged says nothing: the list itself is shown', () => {
    const damaged = signStatement(alice, treeId, 4, said);
    damaged[10] = (damaged[10] as number) ^ 1;
    const notes: Bytes[] = [
      signStatement(bob, treeId, 4, said),
      signStatement(alice, treeId, 3, said),
      signStatement(alice, Buffer.alloc(16, 6), 4, said),
      damaged,
      Buffer.alloc(0),
      signStatement(alice, treeId, 4, { ...said, world: 'x' } as unknown as Statement),
      signStatement(alice, treeId, 4, { ...said, users: [{ name: 'x', key: 'short', mode: 'r' }] }),
    ];
    for (const note of notes)
      assert.deepEqual(statementOf(treeId, { ...access, note }), { ...seen, groups: [], world: 'r' });
  });
});

describe('the attributes of a volume', () => {
  const shared = (people = knowing(['alice', alice], ['bob', bob])) => {
    const tree = new FakeTree();
    const admins: { key: Bytes; write: boolean }[] = [];
    const said = new Map<string, KeyPair[]>();
    const registry = {
      named: async (name: string) =>
        (said.get(name) ?? []).map(({ publicKey }) => ({ name, key: toBase64(publicKey) })),
    };
    const staff = { keys: [bob.publicKey, alice.publicKey], unavailable: false };
    const groups = {
      find: async (name: string) => ({ name, register: Buffer.alloc(32, 9) }),
      members: async () => {
        if (staff.unavailable) throw new InfinitError('unavailable', 'no member of a register answers');
        return staff.keys;
      },
    };
    const sharing = new VolumeSharing({ tree, user: alice, people, groups, registry, admins: () => admins, lists });
    const set = (name: string, value: string, inode = rootInode) => sharing.set(inode, name, Buffer.from(value));
    const get = async (name: string) => Buffer.from(await sharing.get(rootInode, name)).toString();
    return { tree, set, get, staff, admins, said, sharing };
  };

  test('give and take rights, by name, hash and key; who writes reads', async () => {
    const { tree, set, get } = shared();
    await set('auth.setr', 'bob');
    await set('auth.setw', JSON.stringify(keyToJson(carol.publicKey)));
    assert.deepEqual(
      tree.now.users.map(({ key: user, write }) => [toBase64(user), write]),
      [
        [toBase64(bob.publicKey), false],
        [toBase64(carol.publicKey), true],
      ],
    );
    const list = JSON.parse(await get('auth')) as { name: string; write: boolean; owner: boolean }[];
    assert.deepEqual(
      list.map(({ name, write, owner }) => [name, write, owner]),
      [
        ['alice', true, true],
        ['bob', false, false],
        [userHash(keyToJson(carol.publicKey)), true, false],
      ],
    );
    await set('auth.setrw', userHash(keyToJson(bob.publicKey)));
    assert.deepEqual(
      tree.now.users.map(({ write }) => write),
      [true, true],
    );
    await set('auth.clear', userHash(keyToJson(carol.publicKey)));
    await set('auth_others', 'r');
    assert.deepEqual([tree.now.users.length, tree.now.world, await get('auth_others')], [1, 'read', 'r']);
    assert.deepEqual([await get('auth.inherit'), await get('auth.resealing')], ['true', 'done']);
  });

  test('a group stands for who is in it, now and later; who is named himself stays', async () => {
    const { tree, set, get, staff, sharing } = shared();
    const users = () => tree.now.users.map(({ key: user, write }) => [toBase64(user), write]);
    await set('auth.setrw', '@staff');
    assert.deepEqual(users(), [[toBase64(bob.publicKey), true]]);
    assert.equal(await sharing.follow(), false);
    staff.keys = [carol.publicKey];
    assert.equal(await sharing.follow(), true);
    assert.deepEqual(users(), [[toBase64(carol.publicKey), true]]);
    await set('auth.setr', 'bob');
    staff.keys = [bob.publicKey];
    await sharing.follow();
    assert.deepEqual(users(), [[toBase64(bob.publicKey), true]]);
    staff.unavailable = true;
    await assert.rejects(sharing.follow(), (error) => isError(error, 'unavailable'));
    assert.equal(users().length, 1);
    staff.unavailable = false;
    const names = (JSON.parse(await get('auth')) as { name: string }[]).map(({ name }) => name);
    assert.deepEqual(names, ['alice', 'bob', '@staff']);
    await set('auth.clear', '@staff');
    assert.deepEqual(users(), [[toBase64(bob.publicKey), false]]);
    const another = new VolumeSharing({
      tree,
      user: bob,
      people: knowing(),
      groups: { find: assert.fail, members: assert.fail },
      registry: { named: assert.fail },
      admins: () => [],
      lists,
    });
    assert.equal(await another.follow(), false);
  });

  test('a name registered in the network is known; what this device knows comes first, and several stand for none', async () => {
    const { tree, set, said } = shared();
    said.set('carol', [carol]);
    said.set('bob', [carol]);
    await set('auth.setr', 'carol');
    await set('auth.setr', 'bob');
    assert.deepEqual(
      tree.now.users.map(({ key: user }) => toBase64(user)),
      [carol, bob].map((one) => toBase64(one.publicKey)),
    );
    said.set('dan', [alice, bob]);
    await assert.rejects(set('auth.setr', 'dan'), /several users/);
  });

  test('admins of the network are in each list from the next one on, and not said to be named', async () => {
    const { tree, set, get, admins } = shared();
    const dan = key('dan');
    admins.push({ key: dan.publicKey, write: true }, { key: carol.publicKey, write: false });
    tree.now = { ...tree.now, users: [{ key: dan.publicKey, write: true }] };
    const shown = async () =>
      (JSON.parse(await get('auth')) as { name: string; write: boolean; admin: boolean }[]).map(
        ({ name, write, admin }) => `${name} ${write} ${admin}`,
      );
    const hash = (one: KeyPair) => userHash(keyToJson(one.publicKey));
    assert.deepEqual(await shown(), ['alice true true', `${hash(dan)} true true`]);
    await set('auth.setr', 'bob');
    assert.deepEqual(await shown(), [
      'alice true true',
      `${hash(dan)} true true`,
      `${hash(carol)} false true`,
      'bob false false',
    ]);
    admins.splice(0);
    await set('auth_others', 'r');
    assert.deepEqual(
      tree.now.users.map(({ key: user }) => toBase64(user)),
      [toBase64(bob.publicKey)],
    );
  });

  test('refuse who is not known, the owner, other modes, other places and names', async () => {
    const { tree, set, get } = shared();
    for (const [name, value] of [
      ['auth.setr', 'nobody'],
      ['auth.setr', '#000000'],
      ['auth.setr', '{"ed25519":"AAAA"}'],
      ['auth.setr', `{"ed25519":"${toBase64(Buffer.alloc(32))}"}`],
      ['auth.setr', 'alice'],
      ['auth_others', 'x'],
      ['auth.inherit', 'perhaps'],
      ['auth', '[]'],
      ['nonsense', 'x'],
    ] as const)
      await assert.rejects(set(name, value), usage, name);
    const unsupported = (error: unknown) => isError(error, 'unsupported');
    separated.length = 0;
    await set('auth.setr', 'bob', 7);
    assert.deepEqual(
      separated.map(([inode, { users }]) => [inode, users.map(({ name, mode }) => `${name} ${mode}`)]),
      [[7, ['bob r']]],
    );
    await set('auth.clear', 'bob', 7);
    assert.equal(separated.length, 1, 'a list like that of the tree takes nothing out of it');
    await assert.rejects(set('auth.inherit', 'false'), unsupported);
    await assert.rejects(get('nonsense'), (error) => isError(error, 'not-found'));
    assert.equal(tree.now.version, 1);
  });

  test('do not take a name for somebody else than this device does, whoever a list says it is', async () => {
    const { tree, set } = shared();
    tree.now = {
      ...tree.now,
      note: signStatement(alice, treeId, 1, {
        ...said,
        groups: [],
        users: [{ name: 'bob', key: toBase64(carol.publicKey), mode: 'r' }],
      }),
    };
    await set('auth.setrw', 'bob');
    const writers = tree.now.users.filter(({ write }) => write).map(({ key: user }) => toBase64(user));
    assert.deepEqual(writers, [toBase64(bob.publicKey)]);
    const two = knowing(['bob', bob], ['bob', carol]);
    await assert.rejects(two.find('bob', []), /several users/);
    assert.equal(fromBase64((await two.find('dan', [{ name: 'dan', key: toBase64(alice.publicKey) }])).key).length, 32);
  });
});
