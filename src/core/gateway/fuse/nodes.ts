// Which inodes the kernel knows and how often it was told of them: it forgets them by the same count. What it does not know needs
// no notification. Numbers of nodes are the numbers of inodes, so nothing else is kept.

import { rootInode } from '../../volume/files/files.ts';

export class Nodes {
  private readonly lookups = new Map<number, number>();

  /** The kernel is told of the inode once more. */
  add(inode: number): void {
    this.lookups.set(inode, (this.lookups.get(inode) ?? 0) + 1);
  }

  /** More than was told counts as all. */
  forget(inode: number, lookups: number): void {
    const left = (this.lookups.get(inode) ?? 0) - lookups;
    if (left > 0) this.lookups.set(inode, left);
    else this.lookups.delete(inode);
  }

  isKnown(inode: number): boolean {
    return inode === rootInode || this.lookups.has(inode);
  }

  get size(): number {
    return this.lookups.size;
  }
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
