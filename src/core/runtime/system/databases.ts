// Relational state by sqlite3: write-ahead log, every commit on the disk. The library is loaded at the first open, because
// most processes never need it.

import { open } from 'node:fs/promises';
import type { Database as Sqlite } from 'sqlite3';
import { asBuffer } from '../../base/bytes.ts';
import { type ErrorKind, InfinitError } from '../../base/errors.ts';
import { Mutex } from '../../base/lifecycle.ts';
import type { Database, Databases, SqlRow, SqlValue } from '../runtime.ts';

const waitingMax = 10_000;

/** Whether a path is the address of a PostgreSQL database. */
export function isPostgres(path: string): boolean {
  return /^postgres(ql)?:\/\//.test(path);
}

export const systemDatabases: Databases = {
  async open(path: string): Promise<Database> {
    if (isPostgres(path)) return (await import('./postgres.ts')).openPostgres(path);
    const connection = await openSqlite(path);
    try {
      await connection.exec(
        'PRAGMA busy_timeout = 5000; PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;',
      );
    } catch (error) {
      await connection.close().catch(() => {});
      throw error;
    }
    return new SerialDatabase(connection);
  },
};

/** One connection as it is: no order beyond that of the calls, no transactions. */
export type SqlConnection = Omit<Database, 'transaction'>;

/** Opens the file (`:memory:` for none), creating it when missing. Its calls take effect in the order they are made. */
export async function openSqlite(path: string): Promise<SqlConnection> {
  const { default: sqlite } = await import('sqlite3');
  await createPrivate(path);
  const handle = await new Promise<Sqlite>((resolve, reject) => {
    const opened: Sqlite = new sqlite.Database(path, (error) =>
      error ? reject(sqlError(error, path)) : resolve(opened),
    );
  });
  handle.serialize();
  return {
    exec: (sql) => settle(path, (done) => handle.exec(sql, done)).then(() => {}),
    run: (sql, values = []) =>
      new Promise((resolve, reject) => {
        handle.run(sql, bound(values), function (error) {
          if (error) reject(sqlError(error, path));
          else resolve({ changes: this.changes });
        });
      }),
    get: (sql, values = []) => settle<SqlRow | undefined>(path, (done) => handle.get(sql, bound(values), done)),
    all: (sql, values = []) => settle<SqlRow[]>(path, (done) => handle.all(sql, bound(values), done)),
    close: () => settle(path, (done) => handle.close(done)).then(() => {}),
  };
}

/**
 * SQLite would let others read what it creates; its log and index take the mode of the file. A file that is there must not be
 * opened: closing it again would drop the locks this process holds on it. What fails here SQLite reports.
 */
export async function createPrivate(path: string): Promise<void> {
  if (path === ':memory:') return;
  const file = await open(path, 'wx', 0o600).catch(() => undefined);
  await file?.close();
}

export function callersMutex(): Mutex {
  return new Mutex(waitingMax);
}

/** Adds transactions to a connection by letting one caller in at a time: what is asked outside waits for their end. */
export class SerialDatabase implements Database {
  private readonly connection: SqlConnection;
  private readonly mutex: Mutex;

  /** `mutex`: of all who use the connection. */
  constructor(connection: SqlConnection, mutex = callersMutex()) {
    this.connection = connection;
    this.mutex = mutex;
  }

  exec(sql: string): Promise<void> {
    return this.mutex.run(() => this.connection.exec(sql));
  }
  run(sql: string, values?: readonly SqlValue[]): Promise<{ changes: number }> {
    return this.mutex.run(() => this.connection.run(sql, values));
  }
  get(sql: string, values?: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return this.mutex.run(() => this.connection.get(sql, values));
  }
  all(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.mutex.run(() => this.connection.all(sql, values));
  }

  transaction<T>(task: (database: Database) => Promise<T>): Promise<T> {
    return this.mutex.run(async () => {
      await this.connection.exec('BEGIN IMMEDIATE');
      const inside: Database = { ...this.connection, transaction: (nested) => nested(inside), close: async () => {} };
      try {
        const result = await task(inside);
        await this.connection.exec('COMMIT');
        return result;
      } catch (error) {
        await this.connection.exec('ROLLBACK').catch(() => {});
        throw error;
      }
    });
  }

  close(): Promise<void> {
    return this.mutex.run(() => this.connection.close());
  }
}

function bound(values: readonly SqlValue[]): (string | number | null | Buffer)[] {
  return values.map((value) => (value instanceof Uint8Array ? asBuffer(value) : value));
}

function settle<T>(path: string, start: (done: (error: Error | null, value?: unknown) => void) => unknown): Promise<T> {
  return new Promise((resolve, reject) => {
    start((error, value) => (error ? reject(sqlError(error, path)) : resolve(value as T)));
  });
}

const kinds: Record<string, ErrorKind> = {
  SQLITE_NOTADB: 'corrupt',
  SQLITE_CORRUPT: 'corrupt',
  SQLITE_FULL: 'full',
  SQLITE_BUSY: 'unavailable',
  SQLITE_LOCKED: 'unavailable',
  SQLITE_IOERR: 'unavailable',
  SQLITE_PERM: 'denied',
  SQLITE_READONLY: 'denied',
  SQLITE_AUTH: 'denied',
  SQLITE_CANTOPEN: 'not-found',
  SQLITE_CONSTRAINT: 'conflict',
};

function sqlError(error: Error, path: string): InfinitError {
  const code = (error as NodeJS.ErrnoException).code ?? '';
  return new InfinitError(kinds[code] ?? 'internal', `database ${path}: ${error.message}`, { cause: error });
}
