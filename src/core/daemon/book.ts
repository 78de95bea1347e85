// What the daemon of a home keeps running, on the disk: `daemon.json` in the state folder. Whoever changes it holds the lock beside it.

import { utf8 } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import { Mutex } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Home } from '../descriptor/descriptor.ts';
import type { Files } from '../runtime/runtime.ts';
import { keyOf, type ProcessId, type Unit } from './daemon.ts';

const version = 1;

export interface Entry {
  unit: Unit;
  process?: ProcessId | undefined;
}

export function lockPath(home: Home): string {
  return `${home.state}/daemon.lock`;
}

export class Book {
  private readonly files: Files;
  private readonly path: string;
  private readonly entries = new Map<string, Entry>();
  private readonly writing = new Mutex();

  private constructor(files: Files, path: string) {
    this.files = files;
    this.path = path;
  }

  /** Throws `corrupt` when the file is none of ours. */
  static async open(files: Files, home: Home): Promise<Book> {
    const book = new Book(files, `${home.state}/daemon.json`);
    try {
      const text = (await files.read(book.path, { limit: limits.unitBookBytesMax })).toString('utf8');
      for (const entry of parse(text)) book.entries.set(keyOf(entry.unit), entry);
    } catch (error) {
      if (isError(error, 'not-found')) return book;
      const hint = 'without it the daemon keeps nothing: volumes have to be started again';
      throw new InfinitError('corrupt', `${book.path} is not a list of units`, { cause: error, hint });
    }
    return book;
  }

  list(): Entry[] {
    return [...this.entries.values()];
  }

  has(key: string): boolean {
    return this.entries.has(key);
  }

  /** Durable when it resolves. Throws `full` when there are too many. */
  async put(unit: Unit, process?: ProcessId): Promise<void> {
    const key = keyOf(unit);
    if (!this.entries.has(key) && this.entries.size >= limits.unitsMax)
      throw new InfinitError('full', `the daemon keeps ${limits.unitsMax} units at most`);
    this.entries.set(key, { unit, process });
    await this.write();
  }

  async remove(key: string): Promise<void> {
    if (this.entries.delete(key)) await this.write();
  }

  private write(): Promise<void> {
    return this.writing.run(async () => {
      const units = this.list().map(({ unit, process }) => ({ ...unit, ...(process && { process }) }));
      await this.files.replace(this.path, utf8(`${JSON.stringify({ version, units }, null, 2)}\n`), { mode: 0o600 });
    });
  }
}

function parse(text: string): Entry[] {
  const given = JSON.parse(text) as { version?: unknown; units?: unknown };
  if (given.version !== version || !Array.isArray(given.units) || given.units.length > limits.unitsMax)
    throw new InfinitError('corrupt', 'unknown version or shape');
  return given.units.map((one: Record<string, unknown>) => {
    const unit = checkUnit(one);
    return one.process === undefined ? { unit } : { unit, process: checkProcess(one.process) };
  });
}

const roles = ['network', 'volume', 'key-value-store'] as const;

/** A unit from outside. Throws `usage`. */
export function checkUnit(given: Readonly<Record<string, unknown>>): Unit {
  const text = (field: string): string => {
    const value = given[field];
    if (typeof value === 'string' && value !== '' && value.length <= limits.descriptorBytesMax) return value;
    throw new InfinitError('usage', `${field}: expected a text`);
  };
  const role = roles.find((one) => one === given.role);
  if (role === undefined) throw new InfinitError('usage', `role: expected one of ${roles.join(', ')}`);
  const { words } = given;
  const isList = Array.isArray(words) && words.length <= limits.unitWordsMax;
  if (!isList || !words.every((word): word is string => typeof word === 'string'))
    throw new InfinitError('usage', 'words: expected a list of texts');
  if (words[0] !== role) throw new InfinitError('usage', `words: expected those of ${role}`);
  return { role, user: text('user'), name: text('name'), words, directory: text('directory') };
}

function checkProcess(given: unknown): ProcessId {
  const { pid, began } = given as Partial<ProcessId>;
  if (!Number.isSafeInteger(pid) || typeof began !== 'string') throw new InfinitError('corrupt', 'process');
  return { pid: pid as number, began };
}
