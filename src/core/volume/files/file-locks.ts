// Locks of files (docs/protocols.md 4.10), with what they mean for data: what was written before a lock is let go of is in the
// tree before, what is written under it gets there only while it is held, and who has lost it reads and writes no more.

import { isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import type { LockOptions, LockRange, LockStatement, Span, Tree } from '../../tree/tree.ts';
import type { FileState, FileStates } from './file-state.ts';
import { fileError, type LockOwner } from './files.ts';
import type { Flusher } from './flusher.ts';

export interface FileLocksOptions {
  tree: Tree;
  states: FileStates;
  flusher: Flusher;
}

export class FileLocks {
  private readonly options: FileLocksOptions;
  private readonly off: () => void;

  constructor(options: FileLocksOptions) {
    this.options = options;
    this.off = options.tree.locks.onLost((inodes) => {
      for (const inode of inodes) this.lost(inode);
    });
  }

  stop(): void {
    this.off();
  }

  async lock(inode: number, by: LockOwner, range: LockRange, options: LockOptions): Promise<void> {
    const { tree, states } = this.options;
    await states.using(inode, async (state) => {
      await this.clean(state);
      await tree.locks.lock({ ...by, resource: inode }, range, options);
    });
  }

  async unlock(inode: number, by: LockOwner, span: Span): Promise<void> {
    const { tree, states } = this.options;
    const place = { ...by, resource: inode };
    if (!tree.locks.holds(place)) return;
    await states.using(inode, async (state) => {
      await this.clean(state);
      await tree.locks.unlock(place, span);
    });
  }

  test(inode: number, by: LockOwner, range: LockRange, options?: Abortable): Promise<LockStatement | undefined> {
    return this.options.tree.locks.test({ ...by, resource: inode }, range, options);
  }

  /** Throws `lock-lost` to who may rely on a lock that somebody else may have by now. */
  check(inode: number): void {
    if (this.options.tree.locks.isLost(inode)) throw fileError('lock-lost', 'a lock of this file is lost');
  }

  /** Data of the file is in the tree, or given up; what became of it is told to who syncs. */
  private async clean(state: FileState): Promise<void> {
    const { tree, flusher } = this.options;
    while (state.isDirty) {
      try {
        await flusher.exclusively(state, () => flusher.drain(state));
      } catch (error) {
        // It goes on all the same, until the session has ended.
        if (!isError(error, 'unavailable') || tree.locks.isLost(state.inode)) return;
      }
    }
  }

  private lost(inode: number): void {
    const { states, flusher } = this.options;
    const state = states.get(inode);
    if (state?.guard === undefined || state.dirty.isEmpty) return;
    state.error ??= fileError('lock-lost', 'what was written under a lock that is lost is not kept');
    flusher.forget(state);
  }
}
