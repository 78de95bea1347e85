// The device read by the event loop itself: a pipe handle of Node opened on the descriptor, under a socket that reads into our
// buffers. One wake-up, one read(2), one request; no threads. It leans on insides of Node, so `worksHere` tries them first.

import fs from 'node:fs';
import net from 'node:net';
import type { Bytes } from '../../base/bytes.ts';
import type { Clock } from '../../runtime/runtime.ts';
import { codeOf, Device, isEnd, openDevice } from './device.ts';
import type { Transport } from './transport.ts';

const probeTimeoutMs = 2000;
const probeBytes = 8192;

interface PipeHandle {
  open(descriptor: number): number | undefined;
  close(): void;
}
type PipeClass = new (kind: number) => PipeHandle;

interface Reading {
  buffer: () => Buffer;
  callback: (bytes: number, buffer: Buffer) => boolean;
}

export class PipeTransport implements Transport {
  readonly name = 'pipe';
  private readonly device: Device;
  private readonly frameBytes: number;
  private socket: DeviceSocket | undefined;
  private buffer: Buffer | undefined;
  private paused = false;
  private closed: Promise<void> | undefined;

  /** Takes over the descriptor of a mounted device. */
  constructor(descriptor: number, frameBytes: number) {
    this.device = new Device(descriptor);
    this.frameBytes = frameBytes;
  }

  start(receive: (frame: Buffer) => boolean, ended: (error?: Error) => void): void {
    const buffer = () => {
      this.buffer ??= Buffer.allocUnsafeSlow(this.frameBytes);
      return this.buffer;
    };
    const callback = (bytes: number, filled: Buffer) => {
      if (receive(filled.subarray(0, bytes))) this.buffer = undefined;
      return !this.paused;
    };
    const socket = openSocket(this.device.descriptor, { buffer, callback }, () => this.device.seal());
    this.socket = socket;
    this.closed = new Promise((resolve) => socket.once('close', () => resolve()));
    let failure: Error | undefined;
    socket.once('error', (error) => {
      if (!isEnd(codeOf(error))) failure = error;
    });
    socket.once('close', () => ended(failure));
    socket.read(0);
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
    this.socket?.resume();
  }

  async close(): Promise<void> {
    this.socket?.destroy();
    await this.closed;
  }
}

/** Whether this Node can do it, tried on a device that is not mounted: reading it must fail as the kernel says it does. */
export async function worksHere(clock: Clock): Promise<boolean> {
  let descriptor: number | undefined;
  try {
    descriptor = openDevice();
    const reading = { buffer: () => Buffer.alloc(probeBytes), callback: () => true };
    const socket = openSocket(descriptor, reading, async () => {});
    descriptor = undefined;
    return await new Promise<boolean>((resolve) => {
      const cancel = clock.after(probeTimeoutMs, () => socket.destroy(new Error('no answer')));
      let code = '';
      socket.once('error', (error) => (code = codeOf(error)));
      socket.once('close', () => {
        cancel();
        resolve(code === 'EPERM');
      });
      socket.read(0);
    });
  } catch {
    if (descriptor !== undefined) fs.closeSync(descriptor);
    return false;
  }
}

function openSocket(descriptor: number, reading: Reading, beforeClose: () => Promise<void>): DeviceSocket {
  const handle = new (pipeClass())(0);
  const failure = handle.open(descriptor);
  if (failure) {
    handle.close();
    throw new Error(`a pipe handle does not open the device: ${failure}`);
  }
  return new DeviceSocket(handle, reading, beforeClose);
}

class DeviceSocket extends net.Socket {
  private readonly beforeClose: () => Promise<void>;

  constructor(handle: PipeHandle, reading: Reading, beforeClose: () => Promise<void>) {
    super({ handle, readable: true, writable: false, onread: reading } as unknown as net.SocketConstructorOpts);
    this.beforeClose = beforeClose;
  }

  /** The handle closes the descriptor with itself. */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.beforeClose().then(() => super._destroy(error, callback));
  }
}

/** The class of Node's pipe handles, taken from a socket that connects to nowhere. */
function pipeClass(): PipeClass {
  const socket = net.createConnection({ path: '/nonexistent/socket' });
  socket.on('error', () => {});
  const { _handle: handle } = socket as unknown as { _handle: { constructor: PipeClass } };
  socket.destroy();
  return handle.constructor;
}
