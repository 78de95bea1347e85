// Renaming: one atomic step that moves an entry, replaces what stood there, or exchanges two. Directories keep knowing their
// parent, and no directory ends up inside itself.

import type { Bytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { leave } from './domains.ts';
import { borderAttributes, type Entry, encodeEntry, findEntry, needEntry, numberOf } from './entries.ts';
import { fileError, rootInode } from './files.ts';
import { attributesOf, type Inode } from './inodes.ts';
import { type FileOperation, renameReply } from './messages.ts';
import { checkName, type NameHash } from './names.ts';
import { changedNow, dropDirectory } from './nodes.ts';
import { dropName } from './orphans.ts';
import { emptySlot } from './slots.ts';
import type { Work } from './work.ts';

type Rename = FileOperation & { type: 'rename' };

export async function rename(asked: Rename, work: Work, names: NameHash): Promise<Bytes> {
  const { mode, now } = asked;
  checkName(asked.from.name);
  checkName(asked.to.name);
  const fromDirectory = await work.directory(asked.from.directory);
  const toDirectory = await work.directory(asked.to.directory);
  const from = await needEntry(work.transaction, names, fromDirectory.inode, asked.from.name);
  const to = await findEntry(work.transaction, names, toDirectory.inode, asked.to.name);
  if (to.entry !== undefined && mode === 'no-replace') throw new InfinitError('exists', 'the entry exists');
  if (to.entry === undefined && mode === 'exchange') throw new InfinitError('not-found', 'no such entry');
  const moved = await targetOf(work, from.entry);
  // Two names of one file: POSIX wants nothing done.
  if (to.entry !== undefined && numberOf(to.entry) === numberOf(from.entry)) return answer(moved);
  const other = to.entry && (await targetOf(work, to.entry));
  await checkNotInside(work, moved, toDirectory);
  if (mode === 'exchange' && other !== undefined) {
    await checkNotInside(work, other, fromDirectory);
    work.put(from.slot.key, encodeEntry({ ...other.entry, name: asked.from.name }));
    movedTo(work, other, { from: toDirectory, to: fromDirectory, asked });
  } else if (other !== undefined) await replace(work, { moved, replaced: other, directory: toDirectory, asked });
  // Put before the other slot is emptied: both may be of one hash, and the last slot moves then.
  work.put(to.slot.key, encodeEntry({ ...moved.entry, name: asked.to.name }));
  if (mode !== 'exchange') await emptySlot(work, from.slot);
  movedTo(work, moved, { from: fromDirectory, to: toDirectory, asked });
  changedNow(work, fromDirectory, now);
  changedNow(work, toDirectory, now);
  return answer(moved, mode === 'exchange' ? undefined : other);
}

/** What an entry leads to; no inode here when that is in another tree. */
interface Target {
  entry: Entry;
  inode: Inode | undefined;
}

async function targetOf(work: Work, entry: Entry): Promise<Target> {
  return { entry, inode: entry.domain === 0 ? await work.need(entry.inode) : undefined };
}

function answer(moved: Target, replaced?: Target): Bytes {
  const shown = ({ entry, inode }: Target) => (inode === undefined ? borderAttributes(entry) : attributesOf(inode));
  return encode(renameReply, { moved: shown(moved), replaced: replaced && shown(replaced) });
}

function movedTo(work: Work, { entry, inode }: Target, move: { from: Inode; to: Inode; asked: Rename }): void {
  const { from, to, asked } = move;
  if (entry.type === 'directory') {
    from.links--;
    to.links++;
  }
  if (inode === undefined) return;
  if (inode.type === 'directory') inode.parent = to.inode;
  inode.changed = asked.now;
  work.touch(inode);
}

async function replace(
  work: Work,
  places: { moved: Target; replaced: Target; directory: Inode; asked: Rename },
): Promise<void> {
  const { moved, replaced, directory, asked } = places;
  const isDirectory = replaced.entry.type === 'directory';
  if (moved.entry.type === 'directory') {
    if (!isDirectory) throw fileError('not-directory', 'a directory replaces directories only');
    if (replaced.inode === undefined)
      throw fileError('elsewhere', 'whether the directory is empty, its own tree knows');
    return dropDirectory(work, replaced.inode, directory);
  }
  if (isDirectory) throw fileError('is-directory', 'only a directory replaces a directory');
  const { now, free, client } = asked;
  if (replaced.inode === undefined) return leave(work, replaced.entry, now);
  return dropName(work, replaced.inode, { now, free, client, held: asked.held === replaced.inode.inode });
}

/** Throws `invalid` when the directory is the inode, or is inside it. What is in another tree leads to none of this one. */
async function checkNotInside(work: Work, { inode }: Target, directory: Inode): Promise<void> {
  if (inode?.type !== 'directory') return;
  let at = directory;
  for (let depth = 0; at.inode !== inode.inode; depth++) {
    if (at.inode === rootInode) return;
    if (depth === limits.directoryDepthMax) throw new InfinitError('full', 'directories are nested too deep');
    at = await work.directory(at.parent);
  }
  throw fileError('invalid', 'a directory cannot move into itself');
}
