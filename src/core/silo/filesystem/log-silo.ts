// An open filesystem silo: reads through the index, changes through the writer, and housekeeping (checkpoints, compaction)
// when enough was written or a minute has passed.

import { equalBytes } from '../../base/bytes.ts';
import { asError, isError } from '../../base/errors.ts';
import { type Abortable, checkSignal, Mutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { type StoreId, storeIdBytes } from '../../block/address.ts';
import type { Cancel, FileLock, Runtime } from '../../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, closedError, recordHeaderBytes, spaceIndex } from '../entries.ts';
import { type MovingRead, readMoving, sortedGroups } from '../indexed.ts';
import type { Silo, SiloEntry, SiloKey, SiloStart, SiloUsage, Space } from '../silo.ts';
import { turnCosts } from '../turns.ts';
import { writeCheckpoint } from './checkpoint.ts';
import { Compactor } from './compactor.ts';
import { checksum, type RecordHeader, rawKey, readRecordHeader } from './format.ts';
import { type IndexEntry, type Place, shardCount } from './index.ts';
import type { SiloState } from './state.ts';
import { writeSuperblock } from './superblock.ts';
import { Writer } from './writer.ts';

export interface LogSiloOptions {
  state: SiloState;
  runtime: Runtime;
  lock: FileLock;
  folder: string;
  checkpointNumber: number;
  capacity: number | undefined;
  usedBytesMax: number;
  /** What filters may have added to each value. */
  addedBytes: number;
  replacedStoreId: StoreId | undefined;
}

const headersAtOnce = 32;
/** A range this near to the start of a value is read together with the header. */
const nearBytes = 64 * 1024;

export class LogSilo implements Silo {
  /** The identity the silo had before it was found damaged at this opening. */
  readonly replacedStoreId: StoreId | undefined;
  private readonly options: LogSiloOptions;
  private readonly state: SiloState;
  private readonly writer: Writer;
  private readonly compactor: Compactor;
  private readonly checkpoints = new Mutex();
  private checkpointNumber: number;
  private checkpointBytes = 0;
  private lookedAt: number;
  private housekeeping: Promise<void> | undefined;
  private cancelTimer: Cancel | undefined;
  private closing: Promise<void> | undefined;

  constructor(options: LogSiloOptions) {
    const { state, runtime, usedBytesMax } = options;
    this.options = options;
    this.state = state;
    this.replacedStoreId = options.replacedStoreId;
    this.lookedAt = runtime.clock.monotonic();
    this.checkpointNumber = options.checkpointNumber;
    this.compactor = new Compactor({
      state,
      clock: runtime.clock,
      log: runtime.log,
      move: (changes) => this.writer.move(changes),
      checkpoint: () => this.checkpoint(),
      stopped: () => this.closing !== undefined,
    });
    this.writer = new Writer({
      state,
      clock: runtime.clock,
      usedBytesMax,
      reclaim: () => this.compactor.reclaim(),
      flushed: () => this.flushed(),
      failed: (error) => runtime.log.write('error', 'silo', error.message, { folder: options.folder }),
    });
  }

  get storeId(): StoreId {
    return this.state.superblock.storeId;
  }

  async renew(): Promise<void> {
    const { runtime, folder } = this.options;
    const superblock = { ...this.state.superblock, storeId: runtime.random.bytes(storeIdBytes) };
    await writeSuperblock(runtime.files, folder, superblock);
    this.state.superblock.storeId = superblock.storeId;
  }

  /** Gets memory and room for the first change; a damaged silo writes down at once what is left of it. */
  async start(damaged: boolean): Promise<void> {
    const { state } = this;
    const { segments, active } = state;
    this.writer.useBuffers(
      await segments.alignedBuffer(active, Writer.stagingBytes),
      await segments.alignedBuffer(active, Writer.stagingBytes),
    );
    if (damaged) await this.checkpoint();
    // A full device is no reason not to open: reading and deleting still work.
    await segments.zero(active, segments.zeroTarget(state.offset)).catch((error) => {
      if (!isError(error, 'full')) throw error;
    });
  }

  async get(space: Space, key: SiloKey, options?: Abortable): Promise<Buffer> {
    checkSignal(options?.signal);
    return this.reading(space, key, async (place) => {
      const record = await this.readPlace(place, 0, recordHeaderBytes + place.length);
      await this.state.turns.take(1, place.length);
      const header = record && this.headerOf(record, space, key, place);
      if (record === undefined || header === undefined) return undefined;
      const value = record.subarray(recordHeaderBytes);
      return checksum(value) === header.valueChecksum ? value : undefined;
    });
  }

  async getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer> {
    checkRange(offset, length);
    return this.reading(space, key, async (place) => {
      const from = Math.min(offset, place.length);
      const wanted = Math.min(length, place.length - from);
      const near = from <= nearBytes;
      const [start, far] = await Promise.all([
        this.readPlace(place, 0, recordHeaderBytes + (near ? from + wanted : 0)),
        near ? undefined : this.readPlace(place, recordHeaderBytes + from, wanted),
      ]);
      await this.state.turns.take(1);
      if (start === undefined || this.headerOf(start, space, key, place) === undefined) return undefined;
      return near ? start.subarray(recordHeaderBytes + from) : far;
    });
  }

  async size(space: Space, key: SiloKey): Promise<number | undefined> {
    return this.find(space, key)?.length;
  }

  put(space: Space, key: SiloKey, value: Uint8Array): Promise<void> {
    return this.batch([{ space, key, value }]);
  }

  delete(space: Space, key: SiloKey): Promise<void> {
    return this.batch([{ space, key, value: undefined }]);
  }

  async batch(entries: readonly SiloEntry[]): Promise<void> {
    checkEntries(entries, this.options.addedBytes);
    await this.writer.append(entries.map(({ space, key, value }) => ({ space: spaceIndex(space), key, value })));
  }

  async *list(space: Space, after?: SiloKey): AsyncGenerator<SiloKey> {
    for await (const { key } of this.scan(space, 0, after)) yield key;
  }

  async *scan(space: Space, startBytes: number, after?: SiloKey): AsyncGenerator<SiloStart> {
    const wanted = spaceIndex(space);
    if (after !== undefined) checkKey(space, after);
    for (let shard = after?.[0] ?? 0; shard < shardCount; shard++) {
      this.checkOpen();
      await this.state.turns.take(this.state.index.slots(shard) * turnCosts.slot);
      const entries = this.state.index.shardEntries(shard).filter((entry) => entry.space === wanted);
      const found = await this.startsOf(entries, startBytes);
      for await (const group of sortedGroups(found, after, this.state.turns)) yield* group;
    }
  }

  usage(): SiloUsage {
    const { state, options } = this;
    this.lookAtDevice();
    const { usedBytes, entries, blocks, deadBytes, segments } = state;
    const kept = segments.free.reduce((sum, segment) => sum + segment.bytes, 0);
    const device = segments.deviceFreeBytes + kept + Math.max(0, state.active.bytes - state.offset);
    const freeBytes = Math.floor(Math.max(0, Math.min(options.usedBytesMax - usedBytes, device)));
    return { capacityBytes: options.capacity, usedBytes, deadBytes, freeBytes, entries, blocks };
  }

  /** Others use it too: who takes nothing because it is full hears in no other way that it has room again. The next to ask is told. */
  private lookAtDevice(): void {
    const now = this.options.runtime.clock.monotonic();
    if (this.closing !== undefined || now - this.lookedAt < limits.siloDeviceLookMs) return;
    this.lookedAt = now;
    this.state.segments.checkDevice(0).catch((error: unknown) => this.warn('looking at the device', error));
  }

  /** Memory of the index. */
  get indexBytes(): number {
    return this.state.index.memoryBytes;
  }

  sequence(): number {
    return this.state.sequence;
  }

  async verify(space: Space, key: SiloKey): Promise<void> {
    await this.get(space, key);
  }

  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  private async closeNow(): Promise<void> {
    this.cancelTimer?.();
    try {
      await this.writer.close();
      await this.housekeeping;
      await this.compactor.stop();
      // Only saves time at the next opening, which a broken or full device may cost.
      if (this.state.appendedBytes > 0) await this.checkpoint().catch((error) => this.warn('closing', error));
    } finally {
      await this.state.segments.close();
      await this.options.lock.release();
    }
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw closedError();
  }

  private find(space: Space, key: SiloKey): Place | undefined {
    checkKey(space, key);
    this.checkOpen();
    return this.state.index.get(spaceIndex(space), key);
  }

  private reading(space: Space, key: SiloKey, read: MovingRead<Place>['read']): Promise<Buffer> {
    return readMoving(space, {
      find: () => this.find(space, key),
      isSame: (now, place) => this.state.samePlace(now, place),
      read,
      isAnother: (place) => this.holdsAnother(place, key),
    });
  }

  /** Whether a whole record of another key stands there: two keys with one hash in the index. */
  private async holdsAnother(place: Place, key: SiloKey): Promise<boolean> {
    const start = await this.readPlace(place, 0, recordHeaderBytes);
    const header = start && readRecordHeader(start, 0, this.state.superblock.salt);
    return header !== undefined && !equalBytes(header.key, key);
  }

  private async readPlace(place: Place, from: number, bytes: number): Promise<Buffer | undefined> {
    const segment = this.state.segments.all.get(place.segment);
    if (segment === undefined) return undefined;
    const into = Buffer.allocUnsafe(bytes);
    const read = await this.state.segments.read(segment, into, place.offset + from);
    return read === bytes ? into : undefined;
  }

  private headerOf(record: Buffer, space: Space, key: SiloKey, place: Place): RecordHeader | undefined {
    const header = readRecordHeader(record, 0, this.state.superblock.salt);
    const ours =
      header !== undefined &&
      header.serial === this.state.segments.all.get(place.segment)?.serial &&
      header.space === spaceIndex(space) &&
      header.length === place.length &&
      equalBytes(header.key, key);
    return ours ? header : undefined;
  }

  private async startsOf(entries: readonly IndexEntry[], startBytes: number): Promise<SiloStart[]> {
    const found: SiloStart[] = [];
    for (let at = 0; at < entries.length; at += headersAtOnce) {
      const slice = entries.slice(at, at + headersAtOnce);
      const bytes = (entry: IndexEntry) => recordHeaderBytes + Math.min(startBytes, entry.length);
      const records = await Promise.all(slice.map((entry) => this.readPlace(entry, 0, bytes(entry))));
      await this.state.turns.take(slice.length);
      for (const [i, record] of records.entries()) {
        if (record === undefined) continue;
        const header = readRecordHeader(record, 0, this.state.superblock.salt);
        const key = header ? Buffer.from(header.key) : this.rottenKey(slice[i] as IndexEntry, record);
        if (key !== undefined) found.push({ key, start: Buffer.from(record.subarray(recordHeaderBytes)) });
      }
    }
    return found;
  }

  /** What a rotten header says of the key, if the index has that key, or one that differs by a bit, at this very place. */
  private rottenKey(entry: IndexEntry, record: Buffer): Buffer | undefined {
    const key = rawKey(record);
    const isIt = () => this.state.samePlace(this.state.index.get(entry.space, key), entry);
    if (isIt()) return key;
    for (let bit = 0; bit < 8 * key.length; bit++) {
      flipBit(key, bit);
      if (isIt()) return key;
      flipBit(key, bit);
    }
    return undefined;
  }

  private flushed(): void {
    if (this.closing !== undefined) return;
    const due = Math.max(limits.siloCheckpointEveryBytes, 2 * this.checkpointBytes);
    if (this.state.appendedBytes >= due) this.keepHouse();
    this.cancelTimer ??= this.options.runtime.clock.after(limits.siloCheckpointEveryMs, () => {
      this.cancelTimer = undefined;
      if (this.closing === undefined && this.state.appendedBytes > 0) this.keepHouse();
    });
  }

  private keepHouse(): void {
    this.housekeeping ??= this.tidyUp()
      .catch((error) => {
        const { message } = asError(error);
        this.options.runtime.log.write('warn', 'silo', `housekeeping failed: ${message}`, {
          folder: this.options.folder,
        });
      })
      .finally(() => {
        this.housekeeping = undefined;
      });
  }

  private warn(doing: string, error: unknown): void {
    const { log } = this.options.runtime;
    log.write('warn', 'silo', `${doing}: ${asError(error).message}`, { folder: this.options.folder });
  }

  private async tidyUp(): Promise<void> {
    await this.checkpoint();
    let compacted = false;
    while (this.closing === undefined && (await this.compactor.tidy())) compacted = true;
    if (compacted && this.closing === undefined) await this.checkpoint();
  }

  /** Writes a checkpoint, then frees the segments it no longer speaks of. */
  private checkpoint(): Promise<void> {
    return this.checkpoints.run(async () => {
      const { state, options } = this;
      const empty = [...state.segments.all.values()].filter(
        (segment) => segment.liveRecords === 0 && state.isSealed(segment),
      );
      const appended = state.appendedBytes;
      const written = await writeCheckpoint(options.runtime.files, options.folder, state, this.checkpointNumber + 1);
      this.checkpointNumber = written.number;
      this.checkpointBytes = written.bytes;
      state.appendedBytes -= appended;
      for (const segment of empty) await state.segments.release(segment);
    });
  }
}

function flipBit(bytes: Buffer, bit: number): void {
  const at = bit >> 3;
  bytes[at] = (bytes[at] as number) ^ (1 << (bit & 7));
}
