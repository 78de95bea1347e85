// The conformance suite over every kind of silo.

import assert from 'node:assert/strict';
import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, it } from 'node:test';
import { InfinitError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import { passphraseCheck, passphraseKey, saltBytes } from '../../src/core/crypto/passphrase.ts';
import type { Runtime } from '../../src/core/runtime/runtime.ts';
import { systemHttp } from '../../src/core/runtime/system/http.ts';
import { systemPrograms } from '../../src/core/runtime/system/programs.ts';
import { openFilesystemSilo } from '../../src/core/silo/filesystem/filesystem.ts';
import { openMemorySilo } from '../../src/core/silo/memory.ts';
import { openPackedSilo } from '../../src/core/silo/objects/opening.ts';
import { openSilo, siloKinds } from '../../src/core/silo/registry.ts';
import type { Secrets, Silo, SiloConfig } from '../../src/core/silo/silo.ts';
import { stripedSilo } from '../../src/core/silo/striped.ts';
import { needs } from '../end-to-end/needs.ts';
import { DriveServer } from '../fakes/drive-server.ts';
import { GcsServer, gcsBucket, gcsKeys } from '../fakes/gcs-server.ts';
import { MemoryObjects } from '../fakes/memory-objects.ts';
import { type S3Server, s3Keys, startS3Server } from '../fakes/s3-server.ts';
import { SshServer, sshdPath } from '../fakes/ssh-server.ts';
import { siloRuntime } from '../unit/silo/runtime.ts';
import { siloConformance } from './silo.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-silo-'));
after(() => fs.rm(root, { recursive: true, force: true }));
let folders = 0;
/** Kinds that the suite ran over. */
const tried = new Set(['filesystem', 'memory']);

/** The same files, refusing direct I/O as some file systems do. */
function withoutDirect(runtime: Runtime): Runtime {
  const { files } = runtime;
  const open: Runtime['files']['open'] = async (path, options) => {
    if (options?.direct) throw new InfinitError('unsupported', 'no direct I/O');
    return files.open(path, options);
  };
  return { ...runtime, files: { ...files, open } };
}

function lasting(
  name: string,
  single: boolean,
  open: (config: SiloConfig) => Promise<Silo>,
  configOf: (path: string, capacity: number | undefined) => SiloConfig,
): void {
  const configs = new WeakMap<Silo, SiloConfig>();
  const opened = async (config: SiloConfig) => {
    const silo = await open(config);
    configs.set(silo, config);
    return silo;
  };
  siloConformance(name, {
    single,
    make: (capacity) => opened(configOf(join(root, String(folders++)), capacity)),
    reopen: async (silo) => {
      await silo.close();
      return opened(configs.get(silo) ?? { type: 'filesystem' });
    },
  });
}

function filesystem(name: string, runtime: Runtime): void {
  lasting(
    name,
    true,
    (config) => openFilesystemSilo(config, runtime),
    (path, capacity) => ({ type: 'filesystem', path, capacity }),
  );
}

/** The system's ssh to the system's sshd. */
function sshServer(): void {
  tried.add('sftp');
  if (sshdPath() === undefined) {
    it('sftp', needs('sshd'), () => {});
    return;
  }
  let server: SshServer | undefined;
  after(() => server?.close());
  lasting(
    'sftp',
    true,
    async (config) => {
      server ??= await SshServer.start();
      const place = { host: server.host, ssh_config: server.config, path: `${server.files}${config.path}` };
      return openSilo({ ...config, ...place }, { ...siloRuntime(), programs: systemPrograms });
    },
    (path, capacity) => ({ type: 'sftp', path, capacity }),
  );
}

/** Against what its provider documents. */
function drive(type: 'dropbox' | 'google-drive'): void {
  tried.add(type);
  let server: DriveServer | undefined;
  after(() => server?.close());
  const secret =
    type === 'dropbox'
      ? { app_key: 'app', app_secret: 'app secret' }
      : { client_id: 'app', client_secret: 'app secret' };
  lasting(
    type,
    true,
    async (config) => {
      if (server === undefined) await (server = new DriveServer()).start();
      const runtime = { ...siloRuntime(), http: server.client };
      return openSilo(config, runtime, { secrets: async () => ({ ...secret, refresh_token: 'refresh-me' }) });
    },
    (path, capacity) => ({ type, account: 'me', root: path.slice(1).replaceAll('/', '-'), capacity }),
  );
}

/** A filter over folders, opened by what a descriptor says. */
function filter(type: string, fields: Partial<SiloConfig> = {}, folders = 1, single = folders === 1): void {
  tried.add(type);
  lasting(
    `${type} over filesystem`,
    single,
    (config) => openSilo(config, siloRuntime(), { secrets }),
    (path, capacity) => ({
      type,
      ...fields,
      backend: Array.from({ length: folders }, (_, i) => ({
        type: 'filesystem',
        path: `${path}-${i}`,
        ...(capacity !== undefined && { capacity }),
      })),
    }),
  );
}

/** A silo of packs over objects in memory. */
function packed(name: string, exclusive: boolean): void {
  const stores = new WeakMap<Silo, { store: MemoryObjects; capacity: number | undefined }>();
  const open = async (store: MemoryObjects, capacity: number | undefined) => {
    const silo = await openPackedSilo({ store, runtime: siloRuntime(), capacity, addedBytes: 0, folder: undefined });
    stores.set(silo, { store, capacity });
    return silo;
  };
  siloConformance(name, {
    single: true,
    make: (capacity) => open(Object.assign(new MemoryObjects(), { exclusive }), capacity),
    reopen: async (silo) => {
      await silo.close();
      const { store, capacity } = stores.get(silo) ?? { store: new MemoryObjects(), capacity: undefined };
      return open(store, capacity);
    },
  });
}

/** Over HTTP to a real server. */
function s3Server(): void {
  tried.add('s3');
  let server: S3Server | undefined;
  after(() => server?.close());
  lasting(
    's3',
    true,
    async (config) => {
      server ??= await startS3Server();
      const { endpoint, bucket } = server;
      const aws_credentials = { account: 'trial', bucket, region: 'us-east-1', endpoint, folder: config.path ?? '' };
      const runtime = { ...siloRuntime(), http: systemHttp() };
      const secrets = async () => s3Keys;
      return openSilo({ type: 's3', capacity: config.capacity, aws_credentials }, runtime, { secrets });
    },
    (path, capacity) => ({ type: 's3', path: path.slice(1), capacity }),
  );
}

/** Against what Google documents of its protocol; `test/fakes/gcs-server.ts` checks every signature. */
function gcsServer(): void {
  tried.add('gcs');
  let server: GcsServer | undefined;
  after(() => server?.close());
  lasting(
    'gcs',
    true,
    async (config) => {
      if (server === undefined) await (server = new GcsServer()).start();
      const runtime = { ...siloRuntime(), http: server.client };
      return openSilo(config, runtime, { secrets: async () => gcsKeys });
    },
    (path, capacity) => ({ type: 'gcs', account: 'me', bucket: gcsBucket, root: path.slice(1), capacity }),
  );
}

const passphrase = 'correct horse';
const secrets: Secrets = async () => ({ passphrase });
const salt = Buffer.alloc(saltBytes, 7);
const cryptFields = {
  account: 'trial',
  salt: salt.toString('base64'),
  check: passphraseCheck(await passphraseKey(passphrase, salt)).toString('base64'),
};

siloConformance('memory', {
  single: true,
  make: async (capacity) => openMemorySilo({ type: 'memory', capacity }, siloRuntime()),
});
filesystem('filesystem', siloRuntime());
filesystem('filesystem without direct I/O', withoutDirect(siloRuntime()));
siloConformance('striped', {
  single: false,
  make: async (capacity) =>
    stripedSilo(
      [1, 2, 3].map(() => openMemorySilo({ type: 'memory', capacity: capacity && capacity / 3 }, siloRuntime())),
    ),
});
packed('packs', true);
packed('packs in a store that cannot refuse', false);
s3Server();
sshServer();
drive('dropbox');
drive('google-drive');
gcsServer();
filter('crypt', cryptFields);
filter('mirror', {}, 2, true);
filter('strip', {}, 2);
filter('latency', { latency_get: 0, latency_put: 1 });
filter('faulty', { corrupt_every: limits.siloCorruptEveryMax, break_after: Number.MAX_SAFE_INTEGER });

it('every kind there is was tried', () => {
  assert.deepEqual(
    siloKinds.map(({ name }) => name).filter((name) => !tried.has(name)),
    [],
  );
});
