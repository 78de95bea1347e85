// One connection after the greeting: tells frames apart, watches that the other side lives, ends. Anything a peer of ours
// would not send ends it with `corrupt`.

import { asError, InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { NodeId } from '../block/address.ts';
import type { Cancel, Clock, Connection, Endpoint } from '../runtime/runtime.ts';
import { frameKinds, framePrefix, parseFrame } from './frames.ts';
import type { Greeted, Side } from './greeting.ts';
import { readRefusal } from './greeting.ts';
import { IncomingCalls } from './incoming.ts';
import { OutgoingCalls } from './outgoing.ts';
import type { CallOptions, Method, Peer, PeerIdentity } from './peer.ts';
import type { Services } from './services.ts';
import type { Turns } from './turns.ts';

export interface SessionParts {
  readonly connection: Connection;
  readonly greeted: Greeted;
  readonly side: Side;
  /** Who carries the connection; undefined for a direct one. */
  readonly relay?: NodeId | undefined;
  readonly services: Services;
  readonly turns: Turns;
  readonly clock: Clock;
  readonly peer: () => Peer;
  /** Called once. */
  readonly closed: (session: Session, error: InfinitError | undefined) => void;
}

export class Session {
  readonly identity: PeerIdentity;
  readonly side: Side;
  readonly relay: NodeId | undefined;
  readonly remote: Endpoint;
  open = true;
  private readonly connection: Connection;
  private readonly clock: Clock;
  private readonly outgoing: OutgoingCalls;
  private readonly incoming: IncomingCalls;
  private readonly tellClosed: SessionParts['closed'];
  private heardAtMs: number;
  private tickAtMs: number;
  private stopTicking: Cancel;
  private retiring = false;

  constructor(parts: SessionParts) {
    this.connection = parts.connection;
    this.clock = parts.clock;
    this.identity = parts.greeted.identity;
    this.side = parts.side;
    this.relay = parts.relay;
    this.remote = parts.connection.remote;
    this.tellClosed = parts.closed;
    this.outgoing = new OutgoingCalls(parts.connection, parts.clock);
    this.incoming = new IncomingCalls(parts.connection, parts.services, parts.turns, this.identity, parts.peer);
    this.heardAtMs = this.tickAtMs = this.clock.monotonic();
    this.stopTicking = this.clock.after(limits.heartbeatPeriodMs, () => this.tick());
  }

  /** From now on frames are processed; to be called once the session is known to its peer. */
  start(greeted: Greeted): void {
    greeted.handOver(
      (frame) => this.receive(frame),
      (error) => this.finish(error ? asError(error) : undefined),
    );
  }

  get roundTripMs(): number | undefined {
    return this.outgoing.roundTripMs;
  }

  call<Q, R>(method: Method<Q, R>, request: Q, options: CallOptions): Promise<R> {
    return this.outgoing.call(method, request, options);
  }

  /** Ends calls and connection; an error says the other side misbehaved or is silent. */
  close(error?: InfinitError): void {
    if (!this.open) return;
    this.connection.close(error);
    this.finish(error);
  }

  /** Another connection replaces this one: it ends when its calls have. */
  retire(): void {
    this.retiring = true;
  }

  /** Resolves when no handler of a call received here runs any more. */
  finished(): Promise<void> {
    return this.incoming.finished();
  }

  private receive(bytes: Buffer): void {
    if (!this.open) return;
    this.heardAtMs = this.clock.monotonic();
    try {
      this.process(bytes);
    } catch (error) {
      this.close(asError(error));
    }
  }

  private process(bytes: Buffer): void {
    const frame = parseFrame(bytes);
    switch (frame.kind) {
      case frameKinds.request:
        this.incoming.receive(frame);
        return;
      case frameKinds.reply:
      case frameKinds.failure:
        this.outgoing.answered(frame);
        return;
      case frameKinds.cancel:
        this.incoming.cancel(frame.call);
        return;
      case frameKinds.ping:
        // A remote that does not read its pongs gets no more of them.
        if (this.connection.queuedBytes <= limits.sendQueueBytesMax)
          this.connection.send([framePrefix(frameKinds.pong)]);
        return;
      case frameKinds.pong:
      case frameKinds.hello: // Repeated by the network: heard already.
        return;
      case frameKinds.refusal:
        this.close(readRefusal(bytes));
        return;
      default:
        throw new InfinitError('corrupt', `unknown frame kind ${frame.kind}`);
    }
  }

  /** Every heartbeat period: asks for a sign of life after silence, gives up after long silence. */
  private tick(): void {
    const nowMs = this.clock.monotonic();
    const sinceTickMs = nowMs - this.tickAtMs;
    this.tickAtMs = nowMs;
    this.stopTicking = this.clock.after(limits.heartbeatPeriodMs, () => this.tick());
    if (this.retiring && this.outgoing.size === 0 && this.incoming.size === 0) {
      this.close();
      return;
    }
    // After a stall of this process nothing can be said about the others before their frames were read.
    const stalled = sinceTickMs > 2 * limits.heartbeatPeriodMs || !this.incoming.isReading;
    const silentMs = nowMs - this.heardAtMs;
    if (!stalled && silentMs > limits.heartbeatTimeoutMs) {
      this.close(new InfinitError('unavailable', `nothing heard for ${Math.round(silentMs)} ms`));
      return;
    }
    if (silentMs >= limits.heartbeatPeriodMs / 2) this.connection.send([framePrefix(frameKinds.ping)]);
  }

  private finish(error: InfinitError | undefined): void {
    if (!this.open) return;
    this.open = false;
    this.stopTicking();
    const kind = error?.kind === 'denied' || error?.kind === 'conflict' ? error.kind : 'unavailable';
    this.outgoing.end(
      new InfinitError(kind, error ? `connection closed: ${error.message}` : 'connection closed', { cause: error }),
    );
    this.incoming.end();
    this.tellClosed(this, error);
  }
}
