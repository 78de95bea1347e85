// One flush: the records of several atoms laid out in a staging buffer, and what will be true once it is durable. Nothing here
// touches the disk, and the index only when the flush is applied.

import type { Bytes } from '../../base/bytes.ts';
import { limits } from '../../base/limits.ts';
import { recordHeaderBytes } from '../entries.ts';
import { type Turns, turnCosts } from '../turns.ts';
import { alignUp, checksum, recordFlags, resealRecord, writeRecordHeader } from './format.ts';
import type { Place } from './index.ts';
import type { Segment } from './segments.ts';
import type { SiloState } from './state.ts';

export interface Change {
  space: number;
  key: Bytes;
  value: Bytes | undefined;
  /** Compaction: only while the value is still at this place. */
  movedFrom?: Place;
}

/** Changes that take effect together or not at all. */
export interface Atom {
  changes: readonly Change[];
  bytes: number;
  /** Needs room beyond what is kept for deletions and compaction. */
  grows: boolean;
  resolve(): void;
  reject(error: unknown): void;
}

interface Written extends Change {
  segment: Segment;
  offset: number;
}

export interface Flush {
  buffer: Buffer;
  length: number;
  segment: Segment;
  offset: number;
  number: number;
  sequence: number;
  atoms: Atom[];
  records: Written[];
  /** For each atom that left records, how many there were with it. */
  ends: number[];
  /** By fingerprint, the bytes of a key once the flush is applied. */
  overlay: Map<number, number>;
  usedBytes: number;
  /** The one that was on its way when this was begun; until this goes itself. */
  before: Flush | undefined;
  /** Has no room for what comes next. */
  full: boolean;
}

/** An empty one, behind the one that is on its way. */
export function newFlush(state: SiloState, buffers: readonly Buffer[], before: Flush | undefined): Flush {
  return {
    buffer: buffers.find((buffer) => buffer !== before?.buffer) as Buffer,
    length: 0,
    segment: state.active,
    offset: before === undefined ? state.offset : before.offset + before.length,
    number: (before?.number ?? state.flush) + 1,
    sequence: before?.sequence ?? state.sequence,
    atoms: [],
    records: [],
    ends: [],
    overlay: new Map(),
    usedBytes: before?.usedBytes ?? state.usedBytes,
    before,
    full: false,
  };
}

/** Whether one flush may have the atom too. */
export function hasRoom({ records, length }: Flush, atom: Atom): boolean {
  if (records.length === 0) return true;
  const { siloBatchRecordsMax, siloBatchBytesMax } = limits;
  return records.length + atom.changes.length <= siloBatchRecordsMax && length + atom.bytes <= siloBatchBytesMax;
}

/** Bytes a key takes once the flush before, and this one so far, are applied. */
export function pendingBytes(state: SiloState, change: Change, flush: Flush): number {
  const fingerprint = state.index.fingerprint(change.space, change.key);
  const pending = flush.overlay.get(fingerprint) ?? flush.before?.overlay.get(fingerprint);
  if (pending !== undefined) return pending;
  const place = state.index.get(change.space, change.key);
  return place === undefined ? 0 : recordHeaderBytes + place.length;
}

/**
 * Adds a change of the atom being staged, `last` or not. Deletions of nothing, and moves of what has changed since, leave no record. The
 * flush before may be applied in the meantime: what its overlay says is then what the index says.
 */
export function stageChange(state: SiloState, change: Change, last: boolean, flush: Flush): void {
  const { space, key, value, movedFrom } = change;
  const fingerprint = state.index.fingerprint(space, key);
  const bytesBefore = pendingBytes(state, change, flush);
  const place = state.index.get(space, key);
  if (movedFrom !== undefined) {
    const changed = flush.overlay.has(fingerprint) || flush.before?.overlay.has(fingerprint);
    if (changed || !state.samePlace(place, movedFrom)) return;
  } else if (value === undefined && bytesBefore === 0 && place === undefined) {
    return;
  }
  const bytesAfter = value === undefined ? 0 : recordHeaderBytes + value.length;
  if (movedFrom === undefined) flush.sequence++;
  flush.usedBytes += bytesAfter - bytesBefore;
  flush.overlay.set(fingerprint, bytesAfter);
  flush.records.push({ ...change, segment: flush.segment, offset: flush.offset + flush.length });
  stageRecord(state, change, last, flush);
}

/** Ends the atom, unless it left no record: its last change need not be the one that left the last. */
export function endAtom(state: SiloState, flush: Flush): void {
  const last = flush.records.at(-1);
  if (last === undefined || flush.records.length === flush.ends.at(-1)) return;
  flush.ends.push(flush.records.length);
  const at = last.offset - flush.offset;
  const flags = flush.buffer.readUInt8(at + 4);
  if ((flags & recordFlags.end) === 0) resealRecord(flush.buffer, at, flags | recordFlags.end, state.superblock.salt);
}

/** Nothing more comes: fills the last page. */
export function endFlush(flush: Flush): void {
  const padded = alignUp(flush.length);
  flush.buffer.fill(0, flush.length, padded);
  flush.length = padded;
  flush.before = undefined;
}

/**
 * Makes a durable flush true, by turns of the event loop, every atom whole. The end of the log moves last, so that a checkpoint
 * begun in between has the flush replayed.
 */
export async function applyFlush(state: SiloState, flush: Flush, turns: Turns): Promise<void> {
  let i = 0;
  for (const end of flush.ends) {
    const turn = turns.take((end - i) * turnCosts.applied);
    if (turn !== undefined) await turn;
    for (; i < end; i++) {
      const { space, key, value, segment, offset } = flush.records[i] as Written;
      if (value === undefined) state.delete(space, key);
      else state.put(space, key, segment, offset, value.length);
    }
  }
  state.offset = flush.offset + flush.length;
  state.flush = flush.number;
  state.sequence = flush.sequence;
  state.appendedBytes += flush.length;
}

function stageRecord(state: SiloState, change: Change, last: boolean, flush: Flush): void {
  const { space, key, value, movedFrom } = change;
  const { deletion, end, moved } = recordFlags;
  const header = {
    flags: (value === undefined ? deletion : 0) | (movedFrom === undefined ? 0 : moved) | (last ? end : 0),
    space,
    flush: flush.number,
    opening: state.superblock.openings,
    serial: flush.segment.serial,
    length: value?.length ?? 0,
    sequence: flush.sequence,
    key,
    valueChecksum: value === undefined ? 0 : checksum(value),
  };
  writeRecordHeader(flush.buffer, flush.length, header, state.superblock.salt);
  flush.length += recordHeaderBytes;
  if (value === undefined) return;
  flush.buffer.set(value, flush.length);
  flush.length += value.length;
}
