// A log file that stays within bounds: when it is full it is copied away under a number and emptied. It keeps its inode, so that
// others that append to it, such as the standard error of the same process, go on in the right file.

import { createWriteStream, existsSync, statSync, type WriteStream } from 'node:fs';
import { chmod, copyFile, mkdir, rename, truncate } from 'node:fs/promises';
import { dirname } from 'node:path';

export interface LogFileOptions {
  bytesMax: number;
  /** How many full ones are kept: `PATH.1` is the youngest. */
  kept: number;
}

export class LogFile {
  private readonly path: string;
  private readonly options: LogFileOptions;
  private stream: WriteStream;
  private bytes: number;
  private rotating: Promise<void> | undefined;
  /** Lines that came meanwhile. */
  private held: string[] = [];
  private heldBytes = 0;

  constructor(path: string, options: LogFileOptions) {
    this.path = path;
    this.options = options;
    this.bytes = bytesOf(path);
    this.stream = this.open();
  }

  /** Handed over and not yet on its way to the disk. */
  get writableLength(): number {
    return this.stream.writableLength + this.heldBytes;
  }

  write(line: string): void {
    if (this.rotating !== undefined) {
      this.held.push(line);
      this.heldBytes += line.length;
      return;
    }
    this.stream.write(line);
    this.bytes += Buffer.byteLength(line);
    if (this.bytes >= this.options.bytesMax) this.rotating = this.rotate();
  }

  /** Resolves when nothing is being copied away. */
  async settled(): Promise<void> {
    await this.rotating;
  }

  private open(): WriteStream {
    const stream = createWriteStream(this.path, { flags: 'a', mode: 0o600 });
    // A log that cannot be written must not end the process.
    stream.on('error', () => {});
    return stream;
  }

  private async rotate(): Promise<void> {
    const { path, options } = this;
    const { stream } = this;
    try {
      await new Promise<void>((resolve) => stream.end(resolve));
      for (let number = options.kept - 1; number >= 1; number--)
        if (existsSync(`${path}.${number}`)) await rename(`${path}.${number}`, `${path}.${number + 1}`);
      await copyFile(path, `${path}.1`);
      await chmod(`${path}.1`, 0o600);
      await truncate(path);
    } catch {
      // No room, or the folder is gone: the file grows until the next attempt.
      await mkdir(dirname(path), { recursive: true, mode: 0o700 }).catch(() => {});
    }
    this.bytes = 0;
    this.stream = this.open();
    this.rotating = undefined;
    const { held } = this;
    this.held = [];
    this.heldBytes = 0;
    for (const line of held) this.write(line);
  }
}

function bytesOf(path: string): number {
  return statSync(path, { throwIfNoEntry: false })?.size ?? 0;
}
