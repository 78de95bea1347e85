// The writer's line to one member: opens the segment there, sends batches in order and several at once, goes back where the
// member says it has a gap, and counts what the member granted.

import { limits } from '../../base/limits.ts';
import type { Member } from '../../block/address.ts';
import type { Cancel, Runtime } from '../../runtime/runtime.ts';
import { askMember, type JournalParts } from './ask.ts';
import type { Position } from './chain.ts';
import {
  type JournalAnswer,
  type JournalMethod,
  journalAppend,
  journalHold,
  journalOpen,
  journalSkip,
  type SignedBatch,
} from './messages.ts';

/** Counted less than the member promises, so that clocks may differ by 2 % (4.2). */
const grantCountedMs = limits.grantMs * (1 - 0.02);
const retryMs = 20;
const retryMaxMs = 1000;

/** What a line needs of its writer. */
export interface LineWriter {
  readonly tree: Uint8Array;
  readonly segmentId: number;
  readonly epoch: number;
  /** The newest chosen root known. */
  readonly proof: Uint8Array;
  readonly acknowledged: number;
  /** The batch that begins behind a sequence, if it is issued and still kept. */
  batchAfter(sequence: number): SignedBatch | undefined;
  /** Whether a batch behind that sequence existed and is gone. */
  isGone(sequence: number): boolean;
  /** The last batch that the root contains, with the writer's signature. */
  readonly contained: (Position & { signature: Uint8Array }) | undefined;
  onProgress(): void;
  onFenced(epoch: number): void;
}

export class Line {
  readonly member: Member;
  /** Held by the member, all before included. */
  acked: number;
  /** Monotonic time until which this member's grant is counted. */
  grantedUntil = 0;
  /** Since when the member lags or is silent. */
  behindSince: number | undefined;
  opened = false;
  /** Why the member did not answer the last time it did not. */
  lastError: unknown;
  private readonly parts: JournalParts;
  private readonly runtime: Runtime;
  private readonly writer: LineWriter;
  private sent: number;
  private inFlight = 0;
  private rewinding = false;
  private failures = 0;
  private retry: Cancel | undefined;
  private closed = false;

  constructor(parts: JournalParts, writer: LineWriter, member: Member, start: number) {
    this.parts = parts;
    this.runtime = parts.runtime;
    this.writer = writer;
    this.member = member;
    this.acked = start - 1;
    this.sent = start - 1;
  }

  /** Sends whatever may be sent. */
  pump(): void {
    if (this.closed || this.retry) return;
    if (this.rewinding) {
      if (this.inFlight > 0) return;
      this.rewinding = false;
      this.sent = this.acked;
    }
    if (!this.opened) {
      if (this.inFlight === 0) void this.open();
      return;
    }
    while (this.inFlight < limits.journalBatchesInFlightMax && !this.rewinding) {
      const batch = this.writer.batchAfter(this.sent);
      if (!batch) break;
      this.sent = batch.last;
      void this.send(batch);
    }
    if (this.inFlight === 0 && this.writer.isGone(this.sent)) void this.skip();
  }

  /** Renews the grant. Throws `unavailable` when the member does not give it. */
  async hold(signal?: AbortSignal): Promise<boolean> {
    const { tree, segmentId, epoch } = this.writer;
    const answer = await this.ask(journalHold, { tree, segment: segmentId, epoch }, signal);
    return answer?.type === 'ok';
  }

  close(): void {
    this.closed = true;
    this.retry?.();
    this.retry = undefined;
  }

  private async open(): Promise<void> {
    const { tree, segmentId, proof } = this.writer;
    this.inFlight++;
    const answer = await this.ask(journalOpen, { tree, segment: segmentId, proof });
    this.inFlight--;
    if (answer?.type === 'ok') {
      this.opened = true;
      this.writer.onProgress();
    }
    this.settle(answer);
  }

  private async send(batch: SignedBatch): Promise<void> {
    const { tree, segmentId, epoch } = this.writer;
    this.inFlight++;
    const answer = await this.ask(journalAppend, { tree, segment: segmentId, epoch, batch });
    this.inFlight--;
    this.settle(answer);
  }

  private async skip(): Promise<void> {
    const { contained, tree, segmentId, proof } = this.writer;
    if (!contained || contained.last <= this.acked) {
      this.behindSince ??= this.runtime.clock.monotonic();
      return;
    }
    const { last, chain, signature } = contained;
    this.inFlight++;
    const answer = await this.ask(journalSkip, { tree, segment: segmentId, through: last, chain, signature, proof });
    this.inFlight--;
    if (answer?.type === 'ok') this.sent = Math.max(this.sent, answer.last);
    this.settle(answer);
  }

  private settle(answer: JournalAnswer | undefined): void {
    if (this.closed) return;
    if (answer?.type === 'ok') this.failures = 0;
    else this.rewinding = true;
    if (answer?.type === 'closed') this.opened = false;
    if (answer?.type !== 'ok' && answer?.type !== 'gap' && answer?.type !== 'closed') this.retryLater();
    this.pump();
  }

  private retryLater(): void {
    if (this.retry) return;
    const longest = Math.min(retryMs * 2 ** this.failures++, retryMaxMs);
    this.retry = this.runtime.clock.after(longest / 2 + this.runtime.random.below(longest), () => {
      this.retry = undefined;
      this.pump();
    });
  }

  /** Asks, and takes note of what every answer says; undefined when there is none to believe. */
  private async ask<Q>(method: JournalMethod<Q>, request: Q, signal?: AbortSignal): Promise<JournalAnswer | undefined> {
    const sentAt = this.runtime.clock.monotonic();
    let answer: JournalAnswer;
    try {
      answer = await askMember(this.parts, this.member, method, request, signal);
    } catch (error) {
      this.lastError = error;
      this.behindSince ??= sentAt;
      return undefined;
    }
    if (this.closed) return answer;
    if (answer.type === 'fenced') this.writer.onFenced(answer.epoch);
    if (answer.type !== 'ok' && answer.type !== 'gap') return answer;
    this.acked = Math.max(this.acked, answer.last);
    if (answer.type === 'ok') this.grantedUntil = Math.max(this.grantedUntil, sentAt + grantCountedMs);
    this.writer.onProgress();
    if (this.acked >= this.writer.acknowledged) this.behindSince = undefined;
    return answer;
  }
}
