// Garbage cycles of an open tree, run while this process leads it (docs/protocols.md 5): counts what chunks are used for, packs
// what is sparse, commits, raises the generation, marks what is reached, waits for readers, hands nodes the filters and asks until
// they are done. How far it is stands in the tree: the next leader goes on from there. A cycle that fails costs nothing: the next one
// begins anew with the next generation.

import { type Bytes, concatBytes, u32Bytes } from '../../base/bytes.ts';
import { decode, encode, struct, u8, u32, u64 } from '../../base/codec.ts';
import { asError, InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel } from '../../runtime/runtime.ts';
import type { Capture, CollectedTree } from '../collected.ts';
import type { TreeContext } from '../context.ts';
import { spaceKey } from '../keys.ts';
import type { CollectionStatus } from '../messages.ts';
import type { Effect, Tree } from '../tree.ts';
import { Census } from './census.ts';
import { Checkpoint, type CheckpointParts } from './checkpoint.ts';
import { DeadBytes } from './dead-bytes.ts';
import { Handout } from './handout.ts';
import { Marks, markCapture } from './marks.ts';
import { Packer } from './packer.ts';

/** A commit's nodes take the place of others, and operations leave bytes of chunks unused: with so many a cycle is due before its time. */
const deadBytesDue = 512 * 1024 * 1024;
/** A new leader has other things to do first. */
const settlingMs = 60_000;

const cycleKey = spaceKey('garbage', Buffer.from([0]));
/** The cycle begun last, so that a new leader knows when the next is due. */
export const cycleRecord = struct({ format: u8, generation: u32, begunMs: u64 });

export interface GarbageOptions {
  context: TreeContext;
  /** The tree of the epoch this process leads. */
  leading: () => CollectedTree | undefined;
  io: Pick<Tree, 'readCells' | 'writeChunks'>;
  periodMs?: number | undefined;
  graceMs?: number | undefined;
  /** A cycle is due before its time when so many bytes are of no use any more. */
  deadBytesDue?: number | undefined;
  /** Marks of chunks after which a cycle keeps how far it is. */
  checkpointMarksMax?: number | undefined;
  /** For tests: stands between the tree and its collector. */
  through?: ((tree: CollectedTree) => CollectedTree) | undefined;
}

type Pace = 'more' | 'rest';

interface Cycle {
  epoch: number;
  resumed: boolean;
  steps: AsyncGenerator<Pace, void, void>;
}

/** One kind of background work (`store/worker.ts`). */
export class Garbage {
  readonly name = 'garbage';
  /** `looked`: chunks looked at while marking; `resumed`: cycles of earlier leaders gone on with. */
  readonly counters = {
    ...{ cycles: 0, resumed: 0, failed: 0 },
    ...{ chunks: 0, packedBytes: 0, looked: 0, marked: 0, blocks: 0, bytes: 0 },
  };
  /** Called when there is something to do. */
  onWork: () => void = () => {};
  onStop: () => void = () => {};
  private readonly options: GarbageOptions;
  private cycle: Cycle | undefined;
  private state: CollectionStatus['state'] = 'idle';
  private generation = 0;
  private graceUntil = 0;
  private asked: { graceMs: number } | undefined;
  private last: CollectionStatus['last'];
  private lastError: string | undefined;
  private begun: { epoch: number; atMs: number; knownMs: number | undefined } | undefined;
  /** Of an earlier leader, to go on with. */
  private unfinished: Checkpoint | undefined;
  private nodeBytes = 0;
  private readonly dead = new DeadBytes();
  private nextCensus = 0;
  private cancelRest: Cancel = () => {};

  constructor(options: GarbageOptions) {
    this.options = options;
  }

  /** A cycle as soon as may be; one that runs and waits for readers waits no longer than that. */
  ask(graceMs: number = this.graceMs): void {
    const { clock } = this.options.context.runtime;
    if (this.state === 'waiting') this.graceUntil = Math.min(this.graceUntil, clock.monotonic() + graceMs);
    else this.asked = { graceMs };
    this.onWork();
  }

  status(): CollectionStatus {
    const leftMs = this.graceUntil - this.options.context.runtime.clock.monotonic();
    return {
      state: this.state,
      generation: this.generation,
      waitMs: this.state === 'waiting' ? Math.max(0, Math.ceil(leftMs)) : 0,
      asked: this.asked !== undefined,
      last: this.last,
      lastError: this.lastError?.slice(0, 512),
    };
  }

  /** What operations of the epoch this process leads have changed. */
  see(effects: readonly Effect[]): void {
    this.dead.see(effects);
  }

  stop(): void {
    this.cancelRest();
    this.onWork = () => {};
    this.onStop();
  }

  /** A bounded piece of the cycle that runs, or is due; whether the next piece may follow at once. */
  async step(signal: AbortSignal): Promise<boolean> {
    const leading = this.options.leading();
    const tree = leading && (this.options.through?.(leading) ?? leading);
    if (this.cycle !== undefined && this.cycle.epoch !== tree?.epoch)
      this.abandon(new InfinitError('unavailable', 'the leadership in which the cycle began is over'));
    if (tree === undefined) return false;
    try {
      this.cycle ??= await this.begin(tree, signal);
      if (this.cycle === undefined) return false;
      const { done, value } = await this.cycle.steps.next();
      if (done) this.finish();
      return value === 'more';
    } catch (error) {
      this.abandon(asError(error));
      throw error;
    }
  }

  private get graceMs(): number {
    return this.options.graceMs ?? limits.readerGraceMs;
  }

  private async begin(tree: CollectedTree, signal: AbortSignal): Promise<Cycle | undefined> {
    const { asked } = this;
    await this.settle(tree);
    if (asked === undefined && !this.isDue()) return undefined;
    const { unfinished } = this;
    this.asked = undefined;
    this.unfinished = undefined;
    this.lastError = undefined;
    this.counters.cycles++;
    if (unfinished !== undefined) this.counters.resumed++;
    const graceMs = asked?.graceMs ?? this.graceMs;
    const resumed = unfinished !== undefined;
    return { epoch: tree.epoch, resumed, steps: this.steps(tree, { graceMs, unfinished, signal }) };
  }

  /** What earlier leaders have left. */
  private async settle(tree: CollectedTree): Promise<void> {
    if (this.begun?.epoch === tree.epoch) return;
    const view = await tree.view();
    const record = await view.get(cycleKey);
    const known = record && decode(cycleRecord, record).begunMs;
    const kept = await Checkpoint.load(this.parts, view);
    const generation = this.options.context.root.latest?.header.gcGeneration;
    this.unfinished = kept?.generation === generation ? kept : undefined;
    // One that came to nothing before its generation stood in the root is due again at once.
    const isDue = kept !== undefined && this.unfinished === undefined;
    const atMs = this.options.context.runtime.clock.monotonic();
    this.begun = { epoch: tree.epoch, atMs, knownMs: isDue ? 0 : known };
  }

  private get parts(): CheckpointParts {
    return { io: this.options.io, marksMax: this.options.checkpointMarksMax };
  }

  private isDue(): boolean {
    const { clock } = this.options.context.runtime;
    const now = clock.monotonic();
    if (this.begun === undefined || now - this.begun.atMs < settlingMs) return false;
    const nodes = this.options.context.nodes.counters.bytesWritten - this.nodeBytes;
    const isMuch = nodes + this.dead.bytes >= (this.options.deadBytesDue ?? deadBytesDue);
    if (this.unfinished !== undefined || isMuch) return true;
    // Wall time may jump: then a cycle comes early or late.
    const { atMs, knownMs } = this.begun;
    const sinceMs = knownMs === undefined ? now - atMs : clock.now() - knownMs;
    return sinceMs >= (this.options.periodMs ?? limits.garbagePeriodMs);
  }

  private async *steps(
    tree: CollectedTree,
    { graceMs, unfinished, signal }: { graceMs: number; unfinished: Checkpoint | undefined; signal: AbortSignal },
  ): AsyncGenerator<Pace, void, void> {
    const { context } = this.options;
    const { clock } = context.runtime;
    this.nodeBytes = context.nodes.counters.bytesWritten;
    this.dead.forget();
    let checkpoint = unfinished;
    if (checkpoint === undefined) {
      this.state = 'tidying';
      yield* this.tidy(tree, signal);
      checkpoint = await this.note(tree, graceMs);
      await tree.commit();
      yield 'more';
    }
    this.state = 'marking';
    const capture = await tree.capture(unfinished?.generation);
    this.generation = capture.generation;
    const leftMs = unfinished === undefined ? graceMs : Math.max(0, checkpoint.graceUntilMs - clock.now());
    this.graceUntil = clock.monotonic() + Math.min(graceMs, leftMs);
    const handout = new Handout(context, capture.generation, { signal, resumed: unfinished !== undefined });
    for (let first = checkpoint.first; first < 2 ** 32; ) {
      this.state = 'marking';
      const marks = new Marks(first);
      yield* this.mark(tree, { capture, marks, checkpoint, signal });
      const arcs = [];
      for (const arc of marks.arcs(saltOf(context.treeId, capture.generation))) {
        arcs.push(arc);
        yield 'more';
      }
      first = marks.last + 1;
      this.state = 'waiting';
      for (;;) {
        const leftMs = this.graceUntil - clock.monotonic();
        if (leftMs <= 0) break;
        yield this.rest(leftMs);
      }
      this.state = 'sweeping';
      for await (const waitMs of handout.hand(arcs)) yield waitMs === 0 ? 'more' : this.rest(waitMs);
      if (first < 2 ** 32) await checkpoint.window(tree, first);
    }
    await checkpoint.end(tree);
    const { outcome } = handout;
    this.counters.blocks += outcome.blocks;
    this.counters.bytes += outcome.bytes;
    this.last = { generation: capture.generation, endedMs: clock.now(), ...outcome };
  }

  /** All the capture reaches; chunks from where an earlier leader was. */
  private async *mark(
    tree: CollectedTree,
    {
      capture,
      marks,
      checkpoint,
      signal,
    }: { capture: Capture; marks: Marks; checkpoint: Checkpoint; signal: AbortSignal },
  ): AsyncGenerator<Pace, void, void> {
    const { context, checkpointMarksMax: step } = this.options;
    await checkpoint.restore(capture.view, marks, { signal });
    const marked = (chunk: Bytes) => {
      this.counters.looked++;
      checkpoint.marked(chunk);
    };
    const options = { from: checkpoint.next, marked, step, signal };
    for await (const next of markCapture(capture, context.nodes, marks, options)) {
      if (next !== undefined) await checkpoint.reached(tree, next, { signal });
      yield 'more';
    }
    this.counters.marked += marks.count;
  }

  /** Chunks nothing names leave the table, sparse ones are written anew. */
  private async *tidy(tree: CollectedTree, signal: AbortSignal): AsyncGenerator<Pace, void, void> {
    const { context, io } = this.options;
    const uses = context.view.cells;
    if (uses === undefined) return;
    const view = await tree.view();
    const census = new Census(view, { signal });
    for await (const _ of census.take(uses, this.nextCensus)) yield 'more';
    this.nextCensus = census.next ?? 0;
    for await (const removed of census.removeUnused(tree)) {
      this.counters.chunks += removed;
      yield 'more';
    }
    const packer = new Packer({ tree, uses, io, sparse: await census.sparse(), signal });
    for await (const _ of packer.run(view)) yield 'more';
    this.counters.chunks += packer.counters.chunks;
    this.counters.packedBytes += packer.counters.bytes;
  }

  private async note(tree: CollectedTree, graceMs: number): Promise<Checkpoint> {
    const begunMs = this.options.context.runtime.clock.now();
    const generation = (this.options.context.root.latest?.header.gcGeneration ?? 0) + 1;
    await tree.change(async (transaction) => {
      transaction.put(cycleKey, encode(cycleRecord, { format: 1, generation, begunMs }));
    });
    if (this.begun !== undefined) this.begun.knownMs = begunMs;
    const checkpoint = new Checkpoint(this.parts, generation, begunMs + graceMs);
    await checkpoint.begin(tree);
    return checkpoint;
  }

  /** Nothing to do for a while, unless it is asked for. */
  private rest(timeMs: number): Pace {
    this.cancelRest();
    this.cancelRest = this.options.context.runtime.clock.after(Math.min(timeMs, 60_000), () => this.onWork());
    return 'rest';
  }

  private finish(): void {
    this.cycle = undefined;
    this.state = 'idle';
  }

  private abandon(error: InfinitError): void {
    if (this.cycle !== undefined) {
      this.counters.failed++;
      this.lastError = error.message;
      // What passes is gone on with, after a while; what an earlier leader left and nobody can read is begun anew.
      if (error.kind === 'unavailable') this.begun = undefined;
      else if (this.cycle.resumed && this.begun !== undefined) this.begun.knownMs = 0;
      void this.cycle.steps.return().catch(() => {});
    }
    this.finish();
  }
}

function saltOf(treeId: Bytes, generation: number): Buffer {
  return concatBytes([treeId, u32Bytes(generation)]);
}
