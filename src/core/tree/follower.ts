// Finding who leads (docs/protocols.md 4.5, 4.6): operations and queries go to the leader the root names, again and again
// until answered or out of time; when it is silent for longer than its grants can last, this process races to take over.

import { equalBytes } from '../base/bytes.ts';
import { asError, InfinitError, isError } from '../base/errors.ts';
import { type Abortable, cancelled, checkSignal } from '../base/lifecycle.ts';
import { limits } from '../base/limits.ts';
import type { Peer, Peers } from '../peer/peer.ts';
import type { Root, TreeContext } from './context.ts';
import type { Leader } from './leader.ts';
import { errorOf, type Outcome, treeAttach } from './messages.ts';

const attemptMs = 3000;
const probeMs = 2000;
const pauseMinMs = 20;
const pauseMaxMs = 500;
/** A leader's grants last as long; one second more for what is on its way. */
const silenceMs = limits.grantMs + 1000;
const raceMs = 500;
const lastLookMs = 1000;

export type Target =
  | { type: 'self'; leader: Leader }
  | { type: 'peer'; peer: Peer }
  | { type: 'committed'; root: Root };

export interface FollowerOptions {
  context: TreeContext;
  peers: Peers;
  /** Whether this process may lead, by what is known of the access list. */
  mayLead: () => boolean;
  /** Our own leadership, while it lasts. */
  leader: () => Leader | undefined;
  /** Takes over after that root. */
  lead: (after: Root) => Promise<Leader>;
  stopped: AbortSignal;
}

export interface AskOptions extends Abortable {
  /** Answers from the last commit when nobody leads and we may not (DESIGN: writers without leader). */
  committed?: boolean;
}

export class Follower {
  private readonly options: FollowerOptions;
  /** The root is read anew before the next attempt. */
  private stale = true;
  private silence: { epoch: number; since: number; patienceMs: number } | undefined;
  /** An epoch whose leader says, or is known, not to lead. */
  private vacant = -1;
  private warned = false;

  constructor(options: FollowerOptions) {
    this.options = options;
  }

  /**
   * Sends to the leader until it answers. `attempt` must be safe to repeat. Throws `unavailable` after
   * `limits.operationDeadlineMs`.
   */
  async ask(attempt: (target: Target, timeoutMs: number) => Promise<Outcome>, options: AskOptions = {}) {
    const { clock, random } = this.options.context.runtime;
    const deadline = clock.monotonic() + limits.operationDeadlineMs;
    let last: InfinitError | undefined;
    for (let pauseMs = pauseMinMs; ; pauseMs = Math.min(pauseMs * 2, pauseMaxMs)) {
      checkSignal(options.signal);
      if (this.options.stopped.aborted) throw new InfinitError('unavailable', 'the tree is closed', { cause: last });
      const left = deadline - clock.monotonic();
      if (left <= 0) throw new InfinitError('unavailable', `no leader answers: ${last?.message ?? 'out of time'}`);
      try {
        const outcome = await this.within(left, this.once(attempt, Math.min(left, attemptMs), options), options);
        if (outcome !== undefined) return outcome;
      } catch (error) {
        last = asError(error);
        if (!isError(error, 'unavailable', 'conflict')) throw error;
      }
      await clock.sleep(pauseMs / 2 + random.below(Math.ceil(pauseMs / 2)), { signal: options.signal });
    }
  }

  /** Makes sure that somebody leads: this process when nobody else does. */
  async settle(): Promise<void> {
    const target = await this.target({});
    if (target.type === 'peer' && !(await this.alive(target.peer, this.epochOf(target)))) await this.target({});
  }

  /** The leader to ask for changes, when another process leads. */
  async otherLeader(): Promise<Peer | undefined> {
    const root = await this.root();
    const { leader, state } = root.header;
    if (leader === undefined || state === 'idle' || this.isSelf(root)) return undefined;
    return this.options.peers.connect({ id: leader.node, endpoints: leader.endpoints });
  }

  forget(): void {
    this.stale = true;
  }

  /** Gives up when the time is over or the caller says so; what is asked goes on, for nobody. */
  private within<T>(timeMs: number, asked: Promise<T>, { signal }: Abortable): Promise<T> {
    return new Promise((resolve, reject) => {
      const over = () => reject(new InfinitError('unavailable', 'out of time'));
      const abort = () => reject(cancelled(signal));
      const cancel = this.options.context.runtime.clock.after(timeMs, over);
      signal?.addEventListener('abort', abort, { once: true });
      asked.then(resolve, reject).finally(() => {
        cancel();
        signal?.removeEventListener('abort', abort);
      });
    });
  }

  private async once(
    attempt: (target: Target, timeoutMs: number) => Promise<Outcome>,
    timeoutMs: number,
    options: AskOptions,
  ): Promise<Exclude<Outcome, { type: 'moved' }> | undefined> {
    const target = await this.target(options);
    const epoch = this.epochOf(target);
    let outcome: Outcome;
    try {
      outcome = await attempt(target, timeoutMs);
    } catch (error) {
      if (target.type === 'peer' && isError(error, 'unavailable')) await this.alive(target.peer, epoch);
      throw error;
    }
    if (outcome.type !== 'moved') {
      this.silence = undefined;
      return outcome;
    }
    this.moved(outcome.role === 'none', epoch);
    return undefined;
  }

  /** The epoch for which a target is asked. */
  private epochOf(target: Target): number {
    return target.type === 'self' ? target.leader.epoch : (this.options.context.root.latest?.header.epoch ?? 0);
  }

  /** The one asked for that epoch does not lead; when it does not even try, the epoch is vacant. */
  private moved(vacant: boolean, epoch: number): void {
    if (vacant) this.vacant = epoch;
    else this.silence = undefined;
    this.stale = true;
  }

  private async target(options: AskOptions): Promise<Target> {
    const own = this.options.leader();
    if (own !== undefined) return { type: 'self', leader: own };
    const root = await this.root();
    const { leader, state, epoch } = root.header;
    if (state === 'idle' || leader === undefined || this.isSelf(root)) return this.lead(root, options);
    if (this.vacant === epoch || (this.isSilent(epoch) && !(await this.isBack(root)))) {
      await this.race();
      const again = await this.options.context.root.read();
      if (again.header.epoch === epoch) return this.lead(again, options);
      this.stale = false;
      throw new InfinitError('unavailable', 'the tree has a new leader');
    }
    try {
      return { type: 'peer', peer: await this.options.peers.connect({ id: leader.node, endpoints: leader.endpoints }) };
    } catch (error) {
      this.noteSilence(epoch);
      throw new InfinitError('unavailable', 'the leader cannot be reached', { cause: error });
    }
  }

  /** A last look before deposing a silent leader: perhaps it was we who were cut off. */
  private async isBack(root: Root): Promise<boolean> {
    const { leader, epoch } = root.header;
    if (leader === undefined) return false;
    const look = async () => {
      const peer = await this.options.peers.connect({ id: leader.node, endpoints: leader.endpoints });
      return this.alive(peer, epoch);
    };
    return this.within(lastLookMs, look(), {}).catch(() => false);
  }

  /** Candidates do not start together: the first one to claim spares the others the attempt. */
  private async race(): Promise<void> {
    const { clock, random } = this.options.context.runtime;
    if (this.options.mayLead() && this.silence === undefined) await clock.sleep(random.below(raceMs / 5));
  }

  private async lead(root: Root, { committed }: AskOptions): Promise<Target> {
    if (this.options.mayLead()) {
      this.stale = true;
      return { type: 'self', leader: await this.options.lead(root) };
    }
    this.stale = true;
    if (!committed) throw new InfinitError('unavailable', 'nobody leads the tree, and this client may not');
    if (!this.warned) {
      const message = 'nobody leads the tree: showing the last commit';
      this.options.context.runtime.log.write('warn', 'tree', message);
      this.warned = true;
    }
    return { type: 'committed', root };
  }

  private async root(): Promise<Root> {
    const { root } = this.options.context;
    if (root.latest !== undefined && !this.stale) return root.latest;
    const read = await root.read();
    this.stale = false;
    return read;
  }

  private isSelf(root: Root): boolean {
    const { leader } = root.header;
    return leader !== undefined && equalBytes(leader.session, this.options.context.session);
  }

  /** Whether the process answers at all; notes the silence when not. */
  private async alive(peer: Peer, epoch: number): Promise<boolean> {
    const { context } = this.options;
    this.stale = true;
    try {
      const request = { treeId: context.treeId, client: context.session };
      const answer = await peer.call(treeAttach, request, { timeoutMs: probeMs });
      this.moved(answer.role === 'none', epoch);
      return answer.role !== 'none';
    } catch (error) {
      if (isError(error, 'denied')) throw error;
      this.noteSilence(epoch);
      return false;
    }
  }

  private noteSilence(epoch: number): void {
    this.stale = true;
    if (this.silence?.epoch === epoch) return;
    const { clock, random } = this.options.context.runtime;
    this.silence = { epoch, since: clock.monotonic(), patienceMs: silenceMs + random.below(raceMs) };
  }

  private isSilent(epoch: number): boolean {
    const { silence } = this;
    if (silence === undefined || silence.epoch !== epoch) return false;
    return this.options.context.runtime.clock.monotonic() - silence.since > silence.patienceMs;
  }
}

/** The answer in an outcome that is final; throws what the view threw. */
export function replyOf(outcome: Outcome) {
  if (outcome.type === 'done') return outcome.reply;
  if (outcome.type === 'failed') throw errorOf(outcome);
  throw new InfinitError(
    'unavailable',
    'the leader has forgotten this client: whether the operation happened is unknown',
  );
}
