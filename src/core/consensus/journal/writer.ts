// The append side of a journal segment (docs/protocols.md 4.3): one chain of signed batches, sent to all members at once,
// acknowledged when a majority holds a batch and all before it. Grants of the members are counted as 4.2 says.

import type { Bytes } from '../../base/bytes.ts';
import { decode } from '../../base/codec.ts';
import { InfinitError } from '../../base/errors.ts';
import { type Abortable, cancelled, checkSignal, type Deferred, deferred } from '../../base/lifecycle.ts';
import { limits } from '../../base/limits.ts';
import type { Address, Member } from '../../block/address.ts';
import type { KeyPair } from '../../crypto/keys.ts';
import {
  type JournalBatch,
  type JournalSegment,
  type JournalWriter,
  type RegisterSnapshot,
  rootHeader,
} from '../consensus.ts';
import { askMember, type JournalParts } from './ask.ts';
import { nextChain, type Position, segmentStart, signChain } from './chain.ts';
import { Line, type LineWriter } from './line.ts';
import { journalRelease, journalTrim, type SignedBatch } from './messages.ts';

interface Kept {
  batch: SignedBatch;
  chain: Bytes;
}

export class SegmentWriter implements JournalWriter, LineWriter {
  readonly segment: JournalSegment;
  readonly tree: Address;
  readonly segmentId: number;
  readonly epoch: number;
  proof: Bytes;
  acknowledged: number;
  contained: (Position & { signature: Bytes }) | undefined;
  private readonly parts: JournalParts;
  private readonly author: KeyPair;
  private readonly lines: Line[];
  private tail: Position;
  /** Issued batches that some member may still need, oldest first. */
  private readonly kept: Kept[] = [];
  private keptBytes = 0;
  private readonly waiting: { last: number; done: Deferred<void> }[] = [];
  private readonly opening = deferred();
  private ended: InfinitError | undefined;

  constructor(parts: JournalParts, root: RegisterSnapshot, segment: JournalSegment, author: KeyPair) {
    this.parts = parts;
    this.segment = segment;
    this.tree = root.address;
    this.segmentId = segment.id;
    this.epoch = segment.epoch;
    this.proof = root.proof;
    this.author = author;
    this.tail = segmentStart(parts.networkId, root.address, segment);
    this.acknowledged = this.tail.last;
    this.lines = segment.members.map((member) => new Line(parts, this, member, segment.start));
    this.opening.promise.catch(() => {});
  }

  /** Resolves when a majority has the segment open; throws `conflict`, `cancelled`, `unavailable` after a while. */
  async start({ signal }: Abortable): Promise<void> {
    const { clock } = this.parts.runtime;
    checkSignal(signal);
    const abort = () => this.end(cancelled(signal));
    signal?.addEventListener('abort', abort, { once: true });
    const giveUp = clock.after(limits.journalRecoveryTimeoutMs, () =>
      this.end(
        new InfinitError('unavailable', 'too few members of a journal answer', {
          cause: this.lines.find((line) => line.lastError !== undefined)?.lastError,
        }),
      ),
    );
    for (const line of this.lines) line.pump();
    try {
      await this.opening.promise;
    } finally {
      giveUp();
      signal?.removeEventListener('abort', abort);
    }
  }

  append(batch: JournalBatch): Promise<void> {
    if (this.ended) return Promise.reject(this.ended);
    if (this.waiting.length >= limits.journalBatchesInFlightMax)
      return Promise.reject(new InfinitError('full', 'too many journal batches are in flight'));
    if (batch.first !== this.tail.last + 1 || batch.last < batch.first)
      return Promise.reject(new InfinitError('usage', 'journal batches follow each other without a hole'));
    if (batch.data.length > limits.journalBatchBytesMax)
      return Promise.reject(new InfinitError('full', 'a journal batch is too large'));
    const previous = this.tail.chain;
    const chain = nextChain(previous, batch);
    const signed: SignedBatch = { ...batch, previous, signature: signChain(this.author, chain) };
    this.tail = { last: batch.last, chain };
    this.kept.push({ batch: signed, chain });
    this.keptBytes += batch.data.length;
    const done = deferred();
    this.waiting.push({ last: batch.last, done });
    for (const line of this.lines) line.pump();
    return done.promise;
  }

  grantedUntil(): number {
    return this.ended ? 0 : byMajority(this.lines.map((line) => line.grantedUntil));
  }

  async hold({ signal }: Abortable = {}): Promise<void> {
    if (this.ended) throw this.ended;
    const needed = Math.floor(this.lines.length / 2) + 1;
    const done = deferred();
    let given = 0;
    let answered = 0;
    const heard = (granted: boolean) => {
      answered++;
      if (granted && ++given >= needed) done.resolve();
      else if (this.lines.length - answered + given < needed)
        done.reject(this.ended ?? new InfinitError('unavailable', 'too few members renew their grant'));
    };
    for (const line of this.lines) void line.hold(signal).then(heard);
    await done.promise;
  }

  async release(): Promise<void> {
    for (const line of this.lines) line.grantedUntil = 0;
    const request = { tree: this.tree, segment: this.segmentId, epoch: this.epoch };
    await this.tellAll((member) => askMember(this.parts, member, journalRelease, request));
    for (const line of this.lines) line.grantedUntil = 0;
  }

  async trim(root: RegisterSnapshot): Promise<void> {
    this.proof = root.proof;
    this.letGo(decode(rootHeader, root.payload).applied);
    for (const line of this.lines) line.pump();
    const request = { tree: this.tree, proof: root.proof };
    await this.tellAll((member) => askMember(this.parts, member, journalTrim, request));
  }

  troubled(): readonly Member[] {
    const before = this.parts.runtime.clock.monotonic() - limits.journalTroubleMs;
    return this.lines.filter((line) => (line.behindSince ?? before) < before).map((line) => line.member);
  }

  close(): void {
    this.end(new InfinitError('unavailable', 'the journal writer is closed'));
  }

  batchAfter(sequence: number): SignedBatch | undefined {
    // The newest are wanted most often.
    for (let i = this.kept.length - 1; i >= 0; i--) {
      const batch = this.kept[i]?.batch;
      if (batch?.first === sequence + 1) return batch;
      if (batch && batch.last <= sequence) return undefined;
    }
    return undefined;
  }

  isGone(sequence: number): boolean {
    return sequence < this.tail.last && sequence + 1 < (this.kept[0]?.batch.first ?? this.tail.last + 1);
  }

  onProgress(): void {
    if (this.lines.some((line) => line.acked > this.tail.last)) {
      this.end(new InfinitError('conflict', 'a journal segment holds what this writer did not write'));
      return;
    }
    if (this.lines.filter((line) => line.opened || line.acked >= this.segment.start).length * 2 > this.lines.length)
      this.opening.resolve();
    const now = this.parts.runtime.clock.monotonic();
    this.acknowledged = Math.max(this.acknowledged, byMajority(this.lines.map((line) => line.acked)));
    for (const line of this.lines) if (line.acked < this.acknowledged) line.behindSince ??= now;
    while (this.waiting[0] && this.waiting[0].last <= this.acknowledged) this.waiting.shift()?.done.resolve();
    this.letGo(this.contained?.last ?? this.segment.start - 1);
  }

  onFenced(epoch: number): void {
    this.end(
      new InfinitError('conflict', 'another client leads this tree now', {
        data: { epoch: this.epoch, fencedBy: epoch },
      }),
    );
  }

  /** Drops batches that every member holds, those the root contains, and the oldest when they are too many. */
  private letGo(applied: number): void {
    const everywhere = Math.min(...this.lines.map((line) => line.acked));
    while (this.kept.length > 0) {
      const { batch, chain } = this.kept[0] as Kept;
      const contained = batch.last <= applied;
      const crowded = this.keptBytes > limits.journalRetainedBytesMax && batch.last <= this.acknowledged;
      if (!contained && !crowded && batch.last > everywhere) break;
      if (contained) this.contained = { last: batch.last, chain, signature: batch.signature };
      this.kept.shift();
      this.keptBytes -= batch.data.length;
    }
  }

  private async tellAll(tell: (member: Member) => Promise<unknown>): Promise<void> {
    await Promise.allSettled(this.segment.members.map(tell));
  }

  private end(error: InfinitError): void {
    if (this.ended) return;
    this.ended = error;
    for (const line of this.lines) line.close();
    for (const { done } of this.waiting.splice(0)) done.reject(error);
    this.opening.reject(error);
    this.kept.length = 0;
  }
}

/** The highest value that a majority reaches. */
function byMajority(values: readonly number[]): number {
  const descending = [...values].sort((a, b) => b - a);
  return descending[Math.floor(values.length / 2)] ?? 0;
}
