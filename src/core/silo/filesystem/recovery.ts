// Reading the log back at open: from the place of the last checkpoint to its end. Flush numbers have no gaps, and one flush
// is durable before the next is written; so what is unreadable but followed by a flush two numbers on was once acknowledged
// and is damage, and what is followed by nothing is the torn end of a crash, which nobody was told had happened.

import { recordHeaderBytes } from '../entries.ts';
import { alignUp, checksum, pageBytes, type RecordHeader, readRecordHeader, recordFlags } from './format.ts';
import type { Segment } from './segments.ts';
import type { LogPosition, SiloState } from './state.ts';

export interface LogEnd {
  segment: Segment;
  /** A multiple of the page. */
  offset: number;
  /** Something acknowledged is missing. */
  damaged: boolean;
}

interface Cursor {
  segment: Segment;
  offset: number;
  flush: number;
  opening: number;
}

interface Found extends RecordHeader {
  offset: number;
}

const windowBytes = 256 * 1024;
/** How far behind an unreadable place a later flush is looked for in the same segment. */
const lookAheadBytes = 32 * 1024 * 1024;

/** Replays what stands behind the position into the state. */
export async function replayLog(state: SiloState, from: LogPosition): Promise<LogEnd> {
  const chain = [...state.segments.all.values()]
    .filter((segment) => segment.serial >= Math.max(1, from.serial))
    .sort((a, b) => a.serial - b.serial);
  state.sequence = from.sequence;
  const reader = new LogReader(state);
  const first = chain[0];
  let damaged = first === undefined || first.serial !== from.serial || from.offset > first.bytes;
  if (first === undefined) return { segment: await state.segments.begin(from.serial + 1), offset: pageBytes, damaged };
  const cursor: Cursor = { segment: first, offset: damaged ? pageBytes : from.offset, flush: from.flush, opening: 0 };
  for (;;) {
    await reader.replaySegment(cursor);
    // What a killed process left in the page cache is readable, and could still be lost behind what is written next.
    await state.segments.sync(cursor.segment);
    const next = await reader.continuation(cursor, chain);
    if (next === undefined) break;
    damaged ||= next.flush > cursor.flush;
    Object.assign(cursor, next);
  }
  state.flush = cursor.flush;
  return { segment: cursor.segment, offset: cursor.offset, damaged };
}

class LogReader {
  private readonly state: SiloState;
  private readonly salt: number;
  private window = Buffer.alloc(windowBytes);
  private windowSegment: Segment | undefined;
  private windowStart = 0;
  private windowLength = 0;

  constructor(state: SiloState) {
    this.state = state;
    this.salt = state.superblock.salt;
  }

  /** Applies whole atoms from the cursor on, and leaves the cursor at the page behind the last one. */
  async replaySegment(cursor: Cursor): Promise<void> {
    let { offset: at, flush, opening } = cursor;
    let atomStart = at;
    let atom: Found[] = [];
    for (;;) {
      const record = await this.record(cursor.segment, at);
      const follows = record !== undefined && continues(record, at, flush, opening);
      if (follows && (await this.valueIsGood(cursor.segment, record))) {
        atom.push(record);
        ({ flush, opening } = record);
        at += recordHeaderBytes + record.length;
        if ((record.flags & recordFlags.end) === 0) continue;
        this.apply(cursor.segment, atom);
        Object.assign(cursor, { offset: alignUp(at), flush, opening });
      } else {
        // Nothing more of this flush: the next one starts at the page behind the last whole atom.
        if (atomStart === cursor.offset) return;
        at = cursor.offset;
        ({ flush, opening } = cursor);
      }
      atomStart = at;
      atom = [];
    }
  }

  /** Where the log goes on, though what stands at the cursor is not its next flush; undefined at its end. */
  async continuation(cursor: Cursor, chain: readonly Segment[]): Promise<Cursor | undefined> {
    const later = chain.filter((segment) => segment.serial > cursor.segment.serial);
    const following = later[0];
    if (following !== undefined) {
      const record = await this.record(following, pageBytes);
      if (record?.flush === cursor.flush + 1 && record.opening >= cursor.opening) {
        return { segment: following, offset: pageBytes, flush: cursor.flush, opening: record.opening };
      }
    }
    const end = Math.min(cursor.segment.bytes, cursor.offset + lookAheadBytes);
    for (let offset = cursor.offset; offset < end; offset += pageBytes) {
      const record = await this.record(cursor.segment, offset);
      if (record !== undefined && record.flush >= cursor.flush + 2) {
        return { segment: cursor.segment, offset, flush: record.flush - 1, opening: record.opening };
      }
    }
    for (const segment of later) {
      const record = await this.record(segment, pageBytes);
      if (record !== undefined && record.flush >= cursor.flush + 2) {
        return { segment, offset: pageBytes, flush: record.flush - 1, opening: record.opening };
      }
    }
    return undefined;
  }

  private apply(segment: Segment, atom: readonly Found[]): void {
    for (const { flags, space, key, offset, length, sequence } of atom) {
      if ((flags & recordFlags.deletion) !== 0) this.state.delete(space, key);
      else this.state.put(space, key, segment, offset, length);
      this.state.sequence = Math.max(this.state.sequence, sequence);
    }
  }

  private async record(segment: Segment, offset: number): Promise<Found | undefined> {
    await this.state.turns.take(1);
    const bytes = await this.view(segment, offset, recordHeaderBytes);
    const header = bytes === undefined ? undefined : readRecordHeader(bytes, 0, this.salt);
    if (header === undefined || header.serial !== segment.serial) return undefined;
    // The key shares the memory of the window, which the value may move already.
    return { ...header, key: Buffer.from(header.key), offset };
  }

  private async valueIsGood(segment: Segment, record: Found): Promise<boolean> {
    if ((record.flags & recordFlags.deletion) !== 0) return record.length === 0;
    await this.state.turns.take(0, record.length);
    const value = await this.view(segment, record.offset + recordHeaderBytes, record.length);
    return value !== undefined && checksum(value) === record.valueChecksum;
  }

  /** Bytes of a segment, through a window that moves forward. */
  private async view(segment: Segment, offset: number, length: number): Promise<Buffer | undefined> {
    if (offset + length > segment.bytes) return undefined;
    const start = offset - this.windowStart;
    if (this.windowSegment === segment && start >= 0 && start + length <= this.windowLength) {
      return this.window.subarray(start, start + length);
    }
    if (length > this.window.length) this.window = Buffer.alloc(length);
    this.windowSegment = segment;
    this.windowStart = offset;
    this.windowLength = await this.state.segments.read(segment, this.window, offset);
    return this.windowLength < length ? undefined : this.window.subarray(0, length);
  }
}

function continues(record: RecordHeader, at: number, flush: number, opening: number): boolean {
  if (record.flush === flush && record.opening === opening) return true;
  return at % pageBytes === 0 && record.flush === flush + 1 && record.opening >= opening;
}
