// Mends records of registers and journals that have rotted on this disk: from memory where they are there, else from the other
// members. What nobody else has stays as it is, and is told of (docs/decisions/032-rotten-records.md).

import { fromHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import type { Registers } from '../consensus/consensus.ts';
import type { RegisterService } from '../consensus/register/service.ts';
import type { RottenRecord, Scrub } from './scrub.ts';
import type { Work } from './worker.ts';

export interface MendingParts {
  scrub: Pick<Scrub, 'rottenRecords' | 'recheck'>;
  service: Pick<RegisterService, 'mend'>;
  registers: Pick<Registers, 'settle'>;
}

const operationMs = 8_000;

/** One record a step. */
export class Mending implements Work {
  readonly name = 'mending';
  readonly counters = { mended: 0, failed: 0 };
  private readonly parts: MendingParts;
  private queue: RottenRecord[] | undefined;

  constructor(parts: MendingParts) {
    this.parts = parts;
  }

  backlog(): number {
    return this.parts.scrub.rottenRecords().length;
  }

  async step(signal: AbortSignal): Promise<boolean> {
    this.queue ??= this.parts.scrub.rottenRecords();
    const record = this.queue.shift();
    if (record === undefined) {
      this.queue = undefined;
      return false;
    }
    try {
      await this.mend(record, signal);
    } catch (error) {
      if (!isError(error, 'unavailable', 'conflict', 'denied', 'not-found', 'corrupt', 'full')) throw error;
      this.counters.failed++;
    }
    return true;
  }

  /** What the others send arrives when it does: it may be seen only the next time. */
  private async mend(record: RottenRecord, signal: AbortSignal): Promise<void> {
    const { scrub, service, registers } = this.parts;
    if (record.space === 'register' && !(await scrub.recheck(record))) {
      const address = fromHex(record.key);
      const how = await service.mend(address);
      if (how === 'settle') await registers.settle(address, { signal, timeoutMs: operationMs });
    }
    if (await scrub.recheck(record)) this.counters.mended++;
  }
}
