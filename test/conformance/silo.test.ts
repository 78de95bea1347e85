// The conformance suite over every kind of silo.

import fs from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { InfinitError } from '../../src/core/base/errors.ts';
import type { Runtime } from '../../src/core/runtime/runtime.ts';
import { openFilesystemSilo } from '../../src/core/silo/filesystem/filesystem.ts';
import { openMemorySilo } from '../../src/core/silo/memory.ts';
import type { Silo } from '../../src/core/silo/silo.ts';
import { stripedSilo } from '../../src/core/silo/striped.ts';
import { siloRuntime } from '../unit/silo/runtime.ts';
import { siloConformance } from './silo.ts';

const root = await fs.mkdtemp(join(tmpdir(), 'infinit-silo-'));
after(() => fs.rm(root, { recursive: true, force: true }));
let folders = 0;

/** The same files, refusing direct I/O as some file systems do. */
function withoutDirect(runtime: Runtime): Runtime {
  const { files } = runtime;
  const open: Runtime['files']['open'] = async (path, options) => {
    if (options?.direct) throw new InfinitError('unsupported', 'no direct I/O');
    return files.open(path, options);
  };
  return { ...runtime, files: { ...files, open } };
}

function filesystem(name: string, runtime: Runtime): void {
  const configs = new WeakMap<Silo, Parameters<typeof openFilesystemSilo>[0]>();
  const open = async (config: Parameters<typeof openFilesystemSilo>[0]) => {
    const silo = await openFilesystemSilo(config, runtime);
    configs.set(silo, config);
    return silo;
  };
  siloConformance(name, {
    single: true,
    make: (capacity) => open({ type: 'filesystem', path: join(root, String(folders++)), capacity }),
    reopen: async (silo) => {
      await silo.close();
      return open(configs.get(silo) ?? { type: 'filesystem' });
    },
  });
}

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
