// After a reader was left out (docs/protocols.md 4.11): what he could read takes new keys, then the old blocks go. Chunks put before
// are written anew by the packer of garbage collection, the base tree node by node; a garbage cycle sweeps the rest. How far it is
// stands in the root, so the next leader goes on with it; work done twice does no harm.

import { decode } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { CollectedTree } from './collected.ts';
import type { TreeContext } from './context.ts';
import { Census, type SparseChunk } from './garbage/census.ts';
import type { Garbage } from './garbage/garbage.ts';
import { Packer } from './garbage/packer.ts';
import { chunkCodings, chunkNumber, chunkRecord, spaceRange } from './keys.ts';
import type { MapReader, Tree } from './tree.ts';

const stepChunks = 1000;

export interface ResealingOptions {
  context: TreeContext;
  garbage: Pick<Garbage, 'ask' | 'status'>;
  /** The tree of the epoch this process leads. */
  leading: () => CollectedTree | undefined;
  io: Pick<Tree, 'readCells' | 'writeChunks'>;
}

/** One kind of background work (`store/worker.ts`). */
export class Resealing {
  readonly name = 'reseal';
  /** Since the start: chunks written anew, their bytes in use, whole passes over the base tree. */
  readonly counters = { chunks: 0, bytes: 0, trees: 0 };
  onWork: () => void = () => {};
  onStop: () => void = () => {};
  private readonly options: ResealingOptions;
  private course: { epoch: number; before: number; steps: AsyncGenerator<void, void, void> } | undefined;
  /** The generation for whose sweep a cycle was asked. */
  private asked: number | undefined;

  constructor(options: ResealingOptions) {
    this.options = options;
  }

  stop(): void {
    this.onWork = () => {};
    this.onStop();
  }

  /** A bounded piece; whether the next may follow at once. */
  async step(signal: AbortSignal): Promise<boolean> {
    const tree = this.options.leading();
    const reseal = tree?.root.body.reseal;
    if (tree === undefined || reseal === undefined) return this.give();
    if (reseal.sealedAt !== undefined) {
      await this.sweep(tree, reseal.sealedAt);
      return false;
    }
    if (this.course?.epoch !== tree.epoch || this.course.before !== reseal.before) this.give();
    this.course ??= { epoch: tree.epoch, before: reseal.before, steps: this.seal(tree, reseal.before, signal) };
    try {
      const { done } = await this.course.steps.next();
      if (done) this.course = undefined;
      return true;
    } catch (error) {
      this.give();
      throw error;
    }
  }

  private give(): false {
    void this.course?.steps.return().catch(() => {});
    this.course = undefined;
    return false;
  }

  private async *seal(tree: CollectedTree, before: number, signal: AbortSignal): AsyncGenerator<void, void, void> {
    const { context } = this.options;
    const uses = context.view.cells;
    for (;;) {
      const view = await tree.view();
      const old = new Map<number, SparseChunk>();
      for await (const _ of oldChunks(view, before, old, signal)) yield;
      if (old.size === 0) break;
      if (uses === undefined)
        throw new InfinitError('unsupported', 'this tree does not tell what its chunks are used for');
      const packer = new Packer({ tree, uses, io: this.options.io, sparse: old, signal });
      for await (const _ of packer.run(view)) yield;
      const census = new Census(await tree.view(), { signal });
      for await (const _ of census.take(uses, Math.min(...old.keys()))) yield;
      for await (const removed of census.removeUnused(tree)) {
        this.counters.chunks += removed;
        yield;
      }
      this.counters.bytes += packer.counters.bytes;
    }
    await tree.renew();
    this.counters.trees++;
    await tree.noteReseal({ before, sealedAt: tree.root.header.gcGeneration });
  }

  /** Once a later cycle has swept every node, nothing he could read is left. */
  private async sweep(tree: CollectedTree, sealedAt: number): Promise<void> {
    const { garbage } = this.options;
    const { last, state } = garbage.status();
    if (last !== undefined && last.generation > sealedAt && last.missed === 0) {
      await tree.noteReseal(undefined);
      return;
    }
    if (this.asked === sealedAt || state !== 'idle') return;
    this.asked = sealedAt;
    garbage.ask();
  }
}

/** Chunks put before that generation, into `found`, as many as are dealt with at once. */
async function* oldChunks(
  view: MapReader,
  before: number,
  found: Map<number, SparseChunk>,
  signal: AbortSignal,
): AsyncGenerator<void, void, void> {
  const { from, to } = spaceRange('chunk');
  let looked = 0;
  for await (const { key, value } of view.scan(from, to, { signal })) {
    const record = decode(chunkRecord, value);
    // Whatever it is used for: it stays in the table until it is counted that nothing names it.
    if (record.coding === chunkCodings.replicated && record.generation < before)
      found.set(chunkNumber(key), { record, used: Number.POSITIVE_INFINITY });
    if (found.size === limits.sparseChunksMax) return;
    if (++looked % stepChunks === 0) yield;
  }
}
