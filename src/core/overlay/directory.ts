// The node records known here, and the way from a node's id to a connection. Shared by overlays: it verifies what is heard,
// answers `ring.records`, meets a network through seeds and remembered contacts, and keeps contacts over restarts.

import { equalBytes, fromHex, toHex } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import { hash } from '../crypto/hash.ts';
import type { Peer } from '../peer/peer.ts';
import { formatEndpoint } from '../runtime/endpoint.ts';
import type { Cancel, Endpoint } from '../runtime/runtime.ts';
import { type RecordsAnswer, type RecordsRequest, ringRecords, type Standing } from './messages.ts';
import { mergeRecord } from './node-record.ts';
import type { Liveness, NodeRecord, OverlayContext } from './overlay.ts';
import type { NodeName } from './ring.ts';

export interface View {
  liveness: (node: NodeName) => Liveness;
  /** Whom to tell of when asked for all; and whether that is the whole membership. */
  standing: () => { nodes: readonly NodeName[]; whole: boolean };
}

const dialTimeoutMs = 3000;
const batch = 8;
const contactDialsMax = 64;
const saveDelayMs = 5000;
const fetchTimeoutMs = 3000;

/** A call has failed no sooner than this after it began. */
const quickestFailureMs = 20;

export class Directory {
  /** Grows with every change of a record. */
  version = 0;
  readonly self: NodeName;
  /** Called when a record is new or has changed; with the one held before. */
  onChange: (record: NodeRecord, before: NodeRecord | undefined) => void = () => {};
  /** Called when a record is held no more. */
  onForget: (node: NodeName) => void = () => {};
  /** Called with what a peer believes of nodes whose records were asked for. */
  onHeard: (standings: readonly Standing[]) => void = () => {};
  private readonly context: OverlayContext;
  private readonly view: View;
  private readonly positionsMax: number;
  private readonly records = new Map<NodeName, NodeRecord>();
  private readonly fetches = new Map<NodeName, Promise<void>>();
  private readonly open = new Set<AbortController>();
  private saving: Cancel | undefined;
  private saved = '';

  /** `positionsMax`: more than a node of this overlay may hold do not count, whatever its record says. */
  constructor(context: OverlayContext, view: View, { positionsMax = limits.chordPositionsMax as number } = {}) {
    this.context = context;
    this.positionsMax = positionsMax;
    this.view = view;
    this.self = toHex(context.peers.self.id);
  }

  /** With the positions that count. */
  get(node: NodeName): NodeRecord | undefined {
    const record = this.signed(node);
    const tooMany = record !== undefined && record.positions > this.positionsMax;
    return tooMany ? { ...record, positions: this.positionsMax } : record;
  }

  /** As its node signed it. */
  private signed(node: NodeName): NodeRecord | undefined {
    const own = node === this.self ? this.context.self() : undefined;
    return own ?? this.records.get(node);
  }

  all(): NodeName[] {
    return [...this.records.keys()];
  }

  /** Answers `ring.records` from now on. */
  serve(): void {
    this.context.peers.serve(ringRecords, (request) => this.answer(request));
  }

  /** Takes what is valid and certified by the network; the rest is dropped. `known`: it was certified when it was kept. */
  learn(records: readonly NodeRecord[], { known = false } = {}): void {
    for (const record of records) {
      const node = toHex(record.id);
      if (node === this.self) continue;
      const held = this.records.get(node);
      try {
        if (mergeRecord(held, record) === held) continue;
        if (!known && !(held && sameCredentials(held, record))) this.context.certify(record);
      } catch (error) {
        this.log('warn', 'a node record was refused', { node, reason: asError(error).message });
        continue;
      }
      if (!held && this.records.size >= limits.nodeRecordsMax) this.evict();
      this.records.set(node, record);
      this.version++;
      this.onChange(record, held);
    }
  }

  forget(node: NodeName): void {
    if (!this.records.delete(node)) return;
    this.version++;
    this.onForget(node);
  }

  /** Whether the network would still certify the node of a record held: passports and certificates end. */
  stands(node: NodeName): boolean {
    const record = this.records.get(node);
    if (record === undefined) return false;
    try {
      this.context.certify(record);
      return true;
    } catch {
      return false;
    }
  }

  /** The name of a caller that is a storage node whose record is known: only such may speak of the ring. Throws `denied`. */
  async caller(kind: 'storage' | 'client', peer: Peer): Promise<NodeName> {
    if (kind !== 'storage') throw new InfinitError('denied', 'only storage nodes have places on the ring');
    const node = toHex(peer.id);
    await this.fetchMissing([node], peer);
    if (!this.get(node)) throw new InfinitError('denied', 'the caller shows no valid node record');
    return node;
  }

  /** The peer said that its record has this serial. */
  compareSerial(peer: Peer, serial: number): void {
    const node = toHex(peer.id);
    if (serial > (this.get(node)?.serial ?? -1)) void this.fetch([node], peer);
  }

  /** The oldest record of the user who has most goes: nobody pushes the nodes of others out with many of his own. */
  private evict(): void {
    const byUser = new Map<string, NodeName[]>();
    for (const [node, { userKey }] of this.records) {
      const user = toHex(userKey);
      const nodes = byUser.get(user);
      if (nodes) nodes.push(node);
      else byUser.set(user, [node]);
    }
    const [most] = [...byUser.values()].sort((a, b) => b.length - a.length);
    this.forget(most?.[0] as NodeName);
  }

  /** Asks the peer for records of nodes; concurrent questions for one node are one. */
  async fetch(nodes: readonly NodeName[], from: Peer): Promise<void> {
    const waiting: Promise<void>[] = [];
    const wanted: NodeName[] = [];
    for (const node of nodes) {
      const open = this.fetches.get(node);
      if (open) waiting.push(open);
      else wanted.push(node);
    }
    if (wanted.length > 0) {
      const request = this.ask(wanted.slice(0, limits.knownContactsMax), from).finally(() => {
        for (const node of wanted) this.fetches.delete(node);
      });
      for (const node of wanted) this.fetches.set(node, request);
      waiting.push(request);
    }
    await Promise.allSettled(waiting);
  }

  /** Records of those not known yet. */
  async fetchMissing(nodes: readonly NodeName[], from: Peer): Promise<void> {
    const missing = nodes.filter((node) => this.get(node) === undefined);
    if (missing.length > 0) await this.fetch(missing, from);
  }

  /** An open connection, or a new one by the record. Throws `unavailable`. */
  async peer(node: NodeName, options: Abortable = {}): Promise<Peer> {
    const id = fromHex(node);
    const open = this.context.peers.get(id);
    if (open?.open) return open;
    const record = this.get(node);
    if (!record) throw new InfinitError('unavailable', `node ${node.slice(0, 16)} is not known`);
    return await this.context.peers.connect({ id, endpoints: record.endpoints }, options);
  }

  roundTripMs(node: NodeName): number | undefined {
    return this.context.peers.get(fromHex(node))?.roundTripMs;
  }

  /** Runs a task with a signal that fires after the time, with the given one, or when the directory stops. */
  async within<T>(
    timeMs: number,
    signal: AbortSignal | undefined,
    task: (signal: AbortSignal) => Promise<T>,
  ): Promise<T> {
    checkSignal(signal);
    const limit = new AbortController();
    const late = new InfinitError('unavailable', `no answer within ${timeMs} ms`);
    const cancel = this.context.runtime.clock.after(timeMs, () => limit.abort(late));
    const forward = () => limit.abort(signal?.reason);
    signal?.addEventListener('abort', forward);
    this.open.add(limit);
    try {
      return await task(limit.signal);
    } finally {
      this.open.delete(limit);
      cancel();
      signal?.removeEventListener('abort', forward);
    }
  }

  /** Gives up all that is under way, and saves what is to be remembered. */
  async stop(remembered: readonly NodeName[]): Promise<void> {
    for (const limit of this.open) limit.abort(new InfinitError('cancelled', 'the overlay stops'));
    await this.save(remembered);
  }

  /** Dials an endpoint's every address. Undefined when it is this node itself or no storage node. */
  async meetSeed(seed: Endpoint, signal?: AbortSignal): Promise<Peer | undefined> {
    const { transport } = this.context.runtime;
    return await this.within(dialTimeoutMs, signal, async (inner) => {
      const hosts = await transport.resolve(seed.host);
      const endpoints = (hosts.length > 0 ? hosts : [seed.host])
        .slice(0, batch)
        .map((host) => ({ host, port: seed.port }));
      const peer = await this.context.peers.connect({ endpoints }, { signal: inner });
      return toHex(peer.id) === this.self || peer.identity.kind !== 'storage' ? undefined : peer;
    });
  }

  /**
   * Whoever of the seeds and remembered nodes answers first; undefined when nobody does. Throws `denied` or `conflict` when
   * that is what the seeds said.
   */
  async meet(seeds: readonly Endpoint[], nodes: readonly NodeName[], signal?: AbortSignal): Promise<Peer | undefined> {
    const errors: unknown[] = [];
    const first = async (tasks: Promise<Peer | undefined>[]): Promise<Peer | undefined> => {
      const met = tasks.map((task) =>
        task.then((peer) => peer ?? Promise.reject(new InfinitError('unavailable', 'self'))),
      );
      return await Promise.any(met).catch((error: AggregateError) => {
        errors.push(...error.errors);
        return undefined;
      });
    };
    const bySeed = await first(seeds.map((seed) => this.meetSeed(seed, signal)));
    if (bySeed) return bySeed;
    const refusal = errors.find((error) => isError(error, 'denied', 'conflict'));
    const candidates = nodes.slice(0, contactDialsMax);
    for (let at = 0; at < candidates.length; at += batch) {
      const dials = candidates
        .slice(at, at + batch)
        .map((node) => this.within(dialTimeoutMs, signal, (inner) => this.peer(node, { signal: inner })));
      const peer = await first(dials);
      if (peer) return peer;
    }
    checkSignal(signal);
    if (refusal) throw refusal;
    return undefined;
  }

  /**
   * A call that began then has failed. Whoever may ask the next at once waits here: refusals that take no time would keep the event
   * loop for ever.
   */
  async failing(began: number): Promise<void> {
    const { clock } = this.context.runtime;
    const leftMs = quickestFailureMs - (clock.monotonic() - began);
    if (leftMs > 0) await clock.sleep(leftMs);
  }

  /** Whoever of the network is at one of the places. Throws `unavailable` when nobody is. */
  async meetAt(places: readonly Endpoint[], signal?: AbortSignal): Promise<Peer> {
    const met = await this.meet(places, [], signal);
    if (met !== undefined) return met;
    throw new InfinitError('unavailable', `nobody of the network is at ${places.map(formatEndpoint).join(', ')}`);
  }

  /** Remembered nodes of earlier lives, as far as their records still verify. */
  async loadContacts(): Promise<NodeName[]> {
    try {
      const records = (await this.context.contacts.load()).slice(0, limits.knownContactsMax);
      this.learn(records, { known: true });
      return records.map((record) => toHex(record.id)).filter((node) => this.records.has(node));
    } catch (error) {
      this.log('warn', 'remembered contacts cannot be read', { reason: asError(error).message });
      return [];
    }
  }

  /** Saves the records of these nodes before long, if they have changed. */
  saveSoon(nodes: () => readonly NodeName[]): void {
    this.saving ??= this.context.runtime.clock.after(saveDelayMs, () => {
      this.saving = undefined;
      void this.save(nodes());
    });
  }

  async save(nodes: readonly NodeName[]): Promise<void> {
    this.saving?.();
    this.saving = undefined;
    const records = nodes.flatMap((node) => this.records.get(node) ?? []).slice(0, limits.knownContactsMax);
    const mark = records.map((record) => `${toHex(record.id)} ${record.serial}`).join();
    if (mark === this.saved) return;
    try {
      await this.context.contacts.save(records);
      this.saved = mark;
    } catch (error) {
      this.log('warn', 'contacts cannot be saved', { reason: asError(error).message });
    }
  }

  log(level: 'warn' | 'info' | 'debug', message: string, facts?: Record<string, unknown>): void {
    this.context.runtime.log.write(level, 'overlay', message, facts);
  }

  private async ask(nodes: readonly NodeName[], from: Peer): Promise<void> {
    const request = { ids: [...nodes], held: '' };
    const { known } = await from.call(ringRecords, request, { timeoutMs: fetchTimeoutMs });
    this.learn((known ?? []).map((each) => each.record));
    this.onHeard(known ?? []);
  }

  private answer(request: RecordsRequest): RecordsAnswer {
    const { nodes, whole } = this.view.standing();
    const asked = request.ids.length > 0 ? request.ids : nodes;
    const known: Standing[] = [];
    for (const node of asked.slice(0, limits.knownContactsMax + 1)) {
      const record = this.signed(node);
      if (record) known.push({ record, liveness: this.view.liveness(node) });
    }
    const digest = digestOf(known, whole);
    return { known: digest === request.held ? undefined : known, whole, digest };
  }
}

function sameCredentials(a: NodeRecord, b: NodeRecord): boolean {
  return equalBytes(a.credentials, b.credentials) && equalBytes(a.userKey, b.userKey);
}

function digestOf(known: readonly Standing[], whole: boolean): string {
  const facts = known.map(({ record, liveness }) => `${toHex(record.id)} ${record.serial} ${liveness}`).sort();
  return toHex(hash(Buffer.from(`${whole} ${facts.join()}`))).slice(0, 16);
}
