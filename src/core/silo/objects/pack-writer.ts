// Changes of a silo of packs on their way to the object store. Everything that waits at one moment goes in one pack, which is
// there whole or not at all; packs are numbered and acknowledged in order. A single pack is on its way while little waits, up
// to four when much does. The name of a pack is taken by the first who writes it: whoever opens the silo later takes the next
// number, and a writer that was replaced finds out at its next pack.

import { asBuffer, type Bytes, equalBytes, latin1Of } from '../../base/bytes.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { closedError } from '../entries.ts';
import { Fifo } from '../fifo.ts';
import { headerBytes, layOutPack, type Pack, type PackedChange, packName, rowBytes, writerOf } from './format.ts';
import type { ObjectStore } from './object-store.ts';
import type { PackState } from './state.ts';
import type { Superblock } from './superblock.ts';
import type { ValueCache } from './value-cache.ts';

export interface PackWriterOptions {
  store: ObjectStore;
  state: PackState;
  superblock: Superblock;
  cache: ValueCache;
  /** The number of the last pack there is. */
  last: number;
  packBytes: number;
  /** Most bytes of live values; infinite without a capacity. */
  usedBytesMax: number;
  /** Most bytes of all packs; infinite without a capacity. */
  totalBytesMax: number;
  /** Number of the newest durable checkpoint. */
  checkpoint(): number;
  /** Gains room if it can; false when there is nothing to gain. */
  reclaim(): Promise<boolean>;
  /** Called when a pack is durable and shows. */
  applied(bytes: number): void;
  failed(error: InfinitError): void;
}

export interface Change {
  space: number;
  key: Bytes;
  value: Bytes | undefined;
  /** Of a value that is moved: its own, and the pack it leaves. */
  moved?: { sequence: number; pack: number };
}

interface Atom {
  changes: readonly Change[];
  bytes: number;
  isMove: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

interface Flight {
  pack: Pack;
  atoms: Atom[];
  done: boolean;
}

const stalePacksMax = 16;

export class PackWriter {
  private readonly options: PackWriterOptions;
  private readonly changes = new Fifo<Atom>();
  private readonly moves = new Fifo<Atom>();
  private queuedBytes = 0;
  private queuedChanges = 0;
  private next: number;
  private nextSequence: number;
  /** Packs on their way, in order. */
  private readonly flights: Flight[] = [];
  private flightBytes = 0;
  /** What keys will have once all flights have landed: the length of the value, or that there is none. */
  private readonly coming = new Map<string, { pack: number; length: number | undefined }>();
  private usedBytes: number;
  private scheduled = false;
  private reclaiming: Promise<void> | undefined;
  private failure: InfinitError | undefined;
  private idle: (() => void) | undefined;
  /** All packs up to this number are durable and show. */
  confirmed: number;

  constructor(options: PackWriterOptions) {
    this.options = options;
    this.confirmed = options.last;
    this.next = options.last + 1;
    this.nextSequence = options.state.sequence + 1;
    this.usedBytes = options.state.usedBytes;
  }

  get broken(): InfinitError | undefined {
    return this.failure;
  }

  /** Resolves when the changes are durable and show, all or none. */
  append(changes: readonly Change[], options: { isMove?: boolean } = {}): Promise<void> {
    if (this.failure !== undefined) return Promise.reject(this.failure);
    const bytes = changes.reduce((sum, { value }) => sum + rowBytes + (value?.length ?? 0), 0);
    if (this.queuedBytes + bytes > limits.siloQueueBytesMax || this.queuedChanges >= limits.siloQueueChangesMax)
      return Promise.reject(new InfinitError('unavailable', 'too many changes wait for the object store'));
    this.queuedBytes += bytes;
    this.queuedChanges++;
    return new Promise((resolve, reject) => {
      const isMove = options.isMove === true;
      (isMove ? this.moves : this.changes).push({ changes, bytes, isMove, resolve, reject });
      this.schedule();
    });
  }

  /** Writes a pack without changes: from then on nobody who opened the silo before can write. */
  async announce(): Promise<void> {
    await this.append([]);
  }

  /** Waits for everything called before; then nothing is taken any more. */
  async close(): Promise<void> {
    while (this.failure === undefined && (this.flights.length > 0 || this.changes.length + this.moves.length > 0))
      await new Promise<void>((resolve) => {
        this.idle = resolve;
      });
    this.failure ??= closedError();
  }

  /** In a microtask, so that all changes of this turn share the pack. */
  private schedule(): void {
    if (this.scheduled) return;
    this.scheduled = true;
    queueMicrotask(() => {
      this.scheduled = false;
      try {
        this.pump();
      } catch (error) {
        this.fail(asError(error));
      }
    });
  }

  private pump(): void {
    const { flights } = this;
    while (this.failure === undefined && this.changes.length + this.moves.length > 0) {
      if (flights.length >= limits.packsInFlightMax) return;
      if (flights.length > 0 && this.queuedBytes < this.options.packBytes / 2) return;
      const queue = this.moves.length > 0 ? this.moves : this.changes;
      if (queue === this.changes && this.mustReclaim()) return;
      this.send(this.build(queue));
    }
  }

  /** Of one queue as much as a pack takes. */
  private build(queue: Fifo<Atom>): Flight {
    const rows: PackedChange[] = [];
    const atoms: Atom[] = [];
    let bytes = headerBytes;
    for (let atom = queue.first; atom !== undefined; atom = queue.first) {
      const full = bytes + atom.bytes > this.options.packBytes || rows.length >= limits.packRowsFull;
      if (full && atoms.length > 0) break;
      queue.shift();
      this.queuedBytes -= atom.bytes;
      this.queuedChanges--;
      if (!this.admit(atom)) continue;
      atoms.push(atom);
      bytes += atom.bytes;
      for (const change of atom.changes) this.lay(change, rows);
    }
    const { superblock, checkpoint } = this.options;
    const header = {
      number: this.next,
      confirmed: this.confirmed,
      checkpoint: checkpoint(),
      opening: superblock.openings,
      writer: superblock.writer,
    };
    return { pack: layOutPack(header, rows, superblock.salt), atoms, done: false };
  }

  /** False when it was refused: it is beyond the capacity. */
  private admit(atom: Atom): boolean {
    if (atom.isMove) return true;
    const lengths = new Map<string, number | undefined>();
    let growth = 0;
    for (const { space, key, value } of atom.changes) {
      const name = nameOf(space, key);
      const before = lengths.has(name) ? lengths.get(name) : this.lengthOf(space, key, name);
      growth += costOf(value?.length) - costOf(before);
      lengths.set(name, value?.length);
    }
    if (growth > 0 && this.usedBytes + growth > this.options.usedBytesMax) {
      atom.reject(fullError(this.usedBytes, this.options.usedBytesMax));
      return false;
    }
    this.usedBytes += growth;
    return true;
  }

  private lay({ space, key, value, moved }: Change, rows: PackedChange[]): void {
    const name = nameOf(space, key);
    if (moved !== undefined) {
      const place = this.options.state.index.get(space, key);
      const stays = place?.pack !== moved.pack || place.sequence !== moved.sequence || this.coming.has(name);
      if (!stays) rows.push({ space, key, value, sequence: moved.sequence, moved: true });
      return;
    }
    // Deleting what is not there is no change.
    if (value === undefined && this.lengthOf(space, key, name) === undefined) return;
    rows.push({ space, key, value, sequence: this.nextSequence++, moved: false });
    this.coming.set(name, { pack: this.next, length: value?.length });
  }

  private lengthOf(space: number, key: Bytes, name: string): number | undefined {
    const coming = this.coming.get(name);
    return coming === undefined ? this.options.state.index.get(space, key)?.length : coming.length;
  }

  private send(flight: Flight): void {
    const { pack, atoms } = flight;
    const needless = pack.rows.length === 0 && atoms.every(({ changes }) => changes.length > 0);
    const last = this.flights.at(-1);
    if (needless && last !== undefined) {
      last.atoms.push(...atoms);
      return;
    }
    if (needless) {
      for (const atom of atoms) atom.resolve();
      this.checkIdle();
      return;
    }
    this.next++;
    this.flights.push(flight);
    this.flightBytes += pack.header.bytes;
    this.store(pack).then(
      () => {
        flight.done = true;
        this.land();
      },
      (error: unknown) => this.fail(asError(error)),
    );
  }

  /** Shows what is durable, in order. */
  private land(): void {
    if (this.failure !== undefined) return;
    for (let flight = this.flights[0]; flight?.done; flight = this.flights[0]) {
      this.flights.shift();
      this.show(flight.pack);
      for (const atom of flight.atoms) atom.resolve();
      this.options.applied(flight.pack.header.bytes);
    }
    this.checkIdle();
    this.schedule();
  }

  private show({ header, rows, parts }: Pack): void {
    const { state, cache } = this.options;
    this.flightBytes -= header.bytes;
    this.confirmed = header.number;
    state.addPack(header.number, header.bytes);
    let part = 1;
    for (const row of rows) {
      state.apply(header.number, row);
      if (row.offset > 0) cache.set({ pack: header.number, offset: row.offset }, asBuffer(parts[part++] as Bytes));
      const name = nameOf(row.space, row.key);
      if (this.coming.get(name)?.pack === header.number) this.coming.delete(name);
    }
  }

  /** Puts a pack under its name, which nobody else must have taken. */
  private async store(pack: Pack): Promise<void> {
    const { store, superblock } = this.options;
    const name = packName(pack.header.number);
    for (let attempt = 0; attempt < stalePacksMax; attempt++) {
      try {
        return await store.put(name, pack.parts, { onlyNew: superblock.exclusive });
      } catch (error) {
        if (!isError(error, 'exists')) throw error;
      }
      const start = await store.get(name, { offset: 0, length: headerBytes });
      const { opening, writer } = writerOf(start);
      // An answer was lost, and the pack is there all the same.
      if (equalBytes(writer, superblock.writer)) return;
      if (opening >= superblock.openings) break;
      // The last words of a process that had the silo before: nobody was told that they are durable.
      await store.delete(name);
    }
    throw takenOver(store);
  }

  /** Whether there is no room for a pack until some was gained. */
  private mustReclaim(): boolean {
    const { state, totalBytesMax, packBytes, reclaim } = this.options;
    if (this.reclaiming !== undefined) return true;
    const first = this.changes.first as Atom;
    const grows = first.changes.some(({ value }) => value !== undefined);
    const wanted = Math.max(headerBytes + first.bytes, Math.min(packBytes, headerBytes + this.queuedBytes));
    // Deletions may take what is kept for moves.
    const most = grows ? totalBytesMax - 2 * packBytes : totalBytesMax;
    if (state.totalBytes + this.flightBytes + wanted <= most) return false;
    this.reclaiming = reclaim()
      .then((gained) => {
        if (gained) return;
        const atom = this.changes.shift();
        if (atom === undefined) return;
        this.queuedBytes -= atom.bytes;
        this.queuedChanges--;
        atom.reject(fullError(this.usedBytes, this.options.usedBytesMax));
      })
      .catch((error: unknown) => this.fail(asError(error)))
      .finally(() => {
        this.reclaiming = undefined;
        this.checkIdle();
        this.schedule();
      });
    return true;
  }

  /** No change is taken any more until the silo is opened again. */
  fail(error: InfinitError): void {
    if (this.failure === undefined) this.options.failed(error);
    this.failure ??= new InfinitError('unavailable', error.message, {
      ...(error.hint !== undefined && { hint: error.hint }),
      cause: error,
    });
    const waiting = [...this.flights.flatMap(({ atoms }) => atoms), ...this.moves.takeAll(), ...this.changes.takeAll()];
    this.flights.length = 0;
    this.queuedBytes = this.queuedChanges = 0;
    for (const atom of waiting) atom.reject(this.failure);
    this.checkIdle();
  }

  private checkIdle(): void {
    if (this.flights.length + this.changes.length + this.moves.length > 0 && this.failure === undefined) return;
    this.idle?.();
    this.idle = undefined;
  }
}

export function takenOver(store: ObjectStore): InfinitError {
  return new InfinitError('exists', `the silo in ${store.where} was opened by another process`, {
    hint: 'a silo belongs to one device: create another one here, with a path of its own',
  });
}

function fullError(usedBytes: number, usedBytesMax: number): InfinitError {
  return new InfinitError('full', `the silo is full: ${usedBytes} of ${usedBytesMax} bytes are used`);
}

function nameOf(space: number, key: Bytes): string {
  return String.fromCharCode(space) + latin1Of(key);
}

function costOf(length: number | undefined): number {
  return length === undefined ? 0 : rowBytes + length;
}
