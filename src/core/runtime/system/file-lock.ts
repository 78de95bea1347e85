// Locks that the kernel drops when the process ends, however it ends. Node has no flock, and a file with a pid in it lies
// after a crash and across containers (pid namespaces); SQLite takes a POSIX record lock on the file and also knows the
// other owners in this process. The holder's pid is written beside the lock for people; it decides nothing.

import fs from 'node:fs/promises';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import type { Database } from 'sqlite3';
import { InfinitError } from '../../base/errors.ts';
import type { FileLock } from '../runtime.ts';
import { createPrivate } from './databases.ts';
import { errnoOf, fileError } from './file-errors.ts';

const noteBytesMax = 512;

export async function lockFile(path: string): Promise<FileLock> {
  const database = await openDatabase(path);
  try {
    // An exclusive transaction that writes nothing: the file stays empty, only its lock is held.
    await execute(database, 'BEGIN EXCLUSIVE');
  } catch (error) {
    await closeDatabase(database);
    throw await refusal(path, error);
  }
  const note = `${path}.pid`;
  await fs.writeFile(note, `${process.pid} ${hostname()}\n`, { mode: 0o600 }).catch(() => {});
  let released: Promise<void> | undefined;
  const release = async () => {
    await fs.rm(note, { force: true }).catch(() => {});
    await closeDatabase(database);
  };
  return { release: () => (released ??= release()) };
}

async function openDatabase(path: string): Promise<Database> {
  const { default: sqlite3 } = await import('sqlite3');
  // SQLite's own message for a missing or unwritable folder says neither.
  await fs.access(dirname(path)).catch((error) => {
    throw fileError(error, dirname(path));
  });
  await createPrivate(path);
  return new Promise((resolve, reject) => {
    const database = new sqlite3.Database(path, (error) => {
      if (error !== null) return reject(new InfinitError('denied', `${path}: cannot be locked`, { cause: error }));
      database.configure('busyTimeout', 0);
      resolve(database);
    });
  });
}

function execute(database: Database, sql: string): Promise<void> {
  return new Promise((resolve, reject) => {
    database.exec(sql, (error) => (error === null ? resolve() : reject(error)));
  });
}

function closeDatabase(database: Database): Promise<void> {
  return new Promise((resolve) => database.close(() => resolve()));
}

async function refusal(path: string, error: unknown): Promise<InfinitError> {
  const code = errnoOf(error);
  if (code === 'SQLITE_NOTADB' || code === 'SQLITE_CORRUPT') {
    return new InfinitError('corrupt', `${path}: not a lock file`, { cause: error });
  }
  if (code !== 'SQLITE_BUSY' && code !== 'SQLITE_LOCKED') {
    return new InfinitError('unavailable', `${path}: cannot be locked`, { cause: error });
  }
  const { pid, host } = await holder(path);
  const where = host === undefined || host === hostname() ? '' : ` on ${host}`;
  const who = pid === undefined ? 'another process' : `pid ${pid}${where}`;
  return new InfinitError('exists', `${path} is held by ${who}`, { data: pid === undefined ? {} : { pid } });
}

async function holder(path: string): Promise<{ pid?: number; host?: string }> {
  const note = await fs.readFile(`${path}.pid`, 'utf8').catch(() => '');
  const parts = /^(\d{1,10}) (\S+)\n$/.exec(note.slice(0, noteBytesMax));
  return parts === null ? {} : { pid: Number(parts[1]), host: parts[2] as string };
}
