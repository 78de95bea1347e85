// Brings dirty data into the tree. A file's data leaves when there is a chunk's worth of it, a second after its first byte, when
// somebody asks, and when too much is dirty at all. What is asked for and small rides in the operation; everything else is
// sealed into chunks first. Data of one file arrives in the order it left; puts of several files and chunks go side by side.

import type { Bytes } from '../../base/bytes.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, abortable } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import type { Tree } from '../../tree/tree.ts';
import type { Piece } from './dirty.ts';
import type { FileState, FileStates, Flight } from './file-state.ts';
import { type FileTime, reasonOf } from './files.ts';
import { Group } from './flush-group.ts';
import { cutFlights, flightOf, halves, placedOperation, type WriteOperation } from './placing.ts';
import { Recorder } from './recorder.ts';
import { Room } from './room.ts';

const ageMs = 1000;
/** Files whose data is nearly as old leave together with the oldest. */
const agedMs = 800;
/** Of what may be dirty, so much may wait for its turn to be sent. */
const unsentShare = 1 / 4;
const groupBytesMax = 4 * 1024 * 1024;
const groupPiecesMax = 1000;
const groupFilesMax = 512;
/** What is asked for and has at most so many bytes and pieces rides in the operation. */
const rideBytesMax = limits.cellBytesMax;
const ridePiecesMax = 128;
const rideTogetherBytesMax = 256 * 1024;
const pauseMinMs = 100;
const pauseMaxMs = 5000;
const retryMs = 5 * 60 * 1000;
const patienceMs = 30_000;

type Taken = Omit<Flight, 'bytes'>;

export interface FlusherOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  tree: Tree;
  states: FileStates;
  /** What was appended to the file is not where its readers here were told. */
  onShifted: (inode: number) => void;
  /** A chunk's worth of one file leaves at once. */
  chunkBytes?: number | undefined;
  dirtyBytesMax?: number | undefined;
  /** For how long data is kept and tried again while no leader can be had. */
  retryMs?: number | undefined;
  /** Who waits for data hears that it cannot arrive now, once he has waited so long. */
  patienceMs?: number | undefined;
}

export class Flusher {
  /** How much data is here, sent or not. */
  readonly room: Room;
  private readonly options: FlusherOptions;
  private readonly recorder: Recorder;
  private readonly chunkBytes: number;
  private readonly retryMs: number;
  private readonly patienceMs: number;
  private readonly dirty = new Set<FileState>();
  private readonly groups = new Set<Group>();
  private readonly stopped = new AbortController();
  private readonly unsentBytesMax: number;
  private sentBytes = 0;
  private timer: Cancel | undefined;

  constructor(options: FlusherOptions) {
    this.options = options;
    const bytesMax = options.dirtyBytesMax ?? limits.dirtyBytesMax;
    this.room = new Room(bytesMax);
    this.unsentBytesMax = bytesMax * unsentShare;
    this.chunkBytes = options.chunkBytes ?? limits.packBytesMax;
    this.retryMs = options.retryMs ?? retryMs;
    this.patienceMs = options.patienceMs ?? patienceMs;
    const { tree, runtime, onShifted } = options;
    const shifted = (state: FileState) => {
      state.share(runtime.clock.monotonic());
      onShifted(state.inode);
    };
    this.recorder = new Recorder({ tree, onShifted: shifted });
  }

  /** Counts arrivals of data, see `arrivedSince`. */
  get arrivals(): number {
    return this.recorder.arrivals;
  }
  /** Whether data of the file may have arrived after that count: an answer asked for then may lack it. */
  arrivedSince(inode: number, arrivals: number): boolean {
    return this.recorder.arrivedSince(inode, arrivals);
  }

  /** Takes data over; waits while too much is dirty. `append`: the offset is a guess. Throws `cancelled`. */
  async write(
    state: FileState,
    asked: { offset: number; data: Bytes; append: boolean; now: () => FileTime },
    options: Abortable,
  ): Promise<void> {
    const { data, append, now } = asked;
    if (this.stopped.signal.aborted) throw new InfinitError('unavailable', 'the files are closed');
    if (!this.room.tryTake(data.length)) {
      // What is under way makes room by itself.
      if (this.sentBytes === 0) this.sendAll();
      await this.room.take(data.length, options);
    }
    while (!state.dirty.isEmpty && state.appending !== append) {
      if (state.exclusive === undefined) this.send([state], false);
      else await abortable(state.exclusive, options).catch((error: unknown) => this.refused(data, error));
    }
    state.appending = append;
    const offset = append ? likelyEnd(state, asked.offset) : asked.offset;
    const guard = this.options.tree.locks.guardOf(state.inode);
    if (state.dirty.isEmpty) {
      state.dirtySinceMs = this.options.runtime.clock.monotonic();
      state.guard = guard;
    } else state.guard = guard ?? state.guard;
    const more = state.dirty.add(offset, data);
    if (more < data.length) this.room.give(data.length - more);
    state.modified = now();
    this.dirty.add(state);
    this.schedule();
    if (state.exclusive !== undefined) return;
    if (state.dirty.bytes >= this.chunkBytes) this.sendChunks(state, offset + data.length);
    else if (this.room.used - this.sentBytes > this.unsentBytesMax) this.sendAll();
  }

  private refused(data: Bytes, error: unknown): never {
    this.room.give(data.length);
    throw error;
  }

  /** All data of the file is in the tree. Throws why not; what became of data before, once. */
  async flush(state: FileState, options: Abortable = {}): Promise<void> {
    while (state.exclusive !== undefined) await abortable(state.exclusive, options);
    this.send([state], true);
    await this.settled(state, options);
    const error = state.takeError();
    this.options.states.settle(state);
    if (error !== undefined) throw error;
  }

  /** The same for all files; throws the first error. */
  async flushAll(options: Abortable = {}): Promise<void> {
    const free = [...this.dirty].filter((state) => state.exclusive === undefined);
    const bytes = free.reduce((sum, state) => sum + state.dirty.bytes, 0);
    this.send(free, bytes <= rideTogetherBytesMax);
    const flushed = await Promise.allSettled(this.options.states.all.map((state) => this.flush(state, options)));
    for (const result of flushed) if (result.status === 'rejected') throw result.reason;
  }

  /** Runs alone: all data that left before has arrived, and none leaves but what the task sends. */
  async exclusively<T>(state: FileState, task: () => Promise<T>, options: Abortable = {}): Promise<T> {
    while (state.exclusive !== undefined) await abortable(state.exclusive, options);
    const running = (async () => {
      await this.settled(state, options);
      return task();
    })();
    const ended = running.then(
      () => {},
      () => {},
    );
    state.exclusive = ended;
    try {
      return await running;
    } finally {
      state.exclusive = undefined;
      if (state.dirty.bytes >= this.chunkBytes) this.send([state], false);
      this.options.states.settle(state);
    }
  }

  /** Sends what the file has and waits for it; for a task that runs alone. */
  async drain(state: FileState, options: Abortable = {}): Promise<void> {
    this.send([state], true);
    await this.settled(state, options);
  }

  /** Forgets data that is not sent yet and lies in [from, to). */
  forget(state: FileState, from = 0, to = Number.MAX_SAFE_INTEGER): void {
    const removed = state.dirty.remove(from, to);
    if (state.dirty.isEmpty) this.dirty.delete(state);
    if (removed > 0) this.room.give(removed);
    this.options.states.settle(state);
  }

  /** Nothing is tried again from now on, and no timer runs. */
  stop(): void {
    this.timer?.();
    this.stopped.abort();
  }

  private async settled(state: FileState, options: Abortable): Promise<void> {
    const now = this.options.runtime.clock.monotonic();
    await abortable(Promise.all(Array.from(state.groups, (group) => group.outcome(now))), options);
  }

  private schedule(): void {
    if (this.timer !== undefined || this.dirty.size === 0 || this.stopped.signal.aborted) return;
    const { clock } = this.options.runtime;
    this.timer = clock.after(ageMs, () => {
      this.timer = undefined;
      const now = clock.monotonic();
      const free = [...this.dirty].filter((state) => state.exclusive === undefined);
      this.send(
        free.filter((state) => now - state.dirtySinceMs >= agedMs),
        false,
      );
      this.schedule();
    });
  }

  private sendAll(): void {
    this.send(
      [...this.dirty].filter((state) => state.exclusive === undefined),
      false,
    );
  }

  /** Whole chunks of one that writes on and on; else all there is. */
  private sendChunks(state: FileState, end: number): void {
    const boundary = end - (end % this.chunkBytes);
    const goesOn = !state.appending && state.dirty.end === end && state.dirty.runStart(end) < boundary;
    const modified = state.modified as FileTime;
    state.dirtySinceMs = this.options.runtime.clock.monotonic();
    const { guard, appending: append } = state;
    this.launch([{ state, modified, guard, append, pieces: state.dirty.take(goesOn ? boundary : undefined) }]);
    if (state.dirty.isEmpty) this.dirty.delete(state);
  }

  /** All data of the files, in the order of their inodes. `asked`: somebody waits for it. */
  private send(states: readonly FileState[], asked: boolean): void {
    const chunked: Taken[] = [];
    for (const state of [...states].sort((a, b) => a.inode - b.inode)) {
      const { bytes, count } = state.dirty;
      this.dirty.delete(state);
      if (count === 0) continue;
      const { guard, appending: append } = state;
      const taken = { state, modified: state.modified as FileTime, guard, append, pieces: state.dirty.take() };
      if (asked && bytes <= rideBytesMax && count <= ridePiecesMax) this.start([flightOf(taken, taken.pieces)], true);
      else chunked.push(taken);
    }
    this.launch(chunked);
  }

  /** Starts groups of at most so many bytes, pieces and files. */
  private launch(taken: readonly Taken[]): void {
    let flights: Flight[] = [];
    let pieces: Piece[] = [];
    let bytes = 0;
    let count = 0;
    const start = () => {
      if (flights.length > 0) this.start(flights, false);
      flights = [];
      bytes = 0;
      count = 0;
    };
    for (const one of taken) {
      // Its place is found alone.
      if (one.append) start();
      const finish = () => {
        if (pieces.length > 0) flights.push(flightOf(one, pieces));
        pieces = [];
      };
      for (const piece of one.pieces) {
        if (bytes + piece.bytes.length > groupBytesMax || count === groupPiecesMax) {
          finish();
          start();
        }
        pieces.push(piece);
        bytes += piece.bytes.length;
        count++;
      }
      finish();
      if (one.append || flights.length === groupFilesMax) start();
    }
    start();
  }

  private start(flights: Flight[], rides: boolean): void {
    const group = new Group(flights);
    this.groups.add(group);
    const before = flights.map(({ state }) => state.order);
    for (const { bytes } of flights) this.sentBytes += bytes;
    const done = this.run(group, rides, before);
    for (const flight of flights) {
      flight.state.order = done;
      flight.state.flights.push(flight);
      flight.state.groups.add(group);
    }
  }

  /** Never rejects. */
  private async run(group: Group, rides: boolean, before: readonly Promise<void>[]): Promise<void> {
    const { flights } = group;
    // What fails while others are before it is tried again in its turn, and told then.
    const placed = rides ? undefined : this.place(flights).catch(() => undefined);
    await Promise.all(before);
    await this.deliver(group, flights, rides, await placed);
    this.groups.delete(group);
    for (const flight of flights) {
      const { state } = flight;
      state.flights.splice(state.flights.indexOf(flight), 1);
      state.groups.delete(group);
      this.sentBytes -= flight.bytes;
      this.room.give(flight.bytes);
    }
    group.end();
    for (const { state } of flights) this.options.states.settle(state);
  }

  /** Until the data has arrived, or is given up and its files know why. */
  private async deliver(
    group: Group,
    flights: readonly Flight[],
    rides: boolean,
    first?: WriteOperation,
  ): Promise<void> {
    const { clock } = this.options.runtime;
    const deadline = clock.monotonic() + this.retryMs;
    let placed = first;
    for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(2 * pauseMs, pauseMaxMs)) {
      try {
        if (rides) await this.recorder.ride(flights[0] as Flight);
        else await this.recorder.record(flights, (placed ??= await this.place(flights)));
        return;
      } catch (cause) {
        const error = asError(cause);
        const again = mayPass(error) && clock.monotonic() < deadline && !(flights[0]?.append && isUnknown(error));
        if (!again || this.stopped.signal.aborted) return this.parted(group, flights, error);
        this.unavailable(group, error);
        // Chunks that garbage collection took are written again, and so are those that could not be written.
        placed = undefined;
        await clock.sleep(pauseMs, { signal: this.stopped.signal }).catch(() => {});
      }
    }
  }

  /** What fails together may succeed in parts; what fails alone is given up. */
  private async parted(group: Group, flights: readonly Flight[], error: InfinitError): Promise<void> {
    const tooMuch = error.kind === 'full' && error.data?.split === true;
    const alone = flights.length === 1 || mayPass(error);
    const parts = tooMuch || !alone ? halves(flights) : undefined;
    if (parts !== undefined) for (const part of parts) await this.deliver(group, part, false);
    else for (const flight of flights) this.giveUp(flight, error);
  }

  private giveUp({ state, bytes }: Flight, error: InfinitError): void {
    state.error ??= error;
    const { kind, message } = error;
    this.options.runtime.log.write('error', 'files', `data of inode ${state.inode} is given up: ${message}`, {
      kind,
      bytes,
    });
  }

  /** Whoever has waited long for this data, or for what is behind it, hears why. */
  private unavailable(group: Group, error: InfinitError): void {
    const { clock, log } = this.options.runtime;
    log.write('warn', 'files', `data waits: ${error.message}`, { kind: error.kind });
    const stuck = new Set([group]);
    for (const later of this.groups) if (later.isBehind(stuck)) stuck.add(later);
    for (const one of stuck) one.failed(error, clock.monotonic() - this.patienceMs);
  }

  private async place(flights: readonly Flight[]): Promise<WriteOperation> {
    const cells = cutFlights(flights);
    const plain = cells.flatMap((one) => one.map(({ bytes }) => bytes));
    return placedOperation(flights, cells, await this.options.tree.writeChunks(plain));
  }
}

/** Where what is appended goes unless others append, too. */
function likelyEnd(state: FileState, guess: number): number {
  return state.dirty.isEmpty ? Math.max(guess, state.end) : state.dirty.end;
}

/** It may have happened: what is appended would be there twice. */
function isUnknown(error: InfinitError): boolean {
  return error.data?.outcome === 'unknown';
}

/** Worth another attempt: no leader now, or chunks to be written again. */
function mayPass(error: InfinitError): boolean {
  return isError(error, 'unavailable', 'lost') && reasonOf(error) !== 'lock-lost';
}
