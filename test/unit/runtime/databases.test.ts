// Sqlite as the system runtime opens it: durable, in words when something is wrong, in the order asked.

import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { isError } from '../../../src/core/base/errors.ts';
import { systemDatabases } from '../../../src/core/runtime/system/databases.ts';

async function inDirectory(run: (path: (name: string) => string) => Promise<void>): Promise<void> {
  const directory = await mkdtemp(join(tmpdir(), 'infinit-databases-'));
  try {
    await run((name) => join(directory, name));
  } finally {
    await rm(directory, { recursive: true, force: true });
  }
}

test('a file that is no database, a folder that is not there', () =>
  inDirectory(async (path) => {
    await writeFile(path('junk'), 'this is not a database, whatever its name says '.repeat(50));
    await assert.rejects(systemDatabases.open(path('junk')), (error) => isError(error, 'corrupt'));
    await assert.rejects(systemDatabases.open(path('nowhere/db')), (error) => isError(error, 'not-found'));
  }));

test('every commit is durable: write-ahead log, full synchronisation', () =>
  inDirectory(async (path) => {
    const database = await systemDatabases.open(path('db'));
    assert.deepEqual(await database.get('PRAGMA journal_mode'), { journal_mode: 'wal' });
    assert.deepEqual(await database.get('PRAGMA synchronous'), { synchronous: 2 });
    await database.close();
  }));

test('what is asked outside a transaction waits for its end and is no part of it', () =>
  inDirectory(async (path) => {
    const database = await systemDatabases.open(path('db'));
    await database.exec('CREATE TABLE t (v INTEGER)');
    let outside: Promise<unknown> | undefined;
    const transaction = database.transaction(async (inside) => {
      await inside.run('INSERT INTO t VALUES (1)');
      outside = database.run('INSERT INTO t VALUES (2)');
      await new Promise((resolve) => setTimeout(resolve, 10));
      throw new Error('rolled back');
    });
    await assert.rejects(transaction, /rolled back/);
    await outside;
    assert.deepEqual(await database.all('SELECT v FROM t'), [{ v: 2 }]);
    await database.close();
  }));

test('two connections to one file wait for each other', () =>
  inDirectory(async (path) => {
    const [one, two] = [await systemDatabases.open(path('db')), await systemDatabases.open(path('db'))];
    await one.exec('CREATE TABLE t (v INTEGER)');
    const add = (database: typeof one, v: number) =>
      database.transaction(async (inside) => {
        await inside.run('INSERT INTO t VALUES (?)', [v]);
      });
    await Promise.all(Array.from({ length: 10 }, (_, i) => add(i % 2 === 0 ? one : two, i)));
    assert.deepEqual(await two.get('SELECT COUNT(*) AS n FROM t'), { n: 10 });
    await one.close();
    await two.close();
  }));
