// What a filesystem silo knows: the index, the segments, the end of the log, and the counts that follow from them. Writer,
// recovery, compaction and checkpoints all change it through `put` and `delete`, so that the counts are right everywhere.

import type { Bytes } from '../../base/bytes.ts';
import { recordHeaderBytes } from '../entries.ts';
import { type Turns, turnCosts } from '../turns.ts';
import { type Place, SiloIndex, shardCount } from './index.ts';
import type { Segment, Segments } from './segments.ts';
import type { Superblock } from './superblock.ts';

/** A place in the log: everything before it is durable. */
export interface LogPosition {
  serial: number;
  offset: number;
  /** The last flush before it. */
  flush: number;
  sequence: number;
}

export class SiloState {
  readonly superblock: Superblock;
  readonly segments: Segments;
  readonly index: SiloIndex;
  readonly turns: Turns;
  usedBytes = 0;
  entries = 0;
  blocks = 0;
  /** Acknowledged changes. */
  sequence = 0;
  /** The last flush that is durable. */
  flush = 0;
  /** Where the next flush goes; `offset` is a multiple of the page. */
  active: Segment;
  offset = 0;
  /** Begun and waiting for the active one to fill up. */
  next: Segment | undefined;
  /** Bytes appended since the last checkpoint began. */
  appendedBytes = 0;

  constructor(superblock: Superblock, segments: Segments, turns: Turns) {
    this.superblock = superblock;
    this.segments = segments;
    this.turns = turns;
    this.index = new SiloIndex(superblock.seed);
    this.active = noSegment;
  }

  position(): LogPosition {
    return { serial: this.active.serial, offset: this.offset, flush: this.flush, sequence: this.sequence };
  }

  /** Whether a segment is behind the end of the log: neither written to nor about to be, nor free. */
  isSealed(segment: Segment): boolean {
    return segment.serial > 0 && segment.serial < this.active.serial && !this.segments.free.includes(segment);
  }

  /** Segments that can be begun beside the active one. */
  get spare(): number {
    return this.segments.available + (this.next === undefined ? 0 : 1);
  }

  get deadBytes(): number {
    let dead = 0;
    for (const segment of this.segments.all.values()) {
      if (segment === this.active) dead += Math.max(0, this.offset - segment.liveBytes);
      else if (this.isSealed(segment)) dead += Math.max(0, segment.bytes - segment.liveBytes);
    }
    return dead;
  }

  put(space: number, key: Bytes, segment: Segment, offset: number, length: number): void {
    const old = this.index.set(space, key, segment.id, offset, length);
    if (old === undefined) this.countEntry(space, 1);
    else this.count(old.segment, old.length, -1);
    this.count(segment.id, length, 1);
  }

  delete(space: number, key: Bytes): boolean {
    const old = this.index.delete(space, key);
    if (old === undefined) return false;
    this.countEntry(space, -1);
    this.count(old.segment, old.length, -1);
    return true;
  }

  /** Counts everything anew from the index, which must not change meanwhile. */
  async recount(): Promise<void> {
    this.usedBytes = this.entries = this.blocks = 0;
    for (const segment of this.segments.all.values()) segment.liveBytes = segment.liveRecords = 0;
    for (let shard = 0; shard < shardCount; shard++) {
      await this.turns.take(this.index.slots(shard) * turnCosts.slot);
      this.index.scanShard(shard, (segment, _offset, length, space) => {
        this.countEntry(space, 1);
        this.count(segment, length, 1);
      });
    }
  }

  samePlace(a: Place | undefined, b: Place): boolean {
    return a !== undefined && a.segment === b.segment && a.offset === b.offset && a.length === b.length;
  }

  private countEntry(space: number, sign: 1 | -1): void {
    this.entries += sign;
    if (space === 0) this.blocks += sign;
  }

  private count(segmentId: number, length: number, sign: 1 | -1): void {
    const bytes = sign * (recordHeaderBytes + length);
    this.usedBytes += bytes;
    const segment = this.segments.all.get(segmentId);
    if (segment === undefined) return;
    segment.liveBytes += bytes;
    segment.liveRecords += sign;
  }
}

const noSegment: Segment = { id: 0, path: '', serial: 0, bytes: 0, liveBytes: 0, liveRecords: 0, damaged: false };
