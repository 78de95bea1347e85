// What this client asks of a tree's leader, wherever it is: operations, numbered so that each is executed once; queries, whose
// answers are kept while the leader lets them.

import type { Bytes } from '../base/bytes.ts';
import { InfinitError, isError } from '../base/errors.ts';
import type { CallOptions, Peer } from '../peer/peer.ts';
import type { AnswerCache } from './answer-cache.ts';
import { ClientSession } from './client-session.ts';
import type { TreeContext } from './context.ts';
import { type Follower, replyOf, type Target } from './follower.ts';
import { clientIdBytes, type OperationRequest, type Outcome, treeDo, treeQuery } from './messages.ts';
import type { DoOptions } from './tree.ts';

export interface OperationsOptions {
  context: TreeContext;
  answers: AnswerCache;
  follower: Follower;
  /** What this process would answer others while it does not lead. */
  moved: () => Outcome & { type: 'moved' };
}

export class Operations {
  private readonly options: OperationsOptions;
  private session: ClientSession;

  constructor(options: OperationsOptions) {
    this.options = options;
    this.session = this.named();
  }

  /** Asked until answered. `unavailable` with `outcome: 'unknown'` in its data: it may have been executed. */
  async do(operation: Bytes, options: DoOptions): Promise<Bytes> {
    const { context, follower } = this.options;
    const { treeId } = context;
    let { session } = this;
    let opSeq = await session.take(options.signal);
    let asked = false;
    const chunks = (options.chunks ?? []).map(({ address, generation }) => ({ address, generation }));
    const attempt = async (target: Target, timeoutMs: number): Promise<Outcome> => {
      const { client, ackedThrough } = session;
      const { guard } = options;
      const request = { treeId, client, opSeq, ackedThrough, operation, generation: 0, chunks, guard };
      const first = !asked;
      asked = true;
      const outcome = await this.send(target, request, timeoutMs, options);
      if (outcome.type !== 'expired' || !first) return outcome;
      // Never asked before, so nothing was executed: once more under a new name.
      session.end(opSeq);
      session = this.renewed(session);
      opSeq = await session.take(options.signal);
      asked = false;
      return this.options.moved();
    };
    try {
      return replyOf(await follower.ask(attempt, options));
    } catch (error) {
      throw asked && isError(error, 'unavailable') ? unknownOutcome(error) : error;
    } finally {
      session.end(opSeq);
    }
  }

  /** Asks the leader; what it answers under a lease is kept. */
  async ask(peer: Peer, query: Bytes, options: CallOptions): Promise<Outcome> {
    const { answers, context } = this.options;
    const asked = answers.ask();
    const request = { treeId: context.treeId, query, generation: asked.generation };
    const { outcome, leaseMs } = await peer.call(treeQuery, request, options);
    answers.keep(asked, query, outcome, leaseMs);
    return outcome;
  }

  private send(target: Target, request: OperationRequest, timeoutMs: number, options: DoOptions): Promise<Outcome> {
    if (target.type === 'self') return target.leader.execute(request, { durable: options.durable !== false });
    if (target.type === 'committed') throw new InfinitError('denied', 'the tree is open for reading only');
    const { peer } = target;
    return this.options.answers.change((generation) =>
      peer.call(treeDo, { ...request, generation }, { timeoutMs, signal: options.signal }),
    );
  }

  private renewed(old: ClientSession): ClientSession {
    if (this.session === old) this.session = this.named();
    return this.session;
  }

  private named(): ClientSession {
    return new ClientSession(this.options.context.runtime.random.bytes(clientIdBytes));
  }
}

function unknownOutcome(error: InfinitError): InfinitError {
  return new InfinitError(error.kind, error.message, { data: { ...error.data, outcome: 'unknown' }, cause: error });
}
