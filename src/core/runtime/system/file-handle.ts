// One open file. Reads and writes run in the thread pool of Node; close waits for those in flight, because a descriptor that
// is closed under a running write may already be another file.

import fs from 'node:fs';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import type { File, OpenOptions } from '../runtime.ts';
import { errnoOf, fileError } from './file-errors.ts';

const wasmPageBytes = 65_536;

/** The part of WebAssembly used here: its memories are the only page-aligned memory a script can have. */
declare const WebAssembly: { Memory: new (size: { initial: number; maximum: number }) => { buffer: ArrayBuffer } };

export async function openFile(path: string, options: OpenOptions): Promise<File> {
  const descriptor = await new Promise<number>((resolve, reject) => {
    fs.open(path, openFlags(path, options), 0o600, (error, fd) => {
      if (error === null) resolve(fd);
      else if (options.direct && errnoOf(error) === 'EINVAL') reject(directRefused(path, error));
      else reject(fileError(error, path));
    });
  });
  return new SystemFile(path, descriptor, options);
}

function openFlags(path: string, { mode = 'read', direct, durableWrites }: OpenOptions): number {
  const { O_RDONLY, O_RDWR, O_CREAT } = fs.constants;
  // Absent on systems that lack them, whatever the types say.
  const { O_DIRECT, O_DSYNC } = fs.constants as { O_DIRECT?: number; O_DSYNC?: number };
  if (direct && O_DIRECT === undefined) throw directRefused(path);
  const access = { read: O_RDONLY, write: O_RDWR, create: O_RDWR | O_CREAT }[mode];
  return access | (direct ? (O_DIRECT ?? 0) : 0) | (durableWrites ? (O_DSYNC ?? 0) : 0);
}

function directRefused(path: string, cause?: unknown): InfinitError {
  return new InfinitError('unsupported', `${path}: direct I/O is not possible here`, { cause });
}

class SystemFile implements File {
  private readonly path: string;
  private readonly descriptor: number;
  private readonly direct: boolean;
  private readonly syncAfterWrite: boolean;
  private inFlight = 0;
  private closing: Promise<void> | undefined;
  private idle: (() => void) | undefined;

  constructor(path: string, descriptor: number, options: OpenOptions) {
    this.path = path;
    this.descriptor = descriptor;
    this.direct = options.direct ?? false;
    this.syncAfterWrite = (options.durableWrites ?? false) && fs.constants.O_DSYNC === undefined;
  }

  async read(into: Bytes, position: number): Promise<number> {
    let done = 0;
    while (done < into.length) {
      const read = await this.call<number>((finish) =>
        fs.read(this.descriptor, into, done, into.length - done, position + done, finish),
      );
      if (read === 0) break;
      done += read;
    }
    return done;
  }

  readSync(into: Bytes, position: number): number {
    this.checkOpen();
    let done = 0;
    try {
      while (done < into.length) {
        const read = fs.readSync(this.descriptor, into, done, into.length - done, position + done);
        if (read === 0) break;
        done += read;
      }
    } catch (error) {
      throw this.asError(error);
    }
    return done;
  }

  async write(from: Bytes, position: number): Promise<void> {
    let done = 0;
    while (done < from.length) {
      done += await this.call<number>((finish) =>
        fs.write(this.descriptor, from, done, from.length - done, position + done, finish),
      );
    }
    if (this.syncAfterWrite) await this.sync();
  }

  sync(): Promise<void> {
    return this.call<void>((finish) => fs.fdatasync(this.descriptor, finish));
  }

  truncate(bytes: number): Promise<void> {
    return this.call<void>((finish) => fs.ftruncate(this.descriptor, bytes, finish));
  }

  async bytes(): Promise<number> {
    const stats = await this.call<fs.Stats>((finish) => fs.fstat(this.descriptor, finish));
    return stats.size;
  }

  close(): Promise<void> {
    this.closing ??= this.closeNow();
    return this.closing;
  }

  alignedBuffer(bytes: number): Buffer {
    const pages = Math.max(1, Math.ceil(bytes / wasmPageBytes));
    return Buffer.from(new WebAssembly.Memory({ initial: pages, maximum: pages }).buffer, 0, bytes);
  }

  private async closeNow(): Promise<void> {
    if (this.inFlight > 0) await new Promise<void>((resolve) => (this.idle = resolve));
    await new Promise<void>((resolve, reject) => {
      fs.close(this.descriptor, (error) => (error ? reject(fileError(error, this.path)) : resolve()));
    });
  }

  private checkOpen(): void {
    if (this.closing !== undefined) throw new InfinitError('unavailable', `${this.path}: the file is closed`);
  }

  private async call<T>(start: (finish: (error: Error | null | undefined, result?: T) => void) => void): Promise<T> {
    this.checkOpen();
    this.inFlight++;
    try {
      return await new Promise<T>((resolve, reject) => {
        start((error, result) => (error ? reject(this.asError(error)) : resolve(result as T)));
      });
    } finally {
      if (--this.inFlight === 0) this.idle?.();
    }
  }

  private asError(error: unknown): InfinitError {
    return this.direct && errnoOf(error) === 'EINVAL' ? directRefused(this.path, error) : fileError(error, this.path);
  }
}
