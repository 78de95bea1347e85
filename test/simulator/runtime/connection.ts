// The two ends of a simulated connection. Frames keep their order unless the link reorders; what a link loses is gone (nothing
// retransmits), so what runs above needs deadlines.

import type { Bytes } from '../../../src/core/base/bytes.ts';
import { InfinitError } from '../../../src/core/base/errors.ts';
import { type Deferred, deferred } from '../../../src/core/base/lifecycle.ts';
import { limits } from '../../../src/core/base/limits.ts';
import type { Connection, Endpoint } from '../../../src/core/runtime/runtime.ts';
import type { Life } from './host.ts';
import type { Network } from './network.ts';

const lowMarkBytes = 1 << 20;

interface End {
  life: Life;
  remoteKey: Bytes;
  remote: Endpoint;
}

export function connectionPair(network: Network, a: End, b: End): [VirtualConnection, VirtualConnection] {
  const left = new VirtualConnection(network, a);
  const right = new VirtualConnection(network, b);
  left.far = right;
  right.far = left;
  network.register(left);
  network.register(right);
  return [left, right];
}

/** What reached an end and waits to be read there. */
type Arrival = { frame: Buffer; taken: (() => void) | undefined } | { end: Error | undefined };

export class VirtualConnection implements Connection {
  readonly life: Life;
  readonly remoteKey: Bytes;
  readonly remote: Endpoint;
  far: VirtualConnection = this;
  private readonly network: Network;
  private closed = false;
  private paused = false;
  private heard = false;
  private inbox: Arrival[] = [];
  private receive: ((frame: Buffer) => void) | undefined;
  private notify: ((error?: Error) => void) | undefined;
  private queued = 0;
  private waiting: Deferred<void>[] = [];
  private lastArrivalUs = 0;

  constructor(network: Network, end: End) {
    this.network = network;
    this.life = end.life;
    this.remoteKey = Buffer.from(end.remoteKey);
    this.remote = end.remote;
  }

  get queuedBytes(): number {
    return this.queued;
  }

  send(parts: readonly Bytes[]): void {
    if (this.closed || !this.life.alive) return;
    const frame = Buffer.concat(parts);
    if (frame.length > limits.frameBytesMax)
      throw new InfinitError('full', `frame of ${frame.length} bytes is above the limit`);
    const [from, to] = [this.life.host.name, this.far.life.host.name];
    const { network } = this;
    const link = network.link(from, to);
    if (network.isCut(from, to) || network.random.chance(link.loss)) return;
    network.world.note(frame.subarray(0, 64));
    this.queued += frame.length;
    this.deliver(frame, true);
    if (network.random.chance(link.duplication)) this.deliver(Buffer.from(frame), false);
  }

  drained(): Promise<void> {
    if (this.closed) return Promise.reject(new InfinitError('unavailable', 'connection closed'));
    if (this.queued <= lowMarkBytes) return Promise.resolve();
    const wait = deferred();
    this.waiting.push(wait);
    return wait.promise;
  }

  onFrame(receive: (frame: Buffer) => void): void {
    this.receive = receive;
    this.flushInbox();
  }

  onClose(closed: (error?: Error) => void): void {
    this.notify = closed;
  }

  pause(): void {
    this.paused = true;
  }

  resume(): void {
    this.paused = false;
    this.flushInbox();
  }

  close(error?: Error): void {
    if (this.closed || !this.life.alive) return;
    this.tellFar(error ? new InfinitError('unavailable', 'connection reset') : undefined);
    this.finish(error);
  }

  /** Nothing arrives at the far end before that time. */
  holdUntil(timeUs: number): void {
    this.lastArrivalUs = timeUs;
  }

  /** This end breaks now, without a word to the other. */
  fail(error: Error): void {
    if (!this.closed) this.finish(error);
  }

  /** The far end learns that this one ended, after all that was sent before. */
  tellFar(error: Error | undefined): void {
    const { far } = this;
    this.carryInOrder(0, 'end', () => far.arrived({ end: error }));
  }

  private deliver(frame: Buffer, counted: boolean): void {
    const { far } = this;
    this.carryInOrder(frame.length, `frame ${frame.length}`, () => {
      if (far.closed || !far.life.alive) {
        // The far process is gone: its kernel, when there is one again, says so.
        if (!far.life.alive && far.life.host.alive)
          this.network.carry(far.life.host, this.life.host, 'reset', () =>
            this.arrived({ end: new InfinitError('unavailable', 'connection reset') }),
          );
        return;
      }
      far.arrived({ frame, taken: counted ? () => this.taken(frame.length) : undefined });
    });
  }

  private carryInOrder(bytes: number, label: string, arrive: () => void): void {
    const { network } = this;
    network.onCarried(bytes);
    const [from, to] = [this.life.host, this.far.life.host];
    const link = network.link(from.name, to.name);
    const nowUs = network.world.timeUs;
    const travelUs = network.latencyUs(from.name, to.name) + (bytes / link.bytesPerMs) * 1000;
    const inOrderUs = Math.max(nowUs + travelUs, this.lastArrivalUs + 1 + (bytes / link.bytesPerMs) * 1000);
    if (network.random.chance(link.reordering)) {
      network.carry(from, to, label, arrive, inOrderUs - nowUs + 3 * network.latencyUs(from.name, to.name));
      return;
    }
    this.lastArrivalUs = Math.ceil(inOrderUs);
    network.carry(from, to, label, arrive, this.lastArrivalUs - nowUs);
  }

  private arrived(what: Arrival): void {
    if (this.closed || !this.life.alive) return;
    if ('end' in what && what.end) {
      this.finish(what.end);
      return;
    }
    this.inbox.push(what);
    this.flushInbox();
  }

  private flushInbox(): void {
    while (!this.paused && this.receive && !this.closed && this.life.alive) {
      const next = this.inbox.shift();
      if (next === undefined) return;
      if ('end' in next) {
        this.finish(next.end);
        return;
      }
      next.taken?.();
      if (!this.heard && next.frame.length > limits.firstFrameBytesMax) {
        this.close(new InfinitError('corrupt', 'the first frame is above the limit'));
        return;
      }
      this.heard = true;
      this.receive(next.frame);
    }
  }

  private taken(bytes: number): void {
    this.queued -= bytes;
    if (this.closed || this.waiting.length === 0 || this.queued > lowMarkBytes) return;
    const waiting = this.waiting;
    this.waiting = [];
    this.life.schedule(1, `drained ${this.life.host.name}`, () => {
      for (const wait of waiting) wait.resolve();
    });
  }

  private finish(error: Error | undefined): void {
    this.closed = true;
    this.inbox = [];
    this.network.forget(this);
    const waiting = this.waiting;
    this.waiting = [];
    for (const wait of waiting) wait.reject(error ?? new InfinitError('unavailable', 'connection closed'));
    this.life.schedule(1, `closed ${this.life.host.name}`, () => this.notify?.(error));
  }
}
