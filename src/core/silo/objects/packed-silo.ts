// An open silo of packs: reads by the index in memory and single requests, changes by the writer, and housekeeping
// (checkpoints, compaction) as packs pile up. docs/decisions/022-object-silos.md says what it promises and costs.

import { crc32 } from 'node:zlib';
import { asError, isError } from '../../base/errors.ts';
import { type Abortable, checkSignal, Semaphore } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { type StoreId, storeIdBytes } from '../../block/address.ts';
import type { FileLock, Runtime } from '../../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, closedError, spaceIndex } from '../entries.ts';
import { type MovingRead, readMoving, sortedGroups } from '../indexed.ts';
import type { Silo, SiloEntry, SiloKey, SiloStart, SiloUsage, Space } from '../silo.ts';
import { Turns, turnCosts } from '../turns.ts';
import type { Checkpoint } from './checkpoint.ts';
import { Compactor } from './compactor.ts';
import { packName, startBytesMax } from './format.ts';
import { Housekeeping } from './housekeeping.ts';
import { type IndexEntry, type Place, shardCount } from './index.ts';
import type { ObjectStore } from './object-store.ts';
import { PackWriter } from './pack-writer.ts';
import type { PackState } from './state.ts';
import { type Superblock, writeSuperblock } from './superblock.ts';
import { ValueCache } from './value-cache.ts';

export interface PackedSiloOptions {
  store: ObjectStore;
  runtime: Runtime;
  state: PackState;
  superblock: Superblock;
  checkpoint: Checkpoint | undefined;
  last: number;
  capacity: number | undefined;
  addedBytes: number;
  lock: FileLock | undefined;
}

const startsAtOnce = 64;

export class PackedSilo implements Silo {
  private readonly options: PackedSiloOptions;
  private readonly state: PackState;
  private readonly writer: PackWriter;
  private readonly cache = new ValueCache(limits.packCacheBytes);
  private readonly turns: Turns;
  private readonly requests = new Semaphore(limits.objectRequestsMax);
  private readonly house: Housekeeping;
  private closing: Promise<void> | undefined;

  constructor(options: PackedSiloOptions) {
    const { store, runtime, state, superblock, checkpoint, last, capacity } = options;
    this.options = options;
    this.state = state;
    this.turns = new Turns(runtime.clock);
    const packBytes = packBytesFor(capacity);
    this.writer = new PackWriter({
      store,
      state,
      superblock,
      cache: this.cache,
      last,
      packBytes,
      usedBytesMax: usableBytes(capacity),
      totalBytesMax: capacity ?? Number.POSITIVE_INFINITY,
      checkpoint: () => this.house.number,
      reclaim: () => this.house.reclaim(),
      applied: (bytes) => this.house.applied(bytes),
      failed: (error) => runtime.log.write('error', 'silo', error.message, { store: store.where }),
    });
    const compactor = new Compactor({
      store,
      state,
      log: runtime.log,
      salt: superblock.salt,
      packBytes,
      confirmed: () => this.writer.confirmed,
      move: (changes) => this.writer.append(changes, { isMove: true }),
    });
    this.house = new Housekeeping({
      store,
      state,
      superblock,
      runtime,
      turns: this.turns,
      compactor,
      checkpoint,
      confirmed: () => this.writer.confirmed,
      lost: (error) => this.writer.fail(error),
    });
  }

  get storeId(): StoreId {
    return this.options.superblock.storeId;
  }

  /** Makes sure nobody else writes; a damaged silo writes down at once what is left of it. */
  async start(damaged: boolean): Promise<void> {
    await this.writer.announce();
    if (damaged) await this.house.checkpoint();
  }

  async get(space: Space, key: SiloKey, options?: Abortable): Promise<Buffer> {
    checkSignal(options?.signal);
    return this.reading(space, key, async (place) => {
      if (place.offset === 0) return Buffer.from(place.start);
      const cached = this.cache.get(place);
      if (cached !== undefined) return Buffer.from(cached);
      const value = await this.fetch(place, 0, place.length, options);
      if (value === undefined || crc32(value) !== place.checksum) return undefined;
      this.cache.set(place, value);
      return Buffer.from(value);
    });
  }

  async getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer> {
    checkRange(offset, length);
    return this.reading(space, key, async (place) => {
      const from = Math.min(offset, place.length);
      const to = from + Math.min(length, place.length - from);
      const known = place.offset === 0 ? place.start : this.cache.get(place);
      if (known !== undefined) return Buffer.from(known.subarray(from, to));
      return from === to ? Buffer.alloc(0) : this.fetch(place, from, to - from);
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
    this.checkOpen();
    if (entries.length === 0) return;
    await this.writer.append(entries.map(({ space, key, value }) => ({ space: spaceIndex(space), key, value })));
  }

  async *list(space: Space, after?: SiloKey): AsyncGenerator<SiloKey> {
    for await (const { key } of this.scan(space, 0, after)) yield key;
  }

  async *scan(space: Space, startBytes: number, after?: SiloKey): AsyncGenerator<SiloStart> {
    const number = spaceIndex(space);
    if (after !== undefined) checkKey(space, after);
    for (let shard = after?.[0] ?? 0; shard < shardCount; shard++) {
      this.checkOpen();
      await this.turns.take(this.state.index.slots(number, shard) * 4 * turnCosts.slot);
      const entries = this.state.index.entries(number, shard);
      for await (const group of sortedGroups(entries, after, this.turns))
        for (let at = 0; at < group.length; at += startsAtOnce)
          yield* await Promise.all(group.slice(at, at + startsAtOnce).map((entry) => this.startOf(entry, startBytes)));
    }
  }

  usage(): SiloUsage {
    const { usedBytes, totalBytes, entries, blocks } = this.state;
    const { capacity } = this.options;
    return {
      capacityBytes: capacity,
      usedBytes,
      deadBytes: Math.max(0, totalBytes - usedBytes),
      freeBytes: capacity === undefined ? limits.unboundedSiloBytes : Math.max(0, usableBytes(capacity) - usedBytes),
      entries,
      blocks,
    };
  }

  sequence(): number {
    return this.state.sequence;
  }

  async verify(space: Space, key: SiloKey): Promise<void> {
    await this.reading(space, key, async (place) => {
      if (place.offset === 0) return Buffer.alloc(0);
      const value = await this.fetch(place, 0, place.length);
      return value !== undefined && crc32(value) === place.checksum ? value : undefined;
    });
  }

  async renew(): Promise<void> {
    this.checkOpen();
    const { store, runtime, superblock } = this.options;
    const storeId = runtime.random.bytes(storeIdBytes);
    await writeSuperblock(store, { ...superblock, storeId });
    superblock.storeId = storeId;
  }

  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  private async closeNow(): Promise<void> {
    const { store, lock } = this.options;
    try {
      const broken = this.writer.broken;
      await this.writer.close();
      await this.house.stop();
      // Only saves time at the next opening.
      if (this.house.isBehind && broken === undefined) await this.house.checkpoint().catch((error) => this.warn(error));
    } finally {
      this.cache.clear();
      await store.close();
      await lock?.release();
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
      isSame: (now, place) => now?.pack === place.pack && now.offset === place.offset,
      read,
    });
  }

  /** Bytes of a value from its pack; undefined when they are not there. */
  private async fetch(place: Place, from: number, length: number, options?: Abortable): Promise<Buffer | undefined> {
    const range = { offset: place.offset + from, length };
    try {
      const bytes = await this.requests.run(() => this.options.store.get(packName(place.pack), range, options));
      return bytes.length === length ? bytes : undefined;
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  private async startOf(entry: IndexEntry, startBytes: number): Promise<SiloStart> {
    const { key, start, offset, length } = entry;
    if (startBytes <= startBytesMax || offset === 0) return { key, start: Buffer.from(start.subarray(0, startBytes)) };
    const more = await this.fetch(entry, 0, Math.min(startBytes, length));
    return { key, start: more ?? Buffer.from(start) };
  }

  private warn(error: unknown): void {
    const { runtime, store } = this.options;
    runtime.log.write('warn', 'silo', asError(error).message, { store: store.where });
  }
}

/** Small silos have small packs. */
function packBytesFor(capacity: number | undefined): number {
  if (capacity === undefined) return limits.packBytes;
  return Math.min(limits.packBytes, Math.max(limits.packBytesMin, Math.floor(capacity / 64)));
}

/** Three packs stay for compaction to move into; one byte in eight may be dead, so that it always finds something to gain. */
function usableBytes(capacity: number | undefined): number {
  if (capacity === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor((Math.max(0, capacity - 3 * packBytesFor(capacity)) * 7) / 8);
}
