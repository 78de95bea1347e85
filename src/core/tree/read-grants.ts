// The leader's right to answer reads by itself: grants of the journal's members, renewed when they are not counted any more
// (docs/protocols.md 4.2).

import { InfinitError, isError } from '../base/errors.ts';
import { limits } from '../base/limits.ts';
import type { JournalWriter } from '../consensus/consensus.ts';
import type { Clock } from '../runtime/runtime.ts';

const againMs = 500;

export interface ReadGrantsOptions {
  clock: Pick<Clock, 'monotonic' | 'sleep'>;
  writer: () => JournalWriter;
  /** Whether the leader goes on. */
  serving: () => boolean;
}

export class ReadGrants {
  private readonly options: ReadGrantsOptions;
  private holding: Promise<void> | undefined;

  constructor(options: ReadGrantsOptions) {
    this.options = options;
  }

  /** For how long they are counted from now on, milliseconds. */
  get leftMs(): number {
    const { clock, writer } = this.options;
    return Math.max(0, writer().grantedUntil() - clock.monotonic());
  }

  /**
   * Resolves while they are counted: to be called after reading, never before. Members that are away are waited for, as long as
   * who asks would wait. Throws `conflict`, `unavailable`.
   */
  async hold(): Promise<void> {
    if (this.leftMs > 0) return;
    this.holding ??= this.renewed().finally(() => {
      this.holding = undefined;
    });
    await this.holding;
  }

  private async renewed(): Promise<void> {
    const { clock, writer, serving } = this.options;
    const deadline = clock.monotonic() + limits.operationDeadlineMs;
    for (;;) {
      try {
        await writer().hold();
        if (this.leftMs > 0) return;
        throw new InfinitError('unavailable', 'the journal members grant no time to read');
      } catch (error) {
        if (!isError(error, 'unavailable') || !serving() || clock.monotonic() >= deadline) throw error;
      }
      await clock.sleep(againMs);
    }
  }
}
