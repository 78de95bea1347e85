// Locks of the files view in memory: those of one process.

import type { Abortable } from '../../src/core/base/lifecycle.ts';
import { OwnLocks } from '../../src/core/tree/locks/own-locks.ts';
import type { LockOptions, LockRange, LockStatement, Span } from '../../src/core/tree/tree.ts';
import type { LockOwner } from '../../src/core/volume/files/files.ts';

export class MemoryLocks {
  private readonly locks = new OwnLocks();

  lock(inode: number, by: LockOwner, range: LockRange, options: LockOptions): Promise<void> {
    return this.locks.lock({ ...by, resource: inode }, range, options);
  }

  unlock(inode: number, by: LockOwner, span: Span): Promise<void> {
    return this.locks.unlock({ ...by, resource: inode }, span);
  }

  testLock(inode: number, by: LockOwner, range: LockRange, _: Abortable = {}): Promise<LockStatement | undefined> {
    return this.locks.test({ ...by, resource: inode }, range);
  }
}
