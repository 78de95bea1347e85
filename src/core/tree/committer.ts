// Commits beside the leader's operations (docs/protocols.md 4.4): freezes the memtable, moves waiting data into packs, merges
// into the base, writes the root once by compare-and-set. Also holds the layers that operations read, and the newest root.

import type { Bytes } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { Mutex } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Member, sameMembers } from '../block/address.ts';
import type { JournalSegment, NewAccess, RootHeader } from '../consensus/consensus.ts';
import { BaseTree, type TreeRoot } from './base/base-tree.ts';
import { LayeredReader } from './base/layered-reader.ts';
import { checkOwn, persistently, type Root, type RootChange, type TreeContext, writeOwn } from './context.ts';
import type { JournalBatcher } from './journal-batcher.ts';
import { Memtable } from './memtable.ts';
import type { Change } from './messages.ts';
import { dropCells, type Packed, packPending } from './packing.ts';
import { isDestroyed, putQuorum, type Reseal } from './root.ts';
import type { Transaction } from './tree.ts';

const commitBytes = 64 * 1024 * 1024;
const commitAgeMs = 5 * 60 * 1000;
const commitIdleMs = 30_000;
const retryMs = 5000;
/** One memtable fills while another is committed. */
const memtableBytesMax = limits.memtableBytesMax / 2;
/** An operation's effects fit when this is left. */
const roomBytes = 2 * limits.journalBatchBytesMax;

/** What the owner shares the tree by from here on. */
export interface NewShares {
  access: NewAccess;
  secret: Bytes;
  isNewSecret: boolean;
  note: Bytes | undefined;
  /** Version of the list it was made from. */
  after: number;
}

interface Frozen {
  memtable: Memtable;
  /** Everything up to this sequence. */
  through: number;
  bytes: number;
  /** Kept when the root could not be written, so that nothing is stored twice. */
  packed?: Packed | undefined;
  merged?: TreeRoot | undefined;
  /** What was put for it has at least this garbage generation. */
  generation: number;
}

export interface CommitterOptions {
  context: TreeContext;
  start: { root: Root; base: BaseTree };
  batcher: JournalBatcher;
  alive: () => boolean;
  onCommitted(root: Root): void;
  onDeposed(error: InfinitError): void;
  /** Executes and journals a change of the leader's own. */
  internal(task: (transaction: Transaction) => Promise<void>): Promise<void>;
}

export class Committer {
  base: BaseTree;
  private readonly options: CommitterOptions;
  private readonly epoch: number;
  private readonly rootLock = new Mutex();
  private newest: Root;
  private active = new Memtable({ bytesMax: memtableBytesMax });
  private activeBytes = 0;
  private frozen: Frozen | undefined;
  private publishing: Promise<void> | undefined;
  private dirtySince: number | undefined;
  private view: { sequence: number; base: BaseTree; reader: LayeredReader } | undefined;
  private changedAt = 0;
  private retryAt = 0;

  constructor(options: CommitterOptions) {
    this.options = options;
    this.base = options.start.base;
    this.newest = options.start.root;
    this.epoch = options.start.root.header.epoch;
  }

  /** The newest chosen root of this epoch. */
  get root(): Root {
    return this.newest;
  }
  get putQuorum(): number {
    return putQuorum(this.newest.snapshot);
  }
  get memtableBytes(): number {
    return this.active.bytes + (this.frozen?.memtable.bytes ?? 0);
  }
  /** About what the journal holds above the root. */
  get journalBytes(): number {
    return this.activeBytes + (this.frozen?.bytes ?? 0);
  }

  /** All layers as they are now; later changes show through. */
  reader(): LayeredReader {
    return new LayeredReader(this.frozen ? [this.active, this.frozen.memtable] : [this.active], this.base);
  }

  /** The same at one moment, after the change with that sequence. */
  snapshot(sequence: number): LayeredReader {
    const { base } = this;
    if (this.view?.sequence !== sequence || this.view.base !== base)
      this.view = { sequence, base, reader: this.reader().snapshot() };
    return this.view.reader;
  }

  apply(change: Change, bytes: number): void {
    this.active.apply(change.effects);
    this.activeBytes += bytes;
    this.changedAt = this.options.context.runtime.clock.monotonic();
    this.dirtySince ??= this.changedAt;
  }

  /** Back-pressure: returns when another operation fits. Called between operations. */
  async room(): Promise<void> {
    const { batcher, context, alive } = this.options;
    while (batcher.unappendedBytes > limits.unappendedBytesMax) await batcher.wait(batcher.issued);
    while (this.active.bytes + roomBytes > memtableBytesMax || this.journalBytes > limits.journalBytesMax) {
      if (this.frozen === undefined) this.freeze();
      await persistently(context.runtime, alive, () => this.publish());
    }
  }

  /** A commit should begin now, so that nobody has to wait for room. */
  get filling(): boolean {
    if (this.frozen !== undefined) return false;
    return this.active.bytes > memtableBytesMax / 2 || this.activeBytes > commitBytes;
  }

  /** 64 MiB of journal, five minutes, or thirty seconds of rest with something dirty. */
  due(now: number): boolean {
    if (now < this.retryAt) return false;
    if (this.frozen !== undefined && this.publishing === undefined) return true;
    if (this.filling) return true;
    // Members of a segment that was left hold records nobody else may have: not for longer than it takes to commit.
    if (this.newest.header.segments.length > 1) return true;
    return (
      this.dirtySince !== undefined && (now - this.dirtySince > commitAgeMs || now - this.changedAt > commitIdleMs)
    );
  }

  /** Resolves when everything executed before is in the chosen root. */
  async commit(executor: Mutex): Promise<void> {
    const wanted = this.options.batcher.issued;
    while (this.newest.header.applied < wanted) {
      if (!this.options.alive()) throw new InfinitError('unavailable', 'the leader has stopped');
      if (this.frozen === undefined) await executor.run(() => this.freeze());
      await this.publish();
    }
  }

  /** The last commit of a leadership, between operations: nothing stays outside the root. */
  async finish(): Promise<void> {
    if (this.frozen !== undefined) await this.publish();
    this.freeze();
    this.publishing = this.merge(true);
    await this.publishing;
  }

  /** The same between operations of a leadership that goes on. */
  async settle(): Promise<void> {
    if (this.frozen !== undefined) await this.publish();
    this.freeze();
    await this.publish();
  }

  /**
   * Another access list stands in the root when it resolves, with a segment of its own: members of the journal learn of it when
   * that is opened. Between operations, after `settle`. Throws `unavailable` when the list is not the one `next` was made from.
   */
  async share(next: NewShares): Promise<JournalSegment> {
    const change: RootChange = ({ snapshot, header, body }) => {
      if (snapshot.access.version !== next.after)
        throw new InfinitError('unavailable', 'another device of the owner shares the tree');
      const id = body.nextSegment;
      const segment = { id, epoch: this.epoch, start: header.applied + 1, members: [...snapshot.members] };
      const gcGeneration = header.gcGeneration + (next.isNewSecret ? 1 : 0);
      const reseal = next.isNewSecret ? { before: gcGeneration, sealedAt: undefined } : body.reseal;
      return {
        header: { ...header, segments: [segment], gcGeneration },
        body: { ...body, nextSegment: id + 1, note: next.note, reseal },
      };
    };
    const { access, secret } = next;
    const { root } = this.options.context;
    const written = await this.update(change, (checked) =>
      root.share((current) => ({ ...checked(current), access, secret })),
    );
    return lastSegment(written);
  }

  /** Every node of the base takes a new key; all executed before is in the chosen root when it resolves. */
  async renew(executor: Mutex): Promise<void> {
    await this.commit(executor);
    await this.publishing?.catch(() => {});
    this.publishing = this.rewrite().finally(() => {
      this.publishing = undefined;
    });
    await this.publishing;
  }

  /** What of sealing anew is still to do, as agreed from here on. */
  async noteReseal(reseal: Reseal | undefined): Promise<void> {
    await this.update(({ header, body }) => ({ header, body: { ...body, reseal } }));
  }

  private async rewrite(): Promise<void> {
    const generation = this.generation;
    const { root, height } = await this.base.merge([], { fresh: true });
    const written = await this.update(({ header, body }) => {
      checkGeneration(header, generation);
      return { header, body: { ...body, root, height } };
    });
    this.base = new BaseTree(this.options.context.nodes, { root, height });
    this.options.onCommitted(written);
  }

  /** Lists a new segment in the root, whatever it takes: until its fate is known nothing may be appended. */
  async addSegment(start: number, members: readonly Member[]): Promise<JournalSegment> {
    const root = await persistently(this.options.context.runtime, this.options.alive, () =>
      this.update(({ header, body }) => {
        const last = header.segments.at(-1);
        if (last?.start === start && sameMembers(last.members, members)) return { header, body };
        const segment = { id: body.nextSegment, epoch: this.epoch, start, members: [...members] };
        // One that starts at the same place holds nothing: all issued is acknowledged, and it would be the first of it.
        const before = needed(header.segments, header.applied).filter((one) => one.start !== start);
        const segments = [...before, segment];
        return {
          header: { ...header, segments: needed(segments, header.applied) },
          body: { ...body, nextSegment: body.nextSegment + 1 },
        };
      }),
    );
    return lastSegment(root);
  }

  /**
   * The next garbage generation stands in the root when it resolves. What is committed before it was put before it. `again`: that one
   * stands there since an earlier epoch; throws `unavailable` when another does.
   */
  async raiseGeneration(again?: number): Promise<Root> {
    // One that is under way would have to be written again.
    await this.publishing?.catch(() => {});
    const here = this.newest.header.gcGeneration;
    if (again !== undefined && here !== again)
      throw new InfinitError('unavailable', `the root has garbage generation ${here}, not ${again}`);
    const by = again === undefined ? 1 : 0;
    return this.update(({ header, body }) => ({ header: { ...header, gcGeneration: header.gcGeneration + by }, body }));
  }

  private freeze(): void {
    if (this.frozen !== undefined || this.active.isEmpty) return;
    const { issued: through } = this.options.batcher;
    this.frozen = { memtable: this.active.freeze(), through, bytes: this.activeBytes, generation: this.generation };
    this.active = new Memtable({ bytesMax: memtableBytesMax });
    this.activeBytes = 0;
    this.dirtySince = undefined;
  }

  /** The garbage generation that puts carry now: that of the newest root seen. */
  private get generation(): number {
    return (this.options.context.root.latest ?? this.newest).header.gcGeneration;
  }

  private publish(): Promise<void> {
    this.publishing ??= this.merge(false).finally(() => {
      this.publishing = undefined;
    });
    return this.publishing;
  }

  private async merge(last: boolean): Promise<void> {
    const { frozen } = this;
    const { context, batcher } = this.options;
    if (frozen === undefined && !last) return;
    try {
      if (frozen !== undefined) {
        if (frozen.generation < this.generation) {
          // What was put before may be swept: it is written anew (docs/protocols.md 5).
          frozen.packed = undefined;
          frozen.merged = undefined;
          frozen.generation = this.generation;
        }
        frozen.packed ??= await packPending(context, frozen.memtable, this.newest.body.nextPack);
        frozen.merged ??= await this.base.merge(frozen.packed.effects);
      }
      const grown = {
        root: frozen?.merged?.root,
        height: frozen?.merged?.height ?? 0,
        nextPack: this.newest.body.nextPack + (frozen?.packed?.packs ?? 0),
      };
      const through = frozen?.through ?? this.newest.header.applied;
      const root = await this.update(({ header, body }) => {
        if (frozen !== undefined) checkGeneration(header, frozen.generation);
        return {
          header: last
            ? { ...header, applied: through, state: 'idle', leader: undefined, segments: [] }
            : { ...header, applied: through, segments: needed(header.segments, through) },
          body: frozen === undefined ? body : { ...body, ...grown },
        };
      });
      if (frozen?.merged) this.base = new BaseTree(context.nodes, frozen.merged);
      this.frozen = undefined;
      batcher.committed(through);
      this.options.onCommitted(root);
      if (frozen?.packed && !last) this.correct(frozen.packed);
    } catch (error) {
      this.retryAt = context.runtime.clock.monotonic() + retryMs;
      throw error;
    }
  }

  /** Cells whose record was replaced while the commit ran are dead already. */
  private correct(packed: Packed): void {
    const dead = packed.moved.filter(({ key }) => this.active.get(key) !== undefined).map(({ cell }) => cell);
    if (dead.length === 0 || !this.options.alive()) return;
    // Live bytes are a hint for the garbage worker: a correction may be lost.
    this.options.internal((transaction) => dropCells(dead, transaction)).catch(() => {});
  }

  private update(change: RootChange, write?: (change: RootChange) => Promise<Root>): Promise<Root> {
    const { context } = this.options;
    return this.rootLock.run(async () => {
      try {
        const checked: RootChange = (root) => {
          checkOwn(root, this.epoch, context.session);
          return change(root);
        };
        this.newest = await writeOwn(context, this.epoch, checked, write);
        return this.newest;
      } catch (error) {
        if (isError(error, 'conflict') || isDestroyed(error)) this.options.onDeposed(asError(error));
        throw error;
      }
    });
  }
}

function lastSegment({ header }: Root): JournalSegment {
  const segment = header.segments.at(-1);
  if (segment === undefined) throw new InfinitError('internal', 'a root without segments was chosen');
  return segment;
}

/** Throws `unavailable` when blocks of that generation may be swept under the root: what names them is not to be recorded. */
export function checkGeneration({ gcGeneration }: RootHeader, generation: number): void {
  if (gcGeneration > generation)
    throw new InfinitError('unavailable', 'the garbage generation has risen: what was put for the commit is put again');
}

/** The segments that may hold records above `applied`; the last one always. */
export function needed(segments: readonly JournalSegment[], applied: number): JournalSegment[] {
  return segments.filter((_, i) => {
    const next = segments[i + 1];
    return next === undefined || applied < next.start - 1;
  });
}
