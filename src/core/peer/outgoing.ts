// Calls made over one connection: numbered, answered in any order, each with a deadline. Calls beyond the limits (number,
// bytes unanswered, bytes unsent) wait their turn, in order; their deadline runs meanwhile.

import type { Bytes } from '../base/bytes.ts';
import { decodeParts, encodeParts } from '../base/codec.ts';
import { InfinitError } from '../base/errors.ts';
import { cancelled, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Cancel, Clock, Connection } from '../runtime/runtime.ts';
import {
  errorCodec,
  type Frame,
  frameFlags,
  frameKinds,
  framePrefix,
  namePart,
  prefixBytes,
  sizeOf,
} from './frames.ts';
import type { CallOptions, Method } from './peer.ts';

interface PendingCall {
  readonly method: Method<unknown, unknown>;
  readonly header: Buffer;
  readonly attachments: readonly Bytes[];
  readonly bytes: number;
  /** 0 while it waits. */
  number: number;
  sentAtMs: number;
  settle(error: InfinitError | undefined, value?: unknown): void;
}

/** The number of a method on this connection, and whether the other side is known to know it. */
interface MethodNumber {
  readonly number: number;
  known: boolean;
}

const roundTripWeight = 1 / 8;

export class OutgoingCalls {
  roundTripMs: number | undefined;
  private readonly connection: Connection;
  private readonly clock: Clock;
  private readonly sent = new Map<number, PendingCall>();
  private readonly waiting = new Set<PendingCall>();
  private readonly methods = new Map<string, MethodNumber>();
  private bytesUnanswered = 0;
  private lastNumber = 0;
  private drainAwaited = false;
  private ended: InfinitError | undefined;

  constructor(connection: Connection, clock: Clock) {
    this.connection = connection;
    this.clock = clock;
  }

  get size(): number {
    return this.sent.size + this.waiting.size;
  }

  async call<Q, R>(method: Method<Q, R>, request: Q, options: CallOptions): Promise<R> {
    checkSignal(options.signal);
    if (this.ended) throw this.ended;
    if (this.waiting.size >= limits.callsWaitingMax)
      throw new InfinitError('full', 'too many calls wait for this peer');
    const { header, attachments } = encodeParts(method.request, request);
    const bytes = header.length + sizeOf(attachments);
    if (bytes + prefixBytes + method.name.length + 1 > limits.frameBytesMax)
      throw new InfinitError('full', `request of ${bytes} bytes is above the frame limit`);
    return new Promise<R>((resolve, reject) => {
      const call: PendingCall = {
        method: method as Method<unknown, unknown>,
        header,
        attachments,
        bytes,
        number: 0,
        sentAtMs: 0,
        settle: (error, value) => {
          stop();
          signal?.removeEventListener('abort', abort);
          this.remove(call);
          if (error) reject(error);
          else resolve(value as R);
          this.pump();
        },
      };
      const { signal, timeoutMs = limits.callTimeoutMs } = options;
      const abort = () => this.giveUp(call, cancelled(signal));
      const stop: Cancel = this.clock.after(timeoutMs, () =>
        this.giveUp(call, new InfinitError('unavailable', `${method.name} was not answered within ${timeoutMs} ms`)),
      );
      signal?.addEventListener('abort', abort, { once: true });
      this.waiting.add(call);
      this.pump();
    });
  }

  /** A reply or a failure came. Throws `corrupt` when it cannot be an answer; the call it names fails as well then. */
  answered(frame: Frame): void {
    const call = this.sent.get(frame.call);
    if (!call) {
      // Late answers to calls given up are usual; answers to calls never made are not.
      if (((frame.call - this.lastNumber) | 0) > 0) throw new InfinitError('corrupt', 'answer to a call never made');
      return;
    }
    if (frame.flags & frameFlags.known) this.numberOf(call.method).known = true;
    let value: unknown;
    try {
      value =
        frame.kind === frameKinds.reply
          ? decodeParts(call.method.response, frame.body, frame.headerLength)
          : decodeParts(errorCodec, frame.body, frame.headerLength);
    } catch (error) {
      const corrupt = new InfinitError('corrupt', `answer to ${call.method.name} cannot be read`, { cause: error });
      call.settle(corrupt);
      throw corrupt;
    }
    const tookMs = this.clock.monotonic() - call.sentAtMs;
    this.roundTripMs =
      this.roundTripMs === undefined ? tookMs : this.roundTripMs + (tookMs - this.roundTripMs) * roundTripWeight;
    if (frame.kind === frameKinds.reply) call.settle(undefined, value);
    else call.settle(value as InfinitError);
  }

  /** The connection ended: so do all calls. */
  end(error: InfinitError): void {
    this.ended = error;
    for (const call of [...this.sent.values(), ...this.waiting]) call.settle(error);
  }

  private giveUp(call: PendingCall, error: InfinitError): void {
    if (call.number !== 0 && !this.ended) this.connection.send([framePrefix(frameKinds.cancel, call.number)]);
    call.settle(error);
  }

  private remove(call: PendingCall): void {
    if (this.waiting.delete(call)) return;
    if (this.sent.delete(call.number)) this.bytesUnanswered -= call.bytes;
  }

  /** Sends waiting calls while the limits allow. */
  private pump(): void {
    if (this.ended) return;
    for (const call of this.waiting) {
      if (this.connection.queuedBytes > limits.sendQueueBytesMax) {
        this.awaitDrain();
        return;
      }
      if (this.sent.size >= limits.callsInFlightMax) return;
      if (this.sent.size > 0 && this.bytesUnanswered + call.bytes > limits.callBytesInFlightMax) return;
      this.launch(call);
    }
  }

  private awaitDrain(): void {
    if (this.drainAwaited) return;
    this.drainAwaited = true;
    const done = () => {
      this.drainAwaited = false;
      this.pump();
    };
    this.connection.drained().then(done, () => {});
  }

  private launch(call: PendingCall): void {
    this.waiting.delete(call);
    call.number = this.nextNumber();
    call.sentAtMs = this.clock.monotonic();
    this.sent.set(call.number, call);
    this.bytesUnanswered += call.bytes;
    const method = this.numberOf(call.method);
    const flags = method.known ? 0 : frameFlags.named;
    const parts: Bytes[] = [framePrefix(frameKinds.request, call.number, call.header.length, method.number, flags)];
    if (!method.known) parts.push(namePart(call.method.name));
    parts.push(call.header, ...call.attachments);
    this.connection.send(parts);
  }

  private nextNumber(): number {
    do this.lastNumber = (this.lastNumber + 1) >>> 0;
    while (this.lastNumber === 0 || this.sent.has(this.lastNumber));
    return this.lastNumber;
  }

  private numberOf(method: Method<unknown, unknown>): MethodNumber {
    const found = this.methods.get(method.name);
    if (found) return found;
    if (this.methods.size >= limits.methodsMax)
      throw new InfinitError('internal', 'too many methods on one connection');
    const fresh = { number: this.methods.size, known: false };
    this.methods.set(method.name, fresh);
    return fresh;
  }
}
