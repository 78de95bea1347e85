// What a lost leadership may have taken with it: changes that were not asked to be durable. A sync after that says so, once for
// each file: exactly for files that are open, for others while the loss is recent.

import { InfinitError, isError } from '../../base/errors.ts';
import type { Abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import type { FileState } from './file-state.ts';

const recentMs = 60_000;

export class Losses {
  private readonly tree: Tree;
  private readonly clock: Clock;
  private seen: number;
  private toldAll: number;
  private recent: { atMs: number; told: Set<number> } | undefined;

  constructor(tree: Tree, clock: Clock) {
    this.tree = tree;
    this.clock = clock;
    this.seen = tree.losses;
    this.toldAll = tree.losses;
  }

  /** A change of the file that no sync has covered yet. */
  mark(state: FileState): void {
    state.lossesBefore ??= this.tree.losses;
  }

  /** To be called now and then, so that a loss is dated. */
  notice(): void {
    const now = this.clock.monotonic();
    if (this.tree.losses !== this.seen) this.recent = { atMs: now, told: new Set() };
    else if (this.recent !== undefined && now - this.recent.atMs > recentMs) this.recent = undefined;
    this.seen = this.tree.losses;
  }

  /** All that was done before is durable when it resolves. Throws `lost`, once for each file. */
  async sync(state: FileState, options: Abortable): Promise<void> {
    const before = state.lossesBefore;
    state.lossesBefore = undefined;
    try {
      await this.tree.sync(options);
    } catch (error) {
      if (!isError(error, 'lost')) {
        if (before !== undefined) state.lossesBefore = before;
        throw error;
      }
    }
    this.notice();
    if (this.isTold(state.inode, before)) return;
    throw lostError();
  }

  /** The same for everything; told once. */
  async syncAll(options: Abortable): Promise<void> {
    try {
      await this.tree.sync(options);
    } catch (error) {
      if (!isError(error, 'lost')) throw error;
    }
    this.notice();
    const { toldAll } = this;
    this.toldAll = this.seen;
    if (this.seen !== toldAll) throw lostError();
  }

  private isTold(inode: number, before: number | undefined): boolean {
    const { recent } = this;
    const lost = before !== undefined && before !== this.tree.losses;
    if (recent === undefined) return !lost;
    if (recent.told.has(inode)) return !lost;
    if (recent.told.size < limits.heldInodesMax) recent.told.add(inode);
    return false;
  }
}

function lostError(): InfinitError {
  return new InfinitError('lost', 'changes made shortly before this client ceased to lead may be lost');
}
