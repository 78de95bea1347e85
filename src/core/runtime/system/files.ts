// Files of the operating system. What is called durable here is durable: content is flushed before it gets its name, and
// the folder is flushed after.

import { randomBytes } from 'node:crypto';
import fs from 'node:fs/promises';
import { dirname, isAbsolute, join } from 'node:path';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import type { Files } from '../runtime.ts';
import { fileError } from './file-errors.ts';
import { openFile } from './file-handle.ts';
import { lockFile } from './file-lock.ts';

/** Left behind only by a crash in the middle of `replace`; never listed. */
const temporaryName = /^\.infinit-[0-9a-f]{16}\.tmp$/;

export function systemFiles(): Files {
  return {
    read: (path, options) => about(path, () => read(path, options?.limit)),
    replace: (path, content, options) => about(path, () => replace(path, content, options?.mode ?? 0o600)),
    stat: (path) =>
      absent(
        undefined,
        about(path, () => stat(path)),
      ),
    list: (path) =>
      absent(
        [],
        about(path, () => list(path)),
      ),
    makeDirectory: (path) => about(path, () => makeDirectory(path)),
    remove: (path) => about(path, () => remove(path)),
    open: (path, options = {}) => about(path, () => openFile(path, options)),
    syncDirectory: (path) => about(path, () => syncDirectory(path)),
    lock: (path) => about(path, () => lockFile(path)),
    space: (path) => about(path, () => space(path)),
  };
}

/** Runs a task about a path, with its errors as ours. */
async function about<T>(path: string, task: () => Promise<T>): Promise<T> {
  if (!isAbsolute(path)) throw new InfinitError('usage', `not an absolute path: ${path}`);
  try {
    return await task();
  } catch (error) {
    throw fileError(error, path);
  }
}

async function absent<T>(value: T, task: Promise<T>): Promise<T> {
  try {
    return await task;
  } catch (error) {
    if (isError(error, 'not-found')) return value;
    throw error;
  }
}

async function read(path: string, limit = Number.MAX_SAFE_INTEGER): Promise<Buffer> {
  const handle = await fs.open(path, 'r');
  try {
    const { size } = await handle.stat();
    const content = size > limit ? undefined : await handle.readFile();
    if (content !== undefined && content.length <= limit) return content;
    throw new InfinitError('full', `${path}: larger than the limit of ${limit} bytes`);
  } finally {
    await handle.close();
  }
}

async function replace(path: string, content: Bytes, mode: number): Promise<void> {
  const folder = dirname(path);
  const temporary = join(folder, `.infinit-${randomBytes(8).toString('hex')}.tmp`);
  try {
    const handle = await fs.open(temporary, 'wx', mode);
    try {
      await handle.writeFile(content);
      await handle.sync();
    } finally {
      await handle.close();
    }
    await fs.rename(temporary, path);
  } catch (error) {
    await fs.rm(temporary, { force: true }).catch(() => {});
    throw error;
  }
  await syncDirectory(folder);
}

async function stat(path: string): ReturnType<Files['stat']> {
  const stats = await fs.stat(path);
  return { kind: stats.isFile() ? 'file' : stats.isDirectory() ? 'directory' : 'other', bytes: stats.size };
}

async function list(path: string): Promise<string[]> {
  const names = await fs.readdir(path);
  return names.filter((name) => !temporaryName.test(name)).sort();
}

async function makeDirectory(path: string): Promise<void> {
  const first = await fs.mkdir(path, { recursive: true, mode: 0o700 });
  if (first === undefined) return;
  // Every folder made is an entry of the one above it.
  for (let made = path; made.length >= first.length; made = dirname(made)) await syncDirectory(dirname(made));
}

async function remove(path: string): Promise<void> {
  await fs.rm(path, { recursive: true, force: true });
  await absent(
    undefined,
    about(path, () => syncDirectory(dirname(path))),
  );
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await fs.open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}

/** The path need not exist: its nearest existing parent is asked. */
async function space(path: string): ReturnType<Files['space']> {
  try {
    const { bavail, blocks, bsize } = await fs.statfs(path);
    return { freeBytes: bavail * bsize, totalBytes: blocks * bsize };
  } catch (error) {
    const parent = dirname(path);
    if (parent === path || !isError(fileError(error, path), 'not-found')) throw error;
    return space(parent);
  }
}
