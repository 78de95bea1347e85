// Making and removing: the root, nodes of all types, links, names. Link counts, times of directories, what a directory hands
// down to what is made in it.

import type { Bytes } from '../../base/bytes.ts';
import { encode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { readSuper } from '../../tree/counters.ts';
import { superKey, superRecord } from '../../tree/keys.ts';
import { encodeEntry, findEntry, isEmpty, needEntry, type Spot } from './entries.ts';
import { type FileTime, fileError, type NewNode, rootInode } from './files.ts';
import { attributesOf, type Inode } from './inodes.ts';
import { attributesReply, type FileOperation, nothingReply } from './messages.ts';
import { checkName, type NameHash } from './names.ts';
import { dropName, freeStep, makeOrphan, noOrphan } from './orphans.ts';
import { emptySlot } from './slots.ts';
import type { Work } from './work.ts';

const modeBits = 0o7777;
const setGroup = 0o2000;
const symlinkMode = 0o777;

type Asked<T extends FileOperation['type']> = FileOperation & { type: T };

export async function begin(asked: Asked<'begin'>, work: Work): Promise<Bytes> {
  const { mode, uid, gid, defaultMode, quota, now } = asked;
  const found = await work.find(rootInode);
  if (found !== undefined) return encode(attributesReply, attributesOf(found));
  const createdMs = Math.max(0, now.seconds * 1000 + Math.floor(now.nanoseconds / 1e6));
  const record = {
    ...(await readSuper(work.transaction)),
    view: 'files',
    quota,
    defaultMode: defaultMode & modeBits,
    createdMs,
  };
  work.put(superKey, encode(superRecord, record));
  const node: NewNode = { type: 'directory', mode: withDefault('directory', mode, record.defaultMode), uid, gid };
  const root = newInode(rootInode, node, now);
  root.parent = rootInode;
  work.add(root);
  return encode(attributesReply, attributesOf(root));
}

/** `reserved`: the inode number it gets; else a new one. */
export async function make(asked: Asked<'make'>, work: Work, names: NameHash, reserved?: number): Promise<Bytes> {
  const { name, node, now, client } = asked;
  checkNode(node, name !== undefined);
  const directory = await work.directory(asked.directory);
  const spot = name === undefined ? undefined : await freeSpot(work, names, directory, name);
  const number = reserved ?? (await work.allocate('inode'));
  if (number >= limits.domainInodesMax) throw new InfinitError('full', 'no inode numbers are left');
  const { defaultMode } = await work.super();
  const inherits = (directory.mode & setGroup) !== 0;
  const handedDown = inherits && node.type === 'directory' ? setGroup : 0;
  const inode = newInode(
    number,
    {
      ...node,
      mode: withDefault(node.type, node.mode, defaultMode) | handedDown,
      gid: inherits ? directory.gid : node.gid,
    },
    now,
  );
  work.add(inode);
  if (spot === undefined || name === undefined) {
    inode.links = 0;
    makeOrphan(work, inode, { now, holder: client });
  } else {
    work.put(spot.slot.key, encodeEntry({ domain: 0, inode: number, type: inode.type, name }));
    if (inode.type === 'directory') {
      inode.parent = directory.inode;
      directory.links++;
    }
    changedNow(work, directory, now);
  }
  return encode(attributesReply, attributesOf(inode));
}

export async function link(asked: Asked<'link'>, work: Work, names: NameHash): Promise<Bytes> {
  const { name, now } = asked;
  const inode = await work.need(asked.inode);
  if (inode.type === 'directory') throw fileError('not-permitted', 'a directory has one name');
  const directory = await work.directory(asked.directory);
  const spot = await freeSpot(work, names, directory, name);
  if (inode.links >= limits.fileLinksMax)
    throw fileError('too-many-links', `a file has at most ${limits.fileLinksMax} names`);
  if (inode.links === 0) await noOrphan(work, inode.inode);
  inode.links++;
  inode.changed = now;
  work.touch(inode);
  work.put(spot.slot.key, encodeEntry({ domain: 0, inode: inode.inode, type: inode.type, name }));
  changedNow(work, directory, now);
  return encode(attributesReply, attributesOf(inode));
}

export async function unlink(asked: Asked<'unlink'>, work: Work, names: NameHash): Promise<Bytes> {
  const directory = await work.directory(asked.directory);
  checkName(asked.name);
  const spot = await needOwnEntry(work, names, directory, asked.name);
  const inode = await work.need(spot.entry.inode);
  if (inode.type === 'directory') throw fileError('is-directory', 'the entry is a directory');
  await emptySlot(work, spot.slot);
  changedNow(work, directory, asked.now);
  await dropName(work, inode, asked);
  return encode(attributesReply, attributesOf(inode));
}

export async function removeDirectory(asked: Asked<'removeDirectory'>, work: Work, names: NameHash): Promise<Bytes> {
  const parent = await work.directory(asked.directory);
  checkName(asked.name);
  const spot = await needOwnEntry(work, names, parent, asked.name);
  const directory = await work.directory(spot.entry.inode);
  await dropDirectory(work, directory, parent);
  await emptySlot(work, spot.slot);
  changedNow(work, parent, asked.now);
  return encode(nothingReply, {});
}

/** The directory loses its name, and so is gone. Throws `not-empty`. */
export async function dropDirectory(work: Work, directory: Inode, parent: Inode): Promise<void> {
  if (!(await isEmpty(work.transaction, directory.inode))) throw fileError('not-empty', 'the directory is not empty');
  directory.links = 0;
  parent.links--;
  await freeStep(work, directory);
}

/** Entries of the directory changed. */
export function changedNow(work: Work, directory: Inode, now: FileTime): void {
  directory.modified = directory.changed = now;
  work.touch(directory);
}

/** Throws `not-found`, and `elsewhere` for what is in another tree. */
async function needOwnEntry(work: Work, names: NameHash, directory: Inode, name: Bytes) {
  const spot = await needEntry(work.transaction, names, directory.inode, name);
  if (spot.entry.domain !== 0) throw fileError('elsewhere', 'the name leads to another tree');
  return spot;
}

/** Throws `exists`. */
export async function freeSpot(work: Work, names: NameHash, directory: Inode, name: Bytes): Promise<Spot> {
  checkName(name);
  const spot = await findEntry(work.transaction, names, directory.inode, name);
  if (spot.entry !== undefined) throw new InfinitError('exists', 'the entry exists');
  return spot;
}

function checkNode(node: NewNode, named: boolean): void {
  if (!named && node.type !== 'file') throw fileError('invalid', 'only a file may be without a name');
  const { target = Buffer.alloc(0) } = node;
  if (node.type === 'symlink' && (target.length === 0 || target.includes(0)))
    throw fileError('invalid', 'a symbolic link leads somewhere');
}

function newInode(inode: number, node: NewNode, now: FileTime): Inode {
  const { type, mode, uid, gid, device, target } = node;
  const isDevice = type === 'character-device' || type === 'block-device';
  const leads = type === 'symlink' ? target : undefined;
  return {
    inode,
    type,
    mode,
    uid,
    gid,
    links: type === 'directory' ? 2 : 1,
    size: leads?.length ?? 0,
    allocated: 0,
    accessed: now,
    modified: now,
    changed: now,
    created: now,
    generation: 0,
    device: isDevice ? (device ?? 0) : 0,
    beyond: false,
    dying: false,
    extended: 0,
    parent: 0,
    target: leads,
  };
}

/** The mode with the volume's default rights: reading and writing; of a directory also searching for whoever may read. */
function withDefault(type: NewNode['type'], mode: number, defaultMode: number): number {
  if (type === 'symlink') return symlinkMode;
  const rights = defaultMode & 0o666;
  const search = type === 'directory' ? (defaultMode & 0o444) >> 2 : 0;
  return (mode & modeBits) | rights | search;
}
