// The ballot above which a store has promised nothing, of whatever register. It is all that is known of a promise whose record has
// rotted: what is proposed above it, the store may accept as if it had lost its disk (docs/decisions/032-rotten-records.md).

import { decode, encode, u48 } from '../../base/codec.ts';
import { isError } from '../../base/errors.ts';
import { limits } from '../../base/limits.ts';
import { labelledHash } from '../../crypto/hash.ts';
import type { Silo, SiloEntry } from '../../silo/silo.ts';
import { type Ballot, proposerBytes } from './ballot.ts';

const key = labelledHash('register-ceiling');
/** Rounds are roughly milliseconds: it is written once in that time, and not with each promise. */
const aheadMs = 5_000;
const roundMax = 2 ** 48 - 1;

export class Ceiling {
  private readonly silo: Silo;
  private readonly now: () => number;
  private loading: Promise<void> | undefined;
  private durable = 0;
  private written = 0;

  constructor(silo: Silo, now: () => number) {
    this.silo = silo;
    this.now = now;
  }

  /** Known once `load` has resolved. */
  get current(): Ballot {
    return { round: this.written, proposer: Buffer.alloc(proposerBytes, 255) };
  }

  load(): Promise<void> {
    this.loading ??= this.read().catch((error: unknown) => {
      this.loading = undefined;
      throw error;
    });
    return this.loading;
  }

  /** What is to be written in one batch with a promise of that ballot; undefined: it is covered. In the order of the batches. */
  cover({ round }: Ballot): SiloEntry | undefined {
    if (round <= this.durable) return undefined;
    this.written = Math.min(roundMax, Math.max(this.written, round + aheadMs));
    return { space: 'meta', key, value: encode(u48, this.written) };
  }

  /** That entry is durable. */
  covered({ value }: SiloEntry): void {
    if (value !== undefined) this.durable = Math.max(this.durable, decode(u48, value));
  }

  private async read(): Promise<void> {
    try {
      this.written = decode(u48, await this.silo.get('meta', key));
      this.durable = this.written;
    } catch (error) {
      if (!isError(error, 'not-found', 'corrupt')) throw error;
      // Not known: nothing further ahead than that was ever promised. The next promise writes it down.
      if (await this.isUsed()) this.written = this.now() + limits.ballotHorizonMs;
    }
  }

  private async isUsed(): Promise<boolean> {
    for await (const _ of this.silo.list('register')) return true;
    return false;
  }
}
