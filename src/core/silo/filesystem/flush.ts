// One flush in the making: the records of several atoms laid out in a staging buffer, and what will be true once it is
// durable. Nothing here touches the disk or the index.

import type { Bytes } from '../../base/bytes.ts';
import { recordHeaderBytes } from '../entries.ts';
import { checksum, recordFlags, resealRecord, writeRecordHeader } from './format.ts';
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
  /** By fingerprint, the bytes of a key once the flush is applied. */
  overlay: Map<number, number>;
  usedBytes: number;
}

/** Bytes a key takes once the flush before, and this one so far, are applied. */
export function pendingBytes(state: SiloState, change: Change, flush: Flush, before: Flush | undefined): number {
  const fingerprint = state.index.fingerprint(change.space, change.key);
  const pending = flush.overlay.get(fingerprint) ?? before?.overlay.get(fingerprint);
  if (pending !== undefined) return pending;
  const place = state.index.get(change.space, change.key);
  return place === undefined ? 0 : recordHeaderBytes + place.length;
}

/** Adds the atom. Deletions of nothing, and moves of what has changed since, leave no record. */
export function stageAtom(state: SiloState, atom: Atom, flush: Flush, before: Flush | undefined): void {
  let last = -1;
  for (const change of atom.changes) {
    const { space, key, value, movedFrom } = change;
    const fingerprint = state.index.fingerprint(space, key);
    const bytesBefore = pendingBytes(state, change, flush, before);
    const place = state.index.get(space, key);
    if (movedFrom !== undefined) {
      const changed = flush.overlay.has(fingerprint) || before?.overlay.has(fingerprint);
      if (changed || !state.samePlace(place, movedFrom)) continue;
    } else if (value === undefined && bytesBefore === 0 && place === undefined) {
      continue;
    }
    const bytesAfter = value === undefined ? 0 : recordHeaderBytes + value.length;
    if (movedFrom === undefined) flush.sequence++;
    flush.usedBytes += bytesAfter - bytesBefore;
    flush.overlay.set(fingerprint, bytesAfter);
    flush.records.push({ ...change, segment: flush.segment, offset: flush.offset + flush.length });
    last = flush.length;
    stageRecord(state, change, flush);
  }
  if (last < 0) return;
  const flags = flush.buffer.readUInt8(last + 4) | recordFlags.end;
  resealRecord(flush.buffer, last, flags, state.superblock.salt);
}

function stageRecord(state: SiloState, { space, key, value, movedFrom }: Change, flush: Flush): void {
  const header = {
    flags: (value === undefined ? recordFlags.deletion : 0) | (movedFrom === undefined ? 0 : recordFlags.moved),
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
