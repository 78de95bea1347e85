import assert from 'node:assert/strict';
import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fromBase64, toBase64 } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { boxKeyPair } from '../../../src/core/crypto/sealed-box.ts';
import { type AdminChange, adminsOf } from '../../../src/core/descriptor/admins.ts';
import { descriptorContext } from '../../../src/core/descriptor/context.ts';
import { createKeyValueStore } from '../../../src/core/descriptor/key-value-stores.ts';
import { type Found, getLink, linkNetwork } from '../../../src/core/descriptor/links.ts';
import {
  compareVersions,
  createNetwork,
  deleteNetwork,
  getNetwork,
  importNetwork,
  listNetworks,
  updateNetwork,
} from '../../../src/core/descriptor/networks.ts';
import { createPassport, membersSecret } from '../../../src/core/descriptor/passports.ts';
import { signNetwork, verifyNetwork } from '../../../src/core/descriptor/signing.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { carryUsers, failsWith, found, newDevice, someFounding, type TestDevice } from './support.ts';

async function deviceOf(t: Parameters<typeof newDevice>[0], seed: string): Promise<TestDevice> {
  const device = await newDevice(t, seed);
  await createUser(device, { name: 'alice' });
  return device;
}

test('create: defaults, signature, link of this device, the members key in the owner passport', async (t) => {
  const device = await deviceOf(t, 'a');
  const { network, link, founded } = await createNetwork(device, { as: 'alice', name: 'n', zone: 'z', port: 4000 });
  assert.equal(founded, false);
  assert.deepEqual(network.consensus, { type: 'paxos', 'replication-factor': 3, 'eviction-delay': 600_000 });
  assert.deepEqual(
    [network.name, network.serial, network.founding, network.overlay.type],
    ['alice/n', 1, null, 'chord'],
  );
  verifyNetwork(network);
  assert.deepEqual(await getNetwork(device, 'alice', 'n'), network);
  assert.deepEqual(await getLink(device, 'alice', 'alice/n'), link);
  assert.deepEqual([link.user, link.zone, link.port, link.silos], ['alice', 'z', 4000, []]);
  const secret = membersSecret(userKeyPair(await getUser(device, 'alice')), network, link.passport);
  assert.deepEqual(boxKeyPair(secret).publicKey, fromBase64(network.members_key));
});

test('create takes every option into the descriptor', async (t) => {
  const device = await deviceOf(t, 'a');
  const { network } = await createNetwork(device, {
    as: 'alice',
    name: 'alice/n',
    description: 'd',
    version: '0.3.0',
    replicationFactor: 5,
    evictionDelayMs: 1000,
    consensus: 'none',
    overlay: 'kalimero',
    peers: ['example.org:4000', '[::1]:1'],
    tcpHeartbeatMs: 500,
  });
  assert.deepEqual(network.consensus, { type: 'none', 'replication-factor': 5, 'eviction-delay': 1000 });
  assert.deepEqual(network.peers, ['example.org:4000', '[::1]:1']);
  assert.deepEqual(
    [network.description, network.version, network.overlay.type, network['tcp-heartbeat']],
    ['d', '0.3.0', 'kalimero', 500],
  );
});

test('create refuses what makes no sense, and then keeps nothing', async (t) => {
  const device = await deviceOf(t, 'a');
  const wrong: [object, RegExp][] = [
    [{ replicationFactor: 0 }, /replication-factor" is not between 1 and 9/],
    [{ replicationFactor: 1.5 }, /canonical|integer/],
    [{ peers: ['nowhere'] }, /field "peers\[0\]" is not host:port/],
    [{ peers: ['host:0'] }, /not host:port/],
    [{ peers: ['host:65536'] }, /not host:port/],
    [{ version: '1..' }, /invalid compatibility version "1.."/],
    [{ version: '99.0.0' }, /invalid compatibility version/],
    [{ version: 'nekolas' }, /invalid compatibility version/],
    [{ zone: 'Zone' }, /field "zone" is not a name/],
    [{ port: 65_536 }, /field "port" is not between/],
  ];
  for (const [options, message] of wrong)
    await assert.rejects(createNetwork(device, { as: 'alice', name: 'n', ...options }), failsWith('usage', message));
  await assert.rejects(createNetwork(device, { as: 'alice', name: 'bob/n' }), failsWith('denied', /of another user/));
  await assert.rejects(
    createNetwork(device, { as: 'alice', name: 'n', silos: ['none'] }),
    failsWith('not-found', /silo "none" does not exist/),
  );
  assert.deepEqual(await listNetworks(device, 'alice'), []);
  assert.deepEqual(await device.runtime.files.list(join(device.home.state, 'alice/n/.nodes/alice')), []);
  await createNetwork(device, { as: 'alice', name: 'n' });
  await assert.rejects(
    createNetwork(device, { as: 'alice', name: 'n' }),
    failsWith('exists', /^network "alice\/n" al/),
  );
});

test('create with a silo founds: the genesis may hold the very descriptor that is saved', async (t) => {
  const device = await deviceOf(t, 'a');
  await createFilesystemSilo(device, { name: 'local' });
  const created = await createNetwork(device, {
    as: 'alice',
    name: 'n',
    silos: ['local'],
    found: async (link, seal) => {
      assert.deepEqual([link.network.founding, link.network.serial, link.silos], [null, 1, ['local']]);
      const founding = { ...someFounding, node: link.node_id };
      const sealed = seal(founding);
      assert.deepEqual([sealed.founding, sealed.serial], [founding, 2]);
      return founding;
    },
  });
  assert.equal(created.founded, true);
  assert.deepEqual(created.network.founding, { ...someFounding, node: created.link.node_id });
  verifyNetwork(created.network);
  assert.deepEqual((await getLink(device, 'alice', 'n')).network, created.network);
});

test('a founding that fails leaves nothing behind', async (t) => {
  const device = await deviceOf(t, 'a');
  await createFilesystemSilo(device, { name: 'local' });
  const failing = async () => {
    throw new Error('disk on fire');
  };
  await assert.rejects(createNetwork(device, { as: 'alice', name: 'n', silos: ['local'], found: failing }), /on fire/);
  assert.deepEqual(await listNetworks(device, 'alice'), []);
  assert.deepEqual(await readdir(join(device.home.state, 'alice/n/.nodes/alice')), []);
  await createNetwork(device, { as: 'alice', name: 'n', silos: ['local'], found });
});

test('once the register exists its first member keeps its key, even when the link cannot be saved', async (t) => {
  const device = await deviceOf(t, 'a');
  await createFilesystemSilo(device, { name: 'local' });
  const files = {
    ...device.runtime.files,
    replace: async (path: string, ...rest: [Buffer]) => {
      if (path.includes('linked_networks')) throw new InfinitError('full', 'no space left');
      return device.runtime.files.replace(path, ...rest);
    },
  };
  const full = descriptorContext({ ...device.runtime, files }, device.home);
  let nodeId = '';
  const founds: Found = async (link) => {
    nodeId = link.node_id;
    return { ...someFounding, node: nodeId };
  };
  const created = createNetwork(full, { as: 'alice', name: 'n', silos: ['local'], found: founds });
  await assert.rejects(created, failsWith('full', /no space left/));
  const { link, founded } = await linkNetwork(device, { as: 'alice', name: 'n', silos: ['local'], nodeId });
  assert.deepEqual([founded, link.network.founding?.node], [false, nodeId]);
});

test('update: serial, signature, linked copies; only by the owner', async (t) => {
  const device = await deviceOf(t, 'a');
  const { network } = await createNetwork(device, { as: 'alice', name: 'n', version: '0.9.0', peers: ['h:1'] });
  const updated = await updateNetwork(device, { as: 'alice', name: 'n', description: 'new', version: '1.0.0' });
  assert.deepEqual(
    [updated.serial, updated.description, updated.version, updated.peers],
    [network.serial + 1, 'new', '1.0.0', ['h:1']],
  );
  verifyNetwork(updated);
  assert.deepEqual((await getLink(device, 'alice', 'n')).network, updated);
  const bare = await updateNetwork(device, { as: 'alice', name: 'n', description: '', peers: [] });
  assert.deepEqual(['description' in bare, 'peers' in bare, bare.serial], [false, false, 3]);
  const ported = await updateNetwork(device, { as: 'alice', name: 'n', port: 4001 });
  assert.deepEqual([ported.serial, (await getLink(device, 'alice', 'n')).port], [3, 4001]);
  const lower = updateNetwork(device, { as: 'alice', name: 'n', version: '0.9.0' });
  await assert.rejects(lower, failsWith('usage', /has version 1.0.0 already/));
  await createUser(device, { name: 'bob' });
  const foreign = updateNetwork(device, { as: 'bob', name: 'alice/n', description: 'x' });
  await assert.rejects(foreign, failsWith('denied', /user "bob" does not own network "alice\/n"/));
});

test('import: saved, unchanged, updated with linked copies; older ones are refused', async (t) => {
  const a = await deviceOf(t, 'a');
  const b = await newDevice(t, 'b');
  const { network: first } = await createNetwork(a, { as: 'alice', name: 'n' });
  const second = await updateNetwork(a, { as: 'alice', name: 'n', description: 'second' });
  assert.equal((await importNetwork(b, JSON.stringify(first))).result, 'saved');
  assert.equal((await importNetwork(b, JSON.stringify(first))).result, 'unchanged');
  assert.equal((await importNetwork(b, JSON.stringify(second))).result, 'updated');
  await assert.rejects(importNetwork(b, first), failsWith('conflict', /serial 1 is older than serial 2 known here/));
  assert.deepEqual(await getNetwork(b, 'x', 'alice/n'), second);
  const { signature: _, ...unsigned } = second;
  const pair = userKeyPair(await getUser(a, 'alice'));
  const third = signNetwork(pair, { ...unsigned, serial: 3 });
  assert.equal((await importNetwork(a, third)).result, 'updated');
  assert.deepEqual((await getLink(a, 'alice', 'n')).network, third);
});

test('import refuses forged, foreign and contradicting descriptors, saying why', async (t) => {
  const a = await deviceOf(t, 'a');
  const b = await deviceOf(t, 'b');
  const pair = userKeyPair(await getUser(a, 'alice'));
  const { network } = await createNetwork(a, { as: 'alice', name: 'n' });
  const { signature: _, ...unsigned } = network;
  const resign = (changes: Partial<typeof network>) => signNetwork(pair, { ...unsigned, ...changes });
  const founded = resign({ founding: someFounding, serial: 2 });
  await importNetwork(a, founded);
  const other = { ...someFounding, register: toBase64(Buffer.alloc(32, 1)) };
  const { network: impostor } = await createNetwork(b, { as: 'alice', name: 'n' });
  const refused: [unknown, 'corrupt' | 'exists' | 'conflict', RegExp][] = [
    [{ ...founded, serial: 9 }, 'corrupt', /^network "alice\/n": the signature is not its owner's/],
    [{ ...founded, owner: impostor.owner }, 'corrupt', /the signature is not its owner's/],
    [impostor, 'exists', /^network "alice\/n" already exists with a different key$/],
    [resign({ founding: someFounding, serial: 2, description: 'x' }), 'conflict', /two descriptors with serial 2/],
    [resign({ founding: other, serial: 3 }), 'conflict', /founded separately/],
    [resign({ founding: null, serial: 3 }), 'conflict', /has no founding/],
    [{ ...founded, extra: 1 }, 'corrupt', /field "extra" is unknown/],
    [{ ...founded, consensus: undefined }, 'corrupt', /field "consensus" is missing/],
  ];
  for (const [descriptor, kind, message] of refused)
    await assert.rejects(importNetwork(a, JSON.stringify(descriptor)), failsWith(kind, message));
  assert.deepEqual(await getNetwork(a, 'alice', 'n'), founded);
});

test('a network whose owner is known here with another key is not his', async (t) => {
  const a = await deviceOf(t, 'a');
  const b = await deviceOf(t, 'b');
  const { network } = await createNetwork(a, { as: 'alice', name: 'n' });
  await assert.rejects(importNetwork(b, network), failsWith('denied', /is signed by #.*but user "alice" is #/));
  assert.deepEqual(await listNetworks(b, 'alice'), []);
});

test('list tells what is linked; delete wants the links gone first', async (t) => {
  const device = await deviceOf(t, 'a');
  const { link } = await createNetwork(device, { as: 'alice', name: 'n', description: 'd' });
  assert.deepEqual(await listNetworks(device, 'alice'), [{ name: 'alice/n', linked: true, description: 'd' }]);
  assert.deepEqual((await listNetworks(device, 'bob'))[0]?.linked, false);
  await createUser(device, { name: 'bob' });
  await createPassport(device, { as: 'alice', network: 'n', user: 'bob' });
  await createKeyValueStore(device, { as: 'alice', name: 'kv', network: 'n' });
  await createVolume(device, { as: 'alice', name: 'v', network: 'n' });
  const linked = deleteNetwork(device, 'alice', 'n');
  await assert.rejects(linked, failsWith('conflict', /^network "alice\/n" is linked on this device by "alice"$/));
  const removed = await deleteNetwork(device, 'alice', 'n', { unlink: true, purge: true });
  assert.deepEqual(
    removed.map(({ kind }) => kind),
    ['linked-network', 'passport', 'volume', 'key-value-store', 'network'],
  );
  assert.equal(await device.runtime.files.stat(join(device.home.state, 'alice/n/.nodes')), undefined);
  await assert.rejects(getNetwork(device, 'alice', 'n'), failsWith('not-found', /network "alice\/n" does not exist/));
  assert.equal(link.name, 'alice/n');
});

test('the owner has the members key on every device he is on', async (t) => {
  const a = await deviceOf(t, 'a');
  const b = await newDevice(t, 'b');
  const { network } = await createNetwork(a, { as: 'alice', name: 'n' });
  await carryUsers(a, b, ['alice'], true);
  await importNetwork(b, network);
  await createUser(b, { name: 'bob' });
  const { passport } = await createPassport(b, { as: 'alice', network: 'n', user: 'bob' });
  const secret = membersSecret(userKeyPair(await getUser(b, 'bob')), network, passport);
  assert.deepEqual(toBase64(boxKeyPair(secret).publicKey), network.members_key);
});

test('port and zone are of the device: whoever is linked changes them, and the descriptor stays as it is', async (t) => {
  const a = await deviceOf(t, 'a');
  const { network } = await createNetwork(a, { as: 'alice', name: 'n', zone: 'attic', port: 4242 });
  const update = (change: { port?: number; zone?: string }) => updateNetwork(a, { as: 'alice', name: 'n', ...change });
  assert.deepEqual(await update({ zone: 'cellar' }), network);
  const { zone, port } = await getLink(a, 'alice', 'n');
  assert.deepEqual([zone, port], ['cellar', 4242]);
  await update({ port: 4243 });
  assert.deepEqual((await getLink(a, 'alice', 'n')).zone, 'cellar');
  await update({ zone: '' });
  const link = await getLink(a, 'alice', 'n');
  assert.deepEqual(['zone' in link, link.port], [false, 4243]);
  await assert.rejects(update({ zone: 'two words' }), failsWith('usage', /zone/));
});

test('versions are ordered as numbers', () => {
  const ordered = ['0.3.0', '0.9.10', '0.10.0', '1.0.0'];
  assert.deepEqual([...ordered].reverse().sort(compareVersions), ordered);
});

test('admins: users known here, each once, changed by the owner; none at all leaves no field', async (t) => {
  const device = await deviceOf(t, 'a');
  for (const name of ['bob', 'carol']) await createUser(device, { name });
  const key = async (name: string) => (await getUser(device, name)).public_key;
  const { network } = await createNetwork(device, { as: 'alice', name: 'n', admins: { r: ['bob'] } });
  assert.deepEqual(network.admin_keys, { r: [await key('bob')], w: [] });
  const update = (admins: AdminChange) => updateNetwork(device, { as: 'alice', name: 'n', admins });
  const next = await update({ rw: ['bob'], r: ['carol'] });
  verifyNetwork(next);
  assert.deepEqual([next.serial, next.admin_keys], [2, { r: [await key('carol')], w: [await key('bob')] }]);
  assert.deepEqual(
    adminsOf(next).map(({ write }) => write),
    [true, false],
  );
  await assert.rejects(update({ rw: ['nobody'] }), failsWith('not-found', /nobody/));
  assert.equal((await updateNetwork(device, { as: 'alice', name: 'n', description: 'd' })).admin_keys?.w.length, 1);
  assert.equal('admin_keys' in (await update({ remove: ['bob', 'carol'] })), false);
});
