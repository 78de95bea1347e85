// Relational state in PostgreSQL, for what several processes share: the same contract as sqlite. Transactions wait for those with the same
// lock, or are serializable and run again when the server says that another one came between. The library is loaded at the first open.

import type { Pool, PoolClient, QueryResult } from 'pg';
import { type ErrorKind, InfinitError } from '../../base/errors.ts';
import type { Database, SqlRow, SqlValue } from '../runtime.ts';

const connectionsMax = 16;
const connectTimeoutMs = 10_000;
const statementTimeoutMs = 30_000;
const attemptsMax = 50;
const retryMs = 5;
const retryMsMax = 200;
/** Any number that others do not use: schemas are made one at a time over all processes. */
const schemaLock = 1_229_867_593;

/** What runs statements: the pool, or the connection of a transaction. */
type Queryable = Pick<Pool | PoolClient, 'query'>;

/** By its address `postgres://user@host:port/name`; the password may also be in PGPASSWORD or ~/.pgpass. */
export async function openPostgres(address: string): Promise<Database> {
  const { default: pg } = await import('pg');
  const pool = new pg.Pool({
    connectionString: address,
    max: connectionsMax,
    connectionTimeoutMillis: connectTimeoutMs,
    statement_timeout: statementTimeoutMs,
    // What is acknowledged is on the disk, whatever the server's default.
    options: '-c synchronous_commit=on',
    types: {
      getTypeParser: (oid: number, format?: 'text' | 'binary') =>
        numberOf[oid] ?? pg.types.getTypeParser(oid, format as 'text'),
    },
  });
  pool.on('error', () => {}); // an idle connection broke: the next query makes a new one
  const database = new PostgresDatabase(pool);
  try {
    await database.get('SELECT 1 AS one');
  } catch (error) {
    await pool.end();
    throw error;
  }
  return database;
}

/** 64-bit integers and sums of them come as text. */
const numberOf: Readonly<Record<number, (text: string) => number>> = { 20: Number, 1700: Number };

class PostgresDatabase implements Database {
  private readonly pool: Pool;
  private readonly statements: Statements;

  constructor(pool: Pool) {
    this.pool = pool;
    this.statements = new Statements(pool);
  }

  exec(sql: string): Promise<void> {
    return this.statements.exec(`BEGIN; SELECT pg_advisory_xact_lock(${schemaLock}); ${sql}; COMMIT`);
  }
  run(sql: string, values?: readonly SqlValue[]): Promise<{ changes: number }> {
    return this.statements.run(sql, values);
  }
  get(sql: string, values?: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return this.statements.get(sql, values);
  }
  all(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]> {
    return this.statements.all(sql, values);
  }

  async transaction<T>(task: (database: Database) => Promise<T>, { lock }: { lock?: string } = {}): Promise<T> {
    for (let attempt = 1; ; attempt++) {
      const client = await this.pool.connect().catch((error: unknown) => {
        throw postgresError(error);
      });
      try {
        const result = await this.attempt(client, task, lock);
        client.release();
        return result;
      } catch (error) {
        const broken = await client.query('ROLLBACK').then(
          () => undefined,
          (failure: Error) => failure,
        );
        client.release(broken);
        if (!isRace(error) || attempt === attemptsMax) throw error;
      }
      await new Promise((resolve) => setTimeout(resolve, pauseMs(attempt)));
    }
  }

  private async attempt<T>(
    client: PoolClient,
    task: (database: Database) => Promise<T>,
    lock: string | undefined,
  ): Promise<T> {
    const statements = new Statements(client);
    const inside: Database = {
      exec: (sql) => statements.exec(sql),
      run: (sql, values) => statements.run(sql, values),
      get: (sql, values) => statements.get(sql, values),
      all: (sql, values) => statements.all(sql, values),
      transaction: (nested) => nested(inside),
      close: async () => {},
    };
    if (lock === undefined) await statements.exec('BEGIN ISOLATION LEVEL SERIALIZABLE');
    else {
      await statements.exec('BEGIN');
      await statements.get('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [lock]);
    }
    const result = await task(inside);
    await statements.exec('COMMIT');
    return result;
  }

  close(): Promise<void> {
    return this.pool.end();
  }
}

class Statements {
  private readonly queryable: Queryable;

  constructor(queryable: Queryable) {
    this.queryable = queryable;
  }

  async exec(sql: string): Promise<void> {
    await this.query(sql);
  }
  async run(sql: string, values?: readonly SqlValue[]): Promise<{ changes: number }> {
    return { changes: (await this.query(numbered(sql), values)).rowCount ?? 0 };
  }
  async get(sql: string, values?: readonly SqlValue[]): Promise<SqlRow | undefined> {
    return (await this.all(sql, values))[0];
  }
  async all(sql: string, values?: readonly SqlValue[]): Promise<SqlRow[]> {
    return (await this.query(numbered(sql), values)).rows;
  }

  private async query(sql: string, values?: readonly SqlValue[]): Promise<QueryResult<SqlRow>> {
    try {
      return await this.queryable.query<SqlRow>(sql, values as unknown[]);
    } catch (error) {
      throw postgresError(error);
    }
  }
}

/** `?` as PostgreSQL has it: `$1`, `$2`. Texts within a statement hold none. */
function numbered(sql: string): string {
  let at = 0;
  return sql.replaceAll('?', () => `$${++at}`);
}

/** Half of it left to chance, so that those who met do not meet again. */
function pauseMs(attempt: number): number {
  const longest = Math.min(retryMsMax, retryMs * 2 ** attempt);
  return longest / 2 + (Math.random() * longest) / 2;
}

const raceCodes = ['40001', '40P01'];

function isRace(error: unknown): boolean {
  const { cause } = error as { cause?: { code?: string } };
  return raceCodes.includes(cause?.code ?? '');
}

/** By the first two characters of the server's code, or the whole of the system's. */
const kinds: readonly (readonly [RegExp, ErrorKind])[] = [
  [/^(08|57|55|40|58|XX|25)/, 'unavailable'],
  [/^E[A-Z]+$/, 'unavailable'],
  [/^53/, 'full'],
  [/^23/, 'conflict'],
  [/^(28|42501)/, 'denied'],
  [/^3D/, 'not-found'],
];

function postgresError(error: unknown): InfinitError {
  const { code = '', message } = error as { code?: string; message: string };
  // The pool's own errors have no code: a time-out, a connection that ended.
  const kind = code === '' ? 'unavailable' : (kinds.find(([pattern]) => pattern.test(code))?.[1] ?? 'internal');
  return new InfinitError(kind, `database: ${message}`, { cause: error });
}
