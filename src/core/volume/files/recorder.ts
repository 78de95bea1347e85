// The operations that make written data part of the tree. Small data of several files rides together: what is asked for while
// an operation is on its way goes with the next one.

import { decode, encode } from '../../base/codec.ts';
import { asError, isError } from '../../base/errors.ts';
import { type Deferred, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Tree } from '../../tree/tree.ts';
import type { FileState, Flight } from './file-state.ts';
import { fileError } from './files.ts';
import { fileOperation, writeReply } from './messages.ts';
import { appendOperation, ridingFile, type WriteOperation } from './placing.ts';

/** About what a piece and a file change beside their bytes. */
const pieceCostBytes = 300;
/** Together with what the view adds this stays below what an operation may have and change. */
const rideCostMax = limits.operationBytesMax - limits.cellBytesMax;
/** An operation's answer has room for so many attributes. */
const rideFilesMax = 512;
const arrivalsKeptMax = 1024;

interface Rider {
  flight: Flight;
  cost: number;
  arrived: Deferred<void>;
}

export class Recorder {
  private readonly tree: Tree;
  private readonly onShifted: (state: FileState) => void;
  private readonly riders: Rider[] = [];
  private readonly recent = new Map<number, number>();
  private riding = false;
  private forgotten = 0;
  private counted = 0;

  /** `onShifted`: what was appended to a file is not where it was thought to be. */
  constructor({ tree, onShifted }: { tree: Tree; onShifted: (state: FileState) => void }) {
    this.tree = tree;
    this.onShifted = onShifted;
  }

  get arrivals(): number {
    return this.counted;
  }

  arrivedSince(inode: number, arrivals: number): boolean {
    return this.forgotten > arrivals || (this.recent.get(inode) ?? 0) > arrivals;
  }

  /** Throws what the tree throws; data of files that are gone is dropped. */
  async record(flights: readonly Flight[], operation: WriteOperation): Promise<void> {
    const [first] = flights;
    if (first?.append) return this.append(first, operation);
    const { losses } = this.tree;
    for (const { state } of flights) state.changes++;
    const { chunks } = operation;
    // One session's: an older one is over, and what was written under it alone.
    const guard = flights.find((flight) => flight.guard !== undefined)?.guard;
    const reply = await this.tree.do(encode(fileOperation, operation), { durable: false, chunks, guard });
    const found = new Set(decode(writeReply, reply).map(({ inode }) => inode));
    for (const { state } of flights) {
      state.lossesBefore ??= losses;
      this.arrived(state, found.has(state.inode));
    }
  }

  /** Durable, so that it happens once even when the leader is gone before it answers. */
  private async append(flight: Flight, operation: WriteOperation): Promise<void> {
    const { state, guard } = flight;
    const { chunks } = operation;
    state.changes++;
    const reply = await this.tree.do(encode(fileOperation, appendOperation(operation)), { chunks, guard });
    const [attributes] = decode(writeReply, reply);
    this.arrived(state, attributes !== undefined);
    if (attributes === undefined) return;
    const shifted = attributes.size - flight.bytes - (flight.pieces[0]?.offset ?? 0);
    if (shifted === 0) return;
    state.shift(shifted);
    this.onShifted(state);
  }

  private arrived(state: FileState, found: boolean): void {
    state.changes++;
    this.count(state.inode);
    if (!found && state.opens > 0)
      state.error ??= fileError('stale', `inode ${state.inode} is gone, and with it what was written to it`);
  }

  /** The same for a cell's worth of data. */
  ride(flight: Flight): Promise<void> {
    if (flight.append) return this.record([flight], { type: 'write', files: [ridingFile(flight)], chunks: [] });
    const cost = pieceCostBytes + flight.bytes + flight.pieces.length * pieceCostBytes;
    const rider = { flight, cost, arrived: deferred<void>() };
    this.riders.push(rider);
    void this.pump();
    return rider.arrived.promise;
  }

  private async pump(): Promise<void> {
    if (this.riding) return;
    this.riding = true;
    // Whoever asks in the same step goes along.
    await Promise.resolve();
    while (this.riders.length > 0) await this.go(this.nextRiders());
    this.riding = false;
  }

  private nextRiders(): Rider[] {
    let cost = 0;
    let count = 0;
    let session: number | undefined;
    for (const rider of this.riders) {
      cost += rider.cost;
      if (count === rideFilesMax || (count > 0 && cost > rideCostMax)) break;
      const { guard } = rider.flight;
      session ??= guard?.session;
      if (guard !== undefined && guard.session !== session) break;
      count++;
    }
    return this.riders.splice(0, count);
  }

  private async go(riders: readonly Rider[]): Promise<void> {
    const flights = riders.map(({ flight }) => flight);
    try {
      await this.record(flights, { type: 'write', files: flights.map(ridingFile), chunks: [] });
      for (const { arrived } of riders) arrived.resolve();
    } catch (error) {
      // One that cannot be written does not keep the others.
      if (riders.length > 1 && !isError(error, 'unavailable')) for (const rider of riders) await this.go([rider]);
      else for (const { arrived } of riders) arrived.reject(asError(error));
    }
  }

  private count(inode: number): void {
    this.recent.delete(inode);
    this.recent.set(inode, ++this.counted);
    const [oldest] = this.recent;
    if (this.recent.size <= arrivalsKeptMax || oldest === undefined) return;
    this.recent.delete(oldest[0]);
    this.forgotten = oldest[1];
  }
}
