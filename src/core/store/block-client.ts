// The asking side of immutable blocks: parallel puts acknowledged by a quorum of distinct nodes, verified and hedged gets,
// and read repair (docs/protocols.md 3, I1 and I2).

import { type Bytes, equalBytes, toHex } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import type { Abortable } from '../base/lifecycle.ts';
import { checkSignal, deferred } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { type Address, blockAddress } from '../block/address.ts';
import type { NodeRecord, Overlay } from '../overlay/overlay.ts';
import type { Method } from '../peer/peer.ts';
import type { Runtime } from '../runtime/runtime.ts';
import * as messages from './messages.ts';
import type { Blocks, PutOptions } from './store.ts';

/** Placement looks this many nodes further than the replicas when some of them fail. */
const sparesMax = 8;
/** A node with more than this on the way is slow: it is left to repair as long as others suffice. */
const nodeBytesInFlightMax = 32 * 1024 * 1024;
const putDeadlineMs = 30_000;
const getDeadlineMs = 20_000;
const retryDelayMs = { first: 50, max: 1000 };
const hedgeDelayMs = { min: 30, max: 1000, factor: 4 };
const repairsQueuedMax = 256;

export interface BlockClientOptions {
  runtime: Runtime;
  overlay: Overlay;
  replicationFactor: number;
}

export interface BlockCounters {
  puts: number;
  gets: number;
  repairs: number;
  repairsDropped: number;
}

export class BlockClient implements Blocks {
  readonly counters: BlockCounters = { puts: 0, gets: 0, repairs: 0, repairsDropped: 0 };
  private readonly options: BlockClientOptions;
  private readonly inFlight = new Map<string, number>();
  private readonly roundTrips = new Map<string, number>();
  private repairs = 0;

  constructor(options: BlockClientOptions) {
    this.options = options;
  }

  async put(block: Bytes, options: PutOptions): Promise<Address> {
    this.counters.puts++;
    const address = blockAddress(block);
    const request = { address, generation: options.generation, block };
    // Not cancelled with the caller: the copies beyond the quorum go on in the background, each under its call's deadline.
    await this.spread(address, options, block.length, (node) => this.call(node, messages.blockPut, request, {}));
    return address;
  }

  async touch(addresses: readonly Address[], options: PutOptions): Promise<boolean[]> {
    return Promise.all(
      addresses.map(async (address) => {
        const owners = await this.options.overlay.owners(address, this.options.replicationFactor + sparesMax, options);
        const request = { addresses: [address], generation: options.generation };
        const held = await Promise.all(
          owners.map((node) =>
            this.call(node, messages.blockTouch, request, options).then(
              (reply) => reply.held[0] === true,
              () => false,
            ),
          ),
        );
        return held.filter(Boolean).length >= options.quorum;
      }),
    );
  }

  async get(address: Address, options: Abortable = {}): Promise<Buffer> {
    this.counters.gets++;
    const fetch = async (node: NodeRecord, signal: AbortSignal) => {
      const reply = await this.call(node, messages.blockGet, { address }, { signal });
      if (!equalBytes(blockAddress(reply.block), address))
        throw new InfinitError('corrupt', 'block does not hash to its address');
      return reply;
    };
    const { value, missing } = await this.search(address, fetch, options);
    for (const node of missing) this.repair(node, { address, generation: value.generation, block: value.block });
    return value.block as Buffer;
  }

  async getRange(address: Address, offset: number, length: number, options: Abortable = {}): Promise<Buffer> {
    this.counters.gets++;
    const request = { address, offset, length };
    const fetch = (node: NodeRecord, signal: AbortSignal) => this.call(node, messages.blockRange, request, { signal });
    const { value, missing } = await this.search(address, fetch, options);
    if (missing.length > 0) this.get(address).catch(() => {}); // the whole block is needed to repair
    return value.part as Buffer;
  }

  private async call<Q, R>(node: NodeRecord, method: Method<Q, R>, request: Q, options: Abortable): Promise<R> {
    const peer = await this.options.overlay.peer(node.id, options);
    return peer.call(method, request, options);
  }

  /** Whether there would be nodes enough, were it not for those that take no more data. */
  private async areClosed(address: Address, { quorum, signal }: PutOptions): Promise<boolean> {
    const all = await this.options.overlay.owners(address, quorum, { signal, all: true });
    return all.filter(({ leaving }) => !leaving).length >= quorum;
  }

  /** Runs the send on the replicas in parallel, replaces those that fail, and resolves when a quorum has succeeded. */
  private async spread(
    address: Address,
    options: PutOptions,
    size: number,
    send: (node: NodeRecord) => Promise<unknown>,
  ): Promise<void> {
    const { runtime, overlay, replicationFactor } = this.options;
    const started = runtime.clock.monotonic();
    const done = new Set<string>();
    const running = new Set<string>();
    let failure: unknown;
    for (let delayMs = retryDelayMs.first; ; delayMs = Math.min(delayMs * 2, retryDelayMs.max)) {
      checkSignal(options.signal);
      const owners = await overlay.owners(address, replicationFactor + sparesMax, options);
      let worthRetrying = owners.length < options.quorum;
      const round = deferred();
      const queue = owners.filter((node) => !done.has(toHex(node.id)) && !running.has(toHex(node.id)));
      const startNext = (wantSlow: boolean): boolean => {
        const index = queue.findIndex(
          (node) => wantSlow || (this.inFlight.get(toHex(node.id)) ?? 0) < nodeBytesInFlightMax,
        );
        const [node] = index < 0 ? [] : queue.splice(index, 1);
        if (node === undefined) return false;
        const name = toHex(node.id);
        running.add(name);
        this.account(name, size);
        send(node)
          .then(() => done.add(name))
          .catch((error: unknown) => {
            failure = error;
            worthRetrying ||= !isError(error, 'full', 'denied', 'corrupt');
          })
          .finally(() => {
            running.delete(name);
            this.account(name, -size);
            if (done.size >= options.quorum) round.resolve();
            else if (running.size + done.size < replicationFactor && !startNext(true) && running.size === 0)
              round.resolve();
          });
        return true;
      };
      while (running.size + done.size < replicationFactor && startNext(false));
      while (running.size + done.size < options.quorum && startNext(true));
      if (running.size > 0) await round.promise;
      if (done.size >= options.quorum) return;
      if (owners.length < options.quorum && (await this.areClosed(address, options))) {
        failure = new InfinitError('full', 'nodes take no more data');
        break;
      }
      if (!worthRetrying) break;
      if (runtime.clock.monotonic() - started > putDeadlineMs) break;
      await runtime.clock.sleep(delayMs, options);
    }
    const reason = failure === undefined ? '' : `: ${asError(failure).message}`;
    const kind = isError(failure, 'full', 'denied', 'corrupt') ? failure.kind : 'unavailable';
    throw new InfinitError(kind, `block is on ${done.size} of the ${options.quorum} nodes it needs${reason}`, {
      hint: 'infinit network inspect --peers shows which nodes are reachable',
    });
  }

  private account(node: string, size: number): void {
    const bytes = (this.inFlight.get(node) ?? 0) + size;
    if (bytes > 0) this.inFlight.set(node, bytes);
    else this.inFlight.delete(node);
  }

  /**
   * Asks responsible nodes nearest first, a further one when one fails or is slow, then nodes beyond the replicas.
   * Returns the first good answer and the responsible nodes that lacked it.
   */
  private async search<T>(
    address: Address,
    fetch: (node: NodeRecord, signal: AbortSignal) => Promise<T>,
    options: Abortable,
  ): Promise<{ value: T; missing: NodeRecord[] }> {
    const { runtime, replicationFactor } = this.options;
    const started = runtime.clock.monotonic();
    for (let delayMs = retryDelayMs.first; ; delayMs = Math.min(delayMs * 2, retryDelayMs.max)) {
      checkSignal(options.signal);
      const holders = await this.holders(address, options);
      const outcome = await this.race(holders, fetch, options.signal);
      if (outcome.found) {
        const responsible = new Set(holders.slice(0, replicationFactor));
        return { value: outcome.found.value, missing: outcome.missing.filter((node) => responsible.has(node)) };
      }
      // Who sees fewer nodes than a block has copies does not see those that have it: cut off, he must not call it lost.
      const all = outcome.missing.length === holders.length && holders.length >= replicationFactor;
      if (all && runtime.clock.monotonic() - started > 3000) {
        throw new InfinitError(
          'lost',
          `block ${toHex(address).slice(0, 12)} is on none of the ${holders.length} nodes asked`,
        );
      }
      if (runtime.clock.monotonic() - started > getDeadlineMs) {
        throw new InfinitError('unavailable', `no node that may hold block ${toHex(address).slice(0, 12)} answers`);
      }
      await runtime.clock.sleep(delayMs, options);
    }
  }

  /** Responsible nodes, the local one and near ones first, then others that may hold a copy. */
  private async holders(address: Address, options: Abortable): Promise<NodeRecord[]> {
    const { overlay, replicationFactor } = this.options;
    const owners = await overlay.owners(address, replicationFactor + sparesMax, { ...options, all: true });
    const near = owners.slice(0, replicationFactor);
    const distance = new Map<NodeRecord, number>();
    for (const node of near) distance.set(node, this.distanceMs(node));
    near.sort((a, b) => (distance.get(a) as number) - (distance.get(b) as number));
    return [...near, ...owners.slice(replicationFactor)];
  }

  private distanceMs(node: NodeRecord): number {
    if (this.options.overlay.liveness(node.id) === 'dead') return Number.MAX_SAFE_INTEGER;
    return this.roundTrips.get(toHex(node.id)) ?? hedgeDelayMs.min;
  }

  private race<T>(
    holders: readonly NodeRecord[],
    fetch: (node: NodeRecord, signal: AbortSignal) => Promise<T>,
    signal: AbortSignal | undefined,
  ): Promise<{ found?: { value: T }; missing: NodeRecord[] }> {
    const { clock } = this.options.runtime;
    const result = deferred<{ found?: { value: T }; missing: NodeRecord[] }>();
    const missing: NodeRecord[] = [];
    const stop = new AbortController();
    const abort = () => stop.abort(signal?.reason);
    signal?.addEventListener('abort', abort, { once: true });
    let next = 0;
    let running = 0;
    let cancelHedge = () => {};
    const finish = (outcome: { found?: { value: T }; missing: NodeRecord[] }) => {
      cancelHedge();
      signal?.removeEventListener('abort', abort);
      result.resolve(outcome);
      stop.abort();
    };
    const startNext = () => {
      cancelHedge();
      const node = holders[next++];
      if (node === undefined) {
        if (running === 0) finish({ missing });
        return;
      }
      running++;
      const began = clock.monotonic();
      fetch(node, stop.signal)
        .then((value) => {
          this.noteRoundTrip(node, clock.monotonic() - began);
          finish({ found: { value }, missing });
        })
        .catch((error: unknown) => {
          if (isError(error, 'not-found', 'corrupt')) missing.push(node);
          running--;
          startNext();
        });
      const expected = this.roundTrips.get(toHex(node.id)) ?? hedgeDelayMs.min;
      const waitMs = Math.min(Math.max(expected * hedgeDelayMs.factor, hedgeDelayMs.min), hedgeDelayMs.max);
      cancelHedge = clock.after(waitMs, () => next < holders.length && startNext());
    };
    startNext();
    return result.promise;
  }

  private noteRoundTrip(node: NodeRecord, timeMs: number): void {
    const name = toHex(node.id);
    if (this.roundTrips.size >= limits.knownContactsMax) this.roundTrips.clear();
    const before = this.roundTrips.get(name);
    this.roundTrips.set(name, before === undefined ? timeMs : before * 0.8 + timeMs * 0.2);
  }

  /** Puts a copy where one is missing, in the background; dropped when too many wait (the next read asks again). */
  private repair(node: NodeRecord, request: { address: Address; generation: number; block: Bytes }): void {
    if (this.repairs >= repairsQueuedMax) {
      this.counters.repairsDropped++;
      return;
    }
    this.repairs++;
    this.call(node, messages.blockPut, request, {})
      .then(() => this.counters.repairs++)
      .catch((error: unknown) => {
        this.options.runtime.log.write('debug', 'store', 'read repair failed', { reason: asError(error).message });
      })
      .finally(() => this.repairs--);
  }
}
