// An open tree: one object that leads or follows as needed. A long-lived door leads whenever nobody does; a short-lived client
// only to get its own operations done, and resigns when it stops.

import type { Bytes } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { type Abortable, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Address, Member } from '../block/address.ts';
import type { AccessList } from '../block/register.ts';
import type { KeyPair } from '../crypto/keys.ts';
import type { Endpoint, Runtime } from '../runtime/runtime.ts';
import type { Store } from '../store/store.ts';
import { accessOf, type ChangeShares, mayWrite, type TreeAccess } from './access.ts';
import { AnswerCache } from './answer-cache.ts';
import type { ChunkReader, ChunkSource } from './chunk-reader.ts';
import type { Root, TreeContext } from './context.ts';
import type { TreeDirectory } from './directory.ts';
import { Follower, replyOf, type Target } from './follower.ts';
import { collectAnywhere } from './garbage/asking.ts';
import { Garbage, type GarbageOptions } from './garbage/garbage.ts';
import { Leader } from './leader.ts';
import { LockClient } from './locks/lock-client.ts';
import type { Change, CollectionStatus, Outcome, Role } from './messages.ts';
import { contextOf, queryCommitted, readerOf } from './opening.ts';
import { Operations } from './operations.ts';
import { Resealing } from './resealing.ts';
import { TreeServing } from './serving.ts';
import { shareAsOwner } from './sharing.ts';
import { type TakeoverStep, takeOver } from './takeover.ts';
import type { DoOptions, Effect, Tree, TreeStatus, TreeView, WrittenChunk } from './tree.ts';
import { ChangeFeed } from './watching.ts';

const tickMs = 1000;
const stopMs = 10_000;
/** Other clients watch or ask more often. */
const aloneMs = 30_000;
/** For so long the owner is let first. */
const yieldMs = 2000;

export interface OpenTreeOptions {
  runtime: Runtime;
  store: Store;
  directory: TreeDirectory;
  user: KeyPair;
  treeId: Bytes;
  rootAddress: Address;
  /** The tree's secret, by `openSecret`. Throws `denied` for a list that this user is not in. */
  secretOf: (access: AccessList) => Bytes;
  /** X25519 key whose private half every passport holder has: what the world reads is sealed to it. */
  membersKey: Bytes;
  view: TreeView;
  /** Where others reach this process; asked at each takeover. */
  endpoints: () => readonly Endpoint[];
  /** Where the root's members are thought to be. */
  members?: readonly Member[] | undefined;
  /** Leads whenever nobody does, without being asked anything. */
  door?: boolean;
  readOnly?: boolean;
  /** Memory for base nodes and for cells, each; the default is in limits.ts. */
  cacheBytesMax?: number | undefined;
  /** Plain bytes of a chunk; the default is in limits.ts. */
  chunkBytesMax?: number | undefined;
  /** When garbage cycles begin by themselves, and how long readers of what is gone have; the defaults are in limits.ts. */
  garbage?: Omit<GarbageOptions, 'context' | 'leading' | 'io'> | undefined;
  /** While this process leads: what another client's operation changed, before it is answered to that client. */
  onForwarded?: ((effects: readonly Effect[]) => Promise<void>) | undefined;
  /** For tests: told of each step of a takeover. */
  onTakeoverStep?: ((step: TakeoverStep) => void) | undefined;
}

export function openTree(options: OpenTreeOptions): Tree {
  return new TreeEngine(options);
}

class TreeEngine implements Tree {
  readonly treeId: Bytes;
  readonly locks: LockClient;
  private readonly options: OpenTreeOptions;
  private readonly context: TreeContext;
  private readonly reader: ChunkReader;
  private readonly follower: Follower;
  private readonly serving: TreeServing;
  private readonly answers: AnswerCache;
  private readonly feed: ChangeFeed;
  readonly garbage: Garbage;
  readonly resealing: Resealing;
  private readonly stopping = new AbortController();
  private readonly operations: Operations;
  private leader: Leader | undefined;
  private taking: Promise<Leader> | undefined;
  private takingEpoch = 0;
  private yieldedUntil = 0;
  private removeFromDirectory: (() => void) | undefined;
  private inFlight = 0;
  losses = 0;
  private cancelTick: (() => void) | undefined;

  constructor(options: OpenTreeOptions) {
    this.options = options;
    this.treeId = options.treeId;
    this.context = contextOf(options);
    const { runtime, directory } = options;
    this.answers = new AnswerCache(runtime.clock);
    this.garbage = new Garbage({
      context: this.context,
      leading: () => this.leader?.collected(),
      io: this,
      ...options.garbage,
    });
    this.resealing = new Resealing({
      context: this.context,
      garbage: this.garbage,
      leading: () => this.leader?.collected(),
      io: this,
    });
    this.serving = new TreeServing({
      garbage: this.garbage,
      clock: runtime.clock,
      leader: () => this.leader,
      moved: () => ({ epoch: this.epoch, role: this.role }),
      access: () => this.context.root.latest?.snapshot.access,
      forget: () => this.answers.forget(),
      onForwarded: options.onForwarded,
      yield: () => this.yieldToOwner(),
    });
    this.reader = readerOf(options);
    this.follower = new Follower({
      context: this.context,
      peers: directory.peers,
      mayLead: () => this.mayLead(),
      leader: () => this.leader,
      lead: (after) => this.lead(after),
      stopped: this.stopping.signal,
    });
    this.operations = new Operations({
      ...{ context: this.context, answers: this.answers, follower: this.follower },
      moved: () => this.movedOutcome(),
    });
    this.locks = new LockClient({
      ...{ runtime, treeId: options.treeId, client: this.context.session, user: options.user.publicKey },
      ask: (attempt, asked) => this.follower.ask(attempt, asked),
    });
    this.feed = new ChangeFeed({
      context: this.context,
      follower: this.follower,
      leader: () => this.leader,
      stopped: this.stopping.signal,
    });
  }

  async start(): Promise<void> {
    this.removeFromDirectory = this.options.directory.add(this.treeId, this.serving);
    try {
      await this.context.root.read();
    } catch (error) {
      this.removeFromDirectory();
      throw error;
    }
    this.scheduleTick(this.options.door ? 0 : tickMs);
  }

  async do(operation: Bytes, options: DoOptions = {}): Promise<Bytes> {
    checkSignal(options.signal);
    if (this.options.readOnly) throw new InfinitError('denied', 'the tree is open for reading only');
    if (operation.length > limits.operationBytesMax)
      throw new InfinitError('full', `an operation has at most ${limits.operationBytesMax} bytes`);
    return this.counted(() => this.operations.do(operation, options));
  }

  async query(query: Bytes, options: Abortable = {}): Promise<Bytes> {
    const attempt = (target: Target, timeoutMs: number): Promise<Outcome> => {
      if (target.type === 'self') return target.leader.query(query, { local: true });
      if (target.type === 'committed') return queryCommitted(this.context, query, target.root);
      return this.operations.ask(target.peer, query, { timeoutMs, signal: options.signal });
    };
    const known = this.leader === undefined ? this.answers.get(query) : undefined;
    if (known !== undefined) return replyOf(known);
    return this.counted(async () => replyOf(await this.follower.ask(attempt, { ...options, committed: true })));
  }

  writeChunks(cells: readonly Bytes[], options: Abortable = {}): Promise<WrittenChunk[]> {
    return this.context.chunks.write(cells, options);
  }

  readCells(chunk: ChunkSource, first: number, count: number, options: Abortable = {}): Promise<Bytes[]> {
    return this.reader.readCells(chunk, first, count, options);
  }

  onChange(listener: (change: Change) => void): () => void {
    return this.feed.listen(listener);
  }

  async sync(options: Abortable = {}): Promise<void> {
    checkSignal(options.signal);
    const { losses } = this;
    try {
      await this.leader?.sync();
    } catch (error) {
      // The leadership is over; what was not asked to be durable is counted below.
      if (!isError(error, 'unavailable', 'conflict')) throw error;
    }
    if (this.losses !== losses) throw lostError();
  }

  leaseMs(): number {
    return this.leader?.leaseMs ?? 0;
  }

  alone(): boolean {
    return this.leader !== undefined && this.context.runtime.clock.monotonic() - this.serving.silentSince > aloneMs;
  }

  /** A follower's operations are durable by the journal; the leader commits by itself. */
  async commit(): Promise<void> {
    await this.leader?.commit();
  }

  async collect(begin?: { graceMs?: number | undefined }): Promise<CollectionStatus> {
    if (this.options.readOnly) throw new InfinitError('denied', 'the tree is open for reading only');
    return collectAnywhere(this.follower, {
      treeId: this.treeId,
      begin: begin && { graceMs: begin.graceMs },
      own: () => (this.leader === undefined ? undefined : this.garbage),
    });
  }

  async access(options: Abortable = {}): Promise<TreeAccess> {
    return accessOf(await this.context.root.read(options));
  }

  async share(change: ChangeShares, options: Abortable = {}): Promise<void> {
    if (this.options.readOnly) throw new InfinitError('denied', 'the tree is open for reading only');
    const { context, follower } = this;
    await shareAsOwner(change, {
      ...{ context, follower, ...options },
      leader: () => this.leader,
      lead: (after) => this.lead(after),
    });
    this.resealing.onWork();
  }

  status(): TreeStatus {
    const root = this.leader?.root ?? this.context.root.latest;
    const { leader } = this;
    const named = root?.header.leader;
    return {
      role: leader ? 'leader' : named ? 'follower' : 'none',
      epoch: root?.header.epoch ?? 0,
      leader: named && Buffer.from(named.node).toString('hex'),
      sequence: leader?.sequence ?? root?.header.applied ?? 0,
      applied: root?.header.applied ?? 0,
      memtableBytes: leader?.bytes.memtable ?? 0,
      journalBytes: leader?.bytes.journal ?? 0,
      height: root?.body.height ?? 0,
    };
  }

  async stop(): Promise<void> {
    if (this.stopping.signal.aborted) return;
    const { clock } = this.context.runtime;
    const deadline = clock.monotonic() + stopMs;
    while (this.inFlight > 0 && clock.monotonic() < deadline) await clock.sleep(10);
    await this.locks.stop();
    this.stopping.abort(new InfinitError('unavailable', 'the tree is closed'));
    this.cancelTick?.();
    this.garbage.stop();
    this.resealing.stop();
    await this.taking?.catch(() => {});
    const { leader } = this;
    if (leader !== undefined) {
      const resigned = leader.resign().catch((error: unknown) => this.note('could not resign', error));
      const resigning = new AbortController();
      const enough = clock.sleep(stopMs, { signal: resigning.signal }).catch(() => {});
      await Promise.race([resigned, enough]);
      resigning.abort(); // a timer left would keep the process
      leader.end(new InfinitError('unavailable', 'the tree is closed'));
    }
    this.removeFromDirectory?.();
  }

  private get role(): Role {
    if (this.leader) return 'leading';
    return this.taking ? 'recovering' : 'none';
  }
  private get epoch(): number {
    return this.leader?.epoch ?? (this.taking ? this.takingEpoch : (this.context.root.latest?.header.epoch ?? 0));
  }
  private movedOutcome(): Outcome & { type: 'moved' } {
    return { type: 'moved', epoch: this.epoch, role: this.role };
  }

  private async counted<T>(task: () => Promise<T>): Promise<T> {
    if (this.stopping.signal.aborted) throw new InfinitError('unavailable', 'the tree is closed');
    this.inFlight++;
    try {
      return await task();
    } finally {
      this.inFlight--;
    }
  }

  private mayLead(): boolean {
    const { userKey, rights } = this.options.directory.peers.self;
    const access = this.context.root.latest?.snapshot.access;
    return this.options.readOnly !== true && (access === undefined || mayWrite(access, { userKey, rights }));
  }

  /** What is asked of this client meanwhile waits for the next leader. */
  private async yieldToOwner(): Promise<void> {
    this.yieldedUntil = this.context.runtime.clock.monotonic() + yieldMs;
    await this.leader?.resign();
  }

  private lead(after: Root): Promise<Leader> {
    if (this.context.runtime.clock.monotonic() < this.yieldedUntil)
      return Promise.reject(new InfinitError('unavailable', 'the owner of the tree leads next'));
    this.taking ??= this.takeOver(after).finally(() => {
      this.taking = undefined;
    });
    return this.taking;
  }

  private async takeOver(after: Root): Promise<Leader> {
    if (this.stopping.signal.aborted) throw new InfinitError('unavailable', 'the tree is closed');
    this.takingEpoch = after.header.epoch + 1;
    const leadership = await takeOver(this.context, { after, onStep: this.options.onTakeoverStep });
    const leader: Leader = new Leader(this.context, leadership, {
      onChange: (change) => {
        this.garbage.see(change.effects);
        this.feed.tell(change);
      },
      onEnded: (error) => {
        if (this.leader === leader) this.leader = undefined;
        if (leader.holdsVolatile) this.losses++;
        this.locks.ledNoMore();
        this.answers.forget();
        this.follower.forget();
        this.note(`epoch ${leader.epoch} is over`, error);
      },
    });
    this.leader = leader;
    this.answers.forget();
    this.serving.heard(); // clients of the leader before have not come yet
    this.feed.led(leader.sequence);
    this.follower.forget();
    this.context.runtime.log.write('info', 'tree', `leads epoch ${leader.epoch}`);
    return leader;
  }

  private scheduleTick(afterMs: number): void {
    this.cancelTick = this.context.runtime.clock.after(afterMs, () => {
      void this.tick()
        .catch((error: unknown) => this.note('housekeeping', error))
        .then(() => {
          if (!this.stopping.signal.aborted) this.scheduleTick(tickMs);
        });
    });
  }

  private async tick(): Promise<void> {
    if (this.leader) await this.leader.tick();
    // Nobody tells of changes where nobody leads: who watches leads, as a door does.
    else if ((this.options.door || this.feed.listening) && !this.options.readOnly) await this.follower.settle();
  }

  private note(what: string, error: unknown): void {
    const { kind, message } = asError(error);
    const level = isError(error, 'unavailable', 'conflict', 'cancelled') ? 'debug' : 'warn';
    this.context.runtime.log.write(level, 'tree', `${what}: ${message}`, { kind });
  }
}

function lostError(): InfinitError {
  return new InfinitError('lost', 'changes made shortly before this client ceased to lead may be lost');
}
