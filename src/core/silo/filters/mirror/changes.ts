// Changes on their way, as whoever copies beside them must know them: what is copied may be replaced meanwhile.

import { toHex } from '../../../base/bytes.ts';
import type { SiloEntry, SiloKey, Space } from '../../silo.ts';

export class Changes {
  private readonly running = new Set<Promise<unknown>>();
  private readonly watched = new Map<string, boolean>();

  /** Notes what begins to change now; `done` settles with it. */
  begin(entries: readonly SiloEntry[], done: Promise<unknown>): void {
    for (const { space, key } of entries) {
      const place = placeOf(space, key);
      if (this.watched.has(place)) this.watched.set(place, true);
    }
    this.running.add(done);
    const ended = () => this.running.delete(done);
    done.then(ended, ended);
  }

  /** Resolves once all that have begun are settled. */
  async quiet(): Promise<void> {
    await Promise.allSettled([...this.running]);
  }

  /**
   * Runs the task while these keys are watched and no earlier change of them is on its way; `isChanged` tells it which have begun
   * to change since. One at a time.
   */
  async watching(
    space: Space,
    keys: readonly SiloKey[],
    task: (isChanged: (key: SiloKey) => boolean) => Promise<void>,
  ): Promise<void> {
    for (const key of keys) this.watched.set(placeOf(space, key), false);
    try {
      await this.quiet();
      await task((key) => this.watched.get(placeOf(space, key)) === true);
    } finally {
      for (const key of keys) this.watched.delete(placeOf(space, key));
    }
  }
}

function placeOf(space: Space, key: SiloKey): string {
  return `${space}/${toHex(key)}`;
}
