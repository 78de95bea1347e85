// The filter `strip`: several silos as one, data spread over them by capacity; the same that happens to several silos of one
// node (`striped.ts`), as a silo of its own.

import type { SiloKind } from '../silo.ts';
import { stripedSilo } from '../striped.ts';
import { clearBackends, openAll } from './backends.ts';

export const stripKind: SiloKind = {
  name: 'strip',
  open: async (config, around) =>
    stripedSilo(await openAll(config.backend ?? [], (backend) => around.open(backend)), around.addedBytes),
  clear: clearBackends,
};
