// The index on disk, so that opening reads only what was written since. Two files are written in turn; the valid one with
// the higher number counts. A checkpoint names a place in the log taken before the first shard was copied: replaying the log
// from there makes up for what changed while it was written.

import { join } from 'node:path/posix';
import { crc32 } from 'node:zlib';
import { isError } from '../../base/errors.ts';
import type { File, Files } from '../../runtime/runtime.ts';
import { turnCosts } from '../turns.ts';
import { type ShardImage, shardCount } from './index.ts';
import type { LogPosition, SiloState } from './state.ts';

export interface Checkpoint extends LogPosition {
  number: number;
  bytes: number;
  /** False when a segment it speaks of is missing or unreadable. */
  complete: boolean;
}

/** "ISC1": a checkpoint of format 1. */
const magic = 0x49_53_43_31;
const headerBytes = 40;
const shardHeaderBytes = 12;
const bytesPerSlot = 18;
const writeSliceBytes = 1024 * 1024;
export const checkpointNames = ['checkpoint-0', 'checkpoint-1'] as const;

/** Writes the checkpoint of that number in slices. Durable when it resolves. */
export async function writeCheckpoint(
  files: Files,
  folder: string,
  state: SiloState,
  number: number,
): Promise<Checkpoint> {
  const position = state.position();
  const file = await files.open(checkpointPath(folder, number), { mode: 'create' });
  try {
    let written = 0;
    let parts: Buffer[] = [encodeHeader(position, number, state.superblock.salt)];
    let waiting = headerBytes;
    const flush = async () => {
      await file.write(Buffer.concat(parts), written);
      written += waiting;
      parts = [];
      waiting = 0;
    };
    for (let shard = 0; shard < shardCount; shard++) {
      await state.turns.take(0, state.index.slots(shard) * bytesPerSlot);
      const part = encodeShard(state.index.image(shard), sumSeed(number, state.superblock.salt));
      parts.push(part);
      waiting += part.length;
      if (waiting >= writeSliceBytes) await flush();
    }
    await flush();
    await file.sync();
    await files.syncDirectory(folder);
    return { ...position, number, bytes: written, complete: true };
  } finally {
    await file.close();
  }
}

/** Loads the newest valid checkpoint into the index of the state; undefined when there is none. */
export async function loadCheckpoint(files: Files, folder: string, state: SiloState): Promise<Checkpoint | undefined> {
  const found: Checkpoint[] = [];
  for (const name of checkpointNames) {
    const header = await withFile(files, join(folder, name), (file) => readHeader(file, state.superblock.salt));
    if (header !== undefined) found.push(header);
  }
  found.sort((a, b) => b.number - a.number);
  for (const header of found) {
    const path = checkpointPath(folder, header.number);
    const loaded = await withFile(files, path, async (file) => {
      if (!(await loadShards(file, state, header))) return false;
      // It may be what a killed process had not flushed yet, and segments are freed by what it says.
      await file.sync();
      return true;
    });
    if (loaded) return header;
  }
  return undefined;
}

function checkpointPath(folder: string, number: number): string {
  return join(folder, checkpointNames[number % 2 === 0 ? 0 : 1]);
}

async function withFile<T>(files: Files, path: string, task: (file: File) => Promise<T>): Promise<T | undefined> {
  let file: File;
  try {
    file = await files.open(path, { mode: 'read' });
  } catch (error) {
    if (isError(error, 'not-found')) return undefined;
    throw error;
  }
  try {
    return await task(file);
  } finally {
    await file.close();
  }
}

/** Ties every shard to its checkpoint: an overwritten older one may still be legible behind it. */
function sumSeed(number: number, salt: number): number {
  return (salt ^ number) >>> 0;
}

function encodeHeader(position: LogPosition, number: number, salt: number): Buffer {
  const out = Buffer.alloc(headerBytes);
  out.writeUInt32BE(magic, 0);
  out.writeUIntBE(number, 4, 6);
  out.writeUInt32BE(position.serial, 10);
  out.writeUInt32BE(position.offset, 14);
  out.writeUIntBE(position.flush, 18, 6);
  out.writeUIntBE(position.sequence, 24, 6);
  out.writeUInt32BE(crc32(out.subarray(0, 36), salt), 36);
  return out;
}

async function readHeader(file: File, salt: number): Promise<Checkpoint | undefined> {
  const header = Buffer.alloc(headerBytes);
  if ((await file.read(header, 0)) < headerBytes) return undefined;
  if (header.readUInt32BE(0) !== magic || header.readUInt32BE(36) !== crc32(header.subarray(0, 36), salt))
    return undefined;
  return {
    number: header.readUIntBE(4, 6),
    serial: header.readUInt32BE(10),
    offset: header.readUInt32BE(14),
    flush: header.readUIntBE(18, 6),
    sequence: header.readUIntBE(24, 6),
    bytes: await file.bytes(),
    complete: true,
  };
}

function encodeShard({ count, words, segments }: ShardImage, seed: number): Buffer {
  const slots = segments.length;
  const out = Buffer.allocUnsafe(shardHeaderBytes + slots * bytesPerSlot);
  out.set(new Uint8Array(words.buffer, words.byteOffset, words.byteLength), shardHeaderBytes);
  out.set(
    new Uint8Array(segments.buffer, segments.byteOffset, segments.byteLength),
    shardHeaderBytes + words.byteLength,
  );
  out.writeUInt32BE(slots, 0);
  out.writeUInt32BE(count, 4);
  out.writeUInt32BE(shardSum(out, seed), 8);
  return out;
}

function shardSum(shard: Buffer, seed: number): number {
  return crc32(shard.subarray(shardHeaderBytes), crc32(shard.subarray(0, 8), seed));
}

async function loadShards(file: File, state: SiloState, header: Checkpoint): Promise<boolean> {
  const seed = sumSeed(header.number, state.superblock.salt);
  const window = new Window(file, headerBytes, header.bytes);
  header.complete = true;
  // A segment begun again since holds other records now; what it held was replaced, and the log tells by what.
  const keep = (id: number) => {
    const serial = state.segments.all.get(id)?.serial ?? 0;
    if (serial === 0) header.complete = false;
    return serial > 0 && serial <= header.serial;
  };
  for (let shard = 0; shard < shardCount; shard++) {
    const head = await window.take(shardHeaderBytes);
    if (head === undefined) return false;
    const [slots, sum] = [head.readUInt32BE(0), head.readUInt32BE(8)];
    const whole = await window.extend(shardHeaderBytes + slots * bytesPerSlot);
    await state.turns.take(slots * turnCosts.slot, slots * bytesPerSlot);
    if (whole === undefined || shardSum(whole, seed) !== sum) return false;
    if (!state.index.restore(shard, decodeShard(whole, slots), keep)) return false;
  }
  return true;
}

function decodeShard(shard: Buffer, slots: number): ShardImage {
  // Copied, because the arrays need an alignment that the file does not give them.
  const words = new Uint8Array(shard.subarray(shardHeaderBytes, shardHeaderBytes + slots * 16));
  const segments = new Uint8Array(shard.subarray(shardHeaderBytes + slots * 16));
  return {
    count: shard.readUInt32BE(4),
    words: new Uint32Array(words.buffer),
    segments: new Uint16Array(segments.buffer),
  };
}

/** Reads a file front to back through one buffer. */
class Window {
  private readonly file: File;
  private readonly end: number;
  private buffer = Buffer.alloc(0);
  private start: number;
  private at = 0;
  private taken = 0;

  constructor(file: File, start: number, end: number) {
    this.file = file;
    this.start = start;
    this.end = end;
  }

  /** The next bytes; undefined at the end of the file. */
  async take(bytes: number): Promise<Buffer | undefined> {
    this.at += this.taken;
    this.taken = 0;
    return this.extend(bytes);
  }

  /** As many bytes from where the last `take` began. */
  async extend(bytes: number): Promise<Buffer | undefined> {
    if (this.start + this.at + bytes > this.end) return undefined;
    if (this.at + bytes > this.buffer.length) {
      this.start += this.at;
      this.at = 0;
      const wanted = Math.min(Math.max(bytes, writeSliceBytes), this.end - this.start);
      const next = Buffer.allocUnsafe(wanted);
      if ((await this.file.read(next, this.start)) < wanted) return undefined;
      this.buffer = next;
    }
    this.taken = bytes;
    return this.buffer.subarray(this.at, this.at + bytes);
  }
}
