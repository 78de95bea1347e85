// The conformance suite over every kind of silo.

import { openMemorySilo } from '../../src/core/silo/memory.ts';
import { siloRuntime } from '../unit/silo/runtime.ts';
import { siloConformance } from './silo.ts';

siloConformance('memory', {
  single: true,
  make: async (capacity) => openMemorySilo({ type: 'memory', capacity }, siloRuntime()),
});
