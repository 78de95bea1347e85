// Two users on homes of their own share a volume: what each may is checked from both sides, on mounts and by a client of his that
// talks to the nodes himself and keeps to no rule.

import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Device } from './device.ts';
import { eventually, Lab, shell } from './device.ts';
import { Hostile } from './hostile.ts';
import { cannotMount, createVolume, type Mount, mountOn, volume } from './volume.ts';

const why = cannotMount();
const sealedMs = 120_000;

interface Listed {
  path: string;
  error?: string;
  permissions?: { name: string; read: boolean; write: boolean; owner: boolean; admin: boolean }[];
  world?: { read: boolean; write: boolean };
  resealing?: string;
}

describe('a volume is shared', { timeout: 600_000, skip: why ?? false }, () => {
  const lab = new Lab();
  let alice: Device;
  let bob: Device;
  let hers: Mount;
  let endpoints: string[];

  before(async () => {
    const { devices, nodes } = await createVolume(lab);
    [alice, bob] = [devices.one, devices.three];
    endpoints = [nodes.one.endpoint, nodes.two.endpoint, nodes.three.endpoint];
    hers = await mountOn(alice);
    await shell(`mkdir ${hers.mountpoint}/plans && echo hello > ${hers.mountpoint}/plans/file`);
  });
  after(() => lab.close());

  const set = (device: Device, mount: Mount, ...words: string[]) =>
    device.run(['acl', 'set', '--path', mount.mountpoint, ...words]);
  const list = async (device: Device, path: string): Promise<Listed> => {
    const [first] = JSON.parse(await device.run(['acl', 'list', '--path', path, '--script'])) as Listed[];
    return first ?? assert.fail();
  };
  const rights = ({ permissions = [] }: Listed) =>
    permissions.map(
      ({ name, read, write, owner }) => `${name} ${read ? 'r' : ''}${write ? 'w' : ''}${owner ? ' owner' : ''}`,
    );
  const refused = /Permission denied|Read-only file system|Operation not permitted/;
  const hostile = () => Hostile.join(bob, endpoints, volume);

  test('not at first: he cannot mount it, and at the nodes he sees ciphertext only and writes nothing', async () => {
    await assert.rejects(mountOn(bob), /is not shared with you/);
    const raw = await hostile();
    try {
      await raw.mustNotRead();
      await raw.mustNotWrite();
    } finally {
      await raw.close();
    }
    assert.deepEqual(rights(await list(alice, hers.mountpoint)), ['alice rw owner']);
  });

  test('to read: he reads, changes nothing on his mount, and no node takes a root, a fence or a batch of his', async () => {
    await set(alice, hers, '--user', 'bob', '--mode', 'r');
    const his = await mountOn(bob);
    assert.equal(await shell(`cat ${his.mountpoint}/plans/file`), 'hello\n');
    for (const command of ['touch new', 'mkdir new', 'rm plans/file', 'mv plans other', 'echo x >> plans/file'])
      await assert.rejects(shell(`cd ${his.mountpoint} && ${command}`), refused, command);
    await assert.rejects(set(bob, his, '--user', 'bob', '--mode', 'rw'), /only|denied/i);
    const raw = await hostile();
    try {
      await raw.mustRead();
      await raw.mustNotWrite();
    } finally {
      await raw.close();
    }
    for (const [device, mount] of [
      [alice, hers],
      [bob, his],
    ] as const)
      assert.deepEqual(rights(await list(device, `${mount.mountpoint}/plans/file`)), ['alice rw owner', 'bob r']);
    assert.equal(await shell(`cat ${hers.mountpoint}/plans/file`), 'hello\n');
    assert.equal(await his.stop('SIGINT'), 0, his.output);
  });

  test('to write, said by an extended attribute of the mount: both write', async () => {
    await shell(`setfattr -n infinit.auth.setrw -v bob ${hers.mountpoint}`);
    const his = await mountOn(bob);
    await shell(`echo bob >> ${his.mountpoint}/plans/file && mkdir ${his.mountpoint}/his`);
    assert.equal(await shell(`cat ${hers.mountpoint}/plans/file && ls ${hers.mountpoint}`), 'hello\nbob\nhis\nplans\n');
    const shown = await shell(`getfattr --only-values -n user.infinit.auth ${his.mountpoint}/his`);
    assert.deepEqual(rights({ path: '', permissions: JSON.parse(shown) }), ['alice rw owner', 'bob rw']);
    await bob.run(['acl', 'register', '--path', his.mountpoint]);
    const registered = await shell(`getfattr --only-values -n infinit.resolve.bob ${hers.mountpoint}`);
    assert.deepEqual(
      JSON.parse(registered),
      JSON.parse((await bob.run(['user', 'export', 'bob'])).toString()).public_key,
    );
    const raw = await hostile();
    try {
      await raw.mustRead();
      await raw.mustWrite();
    } finally {
      await raw.close();
    }
    await assert.rejects(shell(`setfattr -n infinit.auth.setr -v nobody ${hers.mountpoint}`), /Invalid argument/);
    await assert.rejects(shell(`setfattr -n infinit.auth.setrw -v bob ${his.mountpoint}`), /Permission denied/);
    assert.equal(await his.stop('SIGINT'), 0, his.output);
  });

  test('taken away while he has it mounted and leads: he does no more, and loses nothing; what he read is sealed anew', async () => {
    assert.equal(await hers.stop('SIGINT'), 0, hers.output);
    const his = await mountOn(bob);
    await shell(`echo before > ${his.mountpoint}/his/last`);
    const raw = await hostile();
    hers = await mountOn(alice);
    try {
      await raw.mustRead();
      await raw.remember();
      await set(alice, hers, '--user', 'bob', '--mode', 'none');
      assert.equal(await shell(`cat ${hers.mountpoint}/his/last`), 'before\n');
      await assert.rejects(shell(`cd ${his.mountpoint} && touch new`), refused);
      await assert.rejects(shell(`cat ${his.mountpoint}/plans/file`), refused);
      await raw.mustNotRead();
      await raw.mustNotWrite();
      await shell(`echo secret > ${hers.mountpoint}/plans/file`);
      await eventually('everything sealed anew', sealedMs, async () => {
        const { resealing } = await list(alice, hers.mountpoint);
        return resealing !== 'sealing';
      });
      await alice.run(['volume', 'collect', volume, '--grace', '0', '--wait']);
      await eventually(
        'old blocks swept',
        sealedMs,
        async () => (await list(alice, hers.mountpoint)).resealing === 'done',
      );
      await raw.mustNotFindRemembered();
    } finally {
      await raw.close();
    }
    assert.equal(await shell(`cat ${hers.mountpoint}/plans/file ${hers.mountpoint}/his/last`), 'secret\nbefore\n');
    await his.stop('SIGINT');
    await assert.rejects(mountOn(bob), /is not shared with you/);
  });

  test('with the world, to read, and no more', async () => {
    await set(alice, hers, '--others-mode', 'r');
    const his = await mountOn(bob);
    assert.equal(await shell(`cat ${his.mountpoint}/plans/file`), 'secret\n');
    await assert.rejects(shell(`touch ${his.mountpoint}/new`), refused);
    assert.deepEqual((await list(bob, his.mountpoint)).world, { read: true, write: false });
    assert.equal(await his.stop('SIGINT'), 0, his.output);
    await set(alice, hers, '--others-mode', 'none');
    await assert.rejects(mountOn(bob), /is not shared with you/);
  });

  test('with a group: who is in it, by another group too, reads and writes; who leaves does not', async () => {
    const group = (device: Device, mount: Mount, name: string, ...words: string[]) =>
      device.run(['acl', 'group', '--path', mount.mountpoint, '--name', name, ...words]);
    await group(alice, hers, 'inner', '--create', '--add-user', 'bob', '--description', 'who comes and goes');
    await group(alice, hers, 'staff', '--create', '--add', '@inner');
    await assert.rejects(group(alice, hers, 'inner', '--add-group', 'staff'), /in itself/);
    await set(alice, hers, '--group', 'staff', '--mode', 'rw');
    assert.deepEqual(rights(await list(alice, hers.mountpoint)), ['alice rw owner', '@staff rw']);
    const his = await mountOn(bob);
    await shell(`echo group > ${his.mountpoint}/plans/group`);
    assert.deepEqual(rights(await list(bob, his.mountpoint)), ['alice rw owner', '@staff rw']);
    assert.deepEqual(JSON.parse((await group(bob, his, 'staff', '--show', '--script')).toString()), {
      admins: ['alice'],
      members: ['alice', '@inner'],
      description: '',
    });
    await assert.rejects(group(bob, his, 'inner', '--add-user', 'bob'), /no admin/);
    await group(alice, hers, 'inner', '--add-admin', 'bob');
    const raw = await hostile();
    try {
      await raw.mustRead();
      await raw.mustWrite();
      // He leaves by himself, as an admin, on his mount: hers sees it.
      await group(bob, his, 'inner', '--remove-user', 'bob');
      await eventually('he is left out', sealedMs, async () => {
        const told = await bob.attempt(['acl', 'list', '--path', his.mountpoint, '--script']);
        return /is not shared with you|may not read/.test(told.stdout.toString());
      });
      await raw.mustNotRead();
      await raw.mustNotWrite();
    } finally {
      await raw.close();
    }
    await assert.rejects(shell(`cat ${his.mountpoint}/plans/group`), refused);
    await his.stop('SIGINT');
    assert.equal(await shell(`cat ${hers.mountpoint}/plans/group`), 'group\n');
    await set(alice, hers, '--group', 'staff', '--mode', 'none');
    assert.deepEqual(rights(await list(alice, hers.mountpoint)), ['alice rw owner']);
  });
});
