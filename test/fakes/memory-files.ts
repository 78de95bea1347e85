// The files view in memory: the model every other implementation is compared with. Written to be read, not to be fast: each
// operation is one synchronous step over plain objects, with checks in the order Linux makes them. Open counts are of all users.
// Times of access change only when set. A directory that was removed while open stays, empty, until its last close.

import type { Bytes } from '../../src/core/base/bytes.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { type Abortable, checkSignal } from '../../src/core/base/lifecycle.ts';
import { limits } from '../../src/core/base/limits.ts';
import {
  type AllocateMode,
  type AttributeChange,
  type Attributes,
  type Cookie,
  type EntryPlace,
  type Files,
  type FileTime,
  fileError,
  type ListedEntry,
  type NewNode,
  type RenameMode,
  rootInode,
  type Usage,
} from '../../src/core/volume/files/files.ts';
import { MemoryLocks } from './memory-locks.ts';
import {
  arrived,
  attributesOf,
  checkAttributeName,
  checkFree,
  checkName,
  checkRange,
  checkReplaceable,
  checkTarget,
  entryOf,
  exists,
  extendedOf,
  inherited,
  isWithin,
  leave,
  type Node,
  noAttribute,
  notFound,
  textOf,
} from './memory-node.ts';
import { SparseBytes } from './sparse-bytes.ts';

const totalBytes = 2 ** 50;

export class MemoryFiles implements Files {
  private readonly locks = new MemoryLocks();
  readonly lock: Files['lock'] = (...asked) => this.locks.lock(...asked);
  readonly unlock: Files['unlock'] = (...asked) => this.locks.unlock(...asked);
  readonly testLock: Files['testLock'] = (...asked) => this.locks.testLock(...asked);
  private readonly nodes = new Map<number, Node>();
  private readonly now: () => FileTime;
  private nextInode = rootInode;
  /** 1 and 2 are `.` and `..`. */
  private nextCookie = 3n;
  /** `now` is asked once an operation; by default each call is a millisecond later. */
  constructor(options: { now?: () => FileTime; mode?: number; uid?: number; gid?: number } = {}) {
    this.now = options.now ?? ticking();
    const { mode = 0o755, uid = 0, gid = 0 } = options;
    const root = this.newNode({ type: 'directory', mode, uid, gid }, this.now());
    root.parent = root;
  }

  async lookup(directory: number, name: Bytes, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    checkName(name);
    return attributesOf(entryOf(this.directory(directory), name).node);
  }

  async attributes(inode: number, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    return attributesOf(this.node(inode));
  }

  async change(inode: number, change: AttributeChange, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    const now = this.now();
    const { mode, uid, gid, size, accessed, modified } = change;
    const node = size === undefined ? this.node(inode) : this.file(inode);
    if (size !== undefined) {
      checkRange(size, 0);
      node.content.resize(size);
      node.modified = now;
    }
    if (mode !== undefined) node.mode = mode & 0o7777;
    if (uid !== undefined) node.uid = uid;
    if (gid !== undefined) node.gid = gid;
    if (accessed !== undefined) node.accessed = accessed === 'now' ? now : accessed;
    if (modified !== undefined) node.modified = modified === 'now' ? now : modified;
    node.changed = now;
    return attributesOf(node);
  }

  async readLink(inode: number, options?: Abortable): Promise<Bytes> {
    checkSignal(options?.signal);
    const node = this.node(inode);
    if (node.type !== 'symlink') throw fileError('invalid', 'not a symbolic link');
    return node.target;
  }

  async make(directory: number, name: Bytes, made: NewNode, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    checkName(name);
    const now = this.now();
    const parent = this.livingDirectory(directory);
    checkFree(parent, name);
    checkTarget(made);
    const node = this.newNode(inherited(made, parent), now);
    this.enter(parent, name, node, now);
    return attributesOf(node);
  }

  async makeUnnamed(directory: number, made: NewNode, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    const parent = this.livingDirectory(directory);
    if (made.type !== 'file') throw fileError('invalid', 'only a file can be without a name');
    const node = this.newNode(inherited(made, parent), this.now());
    node.links = 0;
    node.opened = 1;
    return attributesOf(node);
  }

  async link(inode: number, directory: number, name: Bytes, options?: Abortable): Promise<Attributes> {
    checkSignal(options?.signal);
    checkName(name);
    const now = this.now();
    const node = this.node(inode);
    const parent = this.livingDirectory(directory);
    checkFree(parent, name);
    if (node.type === 'directory') throw fileError('not-permitted', 'a directory has one name');
    if (node.links >= limits.fileLinksMax)
      throw fileError('too-many-links', `a file has at most ${limits.fileLinksMax} names`);
    node.links++;
    node.changed = now;
    this.enter(parent, name, node, now);
    return attributesOf(node);
  }

  async unlink(directory: number, name: Bytes, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    checkName(name);
    const parent = this.directory(directory);
    const { node } = entryOf(parent, name);
    if (node.type === 'directory') throw fileError('is-directory', 'a directory is removed by rmdir');
    const now = this.now();
    leave(parent, name, now);
    this.lostName(node, now);
  }

  async removeDirectory(directory: number, name: Bytes, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    checkName(name);
    const parent = this.directory(directory);
    const { node } = entryOf(parent, name);
    if (node.type !== 'directory') throw fileError('not-directory', 'not a directory');
    if (node.entries.size > 0) throw fileError('not-empty', 'the directory is not empty');
    const now = this.now();
    leave(parent, name, now);
    this.lostName(node, now);
  }

  async rename(from: EntryPlace, to: EntryPlace, mode: RenameMode, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    checkName(from.name);
    checkName(to.name);
    const now = this.now();
    const source = this.directory(from.directory);
    const target = this.livingDirectory(to.directory);
    const moved = entryOf(source, from.name).node;
    const replaced = target.entries.get(textOf(to.name))?.node;
    if (mode === 'no-replace' && replaced) throw exists();
    if (mode === 'exchange' && !replaced) throw notFound();
    if (isWithin(target, moved)) throw fileError('invalid', 'a directory cannot move into itself');
    if (mode === 'exchange' && replaced && isWithin(source, replaced))
      throw fileError('invalid', 'a directory cannot move into itself');
    // Two names of one file: POSIX wants that nothing happens.
    if (moved === replaced) return;
    if (replaced && mode === 'replace') checkReplaceable(moved, replaced);

    leave(source, from.name, now, mode === 'exchange' ? replaced : undefined);
    if (replaced && mode === 'replace') this.lostName(replaced, now);
    if (replaced) leave(target, to.name, now, moved);
    else this.enter(target, to.name, moved, now);
    moved.changed = now;
    if (replaced) replaced.changed = now;
  }

  async list(
    directory: number,
    after: Cookie,
    options: Abortable & { limit?: number; attributes?: boolean } = {},
  ): Promise<{ entries: ListedEntry[]; end: boolean }> {
    checkSignal(options.signal);
    const node = this.directory(directory);
    if (node.links === 0) return { entries: [], end: true };
    const all = [
      { name: Buffer.from('.'), node, cookie: 1n },
      { name: Buffer.from('..'), node: node.parent ?? node, cookie: 2n },
      ...[...node.entries.values()].sort((a, b) => (a.cookie < b.cookie ? -1 : 1)),
    ].filter(({ cookie }) => cookie > after);
    const taken = all.slice(0, Math.min(options.limit ?? limits.listEntriesMax, limits.listEntriesMax));
    const entries = taken.map((entry) => ({
      name: entry.name,
      inode: entry.node.inode,
      type: entry.node.type,
      cookie: entry.cookie,
      ...(options.attributes ? { attributes: attributesOf(entry.node) } : {}),
    }));
    return { entries, end: taken.length === all.length };
  }

  open(inode: number): void {
    const node = this.nodes.get(inode);
    if (node) node.opened++;
  }

  async close(inode: number): Promise<void> {
    const node = this.nodes.get(inode);
    if (!node) return;
    node.opened = Math.max(0, node.opened - 1);
    this.dropIfUnused(node);
  }

  async read(inode: number, offset: number, length: number, options?: Abortable): Promise<Bytes[]> {
    checkSignal(options?.signal);
    const { content } = this.file(inode);
    if (offset < 0 || length < 0) throw fileError('invalid', 'a negative place or length');
    const data = content.read(offset, length);
    return data.length === 0 ? [] : [data];
  }

  async write(inode: number, given: number, data: Bytes, options?: Abortable & { append?: boolean }): Promise<void> {
    checkSignal(options?.signal);
    const node = this.file(inode);
    checkRange(given, data.length);
    if (data.length === 0) return;
    node.content.write(options?.append ? node.content.size : given, data);
    this.touchContent(node);
  }

  async allocate(
    inode: number,
    offset: number,
    length: number,
    mode: AllocateMode,
    options?: Abortable,
  ): Promise<void> {
    checkSignal(options?.signal);
    const node = this.file(inode);
    if (length <= 0) throw fileError('invalid', 'nothing to allocate');
    checkRange(offset, length);
    const { content } = node;
    const size = mode === 'allocate' || mode === 'zero' ? Math.max(content.size, offset + length) : content.size;
    if (mode === 'punch' || mode === 'zero' || mode === 'zero-keep') content.punch(offset, length);
    content.resize(size);
    this.touchContent(node);
  }

  async seek(inode: number, offset: number, what: 'data' | 'hole', options?: Abortable): Promise<number> {
    checkSignal(options?.signal);
    const found = offset < 0 ? undefined : this.file(inode).content.seek(offset, what);
    if (found === undefined) throw fileError('no-such-place', `no ${what} behind ${offset}`);
    return found;
  }

  async getExtended(inode: number, name: Bytes, options?: Abortable): Promise<Bytes> {
    checkSignal(options?.signal);
    checkAttributeName(name);
    return extendedOf(this.node(inode), name);
  }

  async setExtended(
    inode: number,
    name: Bytes,
    value: Bytes,
    options: Abortable & { only?: 'create' | 'replace' } = {},
  ): Promise<void> {
    checkSignal(options.signal);
    checkAttributeName(name);
    if (value.length > limits.extendedValueBytesMax)
      throw fileError('attribute-too-large', `an attribute has at most ${limits.extendedValueBytesMax} bytes`);
    const node = this.node(inode);
    const present = node.extended.has(textOf(name));
    if (present && options.only === 'create') throw new InfinitError('exists', 'the attribute exists');
    if (!present && options.only === 'replace') throw noAttribute();
    if (!present && node.extended.size >= limits.extendedPerInodeMax)
      throw new InfinitError('full', `a file has at most ${limits.extendedPerInodeMax} attributes`);
    node.extended.set(textOf(name), Buffer.from(value));
    node.changed = this.now();
  }

  async listExtended(inode: number, options?: Abortable): Promise<Bytes[]> {
    checkSignal(options?.signal);
    return [...this.node(inode).extended.keys()].map((name) => Buffer.from(name, 'latin1'));
  }

  async removeExtended(inode: number, name: Bytes, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    checkAttributeName(name);
    const node = this.node(inode);
    extendedOf(node, name);
    node.extended.delete(textOf(name));
    node.changed = this.now();
  }
  async flush(inode: number, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    this.node(inode);
  }
  async sync(inode: number, options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
    this.node(inode);
  }
  async syncAll(options?: Abortable): Promise<void> {
    checkSignal(options?.signal);
  }

  async usage(options?: Abortable): Promise<Usage> {
    checkSignal(options?.signal);
    let usedBytes = 0;
    for (const { content } of this.nodes.values()) usedBytes += content.allocatedBytes;
    return { totalBytes, freeBytes: totalBytes - usedBytes, usedBytes, inodesUsed: this.nodes.size };
  }

  freshForMs(): number {
    return 0;
  }
  onForeign(): () => void {
    return () => {};
  }

  private node(inode: number): Node {
    const node = this.nodes.get(inode);
    if (!node) throw fileError('stale', `no inode ${inode}`);
    return node;
  }

  private file(inode: number): Node {
    const node = this.node(inode);
    if (node.type === 'directory') throw fileError('is-directory', 'a directory has no bytes');
    if (node.type !== 'file') throw fileError('invalid', `a ${node.type} has no bytes`);
    return node;
  }

  private directory(inode: number): Node {
    const node = this.node(inode);
    if (node.type !== 'directory') throw fileError('not-directory', 'not a directory');
    return node;
  }

  /** One that new names may be put in. */
  private livingDirectory(inode: number): Node {
    const node = this.directory(inode);
    if (node.links === 0) throw notFound();
    return node;
  }

  private newNode(made: NewNode, now: FileTime): Node {
    const { type, mode, uid, gid, device = 0, target = Buffer.alloc(0) } = made;
    const inode = this.nextInode++;
    const links = type === 'directory' ? 2 : 1;
    const times = { accessed: now, modified: now, changed: now, created: now };
    const kept = { content: new SparseBytes(), target, extended: new Map(), entries: new Map() };
    const attributes = { inode, generation: 0, type, mode: mode & 0o7777, uid, gid, links, device };
    const node = { ...attributes, ...times, ...kept, parent: undefined, opened: 0 };
    this.nodes.set(inode, node);
    return node;
  }

  /** A new name for a node that counts it already. */
  private enter(directory: Node, name: Bytes, node: Node, now: FileTime): void {
    directory.entries.set(textOf(name), { name: Buffer.from(name), node, cookie: this.nextCookie++ });
    arrived(directory, node, now);
  }

  private lostName(node: Node, now: FileTime): void {
    node.links = node.type === 'directory' ? 0 : node.links - 1;
    node.changed = now;
    this.dropIfUnused(node);
  }

  private dropIfUnused(node: Node): void {
    if (node.links === 0 && node.opened === 0) this.nodes.delete(node.inode);
  }

  private touchContent(node: Node): void {
    node.modified = this.now();
    node.changed = node.modified;
  }
}

function ticking(): () => FileTime {
  let ms = 1_700_000_000_000;
  return () => {
    ms++;
    return { seconds: Math.floor(ms / 1000), nanoseconds: (ms % 1000) * 1_000_000 };
  };
}
