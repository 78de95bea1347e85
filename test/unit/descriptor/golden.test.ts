// The home folder as this release writes it, byte by byte: `test/golden/home`. A change of these files is a change of format
// and needs a migration. UPDATE_GOLDEN=1 writes them anew.

import assert from 'node:assert/strict';
import { cp, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { toBase64 } from '../../../src/core/base/bytes.ts';
import { addCredentials, readCredentials } from '../../../src/core/descriptor/credentials.ts';
import type { DescriptorKind } from '../../../src/core/descriptor/descriptor.ts';
import { createKeyValueStore } from '../../../src/core/descriptor/key-value-stores.ts';
import { getLink, linkNetwork } from '../../../src/core/descriptor/links.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { nodeKeyPair } from '../../../src/core/descriptor/node-keys.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import { verifyPassport } from '../../../src/core/descriptor/rights.ts';
import { passportHash } from '../../../src/core/descriptor/signing.ts';
import {
  createDriveSilo,
  createFilesystemSilo,
  createFilterSilo,
  createMemorySilo,
  createS3Silo,
  createSftpSilo,
} from '../../../src/core/descriptor/silos.ts';
import { createUser, getUser, userKeyPair } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { createAdmission } from '../../../src/core/peer/admission.ts';
import { deviceIn, found, type TestDevice } from './support.ts';

const golden = fileURLToPath(new URL('../../golden/home', import.meta.url));
const kinds: DescriptorKind[] = [
  'user',
  'silo',
  'credentials',
  'network',
  'linked-network',
  'passport',
  'volume',
  'key-value-store',
];

async function fill(device: TestDevice): Promise<void> {
  const alice = { name: 'alice', email: 'alice@example.org', fullname: 'Alice', description: 'owner\nof all' };
  await createUser(device, alice);
  for (const name of ['bob', 'carol']) await createUser(device, { name });
  await createFilesystemSilo(device, { name: 'local', capacity: 50_000_000_000, path: '/srv/infinit/local' });
  await createMemorySilo(device, { name: 'memory', description: 'for trying out' });
  const full = {
    description: 'all fields',
    peers: ['example.org:4000', '[::1]:4001'],
    tcpHeartbeatMs: 2000,
    port: 4000,
  };
  await createNetwork(device, { as: 'alice', name: 'cluster', ...full, zone: 'cellar', silos: ['local'], found });
  await createNetwork(device, { as: 'alice', name: 'plain', consensus: 'none', overlay: 'kalimero' });
  await createPassport(device, { as: 'alice', network: 'cluster', user: 'bob', allowCreatePassport: true });
  const delegated = { as: 'bob', network: 'alice/cluster', user: 'carol', expiresInMs: 86_400_000 };
  await createPassport(device, { ...delegated, denyWrite: true, denyStorage: true });
  await linkNetwork(device, { as: 'carol', name: 'alice/cluster' });
  await createKeyValueStore(device, { as: 'alice', name: 'settings', network: 'cluster', description: 'keys' });
  const mountOptions = {
    readonly: true,
    fuse_options: ['noatime', 'timeout=30'],
    map_other_permissions: false,
    mount_name: 'shared',
    mountpoint: '/mnt/shared',
    cache: true,
    cache_ram_size: 64_000_000,
    cache_ram_ttl: 300_000,
    cache_ram_invalidation: 15_000,
    enable_monitoring: true,
    peers: ['example.org:4000'],
    port: 4001,
    listen_address: '::',
    advertise_hosts: ['desk.example.org'],
    no_local_endpoints: false,
    no_public_endpoints: true,
  };
  const volume = { as: 'alice', name: 'shared', network: 'cluster', description: 'files' };
  await createVolume(device, { ...volume, defaultPermissions: 'rw', blockBytes: 65_536, mountOptions });
  await createVolume(device, { as: 'alice', name: 'own', network: 'cluster' });
  const secret = {
    access_key_id: 'AKIAIOSFODNN7EXAMPLE',
    secret_access_key: 'wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY',
  };
  await addCredentials(device, {
    service: 'aws',
    account: 'work',
    as: 'alice',
    secret,
    display: secret.access_key_id,
  });
  await createS3Silo(device, {
    name: 'cloud',
    account: 'work',
    bucket: 'my-bucket',
    folder: 'cloud_blocks',
    region: 'eu-west-1',
    endpoint: 'amazonaws.com',
    storageClass: 'STANDARD_IA',
    capacity: 1_000_000_000_000,
  });
  const drive = { account: 'me', secret: { app_key: 'a', app_secret: 'b', refresh_token: 'c' }, as: 'alice' };
  await addCredentials(device, { service: 'dropbox', ...drive });
  await createDriveSilo(device, { name: 'box', type: 'dropbox', account: 'me', root: 'box_blocks' });
  await createSftpSilo(device, { name: 'away', host: 'me@example.org', path: '/srv/infinit', port: 2222 });
  await createFilterSilo(device, { name: 'both', type: 'strip', silos: ['local', 'memory'] });
  await device.runtime.files.replace(join(device.home.data, '..', 'credentials.hex'), await credentials(device));
}

/** What Carol's node presents to others, as hexadecimal. */
async function credentials(device: TestDevice): Promise<Buffer> {
  const link = await getLink(device, 'carol', 'alice/cluster');
  const admission = createAdmission({
    clock: device.runtime.clock,
    log: device.runtime.log,
    network: () => link.network,
    user: userKeyPair(await getUser(device, 'carol')),
    node: await nodeKeyPair(device, link),
    kind: 'client',
    passport: link.passport,
  });
  return Buffer.from(`${Buffer.from(admission.present()).toString('hex')}\n`);
}

async function filesOf(folder: string): Promise<{ [path: string]: string }> {
  const files: { [path: string]: string } = {};
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  for (const entry of entries.filter((item) => item.isFile())) {
    const path = join(entry.parentPath, entry.name);
    files[path.slice(folder.length + 1)] = await readFile(path, 'utf8');
  }
  return files;
}

async function temporary(t: TestContext): Promise<string> {
  const root = await mkdtemp(join(tmpdir(), 'infinit-golden-'));
  t.after(() => rm(root, { recursive: true, force: true }));
  return root;
}

test('a home is written as it always was', async (t) => {
  const root = await temporary(t);
  await fill(deviceIn(root, 'golden'));
  if (process.env.UPDATE_GOLDEN === '1') {
    await rm(golden, { recursive: true, force: true });
    await cp(root, golden, { recursive: true });
  }
  const [written, expected] = [await filesOf(root), await filesOf(golden)];
  assert.deepEqual(Object.keys(written).sort(), Object.keys(expected).sort());
  for (const [path, content] of Object.entries(expected)) assert.equal(written[path], content, path);
});

test('the golden home is read whole, and everything in it holds', async () => {
  const device = deviceIn(golden, 'reading');
  const counts: { [kind: string]: number } = {};
  for (const kind of kinds) counts[kind] = (await device.repository.list(kind)).length;
  assert.deepEqual(counts, {
    user: 3,
    silo: 6,
    credentials: 2,
    network: 2,
    'linked-network': 3,
    passport: 2,
    volume: 2,
    'key-value-store': 1,
  });
  assert.deepEqual(device.logged, []);
  const { network, passport } = await getLink(device, 'carol', 'alice/cluster');
  assert.deepEqual(verifyPassport(network, passport), { write: false, storage: false, sign: false });
  assert.equal(passportHash(passport).length, 32);
  const { access_key_id } = await readCredentials(device, 'alice', 'aws', 'work');
  assert.equal(access_key_id, 'AKIAIOSFODNN7EXAMPLE');
  for (const { descriptor } of await device.repository.list('linked-network'))
    assert.equal(toBase64((await nodeKeyPair(device, descriptor)).seed).length, 44);
});

test('the golden credentials are admitted', async () => {
  const device = deviceIn(golden, 'reading');
  const link = await getLink(device, 'alice', 'cluster');
  const carol = await nodeKeyPair(device, await getLink(device, 'carol', 'alice/cluster'));
  const admission = createAdmission({
    clock: device.runtime.clock,
    log: device.runtime.log,
    network: () => link.network,
    user: userKeyPair(await getUser(device, 'alice')),
    node: await nodeKeyPair(device, link),
    kind: 'storage',
    passport: link.passport,
  });
  const presented = Buffer.from((await readFile(join(golden, 'credentials.hex'), 'utf8')).trim(), 'hex');
  const identity = admission.admit(presented, carol.publicKey);
  assert.deepEqual([identity.kind, identity.rights.write], ['client', false]);
});
