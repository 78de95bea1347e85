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
  const database = postgresDatabase(pool);
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

function postgresDatabase(pool: Pool): Database {
  const statements = statementsOn(pool);
  return {
    ...statements,
    exec: (sql) => statements.exec(`BEGIN; SELECT pg_advisory_xact_lock(${schemaLock}); ${sql}; COMMIT`),
    transaction: (task, { lock } = {}) => transaction(pool, task, lock),
    close: () => pool.end(),
  };
}

type Task<T> = (database: Database) => Promise<T>;

async function transaction<T>(pool: Pool, task: Task<T>, lock: string | undefined): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    const client = await pool.connect().catch((error: unknown) => {
      throw postgresError(error);
    });
    try {
      const result = await once(client, task, lock);
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

async function once<T>(client: PoolClient, task: Task<T>, lock: string | undefined): Promise<T> {
  const statements = statementsOn(client);
  const inside: Database = { ...statements, transaction: (nested) => nested(inside), close: async () => {} };
  if (lock === undefined) await statements.exec('BEGIN ISOLATION LEVEL SERIALIZABLE');
  else {
    await statements.exec('BEGIN');
    await statements.get('SELECT pg_advisory_xact_lock(hashtextextended(?, 0))', [lock]);
  }
  const result = await task(inside);
  await statements.exec('COMMIT');
  return result;
}

/** On the pool, or on the connection of a transaction. */
function statementsOn(queryable: Pick<Pool | PoolClient, 'query'>): Omit<Database, 'transaction' | 'close'> {
  const query = async (sql: string, values?: readonly SqlValue[]): Promise<QueryResult<SqlRow>> => {
    try {
      return await queryable.query<SqlRow>(sql, values as unknown[]);
    } catch (error) {
      throw postgresError(error);
    }
  };
  return {
    exec: async (sql) => void (await query(sql)),
    run: async (sql, values) => ({ changes: (await query(numbered(sql), values)).rowCount ?? 0 }),
    get: async (sql, values) => (await query(numbered(sql), values)).rows[0],
    all: async (sql, values) => (await query(numbered(sql), values)).rows,
  };
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
