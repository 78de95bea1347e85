// The journal segments of one leadership, one after another: another ensemble, or another access list, goes with another segment
// (docs/protocols.md 4.3, 4.11). Between two, nothing is issued and all that was is acknowledged.

import type { Mutex } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Member, sameMembers } from '../block/address.ts';
import type { JournalSegment, JournalWriter } from '../consensus/consensus.ts';
import { type ChangeShares, nextShares } from './access.ts';
import type { Committer } from './committer.ts';
import { checkOwn, persistently, type TreeContext } from './context.ts';
import type { JournalBatcher } from './journal-batcher.ts';

export interface SegmentsOptions {
  context: TreeContext;
  /** Of the first one. */
  writer: JournalWriter;
  /** Runs operations one after another. */
  executor: Mutex;
  batcher: JournalBatcher;
  committer: Committer;
  alive: () => boolean;
}

export class Segments {
  writer: JournalWriter;
  private readonly options: SegmentsOptions;

  constructor(options: SegmentsOptions) {
    this.options = options;
    this.writer = options.writer;
  }

  /** The journal's ensemble follows the root register's members; a root of another epoch throws `conflict`. */
  async follow(): Promise<void> {
    const { context, committer } = this.options;
    const root = await context.root.read();
    checkOwn(root, committer.root.header.epoch, context.session);
    const { members, joint } = root.snapshot;
    if (!joint && !sameMembers(members, this.writer.segment.members)) await this.change(members);
  }

  /** Agrees on another access list, as `change` makes it; `check` throws when it is too late. */
  share(change: ChangeShares, check: () => void): Promise<void> {
    const { context, executor, committer } = this.options;
    return executor.run(async () => {
      check();
      await this.quiet();
      await committer.settle();
      const next = await nextShares(context, committer.root, change);
      if (next !== undefined) await this.goOn(await committer.share(next));
    });
  }

  /** Stops issuing, has all issued acknowledged, lists the next segment in the root, opens it (model runs B3, B5, Y7). */
  private async change(members: readonly Member[]): Promise<void> {
    const { executor, batcher, committer } = this.options;
    if (committer.root.header.segments.length >= limits.segmentsMax) await committer.commit(executor);
    await executor.run(async () => {
      await this.quiet();
      await this.goOn(await committer.addSegment(batcher.issued + 1, members));
    });
  }

  private async quiet(): Promise<void> {
    const { batcher } = this.options;
    batcher.flush();
    await batcher.wait(batcher.issued);
  }

  private async goOn(segment: JournalSegment): Promise<void> {
    const { context, committer, batcher, alive } = this.options;
    const writer = await persistently(context.runtime, alive, () =>
      context.store.journals.open(committer.root.snapshot, segment, context.user),
    );
    batcher.replaceWriter(writer);
    this.writer.close();
    this.writer = writer;
  }
}
