// What long-running commands do before and after their work: the detached child of `--daemon`, and the report of a failure to the
// parent that waits for it.

import { join } from 'node:path';
import type { RunOptions } from '../cli/running.ts';
import { reportFailure, startDaemon } from './daemon.ts';
import { processName, type Role } from './sockets.ts';

/** `--daemon`: the child runs the same; returns true when that was asked and is done. */
export async function inBackground(
  options: Pick<RunOptions, 'context' | 'as' | 'daemon' | 'log' | 'ready'>,
  role: Role,
  name: string,
): Promise<boolean> {
  if (options.daemon === undefined) return false;
  const log = options.log ?? join(options.context.home.cache, 'logs', `${processName(role, options.as, name)}.log`);
  const words = options.log === undefined ? ['--log', log] : [];
  options.ready(await startDaemon([...options.daemon.argv, ...words], log));
  return true;
}

/** A parent that waits is told why it failed. */
export async function reporting(task: () => Promise<void>): Promise<void> {
  try {
    await task();
  } catch (error) {
    reportFailure(error);
    throw error;
  }
}
