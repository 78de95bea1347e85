// The device read through the thread pool of Node, with public calls alone: for a Node whose insides the other transport does
// not know. A read that waits for a request holds a thread, so threads are left for the disk.

import fs from 'node:fs';
import type { Bytes } from '../../base/bytes.ts';
import { codeOf, Device, isEnd } from './device.ts';
import type { Transport } from './transport.ts';

const readersMax = 4;
/** Two of them for notifications. */
const threadsLeft = 3;
/** What libuv starts when it is not told otherwise. */
const threadsDefault = 4;
const goesOn = new Set(['EINTR', 'EAGAIN', 'ENOENT']);

export class PoolTransport implements Transport {
  readonly name = 'pool';
  private readonly device: Device;
  private readonly frameBytes: number;
  private readonly readers: number;
  private readonly waiting: (() => void)[] = [];
  private reading = 0;
  private paused = false;
  private failure: Error | undefined;
  private closed: Promise<void> | undefined;
  private receive: (frame: Buffer) => boolean = () => false;
  private ended: (error?: Error) => void = () => {};

  /** Takes over the descriptor of a mounted device; `threads` is what the pool of this process has. */
  constructor(descriptor: number, frameBytes: number, threads = threadsDefault) {
    this.device = new Device(descriptor);
    this.frameBytes = frameBytes;
    this.readers = Math.max(1, Math.min(readersMax, threads - threadsLeft));
  }

  start(receive: (frame: Buffer) => boolean, ended: (error?: Error) => void): void {
    this.receive = receive;
    this.ended = ended;
    for (; this.reading < this.readers; this.reading++) this.read(Buffer.allocUnsafeSlow(this.frameBytes));
  }

  reply(parts: readonly Bytes[]): void {
    this.device.reply(parts);
  }

  notify(message: Buffer): Promise<string | undefined> {
    return this.device.notify(message);
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    for (const go of this.waiting.splice(0)) go();
  }

  /** Readers in the kernel end only with the connection: to be called when it is over. */
  async close(): Promise<void> {
    this.resume();
    this.closed ??= this.end();
    await this.closed;
  }

  private read(buffer: Buffer): void {
    if (this.paused) {
      this.waiting.push(() => this.read(buffer));
      return;
    }
    this.device.read(buffer, (error, bytes) => {
      const code = error === null ? '' : codeOf(error);
      if (error !== null && !goesOn.has(code)) {
        if (!isEnd(code)) this.failure = error;
        if (--this.reading === 0) this.closed ??= this.end();
        return;
      }
      const kept = error === null && this.receive(buffer.subarray(0, bytes));
      this.read(kept ? Buffer.allocUnsafeSlow(this.frameBytes) : buffer);
    });
  }

  private async end(): Promise<void> {
    await this.device.seal();
    fs.closeSync(this.device.descriptor);
    this.ended(this.failure);
  }
}
