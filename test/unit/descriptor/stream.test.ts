import assert from 'node:assert/strict';
import { type TestContext, test } from 'node:test';
import fc from 'fast-check';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { limits } from '../../../src/core/base/limits.ts';
import { canonicalJson } from '../../../src/core/descriptor/canonical.ts';
import { addCredentials } from '../../../src/core/descriptor/credentials.ts';
import type { DescriptorKind, Descriptors } from '../../../src/core/descriptor/descriptor.ts';
import { createDrive, noteDriveUser } from '../../../src/core/descriptor/drives.ts';
import { createKeyValueStore } from '../../../src/core/descriptor/key-value-stores.ts';
import { getLink } from '../../../src/core/descriptor/links.ts';
import { createNetwork } from '../../../src/core/descriptor/networks.ts';
import { createPassport } from '../../../src/core/descriptor/passports.ts';
import { verifyPassport } from '../../../src/core/descriptor/rights.ts';
import { createFilesystemSilo } from '../../../src/core/descriptor/silos.ts';
import { formatDescriptor, parseDescriptor } from '../../../src/core/descriptor/stream.ts';
import { createUser } from '../../../src/core/descriptor/users.ts';
import { createVolume } from '../../../src/core/descriptor/volumes.ts';
import { failsWith, found, newDevice } from './support.ts';

/** One of each kind, with all fields that can be there. */
async function samples(t: TestContext): Promise<Descriptors> {
  const device = await newDevice(t);
  const description = 'été\n\t"quoted"';
  const user = await createUser(device, { name: 'alice', email: 'a@b.c', fullname: 'A B', description });
  for (const name of ['bob', 'carol']) await createUser(device, { name });
  const { silo } = await createFilesystemSilo(device, { name: 'local', capacity: 1e12, description });
  const secret = { access_key_id: 'A', secret_access_key: 'B' };
  const credentials = await addCredentials(device, { service: 'aws', account: 'w', as: 'alice', secret, display: 'A' });
  const peers = ['h:1', '[fe80::1]:65535'];
  const { network } = await createNetwork(device, {
    as: 'alice',
    name: 'n',
    description,
    peers,
    tcpHeartbeatMs: 1000,
    silos: ['local'],
    zone: 'z',
    port: 1,
    found,
  });
  await createPassport(device, { as: 'alice', network: 'n', user: 'bob', allowCreatePassport: true });
  const delegated = { as: 'bob', network: 'alice/n', user: 'carol', expiresInMs: 1 };
  const { passport } = await createPassport(device, delegated);
  const store = await createKeyValueStore(device, { as: 'alice', name: 'kv', network: 'n', description });
  const mountOptions = { readonly: true, fuse_options: ['noatime'], peers, cache_ram_size: 1, port: 1 };
  const volume = await createVolume(device, { as: 'alice', name: 'v', network: 'n', description, mountOptions });
  const link = await getLink(device, 'alice', 'n');
  const offered = { permissions: 'rw', status: 'pending', create_home: true } as const;
  const made = await createDrive(device, { as: 'alice', name: 'd', network: 'n', volume: 'v', description });
  const drive = await noteDriveUser(device, made, 'bob', offered);
  const trees = { volume, 'key-value-store': store, drive };
  return { user, silo, credentials, network, 'linked-network': link, passport, ...trees };
}

/** What a hostile text may do: be refused as `corrupt`. Gives the descriptor when it was accepted. */
function tryParse<K extends DescriptorKind>(kind: K, source: string | Buffer): Descriptors[K] | undefined {
  try {
    return parseDescriptor(kind, source);
  } catch (error) {
    if (error instanceof InfinitError && error.kind === 'corrupt') return undefined;
    throw error;
  }
}

test('every kind reads back as it was written', async (t) => {
  const all = await samples(t);
  for (const kind of Object.keys(all) as DescriptorKind[]) {
    assert.deepEqual(parseDescriptor(kind, formatDescriptor(kind, all[kind])), all[kind], kind);
    assert.deepEqual(parseDescriptor(kind, JSON.stringify(all[kind])), all[kind], kind);
  }
});

test('a field missing, unknown, or of another type is refused by its name', async (t) => {
  const all = await samples(t);
  for (const kind of Object.keys(all) as DescriptorKind[]) {
    const good = all[kind] as unknown as Record<string, unknown>;
    for (const field of Object.keys(good))
      for (const wrong of [undefined, [], {}, 'x'.repeat(5000), -1, 0.5, Number.MAX_VALUE]) {
        const text = JSON.stringify({ ...good, [field]: wrong });
        const accepted = tryParse(kind, text);
        assert.ok(
          accepted === undefined || (wrong === undefined && !(field in accepted)) || field === 'silos',
          `${kind}.${field} = ${JSON.stringify(wrong)?.slice(0, 20)}`,
        );
      }
    for (const extra of ['extra', '__proto__', 'constructor']) {
      const text = JSON.stringify(good).replace(/^\{/, `{"${extra}":1,`);
      assert.throws(() => parseDescriptor(kind, text), failsWith('corrupt', new RegExp(`field "${extra}" is unknown`)));
    }
  }
});

test('what is no descriptor at all is refused', () => {
  const texts: [string | Buffer, RegExp][] = [
    ['', /^user: not a JSON text$/],
    ['null', /^user: is not an object$/],
    ['[]', /^user: is not an object$/],
    ['['.repeat(100_000), /^user: not a JSON text$/],
    [Buffer.from([0x22, 0xff, 0x22]), /^user: not a JSON text$/],
    [' '.repeat(limits.descriptorBytesMax + 1), /^user: more than \d+ bytes$/],
    ['{"name":"../x","public_key":{}}', /^user: field "name" is not a name$/],
    ['{"name":"x","public_key":{"ed25519":"AAAA"}}', /^user: field "public_key.ed25519" is not base64 of 32 bytes$/],
    [`{"name":"x","public_key":{"ed25519":"${'A'.repeat(42)}B="}}`, /field "public_key.ed25519" is not base64/],
  ];
  for (const [text, message] of texts)
    assert.throws(() => parseDescriptor('user', text), failsWith('corrupt', message));
});

test('truncated and bit-flipped descriptors are never accepted as something else', async (t) => {
  const all = await samples(t);
  const signed = ['network', 'passport', 'volume', 'key-value-store'] as const;
  const originals = Object.fromEntries(signed.map((kind) => [kind, canonicalJson(all[kind]).toString('hex')]));
  const texts = Object.fromEntries(signed.map((kind) => [kind, formatDescriptor(kind, all[kind])]));
  const check = (kind: (typeof signed)[number], text: Buffer) => {
    const parsed = tryParse(kind, text);
    if (parsed === undefined || canonicalJson(parsed).toString('hex') === originals[kind]) return;
    assert.equal(kind, 'passport', `a changed ${kind} was accepted`);
    try {
      verifyPassport(all.network, parsed as Descriptors['passport']);
    } catch (error) {
      assert.ok(error instanceof InfinitError && error.kind === 'denied');
      return;
    }
    assert.fail('a changed passport was accepted');
  };
  fc.assert(
    fc.property(fc.constantFrom(...signed), fc.nat(), fc.integer({ min: 1, max: 255 }), (kind, at, mask) => {
      const text = texts[kind] as Buffer;
      const flipped = Buffer.from(text);
      const index = at % text.length;
      flipped[index] = (flipped[index] as number) ^ mask;
      check(kind, flipped);
      check(kind, text.subarray(0, index));
    }),
    { numRuns: 400 },
  );
});

test('random values and random texts only ever throw corrupt', () => {
  const kinds: DescriptorKind[] = [
    'user',
    'silo',
    'network',
    'linked-network',
    'passport',
    'volume',
    'key-value-store',
  ];
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.oneof(fc.json(), fc.string(), fc.uint8Array()), (kind, source) => {
      assert.equal(tryParse(kind, typeof source === 'string' ? source : Buffer.from(source)), undefined);
    }),
  );
});

test('a known shape with random leaves only ever throws corrupt, or is fully checked', async (t) => {
  const all = await samples(t);
  const kinds = Object.keys(all) as DescriptorKind[];
  fc.assert(
    fc.property(fc.constantFrom(...kinds), fc.nat(), fc.jsonValue(), (kind, pick, leaf) => {
      const paths: (string | number)[][] = [];
      const walk = (value: unknown, path: (string | number)[]): void => {
        paths.push(path);
        if (typeof value === 'object' && value !== null)
          for (const key of Object.keys(value)) walk((value as Record<string, unknown>)[key], [...path, key]);
      };
      walk(all[kind], []);
      const path = paths[pick % paths.length] ?? [];
      const copy = structuredClone(all[kind]) as unknown;
      const holder: { [step: string | number]: unknown } = { root: copy };
      const steps = ['root', ...path];
      let target = holder;
      for (const step of steps.slice(0, -1)) target = target[step] as typeof holder;
      target[steps.at(-1) as string] = leaf;
      const parsed = tryParse(kind, JSON.stringify(holder.root));
      if (parsed !== undefined) canonicalJson(parsed);
    }),
    { numRuns: 300 },
  );
});
