// The one writer of a silo's log: group commit without timers. What waits when the disk is idle is one flush; what arrives
// meanwhile is the next, laid out while the disk works as soon as it is much. Nothing shows in the index before it is durable.
// Laying out, applying and acknowledging a flush all go by turns of the event loop.

import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import { closedError, recordHeaderBytes } from '../entries.ts';
import { Fifo } from '../fifo.ts';
import { Turns, turnCosts } from '../turns.ts';
import {
  type Atom,
  applyFlush,
  type Change,
  endAtom,
  endFlush,
  type Flush,
  hasRoom,
  newFlush,
  pendingBytes,
  stageChange,
} from './flush.ts';
import { alignUp, pageBytes } from './format.ts';
import type { SiloState } from './state.ts';

export interface WriterOptions {
  state: SiloState;
  clock: Clock;
  /** Bytes of live values and headers the capacity allows. */
  usedBytesMax: number;
  /** Makes a segment free if it can; false when there is nothing to gain. */
  reclaim(): Promise<boolean>;
  /** Called when a flush is durable and applied. */
  flushed(): void;
  failed(error: InfinitError): void;
}

/** Zeroed room of the active segment that only deletions and compaction may take. */
const reservedBytes = 64 * 1024;

export class Writer {
  static readonly stagingBytes =
    alignUp(limits.siloValueBytesMax + limits.siloBatchEntriesMax * (recordHeaderBytes + limits.siloFilterBytesMax)) +
    pageBytes;
  private readonly options: WriterOptions;
  private readonly state: SiloState;
  private readonly changes = new Fifo<Atom>();
  private readonly moves = new Fifo<Atom>();
  private queuedBytes = 0;
  private queuedChanges = 0;
  private buffers: readonly Buffer[] = [];
  private running: Promise<void> | undefined;
  /** On its way to the disk, or durable and not all in the index yet. */
  private inFlight: Flush | undefined;
  /** What goes next, so far. */
  private built: Flush | undefined;
  private filling: Promise<void> | undefined;
  /** The callers of the last flush being answered. */
  private settling: Promise<void> | undefined;
  /** Called when enough waits for the disk not to stand idle until all are answered. */
  private enough: (() => void) | undefined;
  private reclaiming = false;
  /** The sequence at which reclaiming last failed: until something is deleted or replaced it would fail again. */
  private exhaustedAt = -1;
  private background: Promise<void> | undefined;
  private failure: InfinitError | undefined;
  private closed = false;
  private readonly waiters: (() => void)[] = [];
  // One for each of the two things that may be under way at once, lest one of them hold up the other.
  private readonly stagingTurns: Turns;
  private readonly outcomeTurns: Turns;

  constructor(options: WriterOptions) {
    this.options = options;
    this.state = options.state;
    this.stagingTurns = new Turns(options.clock);
    this.outcomeTurns = new Turns(options.clock);
  }

  /** Staging memory: two buffers, so that one can be filled while the other is written. */
  useBuffers(...buffers: [Buffer, Buffer]): void {
    this.buffers = buffers;
  }

  append(changes: readonly Change[]): Promise<void> {
    return this.enqueue(this.changes, changes);
  }

  move(changes: readonly Change[]): Promise<void> {
    return this.enqueue(this.moves, changes);
  }

  /** Refuses what comes, resolves when what was taken is done. */
  async close(): Promise<void> {
    this.closed = true;
    while (this.running !== undefined || this.reclaiming) await (this.running ?? this.idle());
    await this.settling;
    await this.background;
  }

  private idle(): Promise<void> {
    return new Promise((resolve) => this.waiters.push(resolve));
  }

  private enqueue(queue: Fifo<Atom>, changes: readonly Change[]): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    if (this.closed) return Promise.reject(closedError());
    if (changes.length === 0) return Promise.resolve();
    let bytes = 0;
    let grows = false;
    for (const { value, movedFrom } of changes) {
      bytes += recordHeaderBytes + (value?.length ?? 0);
      grows ||= value !== undefined && movedFrom === undefined;
    }
    if (this.queuedBytes + bytes > limits.siloQueueBytesMax || this.queuedChanges >= limits.siloQueueChangesMax) {
      return Promise.reject(new InfinitError('unavailable', 'too many changes wait for the disk'));
    }
    this.queuedBytes += bytes;
    this.queuedChanges++;
    return new Promise((resolve, reject) => {
      queue.push({ changes, bytes, grows, resolve, reject });
      if (this.running === undefined) this.kick();
      else if (this.inFlight !== undefined && this.fillsTurn()) this.fill();
      else if (this.enough !== undefined && this.holdsHalf()) this.enough();
    });
  }

  /** Whether enough waits to lay it out while the disk works. */
  private fillsTurn(): boolean {
    if (this.filling !== undefined || this.built?.full) return false;
    return this.changes.length >= limits.siloTurnRecordsMax || this.queuedBytes >= limits.siloTurnBytesMax;
  }

  /** Whether half a flush waits, laid out or not. */
  private holdsHalf(): boolean {
    const { built, changes, queuedBytes } = this;
    const records = changes.length + (built?.records.length ?? 0);
    const bytes = queuedBytes + (built?.length ?? 0);
    return records >= limits.siloBatchRecordsMax / 2 || bytes >= limits.siloBatchBytesMax / 2;
  }

  /** Starts writing in a microtask, so that all changes of this turn share the flush. */
  private kick(): void {
    this.running ??= Promise.resolve()
      .then(() => this.run())
      .catch((error) => this.fail(error))
      .finally(() => {
        this.running = undefined;
        if (this.failure === undefined && this.canProceed()) this.kick();
      });
  }

  private canProceed(): boolean {
    return this.moves.length > 0 || (this.changes.length > 0 && !this.reclaiming);
  }

  private async run(): Promise<void> {
    for (;;) {
      await this.filling;
      await this.fill();
      const flush = this.built;
      const blocked = flush?.full ? this.head() : undefined;
      this.built = undefined;
      if (this.failure !== undefined || flush === undefined) return;
      if (flush.atoms.length > 0) await this.write(flush);
      else if (blocked === undefined || !(await this.makeRoom(blocked))) return;
    }
  }

  /** What goes next: compaction first, because it frees what changes wait for. */
  private head(): Atom | undefined {
    return this.moves.first ?? (this.reclaiming ? undefined : this.changes.first);
  }

  /** Lays out what waits now; on its own while the disk works, for the last time when it is idle. */
  private fill(): Promise<void> {
    this.built ??= newFlush(this.state, this.buffers, this.inFlight);
    this.filling ??= this.stage(this.built)
      .catch((error) => this.fail(error))
      .finally(() => {
        this.filling = undefined;
      });
    return this.filling;
  }

  private async stage(flush: Flush): Promise<void> {
    const { state } = this;
    let atom: Atom | undefined;
    // What comes while this waits for a turn is for another call, or the disk would stand idle meanwhile.
    for (let left = this.moves.length + this.changes.length; left > 0 && (atom = this.head()) !== undefined; left--) {
      if (!hasRoom(flush, atom) || !this.fits(atom, flush.offset + flush.length)) {
        flush.full = true;
        return;
      }
      (this.moves.first === atom ? this.moves : this.changes).shift();
      this.queuedBytes -= atom.bytes;
      this.queuedChanges--;
      if (!this.admit(atom, flush)) continue;
      flush.atoms.push(atom);
      const last = atom.changes.at(-1);
      for (const change of atom.changes) {
        const turn = this.stagingTurns.take(turnCosts.staged, change.value?.length);
        if (turn !== undefined) await turn;
        if (this.failure !== undefined) return;
        stageChange(state, change, change === last, flush);
      }
      endAtom(state, flush);
    }
  }

  private fits(atom: Atom, position: number): boolean {
    if (atom.grows && this.state.spare < 1) return false;
    const end = alignUp(position + atom.bytes);
    return end + (atom.grows ? this.reserve() : 0) <= this.state.active.bytes;
  }

  private reserve(): number {
    return Math.min(reservedBytes, this.state.superblock.segmentBytes / 8);
  }

  /** Rejects what the capacity does not allow; counting a key twice within a batch errs on the safe side. */
  private admit(atom: Atom, flush: Flush): boolean {
    if (!atom.grows) return true;
    const { state } = this;
    let growth = 0;
    for (const change of atom.changes) {
      const after = change.value === undefined ? 0 : recordHeaderBytes + change.value.length;
      growth += after - pendingBytes(state, change, flush);
    }
    if (growth <= 0 || flush.usedBytes + growth <= this.options.usedBytesMax) return true;
    atom.reject(fullError(this.state.usedBytes, this.options.usedBytesMax));
    return false;
  }

  private async write(flush: Flush): Promise<void> {
    try {
      if (flush.length > 0) {
        endFlush(flush);
        this.inFlight = flush;
        await this.state.segments.write(flush.segment, flush.buffer.subarray(0, flush.length), flush.offset);
      }
      await this.settling;
      if (flush.length > 0) await applyFlush(this.state, flush, this.outcomeTurns);
      this.inFlight = undefined;
      this.lookAhead();
      this.options.flushed();
      this.settling = this.settle(flush.atoms);
      await this.settledOrEnough(this.settling);
    } catch (error) {
      this.fail(error, flush.atoms);
    }
  }

  /** Callers that are answered put again: the next flush is to have them all, unless they are many. */
  private async settledOrEnough(settling: Promise<void>): Promise<void> {
    if (this.holdsHalf()) return;
    const enough = new Promise<void>((resolve) => {
      this.enough = resolve;
    });
    await Promise.race([settling, enough]);
    this.enough = undefined;
  }

  /** Answers the callers in order, so many a turn: each goes on with work of its own. */
  private async settle(atoms: readonly Atom[], failure?: InfinitError): Promise<void> {
    for (const atom of atoms) {
      const turn = this.outcomeTurns.take(1);
      if (turn !== undefined) await turn;
      if (failure === undefined) atom.resolve();
      else atom.reject(failure);
    }
  }

  /** Zeroes ahead, and begins the next segment before this one is full. */
  private lookAhead(): void {
    if (this.background !== undefined || this.closed) return;
    const { state } = this;
    const { segments, active } = state;
    const target = segments.zeroTarget(state.offset);
    const nearEnd = state.offset > state.superblock.segmentBytes * 0.8 && state.next === undefined && state.spare >= 2;
    if (active.bytes >= target && !nearEnd) return;
    const work = async () => {
      await segments.zero(active, target);
      if (nearEnd) await this.beginNext();
    };
    // A full device is met again, and reported, by the change that needs the room.
    this.background = work()
      .catch((error) => (isError(error, 'full') ? undefined : this.fail(error)))
      .finally(() => {
        this.background = undefined;
      });
  }

  private async beginNext(): Promise<void> {
    const { state } = this;
    const segment = await state.segments.begin(state.active.serial + 1);
    state.next = segment;
    await state.segments.zero(segment, state.segments.zeroTarget(pageBytes));
  }

  /** Gets room for the atom, or rejects it. False when it must wait for reclaiming. */
  private async makeRoom(atom: Atom): Promise<boolean> {
    await this.background;
    const { state } = this;
    // A device that was full may not be any more: others use it too.
    await unlessFull(state.segments.checkDevice(atom.bytes));
    if (this.fits(atom, state.offset)) return true;
    if (pageBytes + alignUp(atom.bytes) + this.reserve() > state.superblock.segmentBytes) {
      return this.refuse(
        atom,
        new InfinitError('full', `${atom.bytes} bytes are too large for a silo of this capacity`),
      );
    }
    const spareNeeded = atom.grows ? 1 : 0;
    const end = alignUp(state.offset + atom.bytes) + (atom.grows ? this.reserve() : 0);
    const inPlace = end <= state.superblock.segmentBytes && state.spare >= spareNeeded;
    const target = atom.grows ? Math.max(end, state.segments.zeroTarget(state.offset)) : end;
    if (inPlace && (await unlessFull(state.segments.zero(state.active, target, !atom.grows)))) return true;
    if (state.spare >= spareNeeded + 1 && (await unlessFull(this.roll()))) return true;
    const hopeless = this.exhaustedAt === state.sequence || this.moves.first === atom || this.closed;
    if (hopeless) return this.refuse(atom, fullError(state.usedBytes, this.options.usedBytesMax));
    this.startReclaiming();
    return false;
  }

  private async roll(): Promise<void> {
    const { state } = this;
    if (state.next === undefined) await this.beginNext();
    if (state.next === undefined) return;
    const full = state.active;
    state.active = state.next;
    state.next = undefined;
    state.offset = pageBytes;
    await state.segments.seal(full);
    // The last segment was for deletions and compaction; before deletions use it up, compaction gets its turn.
    if (state.spare < 1) this.startReclaiming();
  }

  /** Changes wait until compaction has ended; its moves go on meanwhile. */
  private startReclaiming(): void {
    if (this.reclaiming || this.closed) return;
    this.reclaiming = true;
    this.options
      .reclaim()
      // Others may have taken what is left for checkpoints, too: then nothing is gained, and all that is here stays good.
      .catch((error) => (isError(error, 'full') ? false : this.fail(error)))
      .then((gained) => {
        if (gained === false) this.exhaustedAt = this.state.sequence;
      })
      .finally(() => {
        this.reclaiming = false;
        for (const resolve of this.waiters.splice(0)) resolve();
        this.kick();
      });
  }

  private refuse(atom: Atom, error: InfinitError): boolean {
    (this.moves.first === atom ? this.moves : this.changes).shift();
    this.queuedBytes -= atom.bytes;
    this.queuedChanges--;
    atom.reject(error);
    return true;
  }

  /** The device cannot be trusted with changes any more: none is taken until the silo is opened again. */
  private fail(error: unknown, inFlight: readonly Atom[] = []): void {
    const known = this.failure;
    const failure = known ?? deviceError(error);
    this.failure = failure;
    const waiting = [...inFlight, ...(this.built?.atoms ?? []), ...this.moves.takeAll(), ...this.changes.takeAll()];
    this.built = undefined;
    void this.settle(waiting, failure);
    if (known === undefined) this.options.failed(failure);
  }
}

function fullError(used: number, max: number): InfinitError {
  const limit = Number.isFinite(max) ? ` of ${max}` : '';
  return new InfinitError('full', `the silo is full: ${used}${limit} bytes are used`);
}

function deviceError(error: unknown): InfinitError {
  const message = error instanceof Error ? error.message : String(error);
  return new InfinitError('unavailable', `the silo takes no more changes: ${message}`, { cause: error });
}

/** False when the task ended for want of space. */
async function unlessFull(task: Promise<void>): Promise<boolean> {
  try {
    await task;
    return true;
  } catch (error) {
    if (isError(error, 'full')) return false;
    throw error;
  }
}
