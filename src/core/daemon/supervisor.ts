// All that the daemon of a home keeps running. What is asked of it is written into the book first, so that a daemon that is killed
// at any moment leaves what the next one needs.

import { InfinitError } from '../base/errors.ts';
import { KeyedMutex } from '../base/lifecycle.ts';
import type { UnitStatus } from '../cli/supervising.ts';
import type { Clock, Log } from '../runtime/runtime.ts';
import type { Book } from './book.ts';
import { keyOf, type Launcher, type Unit } from './daemon.ts';
import { Keeper } from './keeper.ts';

export interface SupervisorOptions {
  clock: Clock;
  log: Log;
  launcher: Launcher;
  book: Book;
}

/** Mounts and doors first: they use the nodes. */
const lastRole = 'network';

export class Supervisor {
  private readonly options: SupervisorOptions;
  private readonly keepers = new Map<string, Keeper>();
  private readonly changing = new KeyedMutex();

  constructor(options: SupervisorOptions) {
    this.options = options;
  }

  /** Takes up what the book says. */
  begin(): void {
    for (const { unit, process } of this.options.book.list()) void this.keeperOf(unit, process).start();
  }

  /** Keeps it from now on, whether its first attempt serves or not. Fine when it is kept already. */
  async keep(unit: Unit): Promise<void> {
    await this.changing.run(keyOf(unit), async () => {
      if (this.keepers.has(keyOf(unit))) return;
      await this.options.book.put(unit);
      void this.keeperOf(unit).start();
    });
  }

  /** Keeps it once it serves; what it tells. Throws why it does not, and `exists` when it is kept already. */
  async start(unit: Unit): Promise<unknown> {
    const key = keyOf(unit);
    return this.changing.run(key, async () => {
      if (this.keepers.has(key)) throw new InfinitError('exists', `${unit.role} "${unit.name}" is already running`);
      await this.options.book.put(unit);
      const keeper = this.keeperOf(unit);
      try {
        return await keeper.start();
      } catch (error) {
        await keeper.stop();
        await this.forget(key);
        throw error;
      }
    });
  }

  /** Stops it for good. Throws `not-found` when it is not kept, `conflict` while its files are in use. */
  async stop(key: string): Promise<void> {
    await this.changing.run(key, async () => {
      await this.find(key).stop();
      await this.forget(key);
    });
  }

  /** Stops it and starts it again, after the pause; what is done in between is done while it does not run. */
  async restart(key: string, between: () => Promise<void> = async () => {}): Promise<unknown> {
    return this.changing.run(key, async () => {
      const { unit } = this.find(key);
      await this.find(key).stop();
      try {
        await between();
      } finally {
        // Kept in any case: what it was before is better than nothing.
        void this.keeperOf(unit).start();
      }
      return this.find(key).begun();
    });
  }

  status(): UnitStatus[] {
    return [...this.keepers.values()].map((keeper) => keeper.status());
  }

  statusOf(key: string): UnitStatus | undefined {
    return this.keepers.get(key)?.status();
  }

  /** Stops all processes and keeps nothing; the book stays for the next daemon. Names of those still in use. */
  async end(timeMs: number): Promise<string[]> {
    const still: string[] = [];
    const leave = async (keeper: Keeper) => {
      if (!(await keeper.leave(timeMs))) still.push(`${keeper.unit.role} "${keeper.unit.name}"`);
    };
    const keepers = [...this.keepers.values()];
    await Promise.all(keepers.filter(({ unit }) => unit.role !== lastRole).map(leave));
    await Promise.all(keepers.filter(({ unit }) => unit.role === lastRole).map(leave));
    return still;
  }

  /** Keeps nothing; the processes go on. */
  letGo(): void {
    for (const keeper of this.keepers.values()) keeper.letGo();
  }

  private find(key: string): Keeper {
    const keeper = this.keepers.get(key);
    if (keeper === undefined) throw new InfinitError('not-found', 'the daemon does not keep it');
    return keeper;
  }

  private async forget(key: string): Promise<void> {
    this.keepers.delete(key);
    await this.options.book.remove(key);
  }

  private keeperOf(unit: Unit, process?: Parameters<Book['put']>[1]): Keeper {
    const { clock, log, launcher, book } = this.options;
    const remember = (id: typeof process) => book.put(unit, id);
    const keeper = new Keeper(unit, process, { clock, log, launcher, remember });
    this.keepers.set(keyOf(unit), keeper);
    return keeper;
  }
}
