// Carries register messages to nodes in batches: what waits for one node when a call may leave goes together. At most
// `limits.registerBatchesInFlightMax` calls a node, no timer on the way of a message; commits wait for the next batch, or 50 ms.

import { type Bytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import type { Address, NodeId } from '../../block/address.ts';
import type { Overlay } from '../../overlay/overlay.ts';
import type { Peers } from '../../peer/peer.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import { type RegisterCall, registerBatch, type WireMessage, type WireReply } from './messages.ts';

export interface CourierOptions {
  runtime: Runtime;
  peers: Peers;
  overlay: Overlay;
}

/** An answer, and the store in whose name it was given. */
export interface Answered {
  store: Bytes;
  reply: WireReply;
}

interface Waiting {
  call: RegisterCall;
  resolve(answer: Answered): void;
  reject(error: unknown): void;
}

interface Lane {
  readonly node: NodeId;
  queue: Waiting[];
  inFlight: number;
  scheduled: boolean;
  /** Commits, by address: worth sending, not worth a call of their own yet. */
  readonly lazy: Map<string, RegisterCall>;
  lazyTimer: Cancel | undefined;
}

export class Courier {
  private readonly options: CourierOptions;
  private readonly lanes = new Map<string, Lane>();
  private closed = false;

  constructor(options: CourierOptions) {
    this.options = options;
  }

  /** Throws `unavailable` when the node does not answer in time, `full` when too many messages wait for it. */
  ask(node: NodeId, address: Address, message: WireMessage): Promise<Answered> {
    const lane = this.lane(node);
    if (this.closed) return Promise.reject(new InfinitError('unavailable', 'registers are closed'));
    if (lane.queue.length >= limits.registerQueueMax)
      return Promise.reject(new InfinitError('full', 'too many register messages wait for one node'));
    return new Promise((resolve, reject) => {
      lane.queue.push({ call: { address, message }, resolve, reject });
      this.schedule(lane);
    });
  }

  /** Sends with the next batch to that node, or alone after a while; nobody waits for the answer. */
  later(node: NodeId, address: Address, message: WireMessage): void {
    if (this.closed) return;
    const lane = this.lane(node);
    lane.lazy.set(toHex(address), { address, message });
    if (lane.lazy.size >= limits.registerBatchMax / 2) this.schedule(lane);
    else
      lane.lazyTimer ??= this.options.runtime.clock.after(limits.registerCommitDelayMs, () => {
        lane.lazyTimer = undefined;
        this.schedule(lane);
      });
  }

  /** What waits is given up; what is in flight ends by itself. */
  close(): void {
    this.closed = true;
    for (const lane of this.lanes.values()) {
      lane.lazyTimer?.();
      lane.lazy.clear();
      for (const { reject } of lane.queue.splice(0)) reject(new InfinitError('unavailable', 'registers are closed'));
    }
    this.lanes.clear();
  }

  private lane(node: NodeId): Lane {
    const name = toHex(node);
    const known = this.lanes.get(name);
    if (known) return known;
    const lane: Lane = { node, queue: [], inFlight: 0, scheduled: false, lazy: new Map(), lazyTimer: undefined };
    this.lanes.set(name, lane);
    return lane;
  }

  /** After the current tick's messages are all queued. */
  private schedule(lane: Lane): void {
    if (lane.scheduled || lane.inFlight >= limits.registerBatchesInFlightMax) return;
    lane.scheduled = true;
    queueMicrotask(() => {
      lane.scheduled = false;
      if (lane.queue.length > 0 || lane.lazy.size > 0) void this.send(lane);
    });
  }

  private async send(lane: Lane): Promise<void> {
    lane.inFlight++;
    const { calls, waiting } = takeBatch(lane);
    try {
      const peer = this.options.peers.get(lane.node) ?? (await this.options.overlay.peer(lane.node));
      const request = { calls: [...calls, ...waiting.map(({ call }) => call)] };
      const answer = await peer.call(registerBatch, request, { timeoutMs: limits.registerCallTimeoutMs });
      const replies = answer.replies.slice(calls.length);
      for (const [i, reply] of replies.entries()) waiting[i]?.resolve({ store: answer.store, reply });
      const rest = waiting.slice(replies.length);
      if (rest.length > 0 && answer.replies.length === 0)
        throw new InfinitError('corrupt', 'a node answered a register batch with nothing');
      lane.queue.unshift(...rest);
    } catch (error) {
      for (const { reject } of waiting) reject(error);
    }
    lane.inFlight--;
    if (lane.queue.length > 0) this.schedule(lane);
    else if (lane.inFlight === 0 && lane.lazy.size === 0 && this.lanes.get(toHex(lane.node)) === lane)
      this.lanes.delete(toHex(lane.node));
  }
}

/** Commits first: they are about what is accepted now, not about what the rest of the batch makes of it. */
function takeBatch(lane: Lane): { calls: RegisterCall[]; waiting: Waiting[] } {
  const calls = [...lane.lazy.values()].slice(0, limits.registerBatchMax / 2);
  for (const { address } of calls) lane.lazy.delete(toHex(address));
  if (lane.lazy.size === 0) {
    lane.lazyTimer?.();
    lane.lazyTimer = undefined;
  }
  let count = 0;
  let bytes = 0;
  while (count < lane.queue.length && count + calls.length < limits.registerBatchMax) {
    bytes += messageBytes((lane.queue[count] as Waiting).call.message);
    if (count > 0 && bytes > limits.registerBatchBytesMax) break;
    count++;
  }
  return { calls, waiting: lane.queue.splice(0, count) };
}

function messageBytes(message: WireMessage): number {
  if (message.type === 'accept') return message.state.length;
  return message.type === 'prepare' ? (message.evidence?.state.length ?? 0) : 0;
}
