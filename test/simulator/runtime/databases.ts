// Databases of a simulated host: sqlite in memory, kept by the host across crashes; a transaction a crash interrupts is rolled
// back. The real work is awaited by the world, its answer comes at a seeded virtual time.

import type { Mutex } from '../../../src/core/base/lifecycle.ts';
import type { Database, Databases } from '../../../src/core/runtime/runtime.ts';
import {
  callersMutex,
  openSqlite,
  SerialDatabase,
  type SqlConnection,
} from '../../../src/core/runtime/system/databases.ts';
import type { Life } from './host.ts';

const statementUs = [100, 1000] as const;

/** What stays on a host when its processes end. Those that run have one connection: their transactions wait for each other. */
export class DatabaseShelf {
  private readonly connections = new Map<string, Promise<SqlConnection>>();
  private readonly mutexes = new Map<string, Mutex>();
  private recovery: Promise<unknown> = Promise.resolve();

  open(path: string): Promise<SqlConnection> {
    const known = this.connections.get(path) ?? openSqlite(':memory:');
    this.connections.set(path, known);
    return this.recovery.then(() => known);
  }

  mutexOf(path: string): Mutex {
    const mutex = this.mutexes.get(path) ?? callersMutex();
    this.mutexes.set(path, mutex);
    return mutex;
  }

  /** Rolls back what was not committed; returns when that is done. */
  crash(): Promise<unknown> {
    this.mutexes.clear(); // who held one never gives it back
    const rollBack = async (connection: Promise<SqlConnection>) => {
      const open = await connection;
      // Fails when there is no transaction, which is the usual case.
      await open.exec('ROLLBACK').catch(() => {});
    };
    this.recovery = Promise.all([...this.connections.values()].map(rollBack));
    return this.recovery;
  }

  async close(): Promise<void> {
    for (const connection of this.connections.values()) await (await connection).close();
    this.connections.clear();
  }
}

export class VirtualDatabases implements Databases {
  private readonly life: Life;

  constructor(life: Life) {
    this.life = life;
  }

  async open(path: string): Promise<Database> {
    const { life } = this;
    const inner = await this.later(() => life.host.databases.open(path));
    const connection: SqlConnection = {
      exec: (sql) => this.later(() => inner.exec(sql)),
      run: (sql, values) => this.later(() => inner.run(sql, values)),
      get: (sql, values) => this.later(() => inner.get(sql, values)),
      all: (sql, values) => this.later(() => inner.all(sql, values)),
      close: () => this.later(async () => {}),
    };
    return new SerialDatabase(connection, life.host.databases.mutexOf(path));
  }

  private later<T>(work: () => Promise<T>): Promise<T> {
    const { random } = this.life.host;
    return this.life.answer(random.between(statementUs[0], statementUs[1]), 'sql', work);
  }
}
