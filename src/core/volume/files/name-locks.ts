// Taking names away: whether the file may go at once is decided before, by what this client has open and whether it is alone.
// Names that go are kept apart from other changes of the same names by this client until that is done.

import { toHex } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { KeyedMutex } from '../../base/lifecycle.ts';
import type { EntryPlace } from './files.ts';

export class NameLocks {
  private readonly locks = new KeyedMutex();

  /** Runs while nobody else changes these names by way of this. */
  run<T>(places: readonly EntryPlace[], task: () => Promise<T>): Promise<T> {
    const names = [...new Set(places.map(({ directory, name }) => `${directory}/${toHex(name)}`))].sort();
    return names.reduceRight<() => Promise<T>>((inner, name) => () => this.locks.run(name, inner), task)();
  }
}

/** What a lookup finds, or nothing. */
export async function found<T>(lookup: Promise<T>): Promise<T | undefined> {
  try {
    return await lookup;
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw error;
  }
}
