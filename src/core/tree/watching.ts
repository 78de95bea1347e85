// Acknowledged changes for local listeners, whoever leads: told directly while this process leads, else asked of the leader
// by long calls. Each change is told at least once, in order; after a takeover some may be told again.

import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { TreeContext } from './context.ts';
import type { Follower } from './follower.ts';
import type { Leader } from './leader.ts';
import { type Change, treeWatch } from './messages.ts';

const pauseMs = 200;

export interface ChangeFeedOptions {
  context: TreeContext;
  follower: Follower;
  leader: () => Leader | undefined;
  stopped: AbortSignal;
}

export class ChangeFeed {
  private readonly options: ChangeFeedOptions;
  private readonly listeners = new Set<(change: Change) => void>();
  private running = false;
  /** The newest change told. */
  private told: number | undefined;

  constructor(options: ChangeFeedOptions) {
    this.options = options;
  }

  listen(listener: (change: Change) => void): () => void {
    this.listeners.add(listener);
    if (!this.running) void this.run();
    return () => this.listeners.delete(listener);
  }

  get listening(): boolean {
    return this.listeners.size > 0;
  }

  /** This process leads from here on: what others led to since the last change told is not known one by one. */
  led(sequence: number): void {
    if (this.told !== undefined && sequence > this.told) this.tell({ sequence, effects: [], missed: true });
    if (this.running) this.told = sequence;
  }

  tell(change: Change): void {
    this.told = Math.max(this.told ?? 0, change.sequence);
    for (const listener of [...this.listeners]) listener(change);
  }

  private async run(): Promise<void> {
    const { context, leader, stopped } = this.options;
    this.running = true;
    while (this.listeners.size > 0 && !stopped.aborted) {
      if (leader() === undefined) await this.poll().catch(() => this.options.follower.forget());
      if (!stopped.aborted)
        await context.runtime.clock.sleep(leader() ? 1000 : pauseMs, { signal: stopped }).catch(() => {});
    }
    this.running = false;
    this.told = undefined;
  }

  /** Asks the leader again and again while it answers. */
  private async poll(): Promise<void> {
    const { context, follower, leader, stopped } = this.options;
    const peer = await follower.otherLeader();
    if (peer === undefined) return follower.forget();
    while (this.listeners.size > 0 && !stopped.aborted && leader() === undefined) {
      const after = this.told ?? Number.MAX_SAFE_INTEGER;
      const wait = this.told === undefined ? 0 : limits.watchWaitMs;
      const request = { treeId: context.treeId, after, waitMs: wait };
      const answer = await peer.call(treeWatch, request, { timeoutMs: limits.watchWaitMs * 2, signal: stopped });
      if (answer.type === 'moved') throw new InfinitError('unavailable', 'the leader has moved');
      if (answer.type === 'changed') for (const change of answer.changes) this.tell(change);
      else if (this.told !== undefined) this.tell({ sequence: answer.through, effects: [], missed: true });
      this.told = Math.max(this.told ?? 0, answer.through);
    }
  }
}
