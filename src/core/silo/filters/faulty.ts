// The filter `faulty`: a device on which some reads come back damaged and which breaks after a number of changes. For seeing
// how a network heals; chance is that of the runtime.

import { InfinitError } from '../../base/errors.ts';
import type { Random } from '../../runtime/runtime.ts';
import { passing } from '../passing.ts';
import type { Silo, SiloKind, Space } from '../silo.ts';
import { clearBackends, oneBackend } from './backends.ts';

export interface Faults {
  /** One read of so many is damaged; undefined: none. */
  corruptEvery: number | undefined;
  /** Changes that succeed before the device breaks for good; undefined: all. */
  breakAfter: number | undefined;
}

export const faultyKind: SiloKind = {
  name: 'faulty',
  open: async (config, around) => {
    const { corrupt_every: corruptEvery, break_after: breakAfter } = config;
    return faultySilo(await around.open(oneBackend(config)), around.runtime.random, { corruptEvery, breakAfter });
  },
  clear: clearBackends,
};

/** Damage is in what is read, not in what is kept. A broken device refuses changes and goes on reading. */
export function faultySilo(inner: Silo, random: Random, { corruptEvery, breakAfter }: Faults): Silo {
  let changes = 0;
  const read = async <T>(space: Space, call: Promise<T>): Promise<T> => {
    const value = await call;
    if (corruptEvery === undefined || random.below(corruptEvery) > 0) return value;
    throw new InfinitError('corrupt', `a stored ${space} fails its checksum (a fault that was asked for)`);
  };
  const change = async (call: () => Promise<void>): Promise<void> => {
    if (breakAfter !== undefined && changes >= breakAfter)
      throw new InfinitError('unavailable', 'the device is broken (a fault that was asked for)');
    changes++;
    return call();
  };
  return passing(inner, {
    get: (space, key, options) => read(space, inner.get(space, key, options)),
    verify: (space, key) => read(space, inner.verify(space, key)),
    put: (space, key, value) => change(() => inner.put(space, key, value)),
    delete: (space, key) => change(() => inner.delete(space, key)),
    batch: (entries) => change(() => inner.batch(entries)),
  });
}
