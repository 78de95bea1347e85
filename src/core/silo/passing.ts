// A silo around another one, for what changes a few of its methods.

import type { Silo } from './silo.ts';

/** Does as the inner one does, but for the methods given. */
export function passing(inner: Silo, changed: Partial<Omit<Silo, 'storeId'>>): Silo {
  const all: Silo = {
    get storeId() {
      return inner.storeId;
    },
    get: (space, key, options) => inner.get(space, key, options),
    getRange: (space, key, offset, length) => inner.getRange(space, key, offset, length),
    size: (space, key) => inner.size(space, key),
    put: (space, key, value) => inner.put(space, key, value),
    delete: (space, key) => inner.delete(space, key),
    batch: (entries) => inner.batch(entries),
    list: (space, after) => inner.list(space, after),
    scan: (space, startBytes, after) => inner.scan(space, startBytes, after),
    usage: () => inner.usage(),
    sequence: () => inner.sequence(),
    verify: (space, key) => inner.verify(space, key),
    renew: () => inner.renew(),
    close: () => inner.close(),
  };
  return Object.assign(all, changed);
}
