// The silo `filesystem`: a folder with a log of our own. This file opens, formats and clears it; `silo` below puts the parts
// together. docs/formats.md has what stands in the folder.

import { join } from 'node:path/posix';
import { toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { storeIdBytes } from '../../block/address.ts';
import type { FileLock, Runtime } from '../../runtime/runtime.ts';
import { lockSilo } from '../indexed.ts';
import type { Silo, SiloConfig, SiloKind } from '../silo.ts';
import { Turns } from '../turns.ts';
import { checkpointNames, loadCheckpoint, writeCheckpoint } from './checkpoint.ts';
import { pageBytes } from './format.ts';
import { LogSilo } from './log-silo.ts';
import { type LogEnd, replayLog } from './recovery.ts';
import { Segments } from './segments.ts';
import { SiloState } from './state.ts';
import { newSuperblock, readSuperblock, type Superblock, superblockName, writeSuperblock } from './superblock.ts';

const KiB = 1024;
const MiB = 1024 * KiB;
const capacityMin = 4 * MiB;
const lockName = 'lock';
const ownName = /^(segment-\d{5}|checkpoint-[01]|silo\.json|probe|lock(\.pid|-journal)?)$/;

export const filesystemKind: SiloKind = {
  name: 'filesystem',
  open: (config, { runtime, addedBytes }) => openFilesystemSilo(config, runtime, addedBytes),
  clear: (config, { runtime }) => clearFilesystemSilo(config, runtime),
};

export async function openFilesystemSilo(config: SiloConfig, runtime: Runtime, addedBytes = 0): Promise<Silo> {
  const folder = folderOf(config);
  await runtime.files.makeDirectory(folder);
  await refuseStrangers(folder, runtime);
  const lock = await lockSilo(runtime, join(folder, lockName), folder);
  try {
    const found = await readSuperblock(runtime.files, folder);
    const superblock = found ?? (await newSuperblock(runtime, folder, segmentBytesFor(config.capacity)));
    if (superblock.openings === 0) await format(folder, runtime, superblock);
    return await openFormatted({ folder, config, runtime, lock, superblock, addedBytes });
  } catch (error) {
    await lock.release();
    throw error;
  }
}

/** Empties the folder of what is ours; the silo formatted there next is another one. */
export async function clearFilesystemSilo(config: SiloConfig, runtime: Runtime): Promise<void> {
  const folder = folderOf(config);
  if ((await runtime.files.stat(folder)) === undefined) return;
  await refuseStrangers(folder, runtime);
  const lock = await lockSilo(runtime, join(folder, lockName), folder);
  try {
    await removeContent(folder, runtime);
    await runtime.files.remove(join(folder, superblockName));
  } finally {
    await lock.release();
  }
}

interface Opening {
  folder: string;
  config: SiloConfig;
  runtime: Runtime;
  lock: FileLock;
  superblock: Superblock;
  addedBytes: number;
}

async function openFormatted(opening: Opening): Promise<Silo> {
  const { folder, config, runtime, lock } = opening;
  const superblock = { ...opening.superblock, openings: opening.superblock.openings + 1 };
  const { segmentBytes } = superblock;
  const segmentsMax = Math.min(limits.siloSegmentsMax, Math.floor((config.capacity ?? Infinity) / segmentBytes));
  const segments = new Segments({ ...runtime, ...superblock, folder, segmentsMax });
  try {
    await segments.load();
    await segments.checkDevice(0);
    const state = new SiloState(superblock, segments, new Turns(runtime.clock));
    const { checkpointNumber, damaged } = await recover(state, opening);
    const previous = superblock.storeId;
    if (damaged) {
      superblock.storeId = runtime.random.bytes(storeIdBytes);
      const facts = { folder, was: toHex(previous), now: toHex(superblock.storeId) };
      runtime.log.write('error', 'silo', 'acknowledged data is missing: the silo takes a new identity', facts);
    }
    await writeSuperblock(runtime.files, folder, superblock);
    const usedBytesMax = usableBytes(config.capacity, segmentsMax, segmentBytes);
    const silo = new LogSilo({
      state,
      runtime,
      lock,
      folder,
      checkpointNumber,
      capacity: config.capacity,
      usedBytesMax,
      addedBytes: opening.addedBytes,
      replacedStoreId: damaged ? previous : undefined,
    });
    await silo.start(damaged);
    return silo;
  } catch (error) {
    await segments.close();
    throw error;
  }
}

/** Brings the state to the end of the log. */
async function recover(state: SiloState, { folder, runtime, superblock }: Opening) {
  const { segments } = state;
  const fresh = superblock.openings === 0;
  const checkpoint = fresh ? undefined : await loadCheckpoint(runtime.files, folder, state);
  await state.recount();
  let end: LogEnd;
  if (fresh) end = { segment: await segments.begin(1), offset: pageBytes, damaged: false };
  else end = await replayLog(state, checkpoint ?? { serial: 0, offset: pageBytes, flush: 0, sequence: 0 });
  state.active = end.segment;
  state.offset = end.offset;
  const behind = checkpoint?.serial ?? 0;
  for (const segment of segments.all.values()) {
    if (segment === state.active) continue;
    if (segment.serial === state.active.serial + 1 && segment.liveRecords === 0) state.next ??= segment;
    const unused =
      segment.liveRecords === 0 && (segment.serial < Math.max(1, behind) || segment.serial > state.active.serial);
    if (unused && segment !== state.next) segments.free.push(segment);
  }
  // Before the first opening counts, so that a silo without any checkpoint is a damaged one.
  if (fresh)
    return { checkpointNumber: (await writeCheckpoint(runtime.files, folder, state, 1)).number, damaged: false };
  return { checkpointNumber: checkpoint?.number ?? 0, damaged: end.damaged || !(checkpoint?.complete ?? false) };
}

async function format(folder: string, runtime: Runtime, superblock: Superblock): Promise<void> {
  await removeContent(folder, runtime);
  await writeSuperblock(runtime.files, folder, superblock);
}

async function removeContent(folder: string, runtime: Runtime): Promise<void> {
  for (const name of await runtime.files.list(folder)) {
    const content = /^segment-\d{5}$/.test(name) || checkpointNames.some((checkpoint) => checkpoint === name);
    if (content) await runtime.files.remove(join(folder, name));
  }
}

async function refuseStrangers(folder: string, runtime: Runtime): Promise<void> {
  const names = await runtime.files.list(folder);
  const strange = names.find((name) => !ownName.test(name));
  const formatted = names.includes(superblockName);
  const content = names.some((name) => /^(segment|checkpoint)-/.test(name));
  if (formatted || (strange === undefined && !content)) return;
  throw new InfinitError('corrupt', `${folder} is not empty and is no silo`, { hint: 'choose an empty folder' });
}

function folderOf({ path }: SiloConfig): string {
  if (path === undefined) throw new InfinitError('usage', 'a filesystem silo needs a path');
  return path;
}

/**
 * Of all segments three stay for the one being filled and for compaction to move into; and one byte in eight may be dead or
 * lost at the end of a segment, so that compaction always finds something to gain.
 */
function usableBytes(capacity: number | undefined, segmentsMax: number, segmentBytes: number): number {
  if (capacity === undefined) return Number.POSITIVE_INFINITY;
  return Math.floor((Math.max(0, segmentsMax - 3) * (segmentBytes - pageBytes) * 7) / 8);
}

/** Small silos have small segments: between 64 and 128 of them, until they reach their full size. */
function segmentBytesFor(capacity: number | undefined): number {
  if (capacity === undefined) return limits.siloSegmentBytes;
  if (!(capacity >= capacityMin)) {
    throw new InfinitError('usage', `a filesystem silo needs a capacity of at least ${capacityMin} bytes`);
  }
  const share = 2 ** Math.floor(Math.log2(capacity / 64));
  // A segment should hold the largest block as soon as the capacity makes that sensible.
  const least = capacity >= 64 * MiB ? 8 * MiB : 256 * KiB;
  return Math.min(limits.siloSegmentBytes, Math.max(least, share));
}
