// Sockets of a home: the file system is their only guard. A folder that somebody else made first, in a temporary folder shared
// by all, would let him take the place of the process that listens there.

import { lstat, mkdir, stat } from 'node:fs/promises';
import { dirname } from 'node:path';
import { InfinitError } from '../../base/errors.ts';

const writtenByOthers = 0o002;
/** Only the owner of a file in such a folder may exchange it. */
const sticky = 0o1000;

/** Makes the folder of a socket, open to this user alone. Throws `denied` when others could exchange what is in it. */
export async function makeSocketFolder(path: string): Promise<void> {
  const folder = dirname(path);
  await mkdir(folder, { recursive: true, mode: 0o700 });
  const { uid, mode } = await stat(folder);
  if (!isTrusted(uid)) throw new InfinitError('denied', `folder ${folder} belongs to another user`);
  if ((mode & writtenByOthers) !== 0 && (mode & sticky) === 0)
    throw new InfinitError('denied', `folder ${folder} can be written by other users`);
}

/** Throws `denied` when another user listens on the socket; one that is not there is somebody else's matter. */
export async function checkSocketOwner(path: string): Promise<void> {
  const found = await lstat(path).catch(() => undefined);
  if (found !== undefined && !isTrusted(found.uid))
    throw new InfinitError('denied', `socket ${path} belongs to another user`);
}

function isTrusted(uid: number): boolean {
  const own = process.getuid?.();
  return own === undefined || uid === own || uid === 0;
}
