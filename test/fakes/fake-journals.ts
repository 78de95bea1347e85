// Journals for tests: members that follow docs/protocols.md 4.3 to the letter, and a client that keeps the promises of the
// `Journals` contract with the simplest means (one request a member at a time, all that is missing in it).

import { toHex } from '../../src/core/base/bytes.ts';
import { decode } from '../../src/core/base/codec.ts';
import { InfinitError } from '../../src/core/base/errors.ts';
import { type Deferred, deferred } from '../../src/core/base/lifecycle.ts';
import { limits } from '../../src/core/base/limits.ts';
import type { Member } from '../../src/core/block/address.ts';
import {
  type JournalBatch,
  type JournalSegment,
  type Journals,
  type JournalWriter,
  type RegisterSnapshot,
  rootHeader,
} from '../../src/core/consensus/consensus.ts';
import type { Cluster, Storage } from './fake-store.ts';
import { type Process, type World, within } from './world.ts';

interface SegmentState {
  epoch: number;
  start: number;
  last: number;
  batches: JournalBatch[];
}

interface TreeState {
  fence: number;
  grant: { epoch: number; until: number };
  segments: Map<number, SegmentState>;
}

type Answer = { type: 'ok'; last: number } | { type: 'gap'; last: number } | { type: 'fenced'; epoch: number };

/** What one storage keeps of all journals. */
export class JournalMember {
  readonly trees = new Map<string, TreeState>();
  private readonly world: World;

  constructor(world: World) {
    this.world = world;
  }

  private tree(treeId: string): TreeState {
    const state = this.trees.get(treeId) ?? { fence: 0, grant: { epoch: 0, until: 0 }, segments: new Map() };
    this.trees.set(treeId, state);
    return state;
  }

  private granted(tree: TreeState, epoch: number): void {
    tree.grant = { epoch, until: this.world.now + limits.grantMs };
  }

  open(treeId: string, segment: JournalSegment): Answer {
    const tree = this.tree(treeId);
    if (segment.epoch < tree.fence) return { type: 'fenced', epoch: tree.fence };
    tree.fence = segment.epoch;
    if (!tree.segments.has(segment.id))
      tree.segments.set(segment.id, {
        epoch: segment.epoch,
        start: segment.start,
        last: segment.start - 1,
        batches: [],
      });
    return { type: 'ok', last: segment.start - 1 };
  }

  append(treeId: string, segment: JournalSegment, batches: readonly JournalBatch[], applied: number): Answer {
    const tree = this.tree(treeId);
    if (segment.epoch < tree.fence) return { type: 'fenced', epoch: tree.fence };
    const state = tree.segments.get(segment.id);
    if (state === undefined) return { type: 'gap', last: -1 };
    for (const batch of batches) {
      if (batch.last <= state.last) continue;
      if (batch.first !== state.last + 1 && !(state.last < applied && batch.first <= applied + 1))
        return { type: 'gap', last: state.last };
      state.batches.push(batch);
      state.last = batch.last;
    }
    this.granted(tree, segment.epoch);
    return { type: 'ok', last: state.last };
  }

  /** Milliseconds to wait, or the tails. */
  fence(treeId: string, epoch: number): number | { fence: number; segments: Map<number, SegmentState> } {
    const tree = this.tree(treeId);
    if (epoch < tree.fence) return { fence: tree.fence, segments: new Map() };
    const wait = tree.grant.until - this.world.now;
    if (tree.grant.epoch < epoch && wait > 0) return wait;
    tree.fence = epoch;
    return { fence: epoch, segments: tree.segments };
  }

  hold(treeId: string, epoch: number): Answer {
    const tree = this.tree(treeId);
    if (epoch < tree.fence) return { type: 'fenced', epoch: tree.fence };
    this.granted(tree, epoch);
    return { type: 'ok', last: 0 };
  }

  release(treeId: string, epoch: number): void {
    const tree = this.tree(treeId);
    if (tree.grant.epoch === epoch) tree.grant.until = 0;
  }

  trim(treeId: string, applied: number): void {
    for (const segment of this.tree(treeId).segments.values())
      segment.batches = segment.batches.filter((batch) => batch.last > applied);
  }
}

export class FakeJournals implements Journals {
  private readonly cluster: Cluster;
  private readonly process: Process;

  constructor(cluster: Cluster, process: Process) {
    this.cluster = cluster;
    this.process = process;
  }

  async open(root: RegisterSnapshot, segment: JournalSegment): Promise<JournalWriter> {
    const header = decode(rootHeader, root.payload);
    if (!header.segments.some((one) => one.id === segment.id)) throw new Error('Y7: segment is not in the root');
    const treeId = toHex(header.treeId);
    await majority(segment.members, async (member) => {
      const storage = await this.storage(member);
      const answer = await this.asked(storage, () => storage.journal.open(treeId, segment));
      if (answer.type === 'fenced') throw new InfinitError('conflict', 'fenced');
    });
    return new FakeWriter(this.cluster, this.process, treeId, segment);
  }

  async recover(root: RegisterSnapshot): Promise<JournalBatch[]> {
    const header = decode(rootHeader, root.payload);
    const found: JournalBatch[] = [];
    for (const segment of header.segments) {
      const tails: SegmentState[] = [];
      await majority(segment.members, async (member) => {
        const storage = await this.storage(member);
        const state = await this.fenced(storage, toHex(header.treeId), header.epoch);
        const tail = state.get(segment.id);
        tails.push(tail ? { ...tail, batches: [...tail.batches] } : { epoch: 0, start: 0, last: 0, batches: [] });
      });
      const longest = tails.sort((a, b) => b.last - a.last)[0];
      found.push(...(longest?.batches ?? []));
    }
    const wanted = found.filter((batch) => batch.last > header.applied).sort((a, b) => a.first - b.first);
    let next = header.applied + 1;
    for (const batch of wanted) {
      if (batch.first > next) throw new InfinitError('corrupt', 'a hole in the journal');
      next = batch.last + 1;
    }
    return wanted;
  }

  private async fenced(storage: Storage, treeId: string, epoch: number): Promise<Map<number, SegmentState>> {
    this.cluster.counts.fence++;
    for (;;) {
      const answer = await this.asked(storage, () => storage.journal.fence(treeId, epoch));
      if (typeof answer === 'number') await this.process.runtime.clock.sleep(answer);
      else if (answer.fence > epoch) throw new InfinitError('conflict', 'a higher epoch fences');
      else return answer.segments;
    }
  }

  private async storage(member: Member): Promise<Storage> {
    const storage = this.cluster.storageOf(member);
    if (storage === undefined) throw new InfinitError('unavailable', 'no such member');
    return storage;
  }

  private asked<T>(storage: Storage, handler: () => T): Promise<T> {
    return within(this.process, 1000, storage.name, this.process.world.ask(this.process, storage, handler));
  }
}

/** Runs on all members; resolves with a majority of successes, throws when a majority cannot be had or on `conflict`. */
function majority(members: readonly Member[], task: (member: Member) => Promise<void>): Promise<void> {
  return new Promise((resolve, reject) => {
    let done = 0;
    let failed = 0;
    for (const member of members)
      task(member).then(
        () => {
          if (++done * 2 > members.length) resolve();
        },
        (error: unknown) => {
          if (error instanceof InfinitError && error.kind === 'conflict') reject(error);
          else if (++failed * 2 >= members.length) reject(new InfinitError('unavailable', 'no majority'));
        },
      );
  });
}

class FakeWriter implements JournalWriter {
  readonly segment: JournalSegment;
  private readonly cluster: Cluster;
  private readonly process: Process;
  private readonly treeId: string;
  private readonly batches: JournalBatch[] = [];
  private readonly waiting: { last: number; done: Deferred<void> }[] = [];
  private readonly last = new Map<Storage, number>();
  private readonly busy = new Set<Storage>();
  private readonly grants = new Map<Storage, number>();
  private readonly answered = new Map<Storage, number>();
  private applied = 0;
  private ended: InfinitError | undefined;

  constructor(cluster: Cluster, process: Process, treeId: string, segment: JournalSegment) {
    this.cluster = cluster;
    this.process = process;
    this.treeId = treeId;
    this.segment = segment;
    for (const storage of this.storages) {
      this.last.set(storage, segment.start - 1);
      this.answered.set(storage, process.runtime.clock.monotonic());
    }
  }

  private get storages(): Storage[] {
    return this.segment.members.flatMap((member) => this.cluster.storageOf(member) ?? []);
  }

  append(batch: JournalBatch): Promise<void> {
    if (this.ended) return Promise.reject(this.ended);
    const previous = this.batches.at(-1)?.last ?? this.segment.start - 1;
    if (batch.first !== previous + 1 && this.waiting.length > 0) throw new Error('appended out of order');
    if (this.waiting.length >= limits.journalBatchesInFlightMax) throw new Error('too many in flight');
    this.cluster.counts.append++;
    this.batches.push(batch);
    const done = deferred();
    this.waiting.push({ last: batch.last, done });
    const pump = () => {
      for (const storage of this.storages) void this.pump(storage);
    };
    if (!this.cluster.appendsEarly) pump();
    else {
      // Planted: it says that all members have what has not left yet.
      done.resolve();
      this.process.runtime.clock.after(500, pump);
    }
    return done.promise;
  }

  private async pump(storage: Storage): Promise<void> {
    if (this.busy.has(storage)) return;
    this.busy.add(storage);
    try {
      for (;;) {
        const known = this.last.get(storage) ?? 0;
        let from = this.batches.length;
        while (from > 0 && (this.batches[from - 1]?.last ?? 0) > known) from--;
        const missing = this.batches.slice(from);
        if (missing.length === 0 || this.ended) return;
        await this.sendTo(storage, missing);
      }
    } finally {
      this.busy.delete(storage);
    }
  }

  private async sendTo(storage: Storage, missing: readonly JournalBatch[]): Promise<void> {
    const sent = this.process.runtime.clock.monotonic();
    try {
      const answer = await this.asked(storage, () => {
        const first = storage.journal.append(this.treeId, this.segment, missing, this.applied);
        if (first.type !== 'gap' || first.last >= 0) return first;
        storage.journal.open(this.treeId, this.segment);
        return storage.journal.append(this.treeId, this.segment, missing, this.applied);
      });
      if (answer.type === 'fenced') return this.fenced();
      this.last.set(storage, answer.last);
      if (answer.type === 'ok') this.counted(storage, sent);
      this.acknowledge();
    } catch {
      await this.process.runtime.clock.sleep(100);
    }
  }

  private asked<T>(storage: Storage, handler: () => T): Promise<T> {
    return within(this.process, 1000, storage.name, this.process.world.ask(this.process, storage, handler));
  }

  private counted(storage: Storage, sent: number): void {
    this.grants.set(storage, sent + limits.grantMs * 0.98);
    this.answered.set(storage, this.process.runtime.clock.monotonic());
  }

  private acknowledge(): void {
    const ordered = this.storages.map((storage) => this.last.get(storage) ?? 0).sort((a, b) => b - a);
    const agreed = ordered[Math.floor(ordered.length / 2)] ?? 0;
    while (this.waiting[0] && this.waiting[0].last <= agreed) this.waiting.shift()?.done.resolve();
  }

  private fenced(): void {
    this.end(new InfinitError('conflict', 'fenced'));
  }
  private end(error: InfinitError): void {
    this.ended ??= error;
    for (const { done } of this.waiting.splice(0)) done.reject(this.ended);
  }

  grantedUntil(): number {
    const ordered = this.storages.map((storage) => this.grants.get(storage) ?? 0).sort((a, b) => b - a);
    return ordered[Math.floor(ordered.length / 2)] ?? 0;
  }

  async hold(): Promise<void> {
    if (this.ended) throw this.ended;
    this.cluster.counts.hold++;
    const sent = this.process.runtime.clock.monotonic();
    await majority(this.segment.members, async (member) => {
      const storage = this.cluster.storageOf(member);
      if (storage === undefined) throw new InfinitError('unavailable', 'no such member');
      const answer = await this.asked(storage, () => storage.journal.hold(this.treeId, this.segment.epoch));
      if (answer.type === 'fenced') {
        this.fenced();
        throw new InfinitError('conflict', 'fenced');
      }
      this.counted(storage, sent);
    });
  }

  async release(): Promise<void> {
    for (const storage of this.storages)
      this.process.world.send(this.process, storage, () => storage.journal.release(this.treeId, this.segment.epoch));
  }

  async trim(root: RegisterSnapshot): Promise<void> {
    const { applied } = decode(rootHeader, root.payload);
    this.applied = Math.max(this.applied, applied);
    for (let keep = 0; keep < this.batches.length; ) {
      if ((this.batches[0]?.last ?? 0) > applied) break;
      this.batches.shift();
    }
    while (this.waiting[0] && this.waiting[0].last <= applied) this.waiting.shift()?.done.resolve();
    for (const storage of this.storages)
      this.process.world.send(this.process, storage, () => storage.journal.trim(this.treeId, applied));
  }

  troubled(): readonly Member[] {
    const now = this.process.runtime.clock.monotonic();
    if (this.waiting.length === 0) return [];
    return this.storages.filter((s) => now - (this.answered.get(s) ?? 0) > 5000).map((s) => s.member);
  }

  close(): void {
    this.end(new InfinitError('unavailable', 'closed'));
  }
}
