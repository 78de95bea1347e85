// The folder to mount on: found, made, or freed from a mount of ours whose server died. Live mounts of others are never touched.

import { lstat, mkdir, readdir, realpath } from 'node:fs/promises';
import { basename, dirname, join, resolve } from 'node:path';
import { InfinitError } from '../../base/errors.ts';
import { runCommand } from './command.ts';
import { type MountEntry, mountAt, mountType } from './mount-table.ts';
import { detach } from './mounting.ts';

const aliveTimeoutMs = 3000;
const linksMax = 16;
/** Mounts of servers that died may lie over each other. */
const deadMax = 16;
const deadCode = 107;

export interface Mountpoint {
  /** Without symbolic links. */
  path: string;
  /** Made by us, to be removed by us. */
  isMade: boolean;
}

/** Throws `usage` when it is no directory, `exists` when something is mounted on it or it holds files. */
export async function prepareMountpoint(given: string, nonEmpty: boolean): Promise<Mountpoint> {
  let path = resolve(given);
  for (let links = 0; links < linksMax; links++) {
    await mkdir(dirname(path), { recursive: true });
    path = join(await realpath(dirname(path)), basename(path));
    await freeFromDead(path);
    const stat = await lstat(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOENT') return undefined;
      throw new InfinitError('usage', `cannot use ${path} as a mountpoint: ${error.message}`, { cause: error });
    });
    if (stat?.isSymbolicLink()) {
      path = await realpath(path);
      continue;
    }
    if (stat === undefined) {
      await mkdir(path);
      return { path, isMade: true };
    }
    if (!stat.isDirectory()) throw new InfinitError('usage', `${path} is not a directory`);
    if (!nonEmpty) await checkEmpty(path);
    return { path, isMade: false };
  }
  throw new InfinitError('usage', `${given} has too many symbolic links`);
}

async function checkEmpty(path: string): Promise<void> {
  if ((await readdir(path)).length === 0) return;
  const hint = 'choose an empty directory, or hide what it holds with the mount option nonempty';
  throw new InfinitError('exists', `${path} is not empty`, { hint });
}

async function freeFromDead(path: string): Promise<void> {
  for (let i = 0; i < deadMax; i++) {
    const mount = await mountAt(path);
    if (mount === undefined) return;
    if (mount.type !== mountType || !(await isDead(mount))) {
      const hint = `see what it is: findmnt ${path}`;
      throw new InfinitError('exists', `${mount.source} is already mounted on ${path}`, { hint });
    }
    await detach(path, true);
  }
}

/** Asked by a process that may hang: the server could be stopped, not dead. */
async function isDead({ path }: MountEntry): Promise<boolean> {
  const script = `try{require('fs').statSync(process.argv[1])}catch(e){process.exit(-e.errno)}`;
  const { code } = await runCommand(process.execPath, ['-e', script, path], { timeoutMs: aliveTimeoutMs });
  return code === deadCode;
}
