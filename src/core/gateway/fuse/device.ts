// The descriptor of a mounted FUSE device, and what both transports do with it: answers at once, notifications in the thread
// pool. It is closed only when no write is under way: the number of a closed descriptor may soon be another file's.

import fs from 'node:fs';
import type { Bytes } from '../../base/bytes.ts';
import { deferred } from '../../base/lifecycle.ts';

/** Where the kernel speaks FUSE. */
export const devicePath = '/dev/fuse';
/** Character device 10, 229, on every Linux. */
const deviceNumber = (10 << 8) | 229;

/** A descriptor of the device, not yet mounted. Throws ENODEV when something else has its name: the event loop cannot read that. */
export function openDevice(): number {
  const descriptor = fs.openSync(devicePath, 'r+');
  const stat = fs.fstatSync(descriptor);
  if (stat.isCharacterDevice() && stat.rdev === deviceNumber) return descriptor;
  fs.closeSync(descriptor);
  throw Object.assign(new Error(`${devicePath} is not the FUSE device`), { code: 'ENODEV' });
}

export class Device {
  readonly descriptor: number;
  private open = true;
  private busy = 0;
  private idle = deferred();

  constructor(descriptor: number) {
    this.descriptor = descriptor;
  }

  /** Throws what the kernel said, but for requests that are gone. */
  reply(parts: readonly Bytes[]): void {
    if (!this.open) return;
    const [first] = parts;
    try {
      if (parts.length === 1 && first) fs.writeSync(this.descriptor, first);
      else fs.writevSync(this.descriptor, parts as Uint8Array[]);
    } catch (error) {
      // Interrupted and given up, or the whole connection is gone.
      if (!['ENOENT', 'ENODEV', 'ECONNABORTED'].includes(codeOf(error))) throw error;
    }
  }

  notify(message: Buffer): Promise<string | undefined> {
    if (!this.open) return Promise.resolve('ENODEV');
    this.busy++;
    return new Promise((resolve) => {
      fs.write(this.descriptor, message, 0, message.length, null, (error) => {
        if (--this.busy === 0) this.idle.resolve();
        resolve(error === null ? undefined : codeOf(error));
      });
    });
  }

  /** Counts a read under way. */
  read(into: Buffer, done: (error: NodeJS.ErrnoException | null, bytes: number) => void): void {
    this.busy++;
    fs.read(this.descriptor, into, 0, into.length, null, (error, bytes) => {
      if (--this.busy === 0) this.idle.resolve();
      done(error, bytes);
    });
  }

  /** Nothing is written from here on; resolves when nothing is under way. */
  async seal(): Promise<void> {
    this.open = false;
    while (this.busy > 0) {
      this.idle = deferred();
      await this.idle.promise;
    }
  }
}

/** Ways of reading that a connection which is over has. */
export function isEnd(code: string): boolean {
  return code === 'ENODEV' || code === 'ECONNABORTED' || code === 'EPERM' || code === 'EBADF';
}

export function codeOf(error: unknown): string {
  const code = (error as NodeJS.ErrnoException | null)?.code;
  return typeof code === 'string' ? code : 'EIO';
}
