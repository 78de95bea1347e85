import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import fc from 'fast-check';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { bcryptPbkdf } from '../../../src/core/descriptor/bcrypt-pbkdf.ts';
import { importKey } from '../../../src/core/descriptor/key-import.ts';
import { failsWith } from './support.ts';

const passphrase = 'höhle 7';
const never = () => assert.fail('asked for a passphrase');
const missing = spawnSync('ssh-keygen', ['-?']).error !== undefined && 'ssh-keygen is not on this device';
let folder = '';

before(async () => {
  folder = await mkdtemp(join(tmpdir(), 'infinit-keys-'));
});
after(() => rm(folder, { recursive: true, force: true }));

/** A key by ssh-keygen; the public half as raw bytes. */
async function makeKey(name: string, options: string[]): Promise<{ file: Buffer; publicKey: Buffer; public: string }> {
  const path = join(folder, name);
  const made = spawnSync('ssh-keygen', ['-q', '-f', path, '-C', 'a comment', ...options], { encoding: 'utf8' });
  assert.equal(made.status, 0, made.stderr);
  const text = await readFile(`${path}.pub`, 'utf8');
  const blob = Buffer.from(text.split(' ')[1] ?? '', 'base64');
  return { file: await readFile(path), publicKey: blob.subarray(-32), public: text };
}

test('keys of ssh-keygen, plain', { skip: missing }, async () => {
  const { file, publicKey } = await makeKey('plain', ['-t', 'ed25519', '-N', '']);
  assert.deepEqual((await importKey(file, never)).publicKey, publicKey);
  const windows = file.toString('latin1').replaceAll('\n', '\r\n');
  assert.deepEqual((await importKey(windows, never)).publicKey, publicKey);
});

for (const cipher of ['aes256-ctr', 'aes128-cbc', 'aes256-gcm@openssh.com'])
  test(`keys of ssh-keygen under a passphrase with ${cipher}`, { skip: missing }, async () => {
    const options = ['-t', 'ed25519', '-N', passphrase, '-Z', cipher, '-a', '2'];
    const { file, publicKey } = await makeKey(cipher, options);
    assert.deepEqual((await importKey(file, async () => passphrase)).publicKey, publicKey);
    await assert.rejects(
      importKey(file, () => 'wrong'),
      failsWith('denied', /^wrong passphrase$/),
    );
    await assert.rejects(
      importKey(file, () => ''),
      failsWith('denied', /^empty passphrase$/),
    );
  });

test('other keys of ssh-keygen are refused with the reason, and no passphrase is asked', {
  skip: missing,
}, async () => {
  const chacha = ['-t', 'ed25519', '-N', passphrase, '-Z', 'chacha20-poly1305@openssh.com', '-a', '1'];
  const { file } = await makeKey('chacha', chacha);
  await assert.rejects(
    importKey(file, () => passphrase),
    failsWith('unsupported', /encrypted with chacha20-poly1305@openssh.com and bcrypt are not supported/),
  );
  const rsa = await makeKey('rsa', ['-t', 'rsa', '-b', '1024', '-N', passphrase, '-a', '1']);
  await assert.rejects(importKey(rsa.file, never), failsWith('unsupported', /^RSA keys are not supported/));
  const pem = await makeKey('pem', ['-t', 'rsa', '-b', '1024', '-N', '', '-m', 'PEM']);
  await assert.rejects(importKey(pem.file, never), failsWith('unsupported', /^RSA keys are not supported/));
  const ecdsa = await makeKey('ecdsa', ['-t', 'ecdsa', '-N', '']);
  await assert.rejects(importKey(ecdsa.file, never), failsWith('unsupported', /^ECDSA keys are not supported/));
  await assert.rejects(importKey(rsa.public, never), failsWith('usage', /holds a public key/));
});

test('PEM PKCS#8 keys, plain and under a passphrase', async () => {
  const { privateKey, publicKey } = generateKeyPairSync('ed25519');
  const raw = Buffer.from(publicKey.export({ format: 'jwk' }).x ?? '', 'base64url');
  const plain = privateKey.export({ format: 'pem', type: 'pkcs8' });
  assert.deepEqual((await importKey(plain, never)).publicKey, raw);
  const sealed = privateKey.export({ format: 'pem', type: 'pkcs8', cipher: 'aes-256-cbc', passphrase });
  assert.deepEqual((await importKey(sealed, () => passphrase)).publicKey, raw);
  await assert.rejects(
    importKey(sealed, () => 'wrong'),
    failsWith('denied', /^wrong passphrase/),
  );
  const spki = publicKey.export({ format: 'pem', type: 'spki' });
  await assert.rejects(importKey(spki, never), failsWith('usage', /holds a public key/));
});

test('PEM keys of other kinds are refused', async () => {
  const pkcs8 = { format: 'pem', type: 'pkcs8' } as const;
  const rsa = generateKeyPairSync('rsa', { modulusLength: 1024 }).privateKey;
  const ec = generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey;
  const x25519 = generateKeyPairSync('x25519').privateKey;
  const refused: [string | Buffer, RegExp][] = [
    [rsa.export(pkcs8), /^RSA keys/],
    [rsa.export({ format: 'pem', type: 'pkcs1' }), /^RSA keys/],
    [ec.export(pkcs8), /^ECDSA keys/],
    [ec.export({ format: 'pem', type: 'sec1' }), /^ECDSA keys/],
    [x25519.export(pkcs8), /^x25519 keys/],
  ];
  for (const [pem, message] of refused) await assert.rejects(importKey(pem, never), failsWith('unsupported', message));
});

test('bcrypt_pbkdf gives the known value of OpenBSD, and refuses absurd parameters', () => {
  const derive = (rounds: number, salt = 'salt') => bcryptPbkdf(Buffer.from('password'), Buffer.from(salt), rounds, 32);
  assert.equal(derive(4).toString('hex'), '5bbf0cc293587f1c3635555c27796598d47e579071bf427e9d8fbe842aba34d9');
  for (const [rounds, salt] of [
    [0, 'salt'],
    [2 ** 31, 'salt'],
    [1, ''],
  ] as const)
    assert.throws(() => derive(rounds, salt), failsWith('corrupt', /out of range/));
});

test('damaged key files throw nothing but our errors', { skip: missing }, async () => {
  const { file } = await makeKey('fuzz', ['-t', 'ed25519', '-N', '']);
  const body = Buffer.from(file.toString('latin1').replaceAll(/-----.*-----|\n/g, ''), 'base64');
  const original = (await importKey(file, never)).publicKey;
  const armoured = (bytes: Buffer) =>
    `-----BEGIN OPENSSH PRIVATE KEY-----\n${bytes.toString('base64')}\n-----END OPENSSH PRIVATE KEY-----\n`;
  await fc.assert(
    fc.asyncProperty(fc.nat(), fc.nat({ max: 255 }), fc.boolean(), async (at, mask, cut) => {
      const bytes = Buffer.from(body);
      const index = at % bytes.length;
      bytes[index] = (bytes[index] as number) ^ mask;
      try {
        const pair = await importKey(armoured(cut ? bytes.subarray(0, index) : bytes), () => 'x');
        assert.deepEqual(pair.publicKey, original);
      } catch (error) {
        assert.ok(error instanceof InfinitError, String(error));
        assert.notEqual(error.kind, 'internal');
      }
    }),
    { numRuns: 300 },
  );
  const texts: [string, RegExp][] = [
    ['', /neither an OpenSSH nor a PEM/],
    ['x'.repeat(65_537), /too large/],
    [armoured(Buffer.from('openssh-key-v1')), /not an OpenSSH private key|truncated/],
    ['-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n', /damaged/],
  ];
  for (const [text, message] of texts) await assert.rejects(importKey(text, never), failsWith('corrupt', message));
});
