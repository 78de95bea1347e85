// Inodes without a name: open files keep their data. An orphan's record says since when it is one, records behind it name the
// clients that have it open and when they said so last; whoever cleans up judges by these and asks to free it, step by step.

import type { Bytes } from '../../base/bytes.ts';
import { type CodecType, decode, encode } from '../../base/codec.ts';
import { limits } from '../../base/limits.ts';
import { spaceRange } from '../../tree/keys.ts';
import type { MapReader } from '../../tree/tree.ts';
import { dropExtended } from './extended.ts';
import { cut } from './extents.ts';
import { type FileTime, fileError } from './files.ts';
import { decodeInode, type Inode } from './inodes.ts';
import { type FileOperation, type FileQuery, fileTime, nothingReply, orphansReply, reapReply } from './messages.ts';
import { behindInode, checkInode, clientOf, holderKey, inodeKey, inodeOf, orphanKey } from './records.ts';
import type { Work } from './work.ts';

const { extentsPerStepMax: stepMax, fileBytesMax } = limits;
/** Holders of all orphans in one answer. */
const answeredHoldersMax = 16 * limits.orphanHoldersMax;

/** How the client that takes the last name stands to the file. */
export interface Closing {
  now: FileTime;
  /** Nobody has it open: it goes at once. */
  free: boolean;
  client: Bytes;
  /** The client has it open. */
  held: boolean;
}

/** The inode has a name less. */
export async function dropName(work: Work, inode: Inode, closing: Closing): Promise<void> {
  const { now, free, client, held } = closing;
  inode.links--;
  inode.changed = now;
  work.touch(inode);
  if (inode.links > 0) return;
  if (!free || held) makeOrphan(work, inode, { now, holder: held ? client : undefined });
  else if (!(await freeStep(work, inode))) makeOrphan(work, inode, { now });
}

export function makeOrphan(work: Work, inode: Inode, options: { now: FileTime; holder?: Bytes | undefined }): void {
  const { now, holder } = options;
  work.put(orphanKey(inode.inode), encode(fileTime, now));
  if (holder !== undefined) work.put(holderKey(inode.inode, holder), encode(fileTime, now));
}

/** It has a name again, or is gone. */
export function noOrphan(work: Work, inode: number): Promise<void> {
  return work.deleteAll(orphanKey(inode), behindInode('orphan', inode));
}

/** Frees an inode nobody can see any more: whether it is gone. */
export async function freeStep(work: Work, inode: Inode): Promise<boolean> {
  if (inode.allocated > 0) {
    const reached = await cut(work, inode, { from: 0, to: fileBytesMax, extentsMax: stepMax });
    if (reached < fileBytesMax) {
      inode.dying = true;
      work.touch(inode);
      return false;
    }
  }
  if (inode.extended > 0) await dropExtended(work, inode.inode);
  work.remove(inode);
  return true;
}

export async function hold(asked: FileOperation & { type: 'hold' }, work: Work): Promise<Bytes> {
  for (const inode of asked.inodes) {
    checkInode(inode);
    if ((await work.transaction.get(orphanKey(inode))) === undefined) continue;
    work.put(holderKey(inode, asked.client), encode(fileTime, asked.now));
  }
  return encode(nothingReply, {});
}

export async function release(asked: FileOperation & { type: 'release' }, work: Work): Promise<Bytes> {
  for (const inode of asked.inodes) {
    checkInode(inode);
    const key = holderKey(inode, asked.client);
    if ((await work.transaction.get(key)) !== undefined) work.delete(key);
  }
  return encode(nothingReply, {});
}

export async function reap(asked: FileOperation & { type: 'reap' }, work: Work): Promise<Bytes> {
  checkInode(asked.inode);
  const { transaction } = work;
  const orphan = await transaction.get(orphanKey(asked.inode));
  if (orphan === undefined) return encode(reapReply, { done: true });
  const record = await transaction.get(inodeKey(asked.inode));
  const inode = record && decodeInode(asked.inode, record);
  if (inode !== undefined && !inode.dying) await checkHolders(transaction, asked.inode, asked.before);
  const done = inode === undefined || (await freeStep(work, inode));
  if (done) await noOrphan(work, asked.inode);
  return encode(reapReply, { done });
}

/** Throws `busy` when a client has it open. */
async function checkHolders(reader: MapReader, inode: number, before: FileTime): Promise<void> {
  for await (const { key, value } of reader.scan(orphanKey(inode), behindInode('orphan', inode)))
    if (clientOf(key).length > 0 && !isEarlier(decode(fileTime, value), before))
      throw fileError('busy', `inode ${inode} is open`);
}

function isEarlier(a: FileTime, b: FileTime): boolean {
  return a.seconds < b.seconds || (a.seconds === b.seconds && a.nanoseconds < b.nanoseconds);
}

export async function orphans(asked: FileQuery & { type: 'orphans' }, reader: MapReader): Promise<Bytes> {
  checkInode(asked.after);
  const limit = Math.min(asked.limit, limits.listEntriesMax);
  const found: CodecType<typeof orphansReply> = [];
  let holders = 0;
  for await (const { key, value } of reader.scan(behindInode('orphan', asked.after), spaceRange('orphan').to)) {
    const client = clientOf(key);
    if (client.length === 0) {
      if (found.length >= limit || holders >= answeredHoldersMax) break;
      found.push({ inode: inodeOf(key), since: decode(fileTime, value), holders: [] });
      continue;
    }
    const last = found.at(-1);
    if (last === undefined || last.holders.length === limits.orphanHoldersMax) continue;
    last.holders.push({ client, at: decode(fileTime, value) });
    holders++;
  }
  return encode(orphansReply, found);
}
