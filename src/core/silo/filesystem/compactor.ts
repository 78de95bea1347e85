// Regains the space of replaced and deleted values: copies what is still live in a segment to the end of the log, in slices
// and with pauses unless somebody waits. The segment becomes free at the next checkpoint, which no longer speaks of it.

import type { Clock, Log } from '../../runtime/runtime.ts';
import { recordHeaderBytes } from '../entries.ts';
import { turnCosts } from '../turns.ts';
import type { Change } from './flush.ts';
import { checksum, readRecordHeader, recordFlags } from './format.ts';
import { type IndexEntry, shardCount } from './index.ts';
import type { Segment } from './segments.ts';
import type { SiloState } from './state.ts';

export interface CompactorOptions {
  state: SiloState;
  clock: Clock;
  log: Log;
  move(changes: readonly Change[]): Promise<void>;
  /** Writes a checkpoint and frees what it allows. */
  checkpoint(): Promise<void>;
  stopped(): boolean;
}

const sliceBytes = 1024 * 1024;
const sliceRecords = 256;
/** Compacted without need below this share of live bytes. */
const sparseShare = 0.5;
/** Compacted under need up to this share. */
const fullShare = 0.97;
/** Compacting a segment for less than this share of it is refused: the silo is full then. */
const worthShare = 1 / 64;
/** Pauses of this many times the length of a slice. */
const restFactor = 3;
/** Live entries are sorted by so much of the segment at a time. */
const sortBytes = 1024 * 1024;

export class Compactor {
  private readonly options: CompactorOptions;
  private running: Promise<boolean> | undefined;
  private urgent = false;

  constructor(options: CompactorOptions) {
    this.options = options;
  }

  /** Compacts one sparse segment if there is one, gently. */
  tidy(): Promise<boolean> {
    this.running ??= this.compactOne(sparseShare).finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  /** Makes room at any price. False when it is not worth it: what is left is live, or too little. */
  async reclaim(): Promise<boolean> {
    const { state, checkpoint } = this.options;
    this.urgent = true;
    try {
      await this.running;
      await checkpoint();
      if (state.spare >= 2) return true;
      const before = this.room();
      this.running = this.compactOne(fullShare).finally(() => {
        this.running = undefined;
      });
      if (!(await this.running)) return false;
      await checkpoint();
      return this.room() - before >= state.superblock.segmentBytes * worthShare;
    } finally {
      this.urgent = false;
    }
  }

  async stop(): Promise<void> {
    await this.running;
  }

  private room(): number {
    const { spare, offset, superblock } = this.options.state;
    return spare * superblock.segmentBytes + superblock.segmentBytes - offset;
  }

  /** The sealed segment with the least in it, below the share of a whole one. */
  private victim(share: number): Segment | undefined {
    const { state } = this.options;
    let best: Segment | undefined;
    for (const segment of state.segments.all.values()) {
      if (segment.damaged || segment.liveRecords === 0 || !state.isSealed(segment)) continue;
      if (segment.liveBytes >= share * state.superblock.segmentBytes) continue;
      if (best === undefined || segment.liveBytes < best.liveBytes) best = segment;
    }
    return best;
  }

  private async compactOne(share: number): Promise<boolean> {
    const segment = this.victim(share);
    if (segment === undefined) return false;
    for (const entries of await this.liveEntries(segment)) {
      await this.options.state.turns.take(entries.length * turnCosts.slot);
      entries.sort((a, b) => a.offset - b.offset);
      await this.moveAll(segment, entries);
    }
    return segment.liveRecords === 0;
  }

  private async moveAll(segment: Segment, entries: readonly IndexEntry[]): Promise<void> {
    const { clock, stopped, state } = this.options;
    const sliceMax = Math.min(sliceBytes, state.superblock.segmentBytes / 8);
    for (let at = 0; at < entries.length && !stopped(); ) {
      const began = clock.monotonic();
      const slice = takeSlice(entries, at, sliceMax);
      await this.moveSlice(segment, slice);
      at += slice.length;
      if (!this.urgent) await clock.sleep(restFactor * (clock.monotonic() - began));
    }
  }

  /** In parts by their place in the segment, each not sorted yet: a segment may hold a million. */
  private async liveEntries(segment: Segment): Promise<IndexEntry[][]> {
    const { index, turns } = this.options.state;
    const parts: IndexEntry[][] = Array.from({ length: Math.ceil(segment.bytes / sortBytes) }, () => []);
    for (let shard = 0; shard < shardCount; shard++) {
      await turns.take(index.slots(shard) * turnCosts.slot);
      index.scanShard(shard, (id, offset, length, space) => {
        if (id === segment.id) parts[Math.floor(offset / sortBytes)]?.push({ segment: id, offset, length, space });
      });
    }
    return parts;
  }

  private async moveSlice(segment: Segment, entries: readonly IndexEntry[]): Promise<void> {
    const { state, move, log } = this.options;
    const changes: Change[] = [];
    for (const entry of entries) {
      const { space, offset, length } = entry;
      const record = Buffer.allocUnsafe(recordHeaderBytes + length);
      await state.segments.read(segment, record, offset);
      await state.turns.take(1, length);
      const header = readRecordHeader(record, 0, state.superblock.salt);
      const value = record.subarray(recordHeaderBytes);
      const good =
        header?.serial === segment.serial &&
        header.length === length &&
        (header.flags & recordFlags.deletion) === 0 &&
        header.valueChecksum === checksum(value);
      if (good) changes.push({ space, key: header.key, value, movedFrom: entry });
      else if (!segment.damaged && state.isSealed(segment) && segment.liveRecords > 0) {
        segment.damaged = true;
        log.write('error', 'silo', 'a stored value cannot be read back', { segment: segment.path, offset });
      }
    }
    await move(changes);
  }
}

/** The next entries whose records fit the bytes; at least one. */
function takeSlice(entries: readonly IndexEntry[], from: number, bytesMax: number): IndexEntry[] {
  const out: IndexEntry[] = [];
  let bytes = 0;
  for (const entry of entries.slice(from, from + sliceRecords)) {
    bytes += recordHeaderBytes + entry.length;
    if (out.length > 0 && bytes > bytesMax) break;
    out.push(entry);
  }
  return out;
}
