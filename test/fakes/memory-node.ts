// Nodes of the files view in memory, and what is checked before they change.

import type { Bytes } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { limits } from '../../src/core/base/limits.ts';
import {
  type Attributes,
  type Cookie,
  type FileTime,
  fileError,
  type NewNode,
} from '../../src/core/volume/files/files.ts';
import type { SparseBytes } from './sparse-bytes.ts';

export interface Entry {
  name: Bytes;
  node: Node;
  cookie: Cookie;
}

export interface Node extends Omit<Attributes, 'size' | 'allocatedBytes' | 'hasExtended'> {
  content: SparseBytes;
  target: Bytes;
  /** By name, a byte a character. */
  extended: Map<string, Bytes>;
  /** Of a directory, by name, a byte a character. */
  entries: Map<string, Entry>;
  /** Of a directory: the one it is in; the root is in itself. */
  parent: Node | undefined;
  opened: number;
}

const setGroupId = 0o2000;

/** A byte a character, so that all names of bytes differ. */
export const textOf = (name: Bytes): string => Buffer.from(name).toString('latin1');

/** Whether the directory is the other node or lies below it. */
export function isWithin(directory: Node, other: Node): boolean {
  for (let at = directory; ; at = at.parent as Node) {
    if (at === other) return true;
    if (at.parent === at || at.parent === undefined) return false;
  }
}

export function checkReplaceable(moved: Node, replaced: Node): void {
  if (moved.type === 'directory' && replaced.type !== 'directory')
    throw fileError('not-directory', 'a directory replaces directories only');
  if (moved.type !== 'directory' && replaced.type === 'directory')
    throw fileError('is-directory', 'a file does not replace a directory');
  if (replaced.entries.size > 0) throw fileError('not-empty', 'the directory is not empty');
}

/** What is made in a set-group-id directory has its group; a directory made there hands it on. */
export function inherited(made: NewNode, parent: Node): NewNode {
  if ((parent.mode & setGroupId) === 0) return made;
  const mode = made.type === 'directory' ? made.mode | setGroupId : made.mode;
  return { ...made, mode, gid: parent.gid };
}

export function attributesOf(node: Node): Attributes {
  const { inode, generation, type, mode, uid, gid, links, device, accessed, modified, changed, created } = node;
  const size = type === 'symlink' ? node.target.length : node.content.size;
  const [allocatedBytes, hasExtended] = [node.content.allocatedBytes, node.extended.size > 0];
  const counts = { inode, generation, type, mode, uid, gid, links, size, allocatedBytes, device, hasExtended };
  return Object.assign(counts, { accessed, modified, changed, created });
}

export function checkName(name: Bytes): void {
  if (name.length > limits.fileNameBytesMax)
    throw fileError('name-too-long', `a name has at most ${limits.fileNameBytesMax} bytes`);
  const text = textOf(name);
  if (text === '' || text === '.' || text === '..' || /[\0/]/.test(text)) throw fileError('invalid', 'not a name');
}

export function checkAttributeName(name: Bytes): void {
  if (name.length === 0) throw fileError('invalid', 'an attribute has a name');
  if (name.length > limits.fileNameBytesMax)
    throw fileError('name-too-long', `a name has at most ${limits.fileNameBytesMax} bytes`);
}

export function checkTarget({ type, target }: NewNode): void {
  if (type !== 'symlink') return;
  if (target === undefined || target.length === 0) throw fileError('invalid', 'a symbolic link leads somewhere');
  if (target.length > limits.symlinkBytesMax)
    throw fileError('name-too-long', `a link has at most ${limits.symlinkBytesMax} bytes`);
}

export function checkRange(offset: number, length: number): void {
  if (offset < 0) throw fileError('invalid', 'a negative place');
  if (offset + length > limits.fileBytesMax)
    throw fileError('too-large', `a file has at most ${limits.fileBytesMax} bytes`);
}

export const notFound = () => new InfinitError('not-found', 'no such name');
export const exists = () => new InfinitError('exists', 'the name exists');
export const noAttribute = () => fileError('no-attribute', 'no such attribute');

export function entryOf(directory: Node, name: Bytes): Entry {
  const entry = directory.entries.get(textOf(name));
  if (!entry) throw notFound();
  return entry;
}

export function checkFree(directory: Node, name: Bytes): void {
  if (directory.entries.has(textOf(name))) throw exists();
}

export function extendedOf(node: Node, name: Bytes): Bytes {
  const value = node.extended.get(textOf(name));
  if (!value) throw noAttribute();
  return value;
}

/** The name goes, or stands for another node from now on; its cookie is the name's. */
export function leave(directory: Node, name: Bytes, now: FileTime, successor?: Node): void {
  const entry = entryOf(directory, name);
  if (entry.node.type === 'directory') directory.links--;
  directory.modified = now;
  directory.changed = now;
  if (!successor) {
    directory.entries.delete(textOf(name));
    return;
  }
  entry.node = successor;
  arrived(directory, successor, now);
}

export function arrived(directory: Node, node: Node, now: FileTime): void {
  if (node.type === 'directory') {
    node.parent = directory;
    directory.links++;
  }
  directory.modified = now;
  directory.changed = now;
}
