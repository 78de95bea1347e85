import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { nodeIdOf } from '../../../src/core/block/address.ts';
import type { NetworkDescriptor } from '../../../src/core/descriptor/descriptor.ts';
import { getLink, linkNetwork, listNetworkSilos, unlinkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork, deleteNetwork, getNetwork, importNetwork } from '../../../src/core/descriptor/networks.ts';
import { nodeKeyPair } from '../../../src/core/descriptor/node-keys.ts';
import { createPassport, importPassport } from '../../../src/core/descriptor/passports.ts';
import { networkCacheDirectory, nodeLockPath } from '../../../src/core/descriptor/removal.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { carryUsers, failsWith, found, newDevice, type TestDevice } from './support.ts';

/** Alice's device with a network, and Bob's with a silo, knowing it. */
async function twoDevices(t: TestContext): Promise<{ a: TestDevice; b: TestDevice; network: NetworkDescriptor }> {
  const a = await newDevice(t, 'a');
  const b = await newDevice(t, 'b');
  await createUser(a, { name: 'alice' });
  await createUser(b, { name: 'bob' });
  await carryUsers(b, a, ['bob']);
  const { network } = await createNetwork(a, { as: 'alice', name: 'n' });
  await importNetwork(b, network);
  await createFilesystemSilo(b, { name: 'local' });
  return { a, b, network };
}

test('the id of a node is what the ring calls it', async (t) => {
  const { a } = await twoDevices(t);
  const link = await getLink(a, 'alice', 'n');
  const pair = await nodeKeyPair(a, link);
  assert.equal(link.node_id, toBase64(nodeIdOf(pair.publicKey)));
});

test('linking needs a passport, once', async (t) => {
  const { a, b } = await twoDevices(t);
  const as = 'bob';
  await assert.rejects(
    linkNetwork(b, { as, name: 'alice/n' }),
    failsWith('not-found', /^passport "alice\/n: bob" does not exist$/),
  );
  await assert.rejects(
    getLink(b, as, 'alice/n'),
    failsWith(
      'not-found',
      /^bob has not yet linked to the network "alice\/n" on this device\. Link using: infinit network/,
    ),
  );
  await assert.rejects(getLink(b, as, 'n'), failsWith('not-found', /^network "bob\/n" does not exist$/));
  const { passport } = await createPassport(a, { as: 'alice', network: 'n', user: 'bob' });
  await importPassport(b, JSON.stringify(passport));
  const { link, founded } = await linkNetwork(b, { as, name: 'alice/n', zone: 'cellar' });
  assert.deepEqual([founded, link.passport, link.zone], [false, passport, 'cellar']);
  assert.deepEqual(await getLink(b, as, 'alice/n'), link);
  await assert.rejects(
    linkNetwork(b, { as, name: 'alice/n' }),
    failsWith('exists', /"bob" has already linked network/),
  );
});

test('silos need storage right, an existing silo named once, and a founded network or its owner', async (t) => {
  const { a, b } = await twoDevices(t);
  const pass = async (options: object) => {
    const { passport } = await createPassport(a, { as: 'alice', network: 'n', user: 'bob', ...options });
    await importPassport(b, JSON.stringify(passport));
  };
  const link = (silos: string[]) => linkNetwork(b, { as: 'bob', name: 'alice/n', silos, found });
  await pass({ denyStorage: true });
  await assert.rejects(link(['local']), failsWith('denied', /^the passport "alice\/n: bob" does not allow storage$/));
  a.time(a.runtime.clock.now() + 5000);
  await pass({});
  await assert.rejects(link(['local']), failsWith('denied', /is not founded yet: its owner must link a silo first/));
  await assert.rejects(link(['none']), failsWith('not-found', /silo "none" does not exist/));
  await assert.rejects(link(['local', 'local']), failsWith('usage', /silo "local" is given twice/));
  await createFilesystemSilo(a, { name: 'first' });
  await unlinkNetwork(a, 'alice', 'n');
  const owner = await linkNetwork(a, { as: 'alice', name: 'n', silos: ['first'], found });
  assert.deepEqual([owner.founded, owner.network.serial], [true, 2]);
  assert.deepEqual(await getNetwork(a, 'alice', 'n'), owner.network);
  await importNetwork(b, owner.network);
  const linked = await link(['local']);
  assert.deepEqual([linked.founded, linked.network], [false, owner.network]);
  assert.deepEqual(await listNetworkSilos(b, 'bob', 'alice/n'), ['local']);
});

test('an expired passport does not link', async (t) => {
  const { a, b } = await twoDevices(t);
  const { passport } = await createPassport(a, { as: 'alice', network: 'n', user: 'bob', expiresInMs: 1000 });
  await importPassport(b, JSON.stringify(passport));
  b.time(b.runtime.clock.now() + 3_600_000);
  await assert.rejects(linkNetwork(b, { as: 'bob', name: 'alice/n' }), failsWith('denied', /has expired/));
});

test('unlink keeps the key of the node, which links again as the same node', async (t) => {
  const { a } = await twoDevices(t);
  const before = await nodeKeyPair(a, await getLink(a, 'alice', 'n'));
  const cache = networkCacheDirectory(a.home, 'alice', 'alice/n');
  await mkdir(cache, { recursive: true });
  const { name, node_id } = await unlinkNetwork(a, 'alice', 'n');
  assert.equal(name, 'alice/n');
  assert.equal(await a.runtime.files.stat(cache), undefined);
  await assert.rejects(unlinkNetwork(a, 'alice', 'n'), failsWith('not-found', /not yet linked/));
  const wrong: [string, 'usage' | 'not-found', RegExp][] = [
    ['nonsense', 'usage', /invalid node id "nonsense"/],
    [`../../${'a'.repeat(38)}`, 'usage', /invalid node id/],
    [toBase64(Buffer.alloc(32)), 'not-found', /no key of node/],
  ];
  for (const [nodeId, kind, message] of wrong)
    await assert.rejects(linkNetwork(a, { as: 'alice', name: 'n', nodeId }), failsWith(kind, message));
  const { link } = await linkNetwork(a, { as: 'alice', name: 'n', nodeId: node_id });
  assert.deepEqual((await nodeKeyPair(a, link)).publicKey, before.publicKey);
  await unlinkNetwork(a, 'alice', 'n');
  assert.notEqual((await linkNetwork(a, { as: 'alice', name: 'n' })).link.node_id, node_id);
});

test('a damaged node key is named', async (t) => {
  const { a } = await twoDevices(t);
  const link = await getLink(a, 'alice', 'n');
  const folder = join(a.home.state, 'alice/n/.nodes/alice');
  const [name = ''] = await readdir(folder);
  const path = join(folder, name);
  const good = await readFile(path, 'utf8');
  const other = JSON.parse(good);
  other.private_key.ed25519 = toBase64(Buffer.alloc(32, 5));
  for (const [content, message] of [
    ['{}', /node key .* cannot be read: field "node_id" is missing/],
    [good.slice(0, 20), /cannot be read/],
    [JSON.stringify(other), /holds the key of another node/],
  ] as const) {
    await writeFile(path, content);
    await assert.rejects(nodeKeyPair(a, link), failsWith('corrupt', message));
  }
});

test('a network that runs on this device is neither unlinked nor deleted', async (t) => {
  const { a } = await twoDevices(t);
  await mkdir(join(nodeLockPath(a.home, 'alice/n'), '..'), { recursive: true });
  const lock = await a.runtime.files.lock(nodeLockPath(a.home, 'alice/n'));
  const running = failsWith('exists', /^network "alice\/n" is running on this device \(pid \d+\)$/);
  await assert.rejects(unlinkNetwork(a, 'alice', 'n'), running);
  await assert.rejects(deleteNetwork(a, 'alice', 'n', { unlink: true }), running);
  assert.equal((await getLink(a, 'alice', 'n')).name, 'alice/n');
  await lock.release();
  await unlinkNetwork(a, 'alice', 'n');
});
