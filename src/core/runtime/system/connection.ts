// One socket (TLS between hosts, plain within a home) as a connection of frames. Frames sent in one tick leave in one write: small ones joined, large parts as they
// are. What the socket does not take stays in a list here, so that nothing is encrypted long before it can leave.

import type { Socket } from 'node:net';
import type { Bytes } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Deferred, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Connection, Endpoint } from '../runtime.ts';
import { FrameReader, lengthBytes } from './framing.ts';

/** Up to this much is joined into one buffer; larger writes are corked. */
const joinedBytesMax = 64 * 1024;
/** Parts from this size on are written as they are. */
const largePartBytes = 16 * 1024;
/** Handed to the socket at once: what one turn of the event loop may encrypt. */
const flushBytesMax = 1 << 20;
const lowMarkBytes = 1 << 20;
const lingerMs = 2000;

export class SystemConnection implements Connection {
  readonly remoteKey: Bytes;
  readonly remote: Endpoint;
  private readonly socket: Socket;
  private readonly reader = new FrameReader();
  private outbox: Bytes[] = [];
  private outboxBytes = 0;
  private flushing = false;
  private receive: ((frame: Buffer) => void) | undefined;
  private notify: ((error?: Error) => void) | undefined;
  private paused = false;
  private closing = false;
  private closed = false;
  private error: Error | undefined;
  private waiting: Deferred<void>[] = [];

  constructor(socket: Socket, remoteKey: Bytes, remote: Endpoint) {
    this.socket = socket;
    this.remoteKey = remoteKey;
    this.remote = remote;
    socket.setNoDelay(true);
    socket.on('error', (error) => {
      this.error ??= new InfinitError('unavailable', `connection broke: ${error.message}`, { cause: error });
      // One that is carried does not close by itself.
      socket.destroy();
    });
    socket.on('drain', () => this.flush());
    socket.on('close', () => this.finish());
  }

  get queuedBytes(): number {
    return this.outboxBytes + this.socket.writableLength;
  }

  send(parts: readonly Bytes[]): void {
    if (this.closing || this.closed) return;
    const length = Buffer.allocUnsafe(lengthBytes);
    let bytes = 0;
    this.outbox.push(length);
    for (const part of parts) {
      if (part.length === 0) continue;
      this.outbox.push(part);
      bytes += part.length;
    }
    if (bytes > limits.frameBytesMax) {
      this.close(new InfinitError('internal', `frame of ${bytes} bytes is above the limit`));
      throw new InfinitError('full', `frame of ${bytes} bytes is above the limit`);
    }
    length.writeUInt32BE(bytes);
    this.outboxBytes += lengthBytes + bytes;
    if (this.flushing || this.socket.writableNeedDrain) return;
    this.flushing = true;
    process.nextTick(() => {
      this.flushing = false;
      this.flush();
    });
  }

  drained(): Promise<void> {
    if (this.closed || this.closing) return Promise.reject(closedError(this.error));
    if (this.queuedBytes <= lowMarkBytes) return Promise.resolve();
    const wait = deferred();
    this.waiting.push(wait);
    return wait.promise;
  }

  onFrame(receive: (frame: Buffer) => void): void {
    const first = this.receive === undefined;
    this.receive = receive;
    if (!first) return;
    this.socket.on('data', (piece: Buffer) => {
      this.reader.push(piece);
      this.dispatch();
    });
    if (this.paused) this.socket.pause();
    else this.socket.resume();
  }

  onClose(closed: (error?: Error) => void): void {
    this.notify = closed;
  }

  pause(): void {
    this.paused = true;
    this.socket.pause();
  }

  resume(): void {
    if (!this.paused) return;
    this.paused = false;
    // Not on the caller's stack: he may be inside a receiver.
    process.nextTick(() => {
      this.dispatch();
      if (!this.paused && this.receive) this.socket.resume();
    });
  }

  /** Without an error what was sent still leaves first, for a while. */
  close(error?: Error): void {
    if (this.closing || this.closed) return;
    this.closing = true;
    this.error ??= error;
    if (error) {
      this.socket.destroy();
      return;
    }
    for (const part of this.takeOutbox(Number.POSITIVE_INFINITY)) this.socket.write(part);
    this.socket.end();
    // What still comes in is thrown away, so that the end of it is seen.
    this.socket.resume();
    const timer = setTimeout(() => this.socket.destroy(), lingerMs);
    this.socket.once('close', () => clearTimeout(timer));
  }

  private dispatch(): void {
    try {
      while (!this.paused && !this.closing && !this.closed) {
        const frame = this.reader.next();
        if (frame === undefined) return;
        this.receive?.(frame);
      }
    } catch (error) {
      this.close(error instanceof Error ? error : new InfinitError('internal', String(error)));
    }
  }

  private flush(): void {
    if (this.closed || this.closing) return;
    while (this.outbox.length > 0 && !this.socket.writableNeedDrain) {
      const parts = this.takeOutbox(flushBytesMax);
      const last = parts.pop();
      if (parts.length > 0) this.socket.cork();
      for (const part of parts) this.socket.write(part);
      if (last) this.socket.write(last, () => this.releaseWaiting());
      if (parts.length > 0) this.socket.uncork();
    }
    this.releaseWaiting();
  }

  /** Takes about that much off the list, small neighbours joined. */
  private takeOutbox(bytesMax: number): Bytes[] {
    let count = 0;
    let bytes = 0;
    while (count < this.outbox.length && bytes < bytesMax) bytes += (this.outbox[count++] as Bytes).length;
    const taken = count === this.outbox.length ? this.outbox : this.outbox.splice(0, count);
    if (taken === this.outbox) this.outbox = [];
    this.outboxBytes -= bytes;
    return joinSmall(taken, bytes);
  }

  private releaseWaiting(): void {
    if (this.waiting.length === 0 || this.queuedBytes > lowMarkBytes) return;
    for (const wait of this.waiting.splice(0)) wait.resolve();
  }

  private finish(): void {
    if (this.closed) return;
    this.closed = true;
    this.outbox = [];
    this.outboxBytes = 0;
    for (const wait of this.waiting.splice(0)) wait.reject(closedError(this.error));
    this.notify?.(this.error);
  }
}

function closedError(cause: Error | undefined): InfinitError {
  return new InfinitError('unavailable', 'connection closed', { cause });
}

function joinSmall(parts: readonly Bytes[], total: number): Bytes[] {
  if (total <= joinedBytesMax) return parts.length === 0 ? [] : [Buffer.concat(parts, total)];
  const out: Bytes[] = [];
  let run: Bytes[] = [];
  const endRun = () => {
    if (run.length > 0) out.push(run.length === 1 ? (run[0] as Bytes) : Buffer.concat(run));
    run = [];
  };
  for (const part of parts) {
    if (part.length < largePartBytes) run.push(part);
    else {
      endRun();
      out.push(part);
    }
  }
  endRun();
  return out;
}
