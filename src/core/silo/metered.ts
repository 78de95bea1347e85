// A silo whose operations are counted and timed.

import type { Metrics } from '../base/metrics.ts';
import type { Clock } from '../runtime/runtime.ts';
import { passing } from './passing.ts';
import type { Silo } from './silo.ts';

export function meteredSilo(inner: Silo, clock: Clock, metrics: Metrics): Silo {
  const times = metrics.histogram('infinit_silo_seconds', 'Time of operations of silos.', 'operation');
  const bytes = metrics.counter(
    'infinit_silo_bytes_total',
    'Bytes of values read from and put into silos.',
    'direction',
  );
  /** Failures take time too. */
  const timed = async <T>(operation: string, result: Promise<T>): Promise<T> => {
    const began = clock.monotonic();
    try {
      return await result;
    } finally {
      times.observe(clock.monotonic() - began, operation);
    }
  };
  const reading = async (result: Promise<Buffer>): Promise<Buffer> => {
    const value = await timed('get', result);
    bytes.add(value.length, 'read');
    return value;
  };
  return passing(inner, {
    get: (space, key, options) => reading(inner.get(space, key, options)),
    getRange: (space, key, offset, length) => reading(inner.getRange(space, key, offset, length)),
    put: async (space, key, value) => {
      await timed('put', inner.put(space, key, value));
      bytes.add(value.length, 'written');
    },
    delete: (space, key) => timed('delete', inner.delete(space, key)),
    batch: async (entries) => {
      await timed('batch', inner.batch(entries));
      bytes.add(
        entries.reduce((sum, { value }) => sum + (value?.length ?? 0), 0),
        'written',
      );
    },
    verify: (space, key) => timed('verify', inner.verify(space, key)),
  });
}
