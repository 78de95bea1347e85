// Calls received over one connection. Each number runs once, however often its frame comes. Requests wait while too many run
// or while the caller does not read its answers; a caller who goes on sending then is not read any more. Callers of this
// project stay below those limits (outgoing.ts), so two nodes never stop reading each other at once.

import { type Bytes, toHex } from '../base/bytes.ts';
import { decodeParts, encodeParts } from '../base/codec.ts';
import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { Connection } from '../runtime/runtime.ts';
import {
  errorCodec,
  type Frame,
  frameFlags,
  frameKinds,
  framePrefix,
  prefixBytes,
  sizeOf,
  splitName,
} from './frames.ts';
import type { CallContext, Peer, PeerIdentity } from './peer.ts';
import type { Service, Services } from './services.ts';
import type { Turns } from './turns.ts';

interface Request {
  readonly number: number;
  /** Undefined when this node does not serve the method. */
  readonly service: Service | undefined;
  readonly name: string;
  readonly body: Buffer;
  readonly headerLength: number;
  abort: AbortController | undefined;
  aborted: boolean;
}

/** Power of two, above twice the calls in flight: numbers further back count as repeated. */
const windowNumbers = 16_384;

export class IncomingCalls {
  private readonly connection: Connection;
  private readonly services: Services;
  private readonly turns: Turns;
  private readonly user: string;
  private readonly identity: PeerIdentity;
  private readonly peer: () => Peer;
  /** By the caller's numbers. */
  private readonly methods = new Map<number, { name: string; service: Service }>();
  private readonly running = new Map<number, Request>();
  private readonly held = new Map<number, Request>();
  private readonly seen = new SeenNumbers();
  private bytes = 0;
  /** At most this much of the send queue is answers. */
  private answerBytes = 0;
  private reading = true;
  private drainAwaited = false;
  private turnAwaited = false;
  private ended = false;
  private idle: (() => void)[] = [];

  constructor(connection: Connection, services: Services, turns: Turns, identity: PeerIdentity, peer: () => Peer) {
    this.connection = connection;
    this.services = services;
    this.turns = turns;
    this.identity = identity;
    this.user = toHex(identity.userKey);
    this.peer = peer;
  }

  get size(): number {
    return this.running.size + this.held.size;
  }
  /** Whether the caller is read; silence means nothing while it is not. */
  get isReading(): boolean {
    return this.reading;
  }

  /** Throws `corrupt` for frames no peer of ours sends. */
  receive(frame: Frame): void {
    if (!this.seen.add(frame.call)) return;
    const { name, service, body } = this.resolveMethod(frame);
    if (frame.headerLength > body.length) throw new InfinitError('corrupt', 'request header is truncated');
    const { call: number, headerLength } = frame;
    this.held.set(number, { number, service, name, body, headerLength, abort: undefined, aborted: false });
    this.bytes += body.length;
    this.pump();
  }

  cancel(number: number): void {
    const held = this.held.get(number);
    if (held) {
      this.held.delete(number);
      this.release(held);
    }
    const running = this.running.get(number);
    if (running) abort(running);
  }

  /** The connection ended: what runs is told, its results go nowhere. */
  end(): void {
    this.ended = true;
    this.held.clear();
    for (const request of this.running.values()) abort(request);
  }

  /** Resolves when no handler runs. */
  finished(): Promise<void> {
    if (this.running.size === 0) return Promise.resolve();
    return new Promise((resolve) => this.idle.push(resolve));
  }

  private resolveMethod(frame: Frame): { name: string; service: Service | undefined; body: Buffer } {
    const known = this.methods.get(frame.method);
    if (!(frame.flags & frameFlags.named)) {
      if (!known) throw new InfinitError('corrupt', 'request with an unknown method number');
      return { ...known, body: frame.body };
    }
    const { name, rest } = splitName(frame.body);
    if (known && known.name !== name) throw new InfinitError('corrupt', 'method number means two names');
    const service = this.services.find(name);
    if (service && frame.method < limits.methodsMax) this.methods.set(frame.method, { name, service });
    return { name, service, body: rest };
  }

  private pump(): void {
    for (const [number, request] of this.held) {
      if (this.running.size >= limits.handlersMax) break;
      if (this.answersQueued() > limits.sendQueueBytesMax) {
        this.awaitDrain();
        break;
      }
      if (this.turnAwaited || !this.turns.begin(this.user, request.body.length)) {
        this.awaitTurn();
        break;
      }
      this.held.delete(number);
      this.running.set(number, request);
      void this.run(request);
    }
    this.regulate();
  }

  private answersQueued(): number {
    this.answerBytes = Math.min(this.answerBytes, this.connection.queuedBytes);
    return this.answerBytes;
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

  private awaitTurn(): void {
    if (this.turnAwaited) return;
    this.turnAwaited = true;
    this.turns.later(() => {
      this.turnAwaited = false;
      if (!this.ended) this.pump();
    });
  }

  /** Stops reading a caller far above the limits, starts again when most of it is done. */
  private regulate(): void {
    const over = this.size >= 2 * limits.callsInFlightMax || this.bytes > 2 * limits.callBytesInFlightMax;
    const under = this.size <= limits.callsInFlightMax && this.bytes <= limits.callBytesInFlightMax;
    if (this.reading && over) {
      this.reading = false;
      this.connection.pause();
    } else if (!this.reading && under && !this.ended) {
      this.reading = true;
      this.connection.resume();
    }
  }

  private async run(request: Request): Promise<void> {
    const { service, number } = request;
    try {
      if (!service) throw new InfinitError('unsupported', `this node does not serve ${request.name}`);
      const read = () => decodeParts(service.method.request, request.body, request.headerLength);
      const result = await this.services.run(service, read, this.context(request));
      if (!request.aborted) this.reply(service, number, result);
    } catch (error) {
      if (!request.aborted) this.fail(service, number, error);
    }
    this.running.delete(number);
    this.release(request);
    if (this.running.size === 0) for (const resolve of this.idle.splice(0)) resolve();
    if (!this.ended) this.pump();
  }

  private context(request: Request): CallContext {
    const peer = this.peer();
    return {
      from: this.identity,
      peer,
      // Made when first asked for: most handlers never look at it.
      get signal() {
        if (!request.abort) {
          request.abort = new AbortController();
          if (request.aborted) request.abort.abort(gone());
        }
        return request.abort.signal;
      },
    };
  }

  private reply(service: Service, number: number, result: unknown): void {
    try {
      const { header, attachments } = encodeParts(service.method.response, result);
      const bytes = prefixBytes + header.length + sizeOf(attachments);
      if (bytes > limits.frameBytesMax)
        throw new InfinitError('full', `answer of ${bytes} bytes to ${service.method.name} is above the frame limit`);
      this.answer(framePrefix(frameKinds.reply, number, header.length, 0, frameFlags.known), [header, ...attachments]);
    } catch (error) {
      throw this.services.outward(error, service, { from: this.identity });
    }
  }

  private fail(service: Service | undefined, number: number, error: unknown): void {
    const { header } = encodeParts(errorCodec, asError(error));
    const flags = service ? frameFlags.known : 0;
    this.answer(framePrefix(frameKinds.failure, number, header.length, 0, flags), [header]);
  }

  private answer(prefix: Buffer, parts: readonly Bytes[]): void {
    this.answerBytes = this.answersQueued() + prefix.length + sizeOf(parts);
    this.connection.send([prefix, ...parts]);
  }

  private release(request: Request): void {
    this.bytes -= request.body.length;
  }
}

function abort(request: Request): void {
  request.aborted = true;
  request.abort?.abort(gone());
}

function gone(): InfinitError {
  return new InfinitError('cancelled', 'the caller gave up or is gone');
}

/** Which of the last numbers were received: a sliding window of bits, so that its memory does not grow. */
class SeenNumbers {
  private readonly bits = new Uint8Array(windowNumbers / 8);
  private highest = 0;

  /** False when the number was there already, or is too old to tell. */
  add(number: number): boolean {
    const ahead = (number - this.highest) | 0;
    if (ahead <= -windowNumbers) return false;
    if (ahead > 0) {
      const cleared = Math.min(ahead, windowNumbers);
      for (let i = 1; i <= cleared; i++) this.clear(this.highest + i);
      this.highest = number;
    } else if (this.has(number)) return false;
    this.set(number);
    return true;
  }

  private has(number: number): boolean {
    const at = number & (windowNumbers - 1);
    return ((this.bits[at >> 3] as number) & (1 << (at & 7))) !== 0;
  }
  private set(number: number): void {
    const at = number & (windowNumbers - 1);
    this.bits[at >> 3] = (this.bits[at >> 3] as number) | (1 << (at & 7));
  }
  private clear(number: number): void {
    const at = number & (windowNumbers - 1);
    this.bits[at >> 3] = (this.bits[at >> 3] as number) & ~(1 << (at & 7));
  }
}
