// Locks at the leader (docs/protocols.md 4.10): sessions of clients with their leases, and the table of what they hold. All of it
// is memory; the tree only records which clients have a session, so that the next leader knows for whom to wait.

import { type Bytes, equalBytes, toHex } from '../../base/bytes.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Deferred, deferred, KeyedMutex } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Clock } from '../../runtime/runtime.ts';
import type { LockGuard, LockPlace, LockRange, Span } from '../tree.ts';
import type { LockAnswer, LockCall, LockRequest } from './lock-messages.ts';
import { checkSpan } from './lock-ranges.ts';
import { type Locked, LockTable, type LockWaiter } from './lock-table.ts';

/** What the tree says of sessions. */
export interface LockRecords {
  /** Client and number, as the leader before left them. */
  all(): Promise<{ client: Bytes; session: number }[]>;
  /** Acknowledged when it resolves. */
  put(client: Bytes, session: number): Promise<void>;
  /** Those which the check still allows when it comes to it. */
  remove(clients: readonly Bytes[], mayGo: (client: Bytes) => boolean): Promise<void>;
}

export interface LockServiceOptions {
  clock: Clock;
  records: LockRecords;
  /** The leader before: what it held itself ended with its leadership. */
  predecessor: Bytes | undefined;
}

interface Session {
  readonly client: Bytes;
  readonly name: string;
  readonly user: Bytes;
  readonly number: number;
  untilMs: number;
  through: number;
  /** What came of calls behind `through`. */
  readonly answered: Map<number, Locked | 'cancelled'>;
  revision: number;
  /** Granted to who waited; not yet known to have been heard. */
  grants: { waiter: number; place: LockPlace; revision: number }[];
  news: Deferred<void>;
}

export class LockService {
  private readonly options: LockServiceOptions;
  private readonly sessions = new Map<string, Session>();
  private readonly table: LockTable;
  private readonly beginning = new KeyedMutex();
  private readonly isBeginning = new Set<string>();
  /** Sessions of the leader before that may still be taken up. */
  private readonly missing = new Map<string, { client: Bytes; session: number }>();
  private readonly ended = new Map<string, Bytes>();
  private readonly graceUntilMs: number;
  private loading: Promise<void> | undefined;
  private isOver = false;

  constructor(options: LockServiceOptions) {
    this.options = options;
    this.table = new LockTable((waiter) => this.granted(waiter));
    this.graceUntilMs = options.clock.monotonic() + limits.lockLeaseMs;
  }

  async serve(call: LockCall, user: Bytes): Promise<LockAnswer> {
    await this.ready();
    const { request } = call;
    if (request.type === 'begin') return this.beginning.run(toHex(call.client), () => this.begin(call, user, request));
    const session = this.find(call.client, call.session);
    if (session === undefined) return { type: 'unknown' };
    this.checkUser(session, user);
    session.untilMs = this.now + limits.lockLeaseMs;
    this.confirm(session, call.through);
    return this.answer(session, call.serial, request);
  }

  /** Whether what a session relied on still holds. Throws `unavailable` while it may be taken up, `lost` when it has ended. */
  async check(guard: LockGuard): Promise<void> {
    await this.ready();
    this.checkNow(guard);
  }

  /** The same, in one step. */
  checkNow({ client, session }: LockGuard): void {
    if (this.find(client, session) !== undefined) return;
    if (this.waits && this.missing.get(toHex(client))?.session === session)
      throw new InfinitError('unavailable', 'the locks of this client are not taken up yet');
    throw new InfinitError('lost', 'the lock this relied on is lost', { data: { reason: 'lock-lost' } });
  }

  /** Housekeeping, about once a second: sessions that were not heard of end. */
  async tick(): Promise<void> {
    if (this.sessions.size > 0 || this.loading !== undefined) await this.ready();
    for (const session of [...this.sessions.values()]) if (session.untilMs <= this.now) this.end(session);
    if (!this.waits) {
      for (const [name, { client }] of this.missing) this.ended.set(name, client);
      this.missing.clear();
    }
    if (this.ended.size === 0) return;
    const gone = [...this.ended.values()];
    await this.options.records.remove(gone, (client) => {
      const name = toHex(client);
      return !this.sessions.has(name) && !this.isBeginning.has(name) && !this.missing.has(name);
    });
    for (const client of gone) this.ended.delete(toHex(client));
  }

  /** The leadership is over. */
  stop(): void {
    this.isOver = true;
    for (const { news } of this.sessions.values()) news.resolve();
  }

  private get now(): number {
    return this.options.clock.monotonic();
  }

  /** Clients of the leader before may still take up what they had: nothing else is granted. */
  private get waits(): boolean {
    return this.missing.size > 0 && this.now < this.graceUntilMs;
  }

  private ready(): Promise<void> {
    this.loading ??= this.load().catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  private async load(): Promise<void> {
    const { predecessor, records } = this.options;
    for (const one of await records.all()) {
      const name = toHex(one.client);
      if (predecessor !== undefined && equalBytes(one.client, predecessor)) this.ended.set(name, one.client);
      else this.missing.set(name, one);
    }
  }

  private find(client: Bytes, number: number): Session | undefined {
    const session = this.sessions.get(toHex(client));
    if (session === undefined || session.number !== number) return undefined;
    if (session.untilMs > this.now) return session;
    this.end(session);
    return undefined;
  }

  private checkUser(session: Session, user: Bytes): void {
    if (!equalBytes(session.user, user)) throw new InfinitError('denied', 'another user has this lock session');
  }

  private async begin(
    call: LockCall,
    user: Bytes,
    { reclaim, held }: LockRequest & { type: 'begin' },
  ): Promise<LockAnswer> {
    const { client, session: number } = call;
    const name = toHex(client);
    const known = this.sessions.get(name);
    if (known !== undefined) this.checkUser(known, user);
    if (this.find(client, number) !== undefined && known !== undefined) {
      known.untilMs = this.now + limits.lockLeaseMs;
      return { type: 'begun', revision: known.revision, refused: [] };
    }
    const missing = this.missing.get(name);
    if (number < Math.max(known?.number ?? 0, missing?.session ?? 0)) return { type: 'over' };
    if (reclaim && !(this.waits && missing?.session === number)) return { type: 'over' };
    const current = this.sessions.get(name);
    if (current !== undefined) this.end(current);
    if (!reclaim) {
      this.checkRoom(user);
      this.isBeginning.add(name);
      try {
        await this.options.records.put(client, number);
      } finally {
        this.isBeginning.delete(name);
      }
    }
    const session: Session = {
      ...{ client, name, user, number },
      untilMs: this.now + limits.lockLeaseMs,
      through: call.through,
      answered: new Map(),
      revision: 0,
      grants: [],
      news: deferred<void>(),
    };
    this.sessions.set(name, session);
    this.missing.delete(name);
    this.ended.delete(name);
    return { type: 'begun', refused: reclaim ? this.takeUp(session, held) : [], revision: session.revision };
  }

  private checkRoom(user: Bytes): void {
    let own = 0;
    for (const session of this.sessions.values()) if (equalBytes(session.user, user)) own++;
    if (this.sessions.size >= limits.lockSessionsMax || own >= limits.lockSessionsPerUserMax)
      throw noLocks('too many clients have locks');
  }

  /** What it had before; places of which something is not to be had are refused. */
  private takeUp(session: Session, held: readonly { place: LockPlace; ranges: LockRange[] }[]): LockPlace[] {
    const refused: LockPlace[] = [];
    for (const { place, ranges } of held) {
      const taken = ranges.every((range) => {
        checkSpan(range);
        this.checkCounts(session, place, false);
        return this.table.lock(session.name, place, range) === 'granted';
      });
      if (!taken) refused.push(place);
    }
    return refused;
  }

  /** Calls up to this one are answered, and not to be obeyed when they come again. */
  private confirm(session: Session, through: number): void {
    if (through <= session.through) return;
    session.through = through;
    for (const serial of session.answered.keys()) if (serial <= through) session.answered.delete(serial);
  }

  private async answer(session: Session, serial: number, request: LockRequest): Promise<LockAnswer> {
    switch (request.type) {
      case 'poll':
        return this.poll(session, request.seen, request.waitMs);
      case 'test':
        return this.waits ? this.later() : this.test(session, request);
      case 'end':
        this.end(session);
        return { type: 'ended' };
      case 'begin':
        return { type: 'unknown' };
      default:
        return this.change(session, serial, request);
    }
  }

  /** At most once a serial: one said again is answered by what came of it then, and by how things are now. */
  private change(
    session: Session,
    serial: number,
    request: LockRequest & { type: 'lock' | 'unlock' | 'cancel' },
  ): LockAnswer {
    const { place } = request;
    if (serial <= session.through) return { type: 'unknown' };
    let result = session.answered.get(serial);
    if (result === undefined) {
      if (request.type === 'lock' && this.waits) return this.later();
      if (session.answered.size >= limits.lockAnswersKeptMax) throw noLocks('too many locks at once');
      result = this.execute(session, serial, request);
      session.answered.set(serial, result);
    }
    const ranges = [...this.table.rangesOf(session.name, place)];
    const { revision } = session;
    if (request.type === 'unlock') return { type: 'unlocked', revision, ranges };
    if (request.type === 'cancel') return { type: 'cancelled', granted: result === 'granted', revision, ranges };
    return { type: 'locked', result: result === 'cancelled' ? 'conflict' : result, revision, ranges };
  }

  private execute(
    session: Session,
    serial: number,
    request: LockRequest & { type: 'lock' | 'unlock' | 'cancel' },
  ): Locked | 'cancelled' {
    const { place } = request;
    if (request.type === 'cancel') {
      const { waiter } = request;
      const came = session.answered.get(waiter);
      if (this.table.cancel(session.name, place, waiter)) session.answered.set(waiter, 'cancelled');
      // One that has not come yet is never to be obeyed.
      else if (came === undefined && waiter > session.through) session.answered.set(waiter, 'cancelled');
      return session.grants.some((grant) => grant.waiter === waiter) || came === 'granted' ? 'granted' : 'cancelled';
    }
    const span: Span = request.type === 'lock' ? request.range : request;
    checkSpan(span);
    this.checkCounts(session, place, request.type === 'lock' && request.wait);
    let result: Locked = 'granted';
    if (request.type === 'unlock') this.table.unlock(session.name, place, span);
    else result = this.table.lock(session.name, place, request.range, request.wait ? serial : undefined);
    session.revision++;
    return result;
  }

  private checkCounts(session: Session, place: LockPlace, wait: boolean): void {
    const [own, all] = [this.table.countsOf(session.name), this.table.countsOf()];
    // A range in the midst of another makes two more.
    const here = this.table.rangesOf(session.name, place).length + 2;
    if (here > limits.lockRangesPerPlaceMax) throw noLocks('one owner has too many ranges of a file locked');
    if (own.ranges + 2 > limits.lockRangesPerClientMax || all.ranges + 2 > limits.lockRangesMax)
      throw noLocks('too many locks');
    if (wait && (own.waiters >= limits.lockWaitersPerClientMax || all.waiters >= limits.lockWaitersMax))
      throw noLocks('too many wait for locks');
  }

  private test(session: Session, { place, range }: LockRequest & { type: 'test' }): LockAnswer {
    checkSpan(range);
    const found = this.table.test(session.name, place, range);
    return { type: 'tested', found: found && { mine: found.client === session.name, range: found.range } };
  }

  private async poll(session: Session, seen: number, waitMs: number): Promise<LockAnswer> {
    session.grants = session.grants.filter(({ revision }) => revision > seen);
    if (session.grants.length === 0) await this.newsOf(session, Math.min(waitMs, limits.lockPollMs));
    if (this.sessions.get(session.name) !== session) return { type: 'unknown' };
    const told = session.grants.slice(0, limits.lockGrantsPerAnswerMax);
    const all = told.length === session.grants.length;
    const grants = told.map(({ waiter, place }) => ({
      ...{ waiter, place, revision: session.revision },
      ranges: [...this.table.rangesOf(session.name, place)],
    }));
    return { type: 'polled', revision: all ? session.revision : (told.at(-1)?.revision ?? seen), grants };
  }

  private async newsOf(session: Session, waitMs: number): Promise<void> {
    const enough = new AbortController();
    const late = this.options.clock.sleep(waitMs, { signal: enough.signal }).catch(() => {});
    if (!this.isOver) await Promise.race([session.news.promise, late]);
    enough.abort();
  }

  private granted({ client, id, place }: LockWaiter): void {
    const session = this.sessions.get(client);
    if (session === undefined) return;
    session.revision++;
    session.grants.push({ waiter: id, place, revision: session.revision });
    const { news } = session;
    session.news = deferred<void>();
    news.resolve();
  }

  private end(session: Session): void {
    this.sessions.delete(session.name);
    this.ended.set(session.name, session.client);
    this.table.drop(session.name);
    session.news.resolve();
  }

  private later(): LockAnswer {
    return { type: 'later', afterMs: Math.max(1, Math.ceil(Math.min(this.graceUntilMs - this.now, 500))) };
  }
}

function noLocks(message: string): InfinitError {
  return new InfinitError('full', message, { data: { reason: 'no-locks' } });
}
