// The segment files of a silo: making, zeroing ahead of need, recycling, reading, writing. A segment is zeroed with real
// writes before it is used, because then a flush of records changes no metadata of the file system; and a free one is kept
// for the next use, because its blocks are zeroed already.

import { join } from 'node:path/posix';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { File, Files, Log } from '../../runtime/runtime.ts';
import { recordHeaderBytes } from '../entries.ts';
import { pageBytes, readRecordHeader, readSegmentHeader, writeSegmentHeader } from './format.ts';

const MiB = 1024 * 1024;
const zeroSliceBytes = MiB;
const zeroAheadMin = MiB;
const zeroAheadMax = 16 * MiB;
/** Left on the device for checkpoints and deletions, which must still be written when it is full. */
const deviceReserveBytes = 64 * MiB;

const segmentName = /^segment-(\d{5})$/;

export interface Segment {
  readonly id: number;
  readonly path: string;
  /** Which use of the file this is; 0 when it was never used. Serials only grow. */
  serial: number;
  /** Bytes of the file, all written once. */
  bytes: number;
  liveBytes: number;
  liveRecords: number;
  /** A live record in it cannot be read, so it is never compacted. */
  damaged: boolean;
}

export interface SegmentOptions {
  files: Files;
  log: Log;
  folder: string;
  segmentBytes: number;
  segmentsMax: number;
  salt: number;
  direct: boolean;
}

export class Segments {
  readonly all = new Map<number, Segment>();
  readonly free: Segment[] = [];
  private readonly options: SegmentOptions;
  private readonly readers = new Map<number, Promise<File>>();
  private readonly writers = new Map<number, File>();
  private direct: boolean;
  /** When last asked; growing asks each time. */
  private deviceFull = false;
  deviceFreeBytes = 0;
  private zeros: Buffer | undefined;
  private page: Buffer | undefined;

  constructor(options: SegmentOptions) {
    this.options = options;
    this.direct = options.direct;
  }

  /** Segments that can still be begun. */
  get available(): number {
    return this.free.length + (this.deviceFull ? 0 : Math.max(0, this.options.segmentsMax - this.all.size));
  }

  /** Memory from which segments can be written directly. */
  async alignedBuffer(segment: Segment, bytes: number): Promise<Buffer> {
    return (await this.writer(segment)).alignedBuffer(bytes);
  }

  get diskBytes(): number {
    let sum = 0;
    for (const segment of this.all.values()) sum += segment.bytes;
    return sum;
  }

  /** Finds the files there are; the serial is 0 when neither the header nor the first record tells it. */
  async load(): Promise<void> {
    // A killed process may have made a file whose name is not durable yet.
    await this.options.files.syncDirectory(this.options.folder);
    for (const name of await this.options.files.list(this.options.folder)) {
      const id = Number(segmentName.exec(name)?.[1] ?? 0);
      if (id === 0) continue;
      const segment = this.add(id);
      const file = await this.reader(segment);
      segment.bytes = Math.min(await file.bytes(), this.options.segmentBytes);
      const start = Buffer.alloc(pageBytes + recordHeaderBytes);
      await file.read(start, 0);
      const { salt } = this.options;
      segment.serial = readSegmentHeader(start, salt) ?? readRecordHeader(start, pageBytes, salt)?.serial ?? 0;
    }
  }

  /** Fills the buffer; returns the bytes there were. */
  async read(segment: Segment, into: Bytes, position: number): Promise<number> {
    for (let attempt = 0; ; attempt++) {
      const file = await this.reader(segment);
      try {
        return await file.read(into, position);
      } catch (error) {
        // The file was closed for another's sake between the two steps; open it again.
        const evicted = !this.readers.has(segment.id) || (await this.readers.get(segment.id)) !== file;
        if (attempt >= 3 || !evicted) throw error;
      }
    }
  }

  async sync(segment: Segment): Promise<void> {
    await (await this.reader(segment)).sync();
  }

  async write(segment: Segment, from: Bytes, position: number): Promise<void> {
    const file = await this.writer(segment);
    await file.write(from, position);
  }

  /** Begins a new use of a free segment, or of a new file: durable when it resolves. Throws `full` when there is none. */
  async begin(serial: number): Promise<Segment> {
    const segment = this.free.pop() ?? (await this.create());
    // At once, for while the header is being written it must not pass for one of the past that is empty.
    segment.serial = serial;
    try {
      const file = await this.writer(segment);
      this.page ??= file.alignedBuffer(pageBytes);
      writeSegmentHeader(this.page, serial, this.options.salt);
      await file.write(this.page, 0);
    } catch (error) {
      this.free.push(segment);
      throw error;
    }
    segment.bytes = Math.max(segment.bytes, pageBytes);
    return segment;
  }

  /** Where zeroing should have got to when writing stands at the position: small silos take little. */
  zeroTarget(position: number): number {
    const ahead = Math.min(zeroAheadMax, Math.max(zeroAheadMin, position));
    return Math.min(this.options.segmentBytes, Math.ceil((position + ahead) / zeroSliceBytes) * zeroSliceBytes);
  }

  /** Zeroes the segment up to there, a slice at a time. Throws `full` when the device has no space; `needed` takes its last. */
  async zero(segment: Segment, target: number, needed = false): Promise<void> {
    if (segment.bytes >= target) return;
    if (!needed) await this.checkDevice(target - segment.bytes);
    const file = await this.writer(segment);
    this.zeros ??= file.alignedBuffer(zeroSliceBytes);
    while (segment.bytes < target) {
      const slice = Math.min(zeroSliceBytes, target - segment.bytes);
      await file.write(this.zeros.subarray(0, slice), segment.bytes);
      segment.bytes += slice;
    }
  }

  /** Nothing more is written to it. */
  async seal(segment: Segment): Promise<void> {
    const file = this.writers.get(segment.id);
    this.writers.delete(segment.id);
    await file?.close();
  }

  /** The segment may be used again; files beyond a small stock go back to the device. */
  async release(segment: Segment): Promise<void> {
    if (this.free.length < 2 + this.all.size / 8) {
      this.free.push(segment);
      return;
    }
    this.all.delete(segment.id);
    await (await this.readers.get(segment.id))?.close();
    this.readers.delete(segment.id);
    await this.options.files.remove(segment.path);
  }

  async close(): Promise<void> {
    for (const file of this.writers.values()) await file.close();
    for (const reader of this.readers.values()) await (await reader).close();
    this.writers.clear();
    this.readers.clear();
  }

  private add(id: number): Segment {
    const path = join(this.options.folder, `segment-${String(id).padStart(5, '0')}`);
    const segment = { id, path, serial: 0, bytes: 0, liveBytes: 0, liveRecords: 0, damaged: false };
    this.all.set(id, segment);
    return segment;
  }

  private async create(): Promise<Segment> {
    if (this.all.size >= this.options.segmentsMax) throw new InfinitError('full', 'the silo has no free segment');
    await this.checkDevice(zeroAheadMin);
    let id = 1;
    while (this.all.has(id)) id++;
    const segment = this.add(id);
    try {
      await this.writer(segment);
      await this.options.files.syncDirectory(this.options.folder);
    } catch (error) {
      this.all.delete(id);
      throw error;
    }
    return segment;
  }

  async checkDevice(bytes: number): Promise<void> {
    const { freeBytes, totalBytes } = await this.options.files.space(this.options.folder);
    this.deviceFreeBytes = Math.max(0, freeBytes - Math.min(deviceReserveBytes, totalBytes / 8));
    this.deviceFull = this.deviceFreeBytes < bytes;
    if (this.deviceFull) throw new InfinitError('full', `${this.options.folder}: the device is full`);
  }

  private async writer(segment: Segment): Promise<File> {
    const known = this.writers.get(segment.id);
    if (known !== undefined) return known;
    const file = await this.openDurable(segment.path);
    this.writers.set(segment.id, file);
    return file;
  }

  private async openDurable(path: string): Promise<File> {
    const { files, log } = this.options;
    try {
      return await files.open(path, { mode: 'create', durableWrites: true, direct: this.direct });
    } catch (error) {
      if (!this.direct || !isError(error, 'unsupported')) throw error;
      this.direct = false;
      log.write('warn', 'silo', 'direct I/O is no longer possible here, going through the page cache', { path });
      return await files.open(path, { mode: 'create', durableWrites: true });
    }
  }

  private async reader(segment: Segment): Promise<File> {
    const known = this.readers.get(segment.id);
    if (known !== undefined) return known;
    const opening = this.options.files.open(segment.path, { mode: 'read' });
    this.readers.set(segment.id, opening);
    opening.catch(() => this.readers.delete(segment.id));
    if (this.readers.size > limits.siloOpenSegmentsMax) await this.closeOldestReader();
    return opening;
  }

  private async closeOldestReader(): Promise<void> {
    for (const [id, reader] of this.readers) {
      this.readers.delete(id);
      await (await reader).close();
      return;
    }
  }
}
