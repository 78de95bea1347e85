// Takeover steps T3 and T4 (docs/protocols.md 4.5): fence every member of every listed segment, wait for running grants, read
// the longest tail of each segment from a fenced majority, verify signatures and chains, and join the segments without a hole.

import { type Bytes, equalBytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError, isError } from '../../base/errors.ts';
import { type Abortable, cancelled, checkSignal, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import { type Member, memberName } from '../../block/address.ts';
import { listedWriter } from '../../block/register-validity.ts';
import {
  type JournalBatch,
  type JournalSegment,
  type RegisterSnapshot,
  type RootHeader,
  rootHeader,
} from '../consensus.ts';
import { askMember, type JournalParts } from './ask.ts';
import { nextChain, segmentStart, verifyChain } from './chain.ts';
import { journalFence, journalRead, type SignedBatch, type Tail } from './messages.ts';

const retryMs = 50;

export async function recoverJournal(
  parts: JournalParts,
  root: RegisterSnapshot,
  { signal }: Abortable = {},
): Promise<JournalBatch[]> {
  checkSignal(signal);
  const recovery = new Recovery(parts, root);
  const abort = () => recovery.end(cancelled(signal));
  signal?.addEventListener('abort', abort, { once: true });
  const giveUp = parts.runtime.clock.after(limits.journalRecoveryTimeoutMs, () =>
    recovery.end(new InfinitError('unavailable', 'too few members of a journal answer')),
  );
  try {
    return await recovery.run();
  } finally {
    recovery.end(new InfinitError('cancelled', 'the recovery is over'));
    giveUp();
    signal?.removeEventListener('abort', abort);
  }
}

class Recovery {
  private readonly parts: JournalParts;
  private readonly root: RegisterSnapshot;
  private readonly header: RootHeader;
  /** Tails by segment and member, of members fenced so far. */
  private readonly tails = new Map<number, Map<string, { member: Member; tail: Tail }>>();
  /** Members that do not count, and why: they refuse, or could not show what they reported. One that lies delays nobody for long. */
  private readonly refused = new Map<string, unknown>();
  private readonly over = deferred<never>();
  private changed = deferred();
  private ended = false;

  constructor(parts: JournalParts, root: RegisterSnapshot) {
    this.parts = parts;
    this.root = root;
    this.header = decode(rootHeader, root.payload);
    for (const { id } of this.header.segments) this.tails.set(id, new Map());
    this.over.promise.catch(() => {});
  }

  /** Later calls do nothing. */
  end(error: unknown): void {
    if (this.ended) return;
    this.ended = true;
    this.over.reject(error);
  }

  async run(): Promise<JournalBatch[]> {
    const segments = [...this.header.segments].sort((a, b) => a.start - b.start || a.id - b.id);
    const members = new Map(segments.flatMap((s) => s.members).map((member) => [memberName(member), member]));
    if (segments.length === 0) return [];
    for (const member of members.values()) void this.fence(member);
    for (const segment of segments) await this.majority(segment);
    const out: JournalBatch[] = [];
    let through = this.header.applied;
    for (const segment of segments) {
      if (segment.start > through + 1) throw hole(segment.start - 1, through);
      const batches = await Promise.race([this.longest(segment), this.over.promise]);
      for (const { first, last, data } of batches) {
        if (last <= this.header.applied) continue;
        if (first > through + 1) throw hole(first - 1, through);
        if (last <= through) throw new InfinitError('corrupt', 'two segments of a journal hold the same sequence');
        out.push({ first, last, data });
        through = last;
      }
    }
    return out;
  }

  /** Until it is fenced or everything is over. A majority of each segment is enough, but no segment may be left out (Y6). */
  private async fence(member: Member): Promise<void> {
    const { clock, random } = this.parts.runtime;
    const request = { tree: this.root.address, proof: this.root.proof };
    for (let tries = 0; !this.ended; tries++) {
      let pause = Math.min(retryMs * 2 ** tries, 1000) / 2 + random.below(retryMs);
      try {
        const answer = await askMember(this.parts, member, journalFence, request);
        if (answer.type === 'tails') return this.note(member, answer.tails);
        if (answer.type === 'wait') pause = Math.min(answer.ms, limits.grantMs) + 1;
        if (answer.type === 'fenced') return this.refuse(member, takenOver(answer.epoch));
      } catch (error) {
        if (isError(error, 'denied')) return this.refuse(member, error);
      }
      await clock.sleep(pause).catch(() => {});
    }
  }

  private note(member: Member, tails: readonly Tail[]): void {
    for (const tail of tails) {
      const segment = this.header.segments.find(({ id }) => id === tail.segment);
      if (segment?.members.some((other) => memberName(other) === memberName(member)))
        this.tails.get(tail.segment)?.set(memberName(member), { member, tail });
    }
    this.changed.resolve();
  }

  /** The others must be a majority without it; where they cannot be, everything is over for the reason given. */
  private refuse(member: Member, reason: unknown): void {
    this.refused.set(memberName(member), reason);
    const counted = ({ members }: JournalSegment) => members.filter((other) => !this.refused.has(memberName(other)));
    if (this.header.segments.some((segment) => counted(segment).length * 2 <= segment.members.length)) this.end(reason);
    this.changed.resolve();
  }

  /** What the fenced members that count report of a segment, the longest first. */
  private reported({ id }: JournalSegment): { member: Member; tail: Tail }[] {
    const all = [...(this.tails.get(id)?.values() ?? [])];
    return all.filter(({ member }) => !this.refused.has(memberName(member))).sort((a, b) => b.tail.last - a.tail.last);
  }

  private async majority(segment: JournalSegment): Promise<void> {
    while (this.reported(segment).length * 2 <= segment.members.length) {
      this.changed = deferred();
      await Promise.race([this.changed.promise, this.over.promise]);
    }
  }

  /**
   * The longest tail that a majority of fenced members leaves possible: what an old leader may have acknowledged is in it. A tail
   * is believed when its batches are read and bear the writer's signatures; who cannot show them does not count, nor does one
   * whose tail contradicts the proven one, unless he proves that too: then the writer signed two histories.
   */
  private async longest(segment: JournalSegment): Promise<SignedBatch[]> {
    for (;;) {
      await this.majority(segment);
      const found = this.reported(segment);
      const longest = found[0] as { member: Member; tail: Tail };
      if (longest.tail.last < Math.max(this.header.applied + 1, segment.start)) return [];
      const proven = await this.proven(segment, found);
      if (!proven) continue;
      const chains = new Map([[proven.tail.last, proven.tail.chain]]);
      for (const { last, chain } of proven.batches) chains.set(last, chain);
      const others = found.filter(({ tail }) => {
        const chain = chains.get(tail.last);
        return chain && !equalBytes(chain, tail.chain);
      });
      if (others.length === 0) return proven.batches.map(({ batch }) => batch);
      if (await this.proven(segment, others, true)) throw forked(segment);
    }
  }

  /** The first of the longest that can be read and is sound, or of all; the others before it do not count from now on. */
  private async proven(
    segment: JournalSegment,
    found: readonly { member: Member; tail: Tail }[],
    all = false,
  ): Promise<{ tail: Tail; batches: Proven[] } | undefined> {
    let failure: unknown;
    for (const { member, tail } of found) {
      if (!all && tail.last !== found[0]?.tail.last) break;
      try {
        return { tail, batches: await this.read(segment, member, tail) };
      } catch (error) {
        if (isError(error, 'unavailable')) failure = error;
        else this.refuse(member, error);
      }
    }
    if (failure) throw failure;
    return undefined;
  }

  private async read(segment: JournalSegment, member: Member, tail: Tail): Promise<Proven[]> {
    if (!listedWriter(this.root.access, tail.author))
      throw new InfinitError('corrupt', 'a journal was written by somebody without the right');
    const out: Proven[] = [];
    let chain: Bytes | undefined;
    let next = Math.max(this.header.applied + 1, segment.start);
    while (next <= tail.last) {
      const request = { tree: this.root.address, epoch: this.header.epoch, segment: segment.id, from: next };
      const answer = await askMember(this.parts, member, journalRead, request);
      if (answer.type === 'fenced') throw takenOver(answer.epoch);
      if (answer.type !== 'batches' || answer.batches.length === 0)
        throw new InfinitError('corrupt', `a journal member lacks records it reported: ${next} to ${tail.last}`);
      for (const batch of answer.batches) {
        chain = this.verified(segment, tail, batch, chain, next);
        next = batch.last + 1;
        out.push({ batch, last: batch.last, chain });
      }
    }
    if (!chain || next !== tail.last + 1 || !equalBytes(chain, tail.chain)) throw forked(segment);
    return out;
  }

  /** The chain hash behind the batch. */
  private verified(
    segment: JournalSegment,
    { author }: Tail,
    batch: SignedBatch,
    chain: Bytes | undefined,
    next: number,
  ): Bytes {
    const before = chain ?? (batch.first === segment.start ? this.startOf(segment) : batch.previous);
    const contiguous = chain ? batch.first === next : batch.first <= next && batch.last >= next;
    if (!contiguous) throw hole(batch.first - 1, next - 1);
    if (batch.last < batch.first || !equalBytes(batch.previous, before)) throw forked(segment);
    const after = nextChain(before, batch);
    if (!verifyChain(author, after, batch.signature))
      throw new InfinitError('corrupt', 'a journal batch is not signed by its writer');
    return after;
  }

  private startOf(segment: JournalSegment): Bytes {
    return segmentStart(this.parts.networkId, this.root.address, segment).chain;
  }
}

interface Proven {
  batch: SignedBatch;
  last: number;
  /** The chain's hash behind it. */
  chain: Bytes;
}

function takenOver(epoch: number): InfinitError {
  return new InfinitError('conflict', 'another client takes over this tree', { data: { fencedBy: epoch } });
}

function hole(from: number, through: number): InfinitError {
  return new InfinitError('corrupt', `a journal has a hole: records ${through + 1} to ${from} are nowhere`, {
    data: { alarm: 'journal-hole', from: through + 1, to: from },
  });
}

function forked({ id }: JournalSegment): InfinitError {
  return new InfinitError('corrupt', 'members hold different records at one place of a journal', {
    data: { alarm: 'journal-fork', segment: id },
  });
}
