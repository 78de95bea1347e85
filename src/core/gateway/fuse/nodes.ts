// What the kernel knows: which inodes, how often it was told of them (it forgets them by the same count), and by which names. What
// it does not know needs no notification. Numbers of nodes are the numbers of inodes.

import { asBuffer, type Bytes } from '../../base/bytes.ts';
import { type EntryPlace, type RenameMode, rootInode } from '../../volume/files/files.ts';

interface Node {
  lookups: number;
  /** Names it may cache for the inode, or have a directory at, as keys of places. */
  places: Set<string> | undefined;
}

export class Nodes {
  private readonly nodes = new Map<number, Node>();
  private readonly inodes = new Map<string, number>();

  /** The kernel is told of the inode once more. */
  add(inode: number): void {
    const node = this.nodes.get(inode);
    if (node) node.lookups++;
    else this.nodes.set(inode, { lookups: 1, places: undefined });
  }

  /** It may cache that the name stands for the inode, which it was told of. */
  addName(directory: number, name: Bytes, inode: number): void {
    this.place(keyOf({ directory, name }), inode);
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

  /** More than was told counts as all. Its names are gone before an inode is. */
  forget(inode: number, lookups: number): void {
    const node = this.nodes.get(inode);
    if (node === undefined || (node.lookups -= lookups) > 0) return;
    this.nodes.delete(inode);
    for (const key of node.places ?? []) this.inodes.delete(key);
  }

  isKnown(inode: number): boolean {
    return inode === rootInode || this.nodes.has(inode);
  }

  namesOf(inode: number): EntryPlace[] {
    return Array.from(this.nodes.get(inode)?.places ?? [], placeOf);
  }

  /** Those but one, which the inode has no more. */
  takeOtherNames(inode: number, place: EntryPlace): EntryPlace[] {
    const places = this.nodes.get(inode)?.places;
    if (places === undefined || places.size === 0) return [];
    const key = keyOf(place);
    const others = [...places].filter((other) => other !== key);
    for (const other of others) this.take(other);
    return others.map(placeOf);
  }

  get size(): number {
    return this.nodes.size;
  }

  private place(key: string, inode: number): void {
    if (this.inodes.get(key) === inode) return;
    this.take(key);
    const node = this.nodes.get(inode);
    if (node === undefined) return;
    node.places ??= new Set();
    node.places.add(key);
    this.inodes.set(key, inode);
  }

  private take(key: string): number | undefined {
    const inode = this.inodes.get(key);
    if (inode === undefined) return undefined;
    this.inodes.delete(key);
    this.nodes.get(inode)?.places?.delete(key);
    return inode;
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
