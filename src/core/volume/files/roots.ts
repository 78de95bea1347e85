// Roots of a tree: what entries of other trees lead to. They are entries of its inode 1, named by their own number.

import { utf8 } from '../../base/bytes.ts';
import { isError } from '../../base/errors.ts';
import { type Files, fileError } from './files.ts';

export function rootName(inode: number): Buffer {
  return utf8(String(inode));
}

/** It was there, or not any more. Throws `busy` for what is being moved to another place just now. */
export async function removed(files: Files, inode: number, removal: Promise<void>): Promise<void> {
  try {
    return await removal;
  } catch (error) {
    if (!isError(error, 'not-found')) throw error;
  }
  try {
    if ((await files.attributes(inode)).links === 0) return;
  } catch (error) {
    if (isError(error, 'not-found')) return;
    throw error;
  }
  throw fileError('busy', 'it is being moved to another access list');
}
