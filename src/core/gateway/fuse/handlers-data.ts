// Open files: opening, reading, writing, reserving, seeking, syncing, closing. A file is known by its inode; how it was opened
// comes with each write.

import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { type AllocateMode, type Attributes, fileError, type NewNode } from '../../volume/files/files.ts';
import { dropPrivileges } from './handlers-attributes.ts';
import { unlockClosed, unlockReleased } from './handlers-locks.ts';
import { countReply, createdReply, emptyReply, offsetReply, openReply, type Reply } from './replies.ts';
import type { Allocation, Closing, Creation, Opening, Seek, Span, Write } from './requests.ts';
import type { Call, Serving } from './serving.ts';
import { openFlags, openKillPrivileges, openReplyFlags, writeKillPrivileges } from './wire.ts';

export async function open(serving: Serving, call: Call, { flags, how }: Opening): Promise<Reply> {
  checkWritable(serving, flags);
  const { inode } = call;
  hold(serving, inode);
  try {
    if ((flags & openFlags.TRUNC) !== 0) await truncate(serving, call, how);
    // The name may be cached and its file gone: then the kernel looks again.
    else if (serving.files.freshForMs(inode) > 0) await serving.files.attributes(inode, call);
  } catch (error) {
    await letGo(serving, call.inode);
    throw error;
  }
  return openReply(serving.owners.handle(), answeredFlags(serving, inode, flags));
}

/** The mount was made read-only, though the kernel may since have been told otherwise. */
function checkWritable(serving: Serving, flags: number): void {
  const writes = (flags & openFlags.accessMode) !== 0 || (flags & openFlags.TRUNC) !== 0;
  if (serving.readOnly && writes) throw fileError('read-only', 'the volume is mounted read-only');
}

async function truncate(serving: Serving, call: Call, how: number): Promise<void> {
  await dropPrivileges(serving, call, (how & openKillPrivileges) !== 0);
  await serving.files.change(call.inode, { size: 0 }, call);
}

function hold(serving: Serving, inode: number): void {
  serving.files.open(inode);
  serving.open.add(inode);
}

/**
 * Cached pages stay: the kernel drops them itself when time or size changed. Where it may not cache attributes, files being
 * written go past its cache; so do those appended to, since another place than the kernel thinks may be the end. Reading only
 * leaves nothing to flush, but where locks are ours each close has to be told.
 */
function answeredFlags(serving: Serving, inode: number, flags: number): number {
  if (serving.readOnly) return openReplyFlags.KEEP_CACHE | openReplyFlags.NOFLUSH;
  if ((flags & openFlags.accessMode) === 0) return openReplyFlags.KEEP_CACHE;
  const isCached = serving.files.freshForMs(inode) > 0 && (flags & openFlags.APPEND) === 0;
  return isCached ? openReplyFlags.KEEP_CACHE : openReplyFlags.DIRECT_IO;
}

export async function create(serving: Serving, call: Call, asked: Creation): Promise<Reply> {
  const { files } = serving;
  const node: NewNode = { type: 'file', mode: asked.mode, uid: call.uid, gid: call.gid };
  let attributes: Attributes;
  try {
    attributes = await files.make(call.inode, asked.name, node, call);
  } catch (error) {
    // Another client was first since the kernel looked.
    if (!isError(error, 'exists') || (asked.flags & openFlags.EXCL) !== 0) throw error;
    attributes = await openExisting(serving, call, asked);
  }
  hold(serving, attributes.inode);
  const { shown } = serving.told(call, asked.name, attributes);
  serving.changedHere(call.inode, call.node, asked.name);
  return createdReply(
    attributes,
    shown,
    serving.owners.handle(),
    answeredFlags(serving, attributes.inode, asked.flags),
  );
}

async function openExisting(serving: Serving, call: Call, asked: Creation): Promise<Attributes> {
  const attributes = await serving.files.lookup(call.inode, asked.name, call);
  // Stale makes the kernel look again, and then follow or refuse what it finds.
  if (attributes.type !== 'file') throw fileError('stale', 'another kind of file took the name');
  if ((asked.flags & openFlags.TRUNC) === 0) return attributes;
  return serving.files.change(attributes.inode, { size: 0 }, call);
}

/** What `makeUnnamed` makes is open already. */
export async function createUnnamed(serving: Serving, call: Call, asked: Opening & { mode: number }): Promise<Reply> {
  const node: NewNode = { type: 'file', mode: asked.mode, uid: call.uid, gid: call.gid };
  const attributes = await serving.files.makeUnnamed(call.inode, node, call);
  serving.open.add(attributes.inode);
  serving.nodes.add(attributes.inode);
  const flags = answeredFlags(serving, attributes.inode, asked.flags);
  return createdReply(attributes, serving.shown(call), serving.owners.handle(), flags);
}

export async function read(serving: Serving, call: Call, { offset, length }: Span): Promise<Reply> {
  return serving.files.read(call.inode, offset, Math.min(length, limits.fuseDataBytesMax), call);
}

export async function write(serving: Serving, call: Call, asked: Write): Promise<Reply> {
  const { files } = serving;
  await dropPrivileges(serving, call, (asked.writeFlags & writeKillPrivileges) !== 0);
  const append = (asked.flags & openFlags.APPEND) !== 0;
  await files.write(call.inode, asked.offset, asked.data, { signal: call.signal, append });
  if ((asked.flags & openFlags.DSYNC) !== 0) await files.sync(call.inode, call);
  return countReply(asked.data.length);
}

export async function flush(serving: Serving, call: Call, { owner }: Closing): Promise<Reply> {
  try {
    await serving.files.flush(call.inode, call);
  } finally {
    await unlockClosed(serving, call.inode, owner);
  }
  return emptyReply;
}

export async function sync(serving: Serving, call: Call): Promise<Reply> {
  await serving.files.sync(call.inode, call);
  return emptyReply;
}

export async function syncAll(serving: Serving, call: Call): Promise<Reply> {
  await serving.files.syncAll(call);
  return emptyReply;
}

export async function release(serving: Serving, call: Call, handle: bigint): Promise<Reply> {
  await unlockReleased(serving, call.inode, handle);
  return letGo(serving, call.inode);
}

async function letGo(serving: Serving, inode: number): Promise<Reply> {
  if (serving.open.remove(inode)) await serving.files.close(inode);
  return emptyReply;
}

/** Bits of fallocate(2): keep size 1, punch 2, zero 16. */
const allocateModes: ReadonlyMap<number, AllocateMode> = new Map([
  [0, 'allocate'],
  [1, 'reserve'],
  [3, 'punch'],
  [16, 'zero'],
  [17, 'zero-keep'],
]);

export async function allocate(serving: Serving, call: Call, asked: Allocation): Promise<Reply> {
  const mode = allocateModes.get(asked.mode);
  if (mode === undefined) throw new InfinitError('unsupported', 'no such way of reserving');
  await serving.files.allocate(call.inode, asked.offset, asked.length, mode, call);
  return emptyReply;
}

const whences: ReadonlyMap<number, 'data' | 'hole'> = new Map([
  [3, 'data'],
  [4, 'hole'],
]);

export async function seek(serving: Serving, call: Call, { offset, whence }: Seek): Promise<Reply> {
  const what = whences.get(whence);
  if (what === undefined) throw fileError('invalid', 'no such way of seeking');
  return offsetReply(await serving.files.seek(call.inode, offset, what, call));
}
