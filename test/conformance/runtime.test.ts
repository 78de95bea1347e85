// The runtime suite over the simulated runtime and the real one.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after } from 'node:test';
import { systemRuntime } from '../../src/core/runtime/system/system.ts';
import { createWorld } from '../simulator/runtime/world.ts';
import { runtimeSuite } from './runtime.ts';

runtimeSuite('simulated', async () => {
  const world = createWorld({ seed: 1 });
  const { runtime } = world.host('a');
  await world.settle(runtime.files.makeDirectory('/data'));
  return {
    runtime,
    directory: '/data',
    hostName: 'a',
    settle: (promise) => world.settle(promise),
    until: (condition) => world.run(condition),
  };
});

const directories: string[] = [];
after(async () => {
  for (const directory of directories) await rm(directory, { recursive: true, force: true });
});

runtimeSuite('real', async () => {
  const runtime = systemRuntime();
  const directory = await mkdtemp(join(tmpdir(), 'infinit-runtime-'));
  directories.push(directory);
  return {
    runtime,
    directory,
    hostName: '127.0.0.1',
    settle: (promise) => promise,
    until: async (condition) => {
      for (let i = 0; !condition(); i++) {
        if (i > 2000) throw new Error('condition still false');
        await runtime.clock.sleep(5);
      }
    },
  };
});
