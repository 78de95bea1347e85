// Locks as a client of a tree asks for them (docs/protocols.md 4.10): keeps a session with whoever leads while it holds anything,
// takes it up with the next leader, and knows at once when it may not believe in its locks any more.

import type { Bytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { asError, InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, abortable, checkSignal, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Cancel, Clock, Runtime } from '../../runtime/runtime.ts';
import type { AskOptions, Target } from '../follower.ts';
import { replyOf } from '../follower.ts';
import type { Outcome } from '../messages.ts';
import type { LockGuard, LockOptions, LockPlace, LockRange, LockStatement, Span, TreeLocks } from '../tree.ts';
import { type LockAnswer, type LockRequest, lockAnswer, treeLock } from './lock-messages.ts';
import { checkSpan, without } from './lock-ranges.ts';
import { keyOf, LockSession, raced, unsure } from './lock-session.ts';

/** Of a lease, so much is believed: clocks differ by less. */
const leaseShare = 0.98;
const pauseMs = 200;

export interface LockClientOptions {
  runtime: Pick<Runtime, 'clock' | 'log'>;
  treeId: Bytes;
  client: Bytes;
  user: Bytes;
  /** Sends to the leader until it answers. */
  ask(attempt: (target: Target, timeoutMs: number) => Promise<Outcome>, options: AskOptions): Promise<Outcome>;
}

interface CallOptions extends Abortable {
  /** The number it has already. */
  serial?: number;
}

type Answered = { answer: LockAnswer; binding: number };
type Of<T extends LockAnswer['type']> = LockAnswer & { type: T };

export class LockClient implements TreeLocks {
  private readonly options: LockClientOptions;
  private readonly listeners = new Set<(resources: ReadonlySet<number>) => void>();
  /** What was lost and not let go of since. */
  private readonly lost = new Map<string, { place: LockPlace; ranges: LockRange[] }>();
  private session: LockSession | undefined;
  private sessions = 0;
  private bindings = 0;
  private isStopped = false;
  private cancelTimer: Cancel | undefined;

  constructor(options: LockClientOptions) {
    this.options = options;
  }

  async lock(place: LockPlace, range: LockRange, options: LockOptions): Promise<void> {
    checkSpan(range);
    return this.inSession(place, options, async (session) => {
      await abortable(this.bound(session), options);
      await this.lockIn(session, place, range, options);
    });
  }

  async unlock(place: LockPlace, span: Span): Promise<void> {
    checkSpan(span);
    this.forgive(place, span);
    const { session } = this;
    if (session === undefined || !session.holds(place)) return;
    session.users++;
    try {
      const { answer } = await this.call(session, { type: 'unlock', place, from: span.from, to: span.to });
      const { revision, ranges } = answer as Of<'unlocked'>;
      session.state(place, revision, ranges);
    } catch (error) {
      // With the session all it held is gone.
      this.forgive(place, span);
      if (!session.isOver) throw error;
    } finally {
      session.users--;
      session.usedAtMs = this.now;
    }
  }

  async test(place: LockPlace, range: LockRange, options: Abortable = {}): Promise<LockStatement | undefined> {
    checkSpan(range);
    return this.inSession(place, options, async (session) => {
      const { answer } = await abortable(this.call(session, { type: 'test', place, range }), options);
      return (answer as Of<'tested'>).found;
    });
  }

  holds(place: LockPlace): boolean {
    return this.lost.has(keyOf(place)) || this.session?.holds(place) === true;
  }
  isLost(resource: number): boolean {
    this.believable();
    if (this.lost.size === 0) return false;
    for (const { place } of this.lost.values()) if (place.resource === resource) return true;
    return false;
  }

  guardOf(resource: number): LockGuard | undefined {
    const session = this.believable();
    if (session === undefined || !session.guards(resource)) return undefined;
    return { client: this.options.client, session: session.number };
  }

  onLost(listener: (resources: ReadonlySet<number>) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** This process does not lead any more: what it held by its own leadership ended with that. */
  ledNoMore(): void {
    if (this.session?.isOwn) this.lose(this.session, 'this client has ceased to lead');
  }

  /** Lets go of everything, and says so if it can be said at once. */
  async stop(): Promise<void> {
    this.isStopped = true;
    if (this.session !== undefined) await this.endSession(this.session);
  }

  private get clock(): Clock {
    return this.options.runtime.clock;
  }
  private get now(): number {
    return this.clock.monotonic();
  }

  /** What has nothing to lose at the place goes on in another session when one ends. */
  private async inSession<T>(
    place: LockPlace,
    { signal }: Abortable,
    task: (session: LockSession) => Promise<T>,
  ): Promise<T> {
    for (;;) {
      checkSignal(signal);
      if (this.lost.has(keyOf(place))) throw lockLost();
      const session = this.current();
      session.users++;
      try {
        return await task(session);
      } catch (error) {
        const isOver = session.isOver && session.untilMs !== undefined && !this.isStopped;
        if (!isOver || isError(error, 'cancelled')) throw error;
      } finally {
        session.users--;
        session.usedAtMs = this.now;
      }
    }
  }

  /** The owner lets go of what it had lost. */
  private forgive(place: LockPlace, span: Span): void {
    const key = keyOf(place);
    const lost = this.lost.get(key);
    if (lost === undefined) return;
    lost.ranges = without(lost.ranges, span);
    if (lost.ranges.length === 0) this.lost.delete(key);
  }

  /** The session, while its lease lasts. */
  private believable(): LockSession | undefined {
    const { session } = this;
    if (session?.untilMs !== undefined && session.untilMs <= this.now)
      this.lose(session, 'no leader was heard of in time');
    return this.session;
  }

  private current(): LockSession {
    if (this.isStopped) throw new InfinitError('unavailable', 'the tree is closed');
    const session = this.believable();
    if (session !== undefined) {
      if (session.callsUnderWay >= limits.lockCallsInFlightMax)
        throw new InfinitError('full', 'too many locks at once', { data: { reason: 'no-locks' } });
      return session;
    }
    this.session = new LockSession(++this.sessions);
    return this.session;
  }

  private async lockIn(session: LockSession, place: LockPlace, range: LockRange, options: LockOptions): Promise<void> {
    for (;;) {
      const serial = session.take();
      let came: 'granted' | 'again';
      try {
        const request = { type: 'lock', place, range, wait: options.wait } as const;
        const { answer, binding } = await this.call(session, request, { serial, signal: options.signal });
        const { result, revision, ranges } = answer as Of<'locked'>;
        session.state(place, revision, ranges);
        if (result === 'granted') return;
        if (result === 'conflict') throw new InfinitError('conflict', 'somebody else has locked it');
        if (result === 'deadlock')
          throw new InfinitError('conflict', 'waiting would never end', { data: { reason: 'deadlock' } });
        came = session.binding === binding ? await this.waitFor(session, place, serial, options) : 'again';
      } finally {
        session.done(serial);
      }
      if (came === 'granted') return;
      checkSignal(options.signal);
    }
  }

  /** Until the leader grants it, or another is to be asked. Gives up when the signal fires, unless it was granted before that. */
  private async waitFor(
    session: LockSession,
    place: LockPlace,
    serial: number,
    { signal }: Abortable,
  ): Promise<'granted' | 'again'> {
    session.done(serial);
    if (session.early.delete(serial)) return 'granted';
    const came = deferred<'granted' | 'again'>();
    session.waits.set(serial, { came });
    try {
      return await abortable(Promise.race([came.promise, session.over.promise]), { signal });
    } catch (error) {
      if (!signal?.aborted || session.isOver) throw error;
      const { answer } = await this.call(session, { type: 'cancel', place, waiter: serial });
      const { granted, revision, ranges } = answer as Of<'cancelled'>;
      session.state(place, revision, ranges);
      if (granted) return 'granted';
      throw error;
    } finally {
      session.waits.delete(serial);
    }
  }

  /**
   * Asks whoever leads, having taken the session up there; ends with the session. What may have been executed is not given up: the
   * signal counts before it was asked, and once it is known that it was not executed.
   */
  private async call(session: LockSession, request: LockRequest, options: CallOptions = {}): Promise<Answered> {
    const isChange = request.type === 'unlock' || request.type === 'cancel';
    const serial = options.serial ?? (isChange ? session.take() : 0);
    try {
      for (let isUnsure = false; ; ) {
        await this.bound(session);
        if (!isUnsure) checkSignal(options.signal);
        const { binding, seen } = session;
        // Each leader counts grants from the start: what was heard of one before says nothing to this one.
        const now = request.type === 'poll' ? { ...request, seen } : request;
        const answer = await this.ask(session, now, serial).catch((error: unknown) => unsure(error, serial));
        isUnsure = answer === undefined;
        if (answer === undefined) {
          await raced(this.clock.sleep(pauseMs), session);
          continue;
        }
        if (answer.type === 'unknown') {
          if (session.binding === binding) session.binding = 0;
        } else if (answer.type === 'later') await raced(this.clock.sleep(answer.afterMs), session);
        else if (session.binding === binding) return { answer, binding };
      }
    } finally {
      if (options.serial === undefined) session.done(serial);
    }
  }

  private async bound(session: LockSession): Promise<void> {
    while (session.binding === 0) {
      session.binds ??= this.begin(session).finally(() => {
        session.binds = undefined;
      });
      await session.binds;
    }
    if (session.isOver) await session.over.promise;
  }

  /** Begins the session with whoever leads, or has it take up what this client holds. */
  private async begin(session: LockSession): Promise<void> {
    const isNew = session.untilMs === undefined;
    let answer: LockAnswer;
    try {
      const held = session.all.map(({ place, ranges }) => ({ place, ranges }));
      answer = await this.ask(session, { type: 'begin', reclaim: !isNew, held }, 0);
    } catch (error) {
      if (isNew) this.discard(session, asError(error));
      throw error;
    }
    if (answer.type !== 'begun') {
      this.lose(session, 'the leader does not know this session any more');
      throw lockLost();
    }
    session.bound(++this.bindings, session.isOwn);
    const refused = answer.refused.flatMap((place) => session.drop(place) ?? []);
    if (refused.length > 0) this.tellLost(refused);
    if (isNew) void this.keep(session);
  }

  private async ask(session: LockSession, request: LockRequest, serial: number): Promise<LockAnswer> {
    if (session.isOver) await session.over.promise;
    let heardSince = 0;
    let isOwn = false;
    const attempt = async (target: Target, timeoutMs: number): Promise<Outcome> => {
      const sentAt = this.now;
      const outcome = await this.send(target, session, request, serial, timeoutMs);
      heardSince = sentAt;
      isOwn = target.type === 'self';
      return outcome;
    };
    const asked = this.options.ask(attempt, {}).then(replyOf);
    const answer = decode(lockAnswer, await raced(asked, session));
    if (request.type === 'begin') session.isOwn = isOwn;
    if (answer.type === 'unknown' || answer.type === 'over') return answer;
    session.untilMs = Math.max(session.untilMs ?? 0, heardSince + limits.lockLeaseMs * leaseShare);
    this.watchTime(session);
    return answer;
  }

  private async send(
    target: Target,
    session: LockSession,
    request: LockRequest,
    serial: number,
    timeoutMs: number,
  ): Promise<Outcome> {
    const { treeId, client, user } = this.options;
    const call = { treeId, client, session: session.number, serial, through: session.through, request };
    if (target.type === 'self') return target.leader.lock(call, user);
    if (target.type === 'peer') return target.peer.call(treeLock, call, { timeoutMs });
    throw new InfinitError('unsupported', 'nobody leads who could keep locks');
  }

  private watchTime(session: LockSession): void {
    if (this.cancelTimer !== undefined || session !== this.session || session.untilMs === undefined) return;
    this.cancelTimer = this.clock.after(Math.max(1, session.untilMs - this.now), () => {
      this.cancelTimer = undefined;
      const current = this.believable();
      if (current !== undefined) this.watchTime(current);
    });
  }

  /** Hears of grants, and keeps the session while it is used. */
  private async keep(session: LockSession): Promise<void> {
    while (!session.isOver && !this.isStopped) {
      if (session.isIdle && this.now - session.usedAtMs >= limits.lockIdleMs) return this.endSession(session);
      try {
        const { answer } = await this.call(session, { type: 'poll', seen: session.seen, waitMs: limits.lockPollMs });
        this.heard(session, answer as Of<'polled'>);
      } catch (error) {
        if (session.isOver) return;
        this.options.runtime.log.write('debug', 'locks', asError(error).message);
        await raced(this.clock.sleep(pauseMs), session).catch(() => {});
      }
    }
  }

  private heard(session: LockSession, { revision, grants }: Of<'polled'>): void {
    session.seen = Math.max(session.seen, revision);
    for (const { waiter, place, revision: at, ranges } of grants) {
      session.state(place, at, ranges);
      const wait = session.waits.get(waiter);
      if (wait !== undefined) wait.came.resolve('granted');
      // The answer that it waits is still on its way.
      else if (session.isUnderWay(waiter)) session.early.add(waiter);
      session.waits.delete(waiter);
    }
  }

  private async endSession(session: LockSession): Promise<void> {
    this.discard(session, new InfinitError('unavailable', 'the locks are let go of'));
    if (session.untilMs === undefined || session.untilMs <= this.now) return;
    const attempt = (target: Target, timeoutMs: number) => this.send(target, session, { type: 'end' }, 0, timeoutMs);
    const enough = new AbortController();
    const late = this.options.runtime.clock
      .sleep(limits.lockPollMs, { signal: enough.signal })
      .then(() => enough.abort());
    await Promise.race([this.options.ask(attempt, { signal: enough.signal }), late]).catch(() => {});
    enough.abort();
  }

  private discard(session: LockSession, error: InfinitError): void {
    if (session.isOver) return;
    session.isOver = true;
    if (this.session === session) this.session = undefined;
    this.cancelTimer?.();
    this.cancelTimer = undefined;
    session.over.reject(error);
  }

  /** What it held may be somebody else's by now. */
  private lose(session: LockSession, why: string): void {
    const held = session.all;
    this.discard(session, lockLost());
    if (held.length === 0) return;
    this.options.runtime.log.write('warn', 'locks', `locks are lost: ${why}`, { files: held.length });
    this.tellLost(held);
  }

  private tellLost(held: readonly { place: LockPlace; ranges: LockRange[] }[]): void {
    for (const { place, ranges } of held) this.lost.set(keyOf(place), { place, ranges });
    const resources = new Set(held.map(({ place }) => place.resource));
    for (const listener of [...this.listeners]) listener(resources);
  }
}

function lockLost(): InfinitError {
  return new InfinitError('lost', 'the lock is lost: no leader was heard of for long', {
    data: { reason: 'lock-lost' },
  });
}
