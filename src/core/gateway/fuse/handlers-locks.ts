// flock(2) and fcntl(2) locks: the kernel passes them on, with its number of who asks. Locks of open file descriptions come as those
// of processes do; their owner is told apart by its number.

import { type LockRange, lockEnd } from '../../tree/tree.ts';
import { fileError, type LockOwner } from '../../volume/files/files.ts';
import { emptyReply, lockReply, type Reply } from './replies.ts';
import type { Lock } from './requests.ts';
import type { Call, Serving } from './serving.ts';
import { lockFlags, lockTypes } from './wire.ts';

export async function testLock(serving: Serving, call: Call, asked: Lock): Promise<Reply> {
  const found = await serving.files.testLock(call.inode, ownerOf(asked), rangeOf(asked), call);
  if (found === undefined) return lockReply({ ...asked, type: lockTypes.UNLOCK, pid: 0 });
  const { mine, range } = found;
  const type = range.mode === 'shared' ? lockTypes.READ : lockTypes.WRITE;
  // Processes of other machines have no number here.
  return lockReply({ start: range.from, end: range.to - 1n, type, pid: mine ? range.pid : 0 });
}

export function lockNow(serving: Serving, call: Call, asked: Lock): Promise<Reply> {
  return lock(serving, call, asked, false);
}

export function lockWaiting(serving: Serving, call: Call, asked: Lock): Promise<Reply> {
  return lock(serving, call, asked, true);
}

async function lock(serving: Serving, call: Call, asked: Lock, wait: boolean): Promise<Reply> {
  const [{ inode }, by] = [call, ownerOf(asked)];
  if (asked.type === lockTypes.UNLOCK) await serving.files.unlock(inode, by, spanOf(asked));
  else {
    serving.owners.add(inode, asked.handle, by);
    await serving.files.lock(inode, by, rangeOf(asked), { wait, signal: call.signal });
  }
  return emptyReply;
}

/** A process has closed the file: what it had locked by fcntl goes, whichever way it was opened. */
export async function unlockClosed(serving: Serving, inode: number, owner: bigint): Promise<void> {
  const by: LockOwner = { space: 'range', owner };
  if (serving.owners.take(inode, by)) await serving.files.unlock(inode, by, { from: 0n, to: lockEnd });
}

/** Nobody has the handle any more. */
export async function unlockReleased(serving: Serving, inode: number, handle: bigint): Promise<void> {
  const owners = serving.owners.takeAll(inode, handle);
  await Promise.allSettled(owners.map((by) => serving.files.unlock(inode, by, { from: 0n, to: lockEnd })));
}

function ownerOf({ flags, owner }: Lock): LockOwner {
  return { space: (flags & lockFlags.FLOCK) === 0 ? 'range' : 'whole', owner };
}

function spanOf({ start, end }: Lock) {
  if (start > end || end >= lockEnd) throw fileError('invalid', 'no such range');
  return { from: start, to: end + 1n };
}

function rangeOf(asked: Lock): LockRange {
  const mode = asked.type === lockTypes.READ ? 'shared' : 'exclusive';
  if (mode === 'exclusive' && asked.type !== lockTypes.WRITE) throw fileError('invalid', 'no such lock');
  return { ...spanOf(asked), mode, pid: asked.pid };
}
