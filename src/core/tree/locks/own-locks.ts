// Locks among the users of one process: the table alone, without a leader and without an end.

import { InfinitError } from '../../base/errors.ts';
import { type Abortable, abortable, type Deferred, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { LockOptions, LockPlace, LockRange, LockStatement, Span, TreeLocks } from '../tree.ts';
import { checkSpan } from './lock-ranges.ts';
import { LockTable } from './lock-table.ts';

const client = 'own';

export class OwnLocks implements TreeLocks {
  private readonly waits = new Map<number, Deferred<void>>();
  private readonly table = new LockTable(({ id }) => this.waits.get(id)?.resolve());
  private serial = 0;

  async lock(place: LockPlace, range: LockRange, { wait, signal }: LockOptions): Promise<void> {
    checkSpan(range);
    const { ranges, waiters } = this.table.countsOf();
    if (ranges >= limits.lockRangesMax || waiters >= limits.lockWaitersMax)
      throw new InfinitError('full', 'too many locks at once', { data: { reason: 'no-locks' } });
    const id = ++this.serial;
    const came = deferred<void>();
    this.waits.set(id, came);
    try {
      const locked = this.table.lock(client, place, range, wait ? id : undefined);
      if (locked === 'conflict') throw new InfinitError('conflict', 'locked');
      if (locked === 'deadlock')
        throw new InfinitError('conflict', 'waiting would never end', { data: { reason: 'deadlock' } });
      if (locked === 'waiting') await abortable(came.promise, { signal });
    } catch (error) {
      this.table.cancel(client, place, id);
      throw error;
    } finally {
      this.waits.delete(id);
    }
  }

  async unlock(place: LockPlace, span: Span): Promise<void> {
    checkSpan(span);
    this.table.unlock(client, place, span);
  }

  async test(place: LockPlace, range: LockRange, _: Abortable = {}): Promise<LockStatement | undefined> {
    checkSpan(range);
    const found = this.table.test(client, place, range);
    return found && { mine: true, range: found.range };
  }

  holds(place: LockPlace): boolean {
    return this.table.rangesOf(client, place).length > 0;
  }

  isLost(_resource: number): boolean {
    return false;
  }

  guardOf(_resource: number): undefined {
    return undefined;
  }

  onLost(): () => void {
    return () => {};
  }
}
