// Locks of the files view in memory: the table alone, for one client.

import { InfinitError } from '../../src/core/base/errors.ts';
import { type Abortable, abortable, type Deferred, deferred } from '../../src/core/base/lifecycle.ts';
import { checkSpan } from '../../src/core/tree/locks/lock-ranges.ts';
import { LockTable } from '../../src/core/tree/locks/lock-table.ts';
import type { LockOptions, LockRange, LockStatement, Span } from '../../src/core/tree/tree.ts';
import { fileError, type LockOwner } from '../../src/core/volume/files/files.ts';

const client = 'memory';

export class MemoryLocks {
  private readonly waits = new Map<number, Deferred<void>>();
  private readonly table = new LockTable(({ id }) => this.waits.get(id)?.resolve());
  private serial = 0;

  async lock(inode: number, by: LockOwner, range: LockRange, { wait, signal }: LockOptions): Promise<void> {
    checkSpan(range);
    const [place, id] = [{ ...by, resource: inode }, ++this.serial];
    const came = deferred<void>();
    this.waits.set(id, came);
    try {
      const locked = this.table.lock(client, place, range, wait ? id : undefined);
      if (locked === 'conflict') throw new InfinitError('conflict', 'locked');
      if (locked === 'deadlock') throw fileError('deadlock', 'waiting would never end');
      if (locked === 'waiting') await abortable(came.promise, { signal });
    } catch (error) {
      this.table.cancel(client, place, id);
      throw error;
    } finally {
      this.waits.delete(id);
    }
  }

  async unlock(inode: number, by: LockOwner, span: Span): Promise<void> {
    checkSpan(span);
    this.table.unlock(client, { ...by, resource: inode }, span);
  }

  async testLock(
    inode: number,
    by: LockOwner,
    range: LockRange,
    _: Abortable = {},
  ): Promise<LockStatement | undefined> {
    checkSpan(range);
    const found = this.table.test(client, { ...by, resource: inode }, range);
    return found && { mine: true, range: found.range };
  }
}
