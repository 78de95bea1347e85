// One end of a stream through a relay. Pieces are calls, answered when the other end has taken them: as many are on their way as the
// window has room for, in whatever order they arrive.

import type { Bytes } from '../base/bytes.ts';
import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Carrier, Endpoint } from '../runtime/runtime.ts';
import type { Peer } from './peer.ts';
import { relayEnd, relayPiece } from './relay-messages.ts';

export class RelayCarrier implements Carrier {
  readonly remote: Endpoint;
  private readonly relay: Peer;
  private readonly stream: number;
  private readonly forget: () => void;
  private sent = 0;
  private unanswered = 0;
  private room: (() => void)[] = [];
  private readonly waiting = new Map<number, { data: Buffer; taken: () => void }>();
  private taken = 0;
  private taking = false;
  private receive: ((bytes: Buffer) => Promise<void>) | undefined;
  private notify: (error?: Error) => void = () => {};
  private closed = false;
  /** The other end closed: over when all its pieces were taken. */
  private ending = false;

  constructor(relay: Peer, stream: number, remote: Endpoint, forget: () => void) {
    this.relay = relay;
    this.stream = stream;
    this.remote = remote;
    this.forget = forget;
  }

  async send(bytes: Bytes): Promise<void> {
    for (let at = 0; at < bytes.length; at += limits.relayPieceBytesMax) {
      if (this.unanswered >= limits.relayPiecesMax) await new Promise<void>((resolve) => this.room.push(resolve));
      if (this.closed) throw new InfinitError('unavailable', 'the relayed connection is closed');
      this.launch(bytes.subarray(at, at + limits.relayPieceBytesMax));
    }
  }

  onData(receive: (bytes: Buffer) => Promise<void>): void {
    this.receive = receive;
    void this.take();
  }

  onClose(closed: (error?: Error) => void): void {
    this.notify = closed;
  }

  /** What was sent is taken first, unless there was an error. */
  close(error?: Error): void {
    if (this.closed) return;
    this.finish(error);
    const tell = () => {
      const end = { stream: this.stream, down: false, broken: error !== undefined };
      this.relay.call(relayEnd, end).catch(() => {}); // the relay is gone, and the stream with it
    };
    if (error || this.unanswered === 0) tell();
    else this.room.push(tell);
  }

  /** A piece came; resolves when it was taken. Throws `corrupt` for one that no end of ours sends. */
  arrived(sequence: number, data: Buffer): Promise<void> {
    if (this.closed) throw new InfinitError('unavailable', 'the relayed connection is closed');
    if (sequence < this.taken || sequence >= this.taken + 2 * limits.relayPiecesMax || this.waiting.has(sequence)) {
      const error = new InfinitError('corrupt', 'a piece out of place');
      this.close(error);
      throw error;
    }
    return new Promise((resolve) => {
      this.waiting.set(sequence, { data, taken: resolve });
      void this.take();
    });
  }

  /** The other end, or the relay, ended the stream. */
  ended(broken: boolean): void {
    if (broken) this.finish(new InfinitError('unavailable', 'the relayed connection broke'));
    else {
      this.ending = true;
      if (!this.taking && this.waiting.size === 0) this.finish(undefined);
    }
  }

  private launch(data: Bytes): void {
    this.unanswered++;
    const piece = { stream: this.stream, down: false, sequence: this.sent++, data };
    this.relay.call(relayPiece, piece, { timeoutMs: limits.relayPieceTimeoutMs }).then(
      () => this.answered(),
      (error: unknown) => {
        this.answered();
        this.close(asError(error));
      },
    );
  }

  /** One waiter a piece; at a close, which waits last, only once nothing is on its way. */
  private answered(): void {
    this.unanswered--;
    if (!this.closed) this.room.shift()?.();
    else if (this.unanswered === 0) for (const resume of this.room.splice(0)) resume();
  }

  private async take(): Promise<void> {
    if (this.taking || this.receive === undefined) return;
    this.taking = true;
    for (let next = this.waiting.get(this.taken); next !== undefined; next = this.waiting.get(this.taken)) {
      this.waiting.delete(this.taken++);
      await this.receive(next.data);
      next.taken();
      if (this.closed) break;
    }
    this.taking = false;
    if (this.ending && this.waiting.size === 0) this.finish(undefined);
  }

  private finish(error: Error | undefined): void {
    if (this.closed) return;
    this.closed = true;
    this.forget();
    for (const { taken } of this.waiting.values()) taken();
    this.waiting.clear();
    if (this.unanswered === 0) for (const resume of this.room.splice(0)) resume();
    this.notify(error);
  }
}
