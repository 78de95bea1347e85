// Who has locked what through which open file. The kernel tells the owner of fcntl locks at each close of a process (FLUSH), of
// others nothing but that the last one is closed (RELEASE): then all that was locked through it is let go of.

import type { LockOwner } from '../../volume/files/files.ts';

type Owners = Map<string, LockOwner>;

export class LockOwners {
  /** By inode, then by handle. */
  private readonly inodes = new Map<number, Map<bigint, Owners>>();
  private lastHandle = 0;

  /** The handle of a file that is opened. */
  handle(): number {
    return ++this.lastHandle;
  }

  /** It is about to lock through the handle. */
  add(inode: number, handle: bigint, by: LockOwner): void {
    const handles = this.inodes.get(inode) ?? new Map<bigint, Owners>();
    const owners = handles.get(handle) ?? new Map<string, LockOwner>();
    this.inodes.set(inode, handles.set(handle, owners.set(nameOf(by), by)));
  }

  /** The owner is to let go of the file, however it came by it; whether it may have locked something. */
  take(inode: number, by: LockOwner): boolean {
    let taken = false;
    for (const [handle, owners] of this.inodes.get(inode) ?? []) {
      taken = owners.delete(nameOf(by)) || taken;
      if (owners.size === 0) this.drop(inode, handle);
    }
    return taken;
  }

  /** Those who are to let go because the handle is no more. */
  takeAll(inode: number, handle: bigint): LockOwner[] {
    const owners = this.inodes.get(inode)?.get(handle);
    if (owners === undefined) return [];
    this.drop(inode, handle);
    return [...owners.values()];
  }

  /** Everybody, taken out. */
  *drain(): Iterable<{ inode: number; by: LockOwner }> {
    const all = [...this.inodes];
    this.inodes.clear();
    for (const [inode, handles] of all)
      for (const owners of handles.values()) for (const by of owners.values()) yield { inode, by };
  }

  private drop(inode: number, handle: bigint): void {
    const handles = this.inodes.get(inode);
    handles?.delete(handle);
    if (handles?.size === 0) this.inodes.delete(inode);
  }
}

function nameOf({ space, owner }: LockOwner): string {
  return `${space}:${owner}`;
}
