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
  private readonly fenced = deferred();
  private readonly over = deferred();
  private ended = false;

  constructor(parts: JournalParts, root: RegisterSnapshot) {
    this.parts = parts;
    this.root = root;
    this.header = decode(rootHeader, root.payload);
    for (const { id } of this.header.segments) this.tails.set(id, new Map());
    this.fenced.promise.catch(() => {});
    this.over.promise.catch(() => {});
  }

  /** Later calls do nothing. */
  end(error: InfinitError): void {
    if (this.ended) return;
    this.ended = true;
    this.fenced.reject(error);
    this.over.reject(error);
  }

  async run(): Promise<JournalBatch[]> {
    const segments = [...this.header.segments].sort((a, b) => a.start - b.start || a.id - b.id);
    const members = new Map(segments.flatMap((s) => s.members).map((member) => [memberName(member), member]));
    if (segments.length === 0) return [];
    for (const member of members.values()) void this.fence(member);
    await this.fenced.promise;
    const out: JournalBatch[] = [];
    let through = this.header.applied;
    for (const segment of segments) {
      if (segment.start > through + 1) throw hole(segment.start - 1, through);
      const batches = await Promise.race([this.longest(segment), this.over.promise]);
      for (const { first, last, data } of batches ?? []) {
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
        if (answer.type === 'fenced')
          return this.end(
            new InfinitError('conflict', 'another client takes over this tree', { data: { fencedBy: answer.epoch } }),
          );
      } catch (error) {
        if (isError(error, 'denied')) return;
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
    const enough = (s: JournalSegment) => (this.tails.get(s.id)?.size ?? 0) * 2 > s.members.length;
    if (this.header.segments.every(enough)) this.fenced.resolve();
  }

  /** The longest tail among the fenced members: what an old leader may have acknowledged is in it. */
  private async longest(segment: JournalSegment): Promise<SignedBatch[]> {
    const found = [...(this.tails.get(segment.id)?.values() ?? [])].sort((a, b) => b.tail.last - a.tail.last);
    const longest = found[0];
    if (!longest || longest.tail.last < Math.max(this.header.applied + 1, segment.start)) return [];
    let failure: unknown;
    for (const { member, tail } of found) {
      if (tail.last !== longest.tail.last) break;
      if (!equalBytes(tail.chain, longest.tail.chain)) throw forked(segment);
      try {
        return await this.read(segment, member, tail, found);
      } catch (error) {
        if (!isError(error, 'unavailable')) throw error;
        failure = error;
      }
    }
    throw failure;
  }

  private async read(
    segment: JournalSegment,
    member: Member,
    tail: Tail,
    others: readonly { tail: Tail }[],
  ): Promise<SignedBatch[]> {
    if (!listedWriter(this.root.access, tail.author))
      throw new InfinitError('corrupt', 'a journal was written by somebody without the right');
    const chains = new Map(others.map((other) => [other.tail.last, other.tail.chain]));
    const out: SignedBatch[] = [];
    let chain: Bytes | undefined;
    let next = Math.max(this.header.applied + 1, segment.start);
    while (next <= tail.last) {
      const request = { tree: this.root.address, epoch: this.header.epoch, segment: segment.id, from: next };
      const answer = await askMember(this.parts, member, journalRead, request);
      if (answer.type === 'fenced') throw new InfinitError('conflict', 'another client takes over this tree');
      if (answer.type !== 'batches' || answer.batches.length === 0)
        throw new InfinitError('corrupt', `a journal member lacks records it reported: ${next} to ${tail.last}`);
      for (const batch of answer.batches) {
        chain = this.verified(segment, tail, batch, chain, next);
        const reported = chains.get(batch.last);
        if (reported && !equalBytes(reported, chain)) throw forked(segment);
        next = batch.last + 1;
        out.push(batch);
      }
    }
    if (!chain || !equalBytes(chain, tail.chain)) throw forked(segment);
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
