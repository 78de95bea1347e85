// The tree as a collector of garbage deals with it (docs/protocols.md 5). The order in `capture` is what makes sweeps safe: the
// generation is chosen, then the roots are taken between two operations, then all they show is acknowledged.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import type { Mutex } from '../base/lifecycle.ts';
import type { Blocks } from '../store/store.ts';
import type { LayeredReader } from './base/layered-reader.ts';
import type { Committer } from './committer.ts';
import type { Root } from './context.ts';
import type { JournalBatcher } from './journal-batcher.ts';
import type { Reseal, RootBody } from './root.ts';
import type { Transaction } from './tree.ts';

/** Nothing that these reach may be swept under that generation: the chosen root, and what has happened since. */
export interface Capture {
  generation: number;
  body: RootBody;
  view: LayeredReader;
}

/** What an operation newly names, with the generation it was put in. */
export interface PutChunk {
  address: Bytes;
  generation: number;
}

type Change = (task: (transaction: Transaction) => Promise<void>, chunks?: readonly PutChunk[]) => Promise<void>;

/** One epoch of the tree. */
export interface CollectedTree {
  readonly epoch: number;
  /** Everything executed before is in the chosen root when it resolves. */
  commit(): Promise<void>;
  /** What operations so far have come to, with none half done. */
  view(): Promise<LayeredReader>;
  /** A change of the leader's own, acknowledged when it resolves; `chunks`: what it newly names. Throws `lost` as operations do. */
  readonly change: Change;
  /**
   * Raises the generation in the root, then takes what is to be kept. With a generation: that one stands in the root already, and a
   * cycle goes on; throws `unavailable` when another does.
   */
  capture(generation?: number): Promise<Capture>;
  /** The newest root of this epoch. */
  readonly root: Root;
  /** Commits, then writes every node of the base anew, under a key of its own. */
  renew(): Promise<void>;
  /** Says in the root what is still to be sealed anew. */
  noteReseal(reseal: Reseal | undefined): Promise<void>;
}

export interface CollectedTreeParts {
  epoch: number;
  committer: Committer;
  batcher: JournalBatcher;
  /** Runs operations one after another. */
  executor: Mutex;
}

/** `checkServing` throws once the leadership is over. */
export function collectedTree(parts: CollectedTreeParts, change: Change, checkServing: () => void): CollectedTree {
  const { epoch, committer, batcher, executor } = parts;
  const take = () =>
    executor.run(() => {
      checkServing();
      return { view: committer.reader().snapshot(), through: batcher.issued };
    });
  return {
    epoch,
    commit: () => committer.commit(executor),
    change,
    view: async () => (await take()).view,
    get root() {
      return committer.root;
    },
    renew: () => committer.renew(executor),
    noteReseal: (reseal) => committer.noteReseal(reseal),
    async capture(generation) {
      checkServing();
      const { header, body } = await committer.raiseGeneration(generation);
      const { view, through } = await take();
      // What an operation took away and a crash brings back is not garbage.
      await batcher.wait(through);
      checkServing();
      return { generation: header.gcGeneration, body, view };
    },
  };
}

/** Throws `lost` for a chunk that a sweep may have taken since it was put: no reference to it is to be recorded (W1). */
export async function touchOld(
  blocks: Pick<Blocks, 'touch'>,
  chunks: readonly PutChunk[],
  { root, putQuorum: quorum }: Pick<Committer, 'root' | 'putQuorum'>,
): Promise<void> {
  const { gcGeneration: generation } = root.header;
  const old = chunks.filter((chunk) => chunk.generation < generation).map(({ address }) => address);
  if (old.length === 0) return;
  const kept = await blocks.touch(old, { generation, quorum });
  if (kept.includes(false)) throw new InfinitError('lost', 'a chunk is gone: write it again');
}
