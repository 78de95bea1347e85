// The simulated connection over what a third node carries: each side says its key and is believed, as in dials of this world; frames stand
// in the carried bytes behind their length.

import type { Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { cancelled, type Deferred, deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { Carrier, Connection, Endpoint, Transport } from '../../../src/core/runtime/runtime.ts';
import { FrameReader } from '../../../src/core/runtime/system/framing.ts';
import type { Life } from './host.ts';

const keyBytes = 32;
const lowMarkBytes = 1 << 20;

type Secure = Transport['secure'];

/** `Transport.secure` of a process of this world. */
export function secureCarried(life: Life, ...[carrier, side, identity, options = {}]: Parameters<Secure>) {
  return new Promise<Connection>((resolve, reject) => {
    const connection = new CarriedConnection(life, carrier);
    const end = (error?: Error) => {
      stop();
      options.signal?.removeEventListener('abort', abort);
      if (!error) return;
      connection.close(error);
      reject(error);
    };
    const abort = () => end(cancelled(options.signal));
    const stop = life.clock.after(options.timeoutMs ?? limits.handshakeTimeoutMs, () =>
      end(new InfinitError('unavailable', `no answer from ${carrier.remote.host}`)),
    );
    options.signal?.addEventListener('abort', abort, { once: true });
    connection.onClose((error) => end(error ?? new InfinitError('unavailable', 'the carrier hung up')));
    connection.onFrame((key) => {
      connection.onFrame(undefined);
      if (key.length !== keyBytes) return end(new InfinitError('denied', 'no key shown'));
      if (side === 'listener') connection.send([identity.publicKey]);
      connection.remoteKey = key;
      end();
      resolve(connection);
    });
    if (options.signal?.aborted) abort();
    else if (side === 'dialler') connection.send([identity.publicKey]);
  });
}

class CarriedConnection implements Connection {
  remoteKey: Bytes = Buffer.alloc(0);
  readonly remote: Endpoint;
  private readonly carrier: Carrier;
  private readonly reader = new FrameReader();
  private heard = false;
  private outbox: Buffer[] = [];
  private queued = 0;
  private sending = false;
  private paused = false;
  private closed = false;
  private receive: ((frame: Buffer) => void) | undefined;
  private notify: ((error?: Error) => void) | undefined;
  private taken: Deferred<void> | undefined;
  private waiting: Deferred<void>[] = [];

  constructor(life: Life, carrier: Carrier) {
    this.carrier = carrier;
    this.remote = carrier.remote;
    carrier.onData(async (bytes) => {
      if (!life.alive) return;
      this.reader.push(bytes);
      this.dispatch();
      if (this.paused || this.receive === undefined) await (this.taken ??= deferred()).promise;
    });
    carrier.onClose((error) => this.finish(error));
  }

  get queuedBytes(): number {
    return this.queued;
  }

  send(parts: readonly Bytes[]): void {
    if (this.closed) return;
    const body = Buffer.concat(parts);
    const length = Buffer.alloc(4);
    length.writeUInt32BE(body.length);
    this.outbox.push(length, body);
    this.queued += body.length;
    if (!this.sending) void this.pump();
  }

  drained(): Promise<void> {
    if (this.closed) return Promise.reject(new InfinitError('unavailable', 'connection closed'));
    if (this.queued <= lowMarkBytes) return Promise.resolve();
    const wait = deferred();
    this.waiting.push(wait);
    return wait.promise;
  }

  onFrame(receive: ((frame: Buffer) => void) | undefined): void {
    this.receive = receive;
    this.dispatch();
  }

  onClose(closed: (error?: Error) => void): void {
    this.notify = closed;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.dispatch();
  }

  close(error?: Error): void {
    if (this.closed) return;
    // What was sent leaves before a clean end.
    if (error || !this.sending) this.carrier.close(error);
    this.finish(error);
  }

  private async pump(): Promise<void> {
    this.sending = true;
    try {
      while (this.outbox.length > 0) {
        const bytes = Buffer.concat(this.outbox.splice(0));
        await this.carrier.send(bytes);
        this.queued = this.outbox.reduce((sum, one) => sum + one.length, 0);
        for (const wait of this.waiting.splice(0)) wait.resolve();
      }
    } catch (error) {
      this.finish(error as Error);
    }
    this.sending = false;
    if (this.closed) this.carrier.close();
  }

  private dispatch(): void {
    try {
      while (!this.paused && this.receive !== undefined && !this.closed) {
        const frame = this.reader.next();
        if (frame === undefined) break;
        if (!this.heard && frame.length > limits.firstFrameBytesMax)
          throw new InfinitError('corrupt', 'the first frame is above the limit');
        this.heard = this.remoteKey.length > 0;
        this.receive(frame);
      }
    } catch (error) {
      this.close(error as Error);
    }
    if (this.paused || this.receive === undefined) return;
    this.taken?.resolve();
    this.taken = undefined;
  }

  private finish(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.taken?.resolve();
    for (const wait of this.waiting.splice(0))
      wait.reject(error ?? new InfinitError('unavailable', 'connection closed'));
    this.notify?.(error);
  }
}
