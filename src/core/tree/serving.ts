// What other clients ask of an open tree (docs/protocols.md 4.6): each is checked against the tree's access list, and answered by
// the leader when this process leads.

import { equalBytes } from '../base/bytes.ts';
import { InfinitError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { AccessList } from '../block/register.ts';
import type { Peer, PeerIdentity } from '../peer/peer.ts';
import type { Clock } from '../runtime/runtime.ts';
import { mayRead, mayWrite } from './access.ts';
import type { ServedTree } from './directory.ts';
import type { Garbage } from './garbage/garbage.ts';
import type { Leader } from './leader.ts';
import type { LockCall } from './locks/lock-messages.ts';
import {
  type AttachReply,
  type Changes,
  type CollectionStatus,
  type CollectRequest,
  failedOutcome,
  type OperationRequest,
  type Outcome,
  type QueryAnswer,
  type QueryRequest,
  type Role,
} from './messages.ts';
import { SessionShares } from './session-shares.ts';
import type { Effect } from './tree.ts';

export interface TreeServingOptions {
  clock: Pick<Clock, 'monotonic'>;
  leader: () => Leader | undefined;
  /** Which epoch this process is in, and what it does there. */
  moved: () => { epoch: number; role: Role };
  /** Who may read and write, as far as is known. */
  access: () => AccessList | undefined;
  /** The leader says that answers are not true any more. */
  forget: () => void;
  onForwarded: ((effects: readonly Effect[]) => Promise<void>) | undefined;
  garbage: Pick<Garbage, 'ask' | 'status'>;
  /** The owner leads next. */
  yield: () => Promise<void>;
}

export class TreeServing implements ServedTree {
  private readonly options: TreeServingOptions;
  private readonly shares: SessionShares;
  private heardAt: number;

  constructor(options: TreeServingOptions) {
    this.options = options;
    this.shares = new SessionShares(options.clock);
    this.heardAt = options.clock.monotonic();
  }

  /** Since when no other client was heard of, milliseconds of the clock. */
  get silentSince(): number {
    return this.heardAt;
  }

  heard(): void {
    this.heardAt = this.options.clock.monotonic();
  }

  async serveDo(request: OperationRequest, from: PeerIdentity): Promise<Outcome> {
    const leader = this.options.leader();
    if (leader === undefined) return this.movedFor(from);
    const { access } = leader.root.snapshot;
    if (!mayWrite(access, from)) return failedOutcome(new InfinitError('denied', 'you may not write this tree'));
    this.heard();
    const refusal = this.shares.refuse(from.userKey, request.client);
    if (refusal) return failedOutcome(refusal);
    const by = { id: from.id, generation: request.generation };
    return leader.execute(request, { durable: true, by, told: this.options.onForwarded });
  }

  async serveQuery({ query, generation }: QueryRequest, from: PeerIdentity, peer: Peer): Promise<QueryAnswer> {
    const leader = this.options.leader();
    if (leader === undefined) return { outcome: this.movedFor(from), leaseMs: 0 };
    this.checkReader(leader, from);
    this.heard();
    return leader.queryFor(query, peer, generation);
  }

  async serveLock(call: LockCall, from: PeerIdentity): Promise<Outcome> {
    const leader = this.options.leader();
    if (leader === undefined) return this.movedFor(from);
    if (!mayWrite(leader.root.snapshot.access, from))
      return failedOutcome(new InfinitError('denied', 'you may not write this tree'));
    this.heard();
    return leader.lock(call, from.userKey);
  }

  serveInvalidate(): void {
    this.options.forget();
  }

  serveAttach(from: PeerIdentity): AttachReply {
    const leader = this.options.leader();
    if (leader !== undefined) this.checkReader(leader, from);
    const { role, epoch } = this.movedFor(from);
    return { role, epoch, sequence: leader?.sequence ?? 0 };
  }

  async serveWatch(after: number, waitMs: number, from: PeerIdentity): Promise<Changes> {
    const leader = this.options.leader();
    if (leader === undefined) return this.movedFor(from);
    this.checkReader(leader, from);
    this.heard();
    const changes = await leader.changes(after, Math.min(waitMs, limits.watchWaitMs));
    this.checkReader(leader, from); // he may have been left out meanwhile
    return changes;
  }

  async serveYield(from: PeerIdentity): Promise<Record<string, never>> {
    const leader = this.options.leader();
    if (leader === undefined) return {};
    if (!equalBytes(leader.root.snapshot.access.owner, from.userKey))
      throw new InfinitError('denied', 'you do not own this tree');
    await this.options.yield();
    return {};
  }

  serveCollect({ begin }: CollectRequest, from: PeerIdentity): CollectionStatus | undefined {
    const leader = this.options.leader();
    if (leader === undefined) return undefined;
    if (!mayWrite(leader.root.snapshot.access, from)) throw new InfinitError('denied', 'you may not write this tree');
    if (begin !== undefined) this.options.garbage.ask(begin.graceMs);
    return this.options.garbage.status();
  }

  private checkReader(leader: Leader, from: PeerIdentity): void {
    if (!mayRead(leader.root.snapshot.access, from)) throw new InfinitError('denied', 'you may not read this tree');
  }

  /** Whoever is no reader, as far as is known here, learns no more than of a tree that is not open. */
  private movedFor(from: PeerIdentity): Outcome & { type: 'moved' } {
    const access = this.options.access();
    if (access === undefined || !mayRead(access, from)) return { type: 'moved', epoch: 0, role: 'none' };
    return { type: 'moved', ...this.options.moved() };
  }
}
