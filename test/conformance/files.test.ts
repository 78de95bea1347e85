// The conformance suite over every implementation of the files view.

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
