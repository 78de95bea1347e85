// Mends records of registers and journals that have rotted on this disk: from memory where they are there, else from the other
// members. What nobody else has stays as it is, and is told of (docs/decisions/032-rotten-records.md).

import { type Bytes, fromHex } from '../base/bytes.ts';
import { isError } from '../base/errors.ts';
import type { Address, Member } from '../block/address.ts';
import type { Registers } from '../consensus/consensus.ts';
import type { JournalParts } from '../consensus/journal/ask.ts';
import { fetchBatch } from '../consensus/journal/copies.ts';
import type { JournalService } from '../consensus/journal/service.ts';
import type { RegisterService } from '../consensus/register/service.ts';
import type { RottenRecord, Scrub } from './scrub.ts';
import type { Work } from './worker.ts';

export interface MendingParts extends JournalParts {
  self: () => Member;
  scrub: Pick<Scrub, 'rottenRecords' | 'recheck'>;
  service: Pick<RegisterService, 'mend' | 'held'>;
  registers: Pick<Registers, 'read' | 'settle'>;
  journals: Pick<JournalService, 'treeOf' | 'mend'>;
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

  /** What the others send of a register arrives when it does: it may be seen only the next time. */
  private async mend(record: RottenRecord, signal: AbortSignal): Promise<void> {
    const { scrub } = this.parts;
    const key = fromHex(record.key);
    if (!(await scrub.recheck(record))) {
      if (record.space === 'register') await this.mendRegister(key, signal);
      if (record.space === 'journal') await this.mendJournal(key, signal);
    }
    if (await scrub.recheck(record)) this.counters.mended++;
  }

  private async mendRegister(address: Address, signal: AbortSignal): Promise<void> {
    const how = await this.parts.service.mend(address);
    if (how === 'settle') await this.parts.registers.settle(address, { signal, timeoutMs: operationMs });
  }

  private async mendJournal(key: Bytes, signal: AbortSignal): Promise<void> {
    const { journals, registers, service } = this.parts;
    const tree = await journals.treeOf(key, service.held());
    if (tree === undefined) return;
    const root = await registers.read(tree, { signal, timeoutMs: operationMs });
    await journals.mend(root, key, (place, members) => fetchBatch(this.parts, tree, place, members, { signal }));
  }
}
