// The leader of a tree for one epoch (docs/protocols.md 4.4): executes operations one at a time on memtables over the base,
// journals their effects, and answers when a majority holds them; answers queries under the grants of the journal's members;
// commits beside. Once deposed or closed it answers `moved` to everybody and touches nothing any more.

import type { Bytes } from '../base/bytes.ts';
import { encode } from '../base/codec.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { Mutex } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Peer } from '../peer/peer.ts';
import type { ChangeShares } from './access.ts';
import { ChangeLog, costOf } from './change-log.ts';
import { type CollectedTree, collectedTree, type PutChunk, touchOld } from './collected.ts';
import { Committer } from './committer.ts';
import type { Root, TreeContext } from './context.ts';
import { Counters } from './counters.ts';
import { sealChanges } from './effects.ts';
import { JournalBatcher } from './journal-batcher.ts';
import type { ExecuteOptions, LeaderOptions, Leadership, Ran } from './leadership.ts';
import { type LockCall, lockAnswer } from './locks/lock-messages.ts';
import { lockRecords } from './locks/lock-records.ts';
import { LockService } from './locks/lock-service.ts';
import { type Changes, failedOutcome, type OperationRequest, type Outcome, type QueryAnswer } from './messages.ts';
import { ReadGrants } from './read-grants.ts';
import { type LeasedQuery, ReadLeases } from './read-leases.ts';
import { isDestroyed } from './root.ts';
import { Segments } from './segments.ts';
import { Sessions } from './sessions.ts';
import type { Effect, LockGuard, Transaction } from './tree.ts';
import { TrackingReader, Unacknowledged } from './unacknowledged.ts';

const rootCheckMs = 10_000;
const troubledCheckMs = 2_000;
const sessionSweepMs = 10 * 60 * 1000;

export class Leader {
  readonly epoch: number;
  private readonly locks: LockService;
  private readonly context: TreeContext;
  private readonly options: LeaderOptions;
  private readonly executor = new Mutex(65_536);
  private readonly sessions = new Sessions();
  private readonly counters = new Counters();
  private readonly marks = new Unacknowledged();
  private readonly log: ChangeLog;
  private readonly batcher: JournalBatcher;
  private readonly committer: Committer;
  private readonly leases: ReadLeases;
  private readonly grants: ReadGrants;
  private readonly segments: Segments;
  private committing = false;
  private ended: InfinitError | undefined;
  private resigning = false;
  private volatileThrough = 0;
  private checkedAt: number;
  private sweptAt: number;

  constructor(context: TreeContext, start: Leadership, options: LeaderOptions) {
    const { runtime } = context;
    const { applied, epoch } = start.root.header;
    this.context = context;
    this.options = options;
    this.epoch = epoch;
    this.grants = new ReadGrants({
      clock: runtime.clock,
      writer: () => this.segments.writer,
      serving: () => this.ended === undefined && !this.resigning,
    });
    this.leases = new ReadLeases({ clock: runtime.clock, treeId: context.treeId, leaseMs: () => this.leaseMs });
    this.checkedAt = runtime.clock.monotonic();
    this.sweptAt = this.checkedAt;
    this.log = new ChangeLog(runtime.clock, start.recovered[0] ? start.recovered[0].sequence - 1 : applied, (change) =>
      options.onChange(change),
    );
    this.log.add(start.recovered);
    this.batcher = new JournalBatcher({
      clock: runtime.clock,
      writer: start.writer,
      sequence: applied,
      seal: (changes) => sealChanges(context.journal, epoch, changes),
      onAcknowledged: (changes) => {
        for (const change of changes) this.marks.acknowledged(change);
        this.log.add(changes);
      },
      onEnded: (error) => this.end(error),
    });
    this.committer = new Committer({
      context,
      start,
      batcher: this.batcher,
      alive: () => this.ended === undefined,
      onCommitted: (root) => void this.segments.writer.trim(root.snapshot).catch(() => {}),
      internal: (task) => this.internal(task),
      onDeposed: (error) => this.end(error),
    });
    this.segments = new Segments({
      ...{ context, writer: start.writer, executor: this.executor, batcher: this.batcher, committer: this.committer },
      alive: () => this.ended === undefined,
    });
    const tree = { reader: () => this.committer.snapshot(this.sequence), internal: this.internal.bind(this) };
    this.locks = new LockService({ ...start, clock: runtime.clock, records: lockRecords(tree) });
  }

  get sequence(): number {
    return this.batcher.issued;
  }
  get root(): Root {
    return this.committer.root;
  }
  get bytes(): { memtable: number; journal: number } {
    return { memtable: this.committer.memtableBytes, journal: this.committer.journalBytes };
  }

  /** How long what is read here stays true, milliseconds. */
  get leaseMs(): number {
    return this.ended || this.resigning ? 0 : this.grants.leftMs;
  }
  /** Changes that nobody asked to be durable are neither acknowledged nor committed. */
  get holdsVolatile(): boolean {
    return this.volatileThrough > this.batcher.acknowledged;
  }

  /** Executes an operation at most once per (client, opSeq). */
  async execute(request: OperationRequest, options: ExecuteOptions = { durable: true }): Promise<Outcome> {
    try {
      if (request.guard) await this.locks.check(request.guard);
      const ran = await this.executor.run(() => this.run(request, options));
      if (options.durable) await this.batcher.wait(ran.after);
      if (ran.effects !== undefined) await options.told?.(ran.effects);
      // What is executed is in the last commit of a leader that resigns: it is not to be asked again.
      if (ran.read || (!options.durable && !this.resigning)) await this.hold();
      return ran.outcome;
    } catch (error) {
      return this.failure(error);
    }
  }

  /** Answers on a linearizable view. Our own processes also see what they asked to be volatile, at once. */
  async query(query: Bytes, options: { local: boolean; lease?: LeasedQuery }): Promise<Outcome> {
    try {
      const { sequence } = this;
      const reader = new TrackingReader(
        this.committer.snapshot(this.sequence),
        this.marks,
        !options.local,
        options.lease,
      );
      const outcome = await this.context.view
        .query(query, reader)
        .then((reply): Outcome => ({ type: 'done', reply, sequence }), failedOutcome);
      await this.batcher.wait(reader.dependsOn);
      await this.hold();
      return outcome;
    } catch (error) {
      return this.failure(error);
    }
  }

  /** The same for a follower, with a lease on the answer where it can be given. */
  async queryFor(query: Bytes, peer: Peer, generation: number): Promise<QueryAnswer> {
    const lease = this.leases.begin();
    try {
      const outcome = await this.query(query, { local: false, lease });
      const lasts = outcome.type === 'done' || (outcome.type === 'failed' && outcome.kind === 'not-found');
      return { outcome, leaseMs: lasts ? this.leases.grant(lease, peer, generation) : 0 };
    } finally {
      this.leases.end(lease);
    }
  }

  /** What a client asks for about locks. */
  async lock(call: LockCall, user: Bytes): Promise<Outcome> {
    try {
      this.checkServing();
      const answer = await this.locks.serve(call, user);
      await this.hold();
      return { type: 'done', reply: encode(lockAnswer, answer), sequence: this.sequence };
    } catch (error) {
      return this.failure(error);
    }
  }

  /** Everything executed before is held by a majority when it resolves. */
  sync(): Promise<void> {
    return this.batcher.wait(this.batcher.issued);
  }

  /** Acknowledged changes after a sequence; waits for one. */
  async changes(after: number, waitMs: number): Promise<Changes> {
    await this.log.waitFor(after, waitMs);
    if (this.ended) return { type: 'moved', epoch: this.epoch, role: 'none' };
    const found = this.log.after(after);
    return found ? { type: 'changed', ...found } : { type: 'gap', through: this.log.newest };
  }

  /** Everything executed before is in the chosen root when it resolves. */
  async commit(): Promise<void> {
    await this.guarded(() => this.committer.commit(this.executor));
  }

  /** Housekeeping, about once a second. */
  async tick(): Promise<void> {
    const now = this.context.runtime.clock.monotonic();
    if (this.ended) return;
    await this.locks.tick();
    if (this.committer.due(now)) await this.commit();
    const troubled = this.segments.writer.troubled().length > 0;
    if (now - this.checkedAt >= (troubled ? troubledCheckMs : rootCheckMs)) {
      this.checkedAt = now;
      await this.guarded(() => this.segments.follow());
    }
    if (now - this.sweptAt >= sessionSweepMs) {
      this.sweptAt = now;
      await this.internal(async (transaction) => {
        if (await this.sessions.sweep(transaction, this.context.runtime.clock.now())) this.sweptAt -= sessionSweepMs;
      });
    }
  }

  /**
   * Shares the tree as `change` says of how it is shared, from here on; this user is its owner. Nobody left out writes or reads what
   * comes after. Operations wait meanwhile.
   */
  share(change: ChangeShares): Promise<void> {
    return this.guarded(() => this.segments.share(change, () => this.checkServing()));
  }

  /** The tree of this epoch for a collector of garbage. Everything throws once the leadership is over. */
  collected(): CollectedTree {
    const parts = { epoch: this.epoch, committer: this.committer, batcher: this.batcher, executor: this.executor };
    const change: CollectedTree['change'] = (task, chunks) => this.guarded(() => this.internal(task, chunks));
    return collectedTree(parts, change, () => this.checkServing());
  }

  /** Clean hand-over: commits, says so in the root, ends the grants. Whoever comes next waits for nothing. */
  async resign(): Promise<void> {
    await this.guarded(async () => {
      await this.executor.run(async () => {
        this.batcher.flush();
        await this.batcher.wait(this.batcher.issued);
        // Whoever finds the root idle leads without waiting for our grants: from here on nothing is served (L4).
        this.resigning = true;
        await this.leases.close();
        await this.committer.finish();
      });
      const { writer } = this.segments;
      this.end(new InfinitError('unavailable', 'the leader has resigned'));
      // An idle root needs no fencing: the members only learn it sooner.
      void writer.release().catch(() => {});
    });
  }

  /** Stops at once; what is acknowledged is in the journal. */
  end(error: InfinitError): void {
    if (this.ended) return;
    this.ended = error;
    this.batcher.end(error);
    this.segments.writer.close();
    this.locks.stop();
    this.options.onEnded(error);
  }

  private async run(request: OperationRequest, { durable, by }: ExecuteOptions): Promise<Ran> {
    this.checkServing();
    await this.committer.room();
    const { client, opSeq, ackedThrough } = request;
    const below = this.committer.reader();
    if (durable) {
      const admitted = await this.sessions.admit(below, client, opSeq, ackedThrough);
      if (admitted.type === 'expired') return { outcome: { type: 'expired' }, after: 0, read: true };
      if (admitted.type === 'answered') {
        const { reply, sequence } = admitted.answer;
        return { outcome: { type: 'done', reply, sequence }, after: sequence, read: false };
      }
    }
    // Only now: the chunks of an operation that was executed before may be gone again.
    await touchOld(this.context.store.blocks, request.chunks, this.committer);
    const sequence = this.batcher.issued + 1;
    const transaction = this.counters.transaction(below, sequence);
    const numbers = this.counters.mark();
    let reply: Bytes;
    try {
      reply = await this.context.view.execute(request.operation, transaction);
      if (reply.length > limits.replyBytesMax)
        throw new InfinitError('full', `an answer has at most ${limits.replyBytesMax} bytes`);
    } catch (error) {
      this.counters.restore(numbers);
      return { outcome: failedOutcome(error), after: this.batcher.issued, read: true };
    }
    const effects = transaction.effects();
    const answer = { sequence, reply };
    const records = durable
      ? this.sessions.effects(client, opSeq, ackedThrough, answer, effects.length > 0, this.context.runtime.clock.now())
      : [];
    const outcome: Outcome = { type: 'done', reply, sequence };
    if (effects.length + records.length === 0) return { outcome, after: sequence - 1, read: true };
    await this.unleased(effects, by, request.guard);
    this.record([...effects, ...records], durable);
    if (durable) this.sessions.applied(client, opSeq, answer, records);
    return { outcome, effects, after: sequence, read: false };
  }

  /** Nobody is answered from memory what these effects change, and the lock they rely on is held still. */
  private async unleased(effects: readonly Effect[], by?: ExecuteOptions['by'], guard?: LockGuard): Promise<void> {
    const revoked = this.leases.revoke(effects, by);
    if (revoked !== undefined) await revoked;
    try {
      this.checkServing();
      if (guard) this.locks.checkNow(guard);
    } catch (error) {
      this.leases.applied(); // nothing comes of it
      throw error;
    }
  }

  private record(effects: Effect[], durable: boolean): void {
    this.leases.applied();
    const change = { sequence: this.batcher.issued + 1, effects };
    const bytes = costOf(change);
    this.committer.apply(change, bytes);
    this.marks.add(change, durable);
    this.batcher.add(change, bytes, durable);
    if (!durable) this.volatileThrough = change.sequence;
    if (!this.committer.filling || this.committing) return;
    this.committing = true;
    // A failure is met again by the next tick.
    void this.commit()
      .catch(() => {})
      .finally(() => {
        this.committing = false;
      });
  }

  /** A change of the leader's own; resolves when it is acknowledged. */
  private async internal(task: (transaction: Transaction) => Promise<void>, chunks: readonly PutChunk[] = []) {
    const sequence = await this.executor.run(async () => {
      this.checkServing();
      await this.committer.room();
      await touchOld(this.context.store.blocks, chunks, this.committer);
      const transaction = this.counters.transaction(this.committer.reader(), this.batcher.issued + 1);
      const numbers = this.counters.mark();
      await task(transaction).catch((error: unknown) => {
        this.counters.restore(numbers);
        throw error;
      });
      const effects = transaction.effects();
      if (effects.length > 0) {
        await this.unleased(effects);
        this.record(effects, true);
      }
      return this.batcher.issued;
    });
    await this.batcher.wait(sequence);
  }

  private async hold(): Promise<void> {
    this.checkServing();
    try {
      await this.grants.hold();
    } catch (error) {
      if (isError(error, 'conflict')) this.end(error);
      throw error;
    }
    this.checkServing();
  }

  private checkServing(): void {
    if (this.ended) throw this.ended;
    if (this.resigning) throw new InfinitError('unavailable', 'the leader is resigning');
  }

  /** A `conflict` from the root or the journal means: deposed; a tree that was destroyed is led by nobody. */
  private async guarded<T>(task: () => Promise<T>): Promise<T> {
    try {
      return await task();
    } catch (error) {
      if (isError(error, 'conflict') || isDestroyed(error)) this.end(error);
      throw error;
    }
  }

  private failure(error: unknown): Outcome {
    if (this.ended) return { type: 'moved', epoch: this.epoch, role: 'none' };
    // The epoch is not vacant before the root says so: asked again in a moment.
    if (this.resigning) return { type: 'moved', epoch: this.epoch, role: 'recovering' };
    return failedOutcome(asError(error));
  }
}
