// The log of a client's own journal (decision 029): records sealed one by one in files of some MiB that only grow. A record is
// written when `append` resolves, so that it outlives the process, and on the disk when `sync` does. What a crash of the machine
// tears off the end of the newest file was never synced: it is set aside; older files are on the disk, and damage in them is
// `corrupt`.
// A file: format u8 = 1, number u48; records {length u32, nonce 12, sealed}; number and place are authenticated with each.

import { type Bytes, u32Bytes, u48Bytes } from '../../base/bytes.ts';
import {
  bytes,
  type Codec,
  type CodecType,
  decode,
  encode,
  fixed,
  list,
  optional,
  struct,
  text,
  u48,
  union,
} from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { Mutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { nonceBytes, open, seal, tagBytes } from '../../crypto/cipher.ts';
import type { File, Runtime } from '../../runtime/runtime.ts';
import type { Effect } from '../tree.ts';

const format = 1;
const headerBytes = 7;
const prefixBytes = 4 + nonceBytes;
const key = bytes(limits.treeKeyBytesMax);
const keyOrBehind = bytes(limits.treeKeyBytesMax + 1);
const value = bytes(limits.treeLeafValueBytesMax);

const effect: Codec<Effect> = union({
  put: struct({ key, value }),
  delete: struct({ key }),
  deleteRange: struct({ from: key, to: key }),
});

export const lateEntry = struct({
  number: u48,
  /** What it made. */
  made: optional(u48),
  /** What it relies on, in the words of the view. */
  expected: bytes(64 * 1024),
  operation: bytes(limits.operationBytesMax),
  effects: list(effect, 65_536),
});
export type LateEntry = CodecType<typeof lateEntry>;

/** Append only. */
export const logRecord = union({
  /** First in each file: how far numbers are. */
  begin: struct({ next: u48, inode: u48, inodeEnd: u48, sent: u48 }),
  /** Inode numbers [from, to) are this client's to give. */
  reserved: struct({ from: u48, to: u48 }),
  chunk: struct({ address: fixed(32), cells: list(bytes(limits.cellBytesMax), limits.chunkCellsMax) }),
  operation: lateEntry,
  /** All up to that number have happened for everybody. */
  sent: struct({ through: u48 }),
  /** In a log of what is known of the network: its records in [from, through), and what is not known any more. */
  known: struct({
    from: keyOrBehind,
    through: keyOrBehind,
    entries: list(struct({ key, value }), limits.recordsPerAnswerMax),
  }),
  unknown: struct({ from: keyOrBehind, to: keyOrBehind }),
  /** Behind an operation and its data, in a log of their own: what others did made it impossible. */
  refused: struct({ reason: text(4096), at: u48 }),
});
export type LogRecord = CodecType<typeof logRecord>;
const beginBytes =
  prefixBytes + tagBytes + encode(logRecord, { type: 'begin', next: 0, inode: 0, inodeEnd: 0, sent: 0 }).length;
type Begin = Omit<LogRecord & { type: 'begin' }, 'type'>;

export interface Place {
  segment: number;
  position: number;
  length: number;
}

export interface AsyncLogOptions {
  runtime: Pick<Runtime, 'files' | 'random'>;
  folder: string;
  /** Of this journal alone, 32 bytes. */
  key: Bytes;
  /** What a new file begins with. */
  begin: () => Begin;
  /** Told where the torn end of a file was set aside, and how many bytes it has. */
  torn?: ((path: string, bytes: number) => void) | undefined;
  /** Changes nothing, whoever appends meanwhile. */
  readOnly?: boolean | undefined;
}

interface Segment {
  number: number;
  file: File;
  bytes: number;
}

export class AsyncLog {
  private readonly options: AsyncLogOptions;
  /** Oldest first; the last one grows. */
  private readonly segments: Segment[] = [];
  private readonly turn = new Mutex();
  private dirty = false;

  private constructor(options: AsyncLogOptions) {
    this.options = options;
  }

  /** Tells every record in order. Throws `corrupt`. */
  static async open(options: AsyncLogOptions, visit: (record: LogRecord, place: Place) => void): Promise<AsyncLog> {
    const { files } = options.runtime;
    if (!options.readOnly) await files.makeDirectory(options.folder);
    const log = new AsyncLog(options);
    const numbers = (await files.list(options.folder)).flatMap((name) => numberOf(name) ?? []).sort((a, b) => a - b);
    for (const [at, number] of numbers.entries()) await log.load(number, at === numbers.length - 1, visit);
    return log;
  }

  get bytes(): number {
    return this.segments.reduce((sum, segment) => sum + segment.bytes, 0);
  }

  get newest(): number {
    return this.segments.at(-1)?.number ?? 0;
  }

  /** In the order of the calls. Throws `full` when the disk is. */
  append(record: LogRecord): Promise<Place> {
    return this.turn.run(async () => {
      const last = this.segments.at(-1);
      if (last === undefined || last.bytes >= limits.asyncSegmentBytes) await this.grow();
      return this.write(this.segments.at(-1) as Segment, record);
    });
  }

  /** All that was appended is on the disk. */
  sync(): Promise<void> {
    return this.turn.run(() => this.syncNow());
  }

  async read({ segment: number, position, length }: Place): Promise<LogRecord> {
    const segment = this.segments.find((one) => one.number === number);
    if (segment === undefined) throw new InfinitError('lost', 'a record of the journal has been sent and is gone');
    const sealed = Buffer.alloc(length);
    await segment.file.read(sealed, position);
    const record = this.opened(number, position, sealed);
    if (record === undefined) throw new InfinitError('corrupt', 'a record of the journal is damaged');
    return record;
  }

  /** A new file takes what comes, so that those before it may go. */
  renew(): Promise<void> {
    return this.turn.run(() => this.grow());
  }

  /** Files before that one are not needed any more. */
  async drop(before: number): Promise<void> {
    const { files } = this.options.runtime;
    await this.turn.run(async () => {
      // What comes later must not be lost when what was before it is gone.
      await this.syncNow();
      for (let first = this.segments[0]; first !== undefined; first = this.segments[0]) {
        if (first.number >= before || this.segments.length === 1) break;
        this.segments.shift();
        await first.file.close();
        await files.remove(this.path(first.number));
      }
    });
  }

  async close(): Promise<void> {
    await this.turn.run(async () => {
      await this.syncNow();
      for (const { file } of this.segments.splice(0)) await file.close();
    });
  }

  private async syncNow(): Promise<void> {
    if (!this.dirty) return;
    this.dirty = false;
    await this.segments.at(-1)?.file.sync();
  }

  private async grow(): Promise<void> {
    const { files } = this.options.runtime;
    if (this.segments.length >= limits.asyncSegmentsMax)
      throw new InfinitError('full', 'the journal has too many files');
    await this.syncNow();
    const number = this.newest + 1;
    const file = await files.open(this.path(number), { mode: 'create' });
    await file.truncate(0);
    await file.write(Buffer.concat([Buffer.from([format]), u48Bytes(number)]), 0);
    const segment = { number, file, bytes: headerBytes };
    this.segments.push(segment);
    await this.write(segment, { type: 'begin', ...this.options.begin() });
    await file.sync();
    this.dirty = false;
    await files.syncDirectory(this.options.folder);
  }

  private async write(segment: Segment, record: LogRecord): Promise<Place> {
    const plain = encode(logRecord, record);
    const position = segment.bytes;
    const nonce = this.options.runtime.random.bytes(nonceBytes);
    const sealed = seal(this.options.key, nonce, plain, associated(segment.number, position));
    const framed = Buffer.concat([u32Bytes(sealed.length), nonce, sealed]);
    await segment.file.write(framed, position);
    segment.bytes += framed.length;
    this.dirty = true;
    return { segment: segment.number, position, length: framed.length };
  }

  private async load(number: number, isLast: boolean, visit: (record: LogRecord, place: Place) => void): Promise<void> {
    const { runtime, readOnly } = this.options;
    const { files } = runtime;
    const file = await files.open(this.path(number), { mode: readOnly ? 'read' : 'write' });
    const size = await file.bytes();
    const header = Buffer.alloc(headerBytes);
    await file.read(header, 0);
    const isWhole = size >= headerBytes && header.readUIntBE(1, 6) === number;
    if (isWhole && header[0] !== format) throw new InfinitError('unsupported', `the journal has format ${header[0]}`);
    const segment = { number, file, bytes: headerBytes };
    let count = 0;
    while (isWhole && segment.bytes < size) {
      const read = await this.next(segment, size);
      if (read === undefined) break;
      visit(read.record, { segment: number, position: segment.bytes, length: read.length });
      segment.bytes += read.length;
      count++;
    }
    const isTorn = segment.bytes < size || count === 0;
    // The first record is on the disk before anything follows it.
    const isDamaged = count === 0 && size > headerBytes + beginBytes;
    if (isDamaged || (isTorn && !isLast)) throw new InfinitError('corrupt', `file ${number} of the journal is damaged`);
    // A file that was being made when the machine stopped: nothing is in it.
    if (count === 0) {
      await file.close();
      if (!readOnly) await files.remove(this.path(number));
      return;
    }
    if (isTorn && !readOnly) await this.cutOff(segment, size);
    this.segments.push(segment);
  }

  /** What is there is kept beside, unless it is nothing: it may be of use to a person. */
  private async cutOff({ number, file, bytes: from }: Segment, size: number): Promise<void> {
    const { runtime, folder, torn } = this.options;
    const tail = Buffer.alloc(size - from);
    await file.read(tail, from);
    if (tail.some((byte) => byte !== 0)) {
      const path = `${folder}/${number}-${from}.torn`;
      const beside = await runtime.files.open(path, { mode: 'create' });
      await beside.write(tail, 0);
      await beside.sync();
      await beside.close();
      await runtime.files.syncDirectory(folder);
      torn?.(path, tail.length);
    }
    await file.truncate(from);
  }

  private async next({ number, file, bytes: position }: Segment, size: number) {
    const prefix = Buffer.alloc(4);
    if (position + prefixBytes + tagBytes > size) return undefined;
    await file.read(prefix, position);
    const length = 4 + nonceBytes + prefix.readUInt32BE();
    if (length > limits.asyncRecordBytesMax || position + length > size) return undefined;
    const framed = Buffer.alloc(length);
    await file.read(framed, position);
    const record = this.opened(number, position, framed);
    return record && { record, length };
  }

  private opened(segment: number, position: number, framed: Buffer): LogRecord | undefined {
    const nonce = framed.subarray(4, prefixBytes);
    try {
      const plain = open(this.options.key, nonce, framed.subarray(prefixBytes), associated(segment, position));
      return decode(logRecord, plain);
    } catch (error) {
      if (isError(error, 'corrupt')) return undefined;
      throw error;
    }
  }

  private path(number: number): string {
    return `${this.options.folder}/${String(number).padStart(12, '0')}.log`;
  }
}

function numberOf(name: string): number | undefined {
  return /^\d{12}\.log$/.test(name) ? Number(name.slice(0, 12)) : undefined;
}

function associated(segment: number, position: number): Buffer {
  return Buffer.concat([u48Bytes(segment), u32Bytes(position)]);
}
