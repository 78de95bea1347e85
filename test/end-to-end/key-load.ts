// Keys put through a door until told to stop: new ones, and some that are overwritten again and again by one writer each.

import type { KeyStore } from '../../src/core/volume/keys.ts';
import { contents, type Ledger } from './ledger.ts';

const writers = 6;
let loads = 0;

export class KeyLoad {
  private readonly tasks: Promise<void>[];
  private stopped = false;
  acknowledged = 0;

  constructor(ledger: Ledger, keys: KeyStore) {
    const load = loads++;
    this.tasks = Array.from({ length: writers }, async (_, writer) => {
      for (let at = 0; !this.stopped; at++) {
        const name = at % 5 === 0 ? `load ${load}/again ${writer}` : `load ${load}/${writer}/${at}`;
        await ledger.put(keys, name, contents(`${name} ${at}`, 200 + ((at * 7919) % 20_000)));
        this.acknowledged++;
      }
    });
    // Heard of by who ends it.
    for (const task of this.tasks) task.catch(() => {});
  }

  /** Who it puts to is gone. */
  async abandon(): Promise<void> {
    this.stopped = true;
    await Promise.allSettled(this.tasks);
  }

  async end(): Promise<void> {
    this.stopped = true;
    await Promise.all(this.tasks);
  }
}
