// The filter `latency`: every call takes a little longer, as on a slow or distant device. For trying out.

import type { Clock } from '../../runtime/runtime.ts';
import { passing } from '../passing.ts';
import type { Silo, SiloKind } from '../silo.ts';
import { clearBackends, oneBackend } from './backends.ts';

export const latencyKind: SiloKind = {
  name: 'latency',
  open: async (config, around) => {
    const { latency_get: getMs = 0, latency_put: putMs = 0 } = config;
    return latencySilo(await around.open(oneBackend(config)), around.runtime.clock, { getMs, putMs });
  },
  clear: clearBackends,
};

/** Reads wait `getMs` before, changes `putMs` after they are durable: they take effect in the order called all the same. */
export function latencySilo(inner: Silo, clock: Clock, { getMs, putMs }: { getMs: number; putMs: number }): Silo {
  const reading = async <T>(call: () => Promise<T>): Promise<T> => {
    if (getMs > 0) await clock.sleep(getMs);
    return call();
  };
  const changed = async (change: Promise<void>): Promise<void> => {
    await change;
    if (putMs > 0) await clock.sleep(putMs);
  };
  return passing(inner, {
    get: (space, key, options) => reading(() => inner.get(space, key, options)),
    getRange: (space, key, offset, length) => reading(() => inner.getRange(space, key, offset, length)),
    verify: (space, key) => reading(() => inner.verify(space, key)),
    put: (space, key, value) => changed(inner.put(space, key, value)),
    delete: (space, key) => changed(inner.delete(space, key)),
    batch: (entries) => changed(inner.batch(entries)),
  });
}
