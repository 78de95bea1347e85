// The filter `mirror`: several silos that all have the same. Every change goes to all, the first of them is read, and a value that is
// gone or rotten in one is given to it again from another. What holds when one is away: docs/decisions/030-mirror.md.

import { asError, InfinitError, isError } from '../../../base/errors.ts';
import { limits } from '../../../base/limits.ts';
import { storeIdBytes } from '../../../block/address.ts';
import type { Cancel, Runtime } from '../../../runtime/runtime.ts';
import { checkEntries, checkKey, checkRange, closedError, entryBytes, notFound } from '../../entries.ts';
import type {
  Silo,
  SiloConfig,
  SiloEntry,
  SiloKey,
  SiloKind,
  SiloStart,
  SiloSurroundings,
  SiloUsage,
  Space,
} from '../../silo.ts';
import { clearBackends } from '../backends.ts';
import { Changes } from './changes.ts';
import { Copying } from './copying.ts';
import { type Member, type Members, nothingLeft, type Present } from './members.ts';
import { checkStranger, openMembers } from './opening.ts';
import { isRecord, readRecord } from './record.ts';

export const mirrorKind: SiloKind = {
  name: 'mirror',
  open: openMirror,
  clear: clearBackends,
};

export async function openMirror(config: SiloConfig, around: SiloSurroundings): Promise<Silo> {
  const { members, unequal } = await openMembers(config, around);
  const silo = new Mirror(members, around);
  silo.begin(unequal);
  return silo;
}

class Mirror implements Silo {
  private readonly members: Members;
  private readonly around: SiloSurroundings;
  private readonly changes = new Changes();
  private readonly copying: Copying;
  private readonly runtime: Pick<Runtime, 'clock' | 'random' | 'log'>;
  private mending = 0;
  private closing: Promise<void> | undefined;
  private background: Promise<void> = Promise.resolve();
  private cancelRetry: Cancel | undefined;

  constructor(members: Members, around: SiloSurroundings) {
    this.members = members;
    this.around = around;
    this.runtime = around.runtime;
    this.copying = new Copying(members, this.changes, () => this.closing !== undefined);
  }

  get storeId() {
    return this.members.storeId;
  }

  get(space: Space, key: SiloKey, options?: Parameters<Silo['get']>[2]): Promise<Buffer> {
    return this.read(space, key, (silo) => silo.get(space, key, options));
  }

  async getRange(space: Space, key: SiloKey, offset: number, length: number): Promise<Buffer> {
    checkRange(offset, length);
    return this.read(space, key, (silo) => silo.getRange(space, key, offset, length));
  }

  async size(space: Space, key: SiloKey): Promise<number | undefined> {
    try {
      return await this.read(space, key, async (silo) => {
        const size = await silo.size(space, key);
        if (size === undefined) throw notFound(space);
        return size;
      });
    } catch (error) {
      if (isError(error, 'not-found')) return undefined;
      throw error;
    }
  }

  put(space: Space, key: SiloKey, value: Uint8Array): Promise<void> {
    return this.batch([{ space, key, value }]);
  }

  delete(space: Space, key: SiloKey): Promise<void> {
    return this.batch([{ space, key, value: undefined }]);
  }

  async batch(entries: readonly SiloEntry[]): Promise<void> {
    this.refuseClosed();
    checkEntries(entries, this.around.addedBytes);
    for (const { space, key } of entries)
      if (isRecord(space, key)) throw new InfinitError('usage', 'that key is the record of the mirror');
    const { taking } = this.members;
    // All begin before anything is waited for: changes of one key keep their order in each silo.
    const done = this.decided(
      taking,
      taking.map(({ silo }) => silo.batch(entries)),
    );
    this.changes.begin(entries, done);
    return done;
  }

  /** The first that has everything and is not broken decides; whoever did otherwise is let go. */
  private async decided(taking: readonly Present[], attempts: readonly Promise<void>[]): Promise<void> {
    const outcomes = await Promise.allSettled(attempts);
    const failures = outcomes.map((outcome) => (outcome.status === 'rejected' ? asError(outcome.reason) : undefined));
    const isBroken = (at: number) => failures[at] !== undefined && !isRefusal(failures[at]);
    const deciding = taking.findIndex((member, at) => member.state === 'current' && !isBroken(at));
    const decision = failures[deciding];
    const other = (at: number) => (failures[at] === undefined) !== (decision === undefined) || isBroken(at);
    const behind = taking.filter((_, at) => other(at));
    if (deciding < 0) {
      void this.members.letGo(behind, failures[0]).catch(() => {});
      throw failures[0] ?? nothingLeft();
    }
    if (behind.length > 0) {
      const why = failures.find((failure) => failure !== undefined && failure !== decision);
      await this.members.letGo(behind, why ?? decision);
      this.retryLater();
    }
    await this.members.settled();
    if (decision !== undefined) throw decision;
  }

  async *list(space: Space, after?: SiloKey): AsyncGenerator<SiloKey> {
    for await (const { key } of this.scan(space, 0, after)) yield key;
  }

  /** As the first silo has it; the next goes on where one fails. */
  async *scan(space: Space, startBytes: number, after?: SiloKey): AsyncGenerator<SiloStart> {
    this.refuseClosed();
    if (after !== undefined) checkKey(space, after);
    let last = after;
    const { current } = this.members;
    for (const [at, { silo }] of current.entries()) {
      try {
        for await (const one of silo.scan(space, startBytes, last)) {
          last = one.key;
          if (!isRecord(space, one.key)) yield one;
        }
        return;
      } catch (error) {
        if (!isError(error, 'unavailable') || at === current.length - 1) throw error;
      }
    }
  }

  usage(): SiloUsage {
    const [first, ...others] = this.members.best;
    const own = first.silo.usage();
    const all = [own, ...others.map(({ silo }) => silo.usage())];
    const capacities = all.flatMap(({ capacityBytes }) => (capacityBytes === undefined ? [] : [capacityBytes]));
    return {
      ...own,
      usedBytes: own.usedBytes - entryBytes(Buffer.alloc(0)) - first.recordBytes,
      entries: own.entries - 1,
      capacityBytes: capacities.length === 0 ? undefined : Math.min(...capacities),
      freeBytes: Math.min(...all.map(({ freeBytes }) => freeBytes)),
    };
  }

  sequence(): number {
    return this.members.sequence();
  }

  /** Reads it back from all; what one lacks it is given. Throws when none has it whole. */
  async verify(space: Space, key: SiloKey): Promise<void> {
    this.refuseClosed();
    const { current } = this.members;
    const outcomes = await Promise.allSettled(current.map(({ silo }) => silo.verify(space, key)));
    const failures = outcomes.flatMap((outcome) => (outcome.status === 'rejected' ? [outcome.reason as unknown] : []));
    if (failures.length === 0) return;
    const isGone = (failure: unknown) => isError(failure, 'not-found') || isError(failure, 'corrupt');
    if (failures.length === outcomes.length || !failures.every(isGone)) throw failures[0];
    await this.mend(space, key, failures[0]);
  }

  async renew(): Promise<void> {
    this.refuseClosed();
    await this.members.renew(this.runtime.random.bytes(storeIdBytes));
  }

  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    this.cancelRetry?.();
    await this.changes.quiet();
    await this.background;
    // What cannot be noted any more is found out at the next opening.
    if (this.members.current.length > 0) await this.members.note(true).catch(() => {});
    for (const { silo } of this.members.all) await silo?.close();
  }

  /** Makes those equal that were not closed in order, and brings up to date who is behind. */
  begin(unequal: readonly Present[]): void {
    this.background = this.equalize(unequal).then(() => this.reviveAll());
  }

  private async equalize(unequal: readonly Present[]): Promise<void> {
    for (const member of unequal) {
      if (this.closing !== undefined || member.state !== 'current' || member === this.members.first) continue;
      try {
        await this.copying.copyTo(member);
      } catch (error) {
        await this.members.letGo([member], error).catch(() => {});
      }
    }
  }

  private async reviveAll(): Promise<void> {
    for (const member of this.members.all) {
      if (this.closing !== undefined) return;
      if (member.state === 'away') await this.revive(member);
    }
    if (this.members.all.some(({ state }) => state === 'away')) this.retryLater();
  }

  private async revive(member: Member): Promise<void> {
    try {
      // One that failed refuses everything until it is opened anew.
      await member.silo?.close().catch(() => {});
      member.silo = undefined;
      const silo = await this.around.open(member.config);
      member.silo = silo;
      checkStranger(silo, await readRecord(silo), member.number);
      member.state = 'joining';
      await this.copying.copyTo(member as Present);
      // A copy that was cut short, or missed a change, has not everything.
      if (this.closing === undefined && this.stillJoining(member)) await this.members.join(member);
    } catch (error) {
      await this.members.letGo([member], error).catch(() => {});
      member.state = 'away';
      const { message } = asError(error);
      this.runtime.log.write('warn', 'silo', `silo ${member.number} of a mirror stays behind: ${message}`);
    }
  }

  /** Its state as changes beside the copy have left it. */
  private stillJoining(member: Member): boolean {
    return member.state === 'joining';
  }

  private retryLater(): void {
    if (this.closing !== undefined || this.cancelRetry !== undefined) return;
    this.cancelRetry = this.runtime.clock.after(limits.siloMirrorRetryMs, () => {
      this.cancelRetry = undefined;
      this.background = this.background.then(() => this.reviveAll());
    });
  }

  /** From the first that has it whole; those before that lack it are given it. */
  private async read<T>(space: Space, key: SiloKey, attempt: (silo: Silo) => Promise<T>): Promise<T> {
    this.refuseClosed();
    checkKey(space, key);
    if (isRecord(space, key)) throw notFound(space);
    let failure: unknown;
    let lacks = false;
    for (const { silo } of this.members.current) {
      try {
        const value = await attempt(silo);
        if (lacks) this.mendSoon(space, key, failure);
        return value;
      } catch (error) {
        if (!['not-found', 'corrupt', 'unavailable'].includes(asError(error).kind)) throw error;
        lacks ||= !isError(error, 'unavailable');
        if (failure === undefined || isError(failure, 'not-found')) failure = error;
      }
    }
    throw failure ?? nothingLeft();
  }

  private mendSoon(space: Space, key: SiloKey, failure: unknown): void {
    if (this.mending >= limits.siloMirrorMendsMax) return; // it is read again, or scrubbed
    this.mending++;
    const mended = this.mend(space, key, failure).catch(() => {});
    this.background = Promise.all([this.background, mended.finally(() => this.mending--)]).then(() => {});
  }

  private async mend(space: Space, key: SiloKey, failure: unknown): Promise<void> {
    await this.copying.mend(space, key);
    this.runtime.log.write('warn', 'silo', `a ${space} of a mirror was mended: ${asError(failure).message}`);
  }

  private refuseClosed(): void {
    if (this.closing !== undefined) throw closedError();
  }
}

/** Nothing was changed, and the silo goes on. */
function isRefusal(error: InfinitError): boolean {
  return error.kind === 'full' || error.kind === 'usage';
}
