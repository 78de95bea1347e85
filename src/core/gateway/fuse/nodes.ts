// What the kernel knows: which nodes, how often it was told of them (it forgets them by the same count), and by which names. What
// it does not know needs no notification. A node has the number of its inode. But Linux has each directory in one place, and cannot
// take it to another while it renames (ESTALE): so a directory found elsewhere than it was told of is told of as another node there.

import { asBuffer } from '../../base/bytes.ts';
import { type EntryPlace, type FileType, type RenameMode, rootInode } from '../../volume/files/files.ts';

/** Where numbers of further nodes begin: those of inodes have 52 bits. */
const firstFurther = 2 ** 52;

interface Node {
  readonly isDirectory: boolean;
  lookups: number;
  /** Names it may cache for the node, or have a directory at, as keys of places. */
  places: Set<string> | undefined;
}

/** Places name directories by their nodes. */
export class Nodes {
  private readonly nodes = new Map<number, Node>();
  private readonly named = new Map<string, number>();
  private readonly inodes = new Map<number, number>();
  /** Of directories: nodes beside the one that has their number. */
  private readonly further = new Map<number, Set<number>>();
  private next = firstFurther;

  /** The kernel is told of an inode without a name once more. */
  add(inode: number): void {
    this.tell(inode, false);
  }

  /** The kernel is told once more what the name stands for; the number it shall know that by. Directories keep their place. */
  addFound(place: EntryPlace, inode: number, type: FileType, isCached: boolean): number {
    const key = keyOf(place);
    const isDirectory = type === 'directory';
    const node = isDirectory ? this.directoryAt(key, inode) : inode;
    this.tell(node, isDirectory);
    if (isCached || isDirectory) this.place(key, node);
    else this.leave(key);
    return node;
  }

  removeName(place: EntryPlace): void {
    this.take(keyOf(place));
  }

  /** The kernel moves its names itself. */
  rename(from: EntryPlace, to: EntryPlace, mode: RenameMode): void {
    const [fromKey, toKey] = [keyOf(from), keyOf(to)];
    const [moved, replaced] = [this.take(fromKey), this.take(toKey)];
    if (moved !== undefined) this.place(toKey, moved);
    if (mode === 'exchange' && replaced !== undefined) this.place(fromKey, replaced);
  }

  /** More than was told counts as all. Its names are gone before a node is. */
  forget(number: number, lookups: number): void {
    const node = this.nodes.get(number);
    if (node === undefined || (node.lookups -= lookups) > 0) return;
    this.nodes.delete(number);
    for (const key of node.places ?? []) if (this.named.get(key) === number) this.named.delete(key);
    const inode = this.inodes.get(number);
    if (inode === undefined) return;
    this.inodes.delete(number);
    const others = this.further.get(inode);
    others?.delete(number);
    if (others?.size === 0) this.further.delete(inode);
  }

  inodeOf(node: number): number {
    return node < firstFurther ? node : (this.inodes.get(node) ?? node);
  }

  /** What the kernel knows the inode by; nothing when it does not. */
  nodesOf(inode: number): number[] {
    const own = inode === rootInode || this.nodes.has(inode) ? [inode] : [];
    return [...own, ...(this.further.get(inode) ?? [])];
  }

  /** What changes by one node, the kernel does not see by another. */
  hasSeveral(inode: number): boolean {
    return this.further.has(inode) && this.nodesOf(inode).length > 1;
  }

  namesOf(node: number): EntryPlace[] {
    return Array.from(this.nodes.get(node)?.places ?? [], placeOf);
  }

  get size(): number {
    return this.nodes.size;
  }

  /**
   * What the kernel has at the place, or nowhere yet. Where else it has a directory is what it was told: it may have lost that place
   * since, but not gained another.
   */
  private directoryAt(key: string, inode: number): number {
    const known = this.named.get(key);
    if (known !== undefined && this.inodeOf(known) === inode) return known;
    if (!this.nodes.has(inode)) return inode;
    const node = this.next++;
    this.inodes.set(node, inode);
    const others = this.further.get(inode);
    if (others) others.add(node);
    else this.further.set(inode, new Set([node]));
    return node;
  }

  private tell(number: number, isDirectory: boolean): void {
    const node = this.nodes.get(number);
    if (node) node.lookups++;
    else this.nodes.set(number, { isDirectory, lookups: 1, places: undefined });
  }

  /** Something else than a directory is there: what the kernel may still have cached, it does not rename as that any more. */
  private leave(key: string): void {
    const node = this.named.get(key);
    if (node !== undefined && this.nodes.get(node)?.isDirectory) this.named.delete(key);
  }

  private place(key: string, number: number): void {
    if (this.named.get(key) === number) return;
    this.take(key);
    const node = this.nodes.get(number);
    if (node === undefined) return;
    node.places ??= new Set();
    node.places.add(key);
    this.named.set(key, number);
  }

  private take(key: string): number | undefined {
    const node = this.named.get(key);
    if (node === undefined) return undefined;
    this.named.delete(key);
    this.nodes.get(node)?.places?.delete(key);
    return node;
  }
}

function keyOf({ directory, name }: EntryPlace): string {
  return `${directory}:${asBuffer(name).toString('latin1')}`;
}

function placeOf(key: string): EntryPlace {
  const colon = key.indexOf(':');
  return { directory: Number(key.slice(0, colon)), name: Buffer.from(key.slice(colon + 1), 'latin1') };
}

interface OpenFile {
  count: number;
  /** Until when no privileges are known to hang on it. */
  harmlessUntil: number;
}

/** Files that are open: what the kernel will not close because it let go of the mount is closed then. */
export class OpenFiles {
  private readonly files = new Map<number, OpenFile>();

  add(inode: number): void {
    const file = this.files.get(inode);
    if (file) file.count++;
    else this.files.set(inode, { count: 1, harmlessUntil: Number.NEGATIVE_INFINITY });
  }

  /** False when it was not open. */
  remove(inode: number): boolean {
    const file = this.files.get(inode);
    if (file === undefined) return false;
    if (--file.count === 0) this.files.delete(inode);
    return true;
  }

  isHarmless(inode: number, now: number): boolean {
    return now < (this.files.get(inode)?.harmlessUntil ?? Number.NEGATIVE_INFINITY);
  }

  setHarmlessUntil(inode: number, until: number): void {
    const file = this.files.get(inode);
    if (file) file.harmlessUntil = until;
  }

  /** One number for each open, taken out. */
  *drain(): Iterable<number> {
    const all = [...this.files];
    this.files.clear();
    for (const [inode, { count }] of all) for (let i = 0; i < count; i++) yield inode;
  }
}
