// The leader's right to answer reads by itself: grants of the journal's members, renewed when they are not counted any more
// (docs/protocols.md 4.2).

import { InfinitError } from '../base/errors.ts';
import type { JournalWriter } from '../consensus/consensus.ts';
import type { Clock } from '../runtime/runtime.ts';

export class ReadGrants {
  private readonly clock: Pick<Clock, 'monotonic'>;
  private readonly writer: () => JournalWriter;
  private holding: Promise<void> | undefined;

  constructor(clock: Pick<Clock, 'monotonic'>, writer: () => JournalWriter) {
    this.clock = clock;
    this.writer = writer;
  }

  /** For how long they are counted from now on, milliseconds. */
  get leftMs(): number {
    return Math.max(0, this.writer().grantedUntil() - this.clock.monotonic());
  }

  /** Resolves while they are counted: to be called after reading, never before. Throws `conflict`, `unavailable`. */
  async hold(): Promise<void> {
    if (this.leftMs > 0) return;
    this.holding ??= this.writer()
      .hold()
      .finally(() => {
        this.holding = undefined;
      });
    await this.holding;
    if (this.leftMs <= 0) throw new InfinitError('unavailable', 'the journal members grant no time to read');
  }
}
