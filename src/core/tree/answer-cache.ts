// What a follower was answered under a lease of its leader (docs/protocols.md 4.6), to be answered again from here while the lease
// lasts. The lease covers all answers together: told to forget, or late to renew, it forgets all of them.

import { type Bytes, latin1Of } from '../base/bytes.ts';
import { limits } from '../base/limits.ts';
import type { Clock } from '../runtime/runtime.ts';
import type { Outcome } from './messages.ts';

/** A clock may be off by so much against the leader's. */
const driftShare = 0.02;
/** With less than this left of the lease the leader is asked, which renews it. */
const renewMs = limits.readLeaseMs / 4;
const answerOverheadBytes = 200;

/** What a query has to show when its answer is to be kept. */
export interface Asked {
  generation: number;
  atMs: number;
}

export class AnswerCache {
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly answers = new Map<string, Outcome>();
  private bytes = 0;
  private untilMs = 0;
  private counted = 1;
  /** Own changes on their way: nothing is kept and nothing answered. */
  private changing = 0;

  constructor(clock: Pick<Clock, 'monotonic'>) {
    this.clock = clock;
  }

  /** Counts how often everything was forgotten. */
  get generation(): number {
    return this.counted;
  }

  /** The answer, while it is true. */
  get(query: Bytes): Outcome | undefined {
    if (this.changing > 0 || this.answers.size === 0) return undefined;
    const leftMs = this.untilMs - this.clock.monotonic();
    if (leftMs <= 0) this.forget();
    return leftMs > renewMs ? this.answers.get(latin1Of(query)) : undefined;
  }

  ask(): Asked {
    return { generation: this.counted, atMs: this.clock.monotonic() };
  }

  /** Keeps an answer for as long as its lease, unless something was forgotten since it was asked for. */
  keep(asked: Asked, query: Bytes, outcome: Outcome, leaseMs: number): void {
    const untilMs = asked.atMs + leaseMs * (1 - driftShare);
    const now = this.clock.monotonic();
    if (asked.generation !== this.counted || this.changing > 0 || untilMs <= now) return;
    if (this.untilMs <= now) this.clear();
    this.untilMs = Math.max(this.untilMs, untilMs);
    const name = latin1Of(query);
    const size = sizeOf(name, outcome);
    if (size > limits.leasedAnswerBytesMax || this.answers.has(name)) return;
    this.answers.set(name, outcome);
    this.bytes += size;
    for (const [oldest, old] of this.answers) {
      if (this.bytes <= limits.leasedAnswersBytesMax && this.answers.size <= limits.leasedAnswersMax) break;
      this.answers.delete(oldest);
      this.bytes -= sizeOf(oldest, old);
    }
  }

  /** Runs a change of this client: what was known before it is not answered during it or after it. */
  async change<T>(task: (generation: number) => Promise<T>): Promise<T> {
    this.forget();
    this.changing++;
    try {
      return await task(this.counted);
    } finally {
      this.changing--;
      this.forget();
    }
  }

  /** Nothing that was asked for before is answered or kept any more. */
  forget(): void {
    this.counted++;
    this.untilMs = 0;
    this.clear();
  }

  private clear(): void {
    this.answers.clear();
    this.bytes = 0;
  }
}

function sizeOf(query: string, outcome: Outcome): number {
  return query.length + (outcome.type === 'done' ? outcome.reply.length : 0) + answerOverheadBytes;
}
