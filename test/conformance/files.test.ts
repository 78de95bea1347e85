// The conformance suite over every implementation of the files view.

import { FilesWorld } from '../fakes/files-world.ts';
import { MemoryFiles } from '../fakes/memory-files.ts';
import { filesConformance } from './files.ts';

filesConformance('memory', {
  fast: true,
  make: async () => {
    let ms = 1_700_000_000_000;
    const now = () => {
      ms++;
      return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
    };
    return {
      files: new MemoryFiles({ now }),
      pass: async (timeMs) => {
        ms += timeMs;
      },
      close: async () => {},
    };
  },
});

for (const clients of [1, 2])
  filesConformance(`tree, ${clients === 1 ? 'one client' : 'a leader and a follower'}`, {
    fast: false,
    make: async () => {
      const world = new FilesWorld({ seed: clients });
      await world.found();
      const { driven: files } = await world.open('first');
      const other = clients === 2 ? (await world.open('second')).driven : undefined;
      return { files, other, pass: (timeMs) => world.pass(timeMs), close: () => world.close() };
    },
  });
